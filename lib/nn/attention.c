/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/attention.h"

#include <math.h>
#include <string.h>

#include "lib/nn/simd.h"

/* a block of C: rows by vectors; on AVX-512 it stays in registers with room to spare */
enum { ROWS = 4, COLS = 4 };

static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

uint32_t px_attention_stride(const struct px_attention *s) {
  return (uint32_t)round_up(s->tokens_max, PX_LANES);
}

/* A head's k or v transposed; and for a sequence's asking tokens probabilities and their
 * gradients. */
size_t px_attention_scratch_n(const struct px_attention *s) {
  return (size_t)px_attention_stride(s) * (s->width / s->heads + 2 * round_up(s->tokens_max, ROWS));
}

/* ---- products: C[rows, cols] = sum over l of A(row, l) B(l, col), A anywhere, B and C by rows */

struct left {
  const float *at;
  size_t row, step;
}; /* A(r, l) = at[r * row + l * step] */
struct right {
  const float *at;
  size_t step;
}; /* B(l, c) = at[l * step + c] */
struct result {
  float *at;
  size_t row;
};

PX_INLINE void block(size_t rows, size_t vectors, size_t depth, struct left a, struct right b,
                     struct result c) {
  const px_vec zero = { 0 };
  px_vec sum[ROWS][COLS] = { 0 };
  for (size_t l = 0; l < depth; l++) {
    px_vec right[COLS];
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) right[v] = px_vec_load(b.at + l * b.step + v * PX_LANES);
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
      /* in all lanes; adding zero would be an addition */
      const px_vec left = a.at[r * a.row + l * a.step] - zero;
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; v++) sum[r][v] = left * right[v] + sum[r][v];
    }
  }
#pragma GCC unroll 4
  for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) px_vec_store(c.at + r * c.row + v * PX_LANES, sum[r][v]);
}

/* The number of vectors is a constant in each call of block, or its sums would not be registers. */
PX_INLINE void block_row(size_t rows, size_t vectors, size_t depth, struct left a, struct right b,
                         struct result c) {
  for (; vectors >= COLS; vectors -= COLS) {
    block(rows, COLS, depth, a, b, c);
    b.at += COLS * PX_LANES, c.at += COLS * PX_LANES;
  }
  if (vectors == 3) block(rows, 3, depth, a, b, c);
  else if (vectors == 2) block(rows, 2, depth, a, b, c);
  else if (vectors == 1) block(rows, 1, depth, a, b, c);
}

/* rows <= ROWS: a whole block, or what is left over, row by row. */
PX_INLINE void product(size_t rows, size_t vectors, size_t depth, struct left a, struct right b,
                       struct result c) {
  if (rows == ROWS) {
    block_row(ROWS, vectors, depth, a, b, c);
    return;
  }
  for (; rows > 0; rows--) {
    block_row(1, vectors, depth, a, b, c);
    a.at += a.row, c.at += c.row;
  }
}

/* out[d, stride] = in[n, width of a head]^T; zeros beyond n, up to whole vectors. */
PX_INLINE void transpose(size_t n, size_t dims, const float *in, size_t row, float *out,
                         size_t stride) {
  for (size_t j = 0; j < n; j += PX_LANES)
    for (size_t d = 0; d < dims; d++) {
      px_vec x = { 0 };
      const size_t lanes = n - j < PX_LANES ? n - j : PX_LANES;
      if (lanes == PX_LANES)
        for (size_t lane = 0; lane < PX_LANES; lane++) x[lane] = in[(j + lane) * row + d];
      else
        for (size_t lane = 0; lane < lanes; lane++) x[lane] = in[(j + lane) * row + d];
      px_vec_store(out + d * stride + j, x);
    }
}

/* ---- softmax of one row */

/* p[0 .. seen) = softmax(scale p); 0 from there to whole vectors' end `width`. */
PX_INLINE void softmax(size_t seen, size_t width, float scale, float *p) {
  const px_vec zero = { 0 };
  px_vec most = zero - INFINITY, sum = zero;
  size_t j = 0;
  for (; j < seen; j += PX_LANES) {
    const px_ivec visible = px_lane_numbers < (int32_t)(seen - j);
    const px_vec x = px_vec_choose(visible, px_vec_load(p + j) * scale, zero - INFINITY);
    most = px_vec_max(most, x);
    px_vec_store(p + j, x);
  }
  const float top = px_vec_most(most);
  for (j = 0; j < seen; j += PX_LANES) {
    const px_ivec visible = px_lane_numbers < (int32_t)(seen - j);
    const px_vec x = px_vec_choose(visible, px_vec_exp(px_vec_load(p + j) - top), zero);
    sum += x;
    px_vec_store(p + j, x);
  }
  const float inverse = 1 / px_vec_sum(sum);
  for (size_t i = 0; i < j; i += PX_LANES) px_vec_store(p + i, px_vec_load(p + i) * inverse);
  for (; j < width; j += PX_LANES) px_vec_store(p + j, zero);
}

