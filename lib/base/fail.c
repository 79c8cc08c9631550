/* SPDX-License-Identifier: Apache-2.0 */
/* Failures, as they are told: see fail.h. */
#include "lib/base/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

static enum px_status fill(struct px_err *err, enum px_status code, const char *pointer,
                           const char *fmt, va_list args) {
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

enum px_status px_fail_at(struct px_err *err, enum px_status code, const char *pointer,
                          const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fill(err, code, pointer, fmt, args);
  va_end(args);
  return code;
}

enum px_status px_fail_place(struct px_err *err, enum px_status code, const char *place,
                             const char *fmt, va_list args) {
  char message[sizeof err->message];
  vsnprintf(message, sizeof message, fmt, args);
  return px_fail_at(err, code, place, "%s: %s", place, message);
}

enum px_status px_fail_errno(struct px_err *err, const char *fmt, ...) {
  const int saved = errno;
  const enum px_status code = saved == ENOSPC || saved == EDQUOT ? PX_E_NO_SPACE
                              : saved == ENOMEM                  ? PX_E_NO_MEMORY
                                                                 : PX_E_IO;
  va_list args;
  va_start(args, fmt);
  fill(err, code, "", fmt, args);
  va_end(args);
  if (err) {
    const size_t used = strlen(err->message);
    char text[128];
    /* strerror_r, because strerror's buffer is shared between threads. */
    snprintf(err->message + used, sizeof err->message - used, ": %s",
             strerror_r(saved, text, sizeof text));
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
