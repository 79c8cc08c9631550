/* The connection under the store: see db.h. */
#include "lib/store/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/hash.h"
#include "lib/base/rng.h"

enum { RERUNS_MAX = 8, CONNECT_TIMEOUT_S = 5 };

static const struct { const char *name, *text; } STATEMENT[DB_SQL_N] = {
#define SQL(name, text) { #name, text },
#include "schema/queries.def"
#undef SQL
};

struct store {
  PGconn *conn;
  char *url, *application;
  bool prepared[DB_SQL_N];
  bool in_transaction;
  char state[6], constraint[64]; /* of the last failure */
  struct px_rng rng;             /* jitter of reruns only */
};

/* --- connection --- */

enum px_status store_open(const char *url, const char *application, struct store **out, struct px_err *err) {
  struct store *store = calloc(1, sizeof *store);
  if (!store) return px_fail(err, PX_E_NO_MEMORY, "no memory for a database connection");
  store->url = strdup(url);
  store->application = strdup(application);
  uint64_t seed = 0;
  enum px_status status = px_random(&seed, sizeof seed);
  store->rng = px_rng_at(seed, 0, 0);
  if (status || !store->url || !store->application) {
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a database connection");
  } else {
    status = db_ensure(store, err);
  }
  if (status) {
    store_close(store);
    return status;
  }
  *out = store;
  return PX_OK;
}

void store_close(struct store *store) {
  if (!store) return;
  PQfinish(store->conn);
  free(store->url);
  free(store->application);
  free(store);
}

/* libpq's messages end with a newline and may hold several lines. */
static void tidy(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text ? text : "");
  size_t n = strlen(out);
  while (n && (out[n - 1] == '\n' || out[n - 1] == ' ')) out[--n] = '\0';
  for (size_t i = 0; i < n; i++)
    if (out[i] == '\n') out[i] = ' ';
}

static enum px_status unreachable(struct store *store, struct px_err *err) {
  char text[256];
  tidy(text, sizeof text, store->conn ? PQerrorMessage(store->conn) : "out of memory");
  px_fail(err, PX_E_UNAVAILABLE, "the database does not answer: %s", text);
  px_err_hint(err, "Is PostgreSQL running, and is db_url right?");
  return PX_E_UNAVAILABLE;
}

static void ignore_notice(void *arg, const PGresult *result) {
  (void)arg;
  (void)result;
}

enum px_status db_ensure(struct store *store, struct px_err *err) {
  if (store->conn && PQstatus(store->conn) == CONNECTION_OK) return PX_OK;
  PQfinish(store->conn);
  char timeout[8];
  snprintf(timeout, sizeof timeout, "%d", CONNECT_TIMEOUT_S);
  const char *const keys[] = { "dbname", "application_name", "connect_timeout", "keepalives_idle", "tcp_user_timeout", NULL };
  const char *const values[] = { store->url, store->application, timeout, "10", "20000", NULL };
  store->conn = PQconnectdbParams(keys, values, 1);
  memset(store->prepared, 0, sizeof store->prepared);
  store->in_transaction = false;
  if (PQstatus(store->conn) != CONNECTION_OK) return unreachable(store, err);
  PQsetNoticeReceiver(store->conn, ignore_notice, NULL);
  /* A process stopped in the middle of a transaction must not hold its locks for ever. */
  return db_exec(store, "set timezone to 'UTC'; set extra_float_digits to 1; set bytea_output to hex;"
                        "set idle_in_transaction_session_timeout to '60s'; set lock_timeout to '30s'", err);
}

/* --- what a failure means --- */

const char *db_last_state(const struct store *store) { return store->state; }
const char *db_last_constraint(const struct store *store) { return store->constraint; }

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

