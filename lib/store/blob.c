/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk bytes: see blob.h. */
#include "lib/store/blob.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/store/blob_write.h"
#include "lib/store/store.h"

/* alone: nothing in this transaction refers to it. */
static enum px_status create(struct store *store, uint64_t size, const uint8_t sha256[32],
                             bool alone, int64_t *id, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_int(&p, (int64_t)size);
  db_bytes(&p, sha256, PX_SHA256_BYTES);
  db_bool(&p, alone);
  PGresult *result;
  const enum px_status status = db_run(store, SQL_blob_create, &p, DB_TEXT, &result, err);
  if (status) return status;
  *id = db_get_int(result, 0, "id");
  PQclear(result);
  return PX_OK;
}

static enum px_status put_chunk(struct store *store, int64_t id, int no, const void *bytes,
                                size_t n, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_int(&p, id);
  db_int(&p, no);
  db_bytes(&p, bytes, n);
  return db_run(store, SQL_blob_chunk_put, &p, DB_TEXT, NULL, err);
}

static enum px_status write_blob(struct store *store, const void *bytes, uint64_t n,
                                 const uint8_t sha256[32], bool alone, struct store_blob *out,
                                 struct px_err *err) {
  struct store_blob blob = { .size_bytes = n };
  memcpy(blob.sha256, sha256, sizeof blob.sha256);
  enum px_status status = create(store, n, sha256, alone, &blob.id, err);
  int no = 0;
  for (uint64_t at = 0; !status && at < n; at += STORE_CHUNK_BYTES, no++) {
    const size_t take = n - at < STORE_CHUNK_BYTES ? (size_t)(n - at) : STORE_CHUNK_BYTES;
    status = put_chunk(store, blob.id, no, (const char *)bytes + at, take, err);
  }
  if (!status) *out = blob;
  return status;
}

enum px_status blob_write(struct store *store, const void *bytes, uint64_t n,
                          const uint8_t sha256[32], struct store_blob *out, struct px_err *err) {
  return write_blob(store, bytes, n, sha256, false, out, err);
}

struct put {
  const void *bytes;
  uint64_t n;
  const uint8_t *sha256;
  struct store_blob blob;
};
static enum px_status put_work(struct store *store, void *ctx, struct px_err *err) {
  struct put *put = ctx;
  return write_blob(store, put->bytes, put->n, put->sha256, true, &put->blob, err);
}

enum px_status store_blob_put(struct store *store, const void *bytes, uint64_t n,
                              const uint8_t *known_sha256, struct store_blob *out,
                              struct px_err *err) {
  uint8_t digest[PX_SHA256_BYTES];
  if (!known_sha256) px_digest_sha256(bytes, n, digest);
  struct put put = { bytes, n, known_sha256 ? known_sha256 : digest, { 0 } };
  const enum px_status status = db_transaction(store, "blob_put", put_work, &put, err);
  if (!status) *out = put.blob;
  return status;
}

struct put_fd {
  int fd;
  char *chunk;
  struct store_blob blob;
};

