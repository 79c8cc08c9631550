/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on their way into a dataset. A file sent whole is recorded together with
 * its ingest job. One sent in parts (tus 1.0.0) grows by short transactions,
 * each of which stores the bytes and moves the offset: what was acknowledged is
 * committed, and the same bytes sent again find another offset and change
 * nothing. Its ingest job is made in the transaction that stores its last byte.
 *
 * Used by the server (receiving) and the worker (ingest). Thread safety as the
 * store's.
 */
#ifndef PX_STORE_UPLOADS_H
#define PX_STORE_UPLOADS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/store.h"

struct store_upload {
  char id[STORE_ID_MAX], dataset_id[STORE_ID_MAX], file_name[256], format[16];
  int64_t blob_id;
};
/* Records a file stored as a blob and submits its ingest job, in one transaction. */
enum px_status store_upload_submit(struct store *store, const char *dataset_id,
                                   const char *file_name, const char *format,
                                   const char *options_json, const struct store_blob *blob,
                                   char job_id[STORE_ID_MAX], struct px_err *err) PX_MUST_CHECK;
/* A whole file, for its ingest job. */
enum px_status store_upload_get(struct store *store, const char *id, struct store_upload *out,
                                struct px_buf *options, struct px_err *err) PX_MUST_CHECK;

enum { STORE_UPLOAD_METADATA_MAX = 4096 };
struct store_upload_state {
  /* job_id "" until it is whole */
  char id[STORE_ID_MAX], dataset_id[STORE_ID_MAX], job_id[STORE_ID_MAX];
  uint64_t size_bytes, received_bytes;
  char metadata[STORE_UPLOAD_METADATA_MAX];
  int64_t expires_at_s; /* Unix time */
};
struct store_upload_draft {
  const char *dataset_id, *file_name, *format, *options_json, *metadata;
  uint64_t size_bytes;
  int64_t expires_s;
  /* what all uploads in parts may need together (store_uploads_promised); 0: any number */
  uint64_t room_bytes;
};
/* An empty upload of an announced length. NOT_FOUND when the dataset is gone, NO_SPACE when there
 * is no room for it beside what others were promised. */
enum px_status store_upload_create(struct store *store, const struct store_upload_draft *draft,
                                   struct store_upload_state *out,
                                   struct px_err *err) PX_MUST_CHECK;
/* What unfinished uploads in parts still need of the database's volume: the bytes to come, and
 * those of the segments that their ingest jobs will write. An asynchronous plain upload counts
 * until its job has ended. */
enum px_status store_uploads_promised(struct store *store, uint64_t *bytes,
                                      struct px_err *err) PX_MUST_CHECK;
/* NOT_FOUND when there is none or it has expired. */
enum px_status store_upload_state(struct store *store, const char *id,
                                  struct store_upload_state *out, struct px_err *err) PX_MUST_CHECK;
enum px_status store_upload_document(struct store *store, const char *id, struct px_buf *out,
                                     struct px_err *err) PX_MUST_CHECK;
/* Appends the first n bytes of fd at `offset`; from now on it expires after
 * expires_s. CONFLICT when it has another offset, TOO_LARGE beyond its length or
 * in too many parts. n may be 0: then only the offset is compared. */
enum px_status store_upload_append(struct store *store, const char *id, uint64_t offset, int fd,
                                   uint64_t n, int64_t expires_s, struct store_upload_state *out,
                                   struct px_err *err) PX_MUST_CHECK;
/* Drops it with its bytes. CONFLICT while its ingest job works on them. */
enum px_status store_upload_delete(struct store *store, const char *id,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
