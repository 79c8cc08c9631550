/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of checked sizes: see mem.h. */
#include "lib/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

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

bool px_mem_padded(size_t n, size_t size, size_t *out) {
  size_t bytes;
  if (!px_mem_mul(n, size, &bytes) || !px_mem_add(bytes, ALIGN - 1, &bytes)) return false;
  bytes &= ~(size_t)(ALIGN - 1);
  *out = bytes ? bytes : ALIGN;
  return true;
}

void *px_mem_calloc(size_t n, size_t size) {
  size_t bytes;
  if (!px_mem_padded(n, size, &bytes)) return NULL;
  void *p = aligned_alloc(ALIGN, bytes);
  if (p) memset(p, 0, bytes);
  return p;
}

void *px_mem_realloc(void *p, size_t n, size_t size) {
  size_t bytes;
  if (!px_mem_mul(n, size, &bytes)) return NULL;
  return realloc(p, bytes ? bytes : 1);
}
