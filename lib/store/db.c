/* Statements, transactions and what failures mean: see db.h. The connection is in db_conn.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/store/db_conn.h"

enum { RERUNS_MAX = 8 };

static const struct { const char *name, *text; } STATEMENT[DB_SQL_N] = {
#define SQL(name, text) { #name, text },
#include "schema/queries.def"
#undef SQL
};

/* ---- what a failure means */

const char *db_last_state(const struct store *store) { return store->state; }
const char *db_last_constraint(const struct store *store) { return store->constraint; }
const uint8_t *db_submitter(const struct store *store, int64_t *jobs_max) {
  *jobs_max = store->jobs_max;
  return store->submits ? store->submitter : NULL;
}
bool db_unsettled(const struct store *store) { return store->unsettled; }

static enum px_status meaning(const char *state) {
  static const struct { const char *prefix; enum px_status status; } TABLE[] = {
    { "PX001", PX_E_FENCED },      { "PX002", PX_E_CONFLICT },    { "PX003", PX_E_NOT_FOUND },
    { "PX004", PX_E_DEPENDENCY_FAILED },
    { "23505", PX_E_CONFLICT },    { "23503", PX_E_NOT_FOUND },   { "23514", PX_E_BAD_FIELD },
    { "22", PX_E_BAD_FIELD },      { "40", PX_E_UNAVAILABLE },    { "08", PX_E_UNAVAILABLE },
    { "57", PX_E_UNAVAILABLE },    { "55P03", PX_E_UNAVAILABLE }, { "25P03", PX_E_UNAVAILABLE },
    { "25006", PX_E_UNAVAILABLE }, { "53100", PX_E_NO_SPACE },    { "53200", PX_E_NO_MEMORY },
    { "53", PX_E_UNAVAILABLE },    { "58030", PX_E_IO },
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
    if (strncmp(state, TABLE[i].prefix, strlen(TABLE[i].prefix)) == 0) return TABLE[i].status;
  return PX_E_INTERNAL;
}

/* PostgreSQL's own words name tables, constraints and values: they are for whoever runs the service, not for its clients. */
static void tell_log(const PGresult *result, enum px_status status) {
  const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  const bool usual = status == PX_E_CONFLICT || status == PX_E_NOT_FOUND || status == PX_E_UNAVAILABLE; /* told by callers */
  px_log(usual ? PX_LOG_DEBUG : PX_LOG_WARN, "database_error", "state", PQresultErrorField(result, PG_DIAG_SQLSTATE), "text",
         PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "detail", detail ? detail : "", NULL);
}

enum px_status db_status(struct store *store, const PGresult *result, struct px_err *err) {
  const ExecStatusType type = PQresultStatus(result);
  if (type == PGRES_TUPLES_OK || type == PGRES_COMMAND_OK || type == PGRES_SINGLE_TUPLE) return PX_OK;
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  snprintf(store->state, sizeof store->state, "%s", state ? state : "");
  snprintf(store->constraint, sizeof store->constraint, "%s", constraint ? constraint : "");
  if (PQstatus(store->conn) != CONNECTION_OK || !state) return conn_give_up(store, err);
  /* A blob that the row should reach is gone: the server crashed before it was on disk. The work can be done again. */
  const bool lost = strcmp(state, "23503") == 0 && strstr(store->constraint, "_blob_id_fkey");
  const enum px_status status = lost ? PX_E_UNAVAILABLE : meaning(state);
  const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
  const bool ours = strncmp(state, "PX", 2) == 0; /* raised by our own triggers, for people */
  if (ours) px_fail(err, status, "%s", text);
  else tell_log(result, status);
  if (!ours) px_fail(err, status, "the database refused a statement (SQLSTATE %s)", state);
  if (ours && hint) px_err_hint(err, "%s", hint);
  return status;
}

/* Losing against another transaction is nobody's fault: the work is done again. */
static bool may_rerun(const struct store *store) {
  return strcmp(store->state, "40001") == 0 || strcmp(store->state, "40P01") == 0;
}

static void rerun_pause(struct store *store, int attempt) {
  const double ms = (1 << attempt) * px_rng_double(&store->rng);
  nanosleep(&(struct timespec){ .tv_nsec = (long)(ms * 1e6) }, NULL);
}

static enum px_status unsettled(struct px_err *err, const char *what) {
  px_fail(err, PX_E_UNSETTLED, "the connection to the database was lost while %s was committed", what);
  return PX_E_UNSETTLED;
}

/* ---- statements */

enum px_status db_ensure(struct store *store, struct px_err *err) { return conn_ensure(store, err); }

static enum px_status prepare(struct store *store, enum db_sql sql, struct px_err *err) {
  if (store->prepared[sql]) return PX_OK;
  PGresult *result = conn_prepare(store, STATEMENT[sql].name, STATEMENT[sql].text);
  const enum px_status status = db_status(store, result, err);
  PQclear(result);
  store->prepared[sql] = !status;
  return status;
}

/* *sent: the statement went out, so that it may have been done whatever came back. */
static enum px_status run_once(struct store *store, enum db_sql sql, const struct db_params *params,
                               enum db_format format, PGresult **out, bool *sent, struct px_err *err) {
  *sent = false;
  /* A transaction that lost its connection is over: it must not go on outside of one. */
  enum px_status status = store->in_transaction ? PX_OK : conn_ensure(store, err);
  if (!status) status = prepare(store, sql, err);
  if (status) return status;
  *sent = true;
  PGresult *result = conn_run(store, STATEMENT[sql].name, params, format);
  status = db_status(store, result, err);
  if (status || !out) PQclear(result);
  else *out = result;
  return status;
}

/* These would do something else the second time: their callers find out what became of the first. */
static bool only_once(enum db_sql sql) { return sql == SQL_job_claim || sql == SQL_token_create; }

static bool changes_something(enum db_sql sql) { return strncmp(STATEMENT[sql].text, "select", 6) != 0; }

enum px_status db_run(struct store *store, enum db_sql sql, const struct db_params *params, enum db_format format,
                      PGresult **out, struct px_err *err) {
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
    if (!conn_is_lost(store)) return status;
    conn_drop(store);
    if (sent && only_once(sql)) return unsettled(err, STATEMENT[sql].name);
    if (!conn_pause(store, until_ms, losses++)) return status;
  }
}

