/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named part of a parameter array: what is saved under a name, and what LAMB
 * takes as one layer. Used by nets with many kinds of parameters.
 */
#ifndef PX_NN_TENSOR_H
#define PX_NN_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum { PX_TENSOR_NAME_MAX = 32 };
struct px_tensor {
  char name[PX_TENSOR_NAME_MAX];
  size_t at;           /* its first number */
  uint32_t rows, cols; /* cols 0: a vector of `rows` numbers */
};
static inline size_t px_tensor_n(const struct px_tensor *t) {
  return (size_t)t->rows * (t->cols ? t->cols : 1);
}

#endif
