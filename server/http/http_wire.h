/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client sends, judged before libmicrohttpd reads it: that library takes folded headers, NUL
 * bytes and bare LF in silence, and once they are read nobody can tell. A connection is a row of
 * units (a head, a chunk's line, the end of a chunk, trailers), each judged when it is whole, and
 * of body bytes between them, which are not looked at.
 *
 *   head ─ Content-Length: N ──> N bytes ──> head ...
 *      └── chunked ──> line ──> bytes ──> CRLF ──> line ... "0" ──> trailers ──> head ...
 *
 * Source: RFC 9112. Used by http_recv.c; pure functions, so that a fuzzer can feed them.
 */
#ifndef PX_SERVER_HTTP_HTTP_WIRE_H
#define PX_SERVER_HTTP_HTTP_WIRE_H

#include <stdint.h>

#include "lib/base/status.h"

enum http_wire_at {
  HTTP_WIRE_HEAD,
  HTTP_WIRE_BODY,
  HTTP_WIRE_CHUNK,
  HTTP_WIRE_CHUNK_BODY,
  HTTP_WIRE_CHUNK_END,
  HTTP_WIRE_TRAILERS,
  HTTP_WIRE_REFUSED
};
enum { HTTP_WIRE_UNIT_MAX_BYTES = 32 << 10 }; /* a longer unit is refused */

struct http_wire {
  enum http_wire_at at; /* what comes next */
  uint64_t left;        /* BODY, CHUNK_BODY: bytes of it that have still to come */
  uint64_t heads;       /* that were judged, with the refused one */
  enum px_status code;  /* REFUSED: BAD_REQUEST or HEADERS_TOO_LARGE, and why */
  const char *fault;
};
/*
 * How many of the bytes may be passed on: whole units, and body bytes between and after them. What
 * remains is the beginning of a unit, or, when the state is REFUSED, must never be read. *closing
 * is then what ends the request for a reader that has been given all before: the rest of its
 * framing, or a request that stands for the refused one.
 */
size_t http_wire_judge(struct http_wire *w, const char *bytes, size_t n, const char **closing);
/* That n more bytes of a body have passed, when the state says that a body is under way; n <=
 * left. */
void http_wire_skip(struct http_wire *w, uint64_t n);

#endif
