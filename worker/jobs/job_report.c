/* SPDX-License-Identifier: Apache-2.0 */
/* report: label quality and returns of a pipeline, as its result and as report.json. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/warn.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "worker/jobs/job_inputs.h"
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

enum px_status job_report(struct job *job, struct px_err *err) {
  json_t *report =
    json_pack("{s:O, s:O, s:O*, s:O}", "dataset", json_object_get(job->spec, "dataset"), "segments",
              json_object_get(job->spec, "segments"), "dataset_version",
              json_object_get(job->spec, "dataset_version"), "mask",
              json_object_get(job->spec, "mask"));
  enum px_status status =
    report ? report_labels(job, report, err) : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) status = report_runs(job, report, err);
  px_warn_none(report);
  if (!status) status = publish(job, report, err);
  json_decref(report);
  return status;
}
