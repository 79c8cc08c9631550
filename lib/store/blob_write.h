/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a blob inside a transaction that does more, and reading numbered ones: only lib/store
 * includes this. */
#ifndef PX_STORE_BLOB_WRITE_H
#define PX_STORE_BLOB_WRITE_H

#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

enum px_status blob_write(struct store *store, const void *bytes, uint64_t n,
                          const uint8_t sha256[32], struct store_blob *out,
                          struct px_err *err) PX_MUST_CHECK;

/* The first n bytes of fd as chunks first, first + 1, ... of a blob that is there. IO when there
 * are fewer. */
enum px_status store_blob_chunks_from_fd(struct store *store, int64_t id, int first, int fd,
                                         uint64_t n, struct px_err *err) PX_MUST_CHECK;

/* Reads the blobs of a statement's rows (number, blob id, size, sha256), in order; a row without a
 * blob gives no bytes (NULL, 0). Fewer than `count` rows is NOT_FOUND, and bytes of another digest
 * BAD_DATA; both name `of`. */
typedef enum px_status (*blob_sink)(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                    struct px_err *err);
enum px_status store_blob_read_rows(struct store *store, enum db_sql sql,
                                    const struct db_params *params, uint32_t count, blob_sink sink,
                                    void *ctx, struct px_err *err, const char *of) PX_MUST_CHECK;

#endif
