/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP for the fault tests: see api.h. */
#include "tests/fault/lib/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "tests/fault/lib/sock.h"

enum { ANSWER_MAX = 256 << 20, PAUSE_MS = 100 };

bool api_from_env(struct api *api) {
  const char *url = getenv("PROXACT_URL"), *token = getenv("PROXACT_TOKEN");
  if (!url || !token || strncmp(url, "http://", 7) != 0) return false;
  *api = (struct api){ .timeout_ms = 20000 };
  snprintf(api->address, sizeof api->address, "tcp:%s", url + 7);
  snprintf(api->token, sizeof api->token, "%s", token);
  return true;
}

/* All that comes until the end; false when it was cut off by an error or took too long. */
static bool read_all(int fd, struct px_buf *out) {
  char piece[65536];
  for (;;) {
    const ssize_t n = recv(fd, piece, sizeof piece, 0);
    if (n == 0) return true;
    if (n < 0 || px_buf_put(out, piece, (size_t)n)) return false;
  }
}

/* Takes the chunk sizes out of the body, in place; false when the last chunk is missing. */
static bool unchunk(char *body, size_t *n) {
  size_t in = 0, out = 0;
  while (in < *n) {
    char *end;
    const size_t size = strtoul(body + in, &end, 16);
    if (end == body + in || strncmp(end, "\r\n", 2) != 0) return false;
    in = (size_t)(end + 2 - body);
    if (size == 0) return *n = out, true;
    if (in + size + 2 > *n) return false;
    memmove(body + out, body + in, size);
    out += size;
    in += size + 2;
  }
  return false;
}

static const char *header_of(const char *head, const char *name) {
  const size_t n = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') return line + 3 + n;
  return NULL;
}

/* Splits what came into status and body; false unless it is all there. */
static bool parse(struct px_buf *all, struct api_answer *out) {
  char *end = all->data ? strstr(all->data, "\r\n\r\n") : NULL;
  if (!end || strncmp(all->data, "HTTP/1.", 7) != 0) return false;
  end[2] = '\0';
  size_t n = all->len - (size_t)(end + 4 - all->data);
  const char *length = header_of(all->data, "Content-Length"),
             *coding = header_of(all->data, "Transfer-Encoding");
  if (coding && !unchunk(end + 4, &n)) return false;
  if (length && strtoul(length, NULL, 10) != n) return false;
  const char *place = header_of(all->data, "Location");
  const size_t place_n = place ? strcspn(place += strspn(place, " "), "\r\n") : 0;
  snprintf(out->location, sizeof out->location, "%.*s", (int)place_n, place ? place : "");
  out->http = (int)strtol(all->data + 9, NULL, 10);
  out->body = PX_BUF(ANSWER_MAX);
  return px_buf_put(&out->body, end + 4, n) == PX_OK;
}

static bool send_request(int fd, const struct api *api, const char *method, const char *path,
                         const char *headers, const char *type, const void *body, size_t n) {
  char head[2048];
  const int head_n =
    snprintf(head, sizeof head,
             "%s %s HTTP/1.1\r\nHost: proxact\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
             "%s%s%s%sContent-Length: %zu\r\n\r\n",
             method, path, api->token, headers, body ? "Content-Type: " : "",
             body ? (type ? type : "application/json") : "", body ? "\r\n" : "", n);
  return head_n < (int)sizeof head && sock_write_all(fd, head, (size_t)head_n) &&
         (n == 0 || sock_write_all(fd, body, n));
}

enum api_outcome api_call(const struct api *api, const char *method, const char *path,
                          const char *headers, const char *type, const void *body, size_t n,
                          struct api_answer *out) {
  const int fd = sock_connect_timeout(api->address, api->timeout_ms);
  if (fd < 0) return API_NOT_SENT;
  struct px_buf all = PX_BUF(ANSWER_MAX);
  /* What could not be sent whole may still have an answer: a refusal. */
  const bool sent = send_request(fd, api, method, path, headers, type, body, n);
  const bool got = read_all(fd, &all) && parse(&all, out);
  close(fd);
  px_buf_free(&all);
  (void)sent;
  return got ? API_ANSWERED : API_UNKNOWN;
}

static bool get(const struct api *api, const char *path, int patience_ms, struct api_answer *out) {
  const int64_t until = px_clock_ms() + patience_ms;
  for (;;) {
    if (api_call(api, "GET", path, "", NULL, NULL, 0, out) == API_ANSWERED) {
      if (out->http < 500) return true;
      px_buf_free(&out->body);
    }
    if (px_clock_ms() > until) return false;
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
  }
}

json_t *api_get(const struct api *api, const char *path, int patience_ms) {
  struct api_answer answer;
  if (!get(api, path, patience_ms, &answer)) return NULL;
  json_t *json = answer.http < 300 && answer.body.data
                   ? json_loadb(answer.body.data, answer.body.len, 0, NULL)
                   : NULL;
  px_buf_free(&answer.body);
  return json;
}

bool api_get_bytes(const struct api *api, const char *path, int patience_ms, struct px_buf *out) {
  struct api_answer answer;
  if (!get(api, path, patience_ms, &answer)) return false;
  *out = answer.body;
  if (answer.http < 300) return true;
  px_buf_free(&answer.body);
  return false;
}
