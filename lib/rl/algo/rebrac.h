/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReBRAC (Tarasov, Kurenkov, Nikulin, Kolesnikov 2023, arXiv 2305.09836): TD3+BC
 * with a penalty of its own for the critics, deeper nets and layer norms in the
 * critics. Used through the table in rl.c; open so that the golden test can feed
 * it and look at every gradient.
 *
 *   a'   = clip(pi'(s') + clip(eps))
 *   y    = r + gamma nd (min_i Q'_i(s', a') - critic_bc_coef w' |a' - a'_data|^2)
 *   L_Q  = sum_i mean w (Q_i(s, a) - y)^2
 *   L_pi = mean w actor_bc_coef |pi(s) - a|^2
 *        - mean min_i Q_i(s, pi(s)) / mean |min_i Q_i(s, pi(s))|
 *
 * a'_data is the action that the data took next, true or proxy, and w' the
 * weight of the transition that it begins. Where that is not among those learned
 * from, as after a trajectory's last step, w' is 0: no penalty, while the
 * authors' code leaves such transitions out. Norms are sums over dimensions.
 *
 * In the share `pretrain` of the updates, the first ones, y is what was earned from (s, a) on
 * (rl_returns.h) and L_pi has its first term alone, as in arXiv 2406.13376: values need not spread
 * back step by step then.
 *
 * One struct rebrac belongs to one thread and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_REBRAC_H
#define PX_RL_ALGO_REBRAC_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct rebrac {
  uint64_t seed, pretrain;
  uint32_t policy_freq;
  double actor_bc_coef;
  float critic_bc_coef, gamma, tau, policy_noise, noise_clip, reward_scale;
  const struct rl_data *data; /* borrowed */
  struct rl_net actor, critic[2];
  struct rl_batch batch; /* with next actions */
  float *to_go;          /* [data->n] Monte-Carlo values; NULL without pretraining */
  float *noise;          /* [B, A] unit normal */
  float *pi, *da;        /* [B, A] the actor's actions; gradients of min_i Q_i there */
  /* Scratch for one chunk. */
  float *sa, *dsa; /* [chunk, O + A] */
  float *target;   /* [chunk] y */
  float *q;        /* [chunk] Q_1, while Q_2 is computed */
  float *dq;       /* [2, chunk] */
};

enum { REBRAC_LOSS_CRITIC, REBRAC_LOSS_ACTOR, REBRAC_LOSS_BC, REBRAC_Q, REBRAC_PENALTY };

/* Nets initialised from the seed; data is NULL, so the caller fills batch and noise itself. */
enum px_status rebrac_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                          uint32_t act_dim, struct rebrac **out, struct px_err *err) PX_MUST_CHECK;
/* One update from r->batch and r->noise as they stand. */
void rebrac_update(struct rebrac *r, uint64_t step, double losses[RL_LOSSES_MAX]);

#endif
