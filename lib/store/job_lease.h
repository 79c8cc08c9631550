/* Ending a job inside a transaction that does more: only lib/store includes this. */
#ifndef PX_STORE_JOB_LEASE_H
#define PX_STORE_JOB_LEASE_H

#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/jobs.h"

/* Locks the job and checks that it is still held. *already: it succeeded under
 * this very epoch, so there is nothing left to do. FENCED otherwise. */
enum px_status store_job_lease_hold(struct store *store, const struct store_lease *hold, bool *already, struct px_err *err) PX_MUST_CHECK;
/* Succeeds it; FENCED if it is not held. */
enum px_status store_job_lease_end(struct store *store, const struct store_lease *hold, const char *result_json, struct px_err *err)
  PX_MUST_CHECK;

#endif
