/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How our own loops use wide vector units: gcc compiles a function marked
 * PX_CLONES once per instruction set and the loader picks one. Used by
 * lib/nn and lib/rl only.
 *
 * Sums are split into PX_LANES partial sums in the source, and contraction is
 * off, so every clone gives the same bits; only the BLAS differs by machine.
 * The transformer's kernels may fuse a * b + c (see the Makefile), which is
 * half of their speed: there, machines with such an instruction agree.
 *
 * Plain loops do where gcc makes good code of them. Where it does not, px_vec is
 * PX_LANES floats that add and multiply as one (gcc's vector extension, which
 * splits them for narrower machines).
 *
 * clang compiles all of it for the baseline: for a second compiler's opinion, not for speed.
 */
#ifndef PX_NN_SIMD_H
#define PX_NN_SIMD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

/* Resolvers run before a sanitizer's runtime is up, so there are none there. */
#if defined(__x86_64__) && !PX_SANITIZED && !defined(__clang__)
#define PX_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PX_CLONES
#endif

enum { PX_LANES = 16 };

typedef float px_vec __attribute__((vector_size(64)));
typedef int32_t px_ivec __attribute__((vector_size(64)));
typedef uint32_t px_uvec __attribute__((vector_size(64)));
typedef float px_vec_anywhere __attribute__((vector_size(64), aligned(4), may_alias));

#define PX_INLINE static inline __attribute__((always_inline))

static const px_ivec px_lane_numbers = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

PX_INLINE px_vec px_vec_load(const float *at) { return *(const px_vec_anywhere *)at; }
PX_INLINE void px_vec_store(float *at, px_vec x) { *(px_vec_anywhere *)at = x; }
/* mask: all bits of a lane or none, as comparisons give. */
PX_INLINE px_vec px_vec_choose(px_ivec mask, px_vec a, px_vec b) {
  return (px_vec)(((px_ivec)a & mask) | ((px_ivec)b & ~mask));
}
PX_INLINE px_vec px_vec_max(px_vec a, px_vec b) { return px_vec_choose(a > b, a, b); }
/* Halves at a time: the same order on every machine, and vectors all the way. */
PX_INLINE float px_sum_lanes(float part[PX_LANES]) {
  for (size_t half = PX_LANES / 2; half > 0; half /= 2)
    for (size_t lane = 0; lane < half; lane++) part[lane] += part[lane + half];
  return part[0];
}
/* Lane i of the result is lane i + half of x, wrapped around. */
PX_INLINE px_vec px_vec_turn(px_vec x, int32_t half) {
#ifdef __clang__
  px_vec turned;
  for (int32_t lane = 0; lane < PX_LANES; lane++) turned[lane] = x[(lane + half) & (PX_LANES - 1)];
  return turned;
#else
  return __builtin_shuffle(x, (px_lane_numbers + half) & (PX_LANES - 1));
#endif
}
PX_INLINE float px_vec_sum(px_vec x) {
  x += px_vec_turn(x, 8);
  x += px_vec_turn(x, 4);
  x += px_vec_turn(x, 2);
  return x[0] + x[1];
}
PX_INLINE float px_vec_most(px_vec x) {
  x = px_vec_max(x, px_vec_turn(x, 8));
  x = px_vec_max(x, px_vec_turn(x, 4));
  x = px_vec_max(x, px_vec_turn(x, 2));
  return x[0] > x[1] ? x[0] : x[1];
}

/* e^x with a relative error below 2e-7 from -87 to 88; beyond, the value at that bound; NaN stays
 * NaN. x = n log 2 + r with |r| <= log(2)/2, in two pieces (Cody and Waite); Cephes' polynomial for
 * e^r (Moshier, expf). */
PX_INLINE px_vec px_vec_exp(px_vec x) {
  /* 1.5 * 2^23: adding it rounds to a whole number, which stands in the low bits */
  const float magic = 12582912;
  const px_vec zero = { 0 };
  x = px_vec_choose(x < -87.0F, zero - 87, x);
  x = px_vec_choose(x > 88.0F, zero + 88, x);
  const px_vec shifted = x * 1.44269504F + magic, n = shifted - magic;
  const px_vec r = x - n * 0.693359375F - n * -2.12194440e-4F;
  px_vec p = 1.9875691500e-4F * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + (r + 1);
  /* the magic number's own low bits are 0 there */
  return (px_vec)((px_ivec)p + ((px_ivec)shifted << 23));
}

#endif
