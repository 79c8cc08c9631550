/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labelling a range of segments, whoever labels: each is staged under the shard's epoch, and what
 * an earlier attempt has staged under the same profile is kept. Used by label_shard and
 * simulate_shard. One thread.
 */
#ifndef PX_WORKER_JOBS_STAGING_H
#define PX_WORKER_JOBS_STAGING_H

#include "lib/base/fail.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "worker/jobs/jobs.h"

enum { STAGING_PROFILE_MAX = 400 };

/* Labels one segment and hands the rows to staging_put. */
typedef enum px_status (*staging_label)(void *ctx, uint32_t seq, struct px_err *err);
/* Segments [first, first + count) of the spec that are not staged yet, in order. `profile` says
 * what a label's bits depend on beside models and data. Reports phase "stage". */
enum px_status staging_run(struct job *job, const char *profile, staging_label label, void *ctx,
                           struct px_err *err) PX_MUST_CHECK;
enum px_status staging_put(struct job *job, const struct px_spaces *spaces,
                           const struct px_label_rows *rows, uint32_t seq, const char *profile,
                           struct px_err *err) PX_MUST_CHECK;

#endif
