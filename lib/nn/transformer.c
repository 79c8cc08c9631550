/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/transformer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/nn/gelu.h"
#include "lib/nn/layer_norm.h"
#include "lib/nn/mat.h"
#include "lib/nn/simd.h"

enum { INNER = 4 }; /* width of the second half's hidden layer, in widths */

/* ---- parameters */

/* Where a layer's tensors begin. */
struct places {
  size_t norm1, norm1_bias, in, in_bias, out, out_bias, norm2, norm2_bias, up, up_bias, down,
    down_bias, end;
};

static struct places places(const struct px_transformer_shape *s, uint32_t l) {
  const size_t d = s->width, square = d * d;
  struct places p;
  size_t at = l * (square * (4 + 2 * INNER) + d * (9 + INNER));
  p.norm1 = at, at += d;
  p.norm1_bias = at, at += d;
  p.in = at, at += 3 * square;
  p.in_bias = at, at += 3 * d;
  p.out = at, at += square;
  p.out_bias = at, at += d;
  p.norm2 = at, at += d;
  p.norm2_bias = at, at += d;
  p.up = at, at += INNER * square;
  p.up_bias = at, at += INNER * d;
  p.down = at, at += INNER * square;
  p.down_bias = at, at += d;
  p.end = at;
  return p;
}

/* The last normalisation's gain stands where another layer would begin, its bias behind. */
static size_t last_norm(const struct px_transformer_shape *s) { return places(s, s->layers).norm1; }

size_t px_transformer_params_n(const struct px_transformer_shape *s) {
  return last_norm(s) + 2 * (size_t)s->width;
}

enum px_status px_transformer_check(const struct px_transformer_shape *s, struct px_err *err) {
  if (!s->heads || s->width % (s->heads * PX_LANES) || !s->width || s->width > 4096)
    return px_fail_at(err, PX_E_BAD_FIELD, "/width",
                      "width %u is not %u heads times a multiple of %d, up to 4096", s->width,
                      s->heads, PX_LANES);
  if (!s->layers || s->layers > PX_TRANSFORMER_LAYERS_MAX || !s->tokens_max ||
      s->tokens_max > PX_TRANSFORMER_TOKENS_MAX || !(s->dropout >= 0 && s->dropout < 1))
    return px_fail(err, PX_E_BAD_FIELD,
                   "a transformer of %u layers on %u tokens with dropout %g is out of bounds",
                   s->layers, s->tokens_max, (double)s->dropout);
  return PX_OK;
}

size_t px_transformer_tensors(const struct px_transformer_shape *s, size_t at,
                              struct px_tensor *out) {
  static const struct {
    const char *name;
    uint32_t rows, cols;
  } kinds[PX_TRANSFORMER_TENSORS] = {
    { "norm1.weight", 1, 0 },         { "norm1.bias", 1, 0 },
    { "attention_in.weight", 3, 1 },  { "attention_in.bias", 3, 0 },
    { "attention_out.weight", 1, 1 }, { "attention_out.bias", 1, 0 },
    { "norm2.weight", 1, 0 },         { "norm2.bias", 1, 0 },
    { "mlp_in.weight", INNER, 1 },    { "mlp_in.bias", INNER, 0 },
    { "mlp_out.weight", 1, INNER },   { "mlp_out.bias", 1, 0 },
  };
  const size_t n = (size_t)s->layers * PX_TRANSFORMER_TENSORS + 2;
  for (size_t i = 0; out && i < n; i++) {
    const size_t layer = i / PX_TRANSFORMER_TENSORS, kind = i % PX_TRANSFORMER_TENSORS;
    struct px_tensor *t = &out[i];
    t->rows = kinds[kind].rows * s->width, t->cols = kinds[kind].cols * s->width;
    if (layer < s->layers)
      snprintf(t->name, sizeof t->name, "layer%zu.%s", layer, kinds[kind].name);
    else snprintf(t->name, sizeof t->name, "norm.%s", kind ? "bias" : "weight");
    t->at = at;
    at += px_tensor_n(t);
  }
  return n;
}

