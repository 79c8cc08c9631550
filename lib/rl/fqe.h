/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fitted Q evaluation: what a policy would earn, from data alone (Le, Voloshin
 * and Yue 2019, arXiv 1903.08738; with target nets as in Paine et al. 2020,
 * arXiv 2007.09055). Used by the ope job where there is no simulator.
 *
 *   y = r + gamma nd Q'(s', pi(s')) ;  L = mean (Q(s, a) - y)^2
 *
 * Q is a net on (s, a); a discrete action is one-hot. Rewards are divided by
 * their root mean square while it is trained, so that one learning rate fits
 * all datasets. The policy's actions on the data's states are given, so any
 * policy can be judged, one with memory too. Transitions are those with a known
 * action, true or proxy, unweighted.
 *
 * The estimate is biased where the policy leaves the data. Equal input gives
 * equal bits. One thread; nothing is owned after the call.
 */
#ifndef PX_RL_FQE_H
#define PX_RL_FQE_H

#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_net.h"

struct fqe_spec {
  uint32_t hidden, layers, batch;
  uint64_t updates, seed;
  double lr, gamma, tau;
};

struct fqe_result {
  uint32_t transitions_n;
  double reward_min, reward_max; /* of these transitions */
  bool ends;                     /* one of them terminates its episode */
  /* root of the mean squared TD error over the last tenth of the updates, in units of reward */
  double td_rms;
};

/* What a policy can earn at least and at most, discounted with gamma, where every reward lies
 * within those of the data: each bound's reward at every step for ever; where episodes end, also
 * that reward once. */
struct fqe_bounds {
  double low, high;
};
struct fqe_bounds fqe_bounds(const struct fqe_result *result, double gamma);
/* Share of the larger bound by which a net may err and still be believed. */
#define FQE_SLACK 0.05

/* policy_actions [obs_n, A]: what the policy does at every observation row of
 * the dataset, in the dataset's units. values [traj_n]: the discounted value of
 * each trajectory's first state under the policy. Reports phase "fqe". NO_LABELS
 * without a usable transition, NAN_LOSS when it diverges. The same bits however
 * often it went on from its checkpoint (which may be NULL). */
enum px_status fqe_run(const struct fqe_spec *spec, const struct px_actions_merged *u,
                       const float *policy_actions, const struct px_progress *progress,
                       struct px_checkpoint *checkpoint, float *values, struct fqe_result *result,
                       struct px_err *err) PX_MUST_CHECK;

/* Open for the golden test: one update of `fqe` from its batch as it stands,
 * next_action [B, D] encoded as batch actions are. Gives the loss. */
struct fqe {
  struct fqe_spec spec;
  uint32_t in, dims; /* O + D; D: act_count or A */
  float reward_scale;
  struct rl_net critic;
  struct rl_batch batch;
  float *action, *next;      /* [B, D] encoded */
  float *sa, *q_target, *dq; /* one chunk */
};
enum px_status fqe_new(struct px_arena *arena, const struct fqe_spec *spec, uint32_t obs_dim,
                       uint32_t act_dim, uint32_t act_count, struct fqe **out,
                       struct px_err *err) PX_MUST_CHECK;
double fqe_update(struct fqe *f);

#endif
