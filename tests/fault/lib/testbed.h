/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand: a server and a worker on a database of their own, kept running. One that dies is started
 * again at once, as a service manager would, and what it held runs out at once: the tests of time
 * are elsewhere, these are of order.
 *
 * The first thing that goes wrong stays in `why`; after that every call here does nothing, so that
 * what a test does can be written down without a test of each step. Used by crash. One thread.
 */
#ifndef PX_FAULT_TESTBED_H
#define PX_FAULT_TESTBED_H

#include <libpq-fe.h>

#include "lib/store/store.h"
#include "tests/fault/lib/api.h"
#include "tests/fault/lib/proc.h"

struct stand_process {
  pid_t pid;
  bool wanted, may_end;
};
struct stand {
  /* crash: the environment variable for crash points (lib/base/crash.h) */
  char folder[256], db_url[512], crash[512];
  PGconn *db;
  struct store *store;
  struct api api;
  struct stand_process server, worker;
  json_t *answer; /* of the last request; NULL when it was no document */
  char location[128], why[400];
  int64_t until_ms;
  /* of the work, and of its requests with a key: a part of the names they give */
  int serial, posts;
};

/* On a migrated database. The folder is made and holds logs, spool/ and tmp/. */
void stand_open(struct stand *stand, const char *db_url, const char *folder, const char *token);
void stand_close(struct stand *stand);

/* Begins a work: a fresh server, and what went wrong before is forgotten. `crash`: "NAME=VALUE". */
void stand_begin(struct stand *stand, const char *crash);
/* From now on there is a worker. */
void stand_worker(struct stand *stand);
/* Sends it SIGTERM; another takes its place when it has ended. */
void stand_drain(struct stand *stand);
/* Waits until the worker has no job and no temporary folder is left; then ends both processes. */
void stand_end(struct stand *stand);
/* Starts again what has died. False when something is wrong, or has taken too long. */
bool stand_tick(struct stand *stand);
/* Runs a program of the build to its end, as often as it dies of a crash point; false unless it
 * ends with 0. */
bool stand_run(struct stand *stand, const char *const *argv, const char *const *env, char *said,
               size_t size);

bool stand_fail(struct stand *stand, const char *fmt, ...) PX_PRINTF(2, 3); /* false */
/* The first value ("" for none), valid until the next call. */
const char *stand_sql(struct stand *stand, const char *fmt, ...) PX_PRINTF(2, 3);
/* Until SQL gives that value. */
void stand_await(struct stand *stand, const char *expected, const char *fmt, ...) PX_PRINTF(3, 4);

/* A request, sent until it is answered: again after an unknown outcome, unless `seen` (SQL, may be
 * NULL) gives "t", which says that it was carried out: then 0. The status, the rest in `answer` and
 * `location`. Fails above 299, but for `also`. */
struct stand_request {
  const char *method, *path, *headers, *type, *seen;
  const void *body;
  size_t n;
  int also;
};
int stand_ask(struct stand *stand, const struct stand_request *request);

#endif
