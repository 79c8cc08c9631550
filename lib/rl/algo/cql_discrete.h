/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conservative Q-learning of discrete actions (Kumar et al. 2020, arXiv
 * 2006.04779, section 4): one critic with an output per action, whose largest
 * output is also the policy. Used through cql's table entry (cql.h); open so that
 * the golden test can feed it and look at every gradient.
 *
 *   y   = r + gamma nd Q'(s', argmax_a Q(s', a))   (double Q-learning, arXiv 1509.06461)
 *   L_Q = mean w (Q(s, a) - y)^2
 *       + conservative_weight mean w (T logsumexp_a (Q(s, a) / T) - Q(s, a))
 *
 * The squared error and not Huber's, as with continuous actions. The sum over all
 * actions is exact, so nothing is sampled. One struct cql_discrete belongs to one
 * thread and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_CQL_DISCRETE_H
#define PX_RL_ALGO_CQL_DISCRETE_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct cql_discrete {
  uint64_t seed;
  uint32_t act_count;
  float gamma, tau, weight, temperature;
  const struct rl_data *data; /* borrowed */
  struct rl_net critic;
  struct rl_batch batch;
  /* Scratch for one chunk. */
  uint32_t *best;  /* [chunk] argmax_a Q(s', a) */
  float *q_target; /* [chunk] */
  float *dq;       /* [chunk, act_count] */
};

/* The net initialised from the seed; data is NULL, so the caller fills batch itself. */
enum px_status cql_discrete_new(struct px_arena *arena, const struct rl_spec *spec,
                                uint32_t obs_dim, uint32_t act_count, struct cql_discrete **out,
                                struct px_err *err) PX_MUST_CHECK;
/* One update from t->batch as it stands; writes cql.h's first three losses. */
void cql_discrete_update(struct cql_discrete *t, double losses[RL_LOSSES_MAX]);
/* The critic is the actor too. */
void cql_discrete_finish(struct cql_discrete *t, struct rl_nets *nets);

#endif
