/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of files made float32: see dtype.h. */
#include "lib/read/dtype.h"

#include <math.h>
#include <string.h>

#define NUMBER_TYPES \
  X(FLOAT, 4, float) \
  X(FLOAT, 8, double) \
  X(INT, 1, int8_t) \
  X(INT, 2, int16_t) \
  X(INT, 4, int32_t) \
  X(INT, 8, int64_t) \
  X(UINT, 1, uint8_t) \
  X(UINT, 2, uint16_t) \
  X(UINT, 4, uint32_t) \
  X(UINT, 8, uint64_t)

#define X(kind, size, type) \
  static void from_##type(const char *src, size_t n, float *dst) { \
    for (size_t i = 0; i < n; i++) { \
      type value; \
      memcpy(&value, src + i * size, size); \
      dst[i] = (float)value; \
    } \
  } \
  static void wide_from_##type(const char *src, size_t n, double *dst) { \
    for (size_t i = 0; i < n; i++) { \
      type value; \
      memcpy(&value, src + i * size, size); \
      dst[i] = (double)value; \
    } \
  }
NUMBER_TYPES
#undef X

static float half_to_float(uint16_t half) {
  const uint32_t sign = half >> 15, exponent = half >> 10 & 31, fraction = half & 1023;
  const float magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                          : exponent     ? ldexpf((float)(fraction + 1024), (int)exponent - 25)
                                         : ldexpf((float)fraction, -24);
  return sign ? -magnitude : magnitude;
}

static void from_half(const char *src, size_t n, float *dst) {
  for (size_t i = 0; i < n; i++) {
    uint16_t half;
    memcpy(&half, src + 2 * i, 2);
    dst[i] = half_to_float(half);
  }
}

static void from_bfloat(const char *src, size_t n, float *dst) {
  for (size_t i = 0; i < n; i++) {
    uint16_t upper;
    memcpy(&upper, src + 2 * i, 2);
    const uint32_t bits = (uint32_t)upper << 16;
    memcpy(dst + i, &bits, sizeof bits);
  }
}

typedef void convert_fn(const char *src, size_t n, float *dst);
static convert_fn *const converters[PX_DTYPE_KIND_N][9] = { [PX_DTYPE_FLOAT][2] = from_half,
                                                            [PX_DTYPE_BFLOAT][2] = from_bfloat,
#define X(kind, size, type) [PX_DTYPE_##kind][size] = from_##type,
                                                            NUMBER_TYPES
#undef X
};

typedef void widen_fn(const char *src, size_t n, double *dst);
static widen_fn *const wideners[PX_DTYPE_KIND_N][9] = {
#define X(kind, size, type) [PX_DTYPE_##kind][size] = wide_from_##type,
  NUMBER_TYPES
#undef X
};

bool px_dtype_known(struct px_array_dtype type) {
  return type.kind < PX_DTYPE_KIND_N && type.bytes <= 8 && converters[type.kind][type.bytes];
}

bool px_dtype_is_float32(struct px_array_dtype type) {
  return type.kind == PX_DTYPE_FLOAT && type.bytes == 4 && !type.swapped;
}

static void swap_bytes(char *p, size_t n, uint32_t bytes) {
  for (size_t i = 0; i < n; i++, p += bytes)
    for (uint32_t j = 0; j < bytes / 2; j++) {
      const char first = p[j];
      p[j] = p[bytes - 1 - j];
      p[bytes - 1 - j] = first;
    }
}

void px_dtype_to_float(struct px_array_dtype type, void *src, size_t n, float *dst) {
  if (type.swapped) swap_bytes(src, n, type.bytes);
  converters[type.kind][type.bytes](src, n, dst);
}

void px_dtype_to_double(struct px_array_dtype type, const void *src, size_t n, double *dst) {
  wideners[type.kind][type.bytes](src, n, dst);
}
