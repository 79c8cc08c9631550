/* SPDX-License-Identifier: Apache-2.0 */
/* Labels by source: see report_sources.h. */
#include "worker/jobs/report_sources.h"

#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/idm/quality.h"
#include "lib/store/datasets.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

struct source {
  struct idm_quality *quality;
  uint64_t trajectories_n, labels_n;
  double score_sum;
};
struct report_sources {
  const struct px_dataset *truth;
  struct store_sources found;
  struct source each[STORE_SOURCES_MAX];
};

void report_sources_free(struct report_sources *s) {
  if (!s) return;
  for (uint32_t i = 0; i < s->found.n; i++) idm_quality_free(s->each[i].quality);
  free(s->found.of);
  free(s);
}

enum px_status report_sources_new(struct job *job, const struct px_dataset *truth,
                                  const struct px_dataset *visible, struct report_sources **out,
                                  struct px_err *err) {
  struct report_sources *s = px_mem_calloc(1, sizeof *s);
  *out = NULL;
  if (!s) return px_fail(err, PX_E_NO_MEMORY, "no memory for the sources");
  s->truth = truth;
  const struct store_segment_range range = { job_spec_text(job->spec, "dataset"), 0,
                                             truth->segments_n, job_inputs_version(job) };
  enum px_status status = store_dataset_sources(job->store, &range, &s->found, err);
  const bool known = s->found.n > 0 && s->found.traj_n == truth->traj_n;
  for (uint32_t i = 0; i < s->found.n && known && !status; i++)
    status = idm_quality_new(truth, visible, &s->each[i].quality, err);
  for (uint32_t i = 0; i < truth->traj_n && known; i++)
    if (s->found.of[i] != STORE_SOURCE_NONE) s->each[s->found.of[i]].trajectories_n++;
  if (status || !known) report_sources_free(s);
  else *out = s;
  return status;
}

void report_sources_add(struct report_sources *s, uint32_t from, uint32_t to,
                        const struct px_label_rows *rows) {
  const size_t dims = s->truth->spaces.act_dim;
  for (uint32_t i = from; i < to; i++) {
    const uint64_t at = s->truth->step_start[i] - s->truth->step_start[from],
                   after = s->truth->step_start[i + 1] - s->truth->step_start[from];
    if (s->found.of[i] == STORE_SOURCE_NONE) continue;
    struct source *source = &s->each[s->found.of[i]];
    idm_quality_add(source->quality, i, i + 1, rows->actions + at * dims, rows->std + at * dims,
                    rows->epistemic + at * dims, rows->known + at);
    for (uint64_t t = at; t < after; t++) {
      source->labels_n += rows->known[t];
      source->score_sum += (double)rows->score[t]; /* 0 where it is not known */
    }
  }
}

json_t *report_sources_document(const struct report_sources *s) {
  const bool discrete = s->truth->spaces.act_count > 0;
  json_t *list = json_array();
  for (uint32_t i = 0; i < s->found.n; i++) {
    const struct source *source = &s->each[i];
    struct idm_quality_figures f;
    idm_quality_figures(source->quality, IDM_ALL, &f);
    json_t *item =
      json_pack("{s:s, s:I, s:I, s:o, s:I}", "source", s->found.name[i], "trajectories",
                (json_int_t)source->trajectories_n, "labels", (json_int_t)source->labels_n,
                "mean_score",
                source->labels_n ? json_real(source->score_sum / (double)source->labels_n)
                                 : json_null(),
                "transitions", (json_int_t)f.n);
    json_object_set_new(item, discrete ? "accuracy" : "mse",
                        !f.n       ? json_null()
                        : discrete ? json_real(f.accuracy)
                                   : json_real(f.mse));
    if (!discrete) json_object_set_new(item, "r2", f.n ? px_json_number(f.r2) : json_null());
    json_array_append_new(list, item);
  }
  return list;
}
