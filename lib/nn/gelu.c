/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/gelu.h"

#include <string.h>

#include "lib/nn/simd.h"

/* (1 + tanh z) / 2 is the logistic function of 2 z: one exponential and one division; and 1 - it is
 * it times the exponential, without the cancellation. */
PX_INLINE px_vec gelu(px_vec u, px_vec *slope) {
  const float twice_c = 1.5957691216F, cubic = 0.044715F;
  const px_vec square = cubic * u * u;
  const px_vec e = px_vec_exp(-twice_c * u * (1 + square)), gate = 1 / (1 + e), value = u * gate;
  *slope = gate + value * (e * gate) * (twice_c + 3 * twice_c * square);
  return value;
}

/* Fewer than PX_LANES numbers. */
PX_INLINE void gelu_few(size_t n, const float *bias, float *y, float *slope) {
  px_vec u = { 0 }, b = { 0 }, by;
  memcpy(&u, y, sizeof *y * n);
  memcpy(&b, bias, sizeof *bias * n);
  const px_vec value = gelu(u + b, &by);
  memcpy(y, &value, sizeof *y * n);
  memcpy(slope, &by, sizeof *slope * n);
}

PX_CLONES void px_gelu(uint32_t n, uint32_t width, const float *restrict bias, float *restrict y,
                       float *restrict slope) {
  for (size_t i = 0; i < n; i++, y += width, slope += width) {
    size_t j = 0;
    for (px_vec by; j + PX_LANES <= width; j += PX_LANES) {
      px_vec_store(y + j, gelu(px_vec_load(y + j) + px_vec_load(bias + j), &by));
      px_vec_store(slope + j, by);
    }
    if (j < width) gelu_few(width - j, bias + j, y + j, slope + j);
  }
}

PX_CLONES void px_gelu_back(uint32_t n, uint32_t width, const float *restrict slope,
                            float *restrict d, bool add, float *restrict sum) {
  if (!add)
    for (size_t j = 0; j < width; j++) sum[j] = 0;
  for (size_t i = 0; i < n; i++, d += width, slope += width)
    for (size_t j = 0; j < width; j++) {
      d[j] *= slope[j];
      sum[j] += d[j];
    }
}
