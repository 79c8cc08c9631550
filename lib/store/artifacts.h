/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that jobs publish: see results.h.
 */
#ifndef PX_STORE_ARTIFACTS_H
#define PX_STORE_ARTIFACTS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

/* Publishes files and ends the job. */
struct store_artifact {
  const char *name, *media_type;
  struct store_blob blob;
};
enum px_status store_artifacts_publish(struct store *store, const struct store_lease *hold,
                                       const struct store_artifact *artifacts, size_t n,
                                       const char *result_json, struct px_err *err) PX_MUST_CHECK;
enum px_status store_artifact_list(struct store *store, const char *job, struct px_buf *out,
                                   struct px_err *err) PX_MUST_CHECK;
enum px_status store_artifact_find(struct store *store, const char *job, const char *name,
                                   char media_type[128], struct store_blob *out,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
