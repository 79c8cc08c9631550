/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What float32 loses of numbers that a file holds more exactly: seconds since
 * 1970 at 50 Hz become one number. Used by the readers, where they convert. A
 * struct px_precision belongs to one column (array) that is read once, in order.
 *
 * Counted are the changes from one row to the next, per number of a row. A change
 * is lost when both rows are the same float32. Changes of less than 1e-13 of the
 * number are the file's own rounding, and are not counted.
 */
#ifndef PX_READ_PRECISION_H
#define PX_READ_PRECISION_H

#include <stddef.h>

#include "lib/base/fail.h"
#include "lib/read/dtype.h"

struct px_precision_column {
  double last, largest;
  float low, high;
  uint64_t rows, changes, lost;
};
struct px_precision {
  uint32_t cols, next;                 /* next: which column the next number belongs to */
  struct px_precision_column *columns; /* [cols]; NULL: nothing is counted */
};

/* Whether numbers of this type can lose anything. */
bool px_precision_matters(struct px_array_dtype type);
enum px_status px_precision_init(struct px_precision *p, uint32_t cols) PX_MUST_CHECK;
void px_precision_free(struct px_precision *p);
/* The next n rows of column col; with PX_PRECISION_ROWS the next n numbers, row by row. */
#define PX_PRECISION_ROWS UINT32_MAX
void px_precision_see(struct px_precision *p, uint32_t col, const double *values, size_t n);

/* How bad it is. refused: of numbers beyond 2^20 a quarter of the changes is lost, so that a
 * staircase would be learned from. noted: they are constant now, which nothing is learned from
 * (px_running_stats_scale); or hardly a change survives of numbers below 2^20, where it may be
 * noise. */
enum px_precision_loss { PX_PRECISION_KEPT, PX_PRECISION_NOTED, PX_PRECISION_REFUSED };
/* The worst of all columns, and the first that is so bad in *col. */
enum px_precision_loss px_precision_judge(const struct px_precision *p, uint32_t *col);
/* BAD_DATA at "name[col]", with what to do. */
enum px_status px_precision_fail(const struct px_precision *p, const char *name, uint32_t col,
                                 struct px_err *err);

#endif
