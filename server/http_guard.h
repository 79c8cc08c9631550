/*
 * The guard: refuses requests that two programs could read in two ways, and that
 * libmicrohttpd 0.9.75 accepts: a second Content-Length or Host, a length beside
 * Transfer-Encoding, a space before the colon, NUL in a path (RFC 9112 sections
 * 3.2, 5.1, 6.3). Used by http.c; pure functions, so that a fuzzer can feed them.
 */
#ifndef PX_SERVER_HTTP_GUARD_H
#define PX_SERVER_HTTP_GUARD_H

#include <stdint.h>

#include "lib/base/status.h"

struct http_guard {
  size_t bytes;                    /* of all headers */
  unsigned hosts, lengths, codings, authorizations, keys;
  uint64_t length;
  const char *fault;               /* the first thing wrong, or NULL */
};
/* Looks at one header; names and values may hold any byte. */
void http_guard_header(struct http_guard *g, const char *name, size_t name_n, const char *value, size_t value_n);
/* BAD_REQUEST or HEADERS_TOO_LARGE. `uri` is raw; `version` as in the request line. */
enum px_status http_guard_verdict(const struct http_guard *g, const char *uri, const char *version, struct px_err *err)
  PX_MUST_CHECK;

/* Decodes %XX of text[n] into out[n + 1]; false for a broken or a NUL escape, or a control character. */
bool http_guard_decode(const char *text, size_t n, bool plus_is_space, char *out) PX_MUST_CHECK;
/* Whether brackets nest at most `max` deep outside of strings. */
bool http_guard_depth(const char *json, size_t n, int max) PX_MUST_CHECK;

#endif
