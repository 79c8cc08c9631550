/* SPDX-License-Identifier: Apache-2.0 */
/* Removing finished jobs, at a user's wish or with age: see jobs.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

/* `all`: any job that needs one of these keeps them, not only an unfinished one. */
struct removal {
  const char *id;
  bool all;
};

static bool is_final(const char *state) {
  return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
         strcmp(state, "cancelled") == 0;
}

enum px_status store_jobs_inner_check_needed(struct store *store, const char *array, bool all,
                                             struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_text(&p, array);
  db_bool(&p, all);
  enum px_status status = db_run(store, SQL_job_needed_by, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row)) {
    status = px_fail(err, PX_E_CONFLICT, "%s %s still needs it", db_get(row, 0, "kind"),
                     db_get(row, 0, "id"));
    px_fail_hint(err, "Cancel that job first, or wait for it.");
  }
  PQclear(row);
  return status;
}

/* A part of something else goes with that. */
static enum px_status check_head(struct store *store, const char *id, const char *kind,
                                 const char *parent, struct px_err *err) {
  char whole[STORE_ID_MAX] = "";
  if (*parent) snprintf(whole, sizeof whole, "%s", parent);
  if (!*parent && strcmp(kind, "label_shard") == 0) {
    struct db_params p = DB_PARAMS;
    PGresult *row;
    db_text(&p, id);
    const enum px_status status = db_run(store, SQL_job_label_of_shard, &p, DB_TEXT, &row, err);
    if (status) return status;
    if (PQntuples(row)) db_get_text(row, 0, "id", whole, sizeof whole);
    PQclear(row);
  }
  if (!*whole) return PX_OK;
  px_fail(err, PX_E_CONFLICT, "job %s is a part of %s", id, whole);
  px_fail_hint(err, "DELETE /v1/jobs/%s removes both.", whole);
  return PX_E_CONFLICT;
}

/* The locked rows as an array; all of them have to be finished. */
static enum px_status list_family(struct store *store, const PGresult *rows, const char *id,
                                  struct px_buf *array, struct px_err *err) {
  enum px_status status = PX_E_NOT_FOUND;
  for (int i = 0; i < PQntuples(rows); i++)
    if (strcmp(db_get(rows, i, "id"), id) == 0)
      status = check_head(store, id, db_get(rows, i, "kind"), db_get(rows, i, "parent_id"), err);
  if (status == PX_E_NOT_FOUND) return px_fail(err, status, "there is no job %s", id);
  for (int i = 0; i < PQntuples(rows) && !status; i++) {
    const char *state = db_get(rows, i, "state");
    if (!is_final(state)) {
      status = px_fail(err, PX_E_CONFLICT, "%s %s has not ended yet", db_get(rows, i, "kind"),
                       db_get(rows, i, "id"));
      px_fail_hint(err, "Cancel it first: POST /v1/jobs/%s:cancel.", id);
    } else if ((status = db_array_text(array, db_get(rows, i, "id")))) {
      px_fail(err, status, "job %s has too many parts", id);
    }
  }
  return status ? status : db_array_end(array);
}

/* Who submits a job that needs one of these waits for the locks, and then finds nothing; who was
 * first is seen here. */
static enum px_status delete_work(struct store *store, void *ctx, struct px_err *err) {
  const struct removal *r = ctx;
  struct px_buf array = PX_BUF(1 << 20);
  struct db_params p = DB_PARAMS, ids = DB_PARAMS;
  PGresult *rows;
  db_text(&p, r->id);
  enum px_status status = db_run(store, SQL_job_lock_family, &p, DB_TEXT, &rows, err);
  if (status) return status;
  status = list_family(store, rows, r->id, &array, err);
  PQclear(rows);
  if (status == PX_E_NOT_FOUND && db_unsettled(store)) {
    px_buf_free(&array);
    return PX_OK;
  }
  if (!status) status = store_jobs_inner_check_needed(store, array.data, r->all, err);
  if (!status) {
    db_text(&ids, array.data);
    status = db_run(store, SQL_job_drop_current_labels, &ids, DB_TEXT, NULL, err);
  }
  if (!status) status = db_run(store, SQL_job_delete, &ids, DB_TEXT, NULL, err);
  px_buf_free(&array);
  return status;
}

enum px_status store_job_delete(struct store *store, const char *id, struct px_err *err) {
  struct removal removal = { id, false };
  return db_transaction(store, "job_delete", delete_work, &removal, err);
}

/* ---- with age */

/* Each in a transaction of its own, which looks again: meanwhile another job may have come to need
 * it. */
static enum px_status remove_old_jobs(struct store *store, const struct store_keep *keep,
                                      int *removed, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *rows;
  db_float(&p, keep->jobs_days);
  db_int(&p, keep->jobs_n);
  enum px_status status = db_run(store, SQL_janitor_old_jobs, &p, DB_TEXT, &rows, err);
  if (status) return status;
  for (int i = 0; i < PQntuples(rows) && !status; i++) {
    struct removal removal = { db_get(rows, i, "id"), true };
    status = db_transaction(store, "job_delete", delete_work, &removal, err);
    *removed += status == PX_OK;
    /* another was first, or needs it */
    if (status == PX_E_NOT_FOUND || status == PX_E_CONFLICT) status = PX_OK;
  }
  PQclear(rows);
  return status;
}

static enum px_status remove_older(struct store *store, enum db_sql sql, double days, int *removed,
                                   struct px_err *err) {
  if (days <= 0) return PX_OK;
  struct db_params p = DB_PARAMS;
  PGresult *result;
  db_float(&p, days);
  const enum px_status status = db_run(store, sql, &p, DB_TEXT, &result, err);
  if (status) return status;
  *removed += (int)strtol(PQcmdTuples(result), NULL, 10);
  PQclear(result);
  return PX_OK;
}

enum px_status store_job_janitor_old(struct store *store, const struct store_keep *keep,
                                     int *removed, struct px_err *err) {
  int n = 0;
  enum px_status status =
    keep->jobs_days > 0 || keep->jobs_n > 0 ? remove_old_jobs(store, keep, &n, err) : PX_OK;
  if (!status) status = remove_older(store, SQL_janitor_old_metrics, keep->metrics_days, &n, err);
  if (!status) status = remove_older(store, SQL_janitor_old_events, keep->events_days, &n, err);
  if (!status)
    status = remove_older(store, SQL_janitor_old_artifacts, keep->artifacts_days, &n, err);
  if (!status) *removed = n;
  return status;
}
