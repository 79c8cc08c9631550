/* SPDX-License-Identifier: Apache-2.0 */
/* Running mean and variance: see running_stats.h. */
#include "lib/data/running_stats.h"

#include <float.h>

enum { CHUNK_ROWS = 256, LANES = 4 }; /* a chunk of a few dimensions stays in the first cache */

void px_running_stats_merge(struct px_running_stats *a, const struct px_running_stats *b,
                            uint32_t dims) {
  if (b->n == 0) return;
  const double n = (double)(a->n + b->n), share = (double)b->n / n, cross = (double)a->n * share;
  for (uint32_t j = 0; j < dims; j++) {
    const double delta = b->mean[j] - a->mean[j];
    a->mean[j] += delta * share;
    a->m2[j] += b->m2[j] + delta * delta * cross;
  }
  a->n += b->n;
}

void px_running_stats_remove(struct px_running_stats *a, const struct px_running_stats *b,
                             uint32_t dims) {
  const uint64_t left = a->n > b->n ? a->n - b->n : 0;
  for (uint32_t j = 0; j < dims; j++) {
    if (!left) {
      a->mean[j] = a->m2[j] = 0;
      continue;
    }
    const double share = (double)b->n / (double)left, delta = b->mean[j] - a->mean[j];
    /* delta between the means of the two parts, from that to the whole's */
    const double apart = delta * (double)a->n / (double)left;
    const double m2 =
      a->m2[j] - b->m2[j] - apart * apart * (double)left * (double)b->n / (double)a->n;
    a->mean[j] -= delta * share;
    a->m2[j] = m2 > 0 ? m2 : 0;
  }
  a->n = left;
}

/* Sums of deviations from the first row, and of their squares, over `width`
 * neighbouring dimensions. Constant LANES lets the compiler keep them in registers. */
static inline void column_sums(const float *x, uint64_t rows, uint32_t dims, uint32_t width,
                               double *sum, double *square) {
  double first[LANES], s[LANES] = { 0 }, q[LANES] = { 0 };
  for (uint32_t k = 0; k < width; k++) first[k] = (double)x[k];
  for (uint64_t r = 0; r < rows; r++, x += dims) {
    for (uint32_t k = 0; k < width; k++) {
      const double d = (double)x[k] - first[k];
      s[k] += d;
      q[k] += d * d;
    }
  }
  for (uint32_t k = 0; k < width; k++) {
    sum[k] = s[k];
    square[k] = q[k];
  }
}

void px_running_stats_add(struct px_running_stats *m, const float *x, uint64_t rows, uint32_t dims,
                          double *scratch) {
  struct px_running_stats chunk = { 0, scratch, scratch + dims };
  for (uint64_t start = 0; start < rows; start += CHUNK_ROWS) {
    const float *first = x + start * dims;
    chunk.n = rows - start < CHUNK_ROWS ? rows - start : CHUNK_ROWS;
    uint32_t j = 0;
    for (; j + LANES <= dims; j += LANES)
      column_sums(first + j, chunk.n, dims, LANES, chunk.mean + j, chunk.m2 + j);
    for (; j < dims; j++) column_sums(first + j, chunk.n, dims, 1, chunk.mean + j, chunk.m2 + j);
    for (j = 0; j < dims; j++) {
      const double mean = chunk.mean[j] / (double)chunk.n;
      const double m2 = chunk.m2[j] - chunk.mean[j] * mean;
      chunk.mean[j] = (double)first[j] + mean;
      chunk.m2[j] = m2 > 0 ? m2 : 0; /* rounding may leave a little below 0 */
    }
    px_running_stats_merge(m, &chunk, dims);
  }
}

double px_running_stats_scale(double spread, double magnitude) {
  const double rounding = 4 * (double)FLT_EPSILON * magnitude;
  /* the inverse of less is infinite in float32 */
  return spread > rounding && spread >= (double)FLT_MIN ? spread : 0;
}
