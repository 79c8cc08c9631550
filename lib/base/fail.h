/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures, as they are told: a fallible function returns enum px_status and,
 * where it can say more, fills the caller's struct px_err. Lower layers fill it;
 * it is logged or answered once, where it is handled. Thread safe.
 */
#ifndef PX_BASE_FAIL_H
#define PX_BASE_FAIL_H

#include <stdarg.h>

#include "lib/base/status.h"

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
enum px_status px_fail(struct px_err *err, enum px_status code, const char *fmt, ...)
  PX_PRINTF(3, 4);
/* The same, naming the place in the input. */
enum px_status px_fail_at(struct px_err *err, enum px_status code, const char *pointer,
                          const char *fmt, ...) PX_PRINTF(4, 5);
/* As px_fail_at, for functions of one input: the message is "<place>: ..." too. */
enum px_status px_fail_place(struct px_err *err, enum px_status code, const char *place,
                             const char *fmt, va_list args);
/* As px_fail, ending the message with strerror(errno); ENOSPC and ENOMEM choose
 * the code NO_SPACE and NO_MEMORY, anything else IO. */
enum px_status px_fail_errno(struct px_err *err, const char *fmt, ...) PX_PRINTF(2, 3);
void px_fail_hint(struct px_err *err, const char *fmt, ...) PX_PRINTF(2, 3);

#endif
