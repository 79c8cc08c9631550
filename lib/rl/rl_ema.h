/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Averaged weights: an exponential moving average, over the updates, of the
 * weights that act. The training goes on from the last weights; what is published
 * is the average, which swings less from one update to the next (Polyak and
 * Juditsky 1992; here with a decay, and without any in the algorithms). Used by
 * rl.c for every algorithm. The average comes from an arena, in rl_ema_init; the
 * weights are borrowed and must stay where they are. One thread.
 *
 *   mean <- mean + (1 - k) (weights - mean),  k = min(decay, (1 + n) / (10 + n))
 *
 * after the n-th update, n from 1: the first weights, which know nothing yet, are
 * forgotten soon, however slow the decay.
 */
#ifndef PX_RL_RL_EMA_H
#define PX_RL_RL_EMA_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"

struct rl_ema {
  double decay; /* 0: there is no average */
  struct rl_weights of;
  float *mean; /* [of.n]; NULL without average */
  uint64_t updates;
};

/* From the weights as they are. */
enum px_status rl_ema_init(struct px_arena *arena, struct rl_ema *e, double decay,
                           struct rl_weights of, struct px_err *err) PX_MUST_CHECK;
/* After each update. */
void rl_ema_step(struct rl_ema *e);
/* Lists what the next steps depend on; nothing without average. */
void rl_ema_state(struct rl_ema *e, struct px_state *list);
/* Puts the average in the weights' place, at the end of a training. */
void rl_ema_finish(const struct rl_ema *e);

#endif
