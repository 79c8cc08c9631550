/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent: replies, problem documents, headers. See http_exchange.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "server/http/http_exchange.h"

static void answer_error(struct exchange *x) {
  const struct px_err *why = &x->err;
  struct http_reply *reply = &x->reply;
  px_buf_free(&reply->body);
  if (reply->fd >= 0) close(reply->fd);
  *reply = (struct http_reply){ .status = px_status_http(why->code),
                                .fd = -1,
                                .body = PX_BUF(HTTP_REPLY_MAX_BYTES),
                                .media_type = "application/problem+json" };
  if (http_problem(why, x->req.id, &reply->body)) px_buf_free(&reply->body);
  if (why->code == PX_E_UNAUTHORIZED)
    http_reply_header(reply, "WWW-Authenticate", "Bearer realm=\"proxact\"");
  if (why->code == PX_E_METHOD_NOT_ALLOWED) http_reply_header(reply, "Allow", x->match.allow);
  if (px_status_retry(why->code) != PX_RETRY_NEVER)
    http_reply_header(reply, "Retry-After", why->code == PX_E_RATE_LIMITED ? "1" : "2");
  if (reply->status >= 500) px_log_err("request_failed", why, "request", x->req.id);
}

bool http_etag_listed(const char *list, const char *etag, bool weak) {
  const size_t n = strlen(etag);
  for (const char *at = list; at && *at;) {
    at += strspn(at, " \t,");
    if (*at == '*') return true;
    if (weak && strncmp(at, "W/", 2) == 0) at += 2;
    if (strncmp(at, etag, n) == 0 && strchr(", \t", at[n])) return true;
    at += strcspn(at, ",");
  }
  return false;
}

static bool is_known(const struct exchange *x) {
  const struct http_reply *reply = &x->reply;
  return reply->etag && reply->status == 200 &&
         http_etag_listed(http_header(&x->req, "If-None-Match"), reply->etag, true);
}

static struct MHD_Response *make_response(struct exchange *x) {
  struct http_reply *reply = &x->reply;
  if (reply->status == MHD_HTTP_NOT_MODIFIED)
    return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
  struct MHD_Response *response;
  if (reply->fd >= 0) {
    response = MHD_create_response_from_fd64(reply->fd_bytes, reply->fd);
    if (response) reply->fd = -1; /* libmicrohttpd closes it */
    x->sent = reply->fd_bytes;
  } else if (reply->still) {
    response = MHD_create_response_from_buffer(reply->still_n, (void *)(uintptr_t)reply->still,
                                               MHD_RESPMEM_PERSISTENT);
    x->sent = reply->still_n;
  } else {
    x->sent = reply->body.len;
    response =
      MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_MUST_FREE);
    if (response) reply->body = PX_BUF(0);
  }
  return response;
}

enum {
  EARLY_MS = 1000,
  FIXED_N = 8,
  HEADERS_MAX = FIXED_N + HTTP_ROUTE_HEADERS_MAX + HTTP_REPLY_HEADERS_MAX
};

/* All headers of the answer but those of its length; values of NULL are left out. */
static size_t list_headers(const struct exchange *x, struct http_pair list[HEADERS_MAX]) {
  const struct http_reply *reply = &x->reply;
  const bool bare = reply->status == MHD_HTTP_NOT_MODIFIED || reply->status == MHD_HTTP_NO_CONTENT;
  const struct http_pair all[FIXED_N] = {
    { "Content-Type", bare                ? NULL
                      : reply->media_type ? reply->media_type
                                          : "application/json" },
    { "X-Request-Id", x->req.id },
    { "Cache-Control", reply->cache ? reply->cache : "no-cache" },
    { "X-Content-Type-Options", "nosniff" },
    { "Content-Security-Policy", HTTP_CONTENT_POLICY },
    { "Referrer-Policy", "no-referrer" },
    { "ETag", reply->etag },
    { "Connection", x->close_after || x->http->draining ? "close" : NULL },
  };
  size_t n = 0;
  for (size_t i = 0; i < FIXED_N; i++)
    if (all[i].value) list[n++] = all[i];
  const struct http_pair *always = x->req.route ? x->req.route->headers : NULL;
  for (size_t i = 0; always && always[i].name && i < HTTP_ROUTE_HEADERS_MAX; i++)
    list[n++] = always[i];
  for (size_t i = 0; i < reply->headers_n; i++) list[n++] = reply->headers[i];
  return n;
}

enum MHD_Result http_answer(struct exchange *x) {
  struct http_pair headers[HEADERS_MAX];
  if (!x->failed && x->reply.status == 0) x->reply.status = 200;
  if (!x->failed && is_known(x)) x->reply.status = MHD_HTTP_NOT_MODIFIED;
  else if (!x->failed) x->failed = http_replies_keep(x, &x->err);
  if (x->failed) answer_error(x);
  struct MHD_Response *response = make_response(x);
  if (!response) return MHD_NO;
  const size_t n = list_headers(x, headers);
  bool whole = true;
  for (size_t i = 0; i < n && whole; i++)
    whole = MHD_add_response_header(response, headers[i].name, headers[i].value) == MHD_YES;
  if (!whole) { /* an answer without its Location, say, would be worse than none */
    MHD_destroy_response(response);
    return MHD_NO;
  }
  x->stage = STAGE_SENT;
  http_conn_heard(x->conn);
  http_conn_pace(x->http->watch, x->conn, CONN_READS);
  const enum MHD_Result queued =
    MHD_queue_response(x->connection, (unsigned)x->reply.status, response);
  MHD_destroy_response(response);
  return queued;
}

/* libmicrohttpd takes no answer in the middle of a body, and a client that is told only after
 * gigabytes, or finds its connection reset, does not learn why. Nothing else has been written to
 * the socket since the request began (an interim 100 aside), so the answer is put there as it
 * is. */
void http_answer_early(struct exchange *x) {
  struct http_pair headers[HEADERS_MAX];
  struct px_buf text = PX_BUF(HTTP_EARLY_MAX_BYTES);
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  x->close_after = x->early = true;
  http_conn_linger(x->conn);
  answer_error(x);
  enum px_status status =
    px_buf_fmt(&text, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", x->reply.status,
               px_status_slug(x->err.code), x->reply.body.len);
  const size_t n = list_headers(x, headers);
  for (size_t i = 0; i < n && !status; i++)
    status = px_buf_fmt(&text, "%s: %s\r\n", headers[i].name, headers[i].value);
  if (!status) status = px_buf_puts(&text, "\r\n");
  if (!status && x->reply.body.len)
    status = px_buf_put(&text, x->reply.body.data, x->reply.body.len);
  /* It fits into an empty send buffer, or the client does not read: then it is cut all the same. */
  if (!status && info &&
      send(info->connect_fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.len)
    shutdown(info->connect_fd, SHUT_WR);
  x->sent = x->reply.body.len;
  x->stage = STAGE_SENT;
  http_conn_deadline(x->conn, px_clock_ms() + EARLY_MS); /* or sooner, with the next bytes */
  px_buf_free(&text);
}
