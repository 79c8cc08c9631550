/* SPDX-License-Identifier: Apache-2.0 */
/* Statements and transactions: see db.h. The connection, and what failures mean, are in
 * db_conn.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/secret.h"
#include "lib/base/text.h"
#include "lib/store/db_conn.h"
#include "lib/store/incarnation.h"
#include "lib/store/store.h"

enum { RERUNS_MAX = 8 };

static const struct {
  const char *name, *text;
} STATEMENT[DB_SQL_N] = {
#define SQL(name, text) { #name, text },
#include "schema/queries.def"
#undef SQL
};

const uint8_t *db_submitter(const struct store *store, int64_t *jobs_max) {
  *jobs_max = store->jobs_max;
  return store->submits ? store->submitter : NULL;
}
bool db_unsettled(const struct store *store) { return store->unsettled; }

/* Losing against another transaction is nobody's fault: the work is done again. */
static bool may_rerun(const struct store *store) {
  return strcmp(store->state, "40001") == 0 || strcmp(store->state, "40P01") == 0;
}

static void rerun_pause(struct store *store, int attempt) {
  const double ms = (1 << attempt) * px_rng_double(&store->rng);
  nanosleep(&(struct timespec){ .tv_nsec = (long)(ms * 1e6) }, NULL);
}

static enum px_status unsettled(struct px_err *err, const char *what) {
  px_fail(err, PX_E_UNSETTLED, "the connection to the database was lost while %s was committed",
          what);
  return PX_E_UNSETTLED;
}

/* ---- statements */

enum px_status db_ensure(struct store *store, struct px_err *err) {
  bool fresh = false;
  enum px_status status = db_conn_ensure(store, &fresh, err);
  if (!status && fresh) status = store_incarnation_settle(store, err);
  if (status) db_conn_drop(store);
  return status;
}

enum px_status store_open(const char *url, const char *application, struct store **out,
                          struct px_err *err) {
  struct store *store = NULL;
  enum px_status status = store_new(url, application, &store, err);
  if (!status) status = db_ensure(store, err);
  if (!status) *out = store;
  else store_close(store);
  return status;
}

static enum px_status prepare(struct store *store, enum db_sql sql, struct px_err *err) {
  if (store->prepared[sql]) return PX_OK;
  PGresult *result = db_conn_prepare(store, STATEMENT[sql].name, STATEMENT[sql].text);
  const enum px_status status = db_status(store, result, err);
  PQclear(result);
  store->prepared[sql] = !status;
  return status;
}

/* *sent: the statement went out, so that it may have been done whatever came back. */
static enum px_status run_once(struct store *store, enum db_sql sql, const struct db_params *params,
                               enum db_format format, PGresult **out, bool *sent,
                               struct px_err *err) {
  *sent = false;
  /* A transaction that lost its connection is over: it must not go on outside of one. */
  enum px_status status = store->in_transaction ? PX_OK : db_ensure(store, err);
  if (!status) status = prepare(store, sql, err);
  if (status) return status;
  *sent = true;
  PGresult *result = db_conn_run(store, STATEMENT[sql].name, params, format);
  status = db_status(store, result, err);
  if (status || !out) PQclear(result);
  else *out = result;
  return status;
}

/* These would do something else the second time: their callers find out what became of the
 * first. */
static bool only_once(enum db_sql sql) { return sql == SQL_job_claim || sql == SQL_token_create; }

static bool changes_something(enum db_sql sql) {
  return strncmp(STATEMENT[sql].text, "select", 6) != 0;
}

enum px_status db_run(struct store *store, enum db_sql sql, const struct db_params *params,
                      enum db_format format, PGresult **out, struct px_err *err) {
  bool sent;
  store->state[0] = '\0';
  if (store->in_transaction) return run_once(store, sql, params, format, out, &sent, err);
  const int64_t until_ms = px_clock_ms() + store->patience_ms;
  const bool durable = changes_something(sql);
  for (int reruns = 0, losses = 0;;) {
    if (durable) PX_CRASH_POINT(STATEMENT[sql].name, "before");
    store->state[0] = '\0';
    const enum px_status status = run_once(store, sql, params, format, out, &sent, err);
    if (durable && !status) PX_CRASH_POINT(STATEMENT[sql].name, "after");
    if (!status) return status;
    if (may_rerun(store) && reruns < RERUNS_MAX) {
      rerun_pause(store, reruns++);
      continue;
    }
    if (!db_conn_is_lost(store)) return status;
    db_conn_drop(store);
    if (sent && only_once(sql)) return unsettled(err, STATEMENT[sql].name);
    if (!db_conn_pause(store, until_ms, losses++)) return status;
  }
}

