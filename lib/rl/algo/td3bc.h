/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TD3+BC (Fujimoto and Gu 2021, arXiv 2106.06860): twin critics with clipped,
 * noisy targets, and an actor that trades Q against behaviour cloning. Used
 * through the table in rl.c; open so that the golden test can feed it and look
 * at every gradient.
 *
 *   y    = r + gamma nd min_i Q'_i(s', clip(pi'(s') + clip(eps)))
 *   L_Q  = sum_i mean w (Q_i(s, a) - y)^2
 *   L_pi = -(alpha / mean |Q_1(s, pi(s))|) mean Q_1(s, pi(s)) + mean w (pi(s) - a)^2
 *
 * The transition weights w (1 unless the spec weighs proxies) act on the TD and
 * BC terms. One struct td3bc belongs to one thread and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_TD3BC_H
#define PX_RL_ALGO_TD3BC_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct td3bc {
  uint64_t seed;
  uint32_t policy_freq;
  double alpha;
  float gamma, tau, policy_noise, noise_clip;
  const struct rl_data *data; /* borrowed */
  struct rl_net actor, critic[2];
  struct rl_batch batch;
  float *noise;   /* [B, A] unit normal */
  float *pi, *da; /* [B, A] the actor's actions; dQ_1/da */
  /* Scratch for one chunk. */
  float *sa, *dsa; /* [chunk, O + A] */
  float *q_target; /* [chunk] */
  float *dq;       /* [chunk] */
};

enum { TD3BC_LOSS_CRITIC, TD3BC_LOSS_ACTOR, TD3BC_LOSS_BC, TD3BC_LOSS_Q };

/* Nets initialised from the seed; data is NULL, so the caller fills batch and noise itself. */
enum px_status td3bc_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                         uint32_t act_dim, struct td3bc **out, struct px_err *err) PX_MUST_CHECK;
/* One update from t->batch and t->noise as they stand. */
void td3bc_update(struct td3bc *t, uint64_t step, double losses[RL_LOSSES_MAX]);

#endif
