/* SPDX-License-Identifier: Apache-2.0 */
/* Kept states of trainings: see checkpoints.h. */
#include "lib/store/checkpoints.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/blob_write.h"
#include "lib/store/jobs.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

struct keeping {
  const struct store_lease *hold;
  int64_t step;
  const char *profile;
  const void *bytes;
  size_t n;
  uint8_t digest[PX_SHA256_BYTES];
};

/* The parameters of a statement on the job's behalf: job, epoch, step. */
static void put_lease_and_step(struct db_params *p, const struct store_lease *hold, int64_t step) {
  db_text(p, hold->job);
  db_int(p, hold->epoch);
  db_int(p, step);
}

/* The bytes first: the job's row is locked only for the last, short part, so that heartbeats go on
 * meanwhile. */
static enum px_status keep_work(struct store *store, void *ctx, struct px_err *err) {
  const struct keeping *k = ctx;
  struct store_blob blob;
  bool already = false;
  enum px_status status = blob_write(store, k->bytes, k->n, k->digest, &blob, err);
  if (!status) status = store_jobs_inner_hold(store, k->hold, &already, err);
  if (!status && already)
    status = px_fail(err, PX_E_FENCED, "job %s has succeeded already", k->hold->job);
  if (status) return status;
  struct db_params advance = DB_PARAMS, insert = DB_PARAMS, trim = DB_PARAMS;
  put_lease_and_step(&advance, k->hold, k->step);
  put_lease_and_step(&insert, k->hold, k->step);
  db_int(&insert, blob.id);
  db_bytes(&insert, blob.sha256, sizeof blob.sha256);
  db_int(&insert, (int64_t)blob.size_bytes);
  db_text(&insert, k->profile);
  db_text(&trim, k->hold->job);
  status = db_run(store, SQL_checkpoint_advance, &advance, DB_TEXT, NULL, err);
  if (!status) status = db_run(store, SQL_checkpoint_insert, &insert, DB_TEXT, NULL, err);
  return status ? status : db_run(store, SQL_checkpoint_trim, &trim, DB_TEXT, NULL, err);
}

enum px_status store_checkpoint_keep(struct store *store, const struct store_lease *hold,
                                     int64_t step, const char *profile, const void *bytes, size_t n,
                                     struct px_err *err) {
  struct keeping keeping = { hold, step, profile, bytes, n, { 0 } };
  px_digest_sha256(bytes, n, keeping.digest);
  return db_transaction(store, "checkpoint", keep_work, &keeping, err);
}

enum px_status store_checkpoint_list(struct store *store, const char *job,
                                     struct store_checkpoint out[STORE_CHECKPOINTS_MAX], size_t *n,
                                     struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  PGresult *rows;
  const enum px_status status = db_run(store, SQL_checkpoint_list, &p, DB_BINARY, &rows, err);
  if (status) return status;
  const int rows_n = PQntuples(rows);
  size_t found = 0;
  for (int i = 0; i < rows_n && found < STORE_CHECKPOINTS_MAX && !db_get_null(rows, i, "epoch");
       i++) {
    struct store_checkpoint *c = &out[found++];
    *c = (struct store_checkpoint){ .epoch = db_get_int8(rows, i, "epoch"),
                                    .step = db_get_int8(rows, i, "step"),
                                    .blob = { .id = db_get_int8(rows, i, "blob_id"),
                                              .size_bytes =
                                                (uint64_t)db_get_int8(rows, i, "size_bytes") } };
    memcpy(c->blob.sha256, db_get(rows, i, "sha256"), sizeof c->blob.sha256);
    db_get_text(rows, i, "profile", c->profile, sizeof c->profile);
  }
  PQclear(rows);
  if (rows_n == 0) return px_fail(err, PX_E_NOT_FOUND, "there is no job %s", job);
  *n = found;
  return PX_OK;
}

enum px_status store_checkpoint_read(struct store *store, const struct store_checkpoint *checkpoint,
                                     struct px_buf *out, struct px_err *err) {
  const size_t start = out->len;
  uint8_t digest[PX_SHA256_BYTES];
  const enum px_status status = store_blob_read(store, checkpoint->blob.id, out, err);
  if (status) return status;
  px_digest_sha256(out->data + start, out->len - start, digest);
  if (memcmp(digest, checkpoint->blob.sha256, sizeof digest) == 0) return PX_OK;
  out->len = start;
  return px_fail(err, PX_E_BAD_DATA,
                 "the checkpoint of step %" PRId64
                 " is damaged: its digest is not the one recorded",
                 checkpoint->step);
}

enum px_status store_checkpoint_resumed(struct store *store, const struct store_lease *hold,
                                        int64_t step, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  put_lease_and_step(&p, hold, step);
  PGresult *row;
  enum px_status status = db_run(store, SQL_checkpoint_resumed, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row) == 0)
    status = px_fail(err, PX_E_FENCED, "job %s is not running under epoch %" PRId64 " any more",
                     hold->job, hold->epoch);
  PQclear(row);
  return status;
}
