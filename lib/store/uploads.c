/* SPDX-License-Identifier: Apache-2.0 */
/* Files on their way into a dataset: see uploads.h. */
#include "lib/store/uploads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/blob_write.h"
#include "lib/store/store.h"
#include "lib/store/submitter.h"

enum { PARTS_MAX = 1 << 20 };

struct whole {
  struct db_params params;
  const char *dataset_id;
  int64_t blob;
  char job[STORE_ID_MAX];
};

static enum px_status submit_work(struct store *store, void *ctx, struct px_err *err) {
  struct whole *w = ctx;
  struct submitter submitter;
  struct db_params blob = DB_PARAMS, p = w->params;
  PGresult *row = NULL;
  db_int(&blob, w->blob);
  /* It may have been done before, and the answer was lost: a blob is of one upload. */
  enum px_status status =
    db_unsettled(store) ? db_run(store, SQL_upload_of_blob, &blob, DB_TEXT, &row, err) : PX_OK;
  const bool already = row && PQntuples(row) > 0;
  if (already) db_get_text(row, 0, "job_id", w->job, sizeof w->job);
  PQclear(row);
  if (status || already) return status;
  status = submitter_lock(store, &submitter, err);
  db_text(&p, submitter_id(&submitter));
  if (!status) status = db_run(store, SQL_upload_submit, &p, DB_TEXT, &row, err);
  if (status == PX_E_NOT_FOUND)
    return px_fail(err, status, "there is no dataset %s", w->dataset_id);
  if (status) return status;
  db_get_text(row, 0, "job_id", w->job, sizeof w->job);
  PQclear(row);
  return submitter_check(store, &submitter, 1, err);
}

enum px_status store_upload_submit(struct store *store, const char *dataset_id,
                                   const char *file_name, const char *format,
                                   const char *options_json, const struct store_blob *blob,
                                   char job_id[STORE_ID_MAX], struct px_err *err) {
  struct whole w = { .params = DB_PARAMS, .dataset_id = dataset_id, .blob = blob->id };
  db_text(&w.params, dataset_id);
  db_text(&w.params, file_name);
  db_text(&w.params, format);
  db_text(&w.params, options_json);
  db_int(&w.params, blob->id);
  db_int(&w.params, (int64_t)blob->size_bytes);
  const enum px_status status = db_transaction(store, "upload_submit", submit_work, &w, err);
  if (!status) memcpy(job_id, w.job, sizeof w.job);
  return status;
}

enum px_status store_upload_get(struct store *store, const char *id, struct store_upload *out,
                                struct px_buf *options, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  enum px_status status = db_one(store, SQL_upload_get, &p, &row, err, "there is no upload %s", id);
  if (status) return status;
  memset(out, 0, sizeof *out);
  db_get_text(row, 0, "id", out->id, sizeof out->id);
  db_get_text(row, 0, "dataset_id", out->dataset_id, sizeof out->dataset_id);
  db_get_text(row, 0, "file_name", out->file_name, sizeof out->file_name);
  db_get_text(row, 0, "format", out->format, sizeof out->format);
  out->blob_id = db_get_int(row, 0, "blob_id");
  if (options) status = db_get_buf(row, 0, "options", options);
  if (status) px_fail(err, status, "the options of upload %s are too long", id);
  PQclear(row);
  return status;
}

/* --- in parts --- */

static void take_state(const PGresult *row, struct store_upload_state *out) {
  memset(out, 0, sizeof *out);
  db_get_text(row, 0, "id", out->id, sizeof out->id);
  db_get_text(row, 0, "dataset_id", out->dataset_id, sizeof out->dataset_id);
  db_get_text(row, 0, "job_id", out->job_id, sizeof out->job_id);
  out->size_bytes = (uint64_t)db_get_int(row, 0, "size_bytes");
  out->received_bytes = (uint64_t)db_get_int(row, 0, "received_bytes");
  db_get_text(row, 0, "metadata", out->metadata, sizeof out->metadata);
  out->expires_at_s = db_get_int(row, 0, "expires_at_s");
}

