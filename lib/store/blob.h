/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk bytes by number: in PostgreSQL as chunks of bytea (STORAGE EXTERNAL).
 *
 * A blob is written first, in its own short transaction and on any connection,
 * and is reachable only through a row that attaches it; what nothing attaches
 * within a day the janitor removes.
 */
#ifndef PX_STORE_BLOB_H
#define PX_STORE_BLOB_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/store.h"

/* Measured: with chunks of 4 MiB the database spends up to twice the processor time on a write,
 * because each chunk is memory that it takes from the system anew; below 512 KiB the statements
 * cost more. Reading is alike. */
enum { STORE_CHUNK_BYTES = 1 << 20 };

struct store_blob {
  int64_t id;
  uint64_t size_bytes;
  uint8_t sha256[32];
};

/* Stores n bytes. `known_sha256` may be NULL: then it is computed. */
enum px_status store_blob_put(struct store *store, const void *bytes, uint64_t n,
                              const uint8_t *known_sha256, struct store_blob *out,
                              struct px_err *err) PX_MUST_CHECK;
/* Stores what fd holds from its beginning, a chunk at a time. */
enum px_status store_blob_put_fd(struct store *store, int fd, struct store_blob *out,
                                 struct px_err *err) PX_MUST_CHECK;
/* Hands over the chunks in order; the callback borrows the bytes. */
typedef enum px_status (*store_blob_sink)(void *ctx, const void *bytes, size_t n,
                                          struct px_err *err);
enum px_status store_blob_get(struct store *store, int64_t id, store_blob_sink sink, void *ctx,
                              struct px_err *err) PX_MUST_CHECK;
/* The same into a buffer, whose maximum bounds it. */
enum px_status store_blob_read(struct store *store, int64_t id, struct px_buf *out,
                               struct px_err *err) PX_MUST_CHECK;

#endif
