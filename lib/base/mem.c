/* Memory: checked sizes, arenas and bounded buffers: see mem.h. */
#include "lib/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BLOCK_BYTES = 64 * 1024 };

bool px_mem_mul(size_t a, size_t b, size_t *out) {
  size_t product;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *out = product;
  return true;
}

bool px_mem_add(size_t a, size_t b, size_t *out) {
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}

/* Rounded up to the alignment, and never 0, so that a result is never NULL for
 * want of a size. */
static bool padded(size_t n, size_t size, size_t *out) {
  size_t bytes;
  if (!px_mem_mul(n, size, &bytes) || !px_mem_add(bytes, ALIGN - 1, &bytes)) return false;
  bytes &= ~(size_t)(ALIGN - 1);
  *out = bytes ? bytes : ALIGN;
  return true;
}

void *px_mem_calloc(size_t n, size_t size) {
  size_t bytes;
  if (!padded(n, size, &bytes)) return NULL;
  void *p = aligned_alloc(ALIGN, bytes);
  if (p) memset(p, 0, bytes);
  return p;
}

void *px_mem_realloc(void *p, size_t n, size_t size) {
  size_t bytes;
  if (!px_mem_mul(n, size, &bytes)) return NULL;
  return realloc(p, bytes ? bytes : 1);
}

struct block {
  struct block *next;
  size_t used, cap;
  char *bytes;
};

struct px_arena {
  struct block *blocks;
  size_t taken, max;
};

struct px_arena *px_arena_new(size_t max_bytes) {
  struct px_arena *arena = calloc(1, sizeof *arena);
  if (arena) arena->max = max_bytes;
  return arena;
}

void px_arena_free(struct px_arena *arena) {
  if (!arena) return;
  for (struct block *b = arena->blocks, *next; b; b = next) {
    next = b->next;
    free(b->bytes);
    free(b);
  }
  free(arena);
}

static struct block *block_new(size_t cap) {
  struct block *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->bytes = px_mem_calloc(cap, 1);
  b->cap = cap;
  if (!b->bytes) {
    free(b);
    return NULL;
  }
  return b;
}

void *px_arena_take(struct px_arena *arena, size_t n, size_t size) {
  size_t bytes;
  if (!padded(n, size, &bytes) || bytes > arena->max - arena->taken) return NULL;
  struct block *b = arena->blocks;
  if (!b || b->cap - b->used < bytes) {
    b = block_new(bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES);
    if (!b) return NULL;
    /* A large block goes behind the head, whose free room stays in use. */
    if (arena->blocks && bytes > BLOCK_BYTES) {
      b->next = arena->blocks->next;
      arena->blocks->next = b;
    } else {
      b->next = arena->blocks;
      arena->blocks = b;
    }
  }
  void *p = b->bytes + b->used;
  b->used += bytes;
  arena->taken += bytes;
  return p;
}

char *px_arena_str(struct px_arena *arena, const char *text) {
  const size_t n = strlen(text) + 1;
  char *copy = px_arena_take(arena, n, 1);
  return copy ? memcpy(copy, text, n) : NULL;
}

char *px_arena_fmt(struct px_arena *arena, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  char *text = n < 0 ? NULL : px_arena_take(arena, (size_t)n + 1, 1);
  if (text) vsnprintf(text, (size_t)n + 1, fmt, again);
  va_end(again);
  return text;
}

size_t px_arena_used_bytes(const struct px_arena *arena) { return arena->taken; }

enum px_status px_buf_room(struct px_buf *buf, size_t n) {
  size_t need;
  if (!px_mem_add(buf->len, n, &need) || need > buf->max || !px_mem_add(need, 1, &need)) return PX_E_TOO_LARGE;
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

enum px_status px_buf_puts(struct px_buf *buf, const char *text) { return px_buf_put(buf, text, strlen(text)); }

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
