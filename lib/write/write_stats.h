/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of columns as they are written, for LeRobot's meta/stats.json: policies there are
 * normalised by it. One thread; whoever zeroed a struct px_write_stats frees it.
 */
#ifndef PX_WRITE_WRITE_STATS_H
#define PX_WRITE_WRITE_STATS_H

#include <jansson.h>

#include "lib/base/fail.h"
#include "lib/write/write_parquet.h"

/* Of one column, per number of a row: least, largest, mean and sum of squared deviations. */
struct px_write_stats {
  uint64_t n; /* rows that are not null */
  uint32_t width;
  double *numbers; /* [4, width]: min, max, mean, m2 */
};
/* Adds rows of a column of numbers; those that are null do not count. NO_MEMORY is the only
 * failure. */
enum px_status px_write_stats_add(struct px_write_stats *stats,
                                  const struct px_write_parquet_column *column, uint64_t rows,
                                  struct px_err *err) PX_MUST_CHECK;
/* {min, max, mean, std, count}, lists as LeRobot 3.0 has them; std is the population's. NULL where
 * every row is null. */
json_t *px_write_stats_json(const struct px_write_stats *stats);
void px_write_stats_free(struct px_write_stats *stats);

#endif
