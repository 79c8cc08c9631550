/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs as the API shows them: see jobs.h. */
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

enum px_status store_job_show(struct store *store, const char *id, const char *live,
                              struct px_buf *out, struct store_job_seen *seen, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_text(&p, id);
  db_text(&p, live);
  enum px_status status = db_one(store, SQL_job_document, &p, &row, err, "there is no job %s", id);
  if (status) return status;
  status = db_get_buf(row, 0, "document", out);
  if (status) px_fail(err, status, "the document of job %s is too large", id);
  else
    *seen = (struct store_job_seen){ .version = db_get_int(row, 0, "version"),
                                     .final = db_get_bool(row, 0, "final") };
  PQclear(row);
  return status;
}

enum px_status store_job_document(struct store *store, const char *id, struct px_buf *out,
                                  int64_t *version, struct px_err *err) {
  struct store_job_seen seen;
  const enum px_status status = store_job_show(store, id, NULL, out, &seen, err);
  if (!status) *version = seen.version;
  return status;
}

enum px_status store_job_list(struct store *store, const struct store_job_filter *filter,
                              struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, filter->dataset);
  db_text(&p, filter->kind);
  db_text(&p, filter->state);
  db_text(&p, filter->parent);
  db_text(&p, filter->before);
  db_int(&p, filter->limit);
  return db_document(store, SQL_job_list, &p, out, NULL, err, "%s", "there are no jobs");
}

enum px_status store_job_events(struct store *store, const char *id, struct px_buf *out,
                                struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_job_events, &p, out, NULL, err, "there is no job %s", id);
}

enum px_status store_job_metrics(struct store *store, const char *id, struct px_buf *out,
                                 struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_job_metrics, &p, out, NULL, err, "there is no job %s", id);
}

enum px_status store_job_result(struct store *store, const char *job, struct px_buf *out,
                                struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  return db_document(store, SQL_job_result, &p, out, NULL, err, "job %s has no result", job);
}

enum px_status store_job_counts(struct store *store, struct px_buf *out, struct px_err *err) {
  return db_document(store, SQL_job_counts, &DB_PARAMS, out, NULL, err, "%s", "there are no jobs");
}

enum px_status store_job_versions(struct store *store, const char *const *ids, size_t n,
                                  int64_t *versions, bool *final, struct px_err *err) {
  struct px_buf array = PX_BUF(1 << 20);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++) status = db_array_text(&array, ids[i]);
  if (!status) status = db_array_end(&array);
  if (status) {
    px_buf_free(&array);
    return px_fail(err, status, "too many jobs at once");
  }
  struct db_params p = DB_PARAMS;
  db_text(&p, array.data);
  PGresult *rows = NULL;
  status = db_run(store, SQL_job_versions, &p, DB_TEXT, &rows, err);
  for (int i = 0; !status && i < PQntuples(rows) && (size_t)i < n; i++) {
    versions[i] = db_get_int(rows, i, "version");
    final[i] = db_get_bool(rows, i, "final");
  }
  PQclear(rows);
  px_buf_free(&array);
  return status;
}

enum px_status store_job_readied(struct store *store, const char *id, int *n, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row = NULL;
  db_text(&p, id);
  const enum px_status status = db_run(store, SQL_job_readied, &p, DB_TEXT, &row, err);
  if (!status) *n = (int)db_get_int(row, 0, "n");
  PQclear(row);
  return status;
}
