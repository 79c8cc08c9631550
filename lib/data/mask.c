/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing which known actions to hide: see mask.h. */
#include "lib/data/mask.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"

struct ranked {
  double ret;
  uint32_t traj;
  uint32_t lot;
};

/* Lots settle ties: with upload order the first to come would always be the lowest. */
static int by_return(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (isnan(x->ret) != isnan(y->ret)) return isnan(x->ret) ? -1 : 1;
  if (x->ret < y->ret || x->ret > y->ret) return x->ret < y->ret ? -1 : 1;
  if (x->lot != y->lot) return x->lot < y->lot ? -1 : 1;
  return x->traj < y->traj ? -1 : 1;
}

/* floor(n x), where 100 * 0.29 means 29 in spite of binary fractions. */
static uint32_t part_of(uint32_t n, double x) { return (uint32_t)floor(n * x + 1e-9); }

static uint32_t at_least_one(uint32_t n) { return n ? n : 1; }

static void choose(const struct px_mask *mask, const struct ranked *ranked, uint32_t n,
                   uint32_t *items, uint8_t *keep) {
  const uint32_t bottom = at_least_one(part_of(n, mask->q)),
                 share = at_least_one(part_of(n, mask->p));
  for (uint32_t i = 0; i < bottom; i++) items[i] = ranked[i].traj;
  struct px_rng rng = px_rng_at(mask->seed, px_rng_stream("mask", 0), 0);
  px_rng_shuffle(&rng, items, bottom);
  for (uint32_t i = 0; i < bottom && i < share; i++) keep[items[i]] = 1;
}

struct px_mask px_mask_from_json(const json_t *mask) {
  const char *protocol = json_string_value(json_object_get(mask, "protocol"));
  if (!protocol || strcmp(protocol, "coupled") != 0)
    return (struct px_mask){ .protocol = PX_MASK_NONE };
  return (struct px_mask){ .protocol = PX_MASK_COUPLED,
                           .p = json_number_value(json_object_get(mask, "p")) / 100,
                           .q = json_number_value(json_object_get(mask, "q")) / 100,
                           .seed = (uint64_t)json_integer_value(json_object_get(mask, "seed")) };
}

enum px_status px_mask_choose(const struct px_mask *mask, const double *returns,
                              const uint8_t *has_labels, uint32_t traj_n, uint8_t *keep,
                              struct px_err *err) {
  if (mask->protocol == PX_MASK_NONE) {
    for (uint32_t i = 0; i < traj_n; i++) keep[i] = has_labels[i] != 0;
    return PX_OK;
  }
  if (!(mask->p > 0 && mask->p <= 1) || !(mask->q > 0 && mask->q <= 1))
    return px_fail(err, PX_E_BAD_FIELD, "a mask needs p and q in (0, 1], not %g and %g", mask->p,
                   mask->q);
  struct ranked *ranked = px_mem_calloc(traj_n, sizeof *ranked);
  uint32_t *items = px_mem_calloc(traj_n, sizeof *items);
  enum px_status status = PX_OK;
  uint32_t n = 0;
  if (!ranked || !items) {
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to choose among the trajectories");
    goto out;
  }
  struct px_rng lots = px_rng_at(mask->seed, px_rng_stream("mask ties", 0), 0);
  for (uint32_t i = 0; i < traj_n; i++)
    if (has_labels[i]) ranked[n++] = (struct ranked){ returns[i], i, px_rng_u32(&lots) };
  if (n == 0) {
    status =
      px_fail(err, PX_E_NO_LABELS, "no trajectory has a true action, so there is nothing to hide");
    goto out;
  }
  qsort(ranked, n, sizeof *ranked, by_return);
  memset(keep, 0, traj_n);
  choose(mask, ranked, n, items, keep);
out:
  free(items);
  free(ranked);
  return status;
}
