/* SPDX-License-Identifier: Apache-2.0 */
/* The layers under everything that learns: products, gradients, the optimiser. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/adam.h"
#include "lib/nn/gather.h"
#include "lib/nn/loss.h"
#include "lib/nn/mat.h"
#include "lib/nn/mlp.h"
#include "lib/nn/packed.h"
#include "tests/support/cu.h"

static float *normals(struct px_rng *rng, size_t n) {
  float *x = px_mem_calloc(n, sizeof *x);
  CU_ASSERT_PTR_NOT_NULL_FATAL(x);
  px_rng_normal(rng, x, n);
  return x;
}

/* The largest difference from the naive twin, relative to sqrt(k): terms are of size one. */
static double product_error(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n,
                            uint32_t k, float beta) {
  struct px_rng rng = px_rng_at(1, m * 31 + n, k);
  float *a = normals(&rng, (size_t)m * k), *b = normals(&rng, (size_t)k * n),
        *c = normals(&rng, (size_t)m * n);
  float *expected = px_mem_calloc((size_t)m * n, sizeof *expected);
  memcpy(expected, c, sizeof *c * m * n);
  px_mat_mul(op_a, op_b, m, n, k, a, b, beta, c);
  px_mat_mul_naive(op_a, op_b, m, n, k, a, b, beta, expected);
  double worst = 0;
  for (size_t i = 0; i < (size_t)m * n; i++)
    worst = fmax(worst, fabs((double)c[i] - (double)expected[i]));
  free(a), free(b), free(c), free(expected);
  return worst / sqrt((double)k);
}

static void check_products(void) {
  static const uint32_t sizes[][3] = { { 1, 1, 1 },     { 3, 5, 7 },     { 256, 256, 14 },
                                       { 256, 1, 256 }, { 1, 256, 256 }, { 33, 6, 100 },
                                       { 6, 33, 100 },  { 64, 130, 3 } };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (unsigned ops = 0; ops < 8; ops++) {
      const double error = product_error((enum px_mat_op)(ops & 1), (enum px_mat_op)(ops >> 1 & 1),
                                         sizes[i][0], sizes[i][1], sizes[i][2], (float)(ops >> 2));
      CU_ASSERT_TRUE(error < 2e-6);
    }
}

/* Twice, into what held something else: only the result is there, whoever the primitive's scratch
 * memory was used by. */
static void packed_weights_give_the_products_of_plain_ones(void) {
  static const uint32_t sizes[][3] = {
    { 512, 1024, 1024 }, { 3, 800, 770 }, { 33, 17, 65 }, { 1, 1, 1 }
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const uint32_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
    struct px_rng rng = px_rng_at(3, m, n);
    float *w = normals(&rng, (size_t)n * k), *expected = normals(&rng, (size_t)m * n),
          *y = normals(&rng, (size_t)m * n);
    struct px_packed *packed;
    CU_ASSERT_FATAL(px_packed_new(m, n, k, w, &packed) == PX_OK);
    for (int time = 0; time < 2; time++) {
      float *x = normals(&rng, (size_t)m * k);
      px_packed_mul(packed, x, y);
      px_mat_mul_naive(PX_MAT_N, PX_MAT_T, m, n, k, x, w, 0, expected);
      double worst = 0;
      for (size_t j = 0; j < (size_t)m * n; j++)
        worst = fmax(worst, fabs((double)y[j] - (double)expected[j]));
      /* of half a million sums of a thousand terms */
      CU_ASSERT_TRUE(worst < 5e-6 * sqrt((double)k));
      free(x);
    }
    px_packed_free(packed);
    free(w), free(expected), free(y);
  }
}

/* A packed net gives what it gave, whatever the rows are that nobody asked about, and the same bits
 * for a row in any chunk. */