void px_transformer_init(const struct px_transformer_shape *s, uint64_t seed, uint64_t stream,
                         float *params) {
  const float deviation = 0.02F;
  const size_t d = s->width, square = d * d, n = px_transformer_params_n(s);
  struct px_rng rng = px_rng_at(seed, stream, 0);
  memset(params, 0, n * sizeof *params);
  for (uint32_t l = 0; l <= s->layers; l++) {
    const struct places p = places(s, l);
    for (size_t j = 0; j < d; j++) params[p.norm1 + j] = 1;
    if (l == s->layers) break;
    for (size_t j = 0; j < d; j++) params[p.norm2 + j] = 1;
    const size_t at[] = { p.in, p.out, p.up, p.down },
                 size[] = { 3 * square, square, INNER * square, INNER * square };
    for (int i = 0; i < 4; i++) {
      px_rng_normal(&rng, params + at[i], size[i]);
      for (size_t j = 0; j < size[i]; j++) params[at[i] + j] *= deviation;
    }
  }
}

/* ---- activations; n tokens and m that ask (in all layers but the last, all of them) */

struct layer_work {
  float *normal1, *inverse1, *x1; /* [n, D], [n], [n, D]: the first normalisation */
  /* last layer: [m, D], x1 of the asking tokens; others: x1 itself */
  float *asked;
  float *q, *kv, *probs, *heads_out; /* [m, D], [n, 2D], [heads, m, stride], [m, D] */
  float *normal2, *inverse2, *x2;    /* [m, D], [m], [m, D]: the second one */
  float *hidden, *slope;             /* [m, 4D] */
};

struct px_transformer_work {
  uint32_t tokens_n, asks_n;
  struct layer_work layer[PX_TRANSFORMER_LAYERS_MAX];
  float *normal, *inverse, *y; /* [m, D], [m], [m, D]: the last normalisation */
  /* [m, D]: residual stream of the asking tokens, and its gradient */
  float *x;
  float *branch, *wide; /* [n, D], [n, 4D] scratch */
  float *dq, *dkv, *attention;
};

static void take_layer(struct px_arena *arena, const struct px_transformer_shape *s, size_t n,
                       size_t m, bool last, struct layer_work *k) {
  const struct px_attention attention = { s->width, s->heads, s->tokens_max };
  const size_t d = s->width, stride = px_attention_stride(&attention);
  k->normal1 = px_arena_floats(arena, n, d);
  k->inverse1 = px_arena_floats(arena, n, 1);
  k->x1 = px_arena_floats(arena, n, d);
  k->asked = last ? px_arena_floats(arena, m, d) : k->x1;
  k->q = px_arena_floats(arena, m, d);
  k->kv = px_arena_floats(arena, n, 2 * d);
  k->heads_out = px_arena_floats(arena, m, d);
  k->probs = px_arena_floats(arena, m, s->heads * stride);
  k->normal2 = px_arena_floats(arena, m, d);
  k->inverse2 = px_arena_floats(arena, m, 1);
  k->x2 = px_arena_floats(arena, m, d);
  k->hidden = px_arena_floats(arena, m, INNER * d);
  k->slope = px_arena_floats(arena, m, INNER * d);
}

enum px_status px_transformer_work_new(struct px_arena *arena, const struct px_transformer_shape *s,
                                       uint32_t tokens_n, uint32_t asks_n,
                                       struct px_transformer_work **out) {
  const struct px_attention attention = { s->width, s->heads, s->tokens_max };
  const size_t d = s->width;
  struct px_transformer_work *w = px_arena_take(arena, 1, sizeof *w);
  if (!w) return PX_E_NO_MEMORY;
  w->tokens_n = tokens_n, w->asks_n = asks_n;
  w->normal = px_arena_floats(arena, asks_n, d);
  w->inverse = px_arena_floats(arena, asks_n, 1);
  w->y = px_arena_floats(arena, asks_n, d);
  w->x = px_arena_floats(arena, asks_n, d);
  w->branch = px_arena_floats(arena, tokens_n, d);
  w->wide = px_arena_floats(arena, tokens_n, INNER * d);
  w->dq = px_arena_floats(arena, tokens_n, d);
  w->dkv = px_arena_floats(arena, tokens_n, 2 * d);
  w->attention = px_arena_floats(arena, px_attention_scratch_n(&attention), 1);
  for (uint32_t l = 0; l < s->layers; l++) {
    const bool last = l + 1 == s->layers;
    take_layer(arena, s, tokens_n, last ? asks_n : tokens_n, last, &w->layer[l]);
  }
  if (px_arena_ran_out(arena)) return PX_E_NO_MEMORY;
  *out = w;
  return PX_OK;
}

