/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conservative Q-learning (Kumar et al. 2020, arXiv 2006.04779): critics that
 * are pushed down on actions which the data does not have, as CQL(H) with
 * importance sampling; with continuous actions a tanh-Gaussian actor whose
 * entropy is held (SAC, arXiv 1812.05905), with discrete ones the critic itself
 * is the policy (cql_discrete.h). Used through the table in rl.c; open so that
 * the golden test can feed it and look at every gradient.
 *
 *   a_k  = a, then N each from uniform, pi(s) and pi(s');  z_k = Q_i(s, a_k) - log density of a_k
 *   y    = r + gamma nd (min_i Q'_i(s', a') [- alpha log pi(a'|s')]),  a' ~ pi(s')
 *   L_Q  = sum_i mean w (Q_i(s, a) - y)^2
 *        + conservative_weight mean w (T logsumexp_k>0 (z_k / T) - Q_i(s, a))
 *   L_pi = mean w (alpha log pi(a~|s) - min_i Q_i(s, a~)),  a~ ~ pi(s), reparameterised
 *          in the first bc_updates: mean w (alpha log pi(a~|s) - log pi(a|s))
 *   L_al = -log alpha mean w (log pi(a~|s) + target entropy)
 *
 * With backward_actions m > 0 the gradient of logsumexp, sum_k p_k dQ(s, a_k), goes
 * through m actions drawn by p instead of all 3 N: its mean is the same, and the
 * backward pass, two thirds of the work, shrinks to (1 + m) / (1 + 3 N) of it.
 *
 * w are the transition weights (1 unless the spec weighs proxies). All gradients
 * are taken at the same parameters, then every optimiser steps. The actor is
 * evaluated once per state and not once per sampled action, and the critics'
 * first layer shares what depends on the state alone (lib/nn/multi_action.h). One
 * struct cql belongs to one thread and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_CQL_H
#define PX_RL_ALGO_CQL_H

#include "lib/base/fail.h"
#include "lib/nn/multi_action.h"
#include "lib/rl/algo/gaussian.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

/* Standard normal, but for `uniform`, which is so in [-1, 1], and `pick`. */
struct cql_noise {
  float *pi, *next;    /* [B, A] for a~ and a' */
  float *here, *there; /* [B, N, A] for the sampled actions of pi(s) and of pi(s') */
  float *uniform;      /* [B, N, A] */
  /* [2, B] in [0, 1): which actions are drawn for the gradient, if not all */
  float *pick;
};

struct cql {
  uint64_t seed, bc_updates;
  uint32_t times, backward; /* N; sampled actions in the gradient, 0: all */
  float gamma, tau, weight, temperature, target_entropy;
  bool backup_entropy;
  const struct rl_data *data; /* borrowed */
  struct rl_net actor, critic[2];
  /* for both critics, one at a time: all actions; those in the gradient, if not all */
  struct px_multi_action *multi, *few;
  uint32_t multi_states, few_states; /* that they take at a time */
  float spread[2], spread_grads[2];  /* m and b of log sigma = m o + b */
  float log_alpha, log_alpha_grad;
  struct px_adam spread_adam, alpha_adam;
  struct rl_batch batch;
  struct cql_noise noise;
  /* Of one chunk of states. */
  float *actions;              /* [chunk, 1 + 3 N, A] */
  float *log_density;          /* [chunk, 3 N] */
  float *drawn, *log_drawn;    /* [chunk, N, A], [chunk, N] */
  float *next, *log_next;      /* [chunk, A], [chunk] a' */
  float *pi, *log_pi;          /* [chunk, A], [chunk] a~ */
  float *sa, *dsa;             /* [chunk, O + A] */
  float *q_target, *dq;        /* [chunk] */
  float *dfan;                 /* [fan_states, 1 + 3 N] */
  float *few_actions, *few_dq; /* [chunk, 1 + backward, A], [chunk, 1 + backward] */
  float *da, *dy;              /* [chunk, A], [chunk, 2 A] */
};

/* cql: sum_i mean w (T logsumexp - Q_i(s, a)), without its weight. */
enum {
  CQL_LOSS_CRITIC,
  CQL_LOSS_CQL,
  CQL_LOSS_Q,
  CQL_LOSS_ACTOR,
  CQL_LOSS_ALPHA,
  CQL_LOSS_ENTROPY
};

/* Nets initialised from the seed; data is NULL, so the caller fills batch and noise itself. */
enum px_status cql_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                       uint32_t act_dim, struct cql **out, struct px_err *err) PX_MUST_CHECK;
/* One update from t->batch and t->noise as they stand. */
void cql_update(struct cql *t, uint64_t step, double losses[RL_LOSSES_MAX]);

#endif
