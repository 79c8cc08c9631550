/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A testbed: a server and a worker on a database of their own, kept running. One that dies is
 * started again at once, as a service manager would, and what it held runs out at once: the tests
 * of time are elsewhere, these are of order.
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

struct testbed_process {
  pid_t pid;
  bool wanted, may_end;
};
struct testbed {
  /* crash: the environment variable for crash points (lib/base/crash.h) */
  char folder[256], db_url[512], crash[512];
  PGconn *db;
  struct store *store;
  struct api api;
  struct testbed_process server, worker;
  json_t *answer; /* of the last request; NULL when it was no document */
  char location[128], why[400];
  int64_t until_ms;
  /* of the work, and of its requests with a key: a part of the names they give */
  int serial, posts;
};

/* On a migrated database. The folder is made and holds logs, spool/ and tmp/. */
void testbed_open(struct testbed *testbed, const char *db_url, const char *folder,
                  const char *token);
void testbed_close(struct testbed *testbed);

/* Begins a work: a fresh server, and what went wrong before is forgotten. `crash`: "NAME=VALUE". */
void testbed_begin(struct testbed *testbed, const char *crash);
/* From now on there is a worker. */
void testbed_worker(struct testbed *testbed);
/* Sends it SIGTERM; another takes its place when it has ended. */
void testbed_drain(struct testbed *testbed);
/* Waits until the worker has no job and no temporary folder is left; then ends both processes. */
void testbed_end(struct testbed *testbed);
/* Starts again what has died. False when something is wrong, or has taken too long. */
bool testbed_tick(struct testbed *testbed);
/* Runs a program of the build to its end, as often as it dies of a crash point; false unless it
 * ends with 0. */
bool testbed_run(struct testbed *testbed, const char *const *argv, const char *const *env,
                 char *said, size_t size);

bool testbed_fail(struct testbed *testbed, const char *fmt, ...) PX_PRINTF(2, 3); /* false */
/* The first value ("" for none), valid until the next call. */
const char *testbed_sql(struct testbed *testbed, const char *fmt, ...) PX_PRINTF(2, 3);
/* Until SQL gives that value. */
void testbed_await(struct testbed *testbed, const char *expected, const char *fmt, ...)
  PX_PRINTF(3, 4);

/* A request, sent until it is answered: again after an unknown outcome, unless `seen` (SQL, may be
 * NULL) gives "t", which says that it was carried out: then 0. The status, the rest in `answer` and
 * `location`. Fails above 299, but for `also`. */
struct testbed_request {
  const char *method, *path, *headers, *type, *seen;
  const void *body;
  size_t n;
  int also;
};
int testbed_ask(struct testbed *testbed, const struct testbed_request *request);

#endif
