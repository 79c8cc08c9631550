/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with an Idempotency-Key: see idempotency.h. */
#include "server/app/idempotency.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/store/idempotency.h"
#include "lib/store/store.h"
#include "server/app/service.h"

enum { HEAD_MAX_BYTES = 64 << 10, BODY_MAX_BYTES = 256 << 20 };

bool idempotency_asked(const struct http_request *req) {
  return strcmp(req->method, "POST") == 0 && http_header(req, "Idempotency-Key");
}

/* A string of RFC 8941 in its quotes, or the same characters bare, as most clients send it. */
static enum px_status read_key(const struct http_request *req, char key[STORE_ONCE_KEY_MAX],
                               struct px_err *err) {
  const char *text = http_header(req, "Idempotency-Key");
  const bool quoted = *text == '"';
  size_t n = 0;
  for (text += quoted; *text && !(quoted && *text == '"'); text++) {
    if (quoted && *text == '\\' && (text[1] == '"' || text[1] == '\\')) text++;
    if (*text < 0x20 || *text > 0x7e || n + 1 == STORE_ONCE_KEY_MAX) break;
    key[n++] = *text;
  }
  key[n] = '\0';
  if (n > 0 && strcmp(text, quoted ? "\"" : "") == 0) return PX_OK;
  px_fail(err, PX_E_BAD_REQUEST,
          "Idempotency-Key must be 1 to %d printable ASCII characters, best in quotes",
          STORE_ONCE_KEY_MAX - 1);
  px_fail_hint(err, "A random UUID for each new request is a good key.");
  return PX_E_BAD_REQUEST;
}

/* Everything that says what the request is to do. Lengths in front, so that no two requests read
 * alike. */
static enum px_status fingerprint(const struct http_request *req, uint8_t out[PX_SHA256_BYTES],
                                  struct px_err *err) {
  static const char *const HEADERS[] = { "Content-Type", "Content-Encoding", "Prefer",
                                         "X-Filename",   "Upload-Length",    "Upload-Metadata" };
  enum { HEADERS_N = sizeof HEADERS / sizeof *HEADERS };
  const char *parts[3 + HEADERS_N] = { req->method, req->path, req->query_text };
  for (size_t i = 0; i < HEADERS_N; i++) {
    const char *value = http_header(req, HEADERS[i]);
    parts[3 + i] = value ? value : "";
  }
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  if (!hash) return px_fail(err, PX_E_NO_MEMORY, "digest");
  for (size_t i = 0; i < 3 + HEADERS_N; i++) {
    const uint64_t n = strlen(parts[i]);
    px_digest_put(hash, &n, sizeof n);
    px_digest_put(hash, parts[i], n);
  }
  uint8_t body[PX_SHA256_BYTES];
  http_body_digest(req, body);
  px_digest_put(hash, body, sizeof body);
  px_digest_end(hash, out);
  return PX_OK;
}

/* --- the answer as it is stored: {type, etag, headers: [[name, value], ...]} --- */

static enum px_status write_head(const struct http_reply *reply, struct px_buf *out,
                                 struct px_err *err) {
  json_t *headers = json_array();
  bool whole = headers && !reply->lacking;
  for (size_t i = 0; whole && i < reply->headers_n; i++)
    whole = json_array_append_new(headers, json_pack("[s s]", reply->headers[i].name,
                                                     reply->headers[i].value)) == 0;
  if (!whole) {
    json_decref(headers);
    return px_fail(err, PX_E_NO_MEMORY, "the answer's headers");
  }
  json_t *head = json_pack("{s:s* s:s* s:o}", "type", reply->media_type, "etag", reply->etag,
                           "headers", headers);
  char *text = head ? px_json_dumps(head, JSON_COMPACT) : NULL;
  json_decref(head);
  const enum px_status status = text ? px_buf_puts(out, text) : PX_E_NO_MEMORY;
  free(text);
  return status ? px_fail(err, status, "the answer's headers cannot be kept") : PX_OK;
}

static const char *keep_text(struct http_request *req, const json_t *text) {
  return json_is_string(text) ? px_arena_str(req->arena, json_string_value(text)) : NULL;
}

static enum px_status replay(struct http_request *req, struct http_reply *reply,
                             struct store_answer *answer, struct px_err *err) {
  json_t *head = px_json_parse(answer->head.data, answer->head.len, 0, NULL), *pair;
  if (!head) return px_fail(err, PX_E_INTERNAL, "the stored answer does not parse");
  reply->status = answer->status;
  reply->media_type = keep_text(req, json_object_get(head, "type"));
  reply->etag = keep_text(req, json_object_get(head, "etag"));
  size_t i;
  json_array_foreach(json_object_get(head, "headers"), i, pair)
    http_reply_header(reply, keep_text(req, json_array_get(pair, 0)),
                      keep_text(req, json_array_get(pair, 1)));
  http_reply_header(reply, "Idempotent-Replayed", "true");
  reply->body = answer->body;
  answer->body = PX_BUF(0);
  json_decref(head);
  return PX_OK;
}

/* --- carrying it out --- */

struct work {
  struct http_request *req;
  struct http_reply *reply;
};

static enum px_status handle(void *ctx, struct store_answer *answer, struct px_err *err) {
  const struct work *work = ctx;
  struct http_reply *reply = work->reply;
  const size_t body_max = reply->body.max;
  px_buf_free(&reply->body); /* it may run again */
  *reply = (struct http_reply){ .fd = -1, .body = PX_BUF(body_max) };
  enum px_status status = work->req->route->handle(work->req, reply, err);
  if (status) return status;
  answer->status = reply->status ? reply->status : 200;
  status = write_head(reply, &answer->head, err);
  if (!status && reply->body.len && px_buf_put(&answer->body, reply->body.data, reply->body.len))
    status = px_fail(err, PX_E_NO_MEMORY, "the answer cannot be kept");
  return status;
}

static enum px_status handle_once(struct http_request *req, struct http_reply *reply,
                                  struct px_err *err) {
  struct store *store = NULL;
  struct store_idempotency once;
  struct store_answer answer = { 0, PX_BUF(HEAD_MAX_BYTES), PX_BUF(BODY_MAX_BYTES) };
  struct work work = { req, reply };
  bool found = false;
  enum px_status status = read_key(req, once.key, err);
  if (!status) status = fingerprint(req, once.fingerprint, err);
  if (!status) status = service_store(req->service, req->pooled, &store, err);
  if (!status) status = store_idempotency_begin(store, &once, &answer, &found, err);
  if (!status && found) status = replay(req, reply, &answer, err);
  else if (!status) {
    status = http_ready(req, err);
    if (!status) status = store_idempotency_run(store, &once, handle, &work, &answer, err);
    store_idempotency_end(store, &once);
  }
  px_buf_free(&answer.head);
  px_buf_free(&answer.body);
  return status;
}

enum px_status idempotency_handle(struct http_request *req, struct http_reply *reply,
                                  struct px_err *err) {
  return idempotency_asked(req) ? handle_once(req, reply, err) : http_handle(req, reply, err);
}
