/* Hostile request lines and headers: the guard, the route table's search, the headers of uploads in parts. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "server/api.h"
#include "server/http_guard.h"
#include "server/http_route.h"
#include "server/tus.h"
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
  enum px_status status = http_route_find(API_ROUTES, API_ROUTES_N, "GET", path, arena, &match, &err);
  FUZZ_HOLDS(status == PX_OK || status == PX_E_BAD_REQUEST || status == PX_E_NO_MEMORY);
  req.route = match.route;
  for (size_t i = 0; !status && req.route && i < HTTP_PARAMS_MAX; i++)
    FUZZ_HOLDS(!match.params[i] || (*match.params[i] && is_clean(match.params[i])));
  if (!status && req.route) status = http_route_query(&req, query ? query : "", &err);
  for (size_t i = 0; !status && i < req.query_n; i++) FUZZ_HOLDS(is_clean(req.query[i].name) && is_clean(req.query[i].value));
  free(path);
  px_arena_free(arena);
}

static void read_headers(const char *text) {
  struct http_guard guard = { 0 };
  struct px_err err = { 0 };
  for (const char *line = text; *line;) {
    const size_t n = strcspn(line, "\n"), name_n = strcspn(line, ":\n");
    http_guard_header(&guard, line, name_n, line + name_n + (name_n < n), n - name_n - (name_n < n));
    line += n + (line[n] == '\n');
  }
  if (http_guard_verdict(&guard, text, "HTTP/1.1", &err)) return;
  FUZZ_HOLDS(guard.hosts == 1 && guard.lengths + guard.codings <= 1 && guard.authorizations <= 1 && guard.keys <= 1);
}

static void read_upload(const char *text) {
  struct px_err err = { 0 };
  char value[TUS_VALUE_MAX];
  struct tus_checksum sum;
  uint64_t number;
  if (tus_number("Upload-Offset", text, &number, &err) == PX_OK) FUZZ_HOLDS(number <= INT64_MAX);
  if (tus_checksum_read(text, &sum, &err) == PX_OK) FUZZ_HOLDS(sum.n == (sum.kind == PX_DIGEST_SHA1 ? 20U : 32U));
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
  if (http_guard_decode(text, n, n & 1, decoded)) FUZZ_HOLDS(strlen(decoded) <= n && is_clean(decoded));
  (void)!http_guard_depth(text, n, 32);
  find_route(text);
  read_headers(text);
  read_upload(text);
  free(text);
  free(decoded);
}

int main(int argc, char **argv) {
  static const char TARGET[] = "/v1/datasets/a%20b/trajectories?from=1&limit=20%32";
  static const char VERB[] = "/v1/jobs/job_0123:cancel";
  static const char HEADERS[] = "Host: a\nContent-Length: 12\nAuthorization: Bearer pxa_0\nIdempotency-Key: \"k\"\n";
  static const char CHUNKED[] = "Host: a\nTransfer-Encoding: chunked\nX-Request-Id: abc\n";
  static const char METADATA[] = "dataset aG9wcGVy,filename Z29vZC5qc29ubA==,is_confidential";
  static const char CHECKSUM[] = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
  const struct fuzz_seed seeds[] = { { TARGET, sizeof TARGET - 1 },     { VERB, sizeof VERB - 1 },
                                     { HEADERS, sizeof HEADERS - 1 },   { CHUNKED, sizeof CHUNKED - 1 },
                                     { METADATA, sizeof METADATA - 1 }, { CHECKSUM, sizeof CHECKSUM - 1 } };
  return fuzz_run(argc, argv, one, seeds, 6, 50000);
}