/* ---- what stands between the kernels */

/* The places where units are dropped, each with a stream of its own. */
enum { DROP_PROBABILITIES, DROP_ATTENTION, DROP_MLP, DROPS_N };

/* Which rows of a batch the rows in hand are, for dropout: row0 + token[i], or row0 + i. drop NULL:
 * no dropout. */
struct masked {
  const struct px_dropout *drop;
  uint32_t row0;
  const uint32_t *token;
};

static inline uint32_t mask_row(const struct masked *m, size_t i) {
  return m->drop ? px_dropout_row(m->drop, m->row0 + (m->token ? m->token[i] : (uint32_t)i)) : 0;
}

/* x[n,d] += drop(branch + bias). */
PX_CLONES static void add_branch(size_t n, size_t d, const float *restrict branch,
                                 const float *restrict bias, struct masked m, float *restrict x) {
  for (size_t i = 0; i < n; i++, x += d, branch += d) {
    const uint32_t row = mask_row(&m, i);
    for (size_t j = 0; j < d; j += PX_LANES) {
      px_vec y = px_vec_load(branch + j) + px_vec_load(bias + j);
      if (m.drop) y *= px_dropout_keep_lanes(m.drop, row, (uint32_t)j);
      px_vec_store(x + j, px_vec_load(x + j) + y);
    }
  }
}

/* branch[n,d] = drop's gradient of dx; sum[d] (+)= its column sums. */
PX_CLONES static void branch_back(size_t n, size_t d, const float *restrict dx, struct masked m,
                                  float *restrict branch, bool add, float *restrict sum) {
  if (!add)
    for (size_t j = 0; j < d; j++) sum[j] = 0;
  for (size_t i = 0; i < n; i++, dx += d, branch += d) {
    const uint32_t row = mask_row(&m, i);
    for (size_t j = 0; j < d; j += PX_LANES) {
      px_vec y = px_vec_load(dx + j);
      if (m.drop) y *= px_dropout_keep_lanes(m.drop, row, (uint32_t)j);
      px_vec_store(branch + j, y);
      px_vec_store(sum + j, px_vec_load(sum + j) + y);
    }
  }
}

static void gather_rows(const struct px_sequences *seqs, size_t d, const float *all, float *asked) {
  for (size_t r = 0; r < seqs->asks_n; r++)
    memcpy(asked + r * d, all + seqs->ask[r] * d, d * sizeof *asked);
}

static void scatter_rows(const struct px_sequences *seqs, size_t d, const float *asked,
                         float *all) {
  for (size_t r = 0; r < seqs->asks_n; r++)
    for (size_t j = 0; j < d; j++) all[seqs->ask[r] * d + j] += asked[r * d + j];
}

/* One layer's view of a pass. */
struct pass {
  struct px_attention attention;
  struct px_sequences seqs; /* without asks, unless it is the last layer */
  uint32_t n, m, d;         /* tokens, rows behind the attention, width */
  struct px_dropout rooms[DROPS_N];
  struct masked mask[DROPS_N];
};

