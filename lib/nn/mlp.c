/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/mlp.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/dropout.h"
#include "lib/nn/gelu.h"
#include "lib/nn/layer_norm.h"
#include "lib/nn/mat.h"
#include "lib/nn/packed.h"
#include "lib/nn/simd.h"

struct px_mlp_work {
  struct px_arena *own; /* holds all of it; NULL: it is in another's */
  uint32_t rows_max;
  /* of kept units in the last forward: 1 / (1 - dropout), or 1 */
  float scale;
  /* [rows_max, hidden] each: outputs of the hidden layers */
  float *h[PX_MLP_HIDDEN_LAYERS_MAX];
  float *y; /* [rows_max, out] */
  /* [rows_max, hidden]: gradients at two neighbouring layers */
  float *d[2];
  /* With layer_norm: */
  float *relu[PX_MLP_HIDDEN_LAYERS_MAX]; /* [rows_max, hidden] each: what is normalised */
  /* [rows_max, hidden] each: the same with mean 0 and deviation 1 */
  float *normal[PX_MLP_HIDDEN_LAYERS_MAX];
  float *inverse[PX_MLP_HIDDEN_LAYERS_MAX]; /* [rows_max] each: 1 / deviation */
  /* [rows_max, hidden]: gradients that have passed a norm */
  float *through;
  /* with gelu: [rows_max, hidden] each, its derivative */
  float *slope[PX_MLP_HIDDEN_LAYERS_MAX];
  /* [2, hidden]: gradients of a frozen net's norms, or biases */
  float *unused;
};

struct px_mlp_layer px_mlp_layer(const struct px_mlp *net, uint32_t l) {
  const struct px_mlp_shape *s = &net->shape;
  struct px_mlp_layer layer = { 0 };
  size_t at = 0;
  for (uint32_t i = 0; i <= l; i++) {
    layer.in = i == 0 ? s->in : s->hidden;
    layer.out = i == s->layers ? s->out : s->hidden;
    layer.weight = at;
    layer.bias = at + (size_t)layer.in * layer.out;
    at = layer.gain = layer.shift = layer.bias + layer.out;
    if (!s->layer_norm || i == s->layers) continue;
    layer.shift = layer.gain + layer.out;
    at = layer.shift + layer.out;
  }
  return layer;
}

static enum px_status check_shape(const struct px_mlp_shape *shape, struct px_err *err) {
  if (!shape->in || shape->in > PX_MLP_WIDTH_MAX || !shape->out || shape->out > PX_MLP_WIDTH_MAX ||
      !shape->hidden || shape->hidden > PX_MLP_WIDTH_MAX || !shape->layers ||
      shape->layers > PX_MLP_HIDDEN_LAYERS_MAX || !(shape->dropout >= 0 && shape->dropout < 1))
    return px_fail(err, PX_E_BAD_FIELD,
                   "a net of %u inputs, %u layers of %u units and %u outputs is out of bounds",
                   shape->in, shape->layers, shape->hidden, shape->out);
  if (shape->layer_norm && (shape->hidden % PX_LANES || shape->dropout > 0))
    return px_fail(
      err, PX_E_BAD_FIELD,
      "a net with layer norm has a multiple of %d hidden units, not %u, and no dropout", PX_LANES,
      shape->hidden);
  if (shape->layer_norm && shape->gelu)
    return px_fail(err, PX_E_BAD_FIELD, "a net with layer norm has ReLUs");
  return PX_OK;
}

static void set_shape(struct px_mlp *net, const struct px_mlp_shape *shape) {
  net->shape = *shape;
  const struct px_mlp_layer last = px_mlp_layer(net, shape->layers);
  net->params_n = last.bias + last.out;
}

enum px_status px_mlp_new(const struct px_mlp_shape *shape, struct px_mlp **out,
                          struct px_err *err) {
  const enum px_status status = check_shape(shape, err);
  if (status) return status;
  struct px_mlp *net = px_mem_calloc(1, sizeof *net);
  if (!net) return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  set_shape(net, shape);
  net->params = px_mem_calloc(net->params_n, sizeof *net->params);
  if (!net->params) {
    px_mlp_free(net);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  }
  *out = net;
  return PX_OK;
}

enum px_status px_mlp_new_in(struct px_arena *arena, const struct px_mlp_shape *shape,
                             struct px_mlp **out, struct px_err *err) {
  const enum px_status status = check_shape(shape, err);
  if (status) return status;
  struct px_mlp *net = px_arena_take(arena, 1, sizeof *net);
  if (net) {
    set_shape(net, shape);
    net->params = px_arena_floats(arena, net->params_n, 1);
  }
  if (!net || !net->params) return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  *out = net;
  return PX_OK;
}

