/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, comparison of secrets: see secret.h. */
#include "lib/base/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sys/random.h>

enum px_status px_secret_random(void *bytes, size_t n) {
  for (size_t have = 0; have < n;) {
    const ssize_t got = getrandom((char *)bytes + have, n - have, 0);
    if (got < 0 && errno != EINTR) return PX_E_IO;
    if (got > 0) have += (size_t)got;
  }
  return PX_OK;
}

bool px_secret_equal(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }
