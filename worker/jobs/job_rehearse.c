/* SPDX-License-Identifier: Apache-2.0 */
/* rehearse: which labels policies should learn from, tried among the labelled trajectories. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/store/jobs.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/rehearsal.h"

enum { UPDATES = 5000 };

static json_t *considered(const struct rehearsal *r, bool discrete) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < REHEARSAL_LABELS_N && r->tried; i++)
    json_array_append_new(list, json_pack("{s:s, s:o}", "labels", rehearsal_labels[i],
                                          discrete ? "action_error_share" : "action_mse",
                                          px_json_number(r->error[i])));
  return list;
}

static char *result_text(const struct rehearsal *r, bool discrete) {
  const char *by =
    r->tried ? "least error of a clone's actions on labelled trajectories that it had not seen"
             : "too few labelled trajectories to try: all labels are used";
  json_t *document =
    json_pack("{s:s, s:s, s:o, s:{s:i, s:i, s:i}, s:I}", "chosen", rehearsal_labels[r->chosen],
              "by", by, "considered", considered(r, discrete), "trajectories", "kept",
              (int)r->kept_n, "hidden", (int)r->hidden_n, "judged", (int)r->judged_n, "transitions",
              (json_int_t)r->transitions_n);
  px_warn_none(document);
  if (r->tried && r->transitions_n < FIGURES_FEW_TRANSITIONS)
    px_warn_figure(px_warn(document, PX_W_FEW_JUDGED,
                           "the labels were chosen over %llu transitions",
                           (unsigned long long)r->transitions_n),
                   "transitions", (double)r->transitions_n);
  char *text = px_json_dumps(document, JSON_COMPACT);
  json_decref(document);
  return text;
}

enum px_status job_rehearse(struct job *job, struct px_err *err) {
  struct idm_spec spec;
  struct px_dataset *ds = NULL;
  struct rehearsal found;
  enum px_status status = idm_spec_read(json_object_get(job->spec, "idm"), &spec, err);
  if (!status) status = job_inputs_visible(job, &ds, err);
  if (!status)
    status = rehearse(ds, &spec, UPDATES, job_spec_uint(job->spec, "seed", 0), &job->progress,
                      &found, err);
  char *text = status ? NULL : result_text(&found, ds->spaces.act_count > 0);
  if (!status && !text) status = px_fail(err, PX_E_NO_MEMORY, "reporting the rehearsal");
  if (!status) status = store_job_succeed(job->store, &job->hold, text, err);
  free(text);
  px_dataset_free(ds);
  return status;
}
