/*
 * Deadlines of connections. libmicrohttpd's timeout only counts silence, so a
 * client that drips a byte a second holds a connection for ever. Here every
 * connection has a time by which its present stage must be over (idle, headers,
 * body, answer); one thread shuts down the sockets that are late, and those of clients
 * that went away in the middle of a request.
 *
 * Used by http.c. Thread safe.
 */
#ifndef PX_SERVER_HTTP_CONN_H
#define PX_SERVER_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

struct conn;
struct conn_watch;
enum px_status http_conn_watch_new(struct conn_watch **out, struct px_err *err) PX_MUST_CHECK;
void http_conn_watch_free(struct conn_watch *watch); /* no connection may be left */

/* NULL when out of memory. The socket stays the caller's. */
struct conn *http_conn_open(struct conn_watch *watch, int socket_fd, int64_t deadline_ms);
void http_conn_close(struct conn_watch *watch, struct conn *conn);
/* From now on, milliseconds of px_clock_ms; INT64_MAX: no deadline. */
void http_conn_deadline(struct conn *conn, int64_t deadline_ms);
/* A request begins; false when the connection has been shut already: then nothing may be done for it. */
bool http_conn_begin(struct conn *conn) PX_MUST_CHECK;
/* All of it has come, or no more of it is wanted: until then it ends soon after its client. */
void http_conn_heard(struct conn *conn);
void http_conn_end(struct conn *conn);
/* For a drain, again and again: shuts connections that wait for a next request, and those that have waited long for a first one.
 * A client whose connection is shut without an answer may be sure that its request was not carried out. How many are left. */
int http_conn_drain(struct conn_watch *watch);
/* Shuts down the one that is idle for longest. One that came or was answered within the last second is left alone: its next
 * request may be on its way. */
void http_conn_shut_oldest_idle(struct conn_watch *watch);

#endif
