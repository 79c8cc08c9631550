/* SPDX-License-Identifier: Apache-2.0 */
/* Which life of the database a session is in: see schema/functions/incarnations.sql. */
#include "lib/store/incarnation.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/store/db_conn.h"
#include "lib/store/store.h"

/* The latest timeline that this process has seen, of the cluster it saw last: what a failover left
 * behind has an older one. */
static struct {
  pthread_mutex_t lock;
  uint64_t system;
  unsigned timeline;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static enum px_status check_timeline(const char *place, struct px_err *err) {
  char *end;
  const uint64_t system = strtoull(place, &end, 10);
  const unsigned timeline = (unsigned)strtoul(end, NULL, 16);
  pthread_mutex_lock(&seen.lock);
  const unsigned latest = system == seen.system ? seen.timeline : 0;
  if (timeline >= latest) seen.system = system, seen.timeline = timeline;
  pthread_mutex_unlock(&seen.lock);
  if (timeline >= latest) return PX_OK;
  px_fail(err, PX_E_UNAVAILABLE,
          "the database is at timeline %u, but %u has been seen: a failover left it behind",
          timeline, latest);
  px_fail_hint(
    err,
    "Stop it, and make it a standby. If it is a restored backup, start servers and workers again.");
  return PX_E_UNAVAILABLE;
}

#define UNDEFINED_FUNCTION "42883" /* PostgreSQL's documentation, appendix A */

enum px_status store_incarnation_settle(struct store *store, struct px_err *err) {
  PGresult *row = db_conn_exec(store, "select place, given_back from incarnation_settle()");
  const char *state = PQresultErrorField(row, PG_DIAG_SQLSTATE);
  if (state && strcmp(state, UNDEFINED_FUNCTION) == 0) {
    PQclear(row);
    return PX_OK; /* the schema is older: store_check_schema tells */
  }
  enum px_status status = db_status(store, row, err);
  if (!status) status = check_timeline(db_get(row, 0, "place"), err);
  if (!status && row && PQntuples(row) == 1 && !db_get_null(row, 0, "given_back"))
    px_log(PX_LOG_WARN, "incarnation_begun", "place", db_get(row, 0, "place"), "jobs_given_back",
           db_get(row, 0, "given_back"), NULL);
  PQclear(row);
  return status;
}
