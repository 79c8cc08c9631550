/* SPDX-License-Identifier: Apache-2.0 */
/* train_idm: one member of an inverse dynamics model, published as a model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/idm/judge.h"
#include "lib/store/models.h"
#include "worker/jobs/checkpointer.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

static json_t *training(const struct idm_metrics *m) {
  return json_pack("{s:I, s:I, s:I, s:i, s:i, s:b, s:f}", "train_transitions",
                   (json_int_t)m->train_n, "pseudo_transitions", (json_int_t)m->pseudo_n,
                   "val_transitions", (json_int_t)m->val_n, "best_step", (int)m->best_step, "steps",
                   (int)m->steps, "val_by_transition", (int)m->val_by_transition, "seconds",
                   m->seconds);
}

static json_t *judged(const struct idm_metrics *m, const struct idm_model *model) {
  if (idm_model_act_count(model))
    return json_pack("{s:f, s:o}", "val_accuracy", m->val_accuracy, "val_cross_entropy",
                     px_json_number(m->val_nll));
  const uint32_t act_dim = idm_model_act_dim(model);
  json_t *dims = json_array();
  for (uint32_t j = 0; j < act_dim; j++)
    json_array_append_new(dims, px_json_number(m->val_r2_dim[j]));
  return json_pack("{s:o, s:o, s:o, s:o}", "val_mse", px_json_number(m->val_mse), "val_r2",
                   px_json_number(m->val_r2), "val_nll", px_json_number(m->val_nll),
                   "val_r2_per_dim", dims);
}

/* ---- what is doubtful */

static void warn_few(const struct idm_metrics *m, json_t *document) {
  if (m->val_n >= FIGURES_FEW_TRANSITIONS) return;
  json_t *found =
    px_warn(document, PX_W_FEW_VALIDATION,
            "the member's figures are over %llu held-out transition%s%s",
            (unsigned long long)m->val_n, m->val_n == 1 ? "" : "s",
            m->val_by_transition ? ", of trajectories that it also learned from" : "");
  px_warn_figure(found, "transitions", (double)m->val_n);
}

static void warn_lag(const struct idm_spec *spec, const struct idm_lag *lag, json_t *document) {
  if (!lag->found) return;
  const int d = lag->found, n = abs(d);
  const double own = lag->share[IDM_LAG_MAX], share = lag->share[d + IDM_LAG_MAX];
  json_t *found =
    px_warn(document, PX_W_LABELS_LAG,
            "the change from observations[t] to observations[t + 1] tells of actions[t %c %d]"
            " (%.2f of it), not of actions[t] (%.2f): actions %s %d step%s %s",
            d > 0 ? '+' : '-', n, share, fmax(own, 0), d > 0 ? "are recorded" : "show", n,
            n == 1 ? "" : "s", d > 0 ? "late" : "later than they are recorded");
  px_warn_figure(found, "lag", d);
  px_warn_figure(found, "share", share);
  px_warn_figure(found, "share_at_own_step", own);
  if (d < 0 && spec->f < (uint32_t)n)
    px_warn_hint(found,
                 "Shift the actions so that actions[t] is what leads from observations[t] to "
                 "observations[t + 1]; or, if the"
                 " robot answers late, let the model look ahead: idm.f of at least the lag.");
}

static void warn_constant(const struct px_dataset *ds, json_t *document) {
  char list[128] = "";
  const size_t dims = ds->spaces.obs_dim;
  uint32_t constant = 0;
  for (size_t j = 0; j < dims; j++) {
    uint64_t row = 1;
    while (row < ds->obs_n && ds->observations[row * dims + j] == ds->observations[j]) row++;
    if (row < ds->obs_n) continue;
    const size_t used = strlen(list);
    if (constant++ < 10) snprintf(list + used, sizeof list - used, "%s%zu", used ? ", " : "", j);
  }
  if (!constant) return;
  json_t *found = px_warn(document, PX_W_CONSTANT_OBSERVATIONS,
                          "%u of %zu observation columns never change: %s%s", constant, dims, list,
                          constant > 10 ? ", ..." : "");
  px_warn_figure(found, "columns", constant);
}

