/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs inside a transaction that does more: only lib/store includes this. */
#ifndef PX_STORE_JOBS_INNER_H
#define PX_STORE_JOBS_INNER_H

#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

/* Locks the job and checks that it is still held. *already: it succeeded under
 * this very epoch, so there is nothing left to do. FENCED otherwise. */
enum px_status store_jobs_inner_hold(struct store *store, const struct store_lease *hold,
                                     bool *already, struct px_err *err) PX_MUST_CHECK;
/* Succeeds it; FENCED if it is not held. */
enum px_status store_jobs_inner_end(struct store *store, const struct store_lease *hold,
                                    const char *result_json, struct px_err *err) PX_MUST_CHECK;
/* CONFLICT, naming one, if a job that is not in the array {id,...} needs one of these: an
 * unfinished job, or with `all` any. */
enum px_status store_jobs_inner_check_needed(struct store *store, const char *array, bool all,
                                             struct px_err *err) PX_MUST_CHECK;

#endif
