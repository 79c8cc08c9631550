/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: what a request's head must be (RFC 9112), line by line. Refused is whatever two
 * programs could read in two ways: folded lines, control characters, a space before the colon, a
 * header twice that may stand only once, a length beside Transfer-Encoding. Used by http_wire.c;
 * pure functions, so that a fuzzer can feed them.
 */
#ifndef PX_SERVER_HTTP_HTTP_VALIDATE_H
#define PX_SERVER_HTTP_HTTP_VALIDATE_H

#include <stdint.h>

#include "lib/base/status.h"

struct http_validate {
  size_t bytes;  /* of all headers */
  uint32_t seen; /* headers that may stand only once, as bits */
  bool old;      /* HTTP/1.0 */
  bool chunked;
  uint64_t length; /* Content-Length, or 0 */
  /* the first thing wrong, or PX_OK: BAD_REQUEST or HEADERS_TOO_LARGE */
  enum px_status code;
  const char *fault;
};
/* Lines come without their ends, and may hold any byte but CR and LF. */
void http_validate_request_line(struct http_validate *g, const char *line, size_t n);
void http_validate_header(struct http_validate *g, const char *line, size_t n);
/* What only all headers together tell. */
void http_validate_end(struct http_validate *g);
/* The number of a chunk's line; false when it is none. Extensions are let through. */
bool http_validate_chunk(const char *line, size_t n, uint64_t *size) PX_MUST_CHECK;

/* Decodes %XX of text[n] into out[n + 1]; false for a broken or a NUL escape, or a control
 * character. */
bool http_validate_decode(const char *text, size_t n, bool plus_is_space, char *out) PX_MUST_CHECK;
/* Whether brackets nest at most `max` deep outside of strings. */
bool http_validate_depth(const char *json, size_t n, int max) PX_MUST_CHECK;

#endif
