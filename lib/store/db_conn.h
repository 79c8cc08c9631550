/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection itself, between libpq and db.c: opening it, opening it again, and waiting for
 * answers with a bound on the time, so that a database that is silent is known from one that is
 * slow. Only db.c includes this, db_conn.c and incarnation.c.
 */
#ifndef PX_STORE_DB_CONN_H
#define PX_STORE_DB_CONN_H

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

struct store {
  PGconn *conn;
  char *url, *application;
  bool prepared[DB_SQL_N];
  bool in_transaction;
  /* the answer to a commit was lost, and this is the work again */
  bool unsettled;
  bool late; /* the last failure: no answer in time */
  int answer_ms, patience_ms;
  /* another thread knows that the database does not answer; or NULL */
  const atomic_bool *silent;
  char state[6], constraint[64]; /* of the last failure */
  struct px_rng rng;             /* jitter of pauses only */
  uint8_t submitter[32];         /* digest of a token; jobs_max is its bound */
  bool submits;                  /* ... there is one */
  int64_t jobs_max;
};

/* Opens it if there is none: one try; *fresh is set when one was opened. db.c settles the
 * incarnation then. */
enum px_status db_conn_ensure(struct store *store, bool *fresh, struct px_err *err) PX_MUST_CHECK;
/* Ends it: nothing that was asked on it is known. */
void db_conn_drop(struct store *store);
/* True when the last failure was the connection's, or the database's that is going away: another
 * connection may do. */
bool db_conn_is_lost(const struct store *store);
/*
 * Ends it because it failed, or because what came could not be understood (there was no memory to
 * read it, say), so that it is somewhere in the middle of an answer. PX_E_UNAVAILABLE, with the
 * reason.
 */
enum px_status db_conn_give_up(struct store *store, struct px_err *err);

/* As PQexec, PQprepare and PQexecPrepared; NULL when no answer came in time, and then there is no
 * connection any more. */
PGresult *db_conn_exec(struct store *store, const char *sql);
PGresult *db_conn_prepare(struct store *store, const char *name, const char *sql);
PGresult *db_conn_run(struct store *store, const char *name, const struct db_params *params,
                      enum db_format format);

/* A pause before the next try, growing with `tries` (0, 1, ...) up to a second; false when it would
 * end after until_ms. The first try follows at once, for a connection that was cut while nobody
 * used it. */
bool db_conn_pause(struct store *store, int64_t until_ms, int tries);

#endif
