/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kept states of trainings that are still to end: the last two of a job.
 * Written under the job's hold, in one transaction with the bytes; gone when
 * the job succeeds or is cancelled, a week after it has failed. Used by the
 * worker's trainings and by the API.
 */
#ifndef PX_STORE_CHECKPOINTS_H
#define PX_STORE_CHECKPOINTS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

enum { STORE_CHECKPOINTS_MAX = 2, STORE_PROFILE_MAX = 192 };

struct store_checkpoint {
  int64_t epoch, step;
  struct store_blob blob;
  char profile[STORE_PROFILE_MAX]; /* what the bits of its numbers depend on */
};

/* Keeps the state after `step` steps and drops all but the last two. An attempt that comes further
 * than any before it has the job's failures and lost leases forgotten. FENCED when the hold is
 * lost. */
enum px_status store_checkpoint_keep(struct store *store, const struct store_lease *hold,
                                     int64_t step, const char *profile, const void *bytes, size_t n,
                                     struct px_err *err) PX_MUST_CHECK;
/* The job's checkpoints, newest first. NOT_FOUND if there is no such job. */
enum px_status store_checkpoint_list(struct store *store, const char *job,
                                     struct store_checkpoint out[STORE_CHECKPOINTS_MAX], size_t *n,
                                     struct px_err *err) PX_MUST_CHECK;
/* Its bytes. BAD_DATA unless they have the digest that was recorded. */
enum px_status store_checkpoint_read(struct store *store, const struct store_checkpoint *checkpoint,
                                     struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* Records that the attempt goes on after `step` steps. */
enum px_status store_checkpoint_resumed(struct store *store, const struct store_lease *hold,
                                        int64_t step, struct px_err *err) PX_MUST_CHECK;

#endif
