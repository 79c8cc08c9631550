/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service whose calls torture fails, and the flows. A flow is one request, one job, or
 * one run of the command line client; it can be run any number of times, each time on something
 * fresh, with the same result.
 */
#ifndef PX_FAULT_FLOWS_H
#define PX_FAULT_FLOWS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tests/fault/lib/api.h"
#include "tests/fault/lib/digest.h"
#include "tests/fault/lib/fault_inject.h"

enum { TORTURE_ID = 48 };

struct torture {
  struct failing *failing;
  struct api api;
  PGconn *db;
  pid_t server, worker;
  /* a number that was not used yet; size of the present body */
  long fresh, body_bytes;
  char dataset[TORTURE_ID], job[TORTURE_ID]; /* made once: a dataset; the present flow's */
  /* jobs that succeeded on it */
  char idm[TORTURE_ID], policy[TORTURE_ID], label[TORTURE_ID], export[TORTURE_ID];
};

/* Starts server and worker under the preloaded library, and makes what flows refer to. */
bool torture_begin(struct torture *t);
/* Ends them; how many of them did not end well. */
int torture_end(struct torture *t);
/* Again, after it has ended; the status of the one before, or minus its signal. */
int torture_start_server(struct torture *t);
int torture_start_worker(struct torture *t);
/* The server's connections to the database, so that it has to open new ones. */
void torture_cut_connections(struct torture *t);
PGresult *torture_query(struct torture *t, const char *sql);
long torture_number(struct torture *t, const char *sql);

/* DONE: it says that it was done. REFUSED: a proper problem of class 5xx. CUT: nobody knows. WRONG:
 * anything else. */
enum flow_how { FLOW_DONE, FLOW_REFUSED, FLOW_CUT, FLOW_WRONG };
struct flow_end {
  enum flow_how how;
  char digest[DIGEST_BYTES], text[512];
};

struct flow {
  const char *name;
  enum failing_part part;
  bool cold; /* with connections to the database to be opened */
  /* of a request; %-words are replaced, see words() in flows.c */
  const char *method, *path, *headers, *type, *body;
  const char *effect;   /* SQL: a number that it changes; NULL: nothing */
  bool volatile_answer; /* which differs from time to time */
  void (*prepare)(struct torture *t, const struct flow *flow);
  struct flow_end (*run)(struct torture *t, const struct flow *flow);
};
extern const struct flow FIRST_UPLOAD; /* what is in the dataset "base" */
extern const struct flow FLOWS[];
extern const size_t FLOWS_N;

#endif