/* {transitions, idm, mean, ridge, nearest}: the errors of all, or how often they are right. */
static json_t *beside_baselines(const struct idm_judged *judged, bool discrete, json_t *document) {
  const enum idm_baseline best = idm_judge_best(judged->baselines, discrete);
  if (judged->idm.n == 0) return json_null();
  json_t *out = json_pack("{s:I, s:o}", "transitions", (json_int_t)judged->idm.n, "idm",
                          px_json_number(discrete ? judged->idm.accuracy : judged->idm.mse));
  for (int i = 0; i < IDM_BASELINES_N; i++)
    json_object_set_new(out, idm_baseline_name((enum idm_baseline)i, discrete),
                        px_json_number(discrete ? judged->baselines[i].accuracy
                                                : judged->baselines[i].mse));
  if (idm_judge_no_better(&judged->idm, &judged->baselines[best], discrete))
    figures_warn_no_better(&judged->idm, &judged->baselines[best],
                           idm_baseline_name(best, discrete), discrete, document);
  return out;
}

/* What concerns the data alone is said by the first member. */
static enum px_status doubts(struct job *job, const struct px_dataset *ds, struct idm_model *model,
                             const struct idm_metrics *metrics, json_t *document,
                             struct px_err *err) {
  struct idm_judged judged = { .idm = { .n = 0 } };
  struct idm_lag lag = { .found = 0 };
  const bool first = idm_model_member(model) == 0;
  px_warn_none(document);
  enum px_status status = idm_judge_member(model, ds, &job->progress, &judged, err);
  if (!status && first) status = idm_judge_lag(ds, &job->progress, &lag, err);
  if (status) return status;
  warn_few(metrics, document);
  json_object_set_new(document, "val_yardsticks",
                      beside_baselines(&judged, ds->spaces.act_count > 0, document));
  if (!first) return PX_OK;
  warn_lag(idm_model_spec(model), &lag, document);
  warn_constant(ds, document);
  return PX_OK;
}

static enum px_status publish(struct job *job, const struct px_dataset *ds, struct idm_model *model,
                              const struct idm_metrics *metrics, struct px_err *err) {
  struct px_buf bytes = PX_BUF(IDM_MODEL_BYTES_MAX);
  const char *const lineage[][2] = { { "dataset", job_spec_text(job->spec, "dataset") },
                                     { "job", job->hold.job } };
  json_t *document = judged(metrics, model), *how = training(metrics);
  enum px_status status = document && how && !json_object_update(document, how)
                            ? doubts(job, ds, model, metrics, document, err)
                            : PX_E_NO_MEMORY;
  char *text = status ? NULL : px_json_dumps(document, JSON_COMPACT);
  json_decref(how);
  json_decref(document);
  if (!status && !text) status = PX_E_NO_MEMORY;
  if (status == PX_E_NO_MEMORY) px_fail(err, status, "reporting the training");
  if (!status) status = idm_model_save(model, lineage, 2, &bytes, err);
  if (!status)
    status = store_model_publish(job->store, &job->hold, job_spec_text(job->spec, "dataset"), "idm",
                                 idm_profile_name(idm_model_spec(model)->profile), bytes.data,
                                 bytes.len, text, err);
  free(text);
  px_buf_free(&bytes);
  return status;
}

enum px_status job_train_idm(struct job *job, struct px_err *err) {
  struct idm_spec spec;
  struct px_dataset *ds = NULL;
  struct idm_model *model = NULL;
  struct checkpointer checkpointer = { .job = NULL };
  struct idm_metrics *metrics = calloc(1, sizeof *metrics);
  if (!metrics) return px_fail(err, PX_E_NO_MEMORY, "train_idm");
  const uint32_t member = (uint32_t)job_spec_uint(job->spec, "member", 0);
  enum px_status status = idm_spec_read(json_object_get(job->spec, "idm"), &spec, err);
  if (!status && member >= spec.members)
    status = px_fail_at(err, PX_E_BAD_FIELD, "/spec/member", "member %u of an ensemble of %u",
                        member, spec.members);
  if (!status) status = job_inputs_visible(job, &ds, err);
  if (!status) status = checkpointer_open(&checkpointer, job, NULL, err);
  if (!status)
    status = idm_train_member(ds, &spec, member, &job->progress, &checkpointer.checkpoint, &model,
                              metrics, err);
  if (status == PX_E_NAN_LOSS) checkpointer_explain(&checkpointer, err);
  checkpointer_close(&checkpointer);
  if (!status) status = publish(job, ds, model, metrics, err);
  idm_model_free(model);
  px_dataset_free(ds);
  free(metrics);
  return status;
}
