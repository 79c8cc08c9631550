/* SPDX-License-Identifier: Apache-2.0 */
/* A request from its head to its answer: see http_work.h. */
#include "server/http/http_work.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "server/http/http_admit.h"
#include "server/http/http_validate.h"

static struct exchange *exchange_of(const struct http_request *req) { return req->exchange; }

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
static enum MHD_Result body_ended(struct exchange *x) {
  http_conn_heard(x->conn);
  if (!x->failed && (x->failed = http_admit_bytes(x, &x->err))) {
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
  http_admit_head(x, method);
  x->failed = http_admit_bytes(x, &x->err);
  const bool broken = x->failed != PX_OK;
  if (!x->failed) x->failed = http_admit(x, &x->err);
  x->stage = STAGE_BODY;
  if (x->failed && (broken || x->body_bytes > 0)) {
    x->close_after = true;
    http_conn_linger(x->conn);
    return http_answer(x);
  }
  http_conn_pace(x->http->watch, x->conn, CONN_SENDS);
  return MHD_YES;
}

enum MHD_Result http_work(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *bytes, size_t *n,
                          void **ctx) {
  (void)cls, (void)connection, (void)url, (void)version;
  struct exchange *x = *ctx;
  if (!x) return MHD_NO; /* there was no memory for it, or the server is ending */
  switch (atomic_load(&x->stage)) {
    case STAGE_HEADERS: return on_headers(x, method);
    case STAGE_BODY: return *n > 0 ? on_body(x, bytes, n) : body_ended(x);
    case STAGE_AGAIN: return run_here(x);
    case STAGE_READY: return http_answer(x);
    case STAGE_SENT: return x->early ? MHD_NO : MHD_YES;
    case STAGE_FLUSHING: /* the next chunk is there already: it stays where it is */
    case STAGE_AWAY: break;
  }
  return MHD_YES;
}