enum px_status px_mlp_copy(const struct px_mlp *net, struct px_mlp **out) {
  struct px_err err;
  const enum px_status status = px_mlp_new(&net->shape, out, &err);
  if (!status) memcpy((*out)->params, net->params, net->params_n * sizeof *net->params);
  return status;
}

void px_mlp_free(struct px_mlp *net) {
  if (!net) return;
  px_mlp_unpack(net);
  free(net->params);
  free(net);
}

enum px_status px_mlp_pack(struct px_mlp *net, uint32_t rows_max) {
  for (uint32_t l = 0; l < net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    if (net->packed[l] || !px_mat_packs(layer.out, layer.in)) continue;
    const enum px_status status =
      px_packed_new(rows_max, layer.out, layer.in, net->params + layer.weight, &net->packed[l]);
    if (!status) continue;
    px_mlp_unpack(net);
    return status;
  }
  return PX_OK;
}

void px_mlp_unpack(struct px_mlp *net) {
  for (uint32_t l = 0; l < net->shape.layers; l++) {
    px_packed_free(net->packed[l]);
    net->packed[l] = NULL;
  }
}

/* ---- initial parameters */

static double dot(size_t n, const double *a, const double *b) {
  double part[8] = { 0 }, sum = 0;
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t lane = 0; lane < 8; lane++) part[lane] += a[i + lane] * b[i + lane];
  for (; i < n; i++) sum += a[i] * b[i];
  for (size_t lane = 0; lane < 8; lane++) sum += part[lane];
  return sum;
}

/* q[rows, n], rows <= n, of normal numbers: made orthonormal by modified Gram-Schmidt. */
static void orthonormalise(size_t rows, size_t n, double *q) {
  for (size_t i = 0; i < rows; i++) {
    double *row = q + i * n;
    const double norm = 1 / sqrt(dot(n, row, row));
    for (size_t j = 0; j < n; j++) row[j] *= norm;
    for (size_t k = i + 1; k < rows; k++) {
      double *other = q + k * n;
      const double along = dot(n, row, other);
      for (size_t j = 0; j < n; j++) other[j] -= along * row[j];
    }
  }
}

static enum px_status orthogonal(const struct px_mlp_layer *layer, struct px_rng *rng,
                                 float *weight) {
  const size_t size = (size_t)layer->in * layer->out;
  /* then the columns are orthonormal, else the rows */
  const bool tall = layer->out > layer->in;
  const size_t rows = tall ? layer->in : layer->out, n = tall ? layer->out : layer->in;
  double *q = px_mem_calloc(size, sizeof *q);
  if (!q) return PX_E_NO_MEMORY;
  px_rng_normal(rng, weight, size);
  for (size_t i = 0; i < size; i++) q[i] = (double)weight[i];
  orthonormalise(rows, n, q);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < n; j++) weight[tall ? j * rows + i : i * n + j] = (float)q[i * n + j];
  free(q);
  return PX_OK;
}

enum px_status px_mlp_init(struct px_mlp *net, enum px_mlp_init how, uint64_t seed,
                           uint64_t stream) {
  struct px_rng rng = px_rng_at(seed, stream, 0);
  for (uint32_t l = 0; l <= net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    const size_t end = layer.bias + layer.out;
    const float bound = 1 / sqrtf((float)layer.in);
    for (size_t i = layer.gain; i < layer.shift; i++) net->params[i] = 1;
    if (how == PX_MLP_UNIFORM) {
      for (size_t i = layer.weight; i < end; i++)
        net->params[i] = bound * (2 * px_rng_float(&rng) - 1);
      continue;
    }
    const enum px_status status = orthogonal(&layer, &rng, net->params + layer.weight);
    if (status) return status;
    for (size_t i = layer.bias; i < end; i++) net->params[i] = 0;
  }
  return PX_OK;
}

/* ---- activations */

static void take_norms(struct px_arena *arena, struct px_mlp_work *work,
                       const struct px_mlp_shape *shape) {
  work->through = px_arena_floats(arena, work->rows_max, shape->hidden);
  work->unused = px_arena_floats(arena, 2, shape->hidden);
  for (uint32_t l = 0; l < shape->layers; l++) {
    work->relu[l] = px_arena_floats(arena, work->rows_max, shape->hidden);
    work->normal[l] = px_arena_floats(arena, work->rows_max, shape->hidden);
    work->inverse[l] = px_arena_floats(arena, work->rows_max, 1);
  }
}

