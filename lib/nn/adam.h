/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adam (Kingma and Ba 2015) over one contiguous parameter array, and Polyak
 * averaging. Used by every trainer. A struct px_adam belongs to one thread and owns
 * its two moments, or has them from an arena; a step allocates nothing.
 *
 * Semantics are those of torch.optim.Adam: bias correction, eps added to the
 * corrected root, weight decay (if any) added to the gradient.
 */
#ifndef PX_NN_ADAM_H
#define PX_NN_ADAM_H

#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/status.h"

struct px_adam_options {
  float lr, beta1, beta2, eps, weight_decay;
};
#define PX_ADAM_DEFAULTS(rate) ((struct px_adam_options){ (rate), 0.9F, 0.999F, 1e-8F, 0 })

struct px_adam {
  struct px_adam_options options; /* lr may be changed between steps */
  uint64_t steps;                 /* taken so far */
  size_t n;
  float *m, *v; /* [n] */
};

enum px_status px_adam_init(struct px_adam *adam, size_t n,
                            struct px_adam_options options) PX_MUST_CHECK;
void px_adam_free(struct px_adam *adam);
/* The same with moments from the arena, which knows if it ran out: nothing is to be freed. */
void px_adam_init_in(struct px_arena *arena, struct px_adam *adam, size_t n,
                     struct px_adam_options options);
/* As it was before its first step. */
void px_adam_restart(struct px_adam *adam);
/* params[n] -= the step for grads[n]. */
void px_adam_step(struct px_adam *adam, float *params, const float *grads);

/* target[n] += tau (source - target). */
void px_adam_polyak(size_t n, float tau, const float *source, float *target);

#endif
