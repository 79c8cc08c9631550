/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/layer_norm.h"

#include <math.h>

#include "lib/nn/simd.h"

static const float eps = 1e-5F;

PX_CLONES void px_layer_norm(uint32_t n, uint32_t width, const float *restrict x,
                             const float *restrict gain, const float *restrict bias,
                             float *restrict normal, float *restrict inverse, float *restrict y) {
  for (size_t i = 0; i < n; i++, x += width, normal += width, y += width) {
    px_vec sum = { 0 }, squares = { 0 };
    for (size_t j = 0; j < width; j += PX_LANES) sum += px_vec_load(x + j);
    const float mean = px_vec_sum(sum) / (float)width;
    for (size_t j = 0; j < width; j += PX_LANES) {
      const px_vec away = px_vec_load(x + j) - mean;
      squares += away * away;
    }
    const float inv = inverse[i] = 1 / sqrtf(px_vec_sum(squares) / (float)width + eps);
    for (size_t j = 0; j < width; j += PX_LANES) {
      const px_vec z = (px_vec_load(x + j) - mean) * inv;
      px_vec_store(normal + j, z);
      px_vec_store(y + j, z * px_vec_load(gain + j) + px_vec_load(bias + j));
    }
  }
}

/* With g = gain dy: dx = (g - mean(g) - normal mean(g normal)) / deviation; dgain = sum dy normal;
 * dbias = sum dy. */
PX_CLONES void px_layer_norm_back(uint32_t n, uint32_t width, const float *restrict normal,
                                  const float *restrict inverse, const float *restrict gain,
                                  const float *restrict dy, float *restrict dx, bool add,
                                  float *restrict dgain, float *restrict dbias) {
  if (!add)
    for (size_t j = 0; j < width; j++) dgain[j] = dbias[j] = 0;
  for (size_t i = 0; i < n; i++, normal += width, dy += width, dx += width) {
    px_vec sum = { 0 }, along = { 0 };
    for (size_t j = 0; j < width; j += PX_LANES) {
      const px_vec d = px_vec_load(dy + j), z = px_vec_load(normal + j),
                   g = px_vec_load(gain + j) * d;
      sum += g;
      along += g * z;
      px_vec_store(dgain + j, px_vec_load(dgain + j) + d * z);
      px_vec_store(dbias + j, px_vec_load(dbias + j) + d);
    }
    const float mean = px_vec_sum(sum) / (float)width, tilt = px_vec_sum(along) / (float)width;
    for (size_t j = 0; j < width; j += PX_LANES) {
      const px_vec g = px_vec_load(gain + j) * px_vec_load(dy + j);
      px_vec_store(dx + j,
                   px_vec_load(dx + j) + (g - mean - px_vec_load(normal + j) * tilt) * inverse[i]);
    }
  }
}
