/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate: a policy's return in its simulator. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/warn.h"
#include "lib/flow/envs.h"
#include "lib/rl/rl.h"
#include "lib/store/jobs.h"
#include "lib/store/models.h"
#include "worker/env/sensitivity.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

enum { POLICY_BYTES_MAX = 512 << 20, LANES = 16 };

static enum px_status act(void *ctx, const struct px_rollout_view *view, float *actions,
                          struct px_err *err) {
  (void)err;
  rl_player_act(ctx, &(struct rl_view){ view->n, view->obs, view->lane, view->step, view->reward },
                actions);
  return PX_OK;
}

static enum px_status check_dims(const struct rl_policy *policy, const struct px_env_info *info,
                                 struct px_err *err) {
  const struct flow_dims dims = { rl_policy_obs_dim(policy), rl_policy_act_dim(policy),
                                  rl_policy_act_count(policy) };
  return flow_env_check(info->name, &dims, "the policy", "/spec/env", err);
}

/* What small changes of its actions cost the policy, in normalised score. */
static json_t *sensitivity_document(const struct px_sensitivity *s, uint32_t act_dim) {
  json_t *offset = json_array();
  for (uint32_t j = 0; j < act_dim; j++)
    json_array_append_new(offset, px_json_number(s->offset[j]));
  return json_pack("{s:i, s:f, s:f, s:{s:o, s:f, s:f, s:f}}", "episodes", (int)s->episodes, "size",
                   PX_SENSITIVITY_SIZE, "normalized", s->score, "drop", "offset_per_dim", offset,
                   "scale_down", s->less, "scale_up", s->more, "noise", s->noise);
}

/* target: the return that the policy aimed at; NULL: it aims at none. sensitivity NULL: not asked
 * for. */
static char *result_text(const struct px_rollout_result *r, const struct px_env_info *env,
                         double gamma, const double *target,
                         const struct px_sensitivity *sensitivity) {
  json_t *returns = json_array();
  for (uint32_t i = 0; i < r->episodes; i++)
    json_array_append_new(returns, json_real(r->returns[i]));
  json_t *document = json_object();
  double mean;
  px_warn_none(document);
  json_t *ci95 =
    figures_interval(r->returns, r->episodes, "return_mean", "episodes", document, &mean);
  json_t *figures =
    json_pack("{s:s, s:i, s:f, s:o, s:f, s:f, s:f, s:f, s:I, s:o, s:s}", "env", env->name,
              "episodes", (int)r->episodes, "return_mean", mean, "return_ci95", ci95, "normalized",
              r->score_mean, "discounted_return_mean", r->discounted_mean, "gamma", gamma,
              "length_mean", r->length_mean, "steps", (json_int_t)r->steps, "returns", returns,
              "note", env->score_note);
  json_object_update(document, figures);
  json_decref(figures);
  if (target) json_object_set_new(document, "target_return", json_real(*target));
  if (sensitivity)
    json_object_set_new(document, "sensitivity", sensitivity_document(sensitivity, env->act_dim));
  char *text = px_json_dumps(document, JSON_COMPACT);
  json_decref(document);
  return text;
}

enum px_status job_evaluate(struct job *job, struct px_err *err) {
  const struct px_env_info *env = NULL;
  struct px_buf bytes = PX_BUF(POLICY_BYTES_MAX);
  struct rl_policy *policy = NULL;
  struct rl_player *player = NULL;
  struct px_rollout_result result = { .episodes = 0 };
  char *text = NULL;
  enum px_status status =
    store_model_read(job->store, job_spec_text(job->spec, "model"), &bytes, err);
  if (!status) status = rl_policy_load(bytes.data, bytes.len, &policy, err);
  if (!status) status = px_env_find(job_spec_text(job->spec, "env"), &env, err);
  if (!status) status = check_dims(policy, env, err);
  const uint32_t episodes = (uint32_t)job_spec_uint(job->spec, "episodes", 0);
  const struct px_rollout_spec spec = { .env = env ? env->name : "",
                                        .episodes = episodes,
                                        .lanes = episodes < LANES ? episodes : LANES,
                                        .seed = job_spec_uint(job->spec, "seed", 0),
                                        .gamma = job_spec_number(job->spec, "gamma", 0) };
  const json_t *given = json_object_get(job->spec, "target_return");
  double target = json_number_value(given);
  if (!status) status = rl_player_new(policy, spec.lanes, given ? &target : NULL, &player, err);
  if (!status)
    status = px_rollout_run(&spec, &(struct px_rollout_policy){ player, act }, &job->progress,
                            &result, err);
  const bool sensitive = json_is_true(json_object_get(job->spec, "sensitivity"));
  struct px_sensitivity found;
  if (!status && sensitive)
    status = px_sensitivity_run(&spec, &(struct px_rollout_policy){ player, act }, result.returns,
                                &job->progress, &found, err);
  const bool aims = !status && (given || rl_policy_target(policy, &target));
  if (!status && !(text = result_text(&result, env, spec.gamma, aims ? &target : NULL,
                                      sensitive ? &found : NULL)))
    status = px_fail(err, PX_E_NO_MEMORY, "reporting the evaluation");
  if (!status) status = store_job_succeed(job->store, &job->hold, text, err);
  free(text);
  px_rollout_free(&result);
  rl_player_free(player);
  rl_policy_free(policy);
  px_buf_free(&bytes);
  return status;
}
