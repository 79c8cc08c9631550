/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which units to drop: a pure function of (seed, stream, step, row, unit), so
 * that a backward pass, a resumed run and another chunk size see the same mask.
 * Used by the layers in this folder. Nothing is owned; thread safe.
 *
 * A 32-bit mix (two rounds of MurmurHash3's finaliser) of a Philox key: enough
 * for masks, and gcc makes vectors of it, which it cannot of Philox.
 */
#ifndef PX_NN_DROPOUT_H
#define PX_NN_DROPOUT_H

#include "lib/base/rng.h"
#include "lib/nn/simd.h"

struct px_dropout {
  uint32_t key[4];
  uint32_t below; /* of 2^24: a unit whose number is below it is dropped */
  float scale;    /* of kept units: 1 / (1 - p) */
};

/* p in [0, 1). */
static inline struct px_dropout px_dropout_at(uint64_t seed, uint64_t stream, uint64_t step,
                                              float p) {
  struct px_dropout d = { .below = (uint32_t)(p * 16777216.0F), .scale = 1 / (1 - p) };
  px_rng_philox(seed, stream, step, d.key);
  return d;
}

static inline uint32_t px_dropout_mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  return x ^ x >> 16;
}

/* Once for each row. */
static inline uint32_t px_dropout_row(const struct px_dropout *d, uint32_t row) {
  return px_dropout_mix(d->key[0] ^ row) + d->key[1];
}

/* What a unit of the row is multiplied by: 0 or scale. */
static inline float px_dropout_keep(const struct px_dropout *d, uint32_t row, uint32_t unit) {
  return px_dropout_mix(px_dropout_mix(unit ^ row) ^ d->key[2]) >> 8 < d->below ? 0 : d->scale;
}

/* The same of PX_LANES units from unit0 on. */
PX_INLINE px_vec px_dropout_keep_lanes(const struct px_dropout *d, uint32_t row, uint32_t unit0) {
  const px_vec zero = { 0 };
  px_uvec x = ((px_uvec)px_lane_numbers + unit0) ^ row;
  for (int round = 0; round < 2; round++) {
    x ^= x >> 16;
    x *= 0x85ebca6bU;
    x ^= x >> 13;
    x *= 0xc2b2ae35U;
    x ^= x >> 16;
    x ^= round ? 0 : d->key[2];
  }
  return px_vec_choose((px_ivec)(x >> 8) < (int32_t)d->below, zero, zero + d->scale);
}

#endif
