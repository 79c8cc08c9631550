/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts: see rollout.h. */
#include "worker/env/rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"

enum { REPORT_EVERY_MS = 250 };

/* P(|T| < t) of Student's t with `dof` degrees of freedom, in closed form:
 * Abramowitz and Stegun 26.7.3 (odd) and 26.7.4 (even). */
static double student_within(double t, uint32_t dof) {
  const double angle = atan(t / sqrt(dof)), c = cos(angle), s = sin(angle);
  double term = dof % 2 ? c : 1, sum = dof == 1 ? 0 : term;
  for (uint32_t k = dof % 2 ? 2 : 1; k + 1 < dof; k += 2) {
    term *= c * c * k / (k + 1.0);
    sum += term;
  }
  return dof % 2 ? 2 / M_PI * (angle + s * sum) : s * sum;
}

/* The t with P(|T| < t) = 0.95, by bisection: 12.7 for one degree of freedom is the largest. */
static double student_95(uint32_t dof) {
  double low = 1, high = 13;
  for (int i = 0; i < 60; i++) {
    const double middle = (low + high) / 2;
    if (student_within(middle, dof) < 0.95) low = middle;
    else high = middle;
  }
  return low;
}

void px_rollout_ci95(const double *x, uint32_t n, double *mean, double ci95[2]) {
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < n; i++) sum += x[i];
  *mean = sum / n;
  for (uint32_t i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  const double half = n < 2 ? 0 : student_95(n - 1) * sqrt(squares / (n - 1.0) / n);
  ci95[0] = *mean - half;
  ci95[1] = *mean + half;
}

/* One episode at a time runs in a lane. */
struct lane {
  struct px_env *env; /* owned; NULL once there is no episode left for it */
  uint32_t episode, step;
  double reward, total, discounted, discount; /* discount: gamma^step */
  float obs[PX_ENV_OBS_MAX];
};

struct rollout {
  const struct px_rollout_spec *spec;
  const struct px_env_info *info;
  struct px_rollout_result *result;
  uint32_t lanes_n, started, finished;
  double finished_return, finished_discounted, gamma;
  struct lane *lanes; /* [lanes_n] */
  /* What the policy is shown and answers, [lanes_n] each. */
  uint32_t *lane, *episode, *step;
  double *reward;
  float *obs, *actions;
};

static enum px_status start_episode(struct rollout *run, struct lane *lane, struct px_err *err) {
  lane->episode = run->started++;
  lane->step = 0;
  lane->reward = lane->total = lane->discounted = 0;
  lane->discount = 1;
  return px_env_reset(lane->env, run->spec->seed, lane->episode, lane->obs, err);
}

static enum px_status open_lanes(struct rollout *run, struct px_err *err) {
  for (uint32_t i = 0; i < run->lanes_n; i++) {
    enum px_status status = px_env_open(run->spec->env, &run->lanes[i].env, err);
    if (!status) status = start_episode(run, &run->lanes[i], err);
    if (status) return status;
  }
  return PX_OK;
}

static struct px_rollout_view gather(struct rollout *run) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < run->lanes_n; i++) {
    const struct lane *lane = &run->lanes[i];
    if (!lane->env) continue;
    run->lane[n] = i;
    run->episode[n] = lane->episode;
    run->step[n] = lane->step;
    run->reward[n] = lane->reward;
    memcpy(run->obs + (size_t)n * run->info->obs_dim, lane->obs,
           run->info->obs_dim * sizeof *lane->obs);
    n++;
  }
  return (struct px_rollout_view){ n, run->obs, run->lane, run->episode, run->step, run->reward };
}

static enum px_status step_lane(struct rollout *run, struct lane *lane, const float *action,
                                struct px_err *err) {
  struct px_env_step step;
  const enum px_status status = px_env_step(lane->env, action, lane->obs, &step, err);
  if (status) return status;
  lane->step++;
  lane->reward = step.reward;
  lane->total += step.reward;
  lane->discounted += lane->discount * step.reward;
  lane->discount *= run->gamma;
  run->result->steps++;
  if (!step.terminated && !step.truncated) return PX_OK;
  run->result->returns[lane->episode] = lane->total;
  run->result->lengths[lane->episode] = lane->step;
  run->finished++;
  run->finished_return += lane->total;
  run->finished_discounted += lane->discounted;
  if (run->started < run->spec->episodes) return start_episode(run, lane, err);
  px_env_close(lane->env);
  lane->env = NULL;
  return PX_OK;
}