static void take_slopes(struct px_arena *arena, struct px_mlp_work *work,
                        const struct px_mlp_shape *shape) {
  work->unused = px_arena_floats(arena, 2, shape->hidden);
  for (uint32_t l = 0; l < shape->layers; l++)
    work->slope[l] = px_arena_floats(arena, work->rows_max, shape->hidden);
}

enum px_status px_mlp_work_new_in(struct px_arena *arena, const struct px_mlp_shape *shape,
                                  uint32_t rows_max, struct px_mlp_work **out) {
  struct px_mlp_work *work = px_arena_take(arena, 1, sizeof *work);
  if (!work) return PX_E_NO_MEMORY;
  work->rows_max = rows_max;
  work->scale = 1;
  work->y = px_arena_floats(arena, rows_max, shape->out);
  for (uint32_t l = 0; l < shape->layers; l++)
    work->h[l] = px_arena_floats(arena, rows_max, shape->hidden);
  for (int i = 0; i < 2; i++) work->d[i] = px_arena_floats(arena, rows_max, shape->hidden);
  if (shape->layer_norm) take_norms(arena, work, shape);
  if (shape->gelu) take_slopes(arena, work, shape);
  if (px_arena_ran_out(arena)) return PX_E_NO_MEMORY;
  *out = work;
  return PX_OK;
}

enum px_status px_mlp_work_new(const struct px_mlp_shape *shape, uint32_t rows_max,
                               struct px_mlp_work **out) {
  struct px_arena *own = px_arena_new(SIZE_MAX);
  const enum px_status status =
    own ? px_mlp_work_new_in(own, shape, rows_max, out) : PX_E_NO_MEMORY;
  if (status) px_arena_free(own);
  else (*out)->own = own;
  return status;
}

void px_mlp_work_free(struct px_mlp_work *work) {
  if (work) px_arena_free(work->own);
}

/* h [n, hidden]: dropped units become 0, kept ones grow by 1 / (1 - p). A unit
 * at 0 passes no gradient, so the backward pass needs no mask of its own. */
PX_CLONES static void drop_units(uint32_t n, uint32_t hidden, struct px_dropout drop, uint32_t row0,
                                 float *restrict h) {
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t row = px_dropout_row(&drop, row0 + i);
    for (uint32_t j = 0; j < hidden; j++)
      h[(size_t)i * hidden + j] *= px_dropout_keep(&drop, row, j);
  }
}

/* work->h[l] = gelu(in W^T + b), and its slope. */
static void gelu_forward(const struct px_mlp *net, struct px_mlp_work *work, uint32_t l, uint32_t n,
                         const float *in) {
  const struct px_mlp_layer layer = px_mlp_layer(net, l);
  const float *p = net->params;
  if (net->packed[l]) px_packed_mul(net->packed[l], in, work->h[l]);
  else px_mat_mul(PX_MAT_N, PX_MAT_T, n, layer.out, layer.in, in, p + layer.weight, 0, work->h[l]);
  px_gelu(n, layer.out, p + layer.bias, work->h[l], work->slope[l]);
}

float *px_mlp_first(struct px_mlp_work *work) { return work->h[0]; }

/* work->h[l] from the layer's inputs: h = relu(in W^T + b), or LayerNorm of that; or gelu(in W^T +
 * b). */
static void hidden_forward(const struct px_mlp *net, struct px_mlp_work *work, uint32_t l,
                           uint32_t n, const float *in) {
  const struct px_mlp_layer layer = px_mlp_layer(net, l);
  const float *p = net->params;
  if (net->shape.gelu) {
    gelu_forward(net, work, l, n, in);
    return;
  }
  float *relu = net->shape.layer_norm ? work->relu[l] : work->h[l];
  if (net->packed[l]) {
    px_packed_mul(net->packed[l], in, relu);
    px_mat_bias_relu(n, layer.out, p + layer.bias, relu);
  } else px_mat_layer(n, layer.out, layer.in, in, p + layer.weight, p + layer.bias, true, relu);
  if (net->shape.layer_norm)
    px_layer_norm(n, layer.out, relu, p + layer.gain, p + layer.shift, work->normal[l],
                  work->inverse[l], work->h[l]);
}

/* h_0 = relu(x W_0^T + b_0); h_l = relu(h_{l-1} W_l^T + b_l); y = h_{L-1} W_L^T + b_L */
float *px_mlp_forward(const struct px_mlp *net, struct px_mlp_work *work, const float *x,
                      uint32_t n, const struct px_mlp_drop *drop) {
  assert(n <= work->rows_max);
  hidden_forward(net, work, 0, n, x);
  return px_mlp_forward_rest(net, work, n, drop);
}