static void packed_nets_predict_as_before(void) {
  enum { ROWS = 24, IN = 9, HIDDEN = 800 };
  const struct px_mlp_shape shape = { .in = IN, .out = 5, .hidden = HIDDEN, .layers = 2 };
  struct px_rng rng = px_rng_at(4, 5, 0);
  struct px_mlp *net;
  struct px_mlp_work *work = NULL;
  struct px_err err;
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_ASSERT_FATAL(px_mlp_init(net, PX_MLP_UNIFORM, 1, 2) == PX_OK &&
                  px_mlp_work_new(&shape, ROWS, &work) == PX_OK);
  float *x = normals(&rng, (size_t)ROWS * IN), plain[ROWS * 5], all[ROWS * 5];
  memcpy(plain, px_mlp_forward(net, work, x, ROWS, NULL), sizeof plain);
  CU_ASSERT_FATAL(px_mlp_pack(net, ROWS) == PX_OK);
  CU_ASSERT_TRUE((net->packed[1] != NULL) == px_mat_packs(HIDDEN, HIDDEN));
  memcpy(all, px_mlp_forward(net, work, x, ROWS, NULL), sizeof all);
  for (size_t i = 0; i < ROWS * 5; i++) CU_ASSERT_DOUBLE_EQUAL(all[i], plain[i], 1e-5);
  for (size_t i = 0; i < ROWS * IN; i++) x[i] = i < 7 * IN ? x[(10 * IN) + i] : NAN;
  CU_ASSERT_EQUAL(memcmp(px_mlp_forward(net, work, x, 7, NULL), all + 10 * 5, sizeof *all * 7 * 5),
                  0);
  px_mlp_unpack(net);
  CU_ASSERT_PTR_NULL(net->packed[1]);
  px_mlp_work_free(work);
  px_mlp_free(net);
  free(x);
}

static void products_agree_with_three_plain_loops(void) {
  struct px_err err;
  char profile[PX_MAT_PROFILE_MAX];
  CU_OK(px_mat_choose(PX_MAT_ONEDNN, &err), err);
  check_products();
  px_mat_profile(profile);
  CU_ASSERT_PTR_NOT_NULL(strstr(profile, "onednn"));
  if (px_mat_choose(PX_MAT_CBLAS, &err)) {
    printf("SKIP cblas: %s\n", err.message);
  } else {
    check_products();
    px_mat_profile(profile);
    CU_ASSERT_PTR_NULL(strstr(profile, "onednn"));
  }
  if (px_mat_choose(PX_MAT_OWN, &err)) {
    printf("SKIP own products: %s\n", err.message);
    CU_OK(px_mat_choose(PX_MAT_ONEDNN, &err), err);
    return;
  }
  check_products();
  px_mat_profile(profile);
  CU_ASSERT_PTR_NOT_NULL(strstr(profile, "own"));
}

static void beta_zero_does_not_read_the_result(void) {
  const float a[4] = { 1, 2, 3, 4 };
  for (uint32_t n = 1; n <= 2; n++) {
    float c[4] = { NAN, NAN, NAN, NAN };
    px_mat_mul(PX_MAT_N, PX_MAT_T, 2, n, 2, a, a, 0, c);
    CU_ASSERT_EQUAL(c[0], 5);
    CU_ASSERT_EQUAL(c[1], 11);
  }
}

static void relu_passes_not_a_number_on(void) {
  float y[2] = { NAN, -1 };
  px_mat_bias_relu(1, 2, (float[]){ 0, 0 }, y);
  CU_ASSERT_TRUE(isnan(y[0]));
  CU_ASSERT_EQUAL(y[1], 0);
  /* two rows of one input, forty units */
  float x[2] = { NAN, 1 }, w[40], bias[40] = { 0 }, h[80];
  for (int i = 0; i < 40; i++) w[i] = -1;
  px_mat_layer(2, 40, 1, x, w, bias, true, h);
  for (int i = 0; i < 40; i++) {
    CU_ASSERT_TRUE(isnan(h[i]));
    CU_ASSERT_EQUAL(h[40 + i], 0);
  }
}

/* ---- gradients against finite differences */

