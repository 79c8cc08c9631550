/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers: growable byte strings that name their maximum. A buffer is not shared
 * between threads. Nothing here aborts.
 */
#ifndef PX_BASE_BUF_H
#define PX_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "lib/base/status.h"

/* A growable byte string, always NUL-terminated once anything was put in. */
struct px_buf {
  char *data;
  size_t len, cap, max;
};
#define PX_BUF(max_bytes) ((struct px_buf){ NULL, 0, 0, (max_bytes) })
/* All fail with TOO_LARGE over `max`, NO_MEMORY otherwise, the buffer untouched. */
enum px_status px_buf_put(struct px_buf *buf, const void *bytes, size_t n) PX_MUST_CHECK;
enum px_status px_buf_puts(struct px_buf *buf, const char *text) PX_MUST_CHECK;
enum px_status px_buf_fmt(struct px_buf *buf, const char *fmt, ...) PX_PRINTF(2, 3) PX_MUST_CHECK;
enum px_status px_buf_vfmt(struct px_buf *buf, const char *fmt, va_list args) PX_MUST_CHECK;
/* Makes room for n more bytes at data + len. */
enum px_status px_buf_room(struct px_buf *buf, size_t n) PX_MUST_CHECK;
void px_buf_free(struct px_buf *buf);

#endif
