/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes connections: one thread accepts them and hands each to the loop that
 * has the fewest. libmicrohttpd's own way lets whichever thread wakes first take
 * all that wait, and leaves whoever comes when it is full without an answer.
 * Near the limit the connections that are idle for longest give way; when there
 * is none, the newcomer is told 503 and when to come again.
 *
 * Used by http.c.
 */
#ifndef PX_SERVER_HTTP_HTTP_ACCEPT_H
#define PX_SERVER_HTTP_HTTP_ACCEPT_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "lib/base/fail.h"
#include "server/http/http_conn.h"
#include "server/http/http_linger.h"

/* The epoll loop of libmicrohttpd 0.9.75 stalls when it gets 128 events at once: its connections
 * and its own wake-up. */
enum { HTTP_LOOP_CONNECTIONS_MAX = 126 };

/* A thread of libmicrohttpd with its connections. */
struct http_loop {
  struct http *http;
  struct MHD_Daemon *daemon;
  atomic_int connections;        /* counted up here, and down by http.c when one is closed */
  _Atomic int64_t held_since_ms; /* since when it is at one request; 0: it is at none */
};

struct acceptor;
/* Owns listen_fd from now on; the rest is borrowed until the end. */
enum px_status http_accept_start(int listen_fd, struct http_loop *loops, int n,
                                 struct conn_watch *watch, struct lingerer *linger,
                                 struct acceptor **out, struct px_err *err) PX_MUST_CHECK;
/* Takes no more connections, and closes the listening socket. */
void http_accept_stop(struct acceptor *acceptor);

#endif
