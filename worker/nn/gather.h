/*
 * A batch from contiguous memory by row numbers, optionally normalised on the
 * way, so that a dataset is never copied. Used by every trainer. Nothing is
 * owned; thread safe.
 */
#ifndef PX_NN_GATHER_H
#define PX_NN_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* dst[i * stride + j] = (src[rows[i], j] - mean[j]) * inv_std[j], for i < n and
 * j < dims; mean NULL: copied as it is. A stride over dims leaves room beside. */
static inline void px_gather(uint32_t n, uint32_t dims, const float *src, const uint64_t *rows, const float *mean,
                             const float *inv_std, float *restrict dst, uint32_t stride) {
  for (uint32_t i = 0; i < n; i++) {
    const float *row = src + rows[i] * dims;
    float *out = dst + (size_t)i * stride;
    for (uint32_t j = 0; j < dims; j++) out[j] = mean ? (row[j] - mean[j]) * inv_std[j] : row[j];
  }
}

#endif
