/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of checked sizes. Nothing here aborts; running out gives NULL.
 */
#ifndef PX_BASE_MEM_H
#define PX_BASE_MEM_H

#include <stddef.h>

#include "lib/base/status.h"

/* 1 in builds under ASan or TSan. Their runtimes reserve terabytes of addresses, take every clone
 * for a fork, and are not up when resolvers run: bounds of address space mean nothing there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PX_SANITIZED 1
#else
#define PX_SANITIZED 0
#endif

/* *out = a * b (a + b); false and *out untouched on overflow. */
bool px_mem_mul(size_t a, size_t b, size_t *out) PX_MUST_CHECK;
bool px_mem_add(size_t a, size_t b, size_t *out) PX_MUST_CHECK;

/* n elements of `size` bytes as an allocator here takes them: aligned to 64 bytes, never 0. False
 * on overflow. */
bool px_mem_padded(size_t n, size_t size, size_t *out) PX_MUST_CHECK;

/* Zeroed memory for n elements of `size` bytes, 64-byte aligned; NULL when it
 * overflows or there is none. The caller owns it and frees it with free(). */
void *px_mem_calloc(size_t n, size_t size);
/* As realloc for n elements of `size`, but refuses overflow. */
void *px_mem_realloc(void *p, size_t n, size_t size);

#endif
