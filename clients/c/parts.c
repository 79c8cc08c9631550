/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts: see client_upload_parts in client.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/c/request.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"

enum {
  STALL_S = 30,
  GIVE_UP_AFTER_S = 300,
  FIND_TRIES_MAX = 8,
  LINE_MAX_BYTES = 900,
  NAME_MAX_BYTES = 255
};
static const char VERSION_LINE[] = "Tus-Resumable: 1.0.0";

struct parts {
  struct client *client;
  const char *name;
  FILE *file;
  int64_t size, offset; /* offset: what the server has told that it has */
  char path[256];       /* "/v1/uploads/up_..." */
  client_meter meter;
  void *meter_ctx;
};

static enum px_status put_pair(char *line, size_t line_n, const char *key, const char *value,
                               struct px_err *err) {
  const size_t n = strlen(value), used = strlen(line);
  char coded[4 * (NAME_MAX_BYTES + 2) / 3 + 8];
  if (n > NAME_MAX_BYTES)
    return px_fail(err, PX_E_TOO_LARGE, "the %s is longer than %d bytes", key, NAME_MAX_BYTES);
  px_text_base64((const uint8_t *)value, n, coded);
  if ((size_t)snprintf(line + used, line_n - used, "%s%s %s", line[used - 1] == ' ' ? "" : ",", key,
                       coded) >= line_n - used)
    return px_fail(err, PX_E_TOO_LARGE, "the file's name is too long");
  return PX_OK;
}

static void set_create(CURL *curl, const void *arg) {
  (void)arg;
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
}

static enum px_status create(struct parts *p, const struct client_parts *what, struct px_err *err) {
  char length[64], metadata[LINE_MAX_BYTES] = "Upload-Metadata: ", key[REQUEST_KEY_MAX];
  snprintf(length, sizeof length, "Upload-Length: %lld", (long long)p->size);
  enum px_status status = put_pair(metadata, sizeof metadata, "dataset", what->dataset, err);
  if (!status) status = put_pair(metadata, sizeof metadata, "filename", what->file_name, err);
  const char *const more[][2] = { { "on_duplicate", what->on_duplicate },
                                  { "format", what->format },
                                  { "obs_keys", what->obs_keys },
                                  { "split", what->split },
                                  { "source", what->source },
                                  { "ignore_actions", what->ignore_actions ? "true" : NULL } };
  for (size_t i = 0; i < sizeof more / sizeof *more && !status; i++)
    if (more[i][1]) status = put_pair(metadata, sizeof metadata, more[i][0], more[i][1], err);
  if (!status) status = request_key(key, err);
  const char *const headers[] = { VERSION_LINE, length, metadata, NULL };
  const struct request request = {
    .path = "/v1/uploads", .set = set_create, .key = key, .headers = headers
  };
  struct exchange ex = { .client = p->client,
                         .body = PX_BUF(ANSWER_MAX_BYTES),
                         .stall_s = STALL_S };
  const double until_s = px_clock_s() + GIVE_UP_AFTER_S;
  for (int tries = 0; !status;) {
    status = request_run(&ex, &request, NULL, err);
    if (!status || px_clock_s() > until_s || !request_may_pass(p->client, status, &ex.reply)) break;
    request_pause(tries++, &ex.reply);
    status = PX_OK;
  }
  if (status) return status;
  /* The path is all that is taken of it: the bytes and the token go to the server that was
   * asked. */
  const char *at = strstr(ex.reply.location, "/v1/uploads/");
  if (!at) return px_fail(err, PX_E_BAD_DATA, "the server does not say where the upload is");
  snprintf(p->path, sizeof p->path, "%s", at);
  return PX_OK;
}

static void set_head(CURL *curl, const void *arg) {
  (void)arg;
  curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
}

static enum px_status ask_offset(struct parts *p, struct client_reply *reply, struct px_err *err) {
  const char *const headers[] = { VERSION_LINE, NULL };
  struct exchange ex = { .client = p->client,
                         .body = PX_BUF(ANSWER_MAX_BYTES),
                         .stall_s = STALL_S };
  const enum px_status status =
    request_run(&ex, &(struct request){ .path = p->path, .set = set_head, .headers = headers },
                NULL, err);
  *reply = ex.reply;
  if (status) return status;
  if (ex.reply.upload_offset < 0 || ex.reply.upload_offset > p->size)
    return px_fail(err, PX_E_BAD_DATA, "the server does not say how much it has");
  p->offset = ex.reply.upload_offset;
  return PX_OK;
}

