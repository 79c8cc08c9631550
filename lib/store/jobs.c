/* SPDX-License-Identifier: Apache-2.0 */
/* The moves of a job that somebody holds: see jobs.h. */
#include "lib/store/jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/flow/kinds.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

/* --- claim --- */

static enum px_status job_from_row(const PGresult *row, struct store_job **out,
                                   struct px_err *err) {
  struct store_job *job = calloc(1, sizeof *job);
  char *spec = strdup(db_get(row, 0, "spec"));
  if (!job || !spec) {
    free(job);
    free(spec);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a job");
  }
  db_get_text(row, 0, "id", job->hold.job, sizeof job->hold.job);
  job->hold.epoch = db_get_int(row, 0, "epoch");
  db_get_text(row, 0, "kind", job->kind, sizeof job->kind);
  db_get_text(row, 0, "name", job->name, sizeof job->name);
  db_get_text(row, 0, "dataset_id", job->dataset_id, sizeof job->dataset_id);
  db_get_text(row, 0, "parent_id", job->parent_id, sizeof job->parent_id);
  job->attempt = (int)db_get_int(row, 0, "attempt");
  job->max_attempts = (int)db_get_int(row, 0, "max_attempts");
  job->limit_s = db_get_int(row, 0, "limit_s");
  job->spec_json = spec;
  *out = job;
  return PX_OK;
}

static enum px_status fetch_job(struct store *store, enum db_sql sql, const struct db_params *p,
                                struct store_job **out, struct px_err *err) {
  PGresult *row = NULL;
  enum px_status status = db_run(store, sql, p, DB_TEXT, &row, err);
  if (!status && PQntuples(row) == 0) *out = NULL;
  else if (!status) status = job_from_row(row, out, err);
  PQclear(row);
  return status;
}

/* The kinds, and the revisions of them that this build knows, as two arrays. */
static enum px_status put_kinds(const char *const *kinds, size_t n, struct px_buf *names,
                                struct px_buf *revisions, struct px_err *err) {
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++) {
    enum flow_kind kind;
    char revision[16];
    status = flow_kind_from(kinds[i], &kind, err);
    if (status) return status;
    snprintf(revision, sizeof revision, "%d", flow_kind_info(kind)->revision);
    status = db_array_text(names, kinds[i]);
    if (!status) status = db_array_text(revisions, revision);
  }
  if (!status) status = db_array_end(names);
  if (!status) status = db_array_end(revisions);
  return status ? px_fail(err, status, "the list of job kinds is too long") : PX_OK;
}

enum px_status store_job_claim(struct store *store, const char *worker, const char *const *kinds,
                               size_t kinds_n, int lease_ms, int64_t memory_bytes,
                               struct store_job **out, struct px_err *err) {
  struct px_buf names = PX_BUF(4096), revisions = PX_BUF(4096);
  enum px_status status = put_kinds(kinds, kinds_n, &names, &revisions, err);
  if (!status) {
    struct db_params p = DB_PARAMS;
    db_text(&p, worker);
    db_text(&p, names.data);
    db_int(&p, lease_ms);
    db_int(&p, memory_bytes);
    db_text(&p, revisions.data);
    status = fetch_job(store, SQL_job_claim, &p, out, err);
  }
  px_buf_free(&names);
  px_buf_free(&revisions);
  return status;
}

enum px_status store_job_adopt(struct store *store, const char *worker, int lease_ms,
                               struct store_job **out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, worker);
  db_int(&p, lease_ms);
  return fetch_job(store, SQL_job_adopt, &p, out, err);
}

void store_job_free(struct store_job *job) {
  if (!job) return;
  free(job->spec_json);
  free(job);
}

/* --- while it runs --- */

static void put_lease(struct db_params *p, const struct store_lease *hold) {
  db_text(p, hold->job);
  db_int(p, hold->epoch);
}

static enum px_status fenced(const struct store_lease *hold, struct px_err *err) {
  return px_fail(err, PX_E_FENCED, "job %s is not running under epoch %" PRId64 " any more",
                 hold->job, hold->epoch);
}

enum px_status store_job_heartbeat(struct store *store, const struct store_lease *hold,
                                   int lease_ms, const char *phase, int64_t step, int64_t total,
                                   bool *cancel_requested, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  put_lease(&p, hold);
  db_int(&p, lease_ms);
  db_text(&p, phase);
  db_int(&p, step);
  db_int(&p, total);
  PGresult *result;
  enum px_status status = db_run(store, SQL_job_heartbeat, &p, DB_TEXT, &result, err);
  if (status) return status;
  if (PQntuples(result) == 0) status = fenced(hold, err);
  else *cancel_requested = db_get_bool(result, 0, "cancel_requested");
  PQclear(result);
  return status;
}

