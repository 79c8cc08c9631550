/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on their way: see http_replies.h. */
#include "server/http/http_replies.h"

#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/files.h"
#include "server/http/http_exchange.h"

enum {
  SMALL_BYTES = 64 << 10,     /* stays in memory: never more than the connections' own */
  PIECE_BYTES = 256 << 10,    /* of a body that is made piece by piece */
  MEMORY_MAX_BYTES = 64 << 20 /* for those that find no space on the disk */
};

/* All that the body holds goes to the end of the reply's file. The body is as it was when that
 * fails. */
static enum px_status spool(struct http_request *req, struct http_reply *reply,
                            struct px_err *err) {
  const struct exchange *x = req->exchange;
  enum px_status status =
    x->http->options.hooks->spool(req->service, reply->body.len, &reply->fd, err);
  if (!status) status = files_write(reply->fd, reply->body.data, reply->body.len, err);
  if (status) return status;
  reply->fd_bytes += reply->body.len;
  reply->body.len = 0;
  return PX_OK;
}

static void forget_file(struct http_reply *reply) {
  if (reply->fd >= 0) close(reply->fd);
  reply->fd = -1;
  reply->fd_bytes = 0;
}

/* Where there is no space from the beginning the body stays in memory, as others do. */
enum px_status http_reply_spill(struct http_request *req, struct http_reply *reply,
                                struct px_err *err) {
  if (reply->body.len < PIECE_BYTES || reply->no_space) return PX_OK;
  if (reply->fd_bytes + reply->body.len > HTTP_REPLY_MAX_BYTES)
    return px_fail(err, PX_E_TOO_LARGE, "the answer is too long");
  const enum px_status status = spool(req, reply, err);
  if (!status || reply->fd_bytes > 0) return status;
  forget_file(reply);
  reply->no_space = true;
  return PX_OK;
}

enum px_status http_replies_room(const struct replies *r, struct px_err *err) {
  if (r->bytes < r->max_bytes) return PX_OK;
  px_fail(
    err, PX_E_UNAVAILABLE,
    "answers of %llu bytes are on their way to clients; no more large ones are begun beyond %llu",
    (unsigned long long)r->bytes, (unsigned long long)r->max_bytes);
  px_fail_hint(err, "Wait for the time in Retry-After; replies_max_bytes sets the bound.");
  return PX_E_UNAVAILABLE;
}

/* A volume without space is no reason not to answer, as long as there is memory. */
static enum px_status keep_in_memory(struct exchange *x, struct px_err *err) {
  struct replies *r = &x->http->replies;
  forget_file(&x->reply);
  x->kept_memory = x->reply.body.len; /* counted off with the request, in any case */
  if (atomic_fetch_add(&r->memory, x->kept_memory) + x->kept_memory <= MEMORY_MAX_BYTES)
    return PX_OK;
  return px_fail(err, PX_E_UNAVAILABLE, "there is no space for the answer in the spool folder");
}

enum px_status http_replies_keep(struct exchange *x, struct px_err *err) {
  struct http_reply *reply = &x->reply;
  struct replies *r = &x->http->replies;
  const bool begun = reply->fd >= 0;
  if (!begun && reply->body.len <= SMALL_BYTES) return PX_OK;
  enum px_status status = http_replies_room(r, err);
  if (!status && reply->body.len > 0) {
    status = spool(&x->req, reply, err);
    if (status && !begun) status = keep_in_memory(x, err);
  }
  if (status) return status;
  if (reply->fd >= 0) px_buf_free(&reply->body);
  x->kept = reply->fd >= 0 ? reply->fd_bytes : reply->body.len;
  r->bytes += x->kept;
  return PX_OK;
}

void http_replies_release(struct exchange *x) {
  x->http->replies.bytes -= x->kept;
  x->http->replies.memory -= x->kept_memory;
  x->kept = x->kept_memory = 0;
}
