/* SPDX-License-Identifier: Apache-2.0 */
/* The units of a connection: see http_wire.h. */
#include "server/http/http_wire.h"

#include <string.h>

#include "server/http/http.h"
#include "server/http/http_validate.h"

enum { CHUNK_LINE_MAX_BYTES = 1 << 10 };

enum line { LINE_WHOLE, LINE_PART, LINE_BROKEN };

static void refuse(struct http_wire *w, enum px_status code, const char *fault) {
  w->at = HTTP_WIRE_REFUSED;
  w->code = code;
  w->fault = fault;
}

/* The line at the beginning of the bytes, *len long without its CRLF. No byte of a part may be read
 * in two ways either. */
static enum line find_line(struct http_wire *w, const char *bytes, size_t n, size_t *len) {
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)bytes[i];
    if (c >= 0x20 && c != 0x7f) continue;
    if (c == '\t') continue;
    if (c == '\r' && i + 1 == n) return LINE_PART;
    if (c == '\r' && bytes[i + 1] == '\n') {
      *len = i;
      return LINE_WHOLE;
    }
    refuse(w, PX_E_BAD_REQUEST,
           c == '\n'   ? "a line ends with LF alone; it must end with CRLF"
           : c == '\r' ? "there is a CR that no LF follows"
                       : "there is a control character in the request's head");
    return LINE_BROKEN;
  }
  return LINE_PART;
}

/* A head, or trailers, which are lines of headers too. The length of it, or 0. */
static size_t judge_lines(struct http_wire *w, const char *bytes, size_t n, struct http_validate *g,
                          bool request_line) {
  for (size_t at = 0, len = 0;;) {
    const enum line line = find_line(w, bytes + at, n - at, &len);
    if (line == LINE_PART && n >= HTTP_WIRE_UNIT_MAX_BYTES)
      refuse(w, PX_E_HEADERS_TOO_LARGE, "the request's head is too long");
    if (line != LINE_WHOLE) return 0;
    const bool first = at == 0 && request_line, last = len == 0 && !first;
    if (first) http_validate_request_line(g, bytes, len);
    else if (last && request_line) http_validate_end(g);
    else if (!last) http_validate_header(g, bytes + at, len);
    if (g->code) {
      refuse(w, g->code, g->fault);
      return 0;
    }
    at += len + 2;
    if (last) return at;
  }
}

static size_t judge_head(struct http_wire *w, const char *bytes, size_t n) {
  struct http_validate g = { 0 };
  const size_t len = judge_lines(w, bytes, n, &g, true);
  if (len == 0) return 0;
  w->heads++;
  w->left = g.length;
  w->at = g.chunked ? HTTP_WIRE_CHUNK : g.length ? HTTP_WIRE_BODY : HTTP_WIRE_HEAD;
  return len;
}

static size_t judge_trailers(struct http_wire *w, const char *bytes, size_t n) {
  struct http_validate g = { 0 };
  const size_t len = judge_lines(w, bytes, n, &g, false);
  if (len) w->at = HTTP_WIRE_HEAD;
  return len;
}

static size_t judge_chunk_line(struct http_wire *w, const char *bytes, size_t n) {
  size_t len = 0;
  const enum line line = find_line(w, bytes, n, &len);
  if ((line == LINE_PART && n > CHUNK_LINE_MAX_BYTES) ||
      (line == LINE_WHOLE && !http_validate_chunk(bytes, len, &w->left)))
    refuse(w, PX_E_BAD_REQUEST, "a chunk does not begin with its length");
  if (line != LINE_WHOLE || w->at == HTTP_WIRE_REFUSED) return 0;
  w->at = w->left ? HTTP_WIRE_CHUNK_BODY : HTTP_WIRE_TRAILERS;
  return len + 2;
}

static size_t judge_chunk_end(struct http_wire *w, const char *bytes, size_t n) {
  if (bytes[0] != '\r' || (n > 1 && bytes[1] != '\n'))
    refuse(w, PX_E_BAD_REQUEST, "a chunk does not end with CRLF");
  if (n < 2 || w->at == HTTP_WIRE_REFUSED) return 0;
  w->at = HTTP_WIRE_CHUNK;
  return 2;
}

void http_wire_skip(struct http_wire *w, uint64_t n) {
  w->left -= n;
  if (w->left == 0 && w->at == HTTP_WIRE_BODY) w->at = HTTP_WIRE_HEAD;
  if (w->left == 0 && w->at == HTTP_WIRE_CHUNK_BODY) w->at = HTTP_WIRE_CHUNK_END;
}

static size_t pass_body(struct http_wire *w, size_t n) {
  const size_t passed = w->left < n ? (size_t)w->left : n;
  http_wire_skip(w, passed);
  return passed;
}

static size_t judge_unit(struct http_wire *w, const char *bytes, size_t n) {
  switch (w->at) {
    case HTTP_WIRE_HEAD: return judge_head(w, bytes, n);
    case HTTP_WIRE_BODY:
    case HTTP_WIRE_CHUNK_BODY: return pass_body(w, n);
    case HTTP_WIRE_CHUNK: return judge_chunk_line(w, bytes, n);
    case HTTP_WIRE_CHUNK_END: return judge_chunk_end(w, bytes, n);
    case HTTP_WIRE_TRAILERS: return judge_trailers(w, bytes, n);
    case HTTP_WIRE_REFUSED: break;
  }
  return 0;
}

size_t http_wire_judge(struct http_wire *w, const char *bytes, size_t n, const char **closing) {
  size_t at = 0;
  *closing = NULL;
  while (at < n) {
    const enum http_wire_at before = w->at;
    const size_t len = judge_unit(w, bytes + at, n - at);
    at += len;
    if (w->at == HTTP_WIRE_REFUSED) {
      if (before == HTTP_WIRE_HEAD) w->heads++;
      *closing = before == HTTP_WIRE_HEAD        ? "- / HTTP/1.1\r\nHost: -\r\n\r\n"
                 : before == HTTP_WIRE_CHUNK     ? "0\r\n\r\n"
                 : before == HTTP_WIRE_CHUNK_END ? "\r\n0\r\n\r\n"
                                                 : "\r\n";
    }
    if (len == 0) break;
  }
  return at;
}
