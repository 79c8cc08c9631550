/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's body on its way to an unlinked file: decoded as it comes, held against the digest
 * that was announced, within the room that the disks have. Used by the routes that take files. One
 * request belongs to one thread at a time.
 */
#ifndef PX_SERVER_API_SPOOL_H
#define PX_SERVER_API_SPOOL_H

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/read/decode.h"
#include "server/app/diskspace.h"
#include "server/http/http.h"

enum { SPOOL_DIGEST_MAX = 64 };

struct spool {
  int fd; /* the decoded body; -1: none */
  struct px_decoder *decoder;
  /* of the bytes received; NULL unless a digest was announced */
  struct px_digest *sha256;
  char digest[SPOOL_DIGEST_MAX]; /* base64, as announced */
  const char *digest_header;
  struct service *service;
  struct diskspace_claim claim;
};
/* Reads Content-Encoding, Content-Digest and Repr-Digest, and claims room for what is declared: in
 * the spool folder, and `db_times` of it in the database. Whatever happens, free. */
enum px_status spool_begin(struct http_request *req, struct spool *s, unsigned db_times,
                           struct px_err *err) PX_MUST_CHECK;
enum px_status spool_feed(struct spool *s, const void *bytes, size_t n,
                          struct px_err *err) PX_MUST_CHECK;
/* After the last byte. CHECKSUM_MISMATCH when the digest is another. */
enum px_status spool_end(struct spool *s, struct px_err *err) PX_MUST_CHECK;
/* Before so many bytes of it are stored in the database. */
enum px_status spool_may_store(struct spool *s, uint64_t bytes, struct px_err *err) PX_MUST_CHECK;
void spool_free(struct spool *s);

#endif
