/* SPDX-License-Identifier: Apache-2.0 */
/* Counter-based random numbers: see rng.h. */
#include "lib/base/rng.h"

#include <math.h>

static void mulhilo(uint32_t a, uint32_t b, uint32_t *hi, uint32_t *lo) {
  const uint64_t product = (uint64_t)a * b;
  *hi = (uint32_t)(product >> 32);
  *lo = (uint32_t)product;
}

void px_rng_philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]) {
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
  uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint32_t hi0, lo0, hi1, lo1;
    mulhilo(0xD2511F53u, c0, &hi0, &lo0);
    mulhilo(0xCD9E8D57u, c2, &hi1, &lo1);
    c0 = hi1 ^ c1 ^ k0;
    c1 = lo1;
    c2 = hi0 ^ c3 ^ k1;
    c3 = lo0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

struct px_rng px_rng_at(uint64_t seed, uint64_t stream, uint64_t block) {
  return (struct px_rng){ .seed = seed, .stream = stream, .block = block };
}

uint64_t px_rng_stream(const char *name, uint64_t n) {
  uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, then the splitmix64 finaliser */
  for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001b3u;
  h += n * 0x9E3779B97F4A7C15u;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
  return h ^ (h >> 31);
}

uint32_t px_rng_u32(struct px_rng *rng) {
  if (rng->left == 0) {
    px_rng_philox(rng->seed, rng->stream, rng->block++, rng->words);
    rng->left = 4;
  }
  return rng->words[4 - rng->left--];
}

uint32_t px_rng_below(struct px_rng *rng, uint32_t n) {
  /* Lemire, "Fast random integer generation in an interval" (2019). */
  uint64_t product = (uint64_t)px_rng_u32(rng) * n;
  if ((uint32_t)product < n) {
    const uint32_t threshold = (uint32_t)-n % n;
    while ((uint32_t)product < threshold) product = (uint64_t)px_rng_u32(rng) * n;
  }
  return (uint32_t)(product >> 32);
}

double px_rng_double(struct px_rng *rng) {
  const uint64_t hi = px_rng_u32(rng), lo = px_rng_u32(rng);
  return (double)((hi << 32 | lo) >> 11) * 0x1p-53;
}

float px_rng_float(struct px_rng *rng) { return (float)(px_rng_u32(rng) >> 8) * 0x1p-24f; }

void px_rng_normal(struct px_rng *rng, float *out, size_t n) {
  for (size_t i = 0; i < n; i += 2) {
    /* (0, 1], so that the logarithm is finite. */
    const float u = ((float)(px_rng_u32(rng) >> 8) + 1.0f) * 0x1p-24f;
    const float angle = 6.28318530717958648f * px_rng_float(rng);
    const float radius = sqrtf(-2.0f * logf(u));
    out[i] = radius * cosf(angle);
    if (i + 1 < n) out[i + 1] = radius * sinf(angle);
  }
}

void px_rng_shuffle(struct px_rng *rng, uint32_t *items, uint32_t n) {
  for (uint32_t i = n; i > 1; i--) {
    const uint32_t j = px_rng_below(rng, i);
    const uint32_t swapped = items[i - 1];
    items[i - 1] = items[j];
    items[j] = swapped;
  }
}