static void set_rest(CURL *curl, const void *arg) {
  const struct parts *p = arg;
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PATCH");
  curl_easy_setopt(curl, CURLOPT_READDATA, p->file);
  curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(p->size - p->offset));
  curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
}

/* All that is missing, in one request. */
static enum px_status send_rest(struct parts *p, struct client_reply *reply, struct px_err *err) {
  char offset[64];
  snprintf(offset, sizeof offset, "Upload-Offset: %lld", (long long)p->offset);
  const char *const headers[] = { VERSION_LINE, offset, NULL };
  struct exchange ex = { .client = p->client,
                         .body = PX_BUF(ANSWER_MAX_BYTES),
                         .meter = p->meter,
                         .meter_ctx = p->meter_ctx,
                         .before_bytes = (uint64_t)p->offset,
                         .stall_s = STALL_S,
                         .upload = true };
  *reply = ex.reply;
  if (fseeko(p->file, (off_t)p->offset, SEEK_SET) != 0)
    return client_fail_file(err, "reading", p->name);
  const struct request request = { .path = p->path,
                                   .media_type = "application/offset+octet-stream",
                                   .set = set_rest,
                                   .arg = p,
                                   .headers = headers };
  const enum px_status status = request_run(&ex, &request, NULL, err);
  *reply = ex.reply;
  if (!status && ex.reply.upload_offset != p->size)
    return px_fail(err, PX_E_BAD_DATA, "the server has not taken all bytes");
  if (!status) p->offset = p->size;
  return status;
}

/* A conflict is another idea of the offset, which HEAD puts right. */
static bool goes_on(const struct parts *p, enum px_status status,
                    const struct client_reply *reply) {
  return status == PX_E_CONFLICT || status == PX_E_NO_SPACE ||
         request_may_pass(p->client, status, reply);
}

static enum px_status send_all(struct parts *p, struct px_err *err) {
  double moved_s = px_clock_s();
  int tries = 0;
  struct client_reply reply = { 0 };
  enum px_status status = send_rest(p, &reply, err);
  while (status && goes_on(p, status, &reply) && px_clock_s() - moved_s < GIVE_UP_AFTER_S) {
    const int64_t before = p->offset;
    request_pause(tries++, &reply);
    status = ask_offset(p, &reply, err);
    if (status) continue;
    if (p->offset > before) {
      moved_s = px_clock_s();
      tries = 0;
    }
    if (p->offset < p->size) status = send_rest(p, &reply, err);
  }
  return status;
}

static enum px_status find_job(struct parts *p, char *job, size_t job_n, struct px_err *err) {
  json_t *document = NULL;
  struct client_reply reply = { 0 };
  enum px_status status = client_get(p->client, p->path, NULL, &document, &reply, err);
  for (int tries = 0;
       status && tries < FIND_TRIES_MAX && request_may_pass(p->client, status, &reply);) {
    request_pause(tries++, &reply);
    status = client_get(p->client, p->path, NULL, &document, &reply, err);
  }
  const char *id = json_string_value(json_object_get(document, "job_id"));
  if (!status && !id)
    status = px_fail(err, PX_E_BAD_DATA, "the server does not name the job that reads the file");
  if (!status) snprintf(job, job_n, "%s", id);
  json_decref(document);
  return status;
}

enum px_status client_upload_parts(struct client *client, const struct client_parts *what,
                                   client_meter meter, void *ctx, char *job, size_t job_n,
                                   struct px_err *err) {
  struct parts p = { .client = client, .name = what->file, .meter = meter, .meter_ctx = ctx };
  enum px_status status = client_open_file(what->file, &p.file, &p.size, err);
  if (status) return status;
  status = create(&p, what, err);
  if (!status) status = send_all(&p, err);
  if (!status) status = find_job(&p, job, job_n, err);
  fclose(p.file);
  return status;
}
