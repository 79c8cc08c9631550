/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rollouts: a policy's return over N episodes of an environment, with a
 * confidence interval. Used by evaluation jobs, benchmarks and tests.
 *
 * Up to `lanes` episodes run side by side, so that a policy answers many
 * observations with one matrix product. An episode's start depends on (seed,
 * episode) alone; so the result is the same for every number of lanes as long
 * as the policy's answer to a row does not depend on the other rows, and is
 * always the same for the same seed and number of lanes.
 *
 * Runs on the caller's thread; owns nothing after it returns but the result.
 */
#ifndef PX_ENV_ROLLOUT_H
#define PX_ENV_ROLLOUT_H

#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "worker/env/env.h"

enum { PX_ROLLOUT_LANES_MAX = 256, PX_ROLLOUT_EPISODES_MAX = 100000 };

/* What the policy sees in one call: `n` running episodes, in order of lane.
 * A policy with memory keeps it per lane and forgets it where step is 0. */
struct px_rollout_view {
  uint32_t n;
  const float *obs;        /* [n, O] */
  const uint32_t *lane;    /* [n] below `lanes` */
  const uint32_t *episode; /* [n] with step the key for a stochastic policy's random numbers */
  const uint32_t *step;    /* [n] 0 at the start of an episode */
  const double *reward;    /* [n] of the step before; 0 where step is 0 */
};

struct px_rollout_policy {
  void *ctx;
  /* Fills actions[n, A]; anything beyond the range is clipped by the environment. */
  enum px_status (*act)(void *ctx, const struct px_rollout_view *view, float *actions,
                        struct px_err *err);
};

struct px_rollout_spec {
  const char *env;   /* px_env_find knows the names */
  uint32_t episodes; /* 1 .. PX_ROLLOUT_EPISODES_MAX */
  uint32_t lanes;    /* 1 .. PX_ROLLOUT_LANES_MAX; more than `episodes` is no use */
  uint64_t seed;
  double gamma; /* discount of discounted_mean; 0 stands for 1 */
};

struct px_rollout_result {
  uint32_t episodes;
  double *returns;   /* [episodes] */
  uint32_t *lengths; /* [episodes] in steps */
  uint64_t steps;    /* in all */
  double return_mean, length_mean;
  /* mean of sum_t gamma^t r_t: what an estimate from data is compared with */
  double discounted_mean;
  double return_ci95[2]; /* see px_rollout_ci95 */
  double score_mean;     /* px_env_score of return_mean; show score_note beside it */
};

/* Reports phase "evaluate", episodes finished of all, with the metrics
 * return_mean (so far) and steps. BAD_FIELD for a bad spec; otherwise what the
 * environment, the policy or the progress returned. */
enum px_status px_rollout_run(const struct px_rollout_spec *spec,
                              const struct px_rollout_policy *policy,
                              const struct px_progress *progress, struct px_rollout_result *out,
                              struct px_err *err) PX_MUST_CHECK;
void px_rollout_free(struct px_rollout_result *result);

/* The 95% interval of the mean of x[n] by Student's t: mean -+ t(0.975, n - 1)
 * s / sqrt(n), s with n - 1. It takes the episodes as independent draws, and
 * the mean as normal, which 10 and more bounded returns come close to. Both
 * ends are the mean itself for n = 1: one episode says nothing about spread. */
void px_rollout_ci95(const double *x, uint32_t n, double *mean, double ci95[2]);

#endif
