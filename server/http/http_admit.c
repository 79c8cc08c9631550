/* SPDX-License-Identifier: Apache-2.0 */
/* What the head of a request decides: see http_admit.h. */
#include "server/http/http_admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/fail.h"
#include "lib/base/secret.h"
#include "lib/base/text.h"

static uint64_t declared_bytes(const struct http_request *req) {
  const char *length = http_header(req, "Content-Length");
  return http_header(req, "Transfer-Encoding") ? UINT64_MAX
         : length                              ? strtoull(length, NULL, 10)
                                               : 0;
}

enum px_status http_admit_bytes(const struct exchange *x, struct px_err *err) {
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
  const bool known = meant && (strcmp(meant, "PATCH") == 0 || strcmp(meant, "PUT") == 0 ||
                               strcmp(meant, "DELETE") == 0);
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

enum px_status http_admit(struct exchange *x, struct px_err *err) {
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
      !(x->req.route->stream && x->req.route->stream->if_match) &&
      (strcmp(x->method, "POST") == 0 || strcmp(x->method, "PATCH") == 0))
    status = px_fail(err, PX_E_PRECONDITION_FAILED,
                     "%s has no version here that If-Match could name", x->method);
  if (!status && x->http->options.hooks->wants_digest(&x->req) &&
      !(x->digest = px_digest_new(PX_DIGEST_SHA256)))
    status = px_fail(err, PX_E_NO_MEMORY, "digest");
  return status ? status : check_body(x, err);
}

void http_admit_head(struct exchange *x, const char *method) {
  choose_method(x, method);
  choose_id(&x->req);
  x->body_bytes = declared_bytes(&x->req);
}
