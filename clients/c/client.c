/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: see client.h. */
#include "clients/c/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/secret.h"
#include "lib/base/text.h"

enum { CONNECT_TIMEOUT_S = 10, STALL_TIMEOUT_S = 900, POST_TRIES_MAX = 8 };

enum px_status client_global_setup(struct px_err *err) {
  return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
           ? PX_OK
           : px_fail(err, PX_E_INTERNAL, "libcurl cannot start");
}

void client_global_end(void) { curl_global_cleanup(); }

enum px_status client_open(const char *url, const char *token, struct client **out,
                           struct px_err *err) {
  if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "url",
                      "'%.200s' is not a URL that starts with http:// or https://", url);
  struct client *client = calloc(1, sizeof *client);
  if (client) client->curl = curl_easy_init();
  if (!client || !client->curl) {
    free(client);
    return px_fail(err, PX_E_NO_MEMORY, "client");
  }
  const int n = snprintf(client->url, sizeof client->url, "%s", url);
  if ((size_t)n >= sizeof client->url || strlen(token) >= sizeof client->token) {
    client_close(client);
    return px_fail(err, PX_E_TOO_LARGE, "the URL or the token is too long");
  }
  for (char *end = client->url + n; end > client->url && end[-1] == '/';) *--end = '\0';
  snprintf(client->token, sizeof client->token, "%s", token);
  *out = client;
  return PX_OK;
}

void client_close(struct client *client) {
  if (!client) return;
  curl_easy_cleanup(client->curl);
  explicit_bzero(client->token, sizeof client->token);
  free(client);
}

void client_set_stall(struct client *client, long seconds) { client->stall_s = seconds; }

bool client_reached(const struct client *client) { return client->reached; }

/* Appends text percent-encoded; false when it does not fit. */
static bool put_encoded(char *out, size_t out_bytes, size_t *len, const char *text) {
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                       (*c >= '0' && *c <= '9') || strchr("-._~", *c) != NULL;
    const int n = snprintf(out + *len, out_bytes - *len, plain ? "%c" : "%%%02X", *c);
    *len += (size_t)n;
    if (*len >= out_bytes) return false;
  }
  return true;
}

enum px_status client_path(char *out, size_t out_bytes, struct px_err *err, const char *pattern,
                           ...) {
  va_list args;
  va_start(args, pattern);
  enum px_status status = PX_OK;
  size_t len = 0;
  for (const char *c = pattern; *c && !status;) {
    if (strncmp(c, "{}", 2) == 0) {
      const char *value = va_arg(args, const char *);
      /* "." and ".." would be taken for path segments, whatever is encoded. */
      if (!*value || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
        status = px_fail(err, PX_E_BAD_FIELD, "'%s' is not a name or an id", value);
      else if (!put_encoded(out, out_bytes, &len, value))
        status = px_fail(err, PX_E_TOO_LARGE, "the path is too long");
      c += 2;
    } else if (len + 1 < out_bytes) {
      out[len++] = *c++;
    } else {
      status = px_fail(err, PX_E_TOO_LARGE, "the path is too long");
    }
  }
  va_end(args);
  if (!status) out[len] = '\0';
  return status;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx) {
  struct exchange *ex = ctx;
  const int len = (int)(size * n);
  /* a new answer (100, 302) */
  if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0)
    ex->reply = (struct client_reply){ .upload_offset = -1 };
  const char *colon = memchr(line, ':', (size_t)len);
  if (!colon) return size * n;
  const int name = (int)(colon - line);
  const char *value = colon + 1, *end = line + len;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) end--;
  const int value_n = (int)(end - value);
  if (name == 4 && strncasecmp(line, "ETag", 4) == 0)
    snprintf(ex->reply.etag, sizeof ex->reply.etag, "%.*s", value_n, value);
  else if (name == 8 && strncasecmp(line, "Location", 8) == 0)
    snprintf(ex->reply.location, sizeof ex->reply.location, "%.*s", value_n, value);
  else if (name == 11 && strncasecmp(line, "Retry-After", 11) == 0)
    /* the header's line ends in CR LF, which stops it */
    ex->reply.retry_after_s = strtol(value, NULL, 10);
  else if (name == 13 && strncasecmp(line, "Upload-Offset", 13) == 0)
    ex->reply.upload_offset = strtoll(value, NULL, 10);
  else if (name == 4 && strncasecmp(line, "Date", 4) == 0) {
    char date[64];
    snprintf(date, sizeof date, "%.*s", value_n, value);
    const time_t at = curl_getdate(date, NULL);
    ex->reply.date_s = at > 0 ? at : 0;
  }
  return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx) {
  struct exchange *ex = ctx;
  long http = 0;
  curl_easy_getinfo(ex->client->curl, CURLINFO_RESPONSE_CODE, &http);
  if (ex->file && http < 300) return fwrite(bytes, 1, size * n, ex->file);
  return px_buf_put(&ex->body, bytes, size * n) == PX_OK ? size * n : 0;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
  struct exchange *ex = ctx;
  if (ex->meter)
    ex->meter(ex->meter_ctx, ex->before_bytes + (uint64_t)(ex->upload ? up : down),
              ex->before_bytes + (uint64_t)(ex->upload ? up_total : down_total));
  return 0;
}