float *px_mlp_forward_rest(const struct px_mlp *net, struct px_mlp_work *work, uint32_t n,
                           const struct px_mlp_drop *drop) {
  const struct px_mlp_shape *s = &net->shape;
  for (uint32_t l = 1; l < s->layers; l++) hidden_forward(net, work, l, n, work->h[l - 1]);
  work->scale = 1;
  if (drop && s->dropout > 0) {
    const struct px_dropout mask =
      px_dropout_at(drop->seed, px_rng_stream("dropout", 0), drop->step, s->dropout);
    work->scale = mask.scale;
    drop_units(n, s->hidden, mask, drop->row0, work->h[s->layers - 1]);
    if (s->gelu) drop_units(n, s->hidden, mask, drop->row0, work->slope[s->layers - 1]);
  }
  const struct px_mlp_layer head = px_mlp_layer(net, s->layers);
  px_mat_layer(n, head.out, head.in, work->h[s->layers - 1], net->params + head.weight,
               net->params + head.bias, false, work->y);
  return work->y;
}

/* Through layer l's weights: from d = dL/d(W_l h_{l-1} + b_l), with the gradient of W_l, to
 * dL/dh_{l-1}, or to that of the layer below's sums in W h + b with the gradients of all but its
 * W. */
static float *layer_backward(const struct px_mlp *net, struct px_mlp_work *work, uint32_t l,
                             uint32_t n, const float *d, float *grads, bool add, bool to_sums) {
  const struct px_mlp_layer layer = px_mlp_layer(net, l), low = px_mlp_layer(net, l - 1);
  const float *weight = net->params + layer.weight,
              scale = l == net->shape.layers ? work->scale : 1;
  float *below = work->d[l % 2], *bias = grads ? grads + low.bias : NULL;
  if (grads)
    px_mat_mul(PX_MAT_T, PX_MAT_N, layer.out, layer.in, n, d, work->h[l - 1], add ? 1 : 0,
               grads + layer.weight);
  if (to_sums && net->shape.gelu) {
    px_mat_mul(PX_MAT_N, PX_MAT_N, n, layer.in, layer.out, d, weight, 0, below);
    px_gelu_back(n, low.out, work->slope[l - 1], below, add, grads ? bias : work->unused);
    return below;
  }
  if (to_sums && !net->shape.layer_norm) {
    px_mat_layer_back(n, layer.in, layer.out, d, weight, work->h[l - 1], scale, below, add, bias);
    return below;
  }
  px_mat_mul(PX_MAT_N, PX_MAT_N, n, layer.in, layer.out, d, weight, 0, below);
  if (!to_sums) return below;
  memset(work->through, 0, sizeof *d * n * low.out);
  px_layer_norm_back(n, low.out, work->normal[l - 1], work->inverse[l - 1], net->params + low.gain,
                     below, work->through, add, grads ? grads + low.gain : work->unused,
                     grads ? grads + low.shift : work->unused + low.out);
  px_mat_relu_back(n, low.out, work->relu[l - 1], scale, work->through, add, bias);
  return work->through;
}

/* With d_l = dL/d(h_{l-1} W_l^T + b_l): dW_l = d_l^T h_{l-1}; db_l = column sums of d_l;
 * d_{l-1} = (d_l W_l) where h_{l-1} > 0, or times the GELU's slope; with layer norms their own
 * backward pass stands between */
static float *backward(const struct px_mlp *net, struct px_mlp_work *work, uint32_t n,
                       const float *dy, float *grads, bool add, bool to_sums) {
  const struct px_mlp_shape *s = &net->shape;
  if (grads) px_mat_col_sums(n, s->out, dy, add, grads + px_mlp_layer(net, s->layers).bias);
  for (uint32_t l = s->layers; l > 1; l--)
    dy = layer_backward(net, work, l, n, dy, grads, add, true);
  return layer_backward(net, work, 1, n, dy, grads, add, to_sums);
}

void px_mlp_backward(const struct px_mlp *net, struct px_mlp_work *work, const float *x, uint32_t n,
                     const float *dy, float *grads, bool add, float *dx) {
  const struct px_mlp_layer first = px_mlp_layer(net, 0);
  const float *d = backward(net, work, n, dy, grads, add, true);
  if (grads)
    px_mat_mul(PX_MAT_T, PX_MAT_N, first.out, first.in, n, d, x, add ? 1 : 0, grads + first.weight);
  if (dx)
    px_mat_mul(PX_MAT_N, PX_MAT_N, n, first.in, first.out, d, net->params + first.weight, 0, dx);
}

float *px_mlp_backward_rest(const struct px_mlp *net, struct px_mlp_work *work, uint32_t n,
                            const float *dy, float *grads, bool add) {
  return backward(net, work, n, dy, grads, add, false);
}
