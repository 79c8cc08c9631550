/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile bytes of connections: request heads and chunks, the route table's search, the headers of
 * uploads in parts. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "server/api/api.h"
#include "server/api/tus.h"
#include "server/http/http_route.h"
#include "server/http/http_validate.h"
#include "server/http/http_wire.h"
#include "tests/support/fuzz.h"

static bool is_clean(const char *text) {
  for (const char *c = text; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) return false;
  return true;
}

/* A request line's target, as the server takes it apart. */
static void find_route(const char *target) {
  struct px_arena *arena = px_arena_new(1 << 20);
  char *path = strdup(target);
  FUZZ_HOLDS(arena && path);
  char *query = strchr(path, '?');
  if (query) *query++ = '\0';
  struct http_request req = { .arena = arena };
  struct http_match match;
  struct px_err err = { 0 };
  enum px_status status =
    http_route_find(API_ROUTES, API_ROUTES_N, "GET", path, arena, &match, &err);
  FUZZ_HOLDS(status == PX_OK || status == PX_E_BAD_REQUEST || status == PX_E_NO_MEMORY);
  req.route = match.route;
  for (size_t i = 0; !status && req.route && i < HTTP_PARAMS_MAX; i++)
    FUZZ_HOLDS(!match.params[i] || (*match.params[i] && is_clean(match.params[i])));
  if (!status && req.route) status = http_route_query(&req, query ? query : "", &err);
  for (size_t i = 0; !status && i < req.query_n; i++)
    FUZZ_HOLDS(is_clean(req.query[i].name) && is_clean(req.query[i].value));
  free(path);
  px_arena_free(arena);
}

static bool is_strict(const char *head, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)head[i];
    if (c == '\r'   ? i + 1 == n || head[i + 1] != '\n'
        : c == '\n' ? i == 0 || head[i - 1] != '\r'
                    : (c < 0x20 && c != '\t') || c == 0x7f)
      return false;
    if (c == '\n' && i + 1 < n && (head[i + 1] == ' ' || head[i + 1] == '\t')) return false;
  }
  return n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0;
}

/* The bytes of a connection: what passes is the same whether they come at once or one after
 * another, and a head that passes can be read in one way only. */
static void read_wire(const char *bytes, size_t n) {
  struct http_wire whole = { 0 }, slow = { 0 };
  const char *closing, *slowly;
  const size_t passed = http_wire_judge(&whole, bytes, n, &closing);
  FUZZ_HOLDS(passed <= n && (closing != NULL) == (whole.at == HTTP_WIRE_REFUSED) &&
             (closing != NULL) == (whole.code != PX_OK));
  size_t at = 0, last = 0;
  for (size_t seen = 1; seen <= n && slow.at != HTTP_WIRE_REFUSED; seen++) {
    const bool head = slow.at == HTTP_WIRE_HEAD;
    at += http_wire_judge(&slow, bytes + at, seen - at, &slowly);
    if (head && at > last) FUZZ_HOLDS(is_strict(bytes + last, at - last));
    last = at;
  }
  FUZZ_HOLDS(at == passed && slow.at == whole.at && slow.left == whole.left &&
             slow.heads == whole.heads && slow.code == whole.code);
}

static void read_upload(const char *text) {
  struct px_err err = { 0 };
  char value[TUS_VALUE_MAX];
  struct tus_checksum sum;
  uint64_t number;
  if (tus_number("Upload-Offset", text, &number, &err) == PX_OK) FUZZ_HOLDS(number <= INT64_MAX);
  if (tus_checksum_read(text, &sum, &err) == PX_OK)
    FUZZ_HOLDS(sum.n == (sum.kind == PX_DIGEST_SHA1 ? 20U : 32U));
  const enum px_status status = tus_metadata_check(text, &err);
  FUZZ_HOLDS(status == PX_OK || err.message[0]);
  const char *found = tus_metadata_get(text, "filename", value);
  FUZZ_HOLDS(!found || strlen(found) < TUS_VALUE_MAX);
}

static void one(const uint8_t *bytes, size_t n) {
  char *text = malloc(n + 1), *decoded = malloc(n + 1);
  FUZZ_HOLDS(text && decoded);
  memcpy(text, bytes, n);
  text[n] = '\0';
  if (http_validate_decode(text, n, n & 1, decoded))
    FUZZ_HOLDS(strlen(decoded) <= n && is_clean(decoded));
  (void)!http_validate_depth(text, n, 32);
  find_route(text);
  read_wire(text, n < 4096 ? n : 4096);
  read_upload(text);
  free(text);
  free(decoded);
}

int main(int argc, char **argv) {
  static const char TARGET[] = "/v1/datasets/a%20b/trajectories?from=1&limit=20%32";
  static const char VERB[] = "/v1/jobs/job_0123:cancel";
  static const char SIZED[] =
    "POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nAuthorization: Bearer pxa_0\r\n"
    "Idempotency-Key: \"k\"\r\n\r\n123456789012GET / HTTP/1.0\r\n\r\n";
  static const char CHUNKED[] = "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                "chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n"
                                "0\r\nDigest: 1\r\n\r\nGET /y HTTP/1.1\r\nHost: b\r\n\r\n";
  static const char METADATA[] = "dataset aG9wcGVy,filename Z29vZC5qc29ubA==,is_confidential";
  static const char CHECKSUM[] = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
  const struct fuzz_seed seeds[] = {
    { TARGET, sizeof TARGET - 1 },     { VERB, sizeof VERB - 1 },
    { SIZED, sizeof SIZED - 1 },       { CHUNKED, sizeof CHUNKED - 1 },
    { METADATA, sizeof METADATA - 1 }, { CHECKSUM, sizeof CHECKSUM - 1 }
  };
  return fuzz_run(argc, argv, one, seeds, 6, 50000);
}