enum px_status db_one(struct store *store, enum db_sql sql, const struct db_params *params,
                      PGresult **out, struct px_err *err, const char *missing_fmt,
                      const char *missing_arg) {
  PGresult *result;
  const enum px_status status = db_run(store, sql, params, DB_TEXT, &result, err);
  if (status) return status;
  if (PQntuples(result) == 0) {
    PQclear(result);
    return px_fail(err, PX_E_NOT_FOUND, missing_fmt, missing_arg);
  }
  *out = result;
  return PX_OK;
}

enum px_status db_document(struct store *store, enum db_sql sql, const struct db_params *params,
                           struct px_buf *out, int64_t *version, struct px_err *err,
                           const char *missing_fmt, const char *missing_arg) {
  PGresult *row = NULL;
  enum px_status status = db_one(store, sql, params, &row, err, missing_fmt, missing_arg);
  if (status) return status;
  const int length = db_get_length(row, 0, "document");
  status = px_buf_put(out, db_get(row, 0, "document"), (size_t)length);
  if (status) px_fail(err, status, "a document of %d bytes is too large", length);
  else if (version) *version = db_get_int(row, 0, "version");
  PQclear(row);
  return status;
}

/* ---- transactions */

/* *asked: the commit went out, so that it may have happened whatever came back. */
static enum px_status transaction_once(struct store *store, db_work fn, void *ctx, const char *name,
                                       bool *asked, struct px_err *err) {
  *asked = false;
  enum px_status status = db_ensure(store, err);
  if (!status) status = db_exec(store, "begin", err);
  if (status) return status;
  store->in_transaction = true;
  status = fn(store, ctx, err);
  /* PostgreSQL answers a commit after an error with a quiet rollback. */
  if (!status && PQtransactionStatus(store->conn) == PQTRANS_INERROR)
    status = px_fail(err, PX_E_INTERNAL, "a statement of the transaction failed unnoticed");
  if (!status && px_json_lacking())
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a document of %s", name);
  if (!status) {
    PX_CRASH_POINT(name, "commit");
    *asked = true;
    status = db_exec(store, "commit", err);
  }
  if (status && PQstatus(store->conn) == CONNECTION_OK) {
    char state[sizeof store->state]; /* the cause must survive the rollback */
    memcpy(state, store->state, sizeof state);
    PQclear(db_conn_exec(store, "rollback"));
    memcpy(store->state, state, sizeof state);
    if (PQtransactionStatus(store->conn) != PQTRANS_IDLE) db_conn_drop(store);
  }
  store->in_transaction = false;
  return status;
}

enum px_status db_transaction(struct store *store, const char *name, db_work fn, void *ctx,
                              struct px_err *err) {
  if (store->in_transaction) return fn(store, ctx, err);
  const int64_t until_ms = px_clock_ms() + store->patience_ms;
  enum px_status status;
  store->unsettled = false;
  PX_CRASH_POINT(name, "before");
  for (int reruns = 0, losses = 0;;) {
    bool asked;
    store->state[0] = '\0';
    status = transaction_once(store, fn, ctx, name, &asked, err);
    if (!status) break;
    /* Done between the look at what the lost commit did and now, or losing against another. */
    const bool raced = store->unsettled && strcmp(store->state, "23505") == 0;
    if ((may_rerun(store) || raced) && reruns < RERUNS_MAX) {
      rerun_pause(store, reruns++);
      continue;
    }
    if (!db_conn_is_lost(store)) break;
    store->unsettled |= asked;
    db_conn_drop(store);
    if (db_conn_pause(store, until_ms, losses++)) continue;
    if (store->unsettled) status = unsettled(err, name);
    break;
  }
  store->unsettled = false;
  if (!status) PX_CRASH_POINT(name, "after");
  return status;
}

void store_new_id(const char *prefix, char id[STORE_ID_MAX]) {
  uint8_t bytes[10] = { 0 };
  char digits[2 * sizeof bytes + 1];
  /* Without random numbers ids repeat, and the database refuses the second. */
  if (px_secret_random(bytes, sizeof bytes)) memset(bytes, 0, sizeof bytes);
  px_text_hex(bytes, sizeof bytes, digits);
  snprintf(id, STORE_ID_MAX, "%.8s_%s", prefix, digits);
}

void db_drop(struct store *store) { db_conn_drop(store); }

enum px_status store_ping(struct store *store, struct px_err *err) {
  return db_run(store, SQL_ping, &DB_PARAMS, DB_TEXT, NULL, err);
}

enum px_status store_data_folder(struct store *store, char *out, size_t size, struct px_err *err) {
  PGresult *row;
  const enum px_status status = db_run(store, SQL_data_folder, &DB_PARAMS, DB_TEXT, &row, err);
  if (status) return status;
  out[0] = '\0';
  if (PQntuples(row) == 1) db_get_text(row, 0, "data_directory", out, size);
  PQclear(row);
  return PX_OK;
}
