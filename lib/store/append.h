/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending to a dataset: all segments of an upload, or none. An append belongs to one thread.
 */
#ifndef PX_STORE_APPEND_H
#define PX_STORE_APPEND_H

#include "lib/base/fail.h"
#include "lib/data/segment.h"
#include "lib/data/traj_digest.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

/* An append: blobs are stored as segments arrive, possibly on several
 * connections; one transaction at the end numbers and attaches them all, so the
 * dataset gets all of an upload or nothing. When job is not NULL, the same
 * transaction finishes that ingest job (jobs.h) with `result` under its fence. */
struct store_append;
enum px_status store_append_begin(const char *dataset_id, uint32_t obs_dim,
                                  struct store_append **out, struct px_err *err) PX_MUST_CHECK;
/* Who wants to know which trajectories the dataset has already gives the digests of all in the
 * order of the segments, and a function to be asked in the transaction that appends, with the
 * dataset locked: `stored` are those digests that the dataset has, with the numbers of their
 * trajectories. It may run again. Anything but PX_OK ends the transaction; *result_json, which the
 * append frees, is the job's result instead of the one given to commit. */
typedef enum px_status (*store_append_decide)(void *ctx, const struct px_traj_digest_set *stored,
                                              char **result_json, struct px_err *err);
void store_append_decides(struct store_append *append, store_append_decide decide, void *ctx);
enum px_status store_append_digest(struct store_append *append, const struct px_traj_digest *digest,
                                   struct px_err *err) PX_MUST_CHECK;
const struct px_traj_digest *store_append_digests(const struct store_append *append, size_t *n);
/* What lint found in the upload, as JSON text, or NULL; borrowed until the commit. */
void store_append_lint(struct store_append *append, const char *file_name, const char *findings);
/* Where its trajectories came from; borrowed until the commit. */
void store_append_source(struct store_append *append, const char *source);
/* Stores one sealed segment (segment.h) on this connection. */
enum px_status store_append_segment(struct store_append *append, struct store *store,
                                    const struct px_segment *segment,
                                    struct px_err *err) PX_MUST_CHECK;
struct store_lease; /* jobs.h */
enum px_status store_append_commit(struct store_append *append, struct store *store,
                                   const struct store_lease *hold, const char *result_json,
                                   struct px_err *err) PX_MUST_CHECK;
/* The dataset's version that the commit made; 0 before it. */
int64_t store_append_version(const struct store_append *append);
/* Removes the segments of an append that failed, as far as the database allows; the janitor removes
 * the rest. One whose commit succeeded unnoticed keeps them. */
void store_append_discard(const struct store_append *append, struct store *store);
void store_append_free(struct store_append *append);

#endif
