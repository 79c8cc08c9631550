/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy's return loses when its actions are changed a little, always in
 * the same way or at random: what errors of proxy labels of that size would cost
 * a policy that repeats them. Used by evaluation jobs. Nothing is owned.
 *
 * Changes, in actions mapped to (-1, 1): one dimension + 0.05; all dimensions
 * times 0.9 and times 1.1; all plus independent normal noise of deviation 0.05,
 * a function of (seed, episode, step). For continuous actions alone. Each is
 * played over the same first episodes as the policy itself.
 */
#ifndef PX_ENV_SENSITIVITY_H
#define PX_ENV_SENSITIVITY_H

#include "lib/base/fail.h"
#include "worker/env/rollout.h"

enum { PX_SENSITIVITY_EPISODES = 10 }; /* at most */
#define PX_SENSITIVITY_SIZE 0.05
#define PX_SENSITIVITY_LESS 0.9
#define PX_SENSITIVITY_MORE 1.1

/* Drops: the normalised score (px_env_score) without the change less that with it. */
struct px_sensitivity {
  uint32_t episodes;
  double score; /* without, over these episodes */
  double offset[PX_ENV_ACT_MAX], less, more, noise;
};

/* returns[spec->episodes] are the policy's own, by px_rollout_run with this spec. BAD_FIELD where
 * actions are discrete; else as px_rollout_run. */
enum px_status px_sensitivity_run(const struct px_rollout_spec *spec,
                                  const struct px_rollout_policy *policy, const double *returns,
                                  const struct px_progress *progress, struct px_sensitivity *out,
                                  struct px_err *err) PX_MUST_CHECK;

#endif
