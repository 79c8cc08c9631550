/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of episodes that only `next_observations` shows: see flat_jumps.h. */
#include "lib/read/flat_jumps.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"

/* How an array was rounded before it became float32: the low bits that are never set, and the
 * tolerances for it. */
struct rounding {
  uint32_t unset;
  double relative, of_deviation;
};
static const struct rounding ROUNDINGS[] = {
  { 0xffff, 0x1p-7, 0x1p-7 },   /* bfloat16, 8 bits of significand */
  { 0x1fff, 0x1p-10, 0x1p-10 }, /* float16, 11 bits */
  { 0, 0x1p-21, 0x1p-20 },      /* float32: 4 units in the last place */
};

enum px_status px_flat_jumps_init(struct px_flat_jumps *j, uint32_t dims, struct px_err *err) {
  *j = (struct px_flat_jumps){ .dims = dims };
  j->obs.mean = px_mem_calloc(dims, sizeof(double));
  j->obs.m2 = px_mem_calloc(dims, sizeof(double));
  j->scratch = px_mem_calloc(dims, 2 * sizeof(double));
  j->absolute = px_mem_calloc(dims, sizeof(double));
  if (j->obs.mean && j->obs.m2 && j->scratch && j->absolute) return PX_OK;
  px_flat_jumps_free(j);
  return px_fail(err, PX_E_NO_MEMORY, "no memory to compare next observations");
}

void px_flat_jumps_free(struct px_flat_jumps *j) {
  free(j->obs.mean);
  free(j->obs.m2);
  free(j->scratch);
  free(j->absolute);
  *j = (struct px_flat_jumps){ 0 };
}

/* Most of `of`. Whatever holds of so many steps is how the file was made. */
static bool nearly_all(uint64_t n, uint64_t of) { return n > of / 5 * 4; }

bool px_flat_jumps_is_copy(const float *obs, const float *next, size_t n, uint32_t dims) {
  if (n < 2 || memcmp(obs, next, n * dims * sizeof *obs) != 0) return false;
  uint64_t changes_n = 0;
  for (size_t i = 1; i < n; i++)
    changes_n += memcmp(obs + (i - 1) * dims, obs + i * dims, dims * sizeof *obs) != 0;
  return nearly_all(changes_n, n - 1);
}

static uint32_t bits_of(const float *x, size_t n) {
  uint32_t all = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    all |= bits;
  }
  return all;
}

static const struct rounding *rounding_of(uint32_t bits) {
  const struct rounding *r = ROUNDINGS;
  while (bits & r->unset) r++;
  return r;
}

void px_flat_jumps_learn(struct px_flat_jumps *j, const float *obs, const float *next, size_t n) {
  px_running_stats_add(&j->obs, obs, n, j->dims, j->scratch);
  j->obs_bits |= bits_of(obs, n * j->dims);
  j->next_bits |= bits_of(next, n * j->dims);
  /* Two arrays rounded alike hold the same numbers; the tolerance is for one that is coarser than
   * the other. */
  const struct rounding *a = rounding_of(j->obs_bits), *b = rounding_of(j->next_bits);
  const struct rounding *r = a == b ? rounding_of(UINT32_MAX) : a < b ? a : b;
  j->relative = r->relative;
  for (uint32_t k = 0; k < j->dims; k++) {
    const double deviation = sqrt(j->obs.m2[k] / (double)j->obs.n);
    /* Numbers that are not finite are refused where they are, so they must not move the
     * trajectories before them. */
    j->absolute[k] = isfinite(deviation) ? r->of_deviation * deviation : INFINITY;
  }
}

static bool differ(const struct px_flat_jumps *j, const float *a, const float *b) {
  for (uint32_t k = 0; k < j->dims; k++) {
    if (a[k] == b[k] || isnan(a[k]) || isnan(b[k])) continue;
    const double x = (double)a[k], y = (double)b[k];
    if (!(fabs(x - y) <= j->relative * fmax(fabs(x), fabs(y)) + j->absolute[k])) return true;
  }
  return false;
}

bool px_flat_jumps_between(struct px_flat_jumps *j, const float *next, const float *obs) {
  const bool jump = memcmp(next, obs, j->dims * sizeof *obs) != 0 && differ(j, next, obs);
  j->compared_n++;
  j->jumps_n += jump;
  return jump;
}

enum px_status px_flat_jumps_judge(const struct px_flat_jumps *j, uint64_t least,
                                   struct px_err *err) {
  if (j->compared_n < least || !nearly_all(j->jumps_n, j->compared_n)) return PX_OK;
  px_fail_at(err, PX_E_BAD_DATA, "next_observations",
             "at %" PRIu64 " of the %" PRIu64 " steps compared, 'next_observations' is "
             "not the observation of the following row: the rows are not in the order in which "
             "they were recorded",
             j->jumps_n, j->compared_n);
  px_fail_hint(err, "Save the transitions in order, one episode after the other: a replay buffer "
                    "before it is shuffled or "
                    "sampled, parallel environments one by one. Where each row is an episode, set "
                    "'timeouts' to 1 in all rows.");
  return PX_E_BAD_DATA;
}
