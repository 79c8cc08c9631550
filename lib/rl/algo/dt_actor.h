/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acting with a Decision Transformer: it remembers the last steps of each
 * running episode, and the return still to be reached. Used through rl_player
 * (rl.h); open for tests. Belongs to one thread; borrows the net; acting
 * allocates nothing.
 */
#ifndef PX_RL_ALGO_DT_ACTOR_H
#define PX_RL_ALGO_DT_ACTOR_H

#include "lib/rl/algo/dt_net.h"

struct dt_actor;
/* Room for `lanes` episodes side by side. target: the return that a new episode aims at, in the
 * data's units; context: how many steps back it looks, at most the net's. */
enum px_status dt_actor_new(const struct dt_net *net, uint32_t lanes, uint32_t context,
                            double target, double return_scale,
                            struct dt_actor **out) PX_MUST_CHECK;
void dt_actor_free(struct dt_actor *actor);

/* What it sees of n episodes, each in a lane of its own. */
struct dt_sight {
  uint32_t n;
  const float *state;   /* [n, O] normalised */
  const uint32_t *lane; /* [n] */
  const uint32_t *step; /* [n] 0 begins a new episode in the lane */
  const double *reward; /* [n] of the step before; not read where step is 0 */
};
/* actions [n, A] = tanh(mu), in (-1, 1); discrete: [n] the index of the largest logit. It takes
 * them as done. */
void dt_actor_act(struct dt_actor *actor, const struct dt_sight *sight, float *actions);
#endif
