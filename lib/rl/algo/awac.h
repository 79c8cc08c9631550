/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advantage-weighted actor-critic (Nair, Gupta, Dalal, Levine 2020, arXiv
 * 2006.09359), offline: twin critics evaluate the actor, which clones the data's
 * actions by how much better they are than its own. Used through the table in
 * rl.c; open so that the golden test can feed it and look at every gradient.
 *
 *   y    = r + gamma nd min_i Q'_i(s', a'),  a' ~ pi(s')
 *   L_Q  = sum_i mean w (Q_i(s, a) - y)^2
 *   A    = min_i Q_i(s, a) - min_i Q_i(s, a_pi),  a_pi ~ pi(s)
 *   L_pi = -mean w min(exp(A / lambda), weight_max) log pi(a | s)
 *
 * pi is a tanh-squashed Gaussian whose spread depends on the state (gaussian.h).
 * All nets step at once, from the parameters before. One struct awac belongs to
 * one thread and lies in an arena with all it points to.
 */
#ifndef PX_RL_ALGO_AWAC_H
#define PX_RL_ALGO_AWAC_H

#include "lib/base/fail.h"
#include "lib/rl/algo/gaussian.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct awac {
  uint64_t seed;
  double lambda, weight_max;
  float gamma, tau, reward_scale;
  struct gaussian dist;
  const struct rl_data *data; /* borrowed */
  struct rl_net actor, critic[2];
  struct rl_batch batch;
  float *noise, *next_noise; /* [B, A] unit normal: of a_pi and a' */
  /* Scratch for one chunk. */
  float *sa;                    /* [chunk, O + A] */
  float *sampled;               /* [chunk, A] */
  float *target, *own, *q_min;  /* [chunk] y, min_i Q_i(s, a_pi), min_i Q_i(s, a) */
  float *dq, *dlog_pi, *log_pi; /* [chunk] */
  float *dy;                    /* [chunk, 2 A] */
};

enum { AWAC_LOSS_CRITIC, AWAC_LOSS_ACTOR, AWAC_Q, AWAC_WEIGHT, AWAC_EFFECTIVE };

/* Nets initialised from the seed; data is NULL and reward_scale 1, so the caller fills batch and
 * both noises itself. */
enum px_status awac_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                        uint32_t act_dim, struct awac **out, struct px_err *err) PX_MUST_CHECK;
/* One update from batch and noises as they stand. */
void awac_update(struct awac *w, double losses[RL_LOSSES_MAX]);

#endif
