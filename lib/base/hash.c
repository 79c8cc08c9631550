/* Digests, random bytes, hexadecimal, base64: see hash.h. */
#include "lib/base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* OpenSSL's newer functions set the library up when first used. Without memory for that they crash, or leave a digest as it
 * was (3.0). These, though deprecated, only compute. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

struct px_sha256 { SHA256_CTX ctx; };

struct px_sha256 *px_sha256_new(void) {
  struct px_sha256 *h = malloc(sizeof *h);
  if (h) SHA256_Init(&h->ctx);
  return h;
}

void px_sha256_put(struct px_sha256 *h, const void *bytes, size_t n) { SHA256_Update(&h->ctx, bytes, n); }

void px_sha256_end(struct px_sha256 *h, uint8_t digest[PX_SHA256_BYTES]) {
  SHA256_Final(digest, &h->ctx);
  free(h);
}

void px_sha256(const void *bytes, size_t n, uint8_t digest[PX_SHA256_BYTES]) {
  SHA256_CTX ctx;
  SHA256_Init(&ctx);
  SHA256_Update(&ctx, bytes, n);
  SHA256_Final(digest, &ctx);
}

struct px_digest {
  enum px_digest_kind kind;
  union { SHA_CTX sha1; SHA256_CTX sha256; } ctx;
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
  return d->kind == PX_DIGEST_SHA1 ? SHA_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
}

void px_digest_free(struct px_digest *d) { free(d); }

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void px_text_base64(const uint8_t *bytes, size_t n, char *text) {
  for (size_t i = 0; i < n; i += 3) {
    const size_t left = n - i;
    const uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                           (left > 2 ? bytes[i + 2] : 0);
    for (unsigned d = 0; d < 4; d++) *text++ = d <= left ? BASE64[group >> (18 - 6 * d) & 63] : '=';
  }
  *text = '\0';
}

bool px_text_base64_decode(const char *text, size_t n, uint8_t *bytes, size_t max, size_t *bytes_n) {
  if (n % 4 != 0) return false;
  const size_t padding = n > 0 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
  const size_t out_n = n / 4 * 3 - padding;
  if (out_n > max) return false;
  for (size_t i = 0, out = 0; i < n; i += 4) {
    uint32_t group = 0;
    for (size_t d = 0; d < 4; d++) {
      const char *digit = i + d < n - padding && text[i + d] ? strchr(BASE64, text[i + d]) : NULL;
      if (!digit && i + d < n - padding) return false;
      group = group << 6 | (digit ? (uint32_t)(digit - BASE64) : 0);
    }
    for (unsigned b = 0; b < 3; b++, out++) {
      const uint8_t byte = (uint8_t)(group >> (16 - 8 * b));
      if (out < out_n) bytes[out] = byte;
      else if (byte) return false; /* bits that no encoder leaves */
    }
  }
  *bytes_n = out_n;
  return true;
}

void px_text_hex(const uint8_t *bytes, size_t n, char *text) {
  static const char DIGITS[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    text[2 * i] = DIGITS[bytes[i] >> 4];
    text[2 * i + 1] = DIGITS[bytes[i] & 15];
  }
  text[2 * n] = '\0';
}

enum px_status px_secret_random(void *bytes, size_t n) {
  for (size_t have = 0; have < n;) {
    const ssize_t got = getrandom((char *)bytes + have, n - have, 0);
    if (got < 0 && errno != EINTR) return PX_E_IO;
    if (got > 0) have += (size_t)got;
  }
  return PX_OK;
}

bool px_secret_equal(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }
