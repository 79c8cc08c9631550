/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers: see buf.h. */
#include "lib/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

enum px_status px_buf_room(struct px_buf *buf, size_t n) {
  size_t need;
  if (!px_mem_add(buf->len, n, &need) || need > buf->max || !px_mem_add(need, 1, &need))
    return PX_E_TOO_LARGE;
  if (need <= buf->cap) return PX_OK;
  size_t cap = buf->cap ? buf->cap : 256;
  while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
  char *data = realloc(buf->data, cap);
  if (!data) return PX_E_NO_MEMORY;
  buf->data = data;
  buf->cap = cap;
  return PX_OK;
}

enum px_status px_buf_put(struct px_buf *buf, const void *bytes, size_t n) {
  const enum px_status status = px_buf_room(buf, n);
  if (status) return status;
  if (n) memcpy(buf->data + buf->len, bytes, n);
  buf->len += n;
  buf->data[buf->len] = '\0';
  return PX_OK;
}

enum px_status px_buf_puts(struct px_buf *buf, const char *text) {
  return px_buf_put(buf, text, strlen(text));
}

enum px_status px_buf_vfmt(struct px_buf *buf, const char *fmt, va_list args) {
  va_list again;
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, fmt, args);
  enum px_status status = n < 0 ? PX_E_INTERNAL : px_buf_room(buf, (size_t)n);
  if (!status) {
    vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
    buf->len += (size_t)n;
  }
  va_end(again);
  return status;
}

enum px_status px_buf_fmt(struct px_buf *buf, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  const enum px_status status = px_buf_vfmt(buf, fmt, args);
  va_end(args);
  return status;
}

void px_buf_free(struct px_buf *buf) {
  free(buf->data);
  *buf = PX_BUF(buf->max);
}
