/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of columns: see write_stats.h. */
#include "lib/write/write_stats.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

enum { MIN, MAX, MEAN, M2, NUMBERS_N };

static double value_of(const struct px_write_parquet_column *c, uint64_t i) {
  switch (c->type) {
    case PX_WRITE_PARQUET_FLOAT: return (double)((const float *)c->data)[i];
    case PX_WRITE_PARQUET_INT: return (double)((const int64_t *)c->data)[i];
    default: return ((const uint8_t *)c->data)[i];
  }
}

/* Welford 1962, "Note on a method for calculating corrected sums of squares and products". */
static void add_row(struct px_write_stats *s, const struct px_write_parquet_column *c,
                    uint64_t row) {
  const uint32_t w = s->width;
  s->n++;
  for (uint32_t j = 0; j < w; j++) {
    const double x = value_of(c, row * w + j), delta = x - s->numbers[MEAN * w + j];
    s->numbers[MIN * w + j] = s->n == 1 ? x : fmin(s->numbers[MIN * w + j], x);
    s->numbers[MAX * w + j] = s->n == 1 ? x : fmax(s->numbers[MAX * w + j], x);
    s->numbers[MEAN * w + j] += delta / (double)s->n;
    s->numbers[M2 * w + j] += delta * (x - s->numbers[MEAN * w + j]);
  }
}

enum px_status px_write_stats_add(struct px_write_stats *stats,
                                  const struct px_write_parquet_column *column, uint64_t rows,
                                  struct px_err *err) {
  if (!stats->numbers) {
    stats->width = column->width ? column->width : 1;
    stats->numbers = px_mem_calloc((size_t)NUMBERS_N * stats->width, sizeof(double));
    if (!stats->numbers) return px_fail(err, PX_E_NO_MEMORY, "no memory for statistics");
  }
  for (uint64_t row = 0; row < rows; row++)
    if (!column->known || column->known[row]) add_row(stats, column, row);
  return PX_OK;
}

static json_t *list(const struct px_write_stats *s, int which) {
  json_t *out = json_array();
  for (uint32_t j = 0; j < s->width; j++) {
    const double x = s->numbers[(size_t)which * s->width + j];
    json_array_append_new(out, px_json_number(which == M2 ? sqrt(x / (double)s->n) : x));
  }
  return out;
}

json_t *px_write_stats_json(const struct px_write_stats *stats) {
  if (!stats->n) return NULL;
  return json_pack("{s:o s:o s:o s:o s:[I]}", "min", list(stats, MIN), "max", list(stats, MAX),
                   "mean", list(stats, MEAN), "std", list(stats, M2), "count",
                   (json_int_t)stats->n);
}

void px_write_stats_free(struct px_write_stats *stats) {
  free(stats->numbers);
  *stats = (struct px_write_stats){ 0 };
}