enum px_status db_status(struct store *store, const PGresult *result, struct px_err *err) {
  const ExecStatusType type = PQresultStatus(result);
  if (type == PGRES_TUPLES_OK || type == PGRES_COMMAND_OK || type == PGRES_SINGLE_TUPLE) return PX_OK;
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  snprintf(store->state, sizeof store->state, "%s", state ? state : "");
  snprintf(store->constraint, sizeof store->constraint, "%s", constraint ? constraint : "");
  if (PQstatus(store->conn) != CONNECTION_OK || !state) return unreachable(store, err);
  /* A blob that the row should reach is gone: the server crashed before it was on disk. The work can be done again. */
  const bool lost = strcmp(state, "23503") == 0 && strstr(store->constraint, "_blob_id_fkey");
  const enum px_status status = lost ? PX_E_UNAVAILABLE : meaning(state);
  char text[256], detail[200];
  tidy(text, sizeof text, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  tidy(detail, sizeof detail, PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
  if (strncmp(state, "PX", 2) == 0) px_fail(err, status, "%s", text);
  else px_fail(err, status, "the database says (%s): %s%s%s", state, text, *detail ? ": " : "", detail);
  const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
  if (hint) px_err_hint(err, "%s", hint);
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

/* --- statements --- */

static enum px_status prepare(struct store *store, enum db_sql sql, struct px_err *err) {
  if (store->prepared[sql]) return PX_OK;
  PGresult *result = PQprepare(store->conn, STATEMENT[sql].name, STATEMENT[sql].text, 0, NULL);
  const enum px_status status = db_status(store, result, err);
  PQclear(result);
  store->prepared[sql] = !status;
  return status;
}

static enum px_status run_once(struct store *store, enum db_sql sql, const struct db_params *params,
                               enum db_format format, PGresult **out, struct px_err *err) {
  /* A transaction that lost its connection is over: it must not go on outside of one. */
  enum px_status status = store->in_transaction ? PX_OK : db_ensure(store, err);
  if (!status) status = prepare(store, sql, err);
  if (status) return status;
  PGresult *result = PQexecPrepared(store->conn, STATEMENT[sql].name, params->n, params->value, params->length,
                                    params->format, format);
  status = db_status(store, result, err);
  if (status || !out) PQclear(result);
  else *out = result;
  return status;
}

enum px_status db_run(struct store *store, enum db_sql sql, const struct db_params *params, enum db_format format,
                      PGresult **out, struct px_err *err) {
  for (int attempt = 0;; attempt++) {
    store->state[0] = '\0';
    const enum px_status status = run_once(store, sql, params, format, out, err);
    if (!status || store->in_transaction || !may_rerun(store) || attempt == RERUNS_MAX) return status;
    rerun_pause(store, attempt);
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
  PGresult *result = PQexec(store->conn, sql);
  const enum px_status status = db_status(store, result, err);
  PQclear(result);
  return status;
}

static enum px_status transaction_once(struct store *store, db_work fn, void *ctx, struct px_err *err) {
  enum px_status status = db_ensure(store, err);
  if (!status) status = db_exec(store, "begin", err);
  if (status) return status;
  store->in_transaction = true;
  status = fn(store, ctx, err);
  /* PostgreSQL answers a commit after an error with a quiet rollback. */
  if (!status && PQtransactionStatus(store->conn) == PQTRANS_INERROR)
    status = px_fail(err, PX_E_INTERNAL, "a statement of the transaction failed unnoticed");
  if (!status) {
    status = db_exec(store, "commit", err);
    if (status && PQstatus(store->conn) != CONNECTION_OK)
      px_err_hint(err, "Whether it was committed is unknown; the same request with the same Idempotency-Key settles it.");
  }
  if (status && PQstatus(store->conn) == CONNECTION_OK) {
    char state[sizeof store->state]; /* the cause must survive the rollback */
    memcpy(state, store->state, sizeof state);
    PQclear(PQexec(store->conn, "rollback"));
    memcpy(store->state, state, sizeof state);
  }
  store->in_transaction = false;
  return status;
}

enum px_status db_transaction(struct store *store, db_work fn, void *ctx, struct px_err *err) {
  if (store->in_transaction) return fn(store, ctx, err);
  for (int attempt = 0;; attempt++) {
    store->state[0] = '\0';
    const enum px_status status = transaction_once(store, fn, ctx, err);
    if (!status || !may_rerun(store) || attempt == RERUNS_MAX) return status;
    rerun_pause(store, attempt);
  }
}

void db_drop(struct store *store) {
  PQfinish(store->conn);
  store->conn = NULL;
  store->in_transaction = false;
}

enum px_status store_ping(struct store *store, struct px_err *err) {
  return db_run(store, SQL_ping, &DB_PARAMS, DB_TEXT, NULL, err);
}
