/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that need no connection: headers, JSON bodies, problem documents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "server/http/http.h"

void http_reply_header(struct http_reply *reply, const char *name, const char *value) {
  if (!value) reply->lacking = true;
  else if (reply->headers_n < HTTP_REPLY_HEADERS_MAX)
    reply->headers[reply->headers_n++] = (struct http_pair){ name, value };
}

enum px_status http_reply_json(struct http_reply *reply, json_t *json, struct px_err *err) {
  if (!json) return px_fail(err, PX_E_NO_MEMORY, "answer");
  char *text = px_json_dumps(json, JSON_COMPACT);
  json_decref(json);
  if (!text) return px_fail(err, PX_E_NO_MEMORY, "answer");
  enum px_status status = px_buf_puts(&reply->body, text);
  if (!status) status = px_buf_puts(&reply->body, "\n");
  free(text);
  return status ? px_fail(err, status, "the answer is too long") : PX_OK;
}

/* What went wrong inside is for the log, not for the client. */
static const char *public_message(const struct px_err *why) {
  const bool inside =
    why->code == PX_E_INTERNAL || why->code == PX_E_IO || why->code == PX_E_NO_SPACE;
  return inside ? px_status_title(why->code) : why->message;
}

/* What is left to say when there is no memory for more: all of it is known to be plain text. */
static enum px_status bare_problem(enum px_status code, const char *request_id,
                                   struct px_buf *out) {
  return px_buf_fmt(out,
                    "{\"type\":\"urn:proxact:problem:%s\",\"title\":\"%s\",\"status\":%d,"
                    "\"detail\":\"%s\",\"code\":\"%s\",\"hint\":\"\","
                    "\"request_id\":\"%s\"}\n",
                    px_status_slug(code), px_status_title(code), px_status_http(code),
                    px_status_title(code), px_status_slug(code), request_id);
}

enum px_status http_problem(const struct px_err *why, const char *request_id, struct px_buf *out) {
  char type[64];
  snprintf(type, sizeof type, "urn:proxact:problem:%s", px_status_slug(why->code));
  const char *detail = public_message(why),
             *hint = why->hint[0] ? why->hint : px_status_hint(why->code);
  /* Messages may quote what was received: a broken encoding must not cost the answer. */
  json_t *safe = json_string(detail);
  if (!safe) safe = json_string(px_status_title(why->code));
  json_t *safe_hint = json_string(hint);
  if (!safe_hint) safe_hint = json_string(px_status_hint(why->code));
  json_t *problem =
    json_pack("{s:s s:s s:i s:o s:s s:o s:s}", "type", type, "title", px_status_title(why->code),
              "status", px_status_http(why->code), "detail", safe, "code",
              px_status_slug(why->code), "hint", safe_hint, "request_id", request_id);
  if (problem && why->pointer[0]) {
    json_t *place = json_pack("[{s:s s:s}]", "pointer", why->pointer, "detail", detail);
    if (place) json_object_set_new(problem, "errors", place);
  }
  char *text = problem ? px_json_dumps(problem, JSON_COMPACT) : NULL;
  json_decref(problem);
  if (!text) return bare_problem(why->code, request_id, out);
  enum px_status status = px_buf_puts(out, text);
  if (!status) status = px_buf_puts(out, "\n");
  free(text);
  return status;
}