static enum px_status add_header(struct curl_slist **headers, struct px_err *err, const char *fmt,
                                 ...) PX_PRINTF(3, 4);
static enum px_status add_header(struct curl_slist **headers, struct px_err *err, const char *fmt,
                                 ...) {
  char line[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  struct curl_slist *longer = curl_slist_append(*headers, line);
  explicit_bzero(line, sizeof line); /* it may have held the token */
  if (!longer) return px_fail(err, PX_E_NO_MEMORY, "request headers");
  *headers = longer;
  return PX_OK;
}

/* What is wrong on this side, or between both. */
static const char *transport_hint(const struct exchange *ex, CURLcode code) {
  switch (code) {
    case CURLE_WRITE_ERROR:
      return ex->file ? "The file could not be written here: is this machine's disk full?"
                      : "The answer is too large for this client.";
    case CURLE_READ_ERROR: return "The file could not be read here: was it changed meanwhile?";
    case CURLE_OPERATION_TIMEDOUT:
      return "Is the network up, and does the server get on? Its logs tell.";
    case CURLE_COULDNT_RESOLVE_HOST:
      return "Is the host's name right? 'proxact login --url URL' sets another address.";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
      return "Is it an https address, and is its certificate known to this machine? SSL_CERT_FILE "
             "names one more.";
    case CURLE_URL_MALFORMAT: return "An address looks like http://host:port.";
    default: return "Is the server running there? 'proxact login --url URL' sets another address.";
  }
}

static enum px_status transport_error(const struct exchange *ex, CURLcode code,
                                      struct px_err *err) {
  const struct client *client = ex->client;
  const char *why = *client->curl_error ? client->curl_error : curl_easy_strerror(code);
  const enum px_status status = code == CURLE_OPERATION_TIMEDOUT ? PX_E_TIMEOUT
                                : code == CURLE_WRITE_ERROR      ? PX_E_IO
                                                                 : PX_E_UNAVAILABLE;
  px_fail(err, status, "%s: %s", client->url, why);
  px_fail_hint(err, "%s", transport_hint(ex, code));
  return status;
}

/* Carries out what was set on the handle, and leaves the answer in *ex. */
static enum px_status perform(struct exchange *ex, const char *path, struct curl_slist *headers,
                              struct px_err *err) {
  struct client *client = ex->client;
  CURL *curl = client->curl;
  char url[2 * URL_MAX_BYTES];
  snprintf(url, sizeof url, "%s%s", client->url, path);
  client->curl_error[0] = '\0';
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->curl_error);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "proxact/" PX_VERSION);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
  const long stall_s = ex->stall_s       ? ex->stall_s
                       : client->stall_s ? client->stall_s
                                         : (long)STALL_TIMEOUT_S;
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall_s);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, ex);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, ex);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, ex);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST) client->reached = true;
  long http = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
  ex->reply.http = http;
  /* A server that refuses an upload may answer and close before all is sent: its answer says
   * more. */
  if (code == CURLE_OK || http >= 400) return PX_OK;
  ex->reply.http = 0; /* an interim 100, or half an answer */
  return transport_error(ex, code, err);
}

