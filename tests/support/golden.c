/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/golden.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"

void golden_open(struct golden *g, const char *name) {
  char path[128];
  struct px_err err = { 0 };
  snprintf(path, sizeof path, "tests/golden/data/%s.safetensors", name);
  FILE *f = fopen(path, "rb");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  CU_ASSERT_EQUAL_FATAL(fseek(f, 0, SEEK_END), 0);
  const long size = ftell(f);
  CU_ASSERT_TRUE_FATAL(size > 0);
  rewind(f);
  g->bytes = px_mem_calloc((size_t)size, 1);
  CU_ASSERT_PTR_NOT_NULL_FATAL(g->bytes);
  CU_ASSERT_EQUAL_FATAL(fread(g->bytes, 1, (size_t)size, f), (size_t)size);
  fclose(f);
  CU_ASSERT_EQUAL_FATAL(px_safetensors_parse(g->bytes, (size_t)size, &g->st, &err), PX_OK);
}

void golden_close(struct golden *g) {
  px_safetensors_free(g->st);
  free(g->bytes);
}

const double *golden_take(const struct golden *g, const char *name, size_t *n) {
  const struct px_safetensors_tensor *tensor = px_safetensors_find(g->st, name);
  CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
  CU_ASSERT_EQUAL_FATAL(tensor->dtype, PX_DTYPE_F64);
  CU_ASSERT_TRUE_FATAL(px_safetensors_aligned(tensor));
  *n = tensor->bytes / sizeof(double);
  return tensor->data;
}

void golden_floats(const struct golden *g, const char *name, size_t at, size_t n, float *out) {
  size_t all;
  const double *numbers = golden_take(g, name, &all);
  CU_ASSERT_TRUE_FATAL(at + n <= all);
  for (size_t i = 0; i < n; i++) out[i] = (float)numbers[at + i];
}

double golden_error(const struct golden *g, const char *name, const float *found, size_t n) {
  size_t all;
  const double *numbers = golden_take(g, name, &all);
  CU_ASSERT_EQUAL_FATAL(all, n);
  double worst = 0, largest = 0;
  for (size_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)found[i] - numbers[i]));
    largest = fmax(largest, fabs(numbers[i]));
  }
  return worst / largest;
}
