/* SPDX-License-Identifier: Apache-2.0 */
/* The server on libmicrohttpd 0.9.75, and the begin and end of each request: see http.h. */
#include "server/http/http.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "server/http/http_exchange.h"
#include "server/http/http_work.h"

enum {
  /* libmicrohttpd clears all of it between two requests of a connection, so all of it becomes
   * resident. Bodies come in pieces of half of it: more makes uploads no faster. */
  CONNECTION_MEMORY_BYTES = 64 << 10,
  ARENA_MAX_BYTES = 256 << 10,
  UNAUTHORIZED_LOG_MS = 10000
};

/* --- the beginning ------------------------------------------------------------------------ */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
  struct http *http = cls;
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  struct conn *conn = info ? info->socket_context : NULL;
  if (!conn || !http_conn_begin(conn)) return NULL;
  struct exchange *x = calloc(1, sizeof *x);
  if (!x) return NULL;
  x->conn = conn;
  x->number = ++http_conn_recv(conn)->begun;
  x->uri = strdup(uri);
  x->req.arena = px_arena_new(ARENA_MAX_BYTES);
  if (!x->uri || !x->req.arena) {
    free(x->uri);
    px_arena_free(x->req.arena);
    free(x);
    return NULL;
  }
  x->http = http;
  x->connection = connection;
  x->req.service = http->options.service;
  x->req.exchange = x;
  x->reply.fd = -1;
  x->reply.body = PX_BUF(HTTP_REPLY_MAX_BYTES);
  x->json = PX_BUF(HTTP_JSON_MAX_BYTES + 1);
  x->began_ms = px_clock_ms();
  x->req.method = x->method;
  x->req.path = x->uri;
  x->req.query_text = "";
  http->in_flight++;
  return x;
}

/* --- the end ------------------------------------------------------------------------------ */

/* Refused for want of a good token. */
static bool is_unauthorized(const struct exchange *x) {
  return x->failed == PX_E_UNAUTHORIZED || (x->failed == PX_E_RATE_LIMITED && !x->req.token);
}

/* Requests that nobody is allowed to make are counted, not listed: their number is the senders'
 * choice. */
static void log_unauthorized(void) {
  static atomic_llong unlogged, next_ms;
  const int64_t now = px_clock_ms();
  long long due = atomic_load(&next_ms);
  atomic_fetch_add(&unlogged, 1);
  if (now < due || !atomic_compare_exchange_strong(&next_ms, &due, now + UNAUTHORIZED_LOG_MS))
    return;
  px_log(PX_LOG_WARN, "requests_unauthorized", "n", PX_I(atomic_exchange(&unlogged, 0)), NULL);
}

static void log_request(const struct exchange *x, bool whole) {
  const double seconds = (double)(px_clock_ms() - x->began_ms) / 1000;
  const int status = x->stage == STAGE_SENT ? x->reply.status : 0;
  const struct http_route *route = x->req.route;
  x->http->options.hooks->answered(route ? (int)(route - x->http->options.routes) : -1, status,
                                   seconds, x->received, x->sent);
  if (is_unauthorized(x)) {
    log_unauthorized();
    return;
  }
  px_log(PX_LOG_INFO, "request", "request", x->req.id, "method", x->method, "path", x->uri,
         "status", PX_I(status), "ms", PX_I(px_clock_ms() - x->began_ms), "received_bytes",
         PX_I(x->received), "sent_bytes", PX_I(x->sent), "code",
         x->failed ? px_status_slug(x->failed) : "ok", "whole", whole ? "true" : "false", NULL);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **ctx,
                         enum MHD_RequestTerminationCode code) {
  (void)cls, (void)connection;
  struct exchange *x = *ctx;
  if (!x) return;
  log_request(x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK && x->stage == STAGE_SENT);
  http_conn_end(x->conn);
  http_conn_deadline(x->conn, px_clock_ms() + (int64_t)x->http->options.idle_s * 1000);
  if (x->req.stream) x->req.route->stream->free(x->req.stream, !x->failed);
  if (x->reply.fd >= 0) close(x->reply.fd);
  px_buf_free(&x->reply.body);
  px_buf_free(&x->json);
  px_digest_free(x->digest);
  json_decref(x->req.json);
  px_arena_free(x->req.arena);
  http_replies_release(x);
  x->http->in_flight--;
  free(x->uri);
  free(x);
  *ctx = NULL;
}

/* A request on a connection without its struct conn is not carried out: see on_uri. */
static void on_opened(struct http_loop *loop, struct MHD_Connection *connection,
                      void **socket_context) {
  struct http *http = loop->http;
  const union MHD_ConnectionInfo *from =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const int fd = http_socket(connection);
  struct conn *conn =
    http_conn_open(http->watch, fd, from ? from->client_addr : NULL,
                   px_clock_ms() + http->options.idle_s * 1000, &loop->held_since_ms);
  if (conn && !http_recv_watch(fd, conn)) {
    http_conn_close(http->watch, conn);
    conn = NULL;
  }
  *socket_context = conn;
}

/* libmicrohttpd closes its descriptor after this, and has shut the sending side. */
static void on_closed(struct http *http, struct MHD_Connection *connection, struct conn *conn) {
  const int fd = http_socket(connection);
  http_recv_forget(fd);
  const int kept = http_conn_lingers(conn) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
  if (kept >= 0) http_linger_put(http->linger, kept);
  http_conn_close(http->watch, conn);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
  struct http_loop *loop = cls;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    on_opened(loop, connection, socket_context);
    return;
  }
  on_closed(loop->http, connection, *socket_context);
  *socket_context = NULL;
  loop->connections--;
}

/* Paths are decoded by http_route.c, strictly; here they stay as they came. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text) {
  (void)cls, (void)connection;
  return strlen(text);
}

static void log_library(void *cls, const char *fmt, va_list args) {
  (void)cls;
  char text[512];
  vsnprintf(text, sizeof text, fmt, args);
  px_log(PX_LOG_DEBUG, "libmicrohttpd", "message", text, NULL);
}

static enum px_status start_loop(struct http *http, struct http_loop *loop, struct px_err *err) {
  loop->http = http;
  loop->daemon =
    MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
                       MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG,
                     0, NULL, NULL, http_work, http, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
                     /* it counts one down after it has said so */
                     MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_LOOP_CONNECTIONS_MAX + 1,
                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
                     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)http->options.idle_s,
                     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_uri, http,
                     MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                     on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, loop,
                     MHD_OPTION_END);
  return loop->daemon ? PX_OK : px_fail(err, PX_E_INTERNAL, "libmicrohttpd did not start");
}

/* Whatever of it was started. */
static void stop_all(struct http *http) {
  for (int i = 0; http->loops && i < http->options.threads; i++)
    if (http->loops[i].daemon) MHD_stop_daemon(http->loops[i].daemon);
  http_conn_watch_free(http->watch);
  http_linger_free(http->linger);
  free(http->loops);
  free(http);
}

/* Half of all connections, when nothing else is said. */
static struct conn_limits limits_of(const struct http_options *o) {
  const int all = o->threads * HTTP_LOOP_CONNECTIONS_MAX, strangers = o->unauth_connections;
  return (struct conn_limits){ .strangers = strangers && strangers < all ? strangers
                                            : strangers                  ? all
                                                                         : all / 2,
                               .strangers_per_address =
                                 o->unauth_per_address ? o->unauth_per_address : all,
                               .pace_s = o->body_s,
                               .pace_bytes = (uint64_t)o->body_s * o->min_rate_bytes };
}

enum px_status http_start(const struct http_options *options, struct http **out,
                          struct px_err *err) {
  struct http *http = calloc(1, sizeof *http);
  if (!http) return px_fail(err, PX_E_NO_MEMORY, "http");
  const struct conn_limits limits = limits_of(options);
  http->options = *options;
  http->replies.max_bytes = options->replies_max_bytes;
  http->loops = calloc((size_t)options->threads, sizeof *http->loops);
  enum px_status status = http->loops ? http_conn_watch_new(&limits, &http->watch, err)
                                      : px_fail(err, PX_E_NO_MEMORY, "http");
  if (!status) status = http_linger_new(&http->linger, err);
  for (int i = 0; !status && i < options->threads; i++)
    status = start_loop(http, &http->loops[i], err);
  if (!status)
    status = http_accept_start(options->listen_fd, http->loops, options->threads, http->watch,
                               http->linger, &http->acceptor, err);
  if (status) {
    stop_all(http);
    return status;
  }
  *out = http;
  return PX_OK;
}

void http_stop(struct http *http) {
  if (!http) return;
  http_accept_stop(http->acceptor);
  stop_all(http);
}