struct net_case {
  struct px_mlp *net;
  struct px_mlp_work *work;
  const float *x, *target;
  uint32_t n;
};

static double net_loss(const struct net_case *c, float *dy) {
  const struct px_mlp_shape *s = &c->net->shape;
  static const struct px_mlp_drop drop = { 5, 3, 0 };
  const float *y = px_mlp_forward(c->net, c->work, c->x, c->n, &drop);
  return px_loss_mse(c->n, s->out, y, c->target, NULL, 1.0 / c->n, dy);
}

/* Central differences in float32: a step of 3e-4 leaves an error of about 1e-3, and longer ones
 * meet the kinks of ReLU. */
static void check_difference(struct net_case *c, float *at, double gradient, float *dy) {
  const float was = *at, step = 3e-4F;
  *at = was + step;
  const double above = net_loss(c, dy);
  *at = was - step;
  const double below = net_loss(c, dy);
  *at = was;
  const double found = (above - below) / (2 * (double)step);
  CU_ASSERT_TRUE(fabs(found - gradient) < 5e-3 * (1 + fabs(gradient)));
}

static void check_gradients(struct px_mlp_shape shape) {
  struct net_case c = { .n = 9 };
  struct px_err err;
  struct px_rng rng = px_rng_at(7, 7, 0);
  CU_OK(px_mlp_new(&shape, &c.net, &err), err);
  CU_OK(px_mlp_work_new(&shape, c.n, &c.work), err);
  CU_OK(px_mlp_init(c.net, PX_MLP_UNIFORM, 3, px_rng_stream("init", 0)), err);
  float *x = normals(&rng, c.n * shape.in), *target = normals(&rng, c.n * shape.out);
  float *dy = px_mem_calloc(c.n * shape.out, sizeof *dy),
        *dx = px_mem_calloc(c.n * shape.in, sizeof *dx);
  float *grads = px_mem_calloc(c.net->params_n, sizeof *grads);
  c.x = x, c.target = target;
  net_loss(&c, dy);
  px_mlp_backward(c.net, c.work, c.x, c.n, dy, grads, false, dx);
  float *scratch = px_mem_calloc(c.n * shape.out, sizeof *scratch);
  for (size_t i = 0; i < c.net->params_n; i += 3)
    check_difference(&c, c.net->params + i, (double)grads[i], scratch);
  for (size_t i = 0; i < c.n * shape.in; i++) check_difference(&c, x + i, (double)dx[i], scratch);
  free(x), free(target), free(dy), free(dx), free(grads), free(scratch);
  px_mlp_work_free(c.work);
  px_mlp_free(c.net);
}

static void gradients_are_those_of_finite_differences(void) {
  check_gradients(
    (struct px_mlp_shape){ .in = 5, .out = 3, .hidden = 17, .layers = 2, .dropout = 0.25F });
  check_gradients(
    (struct px_mlp_shape){ .in = 5, .out = 3, .hidden = 16, .layers = 2, .layer_norm = true });
  check_gradients(
    (struct px_mlp_shape){ .in = 5, .out = 3, .hidden = 19, .layers = 3, .gelu = true });
  check_gradients((struct px_mlp_shape){
    .in = 5, .out = 3, .hidden = 17, .layers = 2, .dropout = 0.25F, .gelu = true });
}

/* gelu(u) = u Phi(u), to the tanh form's 1e-3; a layer of one unit and a bias. */
static void gelu_nets_compute_their_definition(void) {
  const struct px_mlp_shape shape = { .in = 1, .out = 1, .hidden = 3, .layers = 1, .gelu = true };
  struct px_mlp *net;
  struct px_mlp_work *work;
  struct px_err err;
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_work_new(&shape, 1, &work), err);
  /* weights, biases; weights, bias */
  const float params[] = { 1, 2, -1, 0.5F, 0, 0, 1, 10, 100, 7 };
  memcpy(net->params, params, sizeof params);
  for (float x = -3; x <= 3; x += 0.25F) {
    const double u[] = { (double)x + 0.5, 2 * (double)x, -(double)x };
    double y = 7;
    for (int i = 0; i < 3; i++) y += pow(10, i) * u[i] * 0.5 * erfc(-u[i] / sqrt(2));
    CU_ASSERT_DOUBLE_EQUAL(*px_mlp_forward(net, work, &x, 1, NULL), y, 0.1);
  }
  px_mlp_work_free(work);
  px_mlp_free(net);
}

