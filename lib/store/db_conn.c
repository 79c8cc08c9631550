/* SPDX-License-Identifier: Apache-2.0 */
/* The connection under the statements: see db_conn.h. */
#include "lib/store/db_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "lib/store/store.h"

/* An answer may have to wait for a lock (lock_timeout) and then for the disk. */
enum {
  ANSWER_MS = 90000,
  CONNECT_MIN_S = 2,
  CONNECT_MAX_S = 5,
  LOOK_MS = 100,
  PAUSE_MS = 50,
  PAUSE_MAX_MS = 1000
};

/* ---- opening and closing */

enum px_status store_new(const char *url, const char *application, struct store **out,
                         struct px_err *err) {
  struct store *store = calloc(1, sizeof *store);
  if (!store) return px_fail(err, PX_E_NO_MEMORY, "no memory for a database connection");
  store->url = strdup(url);
  store->application = strdup(application);
  store->answer_ms = ANSWER_MS;
  uint64_t seed = 0;
  const enum px_status status = px_secret_random(&seed, sizeof seed);
  store->rng = px_rng_at(seed, 0, 0);
  if (status || !store->url || !store->application) {
    store_close(store);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a database connection");
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

void store_set_patience(struct store *store, int patience_ms) { store->patience_ms = patience_ms; }
int store_patience(const struct store *store) { return store->patience_ms; }
void store_set_answer(struct store *store, int answer_ms) { store->answer_ms = answer_ms; }
void store_set_silent(struct store *store, const atomic_bool *silent) { store->silent = silent; }
void store_set_submitter(struct store *store, const uint8_t digest[32], int64_t jobs_max) {
  store->submits = digest != NULL;
  store->jobs_max = jobs_max;
  if (digest) memcpy(store->submitter, digest, sizeof store->submitter);
}
int store_answer(const struct store *store) { return store->answer_ms; }

void db_conn_drop(struct store *store) {
  PQfinish(store->conn);
  store->conn = NULL;
}

/* libpq's messages end with a newline and may hold several lines. */
static void tidy(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text ? text : "");
  size_t n = strlen(out);
  while (n && (out[n - 1] == '\n' || out[n - 1] == ' ')) out[--n] = '\0';
  for (size_t i = 0; i < n; i++)
    if (out[i] == '\n' || out[i] == '\t') out[i] = ' ';
}

static void replace_all(char *text, size_t size, const char *secret) {
  static const char MARK[] = "***";
  const size_t n = strlen(secret), mark = sizeof MARK - 1;
  for (char *at = text; n && (at = strstr(at, secret)) != NULL; at += mark) {
    const size_t room = size - (size_t)(at - text) - mark - 1, rest = strlen(at + n);
    memmove(at + mark, at + n, rest < room ? rest : room);
    memcpy(at, MARK, mark);
    at[mark + (rest < room ? rest : room)] = '\0';
  }
}

/* Why there is no connection, without the password: libpq quotes a URI that it cannot read. */
static void tell_failure(const struct store *store, char *out, size_t size) {
  PQconninfoOption *options = PQconninfoParse(store->url, NULL);
  tidy(out, size, PQerrorMessage(store->conn));
  if (!options) snprintf(out, size, "db_url is not a connection URI that libpq understands");
  for (PQconninfoOption *o = options; o && o->keyword; o++)
    if (o->val && strstr(o->keyword, "password")) replace_all(out, size, o->val);
  PQconninfoFree(options);
}

enum px_status db_conn_give_up(struct store *store, struct px_err *err) {
  char text[256];
  if (store->late) snprintf(text, sizeof text, "it is silent");
  else if (store->conn) tell_failure(store, text, sizeof text);
  else snprintf(text, sizeof text, "the connection was given up");
  px_fail(err, PX_E_UNAVAILABLE, "the database does not answer: %s", text);
  px_fail_hint(err, "Is PostgreSQL running, and is db_url right?");
  db_conn_drop(store);
  return PX_E_UNAVAILABLE;
}

/* ---- what a failure means */

const char *db_last_state(const struct store *store) { return store->state; }
const char *db_last_constraint(const struct store *store) { return store->constraint; }

static enum px_status meaning(const char *state) {
  static const struct {
    const char *prefix;
    enum px_status status;
  } TABLE[] = {
    { "PX001", PX_E_FENCED },      { "PX002", PX_E_CONFLICT },
    { "PX003", PX_E_NOT_FOUND },   { "PX004", PX_E_DEPENDENCY_FAILED },
    { "23505", PX_E_CONFLICT },    { "23503", PX_E_NOT_FOUND },
    { "23514", PX_E_BAD_FIELD },   { "22", PX_E_BAD_FIELD },
    { "40", PX_E_UNAVAILABLE },    { "08", PX_E_UNAVAILABLE },
    { "57", PX_E_UNAVAILABLE },    { "55P03", PX_E_UNAVAILABLE },
    { "25P03", PX_E_UNAVAILABLE }, { "25006", PX_E_UNAVAILABLE },
    { "53100", PX_E_NO_SPACE },    { "53200", PX_E_NO_MEMORY },
    { "53", PX_E_UNAVAILABLE },    { "58030", PX_E_IO },
  };
  for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
    if (strncmp(state, TABLE[i].prefix, strlen(TABLE[i].prefix)) == 0) return TABLE[i].status;
  return PX_E_INTERNAL;
}

/* PostgreSQL's own words name tables, constraints and values: they are for whoever runs the
 * service, not for its clients. */
static void tell_log(const PGresult *result, enum px_status status) {
  const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  /* told by callers */
  const bool usual =
    status == PX_E_CONFLICT || status == PX_E_NOT_FOUND || status == PX_E_UNAVAILABLE;
  px_log(usual ? PX_LOG_DEBUG : PX_LOG_WARN, "database_error", "state",
         PQresultErrorField(result, PG_DIAG_SQLSTATE), "text",
         PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "detail", detail ? detail : "", NULL);
}

enum px_status db_status(struct store *store, const PGresult *result, struct px_err *err) {
  const ExecStatusType type = PQresultStatus(result);
  if (type == PGRES_TUPLES_OK || type == PGRES_COMMAND_OK || type == PGRES_SINGLE_TUPLE)
    return PX_OK;
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  snprintf(store->state, sizeof store->state, "%s", state ? state : "");
  snprintf(store->constraint, sizeof store->constraint, "%s", constraint ? constraint : "");
  if (PQstatus(store->conn) != CONNECTION_OK || !state) return db_conn_give_up(store, err);
  /* A blob that the row should reach is gone: the server crashed before it was on disk. The work
   * can be done again. */
  const bool lost = strcmp(state, "23503") == 0 && strstr(store->constraint, "_blob_id_fkey");
  const enum px_status status = lost ? PX_E_UNAVAILABLE : meaning(state);
  const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
  const bool ours = strncmp(state, "PX", 2) == 0; /* raised by our own triggers, for people */
  if (ours) px_fail(err, status, "%s", text);
  else tell_log(result, status);
  if (!ours) px_fail(err, status, "the database refused a statement (SQLSTATE %s)", state);
  if (ours && hint) px_fail_hint(err, "%s", hint);
  return status;
}

enum px_status db_exec(struct store *store, const char *sql, struct px_err *err) {
  PGresult *result = db_conn_exec(store, sql);
  const enum px_status status = db_status(store, result, err);
  PQclear(result);
  return status;
}

static void ignore_notice(void *arg, const PGresult *result) {
  (void)arg;
  (void)result;
}

static int connect_timeout_s(const struct store *store) {
  const int s = store->answer_ms / 1000;
  return s < CONNECT_MIN_S ? CONNECT_MIN_S : s > CONNECT_MAX_S ? CONNECT_MAX_S : s;
}

static enum px_status conn_open(struct store *store, struct px_err *err) {
  char timeout[16];
  snprintf(timeout, sizeof timeout, "%d", connect_timeout_s(store));
  const char *const keys[] = { "dbname",          "application_name", "connect_timeout",
                               "keepalives_idle", "tcp_user_timeout", NULL };
  const char *const values[] = { store->url, store->application, timeout, "10", "20000", NULL };
  store->late = false;
  store->conn = PQconnectdbParams(keys, values, 1);
  memset(store->prepared, 0, sizeof store->prepared);
  if (PQstatus(store->conn) != CONNECTION_OK) return db_conn_give_up(store, err);
  PQsetNoticeReceiver(store->conn, ignore_notice, NULL);
  PQsetnonblocking(store->conn, 1);
  /* A process stopped in the middle of a transaction must not hold its locks for ever. */
  return db_exec(store,
                 "set timezone to 'UTC'; set extra_float_digits to 1; set bytea_output to hex;"
                 "set idle_in_transaction_session_timeout to '60s'; set lock_timeout to '30s'",
                 err);
}

enum px_status db_conn_ensure(struct store *store, bool *fresh, struct px_err *err) {
  if (store->conn && PQstatus(store->conn) == CONNECTION_OK) return PX_OK;
  db_conn_drop(store);
  *fresh = true;
  return conn_open(store, err);
}

bool db_conn_is_lost(const struct store *store) {
  /* 57P01 to 57P03: it is shutting down, has crashed, or is starting; 25006: it became a
   * standby. */
  return !store->conn || PQstatus(store->conn) != CONNECTION_OK ||
         strncmp(store->state, "57P0", 4) == 0 || strcmp(store->state, "25006") == 0;
}

bool db_conn_pause(struct store *store, int64_t until_ms, int tries) {
  if (tries == 0 && !store->late) return true;
  const int doubled = PAUSE_MS << (tries < 6 ? tries : 6);
  const double ms =
    (doubled < PAUSE_MAX_MS ? doubled : PAUSE_MAX_MS) * (0.5 + px_rng_double(&store->rng) / 2);
  if (px_clock_ms() + (int64_t)ms > until_ms) return false;
  nanosleep(&(struct timespec){ .tv_nsec = (long)(ms * 1e6) }, NULL);
  return true;
}

/* ---- waiting for answers */

/* Waits until libpq can give a result without blocking; false when time is up. */
static bool await_result(struct store *store, int64_t until_ms) {
  for (;;) {
    const int unsent = PQflush(store->conn);
    /* what broke shows in the result */
    if (unsent < 0 || (unsent == 0 && !PQisBusy(store->conn))) return true;
    int64_t left = until_ms - px_clock_ms();
    if (left <= 0 || (store->silent && atomic_load(store->silent))) return false;
    if (store->silent && left > LOOK_MS) left = LOOK_MS;
    struct pollfd fd = { .fd = PQsocket(store->conn),
                         .events = (short)(POLLIN | (unsent ? POLLOUT : 0)) };
    if (poll(&fd, 1, (int)left) < 0 && errno != EINTR) return false;
    if (fd.revents & (POLLIN | POLLHUP | POLLERR) && !PQconsumeInput(store->conn)) return true;
  }
}

/* The last result of what was sent, as PQexec gives it. */
static PGresult *last_result(struct store *store, int sent) {
  PGresult *last = NULL;
  const int64_t until_ms = px_clock_ms() + store->answer_ms;
  store->late = false;
  while (sent) {
    if (!await_result(store, until_ms)) {
      PQclear(last);
      db_conn_drop(store);
      store->late = true;
      return NULL;
    }
    PGresult *next = PQgetResult(store->conn);
    if (!next) break;
    PQclear(last);
    last = next;
  }
  return last;
}

PGresult *db_conn_exec(struct store *store, const char *sql) {
  return store->conn ? last_result(store, PQsendQuery(store->conn, sql)) : NULL;
}

PGresult *db_conn_prepare(struct store *store, const char *name, const char *sql) {
  return store->conn ? last_result(store, PQsendPrepare(store->conn, name, sql, 0, NULL)) : NULL;
}

PGresult *db_conn_run(struct store *store, const char *name, const struct db_params *params,
                      enum db_format format) {
  if (!store->conn) return NULL;
  return last_result(store, PQsendQueryPrepared(store->conn, name, params->n, params->value,
                                                params->length, params->format, format));
}
