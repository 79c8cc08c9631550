/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/pipelines: the body is the spec itself. */
#include <string.h>

#include "server/api/api.h"

API_HANDLER(api_pipeline_create) {
  bool dry_run;
  enum px_status status = api_query_flag(req, "dry_run", &dry_run, err);
  json_t *notes = json_object();
  if (!status && !notes) status = px_fail(err, PX_E_NO_MEMORY, "pipeline");
  if (!status)
    status =
      api_submit(req, reply,
                 &(struct api_submission){ FLOW_PIPELINE, req->json, "", dry_run, notes }, err);
  json_decref(notes);
  /* Specs of jobs lie at /spec; this one is the whole body. */
  if (status && strncmp(err->pointer, "/spec/", 6) == 0)
    memmove(err->pointer, err->pointer + 5, strlen(err->pointer + 5) + 1);
  return status;
}
