/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request on libmicrohttpd 0.9.75: see http.h. */
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/secret.h"
#include "lib/base/text.h"
#include "server/http/http_exchange.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "server/http/http_validate.h"

enum {
  /* libmicrohttpd clears all of it between two requests of a connection, so all of it becomes
   * resident. Bodies come in pieces of half of it: more makes uploads no faster. */
  CONNECTION_MEMORY_BYTES = 64 << 10,
  ARENA_MAX_BYTES = 256 << 10,
  UNAUTHORIZED_LOG_MS = 10000
};

static struct exchange *exchange_of(const struct http_request *req) { return req->exchange; }

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

static uint64_t declared_bytes(const struct http_request *req) {
  const char *length = http_header(req, "Content-Length");
  return http_header(req, "Transfer-Encoding") ? UINT64_MAX
         : length                              ? strtoull(length, NULL, 10)
                                               : 0;
}

/* What http_recv.c found wrong with the bytes of this very request. */
static enum px_status check_bytes(const struct exchange *x, struct px_err *err) {
  const struct http_wire *wire = &http_conn_recv(x->conn)->wire;
  if (x->number > wire->heads)
    return px_fail(err, PX_E_INTERNAL, "libmicrohttpd has read bytes that were not judged");
  return wire->code && x->number == wire->heads ? px_fail(err, wire->code, "%s", wire->fault)
                                                : PX_OK;
}

static void choose_id(struct http_request *req) {
  const char *given = http_header(req, "X-Request-Id");
  const size_t n = given ? strlen(given) : 0;
  if (n > 0 && n < sizeof req->id &&
      strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n) {
    memcpy(req->id, given, n + 1);
    return;
  }
  uint8_t bytes[8] = { 0 };
  /* an id in a log, not a secret */
  if (px_secret_random(bytes, sizeof bytes)) memset(bytes, 0, sizeof bytes);
  memcpy(req->id, "req_", 4);
  px_text_hex(bytes, sizeof bytes, req->id + 4);
}

/* For clients that can only GET and POST: tus 1.0.0, "X-HTTP-Method-Override". */
static void choose_method(struct exchange *x, const char *method) {
  const char *meant =
    strcmp(method, "POST") == 0 ? http_header(&x->req, "X-HTTP-Method-Override") : NULL;
  const bool known = meant && (strcmp(meant, "PATCH") == 0 || strcmp(meant, "DELETE") == 0);
  snprintf(x->method, sizeof x->method, "%s", known ? meant : method);
}

static enum px_status check_type_json(const struct http_request *req, struct px_err *err) {
  const char *type = http_header(req, "Content-Type");
  const size_t n = type ? strcspn(type, "; ") : 0;
  if (n == strlen("application/json") && strncasecmp(type, "application/json", n) == 0)
    return PX_OK;
  px_fail(err, PX_E_UNSUPPORTED_MEDIA, "the body must be application/json");
  px_fail_hint(err, "With curl: --json '{...}', or -H 'Content-Type: application/json'.");
  return PX_E_UNSUPPORTED_MEDIA;
}

static enum px_status check_body(struct exchange *x, struct px_err *err) {
  const uint64_t declared = http_body_bytes(&x->req);
  switch (x->req.route->body) {
    case HTTP_NO_BODY:
      return declared == 0 ? PX_OK : px_fail(err, PX_E_BAD_REQUEST, "this request takes no body");
    case HTTP_OPTIONAL_JSON:
      if (declared == 0) return PX_OK;
      /* fallthrough */
    case HTTP_JSON:
      if (declared != UINT64_MAX && declared > HTTP_JSON_MAX_BYTES)
        return px_fail(err, PX_E_TOO_LARGE, "the JSON body has %llu bytes; at most %d are read",
                       (unsigned long long)declared, HTTP_JSON_MAX_BYTES);
      return check_type_json(&x->req, err);
    case HTTP_STREAM:
      if (declared != UINT64_MAX && declared > x->http->options.max_upload_bytes)
        return px_fail(err, PX_E_TOO_LARGE, "the body has %llu bytes; at most %llu are accepted",
                       (unsigned long long)declared,
                       (unsigned long long)x->http->options.max_upload_bytes);
      return x->req.route->stream->begin(&x->req, err);
  }
  return PX_OK;
}

/* A token that is not known yet is looked up. */
static enum px_status authorize(struct exchange *x, struct px_err *err) {
  http_conn_hold_up(x->conn, true);
  const enum px_status status =
    x->http->options.hooks->authorize(x->req.service, http_header(&x->req, "Authorization"),
                                      http_conn_address(x->conn), x->req.token_digest, err);
  http_conn_hold_up(x->conn, false);
  memcpy(&x->req.token, x->req.token_digest, sizeof x->req.token);
  return status;
}

