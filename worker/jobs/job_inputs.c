/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs read from the store: see job_inputs.h. */
#include "worker/jobs/job_inputs.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/mask.h"
#include "lib/store/datasets.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "worker/jobs/job_spec.h"
#include "worker/sim/net.h"

enum { RESULT_MAX = 4 << 20 };

struct loading {
  struct job *job;
  struct px_dataset_builder *builder;
  uint32_t done, count;
};

static enum px_status take_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                   struct px_err *err) {
  (void)seq;
  struct loading *l = ctx;
  const enum px_status status = px_dataset_builder_segment(l->builder, bytes, n, err);
  if (status) return status;
  return px_progress_report(&l->job->progress, "load", ++l->done, l->count, NULL, 0);
}

int64_t job_inputs_version(const struct job *job) {
  return (int64_t)job_spec_uint(job->spec, "dataset_version", STORE_VERSION_NOW);
}

enum px_status job_inputs_segments(struct job *job, uint32_t first, uint32_t count,
                                   struct px_dataset **out, struct px_err *err) {
  struct store_dataset *about = malloc(sizeof *about);
  if (!about) return px_fail(err, PX_E_NO_MEMORY, "loading the dataset");
  enum px_status status =
    store_dataset_get(job->store, job_spec_text(job->spec, "dataset"), about, err);
  struct loading l = { .job = job, .count = count };
  if (!status && !(l.builder = px_dataset_builder_new(&about->spaces)))
    status = px_fail(err, PX_E_NO_MEMORY, "loading the dataset");
  if (!status)
    status = store_dataset_segment_read(job->store,
                                        &(struct store_segment_range){ about->id, first, count,
                                                                       job_inputs_version(job) },
                                        take_segment, &l, err);
  if (!status) status = px_dataset_builder_end(l.builder, out, err);
  if (!status) l.builder = NULL; /* which is freed */
  px_dataset_builder_free(l.builder);
  free(about);
  return status;
}

enum px_status job_inputs_truth(struct job *job, struct px_dataset **out, struct px_err *err) {
  return job_inputs_segments(job, 0, (uint32_t)job_spec_uint(job->spec, "segments", 0), out, err);
}

static bool has_any_label(const struct px_dataset *ds, uint32_t traj) {
  const uint64_t from = ds->step_start[traj], n = ds->step_start[traj + 1] - from;
  return memchr(ds->labelled + from, 1, n) != NULL;
}

enum px_status job_inputs_keep(const struct job *job, const struct px_dataset *ds, uint8_t **keep,
                               struct px_err *err) {
  const struct px_mask mask = px_mask_from_json(json_object_get(job->spec, "mask"));
  uint8_t *chosen = px_mem_calloc(ds->traj_n, 1), *has_labels = px_mem_calloc(ds->traj_n, 1);
  double *returns = px_mem_calloc(ds->traj_n, sizeof *returns);
  enum px_status status =
    chosen && has_labels && returns ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "choosing what to hide");
  for (uint32_t i = 0; !status && i < ds->traj_n; i++) {
    returns[i] = px_dataset_return(ds, i);
    has_labels[i] = has_any_label(ds, i);
  }
  if (!status) status = px_mask_choose(&mask, returns, has_labels, ds->traj_n, chosen, err);
  free(returns);
  free(has_labels);
  if (status) free(chosen);
  else *keep = chosen;
  return status;
}

enum px_status job_inputs_visible(struct job *job, struct px_dataset **out, struct px_err *err) {
  struct px_dataset *ds = NULL;
  uint8_t *keep = NULL;
  enum px_status status = job_inputs_truth(job, &ds, err);
  if (!status) status = job_inputs_keep(job, ds, &keep, err);
  if (!status) {
    px_dataset_hide(ds, keep);
    *out = ds;
    ds = NULL;
  }
  free(keep);
  px_dataset_free(ds);
  return status;
}

enum px_status job_inputs_states(struct job *job, struct px_dataset **out, struct px_err *err) {
  struct px_dataset *ds = NULL;
  enum px_status status = job_inputs_truth(job, &ds, err);
  uint8_t *none = status ? NULL : px_mem_calloc(ds->traj_n, 1);
  if (!status && !none) status = px_fail(err, PX_E_NO_MEMORY, "no memory to hide actions");
  if (status) {
    px_dataset_free(ds);
    return status;
  }
  px_dataset_hide(ds, none);
  free(none);
  *out = ds;
  return PX_OK;
}

static enum px_status take_labels(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                  struct px_err *err) {
  return px_actions_merged_add(ctx, seq, bytes, n, err);
}

enum px_status job_inputs_merged(struct job *job, const struct px_dataset *ds,
                                 const char *label_set, struct px_actions_merged **out,
                                 struct px_err *err) {
  struct px_actions_merged *u = NULL;
  enum px_status status = px_actions_merged_new(ds, &u, err);
  if (!status && label_set)
    status = store_label_read(job->store, label_set, 0, ds->segments_n, take_labels, u, err);
  if (status) px_actions_merged_free(u);
  else *out = u;
  return status;
}

enum px_status job_inputs_result(struct job *job, const char *id, json_t **out,
                                 struct px_err *err) {
  struct px_buf text = PX_BUF(RESULT_MAX);
  enum px_status status = store_job_result(job->store, id, &text, err);
  json_t *result = status ? NULL : px_json_parse(text.data, text.len, 0, NULL);
  px_buf_free(&text);
  if (!status && !result)
    status = px_fail(err, PX_E_INTERNAL, "the result of %s does not parse", id);
  *out = result;
  return status;
}

enum px_status job_inputs_idm(struct job *job, struct job_inputs_idm *out, struct px_err *err) {
  struct job_inputs_idm idm = { .n = 0 };
  enum px_status status = PX_OK;
  size_t i;
  json_t *id;
  json_array_foreach(json_object_get(job->spec, "models"), i, id) {
    struct px_buf bytes = PX_BUF(IDM_MODEL_BYTES_MAX);
    status = store_model_read(job->store, json_string_value(id), &bytes, err);
    if (!status) status = idm_model_load(bytes.data, bytes.len, &idm.models[idm.n], err);
    px_buf_free(&bytes);
    if (status) break;
    idm.n++;
  }
  if (status) job_inputs_idm_free(&idm);
  else *out = idm;
  return status;
}

enum px_status job_inputs_inverse(struct job *job, struct sim_net **out, struct px_err *err) {
  const char *id = job_spec_text(job->spec, "inverse");
  struct px_buf bytes = PX_BUF(SIM_NET_BYTES_MAX);
  if (!id) return PX_OK;
  enum px_status status = store_model_read(job->store, id, &bytes, err);
  if (!status) status = sim_net_load(bytes.data, bytes.len, out, err);
  px_buf_free(&bytes);
  return status;
}

void job_inputs_idm_free(struct job_inputs_idm *idm) {
  for (uint32_t i = 0; i < idm->n; i++) idm_model_free(idm->models[i]);
  idm->n = 0;
}
