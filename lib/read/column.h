/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns: arrays of a file, read row by row. A column belongs to one thread.
 */
#ifndef PX_READ_COLUMN_H
#define PX_READ_COLUMN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fail.h"

/* An array [rows, cols] read once from the first row to the last. */
struct px_column {
  char name[128];
  uint64_t rows;
  uint32_t cols;
  bool integers; /* in the file; what is read are floats always */
  void *ctx;     /* owned: freed by close */
  enum px_status (*next)(void *ctx, size_t rows, float *dst, struct px_err *err);
  void (*close)(void *ctx);
};
/* Closes what is open; a zeroed column is none. */
void px_column_close(struct px_column *column);
/* BAD_DATA unless it has that many columns (`what` declares them). */
enum px_status px_column_expect(const struct px_column *column, uint32_t cols, const char *what,
                                struct px_err *err) PX_MUST_CHECK;

#endif
