/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: how long each may take, and who has to give way.
 *
 * libmicrohttpd's timeout only counts silence, so a client that drips a byte a second holds a
 * connection for ever. Here every connection has a time by which its present stage must be over
 * (idle, head), or, while a body or an answer is under way, a pace that it must keep; one thread
 * shuts down the sockets that are late, and those of clients that went away in the middle of a
 * request.
 *
 * A connection is a stranger's until a request on it has shown a valid token. Strangers may only
 * have a part of all connections, and each address a part of that; whoever comes beyond it costs
 * the oldest of them its place, unless that came within the last second. So clients without a token
 * can only push out one another, and one that is about to show its token has time to.
 *
 * Used by http.c. Thread safe.
 */
#ifndef PX_SERVER_HTTP_HTTP_CONN_H
#define PX_SERVER_HTTP_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct conn;
struct conn_watch;
struct http_recv;
struct sockaddr;
struct conn_limits {
  int strangers, strangers_per_address; /* connections; an IPv6 address stands for its /64 */
  int pace_s;                           /* over which the pace is averaged */
  uint64_t pace_bytes;                  /* that must go through in each such time; 0: no pace */
};
enum px_status http_conn_watch_new(const struct conn_limits *limits, struct conn_watch **out,
                                   struct px_err *err) PX_MUST_CHECK;
void http_conn_watch_free(struct conn_watch *watch); /* no connection may be left */

/* NULL when out of memory. The socket stays the caller's. May shut another one down: see above.
 * held_since_ms: since when the thread that serves it is at one request, 0: it is at none; borrowed
 * until the connection is closed. */
struct conn *http_conn_open(struct conn_watch *watch, int socket_fd, const struct sockaddr *from,
                            int64_t deadline_ms, _Atomic int64_t *held_since_ms);
/* The thread that serves it begins, or ends, what may hold it up. */
void http_conn_hold_up(struct conn *conn, bool begins);
void http_conn_close(struct conn_watch *watch, struct conn *conn);
struct http_recv *http_conn_recv(struct conn *conn); /* what was read of it; borrowed */
/* A hash of the client's address, the same for all that count as one; 0 for NULL. */
unsigned http_conn_address(const struct conn *conn);
/* A request on it has shown a valid token. */
void http_conn_known(struct conn_watch *watch, struct conn *conn);
/* It is answered before all of its request was read: its socket is to be closed with patience. */
void http_conn_linger(struct conn *conn);
bool http_conn_lingers(const struct conn *conn);
/* From now on, milliseconds of px_clock_ms; INT64_MAX: no deadline. */
void http_conn_deadline(struct conn *conn, int64_t deadline_ms);
/* From now on the client must keep its pace: sending a body, or reading an answer. */
enum conn_pace { CONN_NO_PACE, CONN_SENDS, CONN_READS };
void http_conn_pace(struct conn_watch *watch, struct conn *conn, enum conn_pace pace);
/* A part of a head has come: the rest of it must not take long. */
void http_conn_hearing(struct conn *conn);
/* A request begins; false when the connection has been shut already: then nothing may be done for
 * it. */
bool http_conn_begin(struct conn *conn) PX_MUST_CHECK;
/* All of it has come, or no more of it is wanted: until then it ends soon after its client. */
void http_conn_heard(struct conn *conn);
void http_conn_end(struct conn *conn);
/* For a drain, again and again: shuts connections that wait for a next request, and those that have
 * waited long for a first one. A client whose connection is shut without an answer may be sure that
 * its request was not carried out. How many are left. */
int http_conn_drain(struct conn_watch *watch);
/* Shuts down the one that is idle for longest. One that came or was answered within the last second
 * is left alone: its next request may be on its way. When none is idle, the oldest stranger is shut
 * down. False: there is none either. */
bool http_conn_make_room(struct conn_watch *watch);

#endif
