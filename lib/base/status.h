/*
 * Status codes and error details, for everybody.
 *
 * A fallible function returns enum px_status and, where it can say more, fills
 * the caller's struct px_err. Lower layers fill it; it is logged or answered
 * once, where it is handled. Thread safe: there is no shared state.
 */
#ifndef PX_BASE_STATUS_H
#define PX_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

enum px_status {
  PX_OK = 0,
#define PX_ERROR(name, slug, http, title, hint, retry) PX_E_##name,
#include "schema/errors.def"
#undef PX_ERROR
  PX_STATUS_N
};

enum px_retry { PX_RETRY_NEVER, PX_RETRY_SOFT, PX_RETRY_WAIT };

#define PX_MUST_CHECK __attribute__((warn_unused_result))
#define PX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* The caller owns it. `pointer` is an RFC 6901 JSON pointer into the request
 * body or a place such as "trajectory 3, step 17, actions[2]"; "" if none.
 * `hint` is "" when the table's hint says enough. */
struct px_err {
  enum px_status code;
  char message[512];
  char hint[512];
  char pointer[192];
};

/* Fills *err (which may be NULL) and returns `code`, so that a function can
 * `return px_fail(err, PX_E_BAD_DATA, "...")`. */
enum px_status px_fail(struct px_err *err, enum px_status code, const char *fmt, ...) PX_PRINTF(3, 4);
/* The same, naming the place in the input. */
enum px_status px_fail_at(struct px_err *err, enum px_status code, const char *pointer, const char *fmt, ...)
  PX_PRINTF(4, 5);
/* As px_fail, ending the message with strerror(errno); ENOSPC and ENOMEM choose
 * the code NO_SPACE and NO_MEMORY, anything else IO. */
enum px_status px_fail_errno(struct px_err *err, const char *fmt, ...) PX_PRINTF(2, 3);
void px_fail_hint(struct px_err *err, const char *fmt, ...) PX_PRINTF(2, 3);

/* Makes text fit to be shown: bytes that are no UTF-8 (also a character that was cut), control characters and those that turn
 * the direction of writing become '?'. In place. Every message goes through it. */
void px_text_clean(char *text);

const char *px_status_slug(enum px_status status);  /* "ok" for PX_OK */
int px_status_http(enum px_status status);          /* 200 for PX_OK */
const char *px_status_title(enum px_status status);
const char *px_status_hint(enum px_status status);
enum px_retry px_status_retry(enum px_status status);
/* The code whose slug it is; PX_E_INTERNAL if none has it. */
enum px_status px_status_from_slug(const char *slug);

#endif
