/*
 * label_shard: proxy actions for a range of segments, staged under the shard's
 * epoch. label: one transaction that makes all shards' work visible at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/results.h"
#include "worker/nn/mat.h"
#include "worker/snapshot.h"

enum { LABEL_SEGMENT_MAX = 512 << 20, PROFILE_MAX = PX_MAT_PROFILE_MAX + 16 };

/* What a label's bits depend on beside models and data: how labels are computed (raise the number when that changes),
 * and on what. */
static void label_profile(char out[PROFILE_MAX]) {
  char machine[PX_MAT_PROFILE_MAX];
  px_mat_profile(machine);
  snprintf(out, PROFILE_MAX, "labels-1, %s", machine);
}

/* The rows of one segment out of a range's labels. */
static struct px_label_rows rows_of(const struct idm_labels *l, const struct px_dataset *ds, uint32_t segment) {
  const uint64_t from = ds->step_start[ds->segment_traj[segment]], to = ds->step_start[ds->segment_traj[segment + 1]];
  const uint64_t at = from - ds->step_start[l->traj_from], a = at * l->act_dim;
  return (struct px_label_rows){ .steps_n = to - from, .actions = l->actions + a, .std = l->std + a,
                                 .epistemic = l->epistemic + a, .score = l->score + at, .known = l->known + at };
}

static enum px_status stage(struct job *job, const struct px_dataset *ds, const struct idm_labels *labels, uint32_t segment,
                            uint32_t seq, const char *profile, struct px_err *err) {
  const struct px_label_rows rows = rows_of(labels, ds, segment);
  struct store_label_segment out = { .label_job = spec_text(job->spec, "label_job"), .seq = seq, .steps_n = rows.steps_n,
                                     .profile = profile };
  for (uint64_t i = 0; i < rows.steps_n; i++) {
    out.known_n += rows.known[i];
    if (rows.known[i]) out.score_sum += (double)rows.score[i];
  }
  struct px_buf bytes = PX_BUF(LABEL_SEGMENT_MAX);
  enum px_status status = px_label_write(&ds->spaces, &rows, &bytes, err);
  out.bytes = bytes.data, out.n = bytes.len;
  if (!status) status = store_label_stage(job->store, &job->hold, &out, err);
  px_buf_free(&bytes);
  return status;
}

static enum px_status label_segment(struct job *job, const struct snapshot_idm *idm, uint32_t seq, const char *profile,
                                    struct px_err *err) {
  struct px_dataset *ds = NULL;
  struct idm_labels *labels = NULL;
  enum px_status status = snapshot_segments(job, seq, 1, &ds, err);
  if (!status) status = idm_label(idm->models, idm->n, ds, 0, ds->traj_n, &job->progress, &labels, err);
  if (!status) status = stage(job, ds, labels, 0, seq, profile, err);
  idm_labels_free(labels);
  px_dataset_free(ds);
  return status;
}

/* Segment by segment, so that memory and the loss of a crash stay small: what an earlier attempt has staged is kept. */
static enum px_status label_segments(struct job *job, const struct snapshot_idm *idm, struct px_err *err) {
  const uint32_t first = (uint32_t)spec_uint(job->spec, "first", 0), count = (uint32_t)spec_uint(job->spec, "count", 0);
  char profile[PROFILE_MAX];
  label_profile(profile);
  uint8_t *staged = px_calloc(count, 1);
  enum px_status status = staged ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "labelling");
  if (!status)
    status = store_label_adopt(job->store, &job->hold, spec_text(job->spec, "label_job"), profile, first, count, staged, err);
  for (uint32_t i = 0; !status && i < count; i++) {
    if (!staged[i]) status = label_segment(job, idm, first + i, profile, err);
    if (!status) status = px_progress_report(&job->progress, "stage", i + 1, count, NULL, 0);
  }
  free(staged);
  return status;
}

enum px_status job_label_shard(struct job *job, struct px_err *err) {
  struct snapshot_idm idm = { .n = 0 };
  enum px_status status = snapshot_idm(job, &idm, err);
  if (!status) status = label_segments(job, &idm, err);
  snapshot_idm_free(&idm);
  return status ? status : store_job_succeed(job->store, &job->hold, "{}", err);
}

enum px_status job_label(struct job *job, struct px_err *err) {
  char id[STORE_ID_MAX], result[96];
  store_result_id("ls", job->hold.job, id);
  snprintf(result, sizeof result, "{\"label_set\":\"%s\"}", id);
  return store_label_publish(job->store, &job->hold, spec_text(job->spec, "dataset"),
                             (uint32_t)spec_uint(job->spec, "segments", 0), result, err);
}
