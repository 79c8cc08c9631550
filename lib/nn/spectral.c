/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/spectral.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/mat.h"
#include "lib/nn/simd.h"

/* As many as torch takes before the first step: a random u is then close. */
enum { SETTLE = 15 };

enum px_status px_spectral_new(struct px_mlp *net, struct px_spectral **out) {
  struct px_spectral *s = px_mem_calloc(1, sizeof *s);
  if (!s) return PX_E_NO_MEMORY;
  s->net = net;
  for (uint32_t l = 0; l < net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    s->u_n += layer.out;
    s->v_n += layer.in;
  }
  s->raw = px_mem_calloc(net->params_n, sizeof *s->raw);
  s->u = px_mem_calloc(s->u_n, sizeof *s->u);
  s->v = px_mem_calloc(s->v_n, sizeof *s->v);
  if (!s->raw || !s->u || !s->v) {
    px_spectral_free(s);
    return PX_E_NO_MEMORY;
  }
  *out = s;
  return PX_OK;
}

void px_spectral_free(struct px_spectral *s) {
  if (!s) return;
  free(s->raw);
  free(s->u);
  free(s->v);
  free(s);
}

PX_CLONES static double dot(size_t n, const float *restrict a, const float *restrict b) {
  double part[PX_LANES] = { 0 }, sum = 0;
  size_t i = 0;
  for (; i + PX_LANES <= n; i += PX_LANES)
    for (size_t lane = 0; lane < PX_LANES; lane++)
      part[lane] += (double)a[i + lane] * (double)b[i + lane];
  for (; i < n; i++) sum += (double)a[i] * (double)b[i];
  for (size_t lane = 0; lane < PX_LANES; lane++) sum += part[lane];
  return sum;
}

static void to_unit(size_t n, float *x) {
  const float scale = (float)(1 / fmax(sqrt(dot(n, x, x)), 1e-12));
  for (size_t i = 0; i < n; i++) x[i] *= scale;
}

/* v = W^T u and u = W v, each made of length 1: one step towards the first singular pair. */
static void iterate_layer(const struct px_mlp_layer *layer, const float *w, float *u, float *v) {
  px_mat_mul(PX_MAT_T, PX_MAT_N, layer->in, 1, layer->out, w, u, 0, v);
  to_unit(layer->in, v);
  px_mat_mul(PX_MAT_N, PX_MAT_N, layer->out, 1, layer->in, w, v, 0, u);
  to_unit(layer->out, u);
}

static double sigma_of(const struct px_mlp_layer *layer, const float *w, const float *u,
                       const float *v) {
  double sigma = 0;
  for (uint32_t i = 0; i < layer->out; i++)
    sigma += (double)u[i] * dot(layer->in, w + (size_t)i * layer->in, v);
  return sigma;
}

void px_spectral_start(struct px_spectral *s, uint64_t seed, uint64_t stream) {
  struct px_rng rng = px_rng_at(seed, stream, 0);
  float *u = s->u, *v = s->v;
  memcpy(s->raw, s->net->params, sizeof *s->raw * s->net->params_n);
  px_rng_normal(&rng, s->u, s->u_n);
  for (uint32_t l = 0; l < s->net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(s->net, l);
    to_unit(layer.out, u);
    for (int i = 0; i < SETTLE; i++) iterate_layer(&layer, s->raw + layer.weight, u, v);
    u += layer.out;
    v += layer.in;
  }
  px_spectral_apply(s, false);
}

void px_spectral_apply(struct px_spectral *s, bool iterate) {
  float *u = s->u, *v = s->v;
  memcpy(s->net->params, s->raw, sizeof *s->raw * s->net->params_n);
  for (uint32_t l = 0; l < s->net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(s->net, l);
    float *w = s->net->params + layer.weight;
    if (iterate) iterate_layer(&layer, w, u, v);
    /* a weight that is all 0 stays 0 */
    s->sigma[l] = (float)fmax(sigma_of(&layer, w, u, v), 1e-12);
    const float scale = 1 / s->sigma[l];
    for (size_t i = 0; i < (size_t)layer.in * layer.out; i++) w[i] *= scale;
    u += layer.out;
    v += layer.in;
  }
}

/* With G = dL/d(W / sigma): dL/dW = (G - <G, W / sigma> u v^T) / sigma */
void px_spectral_gradients(const struct px_spectral *s, float *grads) {
  const float *u = s->u, *v = s->v;
  for (uint32_t l = 0; l < s->net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(s->net, l);
    float *g = grads + layer.weight;
    const float along = (float)dot((size_t)layer.in * layer.out, g, s->net->params + layer.weight);
    const float scale = 1 / s->sigma[l];
    for (uint32_t i = 0; i < layer.out; i++, g += layer.in)
      for (uint32_t j = 0; j < layer.in; j++) g[j] = (g[j] - along * u[i] * v[j]) * scale;
    u += layer.out;
    v += layer.in;
  }
}
