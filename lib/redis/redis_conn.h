/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands to Redis and their replies: for this folder only. hiredis writes a
 * command and reads a reply; the bytes are sent here, for hiredis 0.14 does not
 * survive that there is no memory for its next, empty buffer once one is sent
 * (redisBufferWrite).
 *
 * `format` is redisCommand's, of which %s and %d are used: an argument may hold
 * anything but a NUL. A false or NULL means that the line is of no more use.
 */
#ifndef PX_REDIS_REDIS_CONN_H
#define PX_REDIS_REDIS_CONN_H

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdbool.h>

#include "lib/base/status.h"

/* Sends a command and does not wait for its reply. */
bool redis_conn_send(redisContext *c, const char *format, ...) PX_PRINTF(2, 3);
/* The next reply, the caller's. */
redisReply *redis_conn_reply(redisContext *c);
/* Both. */
redisReply *redis_conn_ask(redisContext *c, const char *format, ...) PX_PRINTF(2, 3);
redisReply *redis_conn_vask(redisContext *c, const char *format, va_list args) PX_PRINTF(2, 0);
/* Whether it is a reply and no error; frees it. */
bool redis_conn_fine(redisReply *reply);

#endif
