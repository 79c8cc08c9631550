/* SPDX-License-Identifier: Apache-2.0 */
/* ope: off-policy evaluation, what a policy is worth from data alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/warn.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/flow/kinds.h"
#include "lib/rl/fqe.h"
#include "lib/store/jobs.h"
#include "lib/store/models.h"
#include "worker/jobs/checkpointer.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

enum { POLICY_BYTES_MAX = 512 << 20 };

/* How near a policy's actions are to true ones; errors in units of actions mapped to [-1, 1]. */
struct agreement {
  uint64_t n, equal;
  double squared, sum[PX_ACT_MAX], sum2[PX_ACT_MAX];
};

static void agree(const struct px_spaces *spaces, const float *ours, const float *theirs,
                  struct agreement *g) {
  g->n++;
  g->equal += spaces->act_count && ours[0] == theirs[0];
  for (uint32_t j = 0; j < spaces->act_dim; j++) {
    const double half = 0.5 * ((double)spaces->act_high[j] - (double)spaces->act_low[j]);
    const double x = (double)theirs[j] / half, off = (double)ours[j] / half - x;
    g->squared += off * off;
    g->sum[j] += x;
    g->sum2[j] += x * x;
  }
}

/* null where there is nothing to compare with. */
static json_t *agreement_document(const struct px_spaces *spaces, const struct agreement *g) {
  if (g->n == 0) return json_null();
  const double n = (double)g->n;
  if (spaces->act_count)
    return json_pack("{s:I, s:f}", "steps", (json_int_t)g->n, "accuracy", (double)g->equal / n);
  double variance = 0;
  for (uint32_t j = 0; j < spaces->act_dim; j++) variance += g->sum2[j] - g->sum[j] * g->sum[j] / n;
  json_t *out =
    json_pack("{s:I, s:f}", "steps", (json_int_t)g->n, "mse", g->squared / n / spaces->act_dim);
  if (variance > 0) json_object_set_new(out, "r2", json_real(1 - g->squared / variance));
  return out;
}

/* All true actions, the hidden ones too: to compare with, and for nothing else. */
struct truth {
  float *actions;
  uint8_t *labelled;
};

/* True actions that the mask hides are held out: the policy did not learn from them. Of those kept,
 * and of all without a mask, it may have seen each. */
static json_t *agreements(const struct px_dataset *ds, const struct truth *truth,
                          const float *actions) {
  struct agreement *parts = px_mem_calloc(2, sizeof *parts);
  const size_t a = ds->spaces.act_dim;
  if (!parts) return NULL;
  for (uint32_t i = 0; i < ds->traj_n; i++)
    for (uint64_t t = 0; t < ds->step_start[i + 1] - ds->step_start[i]; t++) {
      const uint64_t step = ds->step_start[i] + t;
      if (truth->labelled[step])
        agree(&ds->spaces, actions + (ds->obs_start[i] + t) * a, truth->actions + step * a,
              &parts[ds->labelled[step]]);
    }
  json_t *out = json_pack("{s:o, s:o}", "held_out", agreement_document(&ds->spaces, &parts[0]),
                          "seen", agreement_document(&ds->spaces, &parts[1]));
  free(parts);
  return out;
}

/* What the data itself earned, discounted, as far as it was recorded. */
static json_t *behaviour_document(const struct px_dataset *ds, double gamma, double *scratch,
                                  json_t *result) {
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    scratch[i] = 0;
    for (uint64_t step = ds->step_start[i + 1]; step > ds->step_start[i]; step--)
      scratch[i] = (double)ds->rewards[step - 1] + gamma * scratch[i];
  }
  double mean;
  json_t *ci95 =
    figures_interval(scratch, ds->traj_n, "behaviour_value", "trajectories", result, &mean);
  return json_pack("{s:o, s:o}", "mean", px_json_number(mean), "ci95", ci95);
}

struct evaluation {
  struct px_dataset *ds; /* as the policy's training could see it */
  struct truth truth;
  struct rl_policy *policy;
  float *actions; /* [obs_n, A] the policy's at every observation */
  float *values;  /* [traj_n] */
  double *scratch;
  json_t *result;
};

static enum px_status check_dims(const struct rl_policy *policy, const struct px_spaces *spaces,
                                 struct px_err *err) {
  if (rl_policy_obs_dim(policy) == spaces->obs_dim &&
      rl_policy_act_dim(policy) == spaces->act_dim &&
      rl_policy_act_count(policy) == spaces->act_count)
    return PX_OK;
  return px_fail_at(
    err, PX_E_BAD_FIELD, "/spec/model",
    "the policy takes %u observation and %u action dimensions, the dataset has %u and %u",
    rl_policy_obs_dim(policy), rl_policy_act_dim(policy), spaces->obs_dim, spaces->act_dim);
}

/* The snapshot with what the mask hides set aside. */
static enum px_status load_data(struct job *job, struct evaluation *a, struct px_err *err) {
  uint8_t *keep = NULL;
  enum px_status status = job_inputs_truth(job, &a->ds, err);
  if (status) return status;
  const size_t numbers = a->ds->steps_n * a->ds->spaces.act_dim;
  a->truth.actions = px_mem_calloc(numbers, sizeof *a->truth.actions);
  a->truth.labelled = px_mem_calloc(a->ds->steps_n, 1);
  if (!a->truth.actions || !a->truth.labelled)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the true actions");
  memcpy(a->truth.actions, a->ds->actions, numbers * sizeof *a->truth.actions);
  memcpy(a->truth.labelled, a->ds->labelled, a->ds->steps_n);
  status = job_inputs_keep(job, a->ds, &keep, err);
  if (!status) px_dataset_hide(a->ds, keep);
  free(keep);
  return status;
}

