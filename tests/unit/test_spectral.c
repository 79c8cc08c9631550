/* SPDX-License-Identifier: Apache-2.0 */
/* Spectral normalisation of a net's hidden layers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/loss.h"
#include "lib/nn/spectral.h"
#include "tests/support/cu.h"

enum { N = 9, IN = 5, OUT = 3, HIDDEN = 17, LAYERS = 2 };

struct normed {
  struct px_mlp *net;
  struct px_mlp_work *work;
  struct px_spectral *s;
  float x[N * IN], target[N * OUT];
};

/* Uniform weights: unlike orthogonal ones their singular values differ. */
static struct normed normed_net(void) {
  const struct px_mlp_shape shape = { .in = IN, .out = OUT, .hidden = HIDDEN, .layers = LAYERS };
  struct normed c;
  struct px_err err;
  struct px_rng rng = px_rng_at(7, 7, 0);
  CU_OK(px_mlp_new(&shape, &c.net, &err), err);
  CU_OK(px_mlp_work_new(&shape, N, &c.work), err);
  CU_OK(px_spectral_new(c.net, &c.s), err);
  CU_OK(px_mlp_init(c.net, PX_MLP_UNIFORM, 3, 0), err);
  px_spectral_start(c.s, 3, 1);
  px_rng_normal(&rng, c.x, N * IN);
  px_rng_normal(&rng, c.target, N * OUT);
  return c;
}

static void normed_free(struct normed *c) {
  px_spectral_free(c->s);
  px_mlp_work_free(c->work);
  px_mlp_free(c->net);
}

/* The largest factor by which the layer stretches a vector: many power iterations in float64. */
static double largest_stretch(const struct px_mlp *net, uint32_t l) {
  const struct px_mlp_layer layer = px_mlp_layer(net, l);
  const float *w = net->params + layer.weight;
  double v[HIDDEN], u[HIDDEN], length = 0;
  for (uint32_t j = 0; j < layer.in; j++) v[j] = 1 + j % 3;
  for (int round = 0; round < 2000; round++) {
    double square = 0;
    for (uint32_t i = 0; i < layer.out; i++) {
      u[i] = 0;
      for (uint32_t j = 0; j < layer.in; j++) u[i] += (double)w[i * layer.in + j] * v[j];
    }
    for (uint32_t j = 0; j < layer.in; j++) {
      v[j] = 0;
      for (uint32_t i = 0; i < layer.out; i++) v[j] += (double)w[i * layer.in + j] * u[i];
      square += v[j] * v[j];
    }
    length = sqrt(square); /* of W^T W v, v of length 1 */
    for (uint32_t j = 0; j < layer.in; j++) v[j] /= length;
  }
  return sqrt(length);
}

static void hidden_layers_stretch_by_one_and_the_output_layer_is_left_alone(void) {
  struct normed c = normed_net();
  for (int i = 0; i < 300; i++) px_spectral_apply(c.s, true);
  for (uint32_t l = 0; l < LAYERS; l++) CU_ASSERT_DOUBLE_EQUAL(largest_stretch(c.net, l), 1, 1e-5);
  const struct px_mlp_layer last = px_mlp_layer(c.net, LAYERS);
  CU_ASSERT_EQUAL(memcmp(c.net->params + last.weight, c.s->raw + last.weight,
                         sizeof(float) * (c.net->params_n - last.weight)),
                  0);
  const struct px_mlp_layer first = px_mlp_layer(c.net, 0);
  CU_ASSERT_EQUAL(memcmp(c.net->params + first.bias, c.s->raw + first.bias,
                         sizeof(float) * first.out),
                  0);
  normed_free(&c);
}

static double loss_of(struct normed *c, float *dy) {
  px_spectral_apply(c->s, false);
  return px_loss_mse(N, OUT, px_mlp_forward(c->net, c->work, c->x, N, NULL), c->target, NULL,
                     1.0 / N, dy);
}

/* u and v are constants of a step, so they are held still here, before they have settled. */
static void gradients_of_the_raw_weights_are_those_of_finite_differences(void) {
  struct normed c = normed_net();
  const float step = 1e-3F;
  float dy[N * OUT], scratch[N * OUT], *grads = px_mem_calloc(c.net->params_n, sizeof *grads);
  loss_of(&c, dy);
  px_mlp_backward(c.net, c.work, c.x, N, dy, grads, false, NULL);
  px_spectral_gradients(c.s, grads);
  for (size_t i = 0; i < c.net->params_n; i++) {
    const float was = c.s->raw[i];
    c.s->raw[i] = was + step;
    const double above = loss_of(&c, scratch);
    c.s->raw[i] = was - step;
    const double below = loss_of(&c, scratch);
    c.s->raw[i] = was;
    CU_ASSERT_DOUBLE_EQUAL((above - below) / (2 * (double)step), grads[i],
                           5e-3 * (1 + fabs((double)grads[i])));
  }
  free(grads);
  normed_free(&c);
}

static void a_layer_of_zeros_stays_finite(void) {
  struct normed c = normed_net();
  float dy[N * OUT];
  memset(c.s->raw, 0, sizeof *c.s->raw * c.net->params_n);
  px_spectral_apply(c.s, true);
  CU_ASSERT_TRUE(isfinite(loss_of(&c, dy)));
  for (size_t i = 0; i < c.net->params_n; i++) CU_ASSERT_EQUAL(c.net->params[i], 0);
  normed_free(&c);
}

static void raw_u_and_v_are_all_that_the_next_step_depends_on(void) {
  struct normed a = normed_net(), b = normed_net();
  for (int i = 0; i < 3; i++) px_spectral_apply(a.s, true);
  memcpy(b.s->raw, a.s->raw, sizeof *a.s->raw * a.net->params_n);
  memcpy(b.s->u, a.s->u, sizeof *a.s->u * a.s->u_n);
  memcpy(b.s->v, a.s->v, sizeof *a.s->v * a.s->v_n);
  for (int iterate = 0; iterate < 2; iterate++) {
    px_spectral_apply(a.s, iterate);
    px_spectral_apply(b.s, iterate);
    CU_ASSERT_EQUAL(memcmp(a.net->params, b.net->params, sizeof(float) * a.net->params_n), 0);
  }
  normed_free(&a), normed_free(&b);
}

CU_MAIN("spectral", T(hidden_layers_stretch_by_one_and_the_output_layer_is_left_alone),
        T(gradients_of_the_raw_weights_are_those_of_finite_differences),
        T(a_layer_of_zeros_stays_finite), T(raw_u_and_v_are_all_that_the_next_step_depends_on))
