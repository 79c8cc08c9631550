/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a submission is, and its bound on unfinished jobs; simulators have a bound of their own
 * (simulators.c). Within a transaction: submitter_lock first, then the jobs with its `id`, then
 * submitter_check. Submissions of one token wait for each other in between. Only lib/store includes
 * this.
 */
#ifndef PX_STORE_SUBMITTER_H
#define PX_STORE_SUBMITTER_H

#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

struct submitter {
  char id[STORE_ID_MAX]; /* of the token; "" for none */
  int64_t jobs_max;
};
enum px_status submitter_lock(struct store *store, struct submitter *out,
                              struct px_err *err) PX_MUST_CHECK;
/* TOO_MANY_JOBS when the token has more unfinished jobs than it may, those of this transaction
 * included. */
enum px_status submitter_check(struct store *store, const struct submitter *submitter,
                               size_t submitted, struct px_err *err) PX_MUST_CHECK;
/* For a statement's parameter: NULL for none. */
static inline const char *submitter_id(const struct submitter *s) { return *s->id ? s->id : NULL; }

#endif
