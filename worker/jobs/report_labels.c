/* SPDX-License-Identifier: Apache-2.0 */
/* The report's part on labels: see report_labels.h. */
#include "worker/jobs/report_labels.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/data/mask.h"
#include "lib/idm/judge.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/report_bias.h"
#include "worker/jobs/report_certificate.h"
#include "worker/jobs/report_held_out.h"
#include "worker/jobs/report_judging.h"
#include "worker/jobs/report_sources.h"

/* Where most of what had to be labelled lies outside the returns that are labelled, the labels
 * extrapolate. */
static void warn_returns(const struct report_judging *j) {
  const struct px_dataset *visible = j->visible;
  const struct px_mask mask = px_mask_from_json(json_object_get(j->job->spec, "mask"));
  const bool by_return = mask.protocol == PX_MASK_COUPLED && mask.q < 1;
  const double most = 0.5;
  uint64_t outside = 0, all = 0, labelled_n = 0;
  if (!px_dataset_has_returns(visible)) return;
  double low = HUGE_VAL, high = -HUGE_VAL, slack = 0;
  for (uint32_t i = 0; i < visible->traj_n; i++) {
    const uint64_t from = visible->step_start[i], n = visible->step_start[i + 1] - from;
    low = fmin(low, px_dataset_return(visible, i));
    high = fmax(high, px_dataset_return(visible, i));
    slack = fmax(slack, px_dataset_return_slack(visible, i));
    if (memchr(visible->labelled + from, 1, n)) {
      labelled_n++;
      continue;
    }
    all += n;
    if (!idm_quality_is_inside(j->quality[REPORT_JUDGING_WHOLE], i)) outside += n;
  }
  if (by_return && visible->traj_n > 1 && high - low <= slack)
    px_warn(
      j->report, PX_W_RETURNS_EQUAL,
      "the returns of all %u trajectories are equal up to rounding: which of them are the mask's"
      " lower part is chance",
      visible->traj_n);
  /* a simulator labels without any */
  if (!labelled_n || (double)outside <= most * (double)all) return;
  json_t *found =
    px_warn(j->report, PX_W_OUTSIDE_RETURNS,
            "%.0f%% of the unlabelled transitions lie in trajectories whose return is outside"
            " those of the labelled ones",
            100 * (double)outside / (double)all);
  px_warn_figure(found, "outside", (double)outside / (double)all);
}

static enum px_status measure_labels(struct report_judging *j, json_t **out, struct px_err *err) {
  json_t *label = NULL, *members = NULL;
  enum px_status status = report_held_out_members(j->job, j->report, &members, err);
  if (!status) status = report_judging_read(j, err);
  if (!status && j->all.n) status = report_judging_hidden(j, &label, err);
  else if (!status && (!j->simulated || json_array_size(members)))
    status = report_held_out_document(j, members, &label, err);
  if (!status) warn_returns(j);
  if (!status && !j->all.n && j->simulated) {
    json_t *held = label;
    label = NULL;
    status = report_judging_known(j, held, &label, err);
    json_decref(held);
  }
  if (!status)
    json_object_set_new(label, "labeller", json_string(j->simulated ? "simulator" : "idm"));
  if (!status && j->sources)
    json_object_set_new(label, "sources", report_sources_document(j->sources));
  if (!status && j->simulated)
    status = report_certificate(j->job, j->label_set, label, j->report, err);
  json_decref(members);
  if (status) json_decref(label);
  else *out = label;
  return status;
}

/* Who asks for a mask and reads figures of held-out steps takes them for those of hidden
 * actions. */
static void warn_of_mask(const struct report_judging *j) {
  const struct px_dataset *truth = j->truth, *visible = j->visible;
  json_t *report = j->report;
  uint64_t known_n = 0, hidden_n = 0;
  if (px_mask_from_json(json_object_get(j->job->spec, "mask")).protocol == PX_MASK_NONE) return;
  if (strcmp(job_spec_text(json_object_get(report, "label"), "basis"), "held_out") != 0) return;
  for (uint64_t t = 0; t < truth->steps_n; t++) {
    known_n += truth->labelled[t];
    hidden_n += truth->labelled[t] && !visible->labelled[t];
  }
  json_t *found =
    px_warn(report, PX_W_HID_NOTHING,
            "the mask hid %" PRIu64 " of %" PRIu64 " known actions, and none that can "
            "be judged: the labels' figures are of held-out steps (basis held_out)",
            hidden_n, known_n);
  px_warn_figure(found, "hidden", (double)hidden_n);
  px_warn_figure(found, "known", (double)known_n);
  /* Beside the figures too, for who reads only those. */
  json_object_set_new(json_object_get(report, "label"), "note",
                      json_string(
                        "figures of held-out steps: the mask hid no action that can be judged"));
}

enum px_status report_labels(struct job *job, json_t *report, struct px_err *err) {
  struct px_dataset *truth = NULL, *visible = NULL;
  json_t *label = NULL;
  enum px_status status = job_inputs_truth(job, &truth, err);
  if (!status) status = job_inputs_visible(job, &visible, err);
  struct report_judging j = { .job = job,
                              .truth = truth,
                              .visible = visible,
                              .label_set = job_spec_text(job->spec, "label_set"),
                              .report = report };
  if (!status) status = measure_labels(&j, &label, err);
  if (!status && json_object_set_new(report, "label", label) < 0)
    status = px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) warn_of_mask(&j);
  report_judging_free(&j);
  px_dataset_free(visible);
  px_dataset_free(truth);
  return status;
}