enum px_status db_one(struct store *store, enum db_sql sql, const struct db_params *params, PGresult **out,
                      struct px_err *err, const char *missing_fmt, const char *missing_arg) {
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

enum px_status db_exec(struct store *store, const char *sql, struct px_err *err) {
  PGresult *result = conn_exec(store, sql);
  const enum px_status status = db_status(store, result, err);
  PQclear(result);
  return status;
}

/* ---- transactions */

/* *asked: the commit went out, so that it may have happened whatever came back. */
static enum px_status transaction_once(struct store *store, db_work fn, void *ctx, const char *name, bool *asked,
                                       struct px_err *err) {
  *asked = false;
  enum px_status status = conn_ensure(store, err);
  if (!status) status = db_exec(store, "begin", err);
  if (status) return status;
  store->in_transaction = true;
  status = fn(store, ctx, err);
  /* PostgreSQL answers a commit after an error with a quiet rollback. */
  if (!status && PQtransactionStatus(store->conn) == PQTRANS_INERROR)
    status = px_fail(err, PX_E_INTERNAL, "a statement of the transaction failed unnoticed");
  if (!status && px_json_lacking()) status = px_fail(err, PX_E_NO_MEMORY, "no memory for a document of %s", name);
  if (!status) {
    PX_CRASH_POINT(name, "commit");
    *asked = true;
    status = db_exec(store, "commit", err);
  }
  if (status && PQstatus(store->conn) == CONNECTION_OK) {
    char state[sizeof store->state]; /* the cause must survive the rollback */
    memcpy(state, store->state, sizeof state);
    PQclear(conn_exec(store, "rollback"));
    memcpy(store->state, state, sizeof state);
    if (PQtransactionStatus(store->conn) != PQTRANS_IDLE) conn_drop(store);
  }
  store->in_transaction = false;
  return status;
}

enum px_status db_transaction(struct store *store, const char *name, db_work fn, void *ctx, struct px_err *err) {
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
    if (!conn_is_lost(store)) break;
    store->unsettled |= asked;
    conn_drop(store);
    if (conn_pause(store, until_ms, losses++)) continue;
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
  if (px_random(bytes, sizeof bytes)) memset(bytes, 0, sizeof bytes);
  px_hex(bytes, sizeof bytes, digits);
  snprintf(id, STORE_ID_MAX, "%.8s_%s", prefix, digits);
}

void db_drop(struct store *store) { conn_drop(store); }

enum px_status store_ping(struct store *store, struct px_err *err) {
  return db_run(store, SQL_ping, &DB_PARAMS, DB_TEXT, NULL, err);
}

enum px_status store_data_folder(struct store *store, char *out, size_t size, struct px_err *err) {
  PGresult *row;
  const enum px_status status = db_run(store, SQL_data_folder, &DB_PARAMS, DB_TEXT, &row, err);
  if (status) return status;
  out[0] = '\0';
  if (PQntuples(row) == 1) db_get_text(row, 0, 0, out, size);
  PQclear(row);
  return PX_OK;
}
