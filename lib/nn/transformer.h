/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A causal transformer with GPT-2's blocks (Radford et al. 2019): for each layer
 *
 *   x += drop(W_o attention(W_qkv LN(x)));  x += drop(W_2 gelu(W_1 LN(x)))
 *
 * and a last layer normalisation. It adds no positions: whoever makes the tokens
 * says what tells them apart. Used by the Decision Transformer.
 *
 * Sequences of different lengths lie one after another (attention.h), and only
 * the tokens that ask get an output; the last layer computes queries and all
 * that follows for them alone.
 *
 * The parameters are part of the caller's one array. A struct
 * px_transformer_work holds the activations of one forward pass for the backward
 * pass and belongs to one thread; nothing is allocated by a step. A batch is
 * taken in chunks of whole sequences, so that activations stay near.
 */
#ifndef PX_NN_TRANSFORMER_H
#define PX_NN_TRANSFORMER_H

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/status.h"
#include "lib/nn/attention.h"
#include "lib/nn/tensor.h"

enum {
  PX_TRANSFORMER_LAYERS_MAX = 12,
  PX_TRANSFORMER_TENSORS = 12,
  PX_TRANSFORMER_TOKENS_MAX = 1024
};

struct px_transformer_shape {
  uint32_t width; /* heads times a multiple of PX_LANES */
  uint32_t layers, heads;
  uint32_t tokens_max; /* of one sequence */
  float dropout;       /* of attention's probabilities and of what each half of a layer adds */
};

/* BAD_FIELD for a shape out of bounds. */
enum px_status px_transformer_check(const struct px_transformer_shape *shape,
                                    struct px_err *err) PX_MUST_CHECK;
size_t px_transformer_params_n(const struct px_transformer_shape *shape);
/* PX_TRANSFORMER_TENSORS for each layer and 2 more; all lie without gaps from `at` on. out may be
 * NULL. */
size_t px_transformer_tensors(const struct px_transformer_shape *shape, size_t at,
                              struct px_tensor *out);
/* GPT-2's: weights normal with standard deviation 0.02, biases 0, gains 1. */
void px_transformer_init(const struct px_transformer_shape *shape, uint64_t seed, uint64_t stream,
                         float *params);

struct px_transformer_work;
/* For at most tokens_n tokens of which asks_n ask; all from the arena. */
enum px_status px_transformer_work_new(struct px_arena *arena,
                                       const struct px_transformer_shape *shape, uint32_t tokens_n,
                                       uint32_t asks_n,
                                       struct px_transformer_work **out) PX_MUST_CHECK;

/* Which units to drop: a pure function of (seed, step, row0 + token in the chunk, unit). row0 keeps
 * chunks of one batch apart. */
struct px_transformer_drop {
  uint64_t seed, step;
  uint32_t row0;
};

/* x [tokens, width] -> [asks, width], which lies in `work` until the next forward; x is used up.
 * drop NULL: evaluation. seqs must have asks. */
const float *px_transformer_forward(const struct px_transformer_shape *shape, const float *params,
                                    struct px_transformer_work *work, float *x,
                                    const struct px_sequences *seqs,
                                    const struct px_transformer_drop *drop);
/* After px_transformer_forward with the same seqs and drop: dy [asks, width] = dL/dy. grads
 * [params_n] = dL/dparams (+= if `add`); dx [tokens, width] = dL/dx is written. */
void px_transformer_backward(const struct px_transformer_shape *shape, const float *params,
                             struct px_transformer_work *work, const struct px_sequences *seqs,
                             const struct px_transformer_drop *drop, const float *dy, float *grads,
                             bool add, float *dx);

#endif