static void check_chunks(struct px_mlp_shape shape) {
  const uint32_t n = 20, cut = 13;
  struct px_err err;
  struct px_mlp *net;
  struct px_mlp_work *work;
  struct px_rng rng = px_rng_at(8, 7, 0);
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_work_new(&shape, n, &work), err);
  CU_OK(px_mlp_init(net, PX_MLP_UNIFORM, 3, 0), err);
  float *x = normals(&rng, n * shape.in), *dy = normals(&rng, n * shape.out);
  float *whole = px_mem_calloc(net->params_n, sizeof *whole),
        *parts = px_mem_calloc(net->params_n, sizeof *parts);
  px_mlp_forward(net, work, x, n, &(struct px_mlp_drop){ 1, 2, 0 });
  px_mlp_backward(net, work, x, n, dy, whole, false, NULL);
  for (uint32_t row = 0; row < n; row += cut) {
    const uint32_t rows = row + cut <= n ? cut : n - row;
    px_mlp_forward(net, work, x + row * shape.in, rows, &(struct px_mlp_drop){ 1, 2, row });
    px_mlp_backward(net, work, x + row * shape.in, rows, dy + row * shape.out, parts, row > 0,
                    NULL);
  }
  for (size_t i = 0; i < net->params_n; i++) CU_ASSERT_DOUBLE_EQUAL(whole[i], parts[i], 1e-5);
  free(x), free(dy), free(whole), free(parts);
  px_mlp_work_free(work);
  px_mlp_free(net);
}

static void chunks_add_up_to_the_whole_batch(void) {
  check_chunks(
    (struct px_mlp_shape){ .in = 4, .out = 2, .hidden = 32, .layers = 3, .dropout = 0.1F });
  check_chunks(
    (struct px_mlp_shape){ .in = 4, .out = 2, .hidden = 32, .layers = 3, .layer_norm = true });
  check_chunks((struct px_mlp_shape){
    .in = 4, .out = 2, .hidden = 32, .layers = 3, .dropout = 0.1F, .gelu = true });
}

static void squashed_likelihood_gradients_are_those_of_finite_differences(void) {
  struct px_rng rng = px_rng_at(9, 7, 0);
  enum { N = 8, D = 3 };
  float *mu = normals(&rng, N * D), *y = normals(&rng, N * D), a[N * D], weight[N], dmu[N * D],
        dy[N * D], other[2][N * D];
  for (int i = 0; i < N * D; i++) a[i] = 1.9F * px_rng_float(&rng) - 0.95F;
  for (int i = 0; i < N; i++) weight[i] = px_rng_float(&rng);
  px_loss_squashed_nll(N, D, mu, y, a, weight, 1.0 / N, dmu, dy);
  for (int i = 0; i < 2 * N * D; i++) {
    float *at = i < N * D ? mu + i : y + i - N * D;
    const double gradient = (double)(i < N * D ? dmu[i] : dy[i - N * D]);
    const float was = *at, step = 1e-3F;
    *at = was + step;
    const double above = px_loss_squashed_nll(N, D, mu, y, a, weight, 1.0 / N, other[0], other[1]);
    *at = was - step;
    const double below = px_loss_squashed_nll(N, D, mu, y, a, weight, 1.0 / N, other[0], other[1]);
    *at = was;
    CU_ASSERT_TRUE(fabs((above - below) / (2 * (double)step) - gradient) <
                   5e-3 * (1 + fabs(gradient)));
  }
  free(mu), free(y);
}

