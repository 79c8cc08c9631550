/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running mean and variance per dimension, in float64: observation statistics
 * of a segment, and of a dataset by merging its segments'. Used by the segment
 * builder, the dataset loader and ingest. Stateless functions.
 */
#ifndef PX_DATA_RUNNING_STATS_H
#define PX_DATA_RUNNING_STATS_H

#include <stdint.h>

/* Count, mean and sum of squared deviations per dimension; whoever made it owns the arrays. */
struct px_running_stats {
  uint64_t n;
  double *mean, *m2; /* [dims] */
};
/* a += b (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
 * computing sample variances", 1979). The order of merging decides the last bits. */
void px_running_stats_merge(struct px_running_stats *a, const struct px_running_stats *b,
                            uint32_t dims);
/* a -= b, which was merged into it before; rounding may leave a little of it. */
void px_running_stats_remove(struct px_running_stats *a, const struct px_running_stats *b,
                             uint32_t dims);
/* Adds `rows` finite rows of `dims` numbers. scratch: 2 * dims doubles. */
void px_running_stats_add(struct px_running_stats *m, const float *x, uint64_t rows, uint32_t dims,
                          double *scratch);

/* What to divide a dimension by: its spread (a standard deviation, or a range),
 * or 0 where it is constant. Constant is what varies by no more than float32's
 * rounding of numbers of that magnitude: 4 units in the last place. There is no
 * epsilon in the data's units, so it is the same in metres and in kilometres. */
double px_running_stats_scale(double spread, double magnitude);

#endif
