/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label_shard: proxy actions for a range of segments, by inverse dynamics models. label: one
 * transaction that makes all shards' work visible at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/flow/labellers.h"
#include "lib/nn/mat.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/labels.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/staging.h"

struct shard {
  struct job *job;
  struct job_inputs_idm idm;
  char profile[STAGING_PROFILE_MAX];
};

/* How labels are computed (raise the number when that changes), and on what. */
static void label_profile(char out[STAGING_PROFILE_MAX]) {
  char machine[PX_MAT_PROFILE_MAX];
  px_mat_profile(machine);
  snprintf(out, STAGING_PROFILE_MAX, "labels-2, %s", machine);
}

static enum px_status label_segment(void *ctx, uint32_t seq, struct px_err *err) {
  struct shard *shard = ctx;
  struct job *job = shard->job;
  struct px_dataset *ds = NULL;
  struct idm_labels *l = NULL;
  enum px_status status = job_inputs_segments(job, seq, 1, &ds, err);
  if (!status && !ds->traj_n) { /* the segment was taken out */
    px_dataset_free(ds);
    return PX_OK;
  }
  if (!status)
    status = idm_label(shard->idm.models, shard->idm.n, ds, 0, ds->traj_n, &job->progress, &l, err);
  if (!status) {
    const struct px_label_rows rows = { .steps_n = l->steps_n,
                                        .actions = l->actions,
                                        .std = l->std,
                                        .epistemic = l->epistemic,
                                        .score = l->score,
                                        .known = l->known };
    status = staging_put(job, &ds->spaces, &rows, seq, shard->profile, err);
  }
  idm_labels_free(l);
  px_dataset_free(ds);
  return status;
}

enum px_status job_label_shard(struct job *job, struct px_err *err) {
  struct shard shard = { .job = job };
  label_profile(shard.profile);
  enum px_status status = job_inputs_idm(job, &shard.idm, err);
  if (!status) status = staging_run(job, shard.profile, label_segment, &shard, err);
  job_inputs_idm_free(&shard.idm);
  return status ? status : store_job_succeed(job->store, &job->hold, "{}", err);
}

/* Where no true action is known no check_simulator came before the shards. */
static enum px_status warn_unchecked(struct job *job, json_t *result, struct px_err *err) {
  struct store_returns found = { 0 };
  uint32_t known_n = 0;
  if (!flow_labeller_is_simulator(job->spec)) return PX_OK;
  struct store_dataset *ds = malloc(sizeof *ds);
  if (!ds) return px_fail(err, PX_E_NO_MEMORY, "labels");
  enum px_status status =
    store_dataset_get(job->store, job_spec_text(job->spec, "dataset"), ds, err);
  if (!status)
    status =
      store_dataset_returns(job->store, ds, (uint32_t)job_spec_uint(job->spec, "segments", 0),
                            job_inputs_version(job), &found, err);
  for (uint32_t i = 0; i < found.n; i++) known_n += found.labelled[i] != STORE_LABELLED_NONE;
  if (!status && !known_n)
    px_warn_figure(px_warn(result, PX_W_UNCHECKED,
                           "none of the %" PRIu32
                           " trajectories has a true action: nothing could be "
                           "held against the simulator",
                           found.n),
                   "trajectories", found.n);
  store_dataset_returns_free(&found);
  free(ds);
  return status;
}

enum px_status job_label(struct job *job, struct px_err *err) {
  char id[STORE_ID_MAX];
  store_result_id("ls", job->hold.job, id);
  json_t *result = json_pack("{s:s}", "label_set", id);
  px_warn_none(result);
  enum px_status status = warn_unchecked(job, result, err);
  char *text = status ? NULL : px_json_dumps(result, JSON_COMPACT);
  if (!status && !text) status = px_fail(err, PX_E_NO_MEMORY, "reporting the labels");
  if (!status)
    status = store_label_publish(job->store, &job->hold,
                                 &(struct store_labelling){
                                   job_spec_text(job->spec, "dataset"),
                                   (uint32_t)job_spec_uint(job->spec, "segments", 0),
                                   job_inputs_version(job) },
                                 text, err);
  free(text);
  json_decref(result);
  return status;
}
