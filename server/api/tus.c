/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of tus: see tus.h. */
#include "server/api/tus.h"

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum px_status tus_version(const char *value, struct px_err *err) {
  if (value && strcmp(value, TUS_VERSION) == 0) return PX_OK;
  px_fail(err, PX_E_PRECONDITION_FAILED, "the header Tus-Resumable must say " TUS_VERSION);
  px_fail_hint(err,
               "This server speaks tus " TUS_VERSION "; OPTIONS /v1/uploads tells its extensions.");
  return PX_E_PRECONDITION_FAILED;
}

enum px_status tus_number(const char *header, const char *value, uint64_t *out,
                          struct px_err *err) {
  if (!value) return px_fail(err, PX_E_BAD_REQUEST, "the header %s is missing", header);
  uint64_t number = 0;
  bool good = *value != '\0';
  for (const char *c = value; *c && good; c++)
    good = *c >= '0' && *c <= '9' && !__builtin_mul_overflow(number, 10U, &number) &&
           !__builtin_add_overflow(number, (uint64_t)(*c - '0'), &number);
  if (!good || number > INT64_MAX)
    return px_fail(err, PX_E_BAD_REQUEST, "%s must be a whole number", header);
  *out = number;
  return PX_OK;
}

/* One pair of the list, at `text`, up to the next comma: the lengths of key and value. False when
 * it is broken. */
struct pair {
  const char *key, *value;
  size_t key_n, value_n, n;
};
static bool take_pair(const char *text, struct pair *pair) {
  uint8_t bytes[TUS_METADATA_MAX];
  size_t bytes_n;
  while (*text == ' ') text++;
  pair->key = text;
  pair->n = strcspn(text, ",");
  pair->key_n = strcspn(text, " ,");
  for (size_t i = 0; i < pair->key_n; i++)
    if (text[i] <= 0x20 || text[i] > 0x7e) return false;
  pair->value = text + pair->key_n + (text[pair->key_n] == ' ');
  pair->value_n = (size_t)(text + pair->n - pair->value);
  return pair->key_n > 0 &&
         px_text_base64_decode(pair->value, pair->value_n, bytes, sizeof bytes, &bytes_n);
}

static bool same_key(const struct pair *a, const struct pair *b) {
  return a->key_n == b->key_n && memcmp(a->key, b->key, a->key_n) == 0;
}

enum px_status tus_metadata_check(const char *value, struct px_err *err) {
  if (!value || !*value) return PX_OK;
  if (strlen(value) >= TUS_METADATA_MAX)
    return px_fail(err, PX_E_TOO_LARGE, "Upload-Metadata is longer than %d bytes",
                   TUS_METADATA_MAX - 1);
  for (const char *at = value;;) {
    struct pair pair, other;
    if (!take_pair(at, &pair))
      return px_fail(err, PX_E_BAD_REQUEST,
                     "Upload-Metadata must be pairs of a key and a base64 value, with commas");
    for (const char *before = value; before < at; before = other.key + other.n + 1)
      if (take_pair(before, &other) && same_key(&pair, &other))
        return px_fail(err, PX_E_BAD_REQUEST, "Upload-Metadata has the key '%.*s' twice",
                       (int)pair.key_n, pair.key);
    at = pair.key + pair.n;
    if (!*at) return PX_OK;
    at++;
  }
}

const char *tus_metadata_get(const char *value, const char *key, char out[TUS_VALUE_MAX]) {
  const struct pair wanted = { .key = key, .key_n = strlen(key) };
  struct pair pair;
  for (const char *at = value; at && *at; at += *at == ',') {
    if (!take_pair(at, &pair)) return NULL;
    at = pair.key + pair.n;
    if (!same_key(&pair, &wanted)) continue;
    size_t n;
    if (!px_text_base64_decode(pair.value, pair.value_n, (uint8_t *)out, TUS_VALUE_MAX - 1, &n))
      return NULL;
    out[n] = '\0';
    return strlen(out) == n ? out : NULL;
  }
  return NULL;
}

enum px_status tus_checksum_read(const char *value, struct tus_checksum *out, struct px_err *err) {
  const char *space = strchr(value, ' ');
  const size_t n = space ? (size_t)(space - value) : 0;
  const bool sha1 = n == 4 && memcmp(value, "sha1", 4) == 0,
             sha256 = n == 6 && memcmp(value, "sha256", 6) == 0;
  if (!sha1 && !sha256)
    return px_fail(err, PX_E_BAD_REQUEST,
                   "Upload-Checksum must be one of " TUS_CHECKSUMS " and a digest");
  struct tus_checksum checksum = { .kind = sha1 ? PX_DIGEST_SHA1 : PX_DIGEST_SHA256 };
  if (!px_text_base64_decode(space + 1, strlen(space + 1), checksum.digest, sizeof checksum.digest,
                             &checksum.n) ||
      checksum.n != (sha1 ? 20U : 32U))
    return px_fail(err, PX_E_BAD_REQUEST,
                   "the digest in Upload-Checksum must be base64 of %d bytes", sha1 ? 20 : 32);
  *out = checksum;
  return PX_OK;
}

void tus_date(int64_t unix_s, char out[TUS_DATE_MAX]) {
  static const char DAY[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
  static const char MONTH[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
  const time_t at = (time_t)unix_s;
  struct tm tm = { 0 };
  gmtime_r(&at, &tm);
  /* Not strftime, whose names are the locale's. */
  snprintf(out, TUS_DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", DAY[tm.tm_wday % 7],
           tm.tm_mday % 32, MONTH[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000, tm.tm_hour % 24,
           tm.tm_min % 60, tm.tm_sec % 61);
}
