/* SPDX-License-Identifier: Apache-2.0 */
/* The transformer: each kernel against plain loops in float64, gradients against finite
 * differences, and what sequences owe each other: nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/nn/gelu.h"
#include "lib/nn/lamb.h"
#include "lib/nn/layer_norm.h"
#include "lib/nn/mat.h"
#include "lib/nn/simd.h"
#include "lib/nn/transformer.h"
#include "tests/support/cu.h"

static float *zeros(size_t n) {
  float *x = px_mem_calloc(n, sizeof *x);
  CU_ASSERT_PTR_NOT_NULL_FATAL(x);
  return x;
}

static float *normals(uint64_t stream, size_t n) {
  struct px_rng rng = px_rng_at(6, stream, 0);
  float *x = zeros(n);
  px_rng_normal(&rng, x, n);
  return x;
}

/* The largest difference from the expected numbers, relative to the largest of these. */
static double error_of(const float *found, const double *expected, size_t n) {
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < n; i++) {
    worst = fmax(worst, isfinite(found[i]) ? fabs((double)found[i] - expected[i]) : INFINITY);
    largest = fmax(largest, fabs(expected[i]));
  }
  return worst / largest;
}

/* ---- kernels */

PX_CLONES static void exponentials(const float *x, size_t n, float *y) {
  for (size_t i = 0; i < n; i += PX_LANES) px_vec_store(y + i, px_vec_exp(px_vec_load(x + i)));
}

static void exponential_is_that_of_libm(void) {
  enum { N = 16 * 1024 };
  float *x = zeros(N), *y = zeros(N);
  for (int i = 0; i < N; i++) x[i] = -87 + 175 * (float)i / N;
  exponentials(x, N, y);
  double worst = 0;
  for (int i = 0; i < N; i++) worst = fmax(worst, fabs((double)y[i] / exp((double)x[i]) - 1));
  CU_ASSERT_TRUE(worst < 2e-7);
  x[0] = -1000, x[1] = NAN, x[2] = -INFINITY, x[3] = 0;
  exponentials(x, PX_LANES, y);
  CU_ASSERT_TRUE(y[0] >= 0 && y[0] < 1e-37F && isnan(y[1]) && y[2] == y[0] && y[3] == 1);
  free(x), free(y);
}

static void gelu_and_its_slope_are_those_of_its_formula(void) {
  enum { N = 7, W = 48 };
  float *y = normals(1, N * W), *bias = normals(2, W), *slope = zeros(N * W),
        *d = normals(3, N * W), *sum = zeros(W);
  double value[N * W], derivative[N * W], back[N * W], sums[W] = { 0 };
  for (int i = 0; i < N * W; i++) {
    const double c = sqrt(2 / M_PI), u = (double)(y[i] *= 3) + (double)bias[i % W];
    const double t = tanh(c * (u + 0.044715 * u * u * u));
    value[i] = u / 2 * (1 + t);
    derivative[i] = (1 + t) / 2 + u / 2 * (1 - t * t) * c * (1 + 3 * 0.044715 * u * u);
    back[i] = (double)d[i] * derivative[i];
    sums[i % W] += back[i];
  }
  px_gelu(N, W, bias, y, slope);
  px_gelu_back(N, W, slope, d, false, sum);
  CU_ASSERT_TRUE(error_of(y, value, N * W) < 1e-6);
  CU_ASSERT_TRUE(error_of(slope, derivative, N * W) < 1e-6);
  CU_ASSERT_TRUE(error_of(d, back, N * W) < 1e-6);
  CU_ASSERT_TRUE(error_of(sum, sums, W) < 1e-6);
  px_gelu_back(N, W, slope, d, true, sum); /* adds to what is there */
  for (int i = 0; i < N * W; i++) sums[i % W] += (double)d[i];
  CU_ASSERT_TRUE(error_of(sum, sums, W) < 1e-6);
  free(y), free(bias), free(slope), free(d), free(sum);
}

static void layer_norm_and_its_gradients_are_those_of_their_formulas(void) {
  enum { N = 9, W = 64 };
  float *x = normals(1, N * W), *gain = normals(2, W), *bias = normals(3, W),
        *dy = normals(4, N * W);
  float *normal = zeros(N * W), *inverse = zeros(N), *y = zeros(N * W), *dx = zeros(N * W);
  float *dg = zeros(W), *db = zeros(W);
  double ey[N * W], edx[N * W], edg[W] = { 0 }, edb[W] = { 0 };
  for (int i = 0; i < N; i++) {
    double mean = 0, variance = 0, sum = 0, along = 0;
    for (int j = 0; j < W; j++) mean += (double)(x[i * W + j] = 5 * x[i * W + j] + 100) / W;
    for (int j = 0; j < W; j++) variance += pow((double)x[i * W + j] - mean, 2) / W;
    const double inv = 1 / sqrt(variance + 1e-5);
    for (int j = 0; j < W; j++) {
      const double z = ((double)x[i * W + j] - mean) * inv, d = (double)dy[i * W + j];
      ey[i * W + j] = z * (double)gain[j] + (double)bias[j];
      sum += d * (double)gain[j] / W, along += d * (double)gain[j] * z / W;
      edg[j] += d * z, edb[j] += d;
    }
    for (int j = 0; j < W; j++) {
      const double z = ((double)x[i * W + j] - mean) * inv;
      edx[i * W + j] = ((double)dy[i * W + j] * (double)gain[j] - sum - z * along) * inv;
    }
  }
  px_layer_norm(N, W, x, gain, bias, normal, inverse, y);
  px_layer_norm_back(N, W, normal, inverse, gain, dy, dx, false, dg, db);
  CU_ASSERT_TRUE(error_of(y, ey, N * W) < 1e-5);
  CU_ASSERT_TRUE(error_of(dx, edx, N * W) < 1e-5);
  CU_ASSERT_TRUE(error_of(dg, edg, W) < 1e-5);
  CU_ASSERT_TRUE(error_of(db, edb, W) < 1e-6);
  px_layer_norm_back(N, W, normal, inverse, gain, dy, dx, true, dg, db); /* dx adds always */
  for (int i = 0; i < N * W; i++) edx[i] *= 2;
  for (int j = 0; j < W; j++) edg[j] *= 2;
  CU_ASSERT_TRUE(error_of(dx, edx, N * W) < 1e-5);
  CU_ASSERT_TRUE(error_of(dg, edg, W) < 1e-5);
  free(x), free(gain), free(bias), free(dy), free(normal), free(inverse), free(y), free(dx),
    free(dg), free(db);
}

/* Attention's naive twin: forward, and the gradients for dout. */
static void naive_attention(const struct px_attention *s, const struct px_sequences *seqs,
                            const float *q, const float *kv, const struct px_dropout *drop,
                            uint32_t row0, const float *dout, double *out, double *dq,
                            double *dkv) {
  const size_t w = s->width, dims = w / s->heads, stride = px_attention_stride(s);
  for (size_t r = 0, i = 0; r < seqs->asks_n; r++) {
    const size_t token = seqs->ask ? seqs->ask[r] : r;
    while (token >= seqs->start[i + 1]) i++;
    const size_t first = seqs->start[i], seen = token - first + 1;
    for (size_t h = 0; h < s->heads; h++) {
      double p[64], keep[64], d[64], sum = 0, along = 0;
      const size_t own = r * w + h * dims;
      for (size_t j = 0; j < seen; j++) {
        double dot = 0;
        for (size_t c = 0; c < dims; c++)
          dot += (double)q[own + c] * (double)kv[(first + j) * 2 * w + h * dims + c];
        sum += p[j] = exp(dot / sqrt((double)dims));
        const uint32_t row = drop ? px_dropout_row(drop, row0 + (uint32_t)token) : 0;
        keep[j] = drop ? (double)px_dropout_keep(drop, row, (uint32_t)(h * stride + j)) : 1;
      }
      for (size_t j = 0; j < seen; j++) {
        p[j] /= sum, d[j] = 0;
        const size_t value = (first + j) * 2 * w + w + h * dims;
        for (size_t c = 0; c < dims; c++) {
          out[own + c] += p[j] * keep[j] * (double)kv[value + c];
          dkv[value + c] += p[j] * keep[j] * (double)dout[own + c];
          d[j] += (double)dout[own + c] * (double)kv[value + c] * keep[j];
        }
        along += d[j] * p[j];
      }
      for (size_t j = 0; j < seen; j++) {
        const double ds = p[j] * (d[j] - along) / sqrt((double)dims);
        const size_t key = (first + j) * 2 * w + h * dims;
        for (size_t c = 0; c < dims; c++) {
          dq[own + c] += ds * (double)kv[key + c];
          dkv[key + c] += ds * (double)q[own + c];
        }
      }
    }
  }
}

static void check_attention(uint32_t heads, uint32_t dims, bool some_ask, float dropped) {
  static const uint32_t start[] = { 0, 1, 24, 61, 63, 96 };
  enum { SEQS = 5, TOKENS = 96 };
  const struct px_attention s = { heads * dims, heads, 37 };
  uint32_t ask[TOKENS], asks_n = 0;
  for (uint32_t i = 0; i < TOKENS; i++) /* nobody looks at the last tokens */
    if (!some_ask || (i % 3 == 1 && i < 90)) ask[asks_n++] = i;
  const struct px_sequences seqs = { SEQS, start, asks_n, some_ask ? ask : NULL };
  const struct px_dropout drop = px_dropout_at(1, 2, 3, dropped), *d = dropped > 0 ? &drop : NULL;
  const size_t nq = (size_t)asks_n * s.width, nkv = (size_t)TOKENS * 2 * s.width;
  float *q = normals(1, nq), *kv = normals(2, nkv), *dout = normals(3, nq), *out = normals(4, nq),
        *dq = normals(5, nq);
  float *dkv = normals(6, nkv), *scratch = normals(7, px_attention_scratch_n(&s));
  float *probs = normals(8, (size_t)heads * asks_n * px_attention_stride(&s));
  double *eout = px_mem_calloc(nq, sizeof *eout), *edq = px_mem_calloc(nq, sizeof *edq),
         *edkv = px_mem_calloc(nkv, sizeof *edkv);
  naive_attention(&s, &seqs, q, kv, d, 5, dout, eout, edq, edkv);
  px_attention_forward(&s, &seqs, q, kv, d, 5, scratch, probs, out);
  px_attention_backward(&s, &seqs, q, kv, d, probs, dout, scratch, dq, dkv);
  CU_ASSERT_TRUE(error_of(out, eout, nq) < 2e-6);
  CU_ASSERT_TRUE(error_of(dq, edq, nq) < 5e-6);
  CU_ASSERT_TRUE(error_of(dkv, edkv, nkv) < 5e-6);
  free(q), free(kv), free(dout), free(out), free(dq), free(dkv), free(scratch), free(probs);
  free(eout), free(edq), free(edkv);
}

static void attention_and_its_gradients_are_those_of_plain_loops(void) {
  for (int i = 0; i < 4; i++) {
    const float dropped = i & 1 ? 0.3F : 0;
    check_attention(1, 16, i & 2, dropped);
    check_attention(3, 32, i & 2, dropped);
    check_attention(2, 80, i & 2, dropped);
  }
}

static void products_of_parts_of_matrices_are_those_of_plain_loops(void) {
  enum { M = 13, N = 9, K = 21, LD = 40 };
  float *a = normals(1, LD * LD), *b = normals(2, LD * LD), *c = normals(3, LD * LD),
        *was = zeros(LD * LD);
  memcpy(was, c, sizeof(float) * LD * LD);
  for (unsigned ops = 0; ops < 4; ops++) {
    memcpy(c, was, sizeof(float) * LD * LD);
    px_mat_mul_ld((enum px_mat_op)(ops & 1), (enum px_mat_op)(ops >> 1), M, N, K, a, LD, b, LD - 1,
                  1, c, LD - 2);
    for (int i = 0; i < LD * LD; i++) {
      const int row = i / (LD - 2), col = i % (LD - 2);
      double sum = (double)was[i];
      for (int k = 0; row < M && col < N && k < K; k++)
        sum += (double)a[ops & 1 ? k * LD + row : row * LD + k] *
               (double)b[ops >> 1 ? col * (LD - 1) + k : k * (LD - 1) + col];
      CU_ASSERT_DOUBLE_EQUAL(c[i], sum, 1e-5);
    }
  }
  free(a), free(b), free(c), free(was);
}

static void lamb_takes_the_steps_of_its_definition(void) {
  static const struct px_tensor tensors[] = { { "a", 0, 20, 0 },
                                              { "b", 20, 3, 11 },
                                              { "c", 53, 4, 0 } };
  enum { N = 57 };
  const struct px_lamb_options options = { 0.9F, 0.999F, 1e-8F, 0.01F, 0.25F };
  struct px_lamb lamb;
  float *p = normals(1, N), *base = normals(2, N), *g = zeros(N);
  double ref[N], m[N] = { 0 }, v[N] = { 0 }, r[N];
  for (int i = 53; i < N; i++) p[i] = 0;   /* a tensor of zeros steps by lr itself */
  for (int i = 20; i < 53; i++) p[i] *= 3; /* a norm above 10 counts as 10 */
  for (int i = 0; i < N; i++) ref[i] = (double)p[i];
  struct px_arena *arena = px_arena_new(1 << 20);
  px_lamb_init(arena, &lamb, N, options);
  for (int t = 1; t <= 10; t++) {
    double square = 0;
    const float size = t % 2 ? 0.01F : 1; /* cut every other time */
    for (int i = 0; i < N; i++) g[i] = base[(i * 7 + t) % N] * size, square += pow((double)g[i], 2);
    const double cut = fmin(1, 0.25 / sqrt(square));
    for (int k = 0; k < 3; k++) {
      double weight = 0, step = 0;
      const int from = (int)tensors[k].at, to = from + (int)px_tensor_n(&tensors[k]);
      for (int i = from; i < to; i++) {
        const double gi = (double)g[i] * cut;
        m[i] = 0.9 * m[i] + 0.1 * gi;
        v[i] = 0.999 * v[i] + 0.001 * gi * gi;
        r[i] = m[i] / (1 - pow(0.9, t)) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-8) + 0.01 * ref[i];
        weight += ref[i] * ref[i], step += r[i] * r[i];
      }
      const double trust = weight > 0 ? fmin(sqrt(weight), 10) / sqrt(step) : 1;
      for (int i = from; i < to; i++) ref[i] -= 0.02 * trust * r[i];
    }
    const double norm = px_lamb_step(&lamb, tensors, 3, 0.02F, p, g);
    CU_ASSERT_DOUBLE_EQUAL(norm, sqrt(square), 1e-6 * sqrt(square));
  }
  CU_ASSERT_EQUAL(lamb.steps, 10);
  CU_ASSERT_TRUE(error_of(p, ref, N) < 3e-6);
  px_arena_free(arena);
  free(p), free(base), free(g);
}

/* ---- the whole */

enum { WIDTH = 32, TOKENS = 30, SEQS = 4, ASKS = 10 };
static const uint32_t starts[SEQS + 1] = { 0, 3, 12, 24, 30 };
static const uint32_t asks[ASKS] = { 1, 4, 7, 10, 13, 16, 19, 22, 25, 28 };
static const struct px_sequences sequences = { SEQS, starts, ASKS, asks };

struct net {
  struct px_transformer_shape shape;
  struct px_arena *arena;
  struct px_transformer_work *work;
  float *params, *grads, *x, *used, *dy, *dx;
  size_t n;
};

static struct net net_open(float dropout) {
  struct px_err err;
  struct net t = { .shape = { WIDTH, 2, 2, 12, dropout } };
  CU_OK(px_transformer_check(&t.shape, &err), err);
  t.arena = px_arena_new(1 << 24);
  CU_OK(px_transformer_work_new(t.arena, &t.shape, TOKENS, ASKS, &t.work), err);
  t.n = px_transformer_params_n(&t.shape);
  t.params = zeros(t.n), t.grads = zeros(t.n);
  px_transformer_init(&t.shape, 5, 0, t.params);
  /* away from the start, where biases are 0 and all is small */
  struct px_rng rng = px_rng_at(5, 5, 5);
  for (size_t i = 0; i < t.n; i++)
    t.params[i] = 4 * t.params[i] + 0.1F * (px_rng_float(&rng) - 0.5F);
  t.x = normals(1, TOKENS * WIDTH), t.dy = normals(2, ASKS * WIDTH);
  t.used = zeros(TOKENS * WIDTH), t.dx = normals(3, TOKENS * WIDTH);
  return t;
}

