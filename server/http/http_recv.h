/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How libmicrohttpd reads: it calls recv(), and this program has a recv() of its own, which the
 * dynamic linker finds before libc's. For a socket that was announced here it gives only bytes that
 * http_wire.h has judged; a head is held back in the kernel until it is whole. In place of a
 * refused request the library gets one that stands for it, which http.c answers with 400 in its
 * turn. Every other recv() goes to libc as it is.
 *
 * If a library came that reads in another way, no head would have been judged: http.c refuses such
 * requests. Used by http.c. A socket's functions are called by the one thread that serves it.
 */
#ifndef PX_SERVER_HTTP_HTTP_RECV_H
#define PX_SERVER_HTTP_HTTP_RECV_H

#include "server/http/http_conn.h"
#include "server/http/http_wire.h"

struct http_recv {
  struct http_wire wire;
  uint64_t pass;       /* bytes to come that have been judged */
  const char *closing; /* what the library gets after those, when a request was refused */
  uint64_t begun;      /* requests that the library has begun */
};
/* Borrows the connection, until it is forgotten. False: there is no place for this descriptor. */
bool http_recv_watch(int fd, struct conn *conn) PX_MUST_CHECK;
void http_recv_forget(int fd);

#endif
