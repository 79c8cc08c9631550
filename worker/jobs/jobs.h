/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running one job: what every job_<kind>.c gets, and the table of them.
 *
 * A job function reads its checked spec, works, and publishes its result under
 * its hold in one transaction that also ends the job; after PX_OK nothing is
 * left to do. Everything it allocates dies with the child process at the
 * latest, but it frees what it takes. One thread.
 */
#ifndef PX_WORKER_JOBS_JOBS_H
#define PX_WORKER_JOBS_JOBS_H

#include <jansson.h>

#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "lib/flow/kinds.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

struct job {
  struct store *store;
  struct store_lease hold;
  const char *dataset_id; /* "" for none */
  const json_t *spec;     /* checked against flow_kind_info(kind)->fields */
  struct px_progress progress;
  int checkpoint_ms; /* the longest pause between two checkpoints */
};

/* job_<name>: one per kind, each in its own file. */
#define PX_KIND(NAME, name, ...) \
  enum px_status job_##name(struct job *job, struct px_err *err) PX_MUST_CHECK;
#define PX_KIND_OF_JOBS(...)
#include "schema/kinds.def"
#undef PX_KIND_OF_JOBS
#undef PX_KIND

/* The function of a kind; NULL for a pipeline, which never runs. */
typedef enum px_status (*job_function)(struct job *, struct px_err *);
job_function jobs_function(enum flow_kind kind);
/* Names of the kinds that run, those of before too, for claiming: an older server may have stored
 * such jobs. Borrowed; *n of them. */
const char *const *jobs_kinds(size_t *n);

#endif
