/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting the allocations made by our own code. A test program includes this
 * once and reads `allocations` before and after what must not allocate; beyond
 * `allocations_allowed` there is no memory.
 * Libraries' allocations (oneDNN's packing buffers) are theirs: only callers
 * inside the program count. Not under sanitizers whose malloc it is: then
 * COUNTS_ALLOCATIONS is not defined.
 */
#ifndef PX_TESTS_SUPPORT_ALLOCATIONS_H
#define PX_TESTS_SUPPORT_ALLOCATIONS_H

#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"

#if !PX_SANITIZED
#define COUNTS_ALLOCATIONS
static uint64_t allocations, allocations_allowed = UINT64_MAX;

/* The linker's names, and glibc's. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
extern char __executable_start, etext;
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int refused(const void *caller) {
  const int ours = (const char *)caller >= &__executable_start && (const char *)caller < &etext;
  allocations += (uint64_t)ours;
  return ours && allocations > allocations_allowed;
}
void *malloc(size_t n) { return refused(__builtin_return_address(0)) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) {
  return refused(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
  return refused(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}
void *aligned_alloc(size_t align, size_t n) {
  return refused(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}
#endif

#endif