static enum px_status parse_answer(struct exchange *ex, json_t **out, struct px_err *err) {
  json_error_t why;
  json_t *json =
    ex->body.len ? px_json_parse(ex->body.data, ex->body.len, JSON_DECODE_ANY, &why) : NULL;
  if (ex->reply.http >= 400) {
    const enum px_status status = client_problem(ex->reply.http, json, err);
    json_decref(json);
    return status;
  }
  if (ex->body.len && !json && json_error_code(&why) == json_error_out_of_memory)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the answer");
  if (ex->body.len && !json) {
    px_fail(err, PX_E_BAD_DATA, "%s answered something that is not JSON", ex->client->url);
    px_fail_hint(
      err, "Is it Proxact that listens there? 'proxact login --url URL' sets another address.");
    return PX_E_BAD_DATA;
  }
  if (out) *out = json;
  else json_decref(json);
  return PX_OK;
}

enum px_status request_run(struct exchange *ex, const struct request *request, json_t **out,
                           struct px_err *err) {
  struct curl_slist *headers = NULL;
  curl_easy_reset(ex->client->curl); /* keeps the connection */
  ex->reply = (struct client_reply){ .upload_offset = -1 };
  enum px_status status =
    add_header(&headers, err, "Accept: %s", ex->file ? "*/*" : "application/json");
  if (!status && *ex->client->token)
    status = add_header(&headers, err, "Authorization: Bearer %s", ex->client->token);
  if (!status && request->etag && *request->etag)
    status = add_header(&headers, err, "If-None-Match: %s", request->etag);
  if (!status && request->media_type)
    status = add_header(&headers, err, "Content-Type: %s", request->media_type);
  if (!status && request->key)
    status = add_header(&headers, err, "Idempotency-Key: %s", request->key);
  for (const char *const *line = request->headers; line && *line && !status; line++)
    status = add_header(&headers, err, "%s", *line);
  /* Large bodies ask first (Expect: 100-continue), so that a refusal costs no upload; libcurl's own
   * rule. */
  if (!status && request->set) request->set(ex->client->curl, request->arg);
  if (!status) status = perform(ex, request->path, headers, err);
  if (!status) status = parse_answer(ex, out, err);
  curl_slist_free_all(headers);
  px_buf_free(&ex->body);
  return status;
}

/* --- trying again --- */

enum px_status request_key(char key[REQUEST_KEY_MAX], struct px_err *err) {
  uint8_t bytes[16];
  if (px_secret_random(bytes, sizeof bytes))
    return px_fail(err, PX_E_IO, "the system gave no random bytes");
  px_text_hex(bytes, sizeof bytes, key);
  return PX_OK;
}

bool request_may_pass(const struct client *client, enum px_status status,
                      const struct client_reply *reply) {
  if (status == PX_E_KEY_IN_USE) return true;
  if (reply->http)
    return reply->http == 408 || reply->http == 429 || (reply->http >= 502 && reply->http <= 504);
  /* No answer. Where nobody has ever answered there is nothing to wait for. */
  return client->reached && (status == PX_E_UNAVAILABLE || status == PX_E_TIMEOUT);
}

void request_pause(int tries, const struct client_reply *reply) {
  const unsigned ms = tries < 6 ? 250U << tries : 8000U;
  const unsigned told_ms = reply->retry_after_s > 0 && reply->retry_after_s < 30
                             ? (unsigned)reply->retry_after_s * 1000
                             : 0;
  const unsigned wait_ms = told_ms > ms ? told_ms : ms;
  nanosleep(&(struct timespec){ .tv_sec = wait_ms / 1000,
                                .tv_nsec = (long)(wait_ms % 1000) * 1000000 },
            NULL);
}

enum px_status client_get(struct client *client, const char *path, const char *etag, json_t **out,
                          struct client_reply *reply, struct px_err *err) {
  struct exchange ex = { .client = client, .body = PX_BUF(ANSWER_MAX_BYTES) };
  const enum px_status status =
    request_run(&ex, &(struct request){ .path = path, .etag = etag }, out, err);
  if (reply) *reply = ex.reply;
  return status;
}

static void set_body(CURL *curl, const void *arg) {
  const char *text = arg;
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
}

static void set_delete(CURL *curl, const void *arg) {
  (void)arg;
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
}

