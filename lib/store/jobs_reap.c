/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping house: lost leases, children of ended pipelines, what nobody needs any more. See
 * jobs.h. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

static enum px_status reap_expired(struct store *store, struct store_reaped *out,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, px_status_title(PX_E_WORKER_LOST));
  db_text(&p, px_status_hint(PX_E_WORKER_LOST));
  PGresult *rows;
  const enum px_status status = db_run(store, SQL_jobs_reap_expired, &p, DB_TEXT, &rows, err);
  if (status) return status;
  for (int i = 0; i < PQntuples(rows); i++) {
    const char *state = db_get(rows, i, "state");
    if (strcmp(state, "ready") == 0) out->returned++;
    else if (strcmp(state, "failed") == 0) out->failed++;
    else out->cancelled++;
  }
  PQclear(rows);
  return PX_OK;
}

static enum px_status cancel_orphans(struct store *store, void *ctx, struct px_err *err) {
  int *cancelled = ctx;
  *cancelled = 0;
  PGresult *rows;
  enum px_status status = db_run(store, SQL_jobs_orphans, &DB_PARAMS, DB_TEXT, &rows, err);
  if (status) return status;
  for (int i = 0; i < PQntuples(rows) && !status; i++) {
    struct db_params p = DB_PARAMS;
    db_text(&p, db_get(rows, i, "id"));
    const bool running = strcmp(db_get(rows, i, "state"), "running") == 0;
    status =
      db_run(store, running ? SQL_job_ask_cancel : SQL_job_cancel_open, &p, DB_TEXT, NULL, err);
    if (!running) ++*cancelled;
  }
  PQclear(rows);
  return status;
}

enum px_status store_jobs_reap(struct store *store, struct store_reaped *out, struct px_err *err) {
  struct store_reaped reaped = { 0 };
  int orphans = 0;
  PGresult *row;
  enum px_status status = reap_expired(store, &reaped, err);
  if (!status) status = db_run(store, SQL_jobs_end_sessions, &DB_PARAMS, DB_TEXT, &row, err);
  if (!status) {
    reaped.sessions_ended = (int)db_get_int(row, 0, "n");
    PQclear(row);
    status = db_transaction(store, "orphans", cancel_orphans, &orphans, err);
  }
  reaped.cancelled += orphans;
  if (!status) *out = reaped;
  return status;
}

enum px_status store_job_janitor(struct store *store, int *removed, struct px_err *err) {
  static const enum db_sql STEP[] = { SQL_janitor_labels,         SQL_janitor_metrics,
                                      SQL_janitor_upload_content, SQL_janitor_uploads,
                                      SQL_janitor_checkpoints,    SQL_janitor_blobs,
                                      SQL_janitor_once,           SQL_janitor_workers };
  int n = 0;
  for (size_t i = 0; i < sizeof STEP / sizeof *STEP; i++) {
    PGresult *result;
    const enum px_status status = db_run(store, STEP[i], &DB_PARAMS, DB_TEXT, &result, err);
    if (status) return status;
    n += (int)strtol(PQcmdTuples(result), NULL, 10);
    PQclear(result);
  }
  *removed = n;
  return PX_OK;
}