static enum px_status report(const struct rollout *run, const struct px_progress *progress) {
  const struct px_metric metrics[] = {
    { "steps", (double)run->result->steps },
    { "return_mean", run->finished ? run->finished_return / run->finished : 0 },
  };
  return px_progress_report(progress, "evaluate", run->finished, run->spec->episodes, metrics,
                            run->finished ? 2 : 1);
}

static enum px_status run_episodes(struct rollout *run, const struct px_rollout_policy *policy,
                                   const struct px_progress *progress, struct px_err *err) {
  int64_t reported_ms = px_clock_ms();
  enum px_status status = report(run, progress);
  while (!status && run->finished < run->spec->episodes) {
    const struct px_rollout_view view = gather(run);
    status = policy->act(policy->ctx, &view, run->actions, err);
    for (uint32_t i = 0; i < view.n && !status; i++)
      status = step_lane(run, &run->lanes[view.lane[i]],
                         run->actions + (size_t)i * run->info->act_dim, err);
    if (!status && px_clock_ms() - reported_ms >= REPORT_EVERY_MS) {
      reported_ms = px_clock_ms();
      status = report(run, progress);
    }
  }
  return status ? status : report(run, progress);
}

static bool allocate(struct rollout *run) {
  const uint32_t n = run->lanes_n, episodes = run->spec->episodes;
  run->lanes = px_mem_calloc(n, sizeof *run->lanes);
  run->lane = px_mem_calloc(n, sizeof *run->lane);
  run->episode = px_mem_calloc(n, sizeof *run->episode);
  run->step = px_mem_calloc(n, sizeof *run->step);
  run->reward = px_mem_calloc(n, sizeof *run->reward);
  run->obs = px_mem_calloc(n, run->info->obs_dim * sizeof *run->obs);
  run->actions = px_mem_calloc(n, run->info->act_dim * sizeof *run->actions);
  run->result->returns = px_mem_calloc(episodes, sizeof *run->result->returns);
  run->result->lengths = px_mem_calloc(episodes, sizeof *run->result->lengths);
  return run->lanes && run->lane && run->episode && run->step && run->reward && run->obs &&
         run->actions && run->result->returns && run->result->lengths;
}

static void summarise(struct rollout *run) {
  struct px_rollout_result *result = run->result;
  result->episodes = run->spec->episodes;
  px_rollout_ci95(result->returns, result->episodes, &result->return_mean, result->return_ci95);
  result->discounted_mean = run->finished_discounted / result->episodes;
  result->length_mean = (double)result->steps / result->episodes;
  result->score_mean = px_env_score(run->info, result->return_mean);
}

static enum px_status check_spec(const struct px_rollout_spec *spec,
                                 const struct px_env_info **info, struct px_err *err) {
  if (spec->episodes < 1 || spec->episodes > PX_ROLLOUT_EPISODES_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "/episodes", "episodes is %u, not in 1 .. %d",
                      spec->episodes, PX_ROLLOUT_EPISODES_MAX);
  if (spec->lanes < 1 || spec->lanes > PX_ROLLOUT_LANES_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "/lanes", "lanes is %u, not in 1 .. %d", spec->lanes,
                      PX_ROLLOUT_LANES_MAX);
  return px_env_find(spec->env, info, err);
}

enum px_status px_rollout_run(const struct px_rollout_spec *spec,
                              const struct px_rollout_policy *policy,
                              const struct px_progress *progress, struct px_rollout_result *out,
                              struct px_err *err) {
  struct px_rollout_result result = { 0 };
  struct rollout run = { .spec = spec,
                         .result = &result,
                         .gamma = spec->gamma > 0 ? spec->gamma : 1 };
  enum px_status status = check_spec(spec, &run.info, err);
  if (status) return status;
  run.lanes_n = spec->lanes < spec->episodes ? spec->lanes : spec->episodes;
  if (!allocate(&run))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for %u episodes", spec->episodes);
  if (!status) status = open_lanes(&run, err);
  if (!status) status = run_episodes(&run, policy, progress, err);
  if (!status) {
    summarise(&run);
    *out = result;
    result = (struct px_rollout_result){ 0 };
  }
  for (uint32_t i = 0; run.lanes && i < run.lanes_n; i++) px_env_close(run.lanes[i].env);
  free(run.lanes);
  free(run.lane);
  free(run.episode);
  free(run.step);
  free(run.reward);
  free(run.obs);
  free(run.actions);
  px_rollout_free(&result);
  return status;
}

void px_rollout_free(struct px_rollout_result *result) {
  free(result->returns);
  free(result->lengths);
  *result = (struct px_rollout_result){ 0 };
}
