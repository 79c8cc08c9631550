/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behaviour cloning: L = mean w (pi(s) - a)^2; where actions are discrete the
 * softmax cross entropy, L = mean w (log sum_j exp pi_j(s) - pi_a(s)). With top_percent 10 it is
 * the 10%BC of Chen et al. 2021 (arXiv 2106.01345), by trajectories. Used through
 * the table in rl.c; open for the golden test. One struct bc belongs to one thread
 * and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_BC_H
#define PX_RL_ALGO_BC_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct bc {
  uint64_t seed;
  uint32_t act_count;         /* of discrete actions; 0: they are continuous */
  const struct rl_data *data; /* borrowed */
  struct rl_net actor;
  struct rl_batch batch;
  float *dy; /* [chunk, the actor's outputs] */
};

/* The net initialised from the seed; data is NULL, so the caller fills batch itself. */
enum px_status bc_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                      uint32_t act_dim, uint32_t act_count, struct bc **out,
                      struct px_err *err) PX_MUST_CHECK;
/* One update from bc->batch as it stands; gives the loss. */
double bc_update(struct bc *bc);

#endif
