/* SPDX-License-Identifier: Apache-2.0 */
/* What small changes of actions cost: see sensitivity.h. */
#include "worker/env/sensitivity.h"

#include <math.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"

/* A policy whose actions are changed. */
struct changed {
  const struct px_rollout_policy *policy;
  const struct px_env_info *info;
  uint64_t seed;
  double offset[PX_ENV_ACT_MAX], factor, noise;
};

static enum px_status act(void *ctx, const struct px_rollout_view *view, float *actions,
                          struct px_err *err) {
  const struct changed *c = ctx;
  const size_t dims = c->info->act_dim;
  const double half = ((double)c->info->act_high - (double)c->info->act_low) / 2,
               middle = (double)c->info->act_low + half;
  const enum px_status status = c->policy->act(c->policy->ctx, view, actions, err);
  for (uint32_t i = 0; i < view->n && !status; i++) {
    float normal[PX_ENV_ACT_MAX];
    struct px_rng rng = px_rng_at(c->seed, px_rng_stream("sensitivity", view->episode[i]),
                                  4 * (uint64_t)view->step[i]);
    px_rng_normal(&rng, normal, dims);
    for (size_t j = 0; j < dims; j++) {
      const double a = fmin(fmax(((double)actions[i * dims + j] - middle) / half, -1), 1);
      actions[i * dims + j] =
        (float)(middle + half * (c->factor * a + c->offset[j] + c->noise * (double)normal[j]));
    }
  }
  return status;
}

static double score_of(const struct px_env_info *info, const double *returns, uint32_t n) {
  double mean, ci95[2];
  px_rollout_ci95(returns, n, &mean, ci95);
  return px_env_score(info, mean);
}

static enum px_status drop(struct changed *changed, const struct px_rollout_spec *spec,
                           double score, const struct px_progress *progress, double *out,
                           struct px_err *err) {
  struct px_rollout_result result;
  const enum px_status status =
    px_rollout_run(spec, &(struct px_rollout_policy){ changed, act }, progress, &result, err);
  if (status) return status;
  *out = score - result.score_mean;
  px_rollout_free(&result);
  return PX_OK;
}

enum px_status px_sensitivity_run(const struct px_rollout_spec *spec,
                                  const struct px_rollout_policy *policy, const double *returns,
                                  const struct px_progress *progress, struct px_sensitivity *out,
                                  struct px_err *err) {
  const struct px_env_info *info;
  struct px_rollout_spec few = *spec;
  enum px_status status = px_env_find(spec->env, &info, err);
  if (status) return status;
  if (info->act_count) {
    px_fail_at(err, PX_E_BAD_FIELD, "/sensitivity",
               "%s has discrete actions, which are not changed a little", info->name);
    px_fail_hint(err, "Leave sensitivity out.");
    return PX_E_BAD_FIELD;
  }
  if (few.episodes > PX_SENSITIVITY_EPISODES) few.episodes = PX_SENSITIVITY_EPISODES;
  struct px_sensitivity s = { .episodes = few.episodes,
                              .score = score_of(info, returns, few.episodes) };
  const struct changed plain = { .policy = policy, .info = info, .seed = spec->seed, .factor = 1 };
  for (uint32_t j = 0; j < info->act_dim && !status; j++) {
    struct changed c = plain;
    c.offset[j] = PX_SENSITIVITY_SIZE;
    status = drop(&c, &few, s.score, progress, &s.offset[j], err);
  }
  struct changed less = plain, more = plain, noisy = plain;
  less.factor = PX_SENSITIVITY_LESS;
  more.factor = PX_SENSITIVITY_MORE;
  noisy.noise = PX_SENSITIVITY_SIZE;
  if (!status) status = drop(&less, &few, s.score, progress, &s.less, err);
  if (!status) status = drop(&more, &few, s.score, progress, &s.more, err);
  if (!status) status = drop(&noisy, &few, s.score, progress, &s.noise, err);
  if (!status) *out = s;
  return status;
}
