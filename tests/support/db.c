/* SPDX-License-Identifier: Apache-2.0 */
/* The database of one test program: see db.h. */
#include "tests/support/db.h"

#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *db_test_url(void) {
  const char *url = getenv("PROXACT_DB_URL");
  if (url && *url) return url;
  printf("SKIP store: PROXACT_DB_URL is not set (make check-integration sets it)\n");
  exit(0);
}

struct store *db_test_open(const char *application) {
  struct px_err err;
  struct store *store = NULL;
  CU_OK(store_open(db_test_url(), application, &store, &err), err);
  CU_OK(store_migrate(store, NULL, &err), err);
  return store;
}

static PGconn *raw(void) {
  static PGconn *conn;
  if (conn && PQstatus(conn) != CONNECTION_OK) {
    PQfinish(conn);
    conn = NULL;
  }
  if (!conn) {
    conn = PQconnectdb(db_test_url());
    PQclear(PQexec(conn, "set client_min_messages to warning; set timezone to 'UTC'"));
  }
  return conn;
}

static PGresult *run(const char *sql, va_list args) {
  char text[8192];
  const int n = vsnprintf(text, sizeof text, sql, args);
  CU_ASSERT_FATAL(n > 0 && (size_t)n < sizeof text);
  return PQexec(raw(), text);
}

const char *db_sql(const char *sql, ...) {
  static char value[65536];
  va_list args;
  va_start(args, sql);
  PGresult *result = run(sql, args);
  va_end(args);
  const ExecStatusType type = PQresultStatus(result);
  if (type != PGRES_TUPLES_OK && type != PGRES_COMMAND_OK)
    printf("\n  %s: %s", sql, PQresultErrorMessage(result));
  CU_ASSERT_FATAL(type == PGRES_TUPLES_OK || type == PGRES_COMMAND_OK);
  snprintf(value, sizeof value, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
  PQclear(result);
  return value;
}

const char *db_sql_state(const char *sql, ...) {
  static char state[8];
  va_list args;
  va_start(args, sql);
  PGresult *result = run(sql, args);
  va_end(args);
  const char *field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  snprintf(state, sizeof state, "%s", field ? field : "");
  PQclear(result);
  return state;
}

void db_submit(struct store *store, const char *kind, const char *const *needs,
               char id[STORE_ID_MAX]) {
  struct px_err err;
  size_t n = 0;
  while (needs && needs[n]) n++;
  store_job_new_id(id);
  const struct store_job_draft draft = {
    .id = id, .kind = kind, .name = kind, .spec_json = "{}", .needs = needs, .needs_n = n
  };
  CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
}

struct store_lease db_claim(struct store *store, const char *kind) {
  struct px_err err;
  struct store_job *job = NULL;
  CU_OK(store_job_claim(store, "worker-a", &kind, 1, 30000, 0, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  const struct store_lease hold = job->hold;
  store_job_free(job);
  return hold;
}

const char *db_state(const char *id) {
  return db_sql("select state from jobs where id = '%s'", id);
}