/* dropped [width] = p after dropout; in p itself the sign bit marks what was dropped. */
PX_INLINE void drop_row(size_t width, const struct px_dropout *drop, uint32_t row, uint32_t unit0,
                        float *p, float *dropped) {
  for (size_t j = 0; j < width; j += PX_LANES) {
    const px_vec keep = px_dropout_keep_lanes(drop, row, unit0 + (uint32_t)j),
                 x = px_vec_load(p + j);
    px_vec_store(dropped + j, x * keep);
    px_vec_store(p + j, px_vec_choose(keep > 0.0F, x, -x));
  }
}

/* d [width], the gradient of the dropped probabilities, becomes that of the scores before the
 * scale: scale p (d' - sum d' p), d' = d keep. dropped [width] is made again. */
PX_INLINE void softmax_back(size_t width, float keep_scale, float scale, const float *p, float *d,
                            float *dropped) {
  const px_vec zero = { 0 };
  px_vec sum = zero;
  for (size_t j = 0; j < width; j += PX_LANES) {
    const px_vec x = px_vec_load(p + j), kept = px_vec_max(x, zero) * keep_scale;
    sum += kept * px_vec_load(d + j);
    px_vec_store(dropped + j, kept);
  }
  const float along = px_vec_sum(sum);
  for (size_t j = 0; j < width; j += PX_LANES) {
    const px_vec x = px_vec_load(p + j),
                 g = px_vec_choose(x > zero, px_vec_load(d + j) * keep_scale, zero);
    px_vec_store(d + j, px_vec_max(x, -x) * (g - along) * scale);
  }
}

/* ---- one head of one sequence */

struct head {
  size_t dims, stride, width; /* of the head; of a row of probs; of the whole layer */
  size_t tokens, asks;        /* of the sequence */
  const uint32_t *ask;        /* [asks] numbers of tokens in the batch, or NULL: all */
  uint32_t first;             /* token */
  float scale;
};

/* How many tokens the r-th asking one sees. */
PX_INLINE size_t seen(const struct head *h, size_t r) {
  return h->ask ? h->ask[r] - h->first + 1 : r + 1;
}

PX_CLONES static void head_forward(struct head h, const float *q, const float *k, const float *v,
                                   const struct px_dropout *drop, uint32_t row0, uint32_t unit0,
                                   float *scratch, float *probs, float *out) {
  float *kt = scratch, *dropped = scratch + h.dims * h.stride;
  transpose(h.tokens, h.dims, k, 2 * h.width, kt, h.stride);
  for (size_t r = 0; r < h.asks; r += ROWS) {
    const size_t rows = h.asks - r < ROWS ? h.asks - r : ROWS, depth = seen(&h, r + rows - 1);
    const size_t vectors = (depth + PX_LANES - 1) / PX_LANES;
    float *p = probs + r * h.stride;
    product(rows, vectors, h.dims, (struct left){ q + r * h.width, h.width, 1 },
            (struct right){ kt, h.stride }, (struct result){ p, h.stride });
    for (size_t i = 0; i < rows; i++) {
      softmax(seen(&h, r + i), vectors * PX_LANES, h.scale, p + i * h.stride);
      if (drop)
        drop_row(vectors * PX_LANES, drop,
                 px_dropout_row(drop, row0 + h.first + (uint32_t)seen(&h, r + i) - 1), unit0,
                 p + i * h.stride, dropped + i * h.stride);
    }
    product(rows, h.dims / PX_LANES, depth, (struct left){ drop ? dropped : p, h.stride, 1 },
            (struct right){ v, 2 * h.width }, (struct result){ out + r * h.width, h.width });
  }
}

