/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multi-layer perceptrons: Linear-ReLU-(LayerNorm)-...-Linear-ReLU-(Dropout)-Linear, or with GELUs
 * for the ReLUs. Used by inverse dynamics models, actors and critics.
 *
 * All parameters of a net lie in ONE array (per layer: weight [out,in], then
 * bias [out], as in torch; then, of hidden layers with a layer norm, gain and
 * shift [out]), so Adam, averaging and saving are single loops. A
 * struct px_mlp_work holds the activations of one forward pass for the backward
 * pass; a net may have several. Everything is allocated by the _new functions, from the
 * heap or (_new_in) from an arena, and nothing by a step. A net is shared between
 * threads for reading; a work belongs to one.
 *
 * One training step, in row chunks so that activations stay in the cache:
 *
 *   for (row = 0; row < batch; row += n) {
 *     n = min(PX_MLP_CHUNK, batch - row);
 *     y = px_mlp_forward(net, work, x + row * in, n, NULL);
 *     ... dy[n,out] = dL/dy, scaled by 1 / batch ...
 *     px_mlp_backward(net, work, x + row * in, n, dy, grads, row > 0, NULL);
 *   }
 *   px_adam_step(&adam, net->params, grads);
 */
#ifndef PX_NN_MLP_H
#define PX_NN_MLP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/status.h"

/* Rows taken at a time: measured best all in all. With 256 units 256 to 1024 rows
 * are alike; with 1024 units 256 rows lose 5% and 1024 would gain 2%. */
enum { PX_MLP_HIDDEN_LAYERS_MAX = 8, PX_MLP_WIDTH_MAX = 65536, PX_MLP_CHUNK = 512 };

struct px_mlp_shape {
  uint32_t in, out;
  /* width and number of hidden layers, 1 .. PX_MLP_HIDDEN_LAYERS_MAX */
  uint32_t hidden, layers;
  float dropout; /* probability, on the last hidden layer, while training; 0: none */
  /* of each hidden layer, after its ReLU (layer_norm.h); then hidden is a multiple of PX_LANES,
   * and there is no dropout */
  bool layer_norm;
  bool gelu; /* for the ReLUs (gelu.h); not together with layer_norm */
};

struct px_packed;
struct px_mlp {
  struct px_mlp_shape shape;
  size_t params_n;
  float *params; /* [params_n] */
  /* the hidden layers' weights again, where px_mlp_pack made them */
  struct px_packed *packed[PX_MLP_HIDDEN_LAYERS_MAX];
};

/* One layer's place in params: l from 0 to shape.layers. */
struct px_mlp_layer {
  uint32_t in, out;
  size_t weight, bias, gain, shift; /* the last two with layer_norm */
};
struct px_mlp_layer px_mlp_layer(const struct px_mlp *net, uint32_t l);

/* BAD_FIELD for a shape out of bounds. Parameters are zero until initialised. */
enum px_status px_mlp_new(const struct px_mlp_shape *shape, struct px_mlp **out,
                          struct px_err *err) PX_MUST_CHECK;
void px_mlp_free(struct px_mlp *net);
/* The same from an arena, which px_mlp_free must not see. */
enum px_status px_mlp_new_in(struct px_arena *arena, const struct px_mlp_shape *shape,
                             struct px_mlp **out, struct px_err *err) PX_MUST_CHECK;
/* A net on the heap with the same parameters. */
enum px_status px_mlp_copy(const struct px_mlp *net, struct px_mlp **out) PX_MUST_CHECK;

/* UNIFORM: weight and bias in +-1/sqrt(in), torch's default for Linear.
 * ORTHOGONAL: gain 1, zero bias (Saxe et al. 2014). Layer norms start with gain 1 and shift 0.
 * Stream: px_rng_stream("init", n). */
enum px_mlp_init { PX_MLP_UNIFORM, PX_MLP_ORTHOGONAL };
enum px_status px_mlp_init(struct px_mlp *net, enum px_mlp_init how, uint64_t seed,
                           uint64_t stream) PX_MUST_CHECK;

/* Forward passes of `rows_max` rows, from now on until px_mlp_unpack, read large layers' weights in
 * a faster order. Meanwhile params stay as they are, and an x that is passed has rows_max rows, of
 * which n count. NO_MEMORY: nothing has changed. */
enum px_status px_mlp_pack(struct px_mlp *net, uint32_t rows_max) PX_MUST_CHECK;
void px_mlp_unpack(struct px_mlp *net);

struct px_mlp_work;
enum px_status px_mlp_work_new(const struct px_mlp_shape *shape, uint32_t rows_max,
                               struct px_mlp_work **out) PX_MUST_CHECK;
void px_mlp_work_free(struct px_mlp_work *work);
/* The same from an arena, which px_mlp_work_free must not see. */
enum px_status px_mlp_work_new_in(struct px_arena *arena, const struct px_mlp_shape *shape,
                                  uint32_t rows_max, struct px_mlp_work **out) PX_MUST_CHECK;

/* Which hidden units to drop: a pure function of (seed, step, row0 + row, unit).
 * row0 keeps chunks of one batch apart. */
struct px_mlp_drop {
  uint64_t seed, step;
  uint32_t row0;
};

/* x [n,in] -> [n,out], which lies in `work` until the next forward; the caller
 * may change it in place (a final tanh). drop NULL: evaluation, no dropout. n <= rows_max. */
float *px_mlp_forward(const struct px_mlp *net, struct px_mlp_work *work, const float *x,
                      uint32_t n, const struct px_mlp_drop *drop);
/* After px_mlp_forward with the same x, n and drop: dy [n,out] = dL/dy before any change in place.
 * grads [params_n] = dL/dparams (+= if `add`); NULL: not computed (a frozen net).
 * dx [n,in] = dL/dx; NULL: not computed. dy is not changed. */
void px_mlp_backward(const struct px_mlp *net, struct px_mlp_work *work, const float *x, uint32_t n,
                     const float *dy, float *grads, bool add, float *dx);

/* The same behind the first hidden layer, for who computes that one in its own way
 * (multi_action.h): its outputs [n, hidden], normalised if the net has layer norms, are left in
 * px_mlp_first before the forward pass; the backward pass gives dL/d of them [n, hidden], in
 * `work`. */
float *px_mlp_first(struct px_mlp_work *work);
float *px_mlp_forward_rest(const struct px_mlp *net, struct px_mlp_work *work, uint32_t n,
                           const struct px_mlp_drop *drop);
float *px_mlp_backward_rest(const struct px_mlp *net, struct px_mlp_work *work, uint32_t n,
                            const float *dy, float *grads, bool add);

#endif
