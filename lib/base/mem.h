/*
 * Memory: checked sizes, arenas and bounded buffers.
 *
 * Arena: one per request or job; everything in it dies with it. Buffer: a
 * growable byte string that names its maximum. Neither is shared between
 * threads. Nothing here aborts; running out is PX_E_NO_MEMORY or NULL.
 */
#ifndef PX_BASE_MEM_H
#define PX_BASE_MEM_H

#include <stdint.h>
#include <stdarg.h>

#include "lib/base/status.h"

/* *out = a * b (a + b); false and *out untouched on overflow. */
bool px_mem_mul(size_t a, size_t b, size_t *out) PX_MUST_CHECK;
bool px_mem_add(size_t a, size_t b, size_t *out) PX_MUST_CHECK;

/* Zeroed memory for n elements of `size` bytes, 64-byte aligned; NULL when it
 * overflows or there is none. The caller owns it and frees it with free(). */
void *px_mem_calloc(size_t n, size_t size);
/* As realloc for n elements of `size`, but refuses overflow. */
void *px_mem_realloc(void *p, size_t n, size_t size);

struct px_arena;
/* `max_bytes` bounds all that is ever taken from it. */
struct px_arena *px_arena_new(size_t max_bytes);
void px_arena_free(struct px_arena *arena);
/* Zeroed, 64-byte aligned; NULL beyond the maximum. Borrowed from the arena. */
void *px_arena_take(struct px_arena *arena, size_t n, size_t size);
char *px_arena_str(struct px_arena *arena, const char *text);
char *px_arena_fmt(struct px_arena *arena, const char *fmt, ...) PX_PRINTF(2, 3);
size_t px_arena_used_bytes(const struct px_arena *arena);

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
