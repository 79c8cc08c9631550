/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that were answered before all of their request was read. Closed at once, with bytes
 * unread, a socket is reset, and the client may lose the answer that it has not read yet. So its
 * sending side is shut, and what still comes is thrown away, for a bounded time and number of
 * bytes, by a thread of its own: no such socket takes a place of a connection, and beyond a number
 * of them the oldest is closed.
 *
 * Used by http.c and http_accept.c. Thread safe.
 */
#ifndef PX_SERVER_HTTP_HTTP_LINGER_H
#define PX_SERVER_HTTP_HTTP_LINGER_H

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct lingerer;
enum px_status http_linger_new(struct lingerer **out, struct px_err *err) PX_MUST_CHECK;
void http_linger_free(struct lingerer *linger);
/* Owns the socket from now on, whose sending side is shut. */
void http_linger_put(struct lingerer *linger, int fd);

#endif
