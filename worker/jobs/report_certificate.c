/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate of a simulator's labels: see report_certificate.h. */
#include "worker/jobs/report_certificate.h"

#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/warn.h"
#include "lib/store/labels.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

enum { DOCUMENT_MAX = 1 << 20 };

static enum px_status read_set(struct job *job, const char *label_set, json_t **out,
                               struct px_err *err) {
  struct px_buf text = PX_BUF(DOCUMENT_MAX);
  enum px_status status = store_label_set_document(job->store, label_set, &text, err);
  json_t *set = status ? NULL : px_json_parse(text.data, text.len, 0, NULL);
  px_buf_free(&text);
  if (!status && !set)
    status = px_fail(err, PX_E_INTERNAL, "label set %s does not parse", label_set);
  *out = set;
  return status;
}

static void warn_few(const json_t *set, json_t *report) {
  static const double least = 0.05;
  const json_t *share = json_object_get(set, "verified_share");
  if (!json_is_number(share) || json_number_value(share) >= least) return;
  const double verified = json_number_value(share);
  json_t *found = px_warn(report, PX_W_FEW_VERIFIED,
                          "the simulator verified %.3g%% of the labels (verified_share %.3g, mean "
                          "residual %.3g, threshold %.3g)",
                          100 * verified, verified, job_spec_number(set, "mean_residual", 0),
                          job_spec_number(json_object_get(set, "labeller"), "threshold", 0));
  px_warn_figure(found, "verified_share", verified);
}

enum px_status report_certificate(struct job *job, const char *label_set, json_t *label,
                                  json_t *report, struct px_err *err) {
  static const char *const FIGURES[] = { "verified_share", "mean_residual", "verified_steps",
                                         "simulator_steps" };
  json_t *set = NULL, *certificate = json_object();
  char maker[STORE_ID_MAX];
  const enum px_status status = read_set(job, label_set, &set, err);
  store_result_id("job", label_set, maker);
  for (size_t i = 0; i < sizeof FIGURES / sizeof *FIGURES; i++)
    if (json_object_get(set, FIGURES[i]))
      json_object_set(certificate, FIGURES[i], json_object_get(set, FIGURES[i]));
  json_t *threshold = json_object_get(json_object_get(set, "labeller"), "threshold");
  if (threshold) json_object_set(certificate, "threshold", threshold);
  json_object_set_new(label, "certificate", certificate);
  px_warn_add_all(report, json_object_get(set, "quality"), maker);
  if (!status) warn_few(set, report);
  json_decref(set);
  return status;
}
