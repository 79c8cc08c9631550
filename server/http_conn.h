/*
 * Deadlines of connections. libmicrohttpd's timeout only counts silence, so a
 * client that drips a byte a second holds a connection for ever. Here every
 * connection has a time by which its present stage must be over (idle, headers,
 * body, answer); one thread shuts down the sockets that are late.
 *
 * Used by http.c. Thread safe.
 */
#ifndef PX_SERVER_HTTP_CONN_H
#define PX_SERVER_HTTP_CONN_H

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
/* Connections whose stage is `idle` are shut down now (drain). */
void http_conn_idle(struct conn *conn, bool idle);
void http_conn_shut_idle(struct conn_watch *watch);

#endif
