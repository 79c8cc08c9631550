/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden vectors: float64 tensors written by tests/golden/gen_*.py, whose
 * header says generator, command and versions. The tests run from the
 * repository's root.
 */
#ifndef PX_TESTS_SUPPORT_GOLDEN_H
#define PX_TESTS_SUPPORT_GOLDEN_H

#include <stddef.h>

struct px_safetensors;
struct golden {
  struct px_safetensors *st;
  void *bytes;
};

/* Opens tests/golden/data/NAME.safetensors; a CUnit fatal failure if it cannot. */
void golden_open(struct golden *g, const char *name);
void golden_close(struct golden *g);
/* A tensor's numbers, and how many there are; a CUnit fatal failure without it. */
const double *golden_take(const struct golden *g, const char *name, size_t *n);
/* out[n] = the tensor's numbers from the at-th on, which float32 holds exactly or nearly. */
void golden_floats(const struct golden *g, const char *name, size_t at, size_t n, float *out);
/* The largest difference from the whole tensor, relative to its largest number.
 * Fails the test when the tensor has not n numbers. */
double golden_error(const struct golden *g, const char *name, const float *found, size_t n);

#endif