static void describe(const struct px_transformer_shape *s, const struct px_sequences *seqs,
                     const struct px_transformer_drop *drop, uint32_t l, struct pass *p) {
  *p = (struct pass){ .attention = { s->width, s->heads, s->tokens_max },
                      .seqs = *seqs,
                      .d = s->width };
  p->n = p->m = seqs->start[seqs->n];
  if (l + 1 == s->layers) p->m = seqs->asks_n;
  else p->seqs.ask = NULL, p->seqs.asks_n = p->n;
  if (!drop || s->dropout <= 0) return;
  for (uint32_t i = 0; i < DROPS_N; i++) {
    p->rooms[i] = px_dropout_at(drop->seed, px_rng_stream("transformer dropout", l * DROPS_N + i),
                                drop->step, s->dropout);
    p->mask[i] = (struct masked){ &p->rooms[i], drop->row0, p->seqs.ask };
  }
}

/* y[n,out] = x[n,in] W^T */
static void linear(uint32_t n, uint32_t in, uint32_t out, const float *x, const float *weight,
                   float *y) {
  px_mat_mul(PX_MAT_N, PX_MAT_T, n, out, in, x, weight, 0, y);
}

/* dW (+)= dy^T x */
static void linear_grads(uint32_t n, uint32_t in, uint32_t out, const float *x, const float *dy,
                         bool add, float *dweight) {
  px_mat_mul(PX_MAT_T, PX_MAT_N, out, in, n, dy, x, add ? 1 : 0, dweight);
}

/* dx (+)= dy W */
static void linear_back(uint32_t n, uint32_t in, uint32_t out, const float *dy, const float *weight,
                        float beta, float *dx) {
  px_mat_mul(PX_MAT_N, PX_MAT_N, n, in, out, dy, weight, beta, dx);
}

/* ---- forward and backward */

/* x [n, D] is the residual stream; behind the last layer's attention it goes on in work->x [m,
 * D]. */
static float *layer_forward(const struct pass *p, const float *params, struct places at,
                            struct px_transformer_work *w, struct layer_work *k, float *x) {
  const uint32_t n = p->n, m = p->m, d = p->d;
  const size_t square = (size_t)d * d;
  px_layer_norm(n, d, x, params + at.norm1, params + at.norm1_bias, k->normal1, k->inverse1, k->x1);
  if (p->seqs.ask) {
    gather_rows(&p->seqs, d, k->x1, k->asked);
    gather_rows(&p->seqs, d, x, w->x);
    x = w->x;
  }
  px_mat_layer(m, d, d, k->asked, params + at.in, params + at.in_bias, false, k->q);
  px_mat_layer(n, 2 * d, d, k->x1, params + at.in + square, params + at.in_bias + d, false, k->kv);
  px_attention_forward(&p->attention, &p->seqs, k->q, k->kv, p->mask[DROP_PROBABILITIES].drop,
                       p->mask[DROP_PROBABILITIES].row0, w->attention, k->probs, k->heads_out);
  linear(m, d, d, k->heads_out, params + at.out, w->branch);
  add_branch(m, d, w->branch, params + at.out_bias, p->mask[DROP_ATTENTION], x);
  px_layer_norm(m, d, x, params + at.norm2, params + at.norm2_bias, k->normal2, k->inverse2, k->x2);
  linear(m, d, INNER * d, k->x2, params + at.up, k->hidden);
  px_gelu(m, INNER * d, params + at.up_bias, k->hidden, k->slope);
  linear(m, INNER * d, d, k->hidden, params + at.down, w->branch);
  add_branch(m, d, w->branch, params + at.down_bias, p->mask[DROP_MLP], x);
  return x;
}

/* dx [m, D], the gradient behind the second half, becomes that before it. */
static void mlp_backward(const struct pass *p, const float *params, struct places at,
                         struct px_transformer_work *w, const struct layer_work *k, float *grads,
                         bool add, float *dx) {
  const uint32_t m = p->m, d = p->d, inner = INNER * d;
  branch_back(m, d, dx, p->mask[DROP_MLP], w->branch, add, grads + at.down_bias);
  linear_grads(m, inner, d, k->hidden, w->branch, add, grads + at.down);
  linear_back(m, inner, d, w->branch, params + at.down, 0, w->wide);
  px_gelu_back(m, inner, k->slope, w->wide, add, grads + at.up_bias);
  linear_grads(m, d, inner, k->x2, w->wide, add, grads + at.up);
  linear_back(m, d, inner, w->wide, params + at.up, 0, w->branch);
  px_layer_norm_back(m, d, k->normal2, k->inverse2, params + at.norm2, w->branch, dx, add,
                     grads + at.norm2, grads + at.norm2_bias);
}