/* Everything that the headers decide. */
static enum px_status admit(struct exchange *x, struct px_err *err) {
  char *query = strchr(x->uri, '?');
  if (query) {
    *query++ = '\0';
    x->req.query_text = query;
  }
  enum px_status status = http_route_find(x->http->options.routes, x->http->options.routes_n,
                                          x->method, x->uri, x->req.arena, &x->match, err);
  x->req.route = x->match.route;
  /* Who may not come in learns nothing of what is inside. */
  if (!status && (!x->req.route || x->req.route->access != HTTP_OPEN)) status = authorize(x, err);
  if (status) return status;
  if (x->req.route && x->req.route->access != HTTP_OPEN) http_conn_known(x->http->watch, x->conn);
  if (!x->match.path_known) return px_fail(err, PX_E_NOT_FOUND, "there is no path %.200s", x->uri);
  if (!x->req.route)
    return px_fail(err, PX_E_METHOD_NOT_ALLOWED, "%.200s does not take %s", x->uri, x->method);
  x->req.lane = x->req.route->lane;
  memcpy(x->req.params, x->match.params, sizeof x->req.params);
  status = http_route_query(&x->req, x->req.query_text, err);
  /* What only removes compares it; what makes something must not pass over it. */
  if (!status && http_header(&x->req, "If-Match") &&
      (strcmp(x->method, "POST") == 0 || strcmp(x->method, "PATCH") == 0))
    status = px_fail(err, PX_E_PRECONDITION_FAILED,
                     "%s has no version here that If-Match could name", x->method);
  if (!status && x->http->options.hooks->wants_digest(&x->req) &&
      !(x->digest = px_digest_new(PX_DIGEST_SHA256)))
    status = px_fail(err, PX_E_NO_MEMORY, "digest");
  return status ? status : check_body(x, err);
}

/* --- the work ----------------------------------------------------------------------------- */

enum px_status http_ready(struct http_request *req, struct px_err *err) {
  const struct http_stream *stream = req->route->stream;
  return stream && stream->ready ? stream->ready(req, err) : PX_OK;
}

enum px_status http_handle(struct http_request *req, struct http_reply *reply, struct px_err *err) {
  const enum px_status status = http_ready(req, err);
  return status ? status : req->route->handle(req, reply, err);
}

static bool is_read(const struct exchange *x) {
  return strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;
}

/* What there was no memory for is not told in part, nor as if it were the client's mistake. */
static void tell_want_of_memory(struct exchange *x, bool lacking) {
  if (x->failed ? lacking && px_status_retry(x->failed) == PX_RETRY_NEVER
                : lacking || x->reply.lacking)
    x->failed = px_fail(&x->err, x->failed || is_read(x) ? PX_E_NO_MEMORY : PX_E_UNSETTLED,
                        "no memory for the whole answer");
}

static void run_handler(struct exchange *x) {
  struct http_request *req = &x->req;
  x->err = (struct px_err){ 0 };
  struct px_json_making answer;
  px_json_begin(&answer);
  x->failed = x->http->options.hooks->handle(req, &x->reply, &x->err);
  tell_want_of_memory(x, !px_json_end(&answer));
  x->err.code = x->failed;
  if (!x->failed) x->http->options.hooks->committed(req->service, &x->reply);
}

static void flush(struct exchange *x) {
  x->err = (struct px_err){ 0 };
  x->failed = x->req.route->stream->flush(&x->req, &x->err);
  x->err.code = x->failed;
  x->req.full = false;
  if (x->failed) http_answer_early(x);
  else http_conn_pace(x->http->watch, x->conn, CONN_SENDS);
}

void http_run_deferred(struct http_request *req) {
  struct exchange *x = exchange_of(req);
  const bool flushing = x->stage == STAGE_FLUSHING;
  req->pooled = true;
  if (flushing) flush(x);
  else run_handler(x);
  req->pooled = false;
  if (!x->early) x->stage = flushing ? STAGE_BODY : STAGE_READY;
  http_resume(req);
}

void http_resume(struct http_request *req) { MHD_resume_connection(exchange_of(req)->connection); }

/* The connection sleeps before the work is handed over, so that it cannot be woken too early. */
static enum MHD_Result send_away(struct exchange *x, enum stage away, enum stage back) {
  http_conn_deadline(x->conn, INT64_MAX);
  x->stage = away;
  MHD_suspend_connection(x->connection);
  struct px_err err = { 0 };
  const enum px_status status =
    x->http->options.hooks->run_later(x->req.service, &x->req, x->req.route->body == HTTP_STREAM,
                                      &err);
  if (!status) return MHD_YES;
  x->failed = status;
  x->err = err;
  if (back == STAGE_BODY) http_answer_early(x);
  else x->stage = back;
  http_resume(&x->req);
  return MHD_YES;
}

static enum MHD_Result hold(struct exchange *x) {
  const struct http_reply asked = x->reply;
  px_buf_free(&x->reply.body); /* the answer will be made afresh */
  x->reply = (struct http_reply){ .fd = -1, .body = PX_BUF(HTTP_REPLY_MAX_BYTES) };
  x->req.waited = true;
  http_conn_deadline(x->conn, INT64_MAX);
  x->stage = STAGE_AGAIN;
  MHD_suspend_connection(x->connection);
  struct px_err err = { 0 };
  /* If it cannot be held it is answered now, as after a wait. */
  if (x->http->options.hooks->park(x->req.service, &x->req, asked.park_key, asked.park_version,
                                   asked.park_ms, &err))
    http_resume(&x->req);
  return MHD_YES;
}

