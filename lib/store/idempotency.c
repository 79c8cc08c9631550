/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotency keys: see idempotency.h. */
#include "lib/store/idempotency.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

/* The stored answer, if there is one. */
static enum px_status find_answer(struct store *store, const struct store_idempotency *once,
                                  struct store_answer *out, bool *found, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, once->key);
  PGresult *row;
  enum px_status status = db_run(store, SQL_once_find, &p, DB_BINARY, &row, err);
  if (status) return status;
  *found = PQntuples(row) == 1;
  if (*found && (db_get_length(row, 0, "fingerprint") != PX_SHA256_BYTES ||
                 memcmp(db_get(row, 0, "fingerprint"), once->fingerprint, PX_SHA256_BYTES) != 0)) {
    status = px_fail(err, PX_E_KEY_REUSED,
                     "the key was sent before, with another method, path, header or body");
  } else if (*found) {
    out->status = db_get_int4(row, 0, "status");
    status = db_get_buf(row, 0, "head", &out->head);
    if (!status) status = db_get_buf(row, 0, "body", &out->body);
    if (status) status = px_fail(err, status, "the stored answer is too long");
  }
  PQclear(row);
  return status;
}

static enum px_status lock(struct store *store, const struct store_idempotency *once,
                           struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, once->key);
  PGresult *row;
  enum px_status status = db_run(store, SQL_once_lock, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (!db_get_bool(row, 0, "locked"))
    status = px_fail(err, PX_E_KEY_IN_USE, "the first request with this key is not answered yet");
  PQclear(row);
  return status;
}

enum px_status store_idempotency_begin(struct store *store, const struct store_idempotency *once,
                                       struct store_answer *out, bool *found, struct px_err *err) {
  enum px_status status = lock(store, once, err);
  if (status) return status;
  /* Only now: what the lock's last owner committed is seen. */
  status = find_answer(store, once, out, found, err);
  if (status || *found) store_idempotency_end(store, once);
  return status;
}

struct run {
  const struct store_idempotency *once;
  store_once_work work;
  void *ctx;
  struct store_answer *answer;
};

static enum px_status run_work(struct store *store, void *ctx, struct px_err *err) {
  const struct run *run = ctx;
  struct store_answer *answer = run->answer;
  bool already = false;
  answer->head.len = answer->body.len = 0;
  /* The commit whose answer was lost may have kept the answer of the work: then that has been given
   * already. */
  enum px_status status =
    db_unsettled(store) ? find_answer(store, run->once, answer, &already, err) : PX_OK;
  if (status || already) return status;
  status = run->work(run->ctx, answer, err);
  if (status) return status;
  struct db_params p = DB_PARAMS;
  db_text(&p, run->once->key);
  db_bytes(&p, run->once->fingerprint, PX_SHA256_BYTES);
  db_int(&p, answer->status);
  db_text(&p, answer->head.data);
  db_bytes(&p, answer->body.len ? answer->body.data : "", answer->body.len);
  status = db_run(store, SQL_once_keep, &p, DB_TEXT, NULL, err);
  /* Whoever came first has committed: the next try finds the answer. */
  if (status == PX_E_CONFLICT)
    status = px_fail(err, PX_E_KEY_IN_USE, "another request with this key was faster");
  return status;
}

enum px_status store_idempotency_run(struct store *store, const struct store_idempotency *once,
                                     store_once_work work, void *ctx, struct store_answer *answer,
                                     struct px_err *err) {
  struct run run = { once, work, ctx, answer };
  return db_transaction(store, "once", run_work, &run, err);
}

void store_idempotency_end(struct store *store, const struct store_idempotency *once) {
  struct db_params p = DB_PARAMS;
  db_text(&p, once->key);
  struct px_err unused;
  if (db_run(store, SQL_once_unlock, &p, DB_TEXT, NULL, &unused)) db_drop(store);
}
