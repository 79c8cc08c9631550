/* SHA-256, random bytes, hexadecimal: see hash.h. */
#include "lib/base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

struct px_sha256 *px_sha256_new(void) {
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
    EVP_MD_CTX_free(ctx);
    ctx = NULL;
  }
  return (struct px_sha256 *)ctx;
}

void px_sha256_put(struct px_sha256 *h, const void *bytes, size_t n) { EVP_DigestUpdate((EVP_MD_CTX *)h, bytes, n); }

void px_sha256_end(struct px_sha256 *h, uint8_t digest[PX_SHA256_BYTES]) {
  EVP_DigestFinal_ex((EVP_MD_CTX *)h, digest, NULL);
  EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void px_sha256(const void *bytes, size_t n, uint8_t digest[PX_SHA256_BYTES]) {
  EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL);
}

void px_hex(const uint8_t *bytes, size_t n, char *text) {
  static const char DIGITS[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    text[2 * i] = DIGITS[bytes[i] >> 4];
    text[2 * i + 1] = DIGITS[bytes[i] & 15];
  }
  text[2 * n] = '\0';
}

enum px_status px_random(void *bytes, size_t n) {
  return n <= 1 << 20 && RAND_bytes(bytes, (int)n) == 1 ? PX_OK : PX_E_IO;
}

bool px_same_secret(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }
