/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests: SHA-256 (FIPS 180-4, OpenSSL's), which names segments, models and
 * tokens, and SHA-1, by which uploads may be checked (tus 1.0.0 requires it).
 * A digest in progress belongs to one thread.
 */
#ifndef PX_BASE_DIGEST_H
#define PX_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { PX_SHA256_BYTES = 32, PX_SHA256_HEX = 65 };

enum px_digest_kind { PX_DIGEST_SHA256, PX_DIGEST_SHA1 };
enum { PX_DIGEST_MAX_BYTES = 32 };
struct px_digest;
struct px_digest *px_digest_new(enum px_digest_kind kind); /* NULL when out of memory */
void px_digest_put(struct px_digest *d, const void *bytes, size_t n);
/* Gives the digest and frees d; returns the digest's length. */
size_t px_digest_end(struct px_digest *d, uint8_t digest[PX_DIGEST_MAX_BYTES]);
/* For one that is given up; NULL is none. */
void px_digest_free(struct px_digest *d);
/* SHA-256 of n bytes at once. */
void px_digest_sha256(const void *bytes, size_t n, uint8_t digest[PX_SHA256_BYTES]);

#endif
