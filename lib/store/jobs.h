/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: submit, claim, heartbeat, finish, fail, give back, reap. Triggers in the
 * database check every transition; these functions are the transitions that they allow. Whoever
 * holds a job proves it with a struct store_lease: every write on its behalf carries (id, epoch)
 * and answers FENCED when the hold is lost.
 */
#ifndef PX_STORE_JOBS_H
#define PX_STORE_JOBS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/store.h"

struct store_lease {
  char job[STORE_ID_MAX];
  int64_t epoch;
};

/* A job to be submitted. `needs` names jobs of the same submission or older
 * ones; a job without unfinished needs starts ready. Borrowed. */
struct store_job_draft {
  /* the last three may be NULL */
  const char *id, *kind, *name, *spec_json, *dataset_id, *parent_id, *dedupe_key;
  const char *const *needs;
  size_t needs_n;
  int priority;
  /* estimates: what a worker must have to claim it, how long an attempt may take; 0: any */
  int64_t memory_bytes, limit_s;
};
/* All or none, in one transaction. CONFLICT when an unfinished job has the dedupe
 * key of the first draft (err->hint names the job; no other draft may have a key,
 * and the first has no parent); NOT_FOUND when a need does not exist;
 * DEPENDENCY_FAILED when one has already failed; TOO_MANY_JOBS beyond the
 * submitter's bound (store.h). */
enum px_status store_jobs_submit(struct store *store, const struct store_job_draft *drafts,
                                 size_t n, struct px_err *err) PX_MUST_CHECK;
/* The same, but a key in use is no failure: nothing is submitted, and `existing`
 * is the unfinished job's id; otherwise it is "". */
enum px_status store_jobs_submit_once(struct store *store, const struct store_job_draft *drafts,
                                      size_t n, char existing[STORE_ID_MAX],
                                      struct px_err *err) PX_MUST_CHECK;
void store_job_new_id(char id[STORE_ID_MAX]); /* "job_" and 20 random hex digits */

/* API documents. The list filters by dataset, kind, state, parent (NULL: any). `kind`: one name, or
 * several with commas. */
enum px_status store_job_document(struct store *store, const char *id, struct px_buf *out,
                                  int64_t *version, struct px_err *err) PX_MUST_CHECK;
struct store_job_seen {
  int64_t version;
  bool final;
};
/* The same as of now: `live` is NULL or valid JSON with the epoch, phase and progress that its
 * worker told last, which a running job of that epoch is shown with. */
enum px_status store_job_show(struct store *store, const char *id, const char *live,
                              struct px_buf *out, struct store_job_seen *seen,
                              struct px_err *err) PX_MUST_CHECK;