static enum px_status load(struct job *job, struct evaluation *a, struct px_err *err) {
  struct px_buf bytes = PX_BUF(POLICY_BYTES_MAX);
  enum px_status status =
    store_model_read(job->store, job_spec_text(job->spec, "model"), &bytes, err);
  if (!status) status = rl_policy_load(bytes.data, bytes.len, &a->policy, err);
  px_buf_free(&bytes);
  if (!status) status = load_data(job, a, err);
  if (!status) status = check_dims(a->policy, &a->ds->spaces, err);
  if (status) return status;
  a->actions = px_mem_calloc(a->ds->obs_n, sizeof(float) * a->ds->spaces.act_dim);
  a->values = px_mem_calloc(a->ds->traj_n, sizeof *a->values);
  a->scratch = px_mem_calloc(a->ds->traj_n, sizeof *a->scratch);
  return a->actions && a->values && a->scratch
           ? PX_OK
           : px_fail(err, PX_E_NO_MEMORY, "no memory for the policy's actions");
}

static json_t *values_document(struct evaluation *a, struct fqe_bounds bounds, const char *name) {
  const uint32_t n = a->ds->traj_n;
  for (uint32_t i = 0; i < n; i++) a->scratch[i] = (double)a->values[i];
  return figures_values(a->scratch, n, bounds, name, a->result);
}

/* The policy's own critic at the first states; null if it has none. Its discount is its own. */
static json_t *own_values(struct evaluation *a, const struct fqe_result *found) {
  const struct px_dataset *ds = a->ds;
  const double gamma = rl_policy_gamma(a->policy);
  for (uint32_t i = 0; i < ds->traj_n; i++)
    if (!rl_policy_value(a->policy, ds->observations + ds->obs_start[i] * ds->spaces.obs_dim, 1,
                         &a->values[i]))
      return json_null();
  return values_document(a, fqe_bounds(found, gamma), "initial_state_value");
}

/* An evaluation that diverged is no estimate either, and leaves the rest of the result as it
 * is. */
static json_t *diverged_document(struct evaluation *a, const struct px_err *err) {
  px_warn(a->result, PX_W_VALUE_REFUSED, "fqe is no estimate: %s", err->message);
  return json_pack("{s:n, s:n}", "mean", "ci95");
}

/* The values, none of which is told without rewards. */
static enum px_status evaluate_values(struct job *job, struct evaluation *a, struct px_err *err) {
  const json_t *spec = job->spec;
  struct fqe_spec fqe = { 0 };
  struct fqe_result found = { 0 };
  struct px_actions_merged *u = NULL;
  struct checkpointer checkpointer = { .job = NULL };
  enum px_status status =
    flow_bind(flow_kind_info(FLOW_OPE)->fields, job_spec_fqe, spec, &fqe, err);
  if (!status) status = job_inputs_merged(job, a->ds, job_spec_text(spec, "label_set"), &u, err);
  if (!status) status = checkpointer_open(&checkpointer, job, NULL, err);
  if (!status)
    status = fqe_run(&fqe, u, a->actions, &job->progress, &checkpointer.checkpoint, a->values,
                     &found, err);
  checkpointer_close(&checkpointer);
  px_actions_merged_free(u);
  if (status && status != PX_E_NAN_LOSS) return status;
  json_t *fqe_document =
    status ? diverged_document(a, err) : values_document(a, fqe_bounds(&found, fqe.gamma), "fqe");
  json_object_set_new(fqe_document, "td_rms", status ? json_null() : px_json_number(found.td_rms));
  json_object_set_new(fqe_document, "transitions", json_integer(found.transitions_n));
  json_object_set_new(a->result, "fqe", fqe_document);
  json_object_set_new(a->result, "initial_state_value", own_values(a, &found));
  json_object_set_new(a->result, "behaviour_value",
                      behaviour_document(a->ds, fqe.gamma, a->scratch, a->result));
  json_object_set_new(a->result, "gamma", json_real(fqe.gamma));
  return PX_OK;
}

static enum px_status evaluate(struct job *job, struct evaluation *a, struct px_err *err) {
  enum px_status status = PX_OK;
  json_object_set_new(a->result, "action_agreement", agreements(a->ds, &a->truth, a->actions));
  if (px_dataset_has_returns(a->ds)) status = evaluate_values(job, a, err);
  else
    px_warn(a->result, PX_W_NO_REWARDS,
            "%u of the %u trajectories have no rewards: there is no fqe and no other value",
            a->ds->unrewarded_n, a->ds->traj_n);
  if (!status) px_warn_none(a->result);
  return status;
}

enum px_status job_ope(struct job *job, struct px_err *err) {
  struct evaluation a = { .result = json_object() };
  char *text = NULL;
  enum px_status status = load(job, &a, err);
  if (!status) status = rl_policy_along(a.policy, a.ds, &job->progress, a.actions, err);
  if (!status) status = evaluate(job, &a, err);
  if (!status && !(text = px_json_dumps(a.result, JSON_COMPACT)))
    status = px_fail(err, PX_E_NO_MEMORY, "reporting the evaluation");
  if (!status) status = store_job_succeed(job->store, &job->hold, text, err);
  json_decref(a.result);
  free(text);
  free(a.truth.actions);
  free(a.truth.labelled);
  free(a.actions);
  free(a.values);
  free(a.scratch);
  rl_policy_free(a.policy);
  px_dataset_free(a.ds);
  return status;
}