/* dx [m, D] behind the first half becomes `before` [n, D] before it; they are the same unless only
 * some tokens ask. */
static void attention_backward(const struct pass *p, const float *params, struct places at,
                               struct px_transformer_work *w, const struct layer_work *k,
                               float *grads, bool add, const float *dx, float *before) {
  const uint32_t n = p->n, m = p->m, d = p->d;
  const size_t square = (size_t)d * d;
  branch_back(m, d, dx, p->mask[DROP_ATTENTION], w->branch, add, grads + at.out_bias);
  linear_grads(m, d, d, k->heads_out, w->branch, add, grads + at.out);
  linear_back(m, d, d, w->branch, params + at.out, 0, w->wide);
  px_attention_backward(&p->attention, &p->seqs, k->q, k->kv, p->mask[DROP_PROBABILITIES].drop,
                        k->probs, w->wide, w->attention, w->dq, w->dkv);
  px_mat_col_sums(m, d, w->dq, add, grads + at.in_bias);
  px_mat_col_sums(n, 2 * d, w->dkv, add, grads + at.in_bias + d);
  linear_grads(m, d, d, k->asked, w->dq, add, grads + at.in);
  linear_grads(n, d, 2 * d, k->x1, w->dkv, add, grads + at.in + square);
  linear_back(n, d, 2 * d, w->dkv, params + at.in + square, 0, w->branch);
  linear_back(m, d, d, w->dq, params + at.in, p->seqs.ask ? 0 : 1,
              p->seqs.ask ? w->wide : w->branch);
  if (p->seqs.ask) {
    scatter_rows(&p->seqs, d, w->wide, w->branch);
    memset(before, 0, (size_t)n * d * sizeof *before);
    scatter_rows(&p->seqs, d, dx, before);
  }
  px_layer_norm_back(n, d, k->normal1, k->inverse1, params + at.norm1, w->branch, before, add,
                     grads + at.norm1, grads + at.norm1_bias);
}

const float *px_transformer_forward(const struct px_transformer_shape *s, const float *params,
                                    struct px_transformer_work *w, float *x,
                                    const struct px_sequences *seqs,
                                    const struct px_transformer_drop *drop) {
  const size_t norm = last_norm(s);
  assert(seqs->ask && seqs->start[seqs->n] <= w->tokens_n && seqs->asks_n <= w->asks_n);
  for (uint32_t l = 0; l < s->layers; l++) {
    struct pass p;
    describe(s, seqs, drop, l, &p);
    x = layer_forward(&p, params, places(s, l), w, &w->layer[l], x);
  }
  px_layer_norm(seqs->asks_n, s->width, x, params + norm, params + norm + s->width, w->normal,
                w->inverse, w->y);
  return w->y;
}

void px_transformer_backward(const struct px_transformer_shape *s, const float *params,
                             struct px_transformer_work *w, const struct px_sequences *seqs,
                             const struct px_transformer_drop *drop, const float *dy, float *grads,
                             bool add, float *dx) {
  const size_t norm = last_norm(s);
  memset(w->x, 0, (size_t)seqs->asks_n * s->width * sizeof *w->x);
  px_layer_norm_back(seqs->asks_n, s->width, w->normal, w->inverse, params + norm, dy, w->x, add,
                     grads + norm, grads + norm + s->width);
  for (uint32_t l = s->layers; l-- > 0;) {
    struct pass p;
    describe(s, seqs, drop, l, &p);
    float *d = l + 1 == s->layers ? w->x : dx;
    mlp_backward(&p, params, places(s, l), w, &w->layer[l], grads, add, d);
    attention_backward(&p, params, places(s, l), w, &w->layer[l], grads, add, d, dx);
  }
}
