/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: see arena.h. */
#include "lib/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

enum { BLOCK_BYTES = 64 * 1024 };

struct block {
  struct block *next;
  size_t used, cap;
  char *bytes;
};

struct px_arena {
  struct block *blocks;
  size_t taken, max;
  bool ran_out;
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

static void *take_piece(struct px_arena *arena, size_t n, size_t size) {
  size_t bytes;
  if (!px_mem_padded(n, size, &bytes) || bytes > arena->max - arena->taken) return NULL;
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

void *px_arena_take(struct px_arena *arena, size_t n, size_t size) {
  void *piece = take_piece(arena, n, size);
  if (!piece) arena->ran_out = true;
  return piece;
}

float *px_arena_floats(struct px_arena *arena, size_t rows, size_t cols) {
  size_t bytes;
  if (px_mem_mul(cols, sizeof(float), &bytes)) return px_arena_take(arena, rows, bytes);
  arena->ran_out = true;
  return NULL;
}

bool px_arena_ran_out(const struct px_arena *arena) { return arena->ran_out; }

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
