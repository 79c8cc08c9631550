/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/redis_conn.h"

#include <errno.h>
#include <sys/socket.h>

static bool vsend(redisContext *c, const char *format, va_list args) {
  char *text = NULL;
  const int n = redisvFormatCommand(&text, format, args);
  int sent = 0;
  while (sent < n) {
    const ssize_t once = send(c->fd, text + sent, (size_t)(n - sent), MSG_NOSIGNAL);
    if (once < 0 && errno == EINTR) continue;
    if (once <= 0) break;
    sent += (int)once;
  }
  redisFreeCommand(text);
  return n > 0 && sent == n;
}

bool redis_conn_send(redisContext *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const bool sent = vsend(c, format, args);
  va_end(args);
  return sent;
}

redisReply *redis_conn_reply(redisContext *c) {
  redisReply *reply = NULL;
  return redisGetReply(c, (void **)&reply) == REDIS_OK ? reply : NULL;
}

redisReply *redis_conn_vask(redisContext *c, const char *format, va_list args) {
  return vsend(c, format, args) ? redis_conn_reply(c) : NULL;
}

redisReply *redis_conn_ask(redisContext *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  redisReply *reply = redis_conn_vask(c, format, args);
  va_end(args);
  return reply;
}

bool redis_conn_fine(redisReply *reply) {
  const bool ok = reply && reply->type != REDIS_REPLY_ERROR;
  if (reply) freeReplyObject(reply);
  return ok;
}