struct store_job_filter {
  const char *dataset, *kind, *state, *parent, *before;
  int limit;
};
enum px_status store_job_list(struct store *store, const struct store_job_filter *filter,
                              struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
enum px_status store_job_events(struct store *store, const char *id, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;
enum px_status store_job_metrics(struct store *store, const char *id, struct px_buf *out,
                                 struct px_err *err) PX_MUST_CHECK;
/* Versions of many jobs in one round trip, for long polls; -1 where there is
 * none. A pipeline's version counts its children's changes too. */
enum px_status store_job_versions(struct store *store, const char *const *ids, size_t n,
                                  int64_t *versions, bool *final, struct px_err *err) PX_MUST_CHECK;
/* How many jobs the end of this one has made ready, of those that nobody has claimed yet: so many
 * workers are woken. */
enum px_status store_job_readied(struct store *store, const char *id, int *n,
                                 struct px_err *err) PX_MUST_CHECK;
/* A pending job is cancelled at once (a pipeline with all its children), a
 * running one at its next heartbeat. CONFLICT when it has ended. */
enum px_status store_job_cancel(struct store *store, const char *id,
                                struct px_err *err) PX_MUST_CHECK;

/* A claimed job. Owned by the caller: store_job_free. */
struct store_job {
  struct store_lease hold;
  char kind[32], name[256], dataset_id[STORE_ID_MAX], parent_id[STORE_ID_MAX];
  int attempt, max_attempts;
  int64_t limit_s; /* seconds that the attempt may take; 0: any */
  char *spec_json;
};
/* Takes the best ready job of these kinds that needs at most so much memory (0: any), or gives
 * NULL. One statement. UNSETTLED when its answer was lost: then store_job_adopt finds what it took,
 * if anything. Jobs of a later revision of their kind than this build knows (lib/flow/kinds.h) are
 * left alone. */
enum px_status store_job_claim(struct store *store, const char *worker, const char *const *kinds,
                               size_t kinds_n, int lease_ms, int64_t memory_bytes,
                               struct store_job **out, struct px_err *err) PX_MUST_CHECK;
/* The job that is held in this worker's name, its lease begun anew, or NULL: for a worker that has
 * none and whose last claim was UNSETTLED. */
enum px_status store_job_adopt(struct store *store, const char *worker, int lease_ms,
                               struct store_job **out, struct px_err *err) PX_MUST_CHECK;
void store_job_free(struct store_job *job);

/* Extends the lease and records progress (phase may be NULL). FENCED when the
 * hold is lost. */
enum px_status store_job_heartbeat(struct store *store, const struct store_lease *hold,
                                   int lease_ms, const char *phase, int64_t step, int64_t total,
                                   bool *cancel_requested, struct px_err *err) PX_MUST_CHECK;
struct store_metric {
  const char *name;
  int64_t step;
  double value;
};
enum px_status store_job_metrics_put(struct store *store, const struct store_lease *hold,
                                     const struct store_metric *metrics, size_t n,
                                     struct px_err *err) PX_MUST_CHECK;

/* Ends the job. Doing it again under the same epoch answers PX_OK (`already`),
 * which settles an unknown commit. */
enum px_status store_job_succeed(struct store *store, const struct store_lease *hold,
                                 const char *result_json, struct px_err *err) PX_MUST_CHECK;
/* Back to ready after a back-off while attempts are left and the code's retry
 * class (errors.def) allows it; else failed. NO_SPACE spends no attempt: the job
 * waits until there is room. CANCELLED cancels. */
enum px_status store_job_fail(struct store *store, const struct store_lease *hold,
                              const struct px_err *why, struct px_err *err) PX_MUST_CHECK;
/* Drain: back to ready at once, the attempt given back. */
enum px_status store_job_give_back(struct store *store, const struct store_lease *hold,
                                   struct px_err *err) PX_MUST_CHECK;

struct store_reaped {
  int returned, failed, cancelled, sessions_ended;
};
/* Takes back jobs whose lease ran out (three lost leases fail), ends the
 * database sessions of their children, and cancels the open children of ended
 * pipelines. */
enum px_status store_jobs_reap(struct store *store, struct store_reaped *out,
                               struct px_err *err) PX_MUST_CHECK;
/* Removes a finished job with what it left and what belongs to it (a pipeline's children, a label
 * job's shards). CONFLICT while one of them is unfinished, while an unfinished job needs one, or
 * when the job belongs to another. */
enum px_status store_job_delete(struct store *store, const char *id,
                                struct px_err *err) PX_MUST_CHECK;
/* How long finished jobs and what they left are kept; 0: for ever, or any number. */
struct store_keep {
  double jobs_days, metrics_days, events_days, artifacts_days;
  int64_t jobs_n;
};
/* Removes what is older: jobs (as store_job_delete), but none that has left a model or a label set
 * or that any other job needs; curves; events but the first and the last; files. Several may do so
 * at once. */
enum px_status store_job_janitor_old(struct store *store, const struct store_keep *keep,
                                     int *removed, struct px_err *err) PX_MUST_CHECK;
/* Removes blobs nothing took up within a day, label segments and metrics of dead
 * epochs, content of uploads whose job has ended, uploads that expired,
 * checkpoints of jobs that failed a week ago, idempotency keys after 24 hours,
 * workers unseen for a day. */
enum px_status store_job_janitor(struct store *store, int *removed,
                                 struct px_err *err) PX_MUST_CHECK;

/* A finished job's result as JSON text (reports read their evaluations). */
enum px_status store_job_result(struct store *store, const char *job, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;
/* Counts by kind and state, for the metrics page: JSON rows. */
enum px_status store_job_counts(struct store *store, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;

#endif
