/* SPDX-License-Identifier: Apache-2.0 */
/* Trajectories that are there already: see duplicates.h. */
#include "lib/store/duplicates.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/traj_digest.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

enum { ARRAY_MAX = 1 << 30 };

void duplicates_free(struct duplicates *d) {
  px_traj_digest_set_free(&d->stored);
  px_traj_digest_set_free(&d->seen);
}

void duplicates_restart(struct duplicates *d) {
  px_traj_digest_set_free(&d->seen);
  d->file_n = d->in_dataset_n = d->in_file_n = 0;
}

enum px_status duplicates_look(struct duplicates *d, const struct px_traj_digest *digest,
                               bool *is_one, struct px_err *err) {
  const uint64_t n = d->file_n++;
  const uint64_t *stored = px_traj_digest_set_find(&d->stored, digest);
  const bool repeated = px_traj_digest_set_find(&d->seen, digest);
  if (stored && d->in_dataset_n == 0) {
    d->first = n;
    d->first_stored = *stored;
  }
  d->in_dataset_n += stored != NULL;
  d->in_file_n += !stored && repeated;
  *is_one = stored || repeated;
  return px_traj_digest_set_put(&d->seen, digest, n, err);
}

enum px_status duplicates_find(struct store *store, const char *dataset_id,
                               const struct px_traj_digest *digests, size_t n,
                               struct px_traj_digest_set *stored, struct px_err *err) {
  if (n == 0) return PX_OK;
  struct px_buf array = PX_BUF(ARRAY_MAX);
  struct db_params p = DB_PARAMS;
  PGresult *rows = NULL;
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++)
    status = db_array_hex(&array, digests[i].bytes, sizeof digests->bytes);
  if (!status) status = db_array_end(&array);
  if (status)
    status = px_fail(err, status, "no memory to look for trajectories that are stored already");
  db_text(&p, dataset_id);
  db_text(&p, array.data);
  if (!status) status = db_run(store, SQL_append_duplicates, &p, DB_TEXT, &rows, err);
  for (int i = 0; !status && i < PQntuples(rows); i++)
    status = px_traj_digest_set_put(stored, &digests[db_get_int(rows, i, "place") - 1],
                                    (uint64_t)db_get_int(rows, i, "trajectory"), err);
  PQclear(rows);
  px_buf_free(&array);
  return status;
}

enum px_status duplicates_refuse(const struct duplicates *d, const char *name, struct px_err *err) {
  const uint64_t n = d->in_dataset_n + d->in_file_n;
  if (n == 0) return PX_OK;
  char place[64];
  snprintf(place, sizeof place, "trajectory %" PRIu64, d->first);
  if (d->in_dataset_n)
    px_fail_at(err, PX_E_CONFLICT, place,
               "%.100s: %s is in the dataset already, as its trajectory %" PRIu64
               "; so are %" PRIu64 " of the %" PRIu64 " trajectories",
               name, place, d->first_stored, d->in_dataset_n, d->file_n);
  else
    px_fail(err, PX_E_CONFLICT,
            "%.100s: %" PRIu64 " of the %" PRIu64
            " trajectories are the same as an earlier one of this file",
            name, d->in_file_n, d->file_n);
  px_fail_hint(err, "Nothing was stored. With on_duplicate=skip only what is new is stored, with "
                    "on_duplicate=allow all of it.");
  return PX_E_CONFLICT;
}

void duplicates_note(const struct duplicates *d, char *out, size_t size) {
  *out = '\0';
  const bool all = d->in_dataset_n == d->file_n;
  const char *what = d->policy == STORE_DUPLICATE_SKIP
                       ? "left out"
                       : "stored twice (on_duplicate=skip leaves such out)";
  if (d->in_dataset_n && all)
    snprintf(out, size,
             "all %" PRIu64
             " trajectories are in the dataset already, the first as trajectory %" PRIu64
             ": they are %s",
             d->file_n, d->first_stored, what);
  else if (d->in_dataset_n)
    snprintf(out, size,
             "%" PRIu64 " of %" PRIu64
             " trajectories are in the dataset already, trajectory %" PRIu64 " of this file as "
             "trajectory %" PRIu64 ": they are %s",
             d->in_dataset_n, d->file_n, d->first, d->first_stored, what);
  const size_t used = strlen(out);
  if (d->in_file_n)
    snprintf(out + used, size - used,
             "%s%" PRIu64 " of %" PRIu64
             " trajectories are the same as an earlier one of this file: they are %s",
             used ? "; " : "", d->in_file_n, d->file_n, what);
}