static void net_close(struct net *t) {
  px_arena_free(t->arena);
  free(t->params), free(t->grads), free(t->x), free(t->used), free(t->dy), free(t->dx);
}

static const struct px_transformer_drop drop_key = { 3, 4, 7 };

static const float *forward(struct net *t, const struct px_sequences *seqs) {
  memcpy(t->used, t->x, sizeof(float) * TOKENS * WIDTH);
  return px_transformer_forward(&t->shape, t->params, t->work, t->used, seqs, &drop_key);
}

static double loss(struct net *t) {
  const float *y = forward(t, &sequences);
  double sum = 0;
  for (size_t i = 0; i < ASKS * WIDTH; i++) sum += (double)y[i] * (double)t->dy[i];
  return sum;
}

static void check_difference(struct net *t, float *at, double gradient) {
  const float was = *at, step = 2e-3F;
  *at = was + step;
  const double above = loss(t);
  *at = was - step;
  const double below = loss(t);
  *at = was;
  const double found = (above - below) / (2 * (double)step);
  if (fabs(found - gradient) > 2e-2 * (1 + fabs(gradient))) printf(" %g %g;", found, gradient);
  CU_ASSERT_TRUE(fabs(found - gradient) < 2e-2 * (1 + fabs(gradient)));
}

static void gradients_are_those_of_finite_differences(void) {
  for (int with = 0; with < 2; with++) {
    struct net t = net_open(with ? 0.2F : 0);
    loss(&t);
    px_transformer_backward(&t.shape, t.params, t.work, &sequences, &drop_key, t.dy, t.grads, false,
                            t.dx);
    for (size_t i = 0; i < t.n; i += 17) check_difference(&t, t.params + i, (double)t.grads[i]);
    for (size_t i = 0; i < TOKENS * WIDTH; i += 3) check_difference(&t, t.x + i, (double)t.dx[i]);
    net_close(&t);
  }
}

static void gradients_add_up_if_asked(void) {
  struct net t = net_open(0.2F);
  float *twice = zeros(t.n);
  loss(&t);
  px_transformer_backward(&t.shape, t.params, t.work, &sequences, &drop_key, t.dy, t.grads, false,
                          t.dx);
  for (int i = 0; i < 2; i++)
    px_transformer_backward(&t.shape, t.params, t.work, &sequences, &drop_key, t.dy, twice, i > 0,
                            t.dx);
  for (size_t i = 0; i < t.n; i++)
    CU_ASSERT_DOUBLE_EQUAL(twice[i], 2 * t.grads[i], 1e-4 * (1 + fabs((double)twice[i])));
  free(twice);
  net_close(&t);
}

static void a_later_token_leaves_earlier_outputs_as_they_are(void) {
  struct net t = net_open(0);
  float before[ASKS * WIDTH];
  memcpy(before, forward(&t, &sequences), sizeof before);
  for (uint32_t token = 0; token < TOKENS; token++) {
    t.x[token * WIDTH + 3] += 1;
    const float *y = forward(&t, &sequences);
    uint32_t seq = 0;
    while (token >= starts[seq + 1]) seq++;
    for (uint32_t r = 0; r < ASKS; r++) {
      const bool sees = asks[r] >= token && asks[r] < starts[seq + 1];
      CU_ASSERT_EQUAL(memcmp(y + r * WIDTH, before + r * WIDTH, WIDTH * sizeof(float)) != 0, sees);
    }
    t.x[token * WIDTH + 3] -= 1;
    memcpy(before, forward(&t, &sequences), sizeof before);
  }
  net_close(&t);
}

