/* SPDX-License-Identifier: Apache-2.0 */
/* The token that submits, and its bound: see submitter.h. */
#include "lib/store/submitter.h"

#include "lib/base/fail.h"
#include "lib/store/store.h"

#include <inttypes.h>

enum px_status submitter_lock(struct store *store, struct submitter *out, struct px_err *err) {
  *out = (struct submitter){ .id = "" };
  const uint8_t *digest = db_submitter(store, &out->jobs_max);
  if (!digest) return PX_OK;
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_bytes(&p, digest, 32);
  const enum px_status status = db_run(store, SQL_job_submitter, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row)) db_get_text(row, 0, "id", out->id, sizeof out->id);
  PQclear(row);
  return PX_OK;
}

enum px_status submitter_check(struct store *store, const struct submitter *submitter,
                               size_t submitted, struct px_err *err) {
  if (!*submitter->id || submitter->jobs_max == 0) return PX_OK;
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_text(&p, submitter->id);
  enum px_status status = db_run(store, SQL_job_unfinished, &p, DB_TEXT, &row, err);
  if (status) return status;
  const int64_t n = db_get_int(row, 0, "n"), before = n - (int64_t)submitted;
  PQclear(row);
  if (n <= submitter->jobs_max) return PX_OK;
  px_fail(err, PX_E_TOO_MANY_JOBS,
          "token %s has %" PRId64
          " unfinished jobs; with %zu more it would have more than %" PRId64,
          submitter->id, before, submitted, submitter->jobs_max);
  if ((int64_t)submitted > submitter->jobs_max)
    px_fail_hint(
      err, "This is more than a token may have at all; the server's option is jobs_per_token.");
  return PX_E_TOO_MANY_JOBS;
}