static enum px_status promised_but(struct store *store, const char *id, uint64_t *bytes,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_uploads_promised, &p, DB_TEXT, &row, err);
  if (status) return status;
  *bytes = (uint64_t)db_get_int(row, 0, "bytes");
  PQclear(row);
  return PX_OK;
}

enum px_status store_uploads_promised(struct store *store, uint64_t *bytes, struct px_err *err) {
  return promised_but(store, "", bytes, err);
}

struct create {
  const struct store_upload_draft *draft;
  char id[STORE_ID_MAX];
  struct store_upload_state *out;
};

static enum px_status create_row(struct store *store, const struct create *c, struct px_err *err) {
  const struct store_upload_draft *draft = c->draft;
  struct db_params p = DB_PARAMS;
  db_text(&p, draft->dataset_id);
  db_text(&p, draft->file_name);
  db_text(&p, draft->format);
  db_text(&p, draft->options_json);
  db_int(&p, (int64_t)draft->size_bytes);
  db_text(&p, draft->metadata);
  db_int(&p, draft->expires_s);
  db_text(&p, c->id);
  PGresult *row;
  enum px_status status = db_run(store, SQL_upload_create, &p, DB_TEXT, &row, err);
  /* The id is only ours: a connection that was lost has used it, and its commit was still under
   * way. */
  if (status == PX_E_CONFLICT && !draft->room_bytes)
    status = db_run(store, SQL_upload_create, &p, DB_TEXT, &row, err);
  if (status == PX_E_NOT_FOUND)
    return px_fail(err, status, "there is no dataset %s", draft->dataset_id);
  if (status) return status;
  take_state(row, c->out);
  PQclear(row);
  return PX_OK;
}

static enum px_status create_work(struct store *store, void *ctx, struct px_err *err) {
  const struct create *c = ctx;
  const uint64_t room = c->draft->room_bytes, needs = 2 * c->draft->size_bytes;
  uint64_t promised = 0;
  enum px_status status = db_run(store, SQL_uploads_admit, &DB_PARAMS, DB_TEXT, NULL, err);
  if (!status) status = promised_but(store, c->id, &promised, err);
  if (status) return status;
  if (promised <= room && needs <= room - promised) return create_row(store, c, err);
  px_fail(err, PX_E_NO_SPACE, "the database volume is too full for this upload");
  px_fail_hint(err,
               "The database volume has %" PRIu64 " MiB for uploads in parts, of which %" PRIu64
               " are promised; this one needs "
               "%" PRIu64
               " (its bytes, and the segments made of them). Send it when others have ended.",
               room >> 20, promised >> 20, needs >> 20);
  return PX_E_NO_SPACE;
}

enum px_status store_upload_create(struct store *store, const struct store_upload_draft *draft,
                                   struct store_upload_state *out, struct px_err *err) {
  struct create create = { .draft = draft, .out = out };
  store_new_id("up", create.id);
  return draft->room_bytes ? db_transaction(store, "upload_create", create_work, &create, err)
                           : create_row(store, &create, err);
}

enum px_status store_upload_state(struct store *store, const char *id,
                                  struct store_upload_state *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  const enum px_status status =
    db_one(store, SQL_upload_state, &p, &row, err, "there is no upload %s, or it has expired", id);
  if (status) return status;
  take_state(row, out);
  PQclear(row);
  return PX_OK;
}

enum px_status store_upload_document(struct store *store, const char *id, struct px_buf *out,
                                     struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_upload_document, &p, out, NULL, err,
                     "there is no upload %s, or it has expired", id);
}

struct append {
  const char *id;
  uint64_t offset, n;
  int fd;
  int64_t expires_s;
  struct store_upload_state state;
};

/* Why the offset could not be moved from `offset` by n. */
static enum px_status refuse(const struct append *a, struct px_err *err) {
  const struct store_upload_state *s = &a->state;
  if (s->received_bytes != a->offset)
    return px_fail(err, PX_E_CONFLICT, "the upload is at offset %" PRIu64 ", not %" PRIu64,
                   s->received_bytes, a->offset);
  return px_fail(err, PX_E_TOO_LARGE,
                 "the upload has %" PRIu64 " bytes; %" PRIu64 " more than it needs were sent",
                 s->size_bytes, s->received_bytes + a->n - s->size_bytes);
}