PX_CLONES static void head_backward(struct head h, const float *q, const float *k, const float *v,
                                    float keep_scale, const float *probs, const float *dout,
                                    float *scratch, float *dq, float *dk, float *dv) {
  const size_t width2 = 2 * h.width, asks_max = round_up(h.asks, ROWS);
  float *vt = scratch, *dropped = vt + h.dims * h.stride, *ds = dropped + asks_max * h.stride;
  transpose(h.tokens, h.dims, v, width2, vt, h.stride);
  for (size_t r = 0; r < h.asks; r += ROWS) {
    const size_t rows = h.asks - r < ROWS ? h.asks - r : ROWS, depth = seen(&h, r + rows - 1);
    const size_t vectors = (depth + PX_LANES - 1) / PX_LANES;
    float *d = ds + r * h.stride;
    product(rows, vectors, h.dims, (struct left){ dout + r * h.width, h.width, 1 },
            (struct right){ vt, h.stride }, (struct result){ d, h.stride });
    for (size_t i = 0; i < rows; i++)
      softmax_back(vectors * PX_LANES, keep_scale, h.scale, probs + (r + i) * h.stride,
                   d + i * h.stride, dropped + (r + i) * h.stride);
    product(rows, h.dims / PX_LANES, depth, (struct left){ d, h.stride, 1 },
            (struct right){ k, width2 }, (struct result){ dq + r * h.width, h.width });
  }
  for (size_t j = 0, r = 0; j < h.tokens; j += ROWS) {
    const size_t rows = h.tokens - j < ROWS ? h.tokens - j : ROWS;
    while (r < h.asks && seen(&h, r) <= j) r++; /* nobody before the r-th looks at token j */
    const struct left p = { dropped + r * h.stride + j, 1, h.stride },
                      d = { ds + r * h.stride + j, 1, h.stride };
    product(rows, h.dims / PX_LANES, h.asks - r, p, (struct right){ dout + r * h.width, h.width },
            (struct result){ dv + j * width2, width2 });
    product(rows, h.dims / PX_LANES, h.asks - r, d, (struct right){ q + r * h.width, h.width },
            (struct result){ dk + j * width2, width2 });
  }
}

/* ---- all of them */

/* The i-th sequence, whose asking tokens begin at `at`. */
static struct head describe(const struct px_attention *s, const struct px_sequences *seqs,
                            uint32_t i, uint32_t at) {
  struct head h = { .dims = s->width / s->heads,
                    .stride = px_attention_stride(s),
                    .width = s->width };
  const uint32_t end = seqs->start[i + 1];
  h.first = seqs->start[i];
  h.tokens = end - h.first;
  h.scale = 1 / sqrtf((float)h.dims);
  if (!seqs->ask) {
    h.asks = h.tokens;
    return h;
  }
  h.ask = seqs->ask + at;
  while (at + h.asks < seqs->asks_n && seqs->ask[at + h.asks] < end) h.asks++;
  return h;
}

void px_attention_forward(const struct px_attention *s, const struct px_sequences *seqs,
                          const float *q, const float *kv, const struct px_dropout *drop,
                          uint32_t row0, float *scratch, float *probs, float *out) {
  const size_t stride = px_attention_stride(s), dims = s->width / s->heads;
  size_t at = 0;
  for (uint32_t i = 0; i < seqs->n; i++) {
    const struct head h = describe(s, seqs, i, (uint32_t)at);
    const float *k = kv + (size_t)h.first * 2 * s->width;
    for (size_t j = 0; j < s->heads; j++)
      head_forward(h, q + at * s->width + j * dims, k + j * dims, k + s->width + j * dims, drop,
                   row0, (uint32_t)(j * stride), scratch, probs + (j * seqs->asks_n + at) * stride,
                   out + at * s->width + j * dims);
    at += h.asks;
  }
}

void px_attention_backward(const struct px_attention *s, const struct px_sequences *seqs,
                           const float *q, const float *kv, const struct px_dropout *drop,
                           const float *probs, const float *dout, float *scratch, float *dq,
                           float *dkv) {
  const size_t stride = px_attention_stride(s), dims = s->width / s->heads;
  size_t at = 0;
  for (uint32_t i = 0; i < seqs->n; i++) {
    const struct head h = describe(s, seqs, i, (uint32_t)at);
    const size_t first = (size_t)h.first * 2 * s->width;
    for (size_t j = 0; j < s->heads; j++) {
      const size_t own = at * s->width + j * dims, theirs = first + j * dims;
      head_backward(h, q + own, kv + theirs, kv + theirs + s->width, drop ? drop->scale : 1,
                    probs + (j * seqs->asks_n + at) * stride, dout + own, scratch, dq + own,
                    dkv + theirs, dkv + theirs + s->width);
    }
    at += h.asks;
  }
}