static void a_sequence_alone_gives_what_it_gives_among_others(void) {
  struct net t = net_open(0);
  float all[ASKS * WIDTH];
  memcpy(all, forward(&t, &sequences), sizeof all);
  for (uint32_t i = 0, r = 0; i < SEQS; i++) {
    const uint32_t tokens = starts[i + 1] - starts[i], start[] = { 0, tokens };
    uint32_t ask[ASKS], n = 0;
    while (r + n < ASKS && asks[r + n] < starts[i + 1]) ask[n] = asks[r + n] - starts[i], n++;
    memcpy(t.used, t.x + starts[i] * WIDTH, sizeof(float) * tokens * WIDTH);
    const struct px_sequences alone = { 1, start, n, ask };
    const float *y = px_transformer_forward(&t.shape, t.params, t.work, t.used, &alone, NULL);
    for (uint32_t j = 0; j < n * WIDTH; j++) CU_ASSERT_DOUBLE_EQUAL(y[j], all[r * WIDTH + j], 1e-5);
    r += n;
  }
  net_close(&t);
}

static void a_token_gives_the_same_whoever_else_asks(void) {
  struct net t = net_open(0);
  float all[ASKS * WIDTH];
  memcpy(all, forward(&t, &sequences), sizeof all);
  static const uint32_t few[] = { 1, 10, 22, 28 }, place[] = { 0, 3, 7, 9 };
  const float *y = forward(&t, &(struct px_sequences){ SEQS, starts, 4, few });
  for (int r = 0; r < 4; r++)
    for (int j = 0; j < WIDTH; j++)
      CU_ASSERT_DOUBLE_EQUAL(y[r * WIDTH + j], all[place[r] * WIDTH + (uint32_t)j], 1e-5);
  net_close(&t);
}

static void tensors_cover_the_parameters_without_gaps(void) {
  const struct px_transformer_shape shape = { 48, 3, 3, 20, 0 };
  struct px_tensor tensors[3 * PX_TRANSFORMER_TENSORS + 2];
  const size_t n = px_transformer_tensors(&shape, 100, tensors);
  size_t at = 100;
  CU_ASSERT_EQUAL_FATAL(n, sizeof tensors / sizeof *tensors);
  for (size_t i = 0; i < n; i++) {
    CU_ASSERT_EQUAL(tensors[i].at, at);
    at += px_tensor_n(&tensors[i]);
    for (size_t j = 0; j < i; j++) CU_ASSERT_NOT_EQUAL(strcmp(tensors[i].name, tensors[j].name), 0);
  }
  CU_ASSERT_EQUAL(at - 100, px_transformer_params_n(&shape));
  CU_ASSERT_STRING_EQUAL(tensors[n - 1].name, "norm.bias");
}

static void impossible_shapes_are_refused(void) {
  static const struct px_transformer_shape shapes[] = {
    { 40, 2, 2, 10, 0 },  { 32, 2, 0, 10, 0 }, { 0, 2, 2, 10, 0 },  { 32, 0, 2, 10, 0 },
    { 32, 99, 2, 10, 0 }, { 32, 2, 2, 0, 0 },  { 32, 2, 2, 10, 1 }, { 32, 2, 2, 10, NAN },
  };
  struct px_err err;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    CU_ASSERT_EQUAL(px_transformer_check(&shapes[i], &err), PX_E_BAD_FIELD);
}

CU_MAIN("transformer", T(exponential_is_that_of_libm),
        T(gelu_and_its_slope_are_those_of_its_formula),
        T(layer_norm_and_its_gradients_are_those_of_their_formulas),
        T(attention_and_its_gradients_are_those_of_plain_loops),
        T(products_of_parts_of_matrices_are_those_of_plain_loops),
        T(lamb_takes_the_steps_of_its_definition), T(gradients_are_those_of_finite_differences),
        T(gradients_add_up_if_asked), T(a_later_token_leaves_earlier_outputs_as_they_are),
        T(a_sequence_alone_gives_what_it_gives_among_others),
        T(a_token_gives_the_same_whoever_else_asks), T(tensors_cover_the_parameters_without_gaps),
        T(impossible_shapes_are_refused))
