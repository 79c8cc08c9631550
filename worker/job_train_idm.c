/* train_idm: one member of an inverse dynamics model, published as a model. */
#include <stdlib.h>
#include <string.h>

#include "lib/store/results.h"
#include "worker/idm/idm.h"
#include "worker/keeper.h"
#include "worker/snapshot.h"

static json_t *training(const struct idm_metrics *m) {
  return json_pack("{s:I, s:I, s:I, s:i, s:i, s:b, s:f}", "train_transitions", (json_int_t)m->train_n, "pseudo_transitions",
                   (json_int_t)m->pseudo_n, "val_transitions", (json_int_t)m->val_n, "best_step", (int)m->best_step,
                   "steps", (int)m->steps, "val_by_transition", (int)m->val_by_transition, "seconds", m->seconds);
}

static json_t *judged(const struct idm_metrics *m, const struct idm_model *model) {
  if (idm_model_act_count(model)) return json_pack("{s:f, s:f}", "val_accuracy", m->val_accuracy, "val_cross_entropy", m->val_nll);
  const uint32_t act_dim = idm_model_act_dim(model);
  json_t *dims = json_array();
  for (uint32_t j = 0; j < act_dim; j++) json_array_append_new(dims, json_real(m->val_r2_dim[j]));
  return json_pack("{s:f, s:f, s:f, s:o}", "val_mse", m->val_mse, "val_r2", m->val_r2, "val_nll", m->val_nll, "val_r2_per_dim",
                   dims);
}

static enum px_status publish(struct job *job, const struct idm_model *model, const struct idm_metrics *metrics,
                              struct px_err *err) {
  struct px_buf bytes = PX_BUF(IDM_MODEL_BYTES_MAX);
  const char *const lineage[][2] = { { "dataset", spec_text(job->spec, "dataset") }, { "job", job->hold.job } };
  json_t *document = judged(metrics, model), *how = training(metrics);
  char *text = document && how && !json_object_update(document, how) ? json_dumps(document, JSON_COMPACT) : NULL;
  json_decref(how);
  json_decref(document);
  enum px_status status = text ? idm_model_save(model, lineage, 2, &bytes, err)
                               : px_fail(err, PX_E_NO_MEMORY, "reporting the training");
  if (!status)
    status = store_model_publish(job->store, &job->hold, spec_text(job->spec, "dataset"), "idm",
                                 idm_profile_name(idm_model_spec(model)->profile), bytes.data, bytes.len, text, err);
  free(text);
  px_buf_free(&bytes);
  return status;
}

enum px_status job_train_idm(struct job *job, struct px_err *err) {
  struct idm_spec spec;
  struct px_dataset *ds = NULL;
  struct idm_model *model = NULL;
  struct keeper keeper = { .job = NULL };
  struct idm_metrics *metrics = calloc(1, sizeof *metrics);
  if (!metrics) return px_fail(err, PX_E_NO_MEMORY, "train_idm");
  const uint32_t member = (uint32_t)spec_uint(job->spec, "member", 0);
  enum px_status status = idm_spec_read(json_object_get(job->spec, "idm"), &spec, err);
  if (!status && member >= spec.members)
    status = px_fail_at(err, PX_E_BAD_FIELD, "/spec/member", "member %u of an ensemble of %u", member, spec.members);
  if (!status) status = snapshot_visible(job, &ds, err);
  if (!status) status = keeper_open(&keeper, job, err);
  if (!status) status = idm_train_member(ds, &spec, member, &job->progress, &keeper.checkpoint, &model, metrics, err);
  if (status == PX_E_NAN_LOSS) keeper_explain(&keeper, err);
  keeper_close(&keeper);
  if (!status) status = publish(job, model, metrics, err);
  idm_model_free(model);
  px_dataset_free(ds);
  free(metrics);
  return status;
}
