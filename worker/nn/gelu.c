#include "worker/nn/gelu.h"

#include "worker/nn/simd.h"

/* (1 + tanh z) / 2 is the logistic function of 2 z: one exponential and one division; and 1 - it is it times the
 * exponential, without the cancellation. */
PX_CLONES void px_gelu(uint32_t n, uint32_t width, const float *restrict bias, float *restrict y,
                       float *restrict slope) {
  const float twice_c = 1.5957691216F, cubic = 0.044715F;
  for (size_t i = 0; i < n; i++, y += width, slope += width)
    for (size_t j = 0; j < width; j += PX_LANES) {
      const px_vec u = px_vec_load(y + j) + px_vec_load(bias + j), square = cubic * u * u;
      const px_vec e = px_vec_exp(-twice_c * u * (1 + square)), gate = 1 / (1 + e), value = u * gate;
      px_vec_store(y + j, value);
      px_vec_store(slope + j, gate + value * (e * gate) * (twice_c + 3 * twice_c * square));
    }
}

PX_CLONES void px_gelu_back(uint32_t n, uint32_t width, const float *restrict slope, float *restrict d, bool add,
                            float *restrict sum) {
  if (!add)
    for (size_t j = 0; j < width; j++) sum[j] = 0;
  for (size_t i = 0; i < n; i++, d += width, slope += width)
    for (size_t j = 0; j < width; j++) {
      d[j] *= slope[j];
      sum[j] += d[j];
    }
}