enum px_status store_job_metrics_put(struct store *store, const struct store_lease *hold,
                                     const struct store_metric *metrics, size_t n,
                                     struct px_err *err) {
  struct px_buf names = PX_BUF(1 << 22), steps = PX_BUF(1 << 22), values = PX_BUF(1 << 22);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++) {
    status = db_array_text(&names, metrics[i].name);
    if (!status) status = db_array_int(&steps, metrics[i].step);
    if (!status) status = db_array_float(&values, metrics[i].value);
  }
  if (!status) status = db_array_end(&names);
  if (!status) status = db_array_end(&steps);
  if (!status) status = db_array_end(&values);
  if (status) {
    status = px_fail(err, status, "too many metrics at once");
  } else if (n) {
    struct db_params p = DB_PARAMS;
    put_lease(&p, hold);
    db_text(&p, names.data);
    db_text(&p, steps.data);
    db_text(&p, values.data);
    status = db_run(store, SQL_job_metrics_put, &p, DB_TEXT, NULL, err);
  }
  px_buf_free(&names);
  px_buf_free(&steps);
  px_buf_free(&values);
  return status;
}

/* --- its end --- */

enum px_status store_jobs_inner_hold(struct store *store, const struct store_lease *hold,
                                     bool *already, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, hold->job);
  PGresult *row;
  enum px_status status = db_run(store, SQL_job_lock, &p, DB_TEXT, &row, err);
  if (status) return status;
  const bool same = PQntuples(row) == 1 && db_get_int(row, 0, "epoch") == hold->epoch;
  *already = same && strcmp(db_get(row, 0, "state"), "succeeded") == 0;
  if (!*already && !(same && strcmp(db_get(row, 0, "state"), "running") == 0))
    status = fenced(hold, err);
  PQclear(row);
  return status;
}

enum px_status store_jobs_inner_end(struct store *store, const struct store_lease *hold,
                                    const char *result_json, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  put_lease(&p, hold);
  db_text(&p, result_json);
  PGresult *row;
  enum px_status status = db_run(store, SQL_job_succeed, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row) == 0) status = fenced(hold, err);
  PQclear(row);
  return status;
}

enum px_status store_job_succeed(struct store *store, const struct store_lease *hold,
                                 const char *result_json, struct px_err *err) {
  const enum px_status status = store_jobs_inner_end(store, hold, result_json, err);
  bool already;
  return status == PX_E_FENCED ? store_jobs_inner_hold(store, hold, &already, err) : status;
}

/* What cannot be stored as UTF-8 must not keep a failure from being told: a
 * message may quote an upload, or end in the middle of a character. */
static void printable(char *text) {
  for (unsigned char *c = (unsigned char *)text; *c; c++)
    if (*c >= 0x80 || *c < 0x20 || *c == 0x7f) *c = '?';
}

/* Runs a move out of `running`; no row means that the hold is lost. */
static enum px_status leave(struct store *store, enum db_sql sql, const struct db_params *p,
                            const struct store_lease *hold, struct px_err *err) {
  PGresult *row;
  enum px_status status = db_run(store, sql, p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row) == 0) status = fenced(hold, err);
  PQclear(row);
  return status;
}

enum px_status store_job_fail(struct store *store, const struct store_lease *hold,
                              const struct px_err *why, struct px_err *err) {
  struct px_err told = *why;
  printable(told.message);
  printable(told.hint);
  printable(told.pointer);
  struct db_params p = DB_PARAMS;
  put_lease(&p, hold);
  db_text(&p, px_status_slug(told.code));
  db_text(&p, px_status_title(told.code));
  db_text(&p, told.message);
  db_text(&p, told.hint[0] ? told.hint : px_status_hint(told.code));
  db_text(&p, told.pointer);
  db_bool(&p, px_status_retry(told.code) != PX_RETRY_NEVER);
  db_bool(&p, told.code == PX_E_NO_SPACE);
  return leave(store, SQL_job_fail, &p, hold, err);
}

enum px_status store_job_give_back(struct store *store, const struct store_lease *hold,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  put_lease(&p, hold);
  return leave(store, SQL_job_give_back, &p, hold, err);
}
