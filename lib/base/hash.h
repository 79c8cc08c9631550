/*
 * SHA-256 (FIPS 180-4, OpenSSL's), random bytes and hexadecimal. Digests name
 * segments, models and tokens. Thread safe.
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

/* 2n lower case digits and a NUL into text. */
void px_hex(const uint8_t *bytes, size_t n, char *text);
/* Cryptographically strong; IO when the system has none. */
enum px_status px_random(void *bytes, size_t n) PX_MUST_CHECK;
/* Compares in a time that does not depend on where they differ. */
bool px_same_secret(const void *a, const void *b, size_t n);

#endif