static void cross_entropy_gradients_are_those_of_finite_differences(void) {
  struct px_rng rng = px_rng_at(9, 8, 0);
  enum { N = 6, D = 4 };
  float *y = normals(&rng, N * D), target[N], weight[N], dy[N * D], other[N * D];
  for (int i = 0; i < N; i++) target[i] = (float)(i % D), weight[i] = px_rng_float(&rng);
  y[0] = 200; /* its exponential alone is not finite */
  CU_ASSERT_TRUE(isfinite(px_loss_softmax(N, D, y, target, weight, 1.0 / N, dy)));
  for (int i = 0; i < N * D; i++) {
    const float was = y[i], step = 1e-2F;
    y[i] = was + step;
    const double above = px_loss_softmax(N, D, y, target, weight, 1.0 / N, other);
    y[i] = was - step;
    const double below = px_loss_softmax(N, D, y, target, weight, 1.0 / N, other);
    y[i] = was;
    CU_ASSERT_DOUBLE_EQUAL((above - below) / (2 * (double)step), dy[i], 1e-4);
  }
  free(y);
}

/* ---- the rest */

static void orthogonal_weights_have_orthonormal_rows_or_columns(void) {
  const struct px_mlp_shape shape = { .in = 10, .out = 4, .hidden = 24, .layers = 2 };
  struct px_mlp *net;
  struct px_err err;
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_init(net, PX_MLP_ORTHOGONAL, 3, 0), err);
  for (uint32_t l = 0; l <= shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    const float *w = net->params + layer.weight;
    const bool tall = layer.out > layer.in;
    const uint32_t vectors = tall ? layer.in : layer.out, n = tall ? layer.out : layer.in;
    for (uint32_t i = 0; i < vectors; i++)
      for (uint32_t j = 0; j <= i; j++) {
        double sum = 0;
        for (uint32_t k = 0; k < n; k++)
          sum += (double)(tall ? w[k * layer.in + i] * w[k * layer.in + j]
                               : w[i * n + k] * w[j * n + k]);
        CU_ASSERT_DOUBLE_EQUAL(sum, i == j, 1e-5);
      }
    for (uint32_t i = 0; i < layer.out; i++) CU_ASSERT_EQUAL(net->params[layer.bias + i], 0);
  }
  px_mlp_free(net);
}

static void dropout_keeps_the_stated_share_and_the_mean(void) {
  const struct px_mlp_shape shape = {
    .in = 1, .out = 1, .hidden = 1000, .layers = 1, .dropout = 0.1F
  };
  enum { ROWS = 100 };
  struct px_mlp *net;
  struct px_mlp_work *work;
  struct px_err err;
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_work_new(&shape, ROWS, &work), err);
  /* h = 1 everywhere, y = mean of h after dropout. */
  for (size_t i = 0; i < net->params_n; i++)
    net->params[i] = i < 1000 ? 1 : i >= 2000 && i < 3000 ? 1e-3F : 0;
  float x[ROWS], first = 0;
  for (int i = 0; i < ROWS; i++) x[i] = 1;
  double sum = 0, squares = 0;
  const float *y = px_mlp_forward(net, work, x, ROWS, &(struct px_mlp_drop){ 11, 0, 0 });
  for (int i = 0; i < ROWS; i++) sum += (double)y[i], squares += (double)(y[i] * y[i]);
  const double mean = sum / ROWS, variance = squares / ROWS - mean * mean;
  CU_ASSERT_DOUBLE_EQUAL(mean, 1, 0.005); /* five standard errors */
  /* Independent masks: variance of a row's mean is p / (1 - p) / 1000. */
  CU_ASSERT_TRUE(variance > 0.5e-4 && variance < 2.2e-4);
  first = y[0];
  y = px_mlp_forward(net, work, x, ROWS, &(struct px_mlp_drop){ 11, 1, 0 });
  CU_ASSERT_NOT_EQUAL(first, y[0]);
  y = px_mlp_forward(net, work, x, ROWS, NULL);
  CU_ASSERT_DOUBLE_EQUAL(y[0], 1, 1e-5);
  px_mlp_work_free(work);
  px_mlp_free(net);
}

