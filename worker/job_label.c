/*
 * label_shard: proxy actions for a range of segments, by inverse dynamics models. label: one transaction that makes all
 * shards' work visible at once.
 */
#include <stdio.h>
#include <string.h>

#include "lib/store/results.h"
#include "worker/nn/mat.h"
#include "worker/snapshot.h"
#include "worker/staging.h"

struct shard {
  struct job *job;
  struct snapshot_idm idm;
  char profile[STAGING_PROFILE_MAX];
};

/* How labels are computed (raise the number when that changes), and on what. */
static void label_profile(char out[STAGING_PROFILE_MAX]) {
  char machine[PX_MAT_PROFILE_MAX];
  px_mat_profile(machine);
  snprintf(out, STAGING_PROFILE_MAX, "labels-1, %s", machine);
}

static enum px_status label_segment(void *ctx, uint32_t seq, struct px_err *err) {
  struct shard *shard = ctx;
  struct job *job = shard->job;
  struct px_dataset *ds = NULL;
  struct idm_labels *l = NULL;
  enum px_status status = snapshot_segments(job, seq, 1, &ds, err);
  if (!status) status = idm_label(shard->idm.models, shard->idm.n, ds, 0, ds->traj_n, &job->progress, &l, err);
  if (!status) {
    const struct px_label_rows rows = { .steps_n = l->steps_n, .actions = l->actions, .std = l->std,
                                        .epistemic = l->epistemic, .score = l->score, .known = l->known };
    status = staging_put(job, &ds->spaces, &rows, seq, shard->profile, err);
  }
  idm_labels_free(l);
  px_dataset_free(ds);
  return status;
}

enum px_status job_label_shard(struct job *job, struct px_err *err) {
  struct shard shard = { .job = job };
  label_profile(shard.profile);
  enum px_status status = snapshot_idm(job, &shard.idm, err);
  if (!status) status = staging_run(job, shard.profile, label_segment, &shard, err);
  snapshot_idm_free(&shard.idm);
  return status ? status : store_job_succeed(job->store, &job->hold, "{}", err);
}

enum px_status job_label(struct job *job, struct px_err *err) {
  char id[STORE_ID_MAX], result[96];
  store_result_id("ls", job->hold.job, id);
  snprintf(result, sizeof result, "{\"label_set\":\"%s\"}", id);
  return store_label_publish(job->store, &job->hold, spec_text(job->spec, "dataset"),
                             (uint32_t)spec_uint(job->spec, "segments", 0), result, err);
}
