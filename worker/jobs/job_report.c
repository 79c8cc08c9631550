/* SPDX-License-Identifier: Apache-2.0 */
/* report: label quality and returns of a pipeline, as its result and as report.json. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/warn.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/report_labels.h"
#include "worker/jobs/report_runs.h"

static enum px_status publish(struct job *job, const json_t *report, struct px_err *err) {
  struct store_artifact artifact = { .name = "report.json", .media_type = "application/json" };
  char *text = px_json_dumps(report, JSON_INDENT(2)), *result = px_json_dumps(report, JSON_COMPACT);
  enum px_status status =
    text && result ? store_blob_put(job->store, text, strlen(text), NULL, &artifact.blob, err)
                   : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) status = store_artifacts_publish(job->store, &job->hold, &artifact, 1, result, err);
  free(text);
  free(result);
  return status;
}

enum { LINT_SHOWN = 10, LINT_BYTES_MAX = 1 << 20 };

/* What lint found in the data that all this was learned from. */
static enum px_status report_lint(struct job *job, json_t *report, struct px_err *err) {
  struct px_buf text = PX_BUF(LINT_BYTES_MAX);
  enum px_status status =
    store_dataset_lint(job->store, job_spec_text(job->spec, "dataset"),
                       (uint32_t)job_spec_uint(job->spec, "segments", UINT32_MAX), LINT_SHOWN,
                       &text, err);
  json_t *lint = status ? NULL : px_json_parse(text.data, text.len, 0, NULL);
  px_buf_free(&text);
  if (status) return status;
  const json_int_t warnings = json_integer_value(json_object_get(lint, "warnings"));
  const json_t *first = json_array_get(json_object_get(lint, "items"), 0);
  if (warnings > 0)
    px_warn_figure(px_warn(report, PX_W_LINT,
                           "lint has %lld warnings about the data; the first is %s: %s",
                           (long long)warnings, json_string_value(json_object_get(first, "code")),
                           json_string_value(json_object_get(first, "message"))),
                   "warnings", (double)warnings);
  return json_object_set_new(report, "lint", lint) == 0
           ? PX_OK
           : px_fail(err, PX_E_NO_MEMORY, "writing the report");
}

enum px_status job_report(struct job *job, struct px_err *err) {
  json_t *report =
    json_pack("{s:O, s:O, s:O*, s:O}", "dataset", json_object_get(job->spec, "dataset"), "segments",
              json_object_get(job->spec, "segments"), "dataset_version",
              json_object_get(job->spec, "dataset_version"), "mask",
              json_object_get(job->spec, "mask"));
  enum px_status status =
    report ? report_labels(job, report, err) : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) status = report_runs(job, report, err);
  if (!status) status = report_lint(job, report, err);
  px_warn_none(report);
  if (!status) status = publish(job, report, err);
  json_decref(report);
  return status;
}
