/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A number is a pure function of (seed, stream, index), so a run can be resumed
 * or split at any step and draw the same numbers. State is passed, never
 * hidden; a struct px_rng belongs to one thread.
 */
#ifndef PX_BASE_RNG_H
#define PX_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct px_rng {
  uint64_t seed, stream, block; /* the next counter block */
  uint32_t words[4];
  unsigned left; /* words not yet given out */
};

/* One block: out[4] from counter (block, stream) and key seed. */
void px_rng_philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]);

/* Streams keep uses apart ("init", "batch", "noise"): see px_rng_stream. */
struct px_rng px_rng_at(uint64_t seed, uint64_t stream, uint64_t block);
/* A stream number from a name and a step or member number. */
uint64_t px_rng_stream(const char *name, uint64_t n);

uint32_t px_rng_u32(struct px_rng *rng);
uint32_t px_rng_below(struct px_rng *rng, uint32_t n); /* uniform in [0, n), unbiased; n > 0 */
double px_rng_double(struct px_rng *rng);              /* uniform in [0, 1), 53 bits */
float px_rng_float(struct px_rng *rng);                /* uniform in [0, 1), 24 bits */
/* n standard normal numbers (Box-Muller on pairs); consumes whole blocks. */
void px_rng_normal(struct px_rng *rng, float *out, size_t n);
/* Fisher-Yates shuffle. */
void px_rng_shuffle(struct px_rng *rng, uint32_t *items, uint32_t n);

#endif
