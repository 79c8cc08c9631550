/*
 * Counting the allocations made by our own code. A test program includes this
 * once and reads `allocations` before and after what must not allocate.
 * Libraries' allocations (oneDNN's packing buffers) are theirs: only callers
 * inside the program count. Not under sanitizers whose malloc it is: then
 * COUNTS_ALLOCATIONS is not defined.
 */
#ifndef PX_TESTS_SUPPORT_ALLOCATIONS_H
#define PX_TESTS_SUPPORT_ALLOCATIONS_H

#include <stdint.h>
#include <stdlib.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS
static uint64_t allocations;

extern char __executable_start, etext;
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static void count(const void *caller) {
  allocations += (const char *)caller >= &__executable_start && (const char *)caller < &etext;
}
void *malloc(size_t n) {
  count(__builtin_return_address(0));
  return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
  count(__builtin_return_address(0));
  return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
  count(__builtin_return_address(0));
  return __libc_realloc(p, n);
}
void *aligned_alloc(size_t align, size_t n) {
  count(__builtin_return_address(0));
  return __libc_memalign(align, n);
}
#endif

#endif
