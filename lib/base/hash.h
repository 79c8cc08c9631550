/*
 * SHA-256 (FIPS 180-4, OpenSSL's), random bytes, hexadecimal and base64. Digests
 * name segments, models and tokens; SHA-1 is here only because uploads may be
 * checked by it (tus 1.0.0 requires it). Thread safe.
 */
#ifndef PX_BASE_HASH_H
#define PX_BASE_HASH_H

#include <stdint.h>

#include "lib/base/status.h"

enum { PX_SHA256_BYTES = 32, PX_SHA256_HEX = 65 };

struct px_sha256;
struct px_sha256 *px_sha256_new(void); /* NULL when out of memory */
void px_sha256_put(struct px_sha256 *h, const void *bytes, size_t n);
/* Gives the digest and frees h. */
void px_sha256_end(struct px_sha256 *h, uint8_t digest[PX_SHA256_BYTES]);
void px_sha256(const void *bytes, size_t n, uint8_t digest[PX_SHA256_BYTES]);

/* A digest chosen at run time. */
enum px_digest_kind { PX_DIGEST_SHA256, PX_DIGEST_SHA1 };
enum { PX_DIGEST_MAX_BYTES = 32 };
struct px_digest;
struct px_digest *px_digest_new(enum px_digest_kind kind); /* NULL when out of memory */
void px_digest_put(struct px_digest *d, const void *bytes, size_t n);
/* Gives the digest; returns its length. d is still to be freed. */
size_t px_digest_end(struct px_digest *d, uint8_t digest[PX_DIGEST_MAX_BYTES]);
void px_digest_free(struct px_digest *d);

/* RFC 4648 section 4, with padding: 4 * ceil(n / 3) characters and a NUL into text. */
void px_text_base64(const uint8_t *bytes, size_t n, char *text);
/* False unless text[n] is base64 of at most `max` bytes, without anything else. */
bool px_text_base64_decode(const char *text, size_t n, uint8_t *bytes, size_t max, size_t *bytes_n) PX_MUST_CHECK;

/* 2n lower case digits and a NUL into text. */
void px_text_hex(const uint8_t *bytes, size_t n, char *text);
/* Cryptographically strong; IO when the system has none. */
enum px_status px_secret_random(void *bytes, size_t n) PX_MUST_CHECK;
/* Compares in a time that does not depend on where they differ. */
bool px_secret_equal(const void *a, const void *b, size_t n);

#endif
