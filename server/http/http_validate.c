/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: see http_validate.h. */
#include "server/http/http_validate.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "server/http/http.h"

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr("!#$%&'*+-.^_`|~", text[i])))
      return false;
  return n > 0;
}

static bool is_text(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f) return false;
  return true;
}

static bool named(const char *name, size_t n, const char *wanted) {
  return n == strlen(wanted) && strncasecmp(name, wanted, n) == 0;
}

static bool parse_length(const char *text, size_t n, uint64_t *out) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++)
    if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10U, &value) ||
        __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
      return false;
  if (n == 0 || value > INT64_MAX) return false;
  *out = value;
  return true;
}

static void refuse(struct http_validate *g, enum px_status code, const char *fault) {
  if (g->code) return;
  g->code = code;
  g->fault = fault;
}

static void check_target(struct http_validate *g, const char *target, size_t n) {
  if (n > HTTP_URI_MAX_BYTES) refuse(g, PX_E_BAD_REQUEST, "the path is longer than 8192 bytes");
  if (n == 0 || target[0] != '/') refuse(g, PX_E_BAD_REQUEST, "the path must begin with /");
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)target[i] <= 0x20 || (unsigned char)target[i] >= 0x7f || target[i] == '#')
      refuse(g, PX_E_BAD_REQUEST, "the path holds a character that must be written as %XX");
}

/* Section 3: method, target and version with single spaces between them. */
void http_validate_request_line(struct http_validate *g, const char *line, size_t n) {
  const char *target = memchr(line, ' ', n);
  const size_t method_n = target ? (size_t)(target - line) : 0,
               rest_n = target ? n - method_n - 1 : 0;
  const char *version = target ? memrchr(target + 1, ' ', rest_n) : NULL;
  if (!version || !is_token(line, method_n)) {
    refuse(g, PX_E_BAD_REQUEST, "the request line must be: METHOD /path HTTP/1.1");
    return;
  }
  check_target(g, target + 1, (size_t)(version - target) - 1);
  const size_t version_n = n - (size_t)(version + 1 - line);
  g->old = version_n == 8 && memcmp(version + 1, "HTTP/1.0", 8) == 0;
  if (!g->old && (version_n != 8 || memcmp(version + 1, "HTTP/1.1", 8) != 0))
    refuse(g, PX_E_BAD_REQUEST, "the version must be HTTP/1.1 or HTTP/1.0");
}

/* Headers that two programs could take different ones of, if there were two. */
enum { LENGTH, CODING, HOST };
static const struct {
  const char *name, *twice;
} SINGLE[] = {
  [LENGTH] = { "content-length", "there are two Content-Length headers" },
  [CODING] = { "transfer-encoding", "there are two Transfer-Encoding headers" },
  [HOST] = { "host", "there are two Host headers" },
  { "authorization", "there are two Authorization headers" },
  { "idempotency-key", "there are two Idempotency-Key headers" },
  { "content-type", "there are two Content-Type headers" },
  { "content-encoding", "there are two Content-Encoding headers" },
  { "expect", "there are two Expect headers" },
  { "x-http-method-override", "there are two X-HTTP-Method-Override headers" },
  { "upload-offset", "there are two Upload-Offset headers" },
  { "upload-length", "there are two Upload-Length headers" },
};
enum { SINGLE_N = sizeof SINGLE / sizeof *SINGLE };

static bool has(const struct http_validate *g, int which) { return g->seen >> which & 1; }

static void check_framing(struct http_validate *g, size_t which, const char *value, size_t n) {
  if (which == LENGTH && !parse_length(value, n, &g->length))
    refuse(g, PX_E_BAD_REQUEST, "Content-Length is not a number");
  if (which == CODING) {
    g->chunked = named(value, n, "chunked");
    if (!g->chunked) refuse(g, PX_E_BAD_REQUEST, "Transfer-Encoding may only be chunked");
  }
  if (which == HOST)
    for (size_t i = 0; i < n; i++)
      if (strchr(" \t,/@?#\\", value[i]))
        refuse(g, PX_E_BAD_REQUEST, "Host must be a name or an address, and a port");
}

/* Section 5. */
void http_validate_header(struct http_validate *g, const char *line, size_t n) {
  const char *colon = memchr(line, ':', n);
  const size_t name_n = colon ? (size_t)(colon - line) : n;
  g->bytes += n + 2;
  if (g->bytes > HTTP_HEADERS_MAX_BYTES)
    refuse(g, PX_E_HEADERS_TOO_LARGE, "the headers take more than 16384 bytes");
  if (n && (line[0] == ' ' || line[0] == '\t'))
    refuse(g, PX_E_BAD_REQUEST, "a header goes on in a second line");
  if (!colon) refuse(g, PX_E_BAD_REQUEST, "a header has no colon");
  if (!is_token(line, name_n))
    refuse(g, PX_E_BAD_REQUEST, "a header's name holds a character that it must not");
  if (!colon) return;
  const char *value = colon + 1, *end = line + n;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  if (!is_text(value, (size_t)(end - value)))
    refuse(g, PX_E_BAD_REQUEST, "a header's value holds a control character");
  for (size_t i = 0; i < SINGLE_N; i++) {
    if (!named(line, name_n, SINGLE[i].name)) continue;
    if (has(g, (int)i)) refuse(g, PX_E_BAD_REQUEST, SINGLE[i].twice);
    g->seen |= 1U << i;
    check_framing(g, i, value, (size_t)(end - value));
  }
}

/* Sections 3.2, 6.1 and 6.3. */
void http_validate_end(struct http_validate *g) {
  if (has(g, LENGTH) && has(g, CODING))
    refuse(g, PX_E_BAD_REQUEST, "Content-Length stands beside Transfer-Encoding");
  if (!has(g, HOST) && !g->old) refuse(g, PX_E_BAD_REQUEST, "Host is missing");
  if (has(g, CODING) && g->old) refuse(g, PX_E_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding");
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int low = tolower((unsigned char)c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Section 7.1. No more digits than a number of 63 bits may have. */
bool http_validate_chunk(const char *line, size_t n, uint64_t *size) {
  size_t digits = 0;
  *size = 0;
  while (digits < n && digits < 15 && hex(line[digits]) >= 0)
    *size = *size * 16 + (uint64_t)hex(line[digits++]);
  return digits > 0 && (digits == n || line[digits] == ';') && is_text(line + digits, n - digits);
}

bool http_validate_decode(const char *text, size_t n, bool plus_is_space, char *out) {
  size_t len = 0;
  for (size_t i = 0; i < n; i++) {
    int c = (unsigned char)text[i];
    if (c == '%') {
      if (n - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return false;
      c = hex(text[i + 1]) * 16 + hex(text[i + 2]);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c < 0x20 || c == 0x7f) return false;
    out[len++] = (char)c;
  }
  out[len] = '\0';
  return true;
}

bool http_validate_depth(const char *json, size_t n, int max) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < n; i++) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') i++;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max) return false;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return true;
}