enum px_status client_delete(struct client *client, const char *path, struct px_err *err) {
  struct exchange ex = { .client = client, .body = PX_BUF(ANSWER_MAX_BYTES) };
  /* Uploads in parts are only removed by one who knows their protocol; others pass over it. */
  static const char *const HEADERS[] = { "Tus-Resumable: 1.0.0", NULL };
  return request_run(&ex, &(struct request){ .path = path, .set = set_delete, .headers = HEADERS },
                     NULL, err);
}

enum px_status client_post(struct client *client, const char *path, const json_t *body,
                           json_t **out, struct client_reply *reply, struct px_err *err) {
  char *text = body ? px_json_dumps(body, JSON_COMPACT) : strdup(""), key[REQUEST_KEY_MAX];
  struct exchange ex = { .client = client, .body = PX_BUF(ANSWER_MAX_BYTES) };
  const struct request request = { .path = path,
                                   .media_type = body ? "application/json" : NULL,
                                   .set = set_body,
                                   .arg = text,
                                   .key = key };
  enum px_status status = text ? request_key(key, err) : px_fail(err, PX_E_NO_MEMORY, "request");
  /* With its key a request whose answer was lost can be sent again. */
  for (int tries = 0; text && !status;) {
    status = request_run(&ex, &request, out, err);
    if (!status || ++tries == POST_TRIES_MAX || !request_may_pass(client, status, &ex.reply)) break;
    request_pause(tries, &ex.reply);
    status = PX_OK;
  }
  if (reply) *reply = ex.reply;
  free(text);
  return status;
}

struct upload {
  FILE *file;
  curl_off_t size_bytes;
};
static void set_upload(CURL *curl, const void *arg) {
  const struct upload *upload = arg;
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_READDATA, upload->file);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, upload->size_bytes);
  curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
}

enum px_status client_upload(struct client *client, const char *path, const char *file,
                             const char *media_type, client_meter meter, void *ctx, json_t **out,
                             struct client_reply *reply, struct px_err *err) {
  char key[REQUEST_KEY_MAX];
  struct upload upload = { 0 };
  int64_t size;
  enum px_status status = client_open_file(file, &upload.file, &size, err);
  if (status) return status;
  struct exchange ex = { .client = client,
                         .body = PX_BUF(ANSWER_MAX_BYTES),
                         .meter = meter,
                         .meter_ctx = ctx,
                         .upload = true };
  const struct request request = {
    .path = path, .media_type = media_type, .set = set_upload, .arg = &upload, .key = key
  };
  status = request_key(key, err);
  for (int tries = 0; !status;) {
    if (fseeko(upload.file, 0, SEEK_END) != 0 || (upload.size_bytes = ftello(upload.file)) < 0 ||
        fseeko(upload.file, 0, SEEK_SET) != 0) {
      status = client_fail_file(err, "reading", file);
      break;
    }
    status = request_run(&ex, &request, out, err);
    if (!status || ++tries == POST_TRIES_MAX || !request_may_pass(client, status, &ex.reply)) break;
    request_pause(tries, &ex.reply);
    status = PX_OK;
  }
  if (reply) *reply = ex.reply;
  fclose(upload.file);
  return status;
}

enum px_status client_download(struct client *client, const char *path, const char *file,
                               client_meter meter, void *ctx, struct px_err *err) {
  char part[4096];
  const bool to_stdout = strcmp(file, "-") == 0;
  if ((size_t)snprintf(part, sizeof part, "%s.part", file) >= sizeof part)
    return px_fail(err, PX_E_TOO_LARGE, "the file name is too long");
  FILE *f = to_stdout ? stdout : fopen(part, "wbe");
  if (!f) return client_fail_file(err, "opening", part);
  struct exchange ex = {
    .client = client, .body = PX_BUF(ANSWER_MAX_BYTES), .file = f, .meter = meter, .meter_ctx = ctx
  };
  enum px_status status = request_run(&ex, &(struct request){ .path = path }, NULL, err);
  if (fflush(f) != 0 && !status) status = client_fail_file(err, "writing", file);
  if (to_stdout) return status;
  if (fclose(f) != 0 && !status) status = client_fail_file(err, "writing", part);
  if (!status && rename(part, file) != 0) status = client_fail_file(err, "naming", file);
  if (status) unlink(part);
  return status;
}