static enum MHD_Result run_here(struct exchange *x) {
  http_conn_hold_up(x->conn, true);
  run_handler(x);
  http_conn_hold_up(x->conn, false);
  if (!x->failed && x->reply.park_ms > 0) return hold(x);
  return http_answer(x);
}

static enum px_status parse_json(struct exchange *x, struct px_err *err) {
  if (x->json.len == 0 && x->req.route->body == HTTP_OPTIONAL_JSON) return PX_OK;
  if (x->json.len == 0)
    return px_fail(err, PX_E_BAD_REQUEST, "the body is empty; a JSON object is needed");
  if (!http_validate_depth(x->json.data, x->json.len, HTTP_JSON_MAX_DEPTH))
    return px_fail(err, PX_E_BAD_REQUEST, "the JSON nests deeper than %d levels",
                   HTTP_JSON_MAX_DEPTH);
  json_error_t why;
  x->req.json = px_json_parse(x->json.data, x->json.len, JSON_REJECT_DUPLICATES, &why);
  if (!x->req.json && json_error_code(&why) == json_error_out_of_memory)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the JSON body");
  if (!x->req.json)
    return px_fail(err, PX_E_BAD_REQUEST, "the JSON is broken at line %d, column %d: %s", why.line,
                   why.column, why.text);
  return json_is_object(x->req.json)
           ? PX_OK
           : px_fail(err, PX_E_BAD_REQUEST, "the body must be a JSON object");
}

/* The body is complete. */
static enum MHD_Result work(struct exchange *x) {
  http_conn_heard(x->conn);
  if (!x->failed && (x->failed = check_bytes(x, &x->err))) {
    x->close_after = true;
    http_conn_linger(x->conn);
  }
  const enum http_body body = x->failed ? HTTP_NO_BODY : x->req.route->body;
  if (body == HTTP_JSON || body == HTTP_OPTIONAL_JSON) x->failed = parse_json(x, &x->err);
  /* Long work whose answer would find no room is not begun. */
  if (!x->failed && x->req.lane != HTTP_AT_ONCE && is_read(x))
    x->failed = http_replies_room(&x->http->replies, &x->err);
  if (x->failed) return http_answer(x);
  return x->req.lane == HTTP_AT_ONCE ? run_here(x) : send_away(x, STAGE_AWAY, STAGE_READY);
}

static enum px_status take_body(struct exchange *x, const char *bytes, size_t n,
                                struct px_err *err) {
  if (x->req.route->body == HTTP_STREAM) return x->req.route->stream->feed(&x->req, bytes, n, err);
  const enum px_status status = px_buf_put(&x->json, bytes, n);
  if (status == PX_E_NO_MEMORY) return px_fail(err, status, "no memory for the JSON body");
  if (status || x->json.len > HTTP_JSON_MAX_BYTES)
    return px_fail(err, PX_E_TOO_LARGE, "the JSON body is longer than %d bytes",
                   HTTP_JSON_MAX_BYTES);
  return PX_OK;
}

static enum MHD_Result on_body(struct exchange *x, const char *bytes, size_t *n) {
  const size_t got = *n;
  *n = 0;
  x->received += got;
  if (x->digest) px_digest_put(x->digest, bytes, got);
  x->failed = take_body(x, bytes, got, &x->err);
  if (x->failed) {
    http_answer_early(x);
    return MHD_NO;
  }
  return x->req.full ? send_away(x, STAGE_FLUSHING, STAGE_BODY) : MHD_YES;
}

/* A request that fails by its head is answered at once: nobody waits for a body that nobody
 * wants. */
static enum MHD_Result on_headers(struct exchange *x, const char *method) {
  choose_method(x, method);
  choose_id(&x->req);
  x->body_bytes = declared_bytes(&x->req);
  x->failed = check_bytes(x, &x->err);
  const bool broken = x->failed != PX_OK;
  if (!x->failed) x->failed = admit(x, &x->err);
  x->stage = STAGE_BODY;
  if (x->failed && (broken || x->body_bytes > 0)) {
    x->close_after = true;
    http_conn_linger(x->conn);
    return http_answer(x);
  }
  http_conn_pace(x->http->watch, x->conn, CONN_SENDS);
  return MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *bytes,
                                 size_t *n, void **ctx) {
  (void)cls, (void)connection, (void)url, (void)version;
  struct exchange *x = *ctx;
  if (!x) return MHD_NO; /* there was no memory for it, or the server is ending */
  switch (atomic_load(&x->stage)) {
    case STAGE_HEADERS: return on_headers(x, method);
    case STAGE_BODY: return *n > 0 ? on_body(x, bytes, n) : work(x);
    case STAGE_AGAIN: return run_here(x);
    case STAGE_READY: return http_answer(x);
    case STAGE_SENT: return x->early ? MHD_NO : MHD_YES;
    case STAGE_FLUSHING: /* the next chunk is there already: it stays where it is */
    case STAGE_AWAY: break;
  }
  return MHD_YES;
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
                     0, NULL, NULL, on_access, http, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
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