/* As many bytes as there are, up to a chunk. */
static enum px_status fill(int fd, char *chunk, off_t at, size_t *n, struct px_err *err) {
  *n = 0;
  while (*n < STORE_CHUNK_BYTES) {
    const ssize_t got = pread(fd, chunk + *n, STORE_CHUNK_BYTES - *n, at + (off_t)*n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return px_fail_errno(err, "reading the file to be stored");
    if (got == 0) break;
    *n += (size_t)got;
  }
  return PX_OK;
}

static enum px_status put_fd_work(struct store *store, void *ctx, struct px_err *err) {
  struct put_fd *put = ctx;
  struct store_blob blob = { 0 };
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  if (!hash) return px_fail(err, PX_E_NO_MEMORY, "no memory for a digest");
  /* The digest is known only at the end: the row is completed then. */
  enum px_status status = create(store, 0, blob.sha256, true, &blob.id, err);
  for (int no = 0; !status; no++) {
    size_t n;
    status = fill(put->fd, put->chunk, (off_t)blob.size_bytes, &n, err);
    if (status || n == 0) break;
    px_digest_put(hash, put->chunk, n);
    status = put_chunk(store, blob.id, no, put->chunk, n, err);
    blob.size_bytes += n;
  }
  px_digest_end(hash, blob.sha256);
  if (status) return status;
  struct db_params p = DB_PARAMS;
  db_int(&p, blob.id);
  db_int(&p, (int64_t)blob.size_bytes);
  db_bytes(&p, blob.sha256, sizeof blob.sha256);
  put->blob = blob;
  return db_run(store, SQL_blob_seal, &p, DB_TEXT, NULL, err);
}

enum px_status store_blob_put_fd(struct store *store, int fd, struct store_blob *out,
                                 struct px_err *err) {
  struct put_fd put = { .fd = fd, .chunk = malloc(STORE_CHUNK_BYTES) };
  if (!put.chunk) return px_fail(err, PX_E_NO_MEMORY, "no memory for a chunk");
  const enum px_status status = db_transaction(store, "blob_put_fd", put_fd_work, &put, err);
  if (!status) *out = put.blob;
  free(put.chunk);
  return status;
}

enum px_status store_blob_chunks_from_fd(struct store *store, int64_t id, int first, int fd,
                                         uint64_t n, struct px_err *err) {
  char *chunk = malloc(STORE_CHUNK_BYTES);
  enum px_status status = chunk ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for a chunk");
  int no = first;
  for (uint64_t at = 0; !status && at < n; no++) {
    size_t got;
    status = fill(fd, chunk, (off_t)at, &got, err);
    if (!status && got > n - at) got = (size_t)(n - at);
    if (!status && got == 0) status = px_fail(err, PX_E_IO, "the file to be stored ends too early");
    if (!status) status = put_chunk(store, id, no, chunk, got, err);
    at += got;
  }
  free(chunk);
  return status;
}

/* Hands over the chunks of a blob of this size. */
static enum px_status get_chunks(struct store *store, int64_t id, uint64_t size,
                                 store_blob_sink sink, void *ctx, struct px_err *err) {
  enum px_status status = PX_OK;
  uint64_t at = 0;
  for (int no = 0; !status && at < size; no++) {
    struct db_params p = DB_PARAMS;
    db_int(&p, id);
    db_int(&p, no);
    PGresult *result;
    status = db_run(store, SQL_blob_chunk_get, &p, DB_BINARY, &result, err);
    if (status) break;
    if (PQntuples(result) == 1) {
      status =
        sink(ctx, db_get(result, 0, "bytes"), (size_t)db_get_length(result, 0, "bytes"), err);
      at += (uint64_t)db_get_length(result, 0, "bytes");
    } else {
      status = px_fail(err, PX_E_INTERNAL, "chunk %d of blob %lld is missing", no, (long long)id);
    }
    PQclear(result);
  }
  return status;
}

enum px_status store_blob_get(struct store *store, int64_t id, store_blob_sink sink, void *ctx,
                              struct px_err *err) {
  char number[24];
  snprintf(number, sizeof number, "%lld", (long long)id);
  struct db_params p = DB_PARAMS;
  db_int(&p, id);
  PGresult *result;
  const enum px_status status =
    db_one(store, SQL_blob_size, &p, &result, err, "there is no blob %s", number);
  if (status) return status;
  const uint64_t size = (uint64_t)db_get_int(result, 0, "size_bytes");
  PQclear(result);
  return get_chunks(store, id, size, sink, ctx, err);
}

static enum px_status into_buffer(void *ctx, const void *bytes, size_t n, struct px_err *err) {
  const enum px_status status = px_buf_put(ctx, bytes, n);
  return status ? px_fail(err, status, "a stored file is larger than its reader allows") : PX_OK;
}

enum px_status store_blob_read(struct store *store, int64_t id, struct px_buf *out,
                               struct px_err *err) {
  return store_blob_get(store, id, into_buffer, out, err);
}

/* One numbered blob on its way to a sink that wants it whole. */
enum { NUMBERED_MAX_BYTES = 1 << 29 };
struct whole {
  const char *of;     /* whose segment it is, in errors */
  const char *digest; /* recorded: "\\x" and hexadecimal */
  uint64_t size;
  uint32_t number;
  struct px_buf bytes;
  blob_sink sink;
  void *ctx;
};

static enum px_status hand_over(const struct whole *w, const void *bytes, size_t n,
                                struct px_err *err) {
  uint8_t digest[PX_SHA256_BYTES];
  char hex[PX_SHA256_HEX];
  px_digest_sha256(bytes, n, digest);
  px_text_hex(digest, sizeof digest, hex);
  if (strcmp(hex, w->digest + 2) == 0) return w->sink(w->ctx, w->number, bytes, n, err);
  px_fail(err, PX_E_BAD_DATA,
          "segment %u of %s is damaged: its digest is not the one recorded when it was stored",
          w->number, w->of);
  px_fail_hint(err,
               "Restore the database from a backup, or upload the data again into a new dataset.");
  return PX_E_BAD_DATA;
}

static enum px_status make_whole(void *ctx, const void *bytes, size_t n, struct px_err *err) {
  struct whole *w = ctx;
  if (n == w->size) return hand_over(w, bytes, n, err); /* one chunk: no copy */
  const enum px_status status = into_buffer(&w->bytes, bytes, n, err);
  return status || w->bytes.len < w->size ? status : hand_over(w, w->bytes.data, w->bytes.len, err);
}

enum px_status store_blob_read_rows(struct store *store, enum db_sql sql,
                                    const struct db_params *params, uint32_t count, blob_sink sink,
                                    void *ctx, struct px_err *err, const char *of) {
  PGresult *rows;
  enum px_status status = db_run(store, sql, params, DB_TEXT, &rows, err);
  if (status) return status;
  struct whole w = { .of = of, .bytes = PX_BUF(NUMBERED_MAX_BYTES), .sink = sink, .ctx = ctx };
  if ((uint32_t)PQntuples(rows) != count)
    status = px_fail(err, PX_E_NOT_FOUND, "%s has %d of the %u segments asked for", of,
                     PQntuples(rows), count);
  for (int i = 0; i < PQntuples(rows) && !status; i++) {
    w.bytes.len = 0;
    w.number = (uint32_t)db_get_int(rows, i, "seq");
    if (db_get_null(rows, i, "blob_id")) {
      status = sink(ctx, w.number, NULL, 0, err);
      continue;
    }
    w.size = (uint64_t)db_get_int(rows, i, "size_bytes");
    w.digest = db_get(rows, i, "sha256");
    status = get_chunks(store, db_get_int(rows, i, "blob_id"), w.size, make_whole, &w, err);
  }
  px_buf_free(&w.bytes);
  PQclear(rows);
  return status;
}
