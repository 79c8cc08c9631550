/* SPDX-License-Identifier: Apache-2.0 */
/* Files that jobs publish: see artifacts.h. */
#include "lib/store/artifacts.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/store/blob.h"
#include "lib/store/jobs.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

struct files {
  const struct store_lease *hold;
  const struct store_artifact *artifacts;
  size_t n;
  const char *result_json;
};

static enum px_status artifacts_work(struct store *store, void *ctx, struct px_err *err) {
  const struct files *files = ctx;
  bool already;
  enum px_status status = store_jobs_inner_hold(store, files->hold, &already, err);
  if (status || already) return status;
  for (size_t i = 0; i < files->n && !status; i++) {
    const struct store_artifact *a = &files->artifacts[i];
    struct db_params p = DB_PARAMS;
    db_text(&p, files->hold->job);
    db_text(&p, a->name);
    db_int(&p, files->hold->epoch);
    db_text(&p, a->media_type);
    db_int(&p, a->blob.id);
    db_int(&p, (int64_t)a->blob.size_bytes);
    status = db_run(store, SQL_artifact_publish, &p, DB_TEXT, NULL, err);
  }
  return status ? status : store_jobs_inner_end(store, files->hold, files->result_json, err);
}

enum px_status store_artifacts_publish(struct store *store, const struct store_lease *hold,
                                       const struct store_artifact *artifacts, size_t n,
                                       const char *result_json, struct px_err *err) {
  struct files files = { hold, artifacts, n, result_json };
  return db_transaction(store, "artifacts_publish", artifacts_work, &files, err);
}

enum px_status store_artifact_list(struct store *store, const char *job, struct px_buf *out,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  return db_document(store, SQL_artifact_list, &p, out, NULL, err, "there is no job %s", job);
}

enum px_status store_artifact_find(struct store *store, const char *job, const char *name,
                                   char media_type[128], struct store_blob *out,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  db_text(&p, name);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_artifact_find, &p, DB_BINARY, &row, err);
  if (status) return status;
  if (PQntuples(row) == 0) {
    PQclear(row);
    return px_fail(err, PX_E_NOT_FOUND, "job %s has left no file named %s", job, name);
  }
  snprintf(media_type, 128, "%s", db_get(row, 0, "media_type"));
  *out = (struct store_blob){ .id = db_get_int8(row, 0, "blob_id"),
                              .size_bytes = (uint64_t)db_get_int8(row, 0, "size_bytes") };
  memcpy(out->sha256, db_get(row, 0, "sha256"), sizeof out->sha256);
  PQclear(row);
  return PX_OK;
}
