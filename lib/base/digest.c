/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: see digest.h. */
#include "lib/base/digest.h"

#include <stdlib.h>

/* OpenSSL's newer functions set the library up when first used. Without memory for that they crash,
 * or leave a digest as it was (3.0). These, though deprecated, only compute. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

struct px_digest {
  enum px_digest_kind kind;
  union {
    SHA_CTX sha1;
    SHA256_CTX sha256;
  } ctx;
};

struct px_digest *px_digest_new(enum px_digest_kind kind) {
  struct px_digest *d = malloc(sizeof *d);
  if (!d) return NULL;
  d->kind = kind;
  if (kind == PX_DIGEST_SHA1) SHA1_Init(&d->ctx.sha1);
  else SHA256_Init(&d->ctx.sha256);
  return d;
}

void px_digest_put(struct px_digest *d, const void *bytes, size_t n) {
  if (d->kind == PX_DIGEST_SHA1) SHA1_Update(&d->ctx.sha1, bytes, n);
  else SHA256_Update(&d->ctx.sha256, bytes, n);
}

size_t px_digest_end(struct px_digest *d, uint8_t digest[PX_DIGEST_MAX_BYTES]) {
  if (d->kind == PX_DIGEST_SHA1) SHA1_Final(digest, &d->ctx.sha1);
  else SHA256_Final(digest, &d->ctx.sha256);
  const size_t n = d->kind == PX_DIGEST_SHA1 ? SHA_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
  px_digest_free(d);
  return n;
}

void px_digest_free(struct px_digest *d) { free(d); }

void px_digest_sha256(const void *bytes, size_t n, uint8_t digest[PX_SHA256_BYTES]) {
  SHA256_CTX ctx;
  SHA256_Init(&ctx);
  SHA256_Update(&ctx, bytes, n);
  SHA256_Final(digest, &ctx);
}
