/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of episodes that only `next_observations` shows: the flat layout's rows i
 * and i + 1 belong together when row i's next observation is row i + 1's
 * observation. Inner header of lib/data, for read_flat.c. One thread at a time.
 *
 * The two arrays may be rounded differently (saved as float16 or bfloat16, or
 * computed twice in float32), so numbers are compared with a tolerance:
 * relative to the number for rounding, and to the column's standard deviation
 * for sums that cancel. Which rounding it is shows in the unused bits of either array.
 */
#ifndef PX_READ_FLAT_JUMPS_H
#define PX_READ_FLAT_JUMPS_H

#include "lib/base/fail.h"
#include "lib/data/running_stats.h"

/* Owns its arrays; all zero is none. */
struct px_flat_jumps {
  uint32_t dims;
  struct px_running_stats obs; /* of all observations so far */
  double *scratch;             /* [2 * dims] */
  double *absolute;            /* [dims] tolerance */
  double relative;
  uint32_t obs_bits, next_bits; /* every bit that is set in some number so far */
  uint64_t compared_n, jumps_n;
  uint64_t first_trajectory, first_step; /* where the first jump is; for the caller to set */
};
enum px_status px_flat_jumps_init(struct px_flat_jumps *j, uint32_t dims,
                                  struct px_err *err) PX_MUST_CHECK;
void px_flat_jumps_free(struct px_flat_jumps *j);
/* Whether `next` [n, dims] is a copy of `obs` although the rows change: somebody filled it in, and
 * it tells nothing. */
bool px_flat_jumps_is_copy(const float *obs, const float *next, size_t n, uint32_t dims);
/* Learns the scale of n more rows; before they are compared. */
void px_flat_jumps_learn(struct px_flat_jumps *j, const float *obs, const float *next, size_t n);
/* Whether the row `obs` is not the one that `next` says comes next. Counts both. */
bool px_flat_jumps_between(struct px_flat_jumps *j, const float *next, const float *obs);
/* BAD_DATA when nearly every row jumps: then the rows are in no order. `least`: compared rows below
 * which it does not judge. */
enum px_status px_flat_jumps_judge(const struct px_flat_jumps *j, uint64_t least,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
