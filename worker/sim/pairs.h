/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transitions that a simulator makes from the data's own states with actions drawn at random: what
 * a net learns the inverse from (net.h). Used by the job that trains it, by the helper that runs a
 * user's model, by tests and by the bench. A pair is a function of model, data, seed and number.
 *
 * A clipped or unobserved velocity of a start state is the difference of the positions before and
 * after, beyond its clip; a pair holds the observation, clipped as the data's.
 *
 * Ownership: the caller's; sim and dataset are borrowed. One thread.
 */
#ifndef PX_SIM_PAIRS_H
#define PX_SIM_PAIRS_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "worker/sim/sim.h"

enum { SIM_PAIRS_MAX = 4000000 };

/* Units of u: 0 is the middle of an action's declared range, -1 and 1 its ends. */
struct sim_pairs {
  uint32_t n, obs_dim, act_dim;
  uint32_t delay;                             /* of the layout that made them */
  double low[SIM_ACT_MAX], high[SIM_ACT_MAX]; /* of u, inside the control's own range */
  float *x, *u;                               /* [n, 2 O] s, s' - s; [n, A] */
};
/* Room for n. NULL when out of memory. */
struct sim_pairs *sim_pairs_new(const struct px_spaces *spaces, uint32_t n);
void sim_pairs_free(struct sim_pairs *pairs);

/* n pairs of a seed. options: std alone is used. BAD_FIELD for 0 or more than SIM_PAIRS_MAX;
 * BAD_DATA when no start of a hundred in a row is stable. Phase "simulate", pairs done of all. */
enum px_status sim_pairs_make(struct sim *sim, const struct sim_options *options,
                              const struct px_dataset *ds, uint64_t seed, uint32_t n,
                              const struct px_progress *progress, struct sim_pairs **out,
                              struct px_err *err) PX_MUST_CHECK;

/* The same in parts, for a helper that has no room for all: `from` to `from` + part->n - 1 of n. */
enum px_status sim_pairs_part(struct sim *sim, const struct sim_options *options,
                              const struct px_dataset *ds, uint64_t seed, uint32_t from, uint32_t n,
                              const struct px_progress *progress, struct sim_pairs *part,
                              struct px_err *err) PX_MUST_CHECK;

#endif
