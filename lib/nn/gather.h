/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch from contiguous memory by row numbers, normalised on the way, so that a dataset is never
 * copied. Used by every trainer. Nothing is owned; thread safe.
 */
#ifndef PX_NN_GATHER_H
#define PX_NN_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* How a row is normalised: (x - mean) * inv_std, kept within +-clip. An inv_std
 * of 0 leaves a dimension out. Borrows its arrays [dims]. */
struct px_normal {
  const float *mean, *inv_std;
  float clip;
};

static inline void px_normalise(const struct px_normal *normal, uint32_t dims, const float *row,
                                float *restrict out) {
  const float clip = normal->clip;
  for (uint32_t j = 0; j < dims; j++) {
    const float z = (row[j] - normal->mean[j]) * normal->inv_std[j], below = z < clip ? z : clip;
    out[j] = below > -clip ? below : -clip;
  }
}

/* dst[i * stride + j] = src[rows[i], j] normalised, for i < n and j < dims. A
 * stride over dims leaves room beside. */
static inline void px_gather(uint32_t n, uint32_t dims, const float *src, const uint64_t *rows,
                             const struct px_normal *normal, float *restrict dst, uint32_t stride) {
  for (uint32_t i = 0; i < n; i++)
    px_normalise(normal, dims, src + rows[i] * dims, dst + (size_t)i * stride);
}

#endif
