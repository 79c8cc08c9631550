/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was earned from each transition on: Monte-Carlo values, for critics that
 * begin with them. Used by algorithms with the option `pretrain`. Pure.
 */
#ifndef PX_RL_RL_RETURNS_H
#define PX_RL_RL_RETURNS_H

#include "lib/rl/rl.h"

/* [data->n], from the arena: the rewards from each transition to its trajectory's end, discounted
 * by gamma. Where that end is no termination the episode went on unseen, and is taken to have
 * earned the trajectory's mean reward at every step (with gamma 1: nothing). NULL where the arena
 * has run out. */
float *rl_returns_new(struct px_arena *arena, const struct rl_data *data, double gamma);
/* Their root mean square. */
double rl_returns_rms(const struct rl_data *data, double gamma);

#endif
