/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /healthz for a thread that is held up. A thread of libmicrohttpd serves many connections, and
 * while it waits for the database none of them is read. The watch of http_conn.c then reads for it,
 * and answers this one request; on a new connection http_accept.c does.
 *
 * Used by both. Thread safe.
 */
#ifndef PX_SERVER_HTTP_HTTP_HEALTH_H
#define PX_SERVER_HTTP_HTTP_HEALTH_H

#include <stdbool.h>

/* for so long a thread may be at one request before others answer for it */
enum { HTTP_HEALTH_HELD_UP_MS = 100 };

/* Whether a whole GET /healthz waits on the socket; it stays there. */
bool http_health_asked(int fd);
/* Answers it, and ends what is sent: the connection is closed after it. */
void http_health_answer(int fd);

#endif
