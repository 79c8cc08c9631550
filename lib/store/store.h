/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: one connection to PostgreSQL, the truth of everything. lib/store
 * is the only user of libpq; SQL lives in schema/queries as named statements.
 *
 * One function is one domain operation and, where it writes, one transaction;
 * serialization failures and deadlocks rerun it. A lost connection is opened
 * again: at once, and then as long as the store has patience; after that a call
 * answers UNAVAILABLE: nothing was done. Where that cannot be said, because the
 * answer to a commit was lost and the database stayed away, it answers UNSETTLED.
 * With several hosts in the URL (target_session_attrs=read-write) a new
 * connection goes to the one that is the primary. A standby, and a primary that a
 * failover has left behind, are refused. Not thread safe: a struct
 * store belongs to one thread (or one process after fork, which must open its own).
 */
#ifndef PX_STORE_STORE_H
#define PX_STORE_STORE_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct store;

/* url: libpq connection URI or keywords. application: shown in
 * pg_stat_activity (a job's child uses "px JOB EPOCH", so that the reaper can
 * end it). UNAVAILABLE when the server does not answer. */
enum px_status store_open(const char *url, const char *application, struct store **out,
                          struct px_err *err) PX_MUST_CHECK;
/* The same without connecting: the first call does, with the patience of calls. */
enum px_status store_new(const char *url, const char *application, struct store **out,
                         struct px_err *err) PX_MUST_CHECK;
void store_close(struct store *store);
/* How long a call goes on trying while there is no connection (0 at first: one more try). */
void store_set_patience(struct store *store, int patience_ms);
int store_patience(const struct store *store);
/* How long an answer may take before the connection is given up (90 s at first). */
void store_set_answer(struct store *store, int answer_ms);
int store_answer(const struct store *store);
/* While *silent is true no answer is waited for: calls give up as they do when one is late.
 * Borrowed; NULL: none. */
void store_set_silent(struct store *store, const atomic_bool *silent);
/* In whose name jobs are submitted from now on: SHA-256 of a token's text, and how many unfinished
 * jobs it may have (0: any number). NULL: the service's own, without a bound. */
void store_set_submitter(struct store *store, const uint8_t digest[32], int64_t jobs_max);
/* One round trip; opens the connection again if it was lost. */
enum px_status store_ping(struct store *store, struct px_err *err) PX_MUST_CHECK;

/* The folder of the database's files, where it is on this machine; "" when that cannot be told. */
enum px_status store_data_folder(struct store *store, char *out, size_t size,
                                 struct px_err *err) PX_MUST_CHECK;

/* How much a migration run did: migrations applied, files of schema/functions that were new. */
struct store_migrated {
  int migrations, functions;
};
/* Brings the schema to head: the missing migrations, then all files of schema/functions if one of
 * them is not the one in the database, in one transaction under an advisory lock, so that several
 * may start at once. A database at a later version keeps its functions. `done` may be NULL.
 * CONFLICT when an applied migration has changed, when the schema is newer than this build can
 * work with, and for a database from before the first release. */
enum px_status store_migrate(struct store *store, struct store_migrated *done,
                             struct px_err *err) PX_MUST_CHECK;
/* UNAVAILABLE with a hint unless this build works with the schema: at its own head, or at a later
 * one whose migrations say (`-- serves: N`) that builds of this one's age do. */
enum px_status store_check_schema(struct store *store, struct px_err *err) PX_MUST_CHECK;
/* Logs a warning if the database is at this build's version with functions of another build. */
void store_warn_of_functions(struct store *store);

/* After a restore: begins another incarnation of the database, whatever the database itself can
 * tell (schema/functions/incarnations.sql). Every running job is given back; `given_back` counts
 * them. */
enum px_status store_restored(struct store *store, int *given_back,
                              struct px_err *err) PX_MUST_CHECK;

enum { STORE_ID_MAX = 40 }; /* ids with their NUL */
/* "ds": "ds_" and 20 random hex digits */
void store_new_id(const char *prefix, char id[STORE_ID_MAX]);

/* Tokens: digest is SHA-256 of the token text. UNAUTHORIZED if unknown or expired. */
enum px_status store_token_create(struct store *store, const char *name, const uint8_t digest[32],
                                  struct px_err *err) PX_MUST_CHECK;
enum px_status store_token_check(struct store *store, const uint8_t digest[32],
                                 struct px_err *err) PX_MUST_CHECK;
/* Whether there is any token at all: a server on a public address refuses to start without. */
enum px_status store_token_any(struct store *store, bool *any, struct px_err *err) PX_MUST_CHECK;

#endif