static void adam_takes_the_steps_of_its_definition(void) {
  enum { N = 37 };
  struct px_rng rng = px_rng_at(4, 4, 4);
  struct px_adam adam;
  struct px_err err;
  float *p = normals(&rng, N), *g = normals(&rng, N);
  double ref[N], m[N] = { 0 }, v[N] = { 0 };
  for (int i = 0; i < N; i++) ref[i] = (double)p[i];
  CU_OK(px_adam_init(&adam, N, PX_ADAM_DEFAULTS(1e-2F)), err);
  for (int t = 1; t <= 10; t++) {
    for (int i = 0; i < N; i++) {
      const double gi = (double)g[i] * (t % 3 - 1);
      m[i] = 0.9 * m[i] + 0.1 * gi;
      v[i] = 0.999 * v[i] + 0.001 * gi * gi;
      ref[i] -= 1e-2 * m[i] / (1 - pow(0.9, t)) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-8);
    }
    float now[N];
    for (int i = 0; i < N; i++) now[i] = g[i] * (float)(t % 3 - 1);
    px_adam_step(&adam, p, now);
  }
  for (int i = 0; i < N; i++) CU_ASSERT_DOUBLE_EQUAL(p[i], ref[i], 2e-6);
  px_adam_free(&adam);
  free(p), free(g);
}

static void gather_normalises_the_rows_it_is_given(void) {
  const float src[8] = { 1, 2, 3, 4, 5, 6, -9, 1e30F }, mean[2] = { 1, 2 },
              inv_std[2] = { 2, 0.5F };
  const struct px_normal normal = { mean, inv_std, 9 };
  const uint64_t rows[3] = { 2, 0, 3 };
  float dst[9] = { 0 };
  px_gather(3, 2, src, rows, &normal, dst, 3);
  const float expected[9] = { 8, 2, 0, 0, 0, 0, -9, 9, 0 };
  CU_ASSERT_EQUAL(memcmp(dst, expected, sizeof dst), 0);
}

static void impossible_shapes_are_refused(void) {
  struct px_mlp *net;
  struct px_err err;
  const struct px_mlp_shape impossible[] = {
    { .in = 3, .out = 0, .hidden = 8, .layers = 2 },
    { .in = 3, .out = 1, .hidden = 8, .layers = 99 },
    { .in = 3, .out = 1, .hidden = 8, .layers = 1, .dropout = 1 },
    { .in = 3, .out = 1, .hidden = 8, .layers = 1, .layer_norm = true },
    { .in = 3, .out = 1, .hidden = 16, .layers = 1, .layer_norm = true, .gelu = true },
    { .in = 3, .out = 1, .hidden = 16, .layers = 1, .layer_norm = true, .dropout = 0.1F },
  };
  for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
    CU_ASSERT_EQUAL(px_mlp_new(&impossible[i], &net, &err), PX_E_BAD_FIELD);
}

CU_MAIN("nn", T(products_agree_with_three_plain_loops),
        T(packed_weights_give_the_products_of_plain_ones), T(packed_nets_predict_as_before),
        T(beta_zero_does_not_read_the_result), T(relu_passes_not_a_number_on),
        T(gradients_are_those_of_finite_differences), T(gelu_nets_compute_their_definition),
        T(chunks_add_up_to_the_whole_batch),
        T(squashed_likelihood_gradients_are_those_of_finite_differences),
        T(cross_entropy_gradients_are_those_of_finite_differences),
        T(orthogonal_weights_have_orthonormal_rows_or_columns),
        T(dropout_keeps_the_stated_share_and_the_mean), T(adam_takes_the_steps_of_its_definition),
        T(gather_normalises_the_rows_it_is_given), T(impossible_shapes_are_refused))
