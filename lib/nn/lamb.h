/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2) over one parameter
 * array: Adam's direction with weight decay, scaled for each tensor so that its
 * step is lr times the tensor's norm (of 10 at most). Used by the Decision
 * Transformer. A struct px_lamb has its two moments from an arena and belongs to one
 * thread; a step allocates nothing.
 */
#ifndef PX_NN_LAMB_H
#define PX_NN_LAMB_H

#include "lib/base/arena.h"
#include "lib/base/status.h"
#include "lib/nn/tensor.h"

struct px_lamb_options {
  float beta1, beta2, eps, weight_decay;
  float clip; /* the gradient's norm over all parameters is cut to it first; 0: not */
};

struct px_lamb {
  struct px_lamb_options options;
  uint64_t steps; /* taken so far */
  size_t n;
  float *m, *v; /* [n] */
};

/* The arena knows if it ran out. */
void px_lamb_init(struct px_arena *arena, struct px_lamb *lamb, size_t n,
                  struct px_lamb_options options);
/* One step; the tensors cover params[n]. grads is scratch afterwards. Gives the gradient's norm
 * before the cut. */
double px_lamb_step(struct px_lamb *lamb, const struct px_tensor *tensors, size_t tensors_n,
                    float lr, float *params, float *grads);

#endif
