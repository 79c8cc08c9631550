/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas: memory of one request or job, freed as a whole. An arena is not shared
 * between threads. Nothing here aborts; running out gives NULL.
 */
#ifndef PX_BASE_ARENA_H
#define PX_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/status.h"

struct px_arena;
/* `max_bytes` bounds all that is ever taken from it. */
struct px_arena *px_arena_new(size_t max_bytes);
void px_arena_free(struct px_arena *arena);
/* Zeroed, 64-byte aligned; NULL beyond the maximum. Borrowed from the arena. */
void *px_arena_take(struct px_arena *arena, size_t n, size_t size);
char *px_arena_str(struct px_arena *arena, const char *text);
char *px_arena_fmt(struct px_arena *arena, const char *fmt, ...) PX_PRINTF(2, 3);
/* [rows, cols] of float32. */
float *px_arena_floats(struct px_arena *arena, size_t rows, size_t cols);
/* Whether it has refused anything: who takes many pieces asks once, before using them. */
bool px_arena_ran_out(const struct px_arena *arena);
size_t px_arena_used_bytes(const struct px_arena *arena);

#endif
