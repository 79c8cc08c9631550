/* Status codes and error details: see status.h. */
#include "lib/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *slug, *title, *hint;
  int http;
  enum px_retry retry;
} TABLE[PX_STATUS_N] = {
  [PX_OK] = { "ok", "OK", "", 200, PX_RETRY_NEVER },
#define PX_ERROR(name, slug, http, title, hint, retry) [PX_E_##name] = { slug, title, hint, http, PX_RETRY_##retry },
#include "schema/errors.def"
#undef PX_ERROR
};

/* The bytes of the UTF-8 character at p (RFC 3629), and its code point; 0 when there is none. */
static size_t character(const unsigned char *p, uint32_t *code) {
  const size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
  *code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0; /* also the NUL at the end */
    *code = *code << 6 | (p[i] & 0x3fu);
  }
  static const uint32_t LEAST[5] = { 0, 0, 0x80, 0x800, 0x10000 };
  const bool surrogate = *code >= 0xd800 && *code < 0xe000;
  return *code < LEAST[n] || *code > 0x10ffff || surrogate ? 0 : n;
}

static bool is_shown(uint32_t code) {
  return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0x200e && code <= 0x200f) &&
         !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

void px_text_clean(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p;) {
    uint32_t code;
    const size_t n = character(p, &code);
    if (n && is_shown(code)) p += n;
    else *p++ = '?'; /* what follows of a character that is not shown is no character */
  }
}

static enum px_status fill(struct px_err *err, enum px_status code, const char *pointer, const char *fmt, va_list args) {
  if (err) {
    /* The arguments may point into *err itself (a message being wrapped). */
    char message[sizeof err->message];
    vsnprintf(message, sizeof message, fmt, args);
    px_text_clean(message);
    memcpy(err->message, message, sizeof message);
    err->code = code;
    err->hint[0] = '\0';
    snprintf(err->pointer, sizeof err->pointer, "%s", pointer);
    px_text_clean(err->pointer);
  }
  return code;
}

enum px_status px_fail(struct px_err *err, enum px_status code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fill(err, code, "", fmt, args);
  va_end(args);
  return code;
}

enum px_status px_fail_at(struct px_err *err, enum px_status code, const char *pointer, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fill(err, code, pointer, fmt, args);
  va_end(args);
  return code;
}

enum px_status px_fail_errno(struct px_err *err, const char *fmt, ...) {
  const int saved = errno;
  const enum px_status code = saved == ENOSPC || saved == EDQUOT ? PX_E_NO_SPACE : saved == ENOMEM ? PX_E_NO_MEMORY : PX_E_IO;
  va_list args;
  va_start(args, fmt);
  fill(err, code, "", fmt, args);
  va_end(args);
  if (err) {
    const size_t used = strlen(err->message);
    char text[128];
    /* strerror_r, because strerror's buffer is shared between threads. */
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror_r(saved, text, sizeof text));
  }
  return code;
}

void px_fail_hint(struct px_err *err, const char *fmt, ...) {
  if (!err) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(err->hint, sizeof err->hint, fmt, args);
  px_text_clean(err->hint);
  va_end(args);
}

static enum px_status known(enum px_status status) {
  return (int)status >= 0 && status < PX_STATUS_N ? status : PX_E_INTERNAL;
}

const char *px_status_slug(enum px_status status) { return TABLE[known(status)].slug; }
int px_status_http(enum px_status status) { return TABLE[known(status)].http; }
const char *px_status_title(enum px_status status) { return TABLE[known(status)].title; }
const char *px_status_hint(enum px_status status) { return TABLE[known(status)].hint; }
enum px_retry px_status_retry(enum px_status status) { return TABLE[known(status)].retry; }

enum px_status px_status_from_slug(const char *slug) {
  for (int i = 0; i < PX_STATUS_N; i++)
    if (strcmp(TABLE[i].slug, slug) == 0) return (enum px_status)i;
  return PX_E_INTERNAL;
}
