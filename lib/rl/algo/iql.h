/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implicit Q-learning (Kostrikov, Nair, Levine 2021, arXiv 2110.06169): values
 * by expectile regression, so that no action outside the data is ever asked for,
 * and an actor that clones what was better than expected. Used through the
 * table in rl.c; open so that the golden test can feed it and look at every
 * gradient.
 *
 *   A    = min_i Q'_i(s, a) - V(s)
 *   L_V  = mean w |expectile - 1(A < 0)| A^2
 *   L_Q  = sum_i mean w (Q_i(s, a) - r - gamma nd V(s'))^2
 *   L_pi = mean w min(exp(beta A), weight_max) l(pi(s), a)
 *
 * l is -log N(a; tanh(mu(s)), sigma), with one learned sigma per dimension, or
 * with a deterministic actor sum_j (tanh(mu_j(s)) - a_j)^2. Where actions are
 * discrete Q_i and pi have act_count outputs and l is the softmax cross entropy.
 *
 * With `values: states` there are no critics, and A = r + gamma nd V'(s') - V(s):
 * where the dynamics are deterministic that is what the action was worth, and no
 * action, so no label's error either, reaches the values (Xu et al. 2022, arXiv
 * 2210.08323, learn such values). Where they are not, lucky transitions look good.
 *
 * All four nets step at once, from the parameters before; the actor's rate
 * falls to 0 as a cosine over all updates. One struct iql belongs to one thread
 * and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_IQL_H
#define PX_RL_ALGO_IQL_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct iql {
  uint64_t seed, updates;
  uint32_t act_count; /* of discrete actions; 0: they are continuous */
  bool deterministic, states_only;
  double lr, expectile, beta, weight_max;
  float gamma, tau, reward_scale;
  const struct rl_data *data; /* borrowed */
  struct rl_net value, critic[2], actor;
  float *log_sigma, *dlog_sigma; /* [A]; discrete and deterministic actors have none */
  struct px_adam sigma_adam;
  struct rl_batch batch;
  /* Scratch for one chunk. */
  float *sa;                              /* [chunk, O + A] */
  float *target, *advantage, *weight, *q; /* [chunk] */
  float *dy;                              /* [chunk, the widest net's outputs] */
};

enum { IQL_LOSS_VALUE, IQL_LOSS_CRITIC, IQL_LOSS_ACTOR, IQL_V, IQL_WEIGHT, IQL_EFFECTIVE };

/* Nets initialised from the seed; data is NULL and reward_scale 1, so the caller fills batch
 * itself. */
enum px_status iql_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                       uint32_t act_dim, uint32_t act_count, struct iql **out,
                       struct px_err *err) PX_MUST_CHECK;
/* One update from q->batch as it stands. */
void iql_update(struct iql *q, uint64_t step, double losses[RL_LOSSES_MAX]);

#endif
