/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that become files: see spool.h. */
#include "server/api/spool.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "server/api/api.h"
#include "server/app/service.h"

/* RFC 9530: sha-256=:base64: among others, of the body as it is sent. */
static enum px_status read_digest(const struct http_request *req, struct spool *s,
                                  struct px_err *err) {
  s->digest_header = "Content-Digest";
  const char *value = http_header(req, "Content-Digest");
  if (!value) {
    s->digest_header = "Repr-Digest";
    value = http_header(req, "Repr-Digest");
  }
  const char *at = value ? strstr(value, "sha-256=") : NULL;
  if (!at) return PX_OK;
  at += strlen("sha-256=");
  const size_t n = *at == ':' ? strcspn(at + 1, ":") : 0;
  if (n != 44 || at[1 + n] != ':')
    return px_fail(err, PX_E_BAD_REQUEST,
                   "%s must be sha-256=:BASE64: with 44 characters of base64", s->digest_header);
  memcpy(s->digest, at + 1, n);
  s->sha256 = px_digest_new(PX_DIGEST_SHA256);
  return s->sha256 ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "digest");
}

/* A length that is not told is claimed as it comes. */
static enum px_status claim_room(struct http_request *req, struct spool *s, unsigned db_times,
                                 struct px_err *err) {
  struct store *store = NULL;
  const uint64_t declared = http_body_bytes(req), bytes = declared == UINT64_MAX ? 0 : declared;
  const enum px_status status = api_store(req, &store, err);
  return status ? status
                : service_claim(req->service, store, &s->claim, bytes, db_times * bytes, err);
}

enum px_status spool_begin(struct http_request *req, struct spool *s, unsigned db_times,
                           struct px_err *err) {
  const uint64_t max_bytes = service_options(req->service)->max_upload_bytes;
  enum px_encoding encoding;
  s->fd = -1;
  s->service = req->service;
  enum px_status status = read_digest(req, s, err);
  if (!status)
    status = px_decoder_parse_encoding(http_header(req, "Content-Encoding"), &encoding, err);
  if (!status) status = service_spool(req->service, &s->fd, err);
  if (!status) status = claim_room(req, s, db_times, err);
  if (status) return status;
  s->decoder = px_decoder_new(encoding, s->fd, max_bytes, 0);
  return s->decoder ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "decoder");
}

enum px_status spool_feed(struct spool *s, const void *bytes, size_t n, struct px_err *err) {
  if (s->sha256) px_digest_put(s->sha256, bytes, n);
  const uint64_t before = px_decoder_bytes(s->decoder);
  const enum px_status status = px_decoder_feed(s->decoder, bytes, n, err);
  return status ? status
                : diskspace_use(service_diskspace(s->service), &s->claim, DISKSPACE_SPOOL,
                                px_decoder_bytes(s->decoder) - before, err);
}

enum px_status spool_end(struct spool *s, struct px_err *err) {
  const enum px_status status = px_decoder_end(s->decoder, err);
  if (status || !s->sha256) return status;
  uint8_t digest[PX_SHA256_BYTES];
  char text[SPOOL_DIGEST_MAX];
  px_digest_end(s->sha256, digest);
  s->sha256 = NULL;
  px_text_base64(digest, sizeof digest, text);
  if (strcmp(text, s->digest) == 0) return PX_OK;
  return px_fail_at(err, PX_E_CHECKSUM_MISMATCH, s->digest_header,
                    "the body's SHA-256 is not the one announced in %s", s->digest_header);
}

enum px_status spool_may_store(struct spool *s, uint64_t bytes, struct px_err *err) {
  return diskspace_use(service_diskspace(s->service), &s->claim, DISKSPACE_DB, bytes, err);
}

void spool_free(struct spool *s) {
  px_digest_free(s->sha256);
  px_decoder_free(s->decoder);
  if (s->fd >= 0) close(s->fd);
  if (s->service) diskspace_end(service_diskspace(s->service), &s->claim);
}
