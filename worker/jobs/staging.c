/* SPDX-License-Identifier: Apache-2.0 */
/* Staged label segments: see staging.h. */
#include "worker/jobs/staging.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "lib/store/labels.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

enum { LABEL_SEGMENT_MAX = 512 << 20 };

/* What the rows come to. A simulation that went astray counts no more than one that stood still
 * would. */
static void count(const struct px_label_rows *rows, uint32_t obs_dim,
                  struct store_label_segment *out) {
  out->simulated = rows->origin != NULL;
  for (uint64_t t = 0; t < rows->steps_n; t++) {
    if (!rows->known[t]) continue;
    out->known_n++;
    out->score_sum += (double)rows->score[t];
    if (!out->simulated) continue;
    out->verified_n += rows->verified[t];
    out->simulated_n += rows->origin[t] == PX_ORIGIN_SIMULATOR;
    out->residual_sum += fmin((double)rows->residual[t], obs_dim);
  }
}

enum px_status staging_put(struct job *job, const struct px_spaces *spaces,
                           const struct px_label_rows *rows, uint32_t seq, const char *profile,
                           struct px_err *err) {
  struct store_label_segment out = { .label_job = job_spec_text(job->spec, "label_job"),
                                     .seq = seq,
                                     .steps_n = rows->steps_n,
                                     .profile = profile };
  count(rows, spaces->obs_dim, &out);
  struct px_buf bytes = PX_BUF(LABEL_SEGMENT_MAX);
  enum px_status status = px_label_write(spaces, rows, &bytes, err);
  out.bytes = bytes.data, out.n = bytes.len;
  if (!status) status = store_label_stage(job->store, &job->hold, &out, err);
  px_buf_free(&bytes);
  return status;
}

enum px_status staging_run(struct job *job, const char *profile, staging_label label, void *ctx,
                           struct px_err *err) {
  const uint32_t first = (uint32_t)job_spec_uint(job->spec, "first", 0),
                 n = (uint32_t)job_spec_uint(job->spec, "count", 0);
  uint8_t *staged = px_mem_calloc(n, 1);
  enum px_status status = staged ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "labelling");
  if (!status)
    status = store_label_adopt(job->store, &job->hold, job_spec_text(job->spec, "label_job"),
                               profile, first, n, staged, err);
  for (uint32_t i = 0; !status && i < n; i++) {
    if (!staged[i]) status = label(ctx, first + i, err);
    if (!status) status = px_progress_report(&job->progress, "stage", i + 1, n, NULL, 0);
  }
  free(staged);
  return status;
}
