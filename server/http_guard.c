/* The guard: see http_guard.h. */
#include "server/http_guard.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "server/http.h"

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr("!#$%&'*+-.^_`|~", text[i]))) return false;
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
  if (n == 0) return false;
  *out = value;
  return true;
}

void http_guard_header(struct http_guard *g, const char *name, size_t name_n, const char *value, size_t value_n) {
  if (!value) value_n = 0;
  g->bytes += name_n + value_n + 4;
  const char *fault = NULL;
  if (!is_token(name, name_n)) {
    fault = "a header's name holds a character that it must not";
  } else if (!is_text(value, value_n)) {
    fault = "a header's value holds a control character";
  } else if (named(name, name_n, "content-length")) {
    if (++g->lengths > 1) fault = "there are two Content-Length headers";
    else if (!parse_length(value, value_n, &g->length)) fault = "Content-Length is not a number";
  } else if (named(name, name_n, "transfer-encoding")) {
    if (++g->codings > 1) fault = "there are two Transfer-Encoding headers";
    else if (!named(value, value_n, "chunked")) fault = "Transfer-Encoding may only be chunked";
  } else if (named(name, name_n, "host")) {
    if (++g->hosts > 1) fault = "there are two Host headers";
  } else if (named(name, name_n, "authorization")) {
    if (++g->authorizations > 1) fault = "there are two Authorization headers";
  } else if (named(name, name_n, "idempotency-key")) {
    if (++g->keys > 1) fault = "there are two Idempotency-Key headers";
  }
  if (fault && !g->fault) g->fault = fault;
}

enum px_status http_guard_verdict(const struct http_guard *g, const char *uri, const char *version, struct px_err *err) {
  if (g->bytes > HTTP_HEADERS_MAX_BYTES)
    return px_fail(err, PX_E_HEADERS_TOO_LARGE, "the headers take %zu bytes; at most %d are read", g->bytes,
                   HTTP_HEADERS_MAX_BYTES);
  if (g->fault) return px_fail(err, PX_E_BAD_REQUEST, "%s", g->fault);
  if (g->lengths && g->codings) return px_fail(err, PX_E_BAD_REQUEST, "Content-Length stands beside Transfer-Encoding");
  if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
    return px_fail(err, PX_E_BAD_REQUEST, "the version must be HTTP/1.1 or HTTP/1.0");
  if (g->hosts == 0 && strcmp(version, "HTTP/1.1") == 0) return px_fail(err, PX_E_BAD_REQUEST, "Host is missing");
  if (g->codings && strcmp(version, "HTTP/1.0") == 0)
    return px_fail(err, PX_E_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding");
  if (strlen(uri) > HTTP_URI_MAX_BYTES)
    return px_fail(err, PX_E_BAD_REQUEST, "the path is longer than %d bytes", HTTP_URI_MAX_BYTES);
  if (uri[0] != '/') return px_fail(err, PX_E_BAD_REQUEST, "the path must begin with /");
  for (const char *c = uri; *c; c++)
    if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '#')
      return px_fail(err, PX_E_BAD_REQUEST, "the path holds a character that must be written as %%XX");
  return PX_OK;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int low = tolower((unsigned char)c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool http_guard_decode(const char *text, size_t n, bool plus_is_space, char *out) {
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

bool http_guard_depth(const char *json, size_t n, int max) {
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