/* The last byte has come: the ingest job. */
static enum px_status complete(struct store *store, const char *id,
                               const struct submitter *submitter, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_text(&p, submitter_id(submitter));
  const enum px_status status = db_run(store, SQL_upload_complete, &p, DB_TEXT, NULL, err);
  return status ? status : submitter_check(store, submitter, 1, err);
}

static enum px_status append_work(struct store *store, void *ctx, struct px_err *err) {
  struct append *a = ctx;
  struct submitter submitter;
  const int parts = (int)((a->n + STORE_CHUNK_BYTES - 1) / STORE_CHUNK_BYTES);
  struct db_params p = DB_PARAMS;
  db_text(&p, a->id);
  db_int(&p, (int64_t)a->offset);
  db_int(&p, (int64_t)a->n);
  db_int(&p, parts);
  db_int(&p, a->expires_s);
  PGresult *row = NULL;
  enum px_status status = submitter_lock(store, &submitter, err);
  if (!status) status = db_run(store, SQL_upload_grow, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row) == 1) {
    const int64_t first = db_get_int(row, 0, "parts_before");
    if (first + parts > PARTS_MAX)
      status = px_fail(err, PX_E_TOO_LARGE, "the upload comes in more than %d parts", PARTS_MAX);
    else
      status = store_blob_chunks_from_fd(store, db_get_int(row, 0, "blob_id"), (int)first, a->fd,
                                         a->n, err);
    if (!status && db_get_bool(row, 0, "whole")) status = complete(store, a->id, &submitter, err);
    if (!status) status = store_upload_state(store, a->id, &a->state, err);
  } else {
    status = store_upload_state(store, a->id, &a->state, err);
    const bool already = db_unsettled(store) && a->state.received_bytes == a->offset + a->n;
    if (!status && !already) status = refuse(a, err);
  }
  PQclear(row);
  return status;
}

enum px_status store_upload_append(struct store *store, const char *id, uint64_t offset, int fd,
                                   uint64_t n, int64_t expires_s, struct store_upload_state *out,
                                   struct px_err *err) {
  struct append a = { .id = id, .offset = offset, .n = n, .fd = fd, .expires_s = expires_s };
  enum px_status status;
  if (n == 0) {
    status = store_upload_state(store, id, &a.state, err);
    if (!status && a.state.received_bytes != offset) status = refuse(&a, err);
  } else {
    status = db_transaction(store, "upload_part", append_work, &a, err);
  }
  if (!status) *out = a.state;
  return status;
}

/* CONFLICT while the job that reads the upload ("": none) has not ended. */
static enum px_status check_not_read(struct store *store, const char *job, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  PGresult *row;
  enum px_status status =
    *job ? db_run(store, SQL_upload_job_final, &p, DB_TEXT, &row, err) : PX_OK;
  if (status || !*job) return status;
  if (PQntuples(row) == 1 && !db_get_bool(row, 0, "final")) {
    status = px_fail(err, PX_E_CONFLICT, "the upload is whole, and job %s reads it", job);
    px_fail_hint(err, "Cancel the job first: POST /v1/jobs/%s:cancel.", job);
  }
  PQclear(row);
  return status;
}

static enum px_status delete_work(struct store *store, void *ctx, struct px_err *err) {
  const char *id = ctx;
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  enum px_status status =
    db_one(store, SQL_upload_lock, &p, &row, err, "there is no upload %s, or it has expired", id);
  if (status == PX_E_NOT_FOUND && db_unsettled(store)) return PX_OK;
  if (status) return status;
  status = check_not_read(store, db_get(row, 0, "job_id"), err);
  PQclear(row);
  return status ? status : db_run(store, SQL_upload_delete, &p, DB_TEXT, NULL, err);
}

enum px_status store_upload_delete(struct store *store, const char *id, struct px_err *err) {
  char copy[STORE_ID_MAX];
  snprintf(copy, sizeof copy, "%s", id);
  return db_transaction(store, "upload_delete", delete_work, copy, err);
}
