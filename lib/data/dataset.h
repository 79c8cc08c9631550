/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dataset snapshot in memory: what every trainer, labeller and report reads.
 *
 * Observations are stored once: the next state of step t is row t + 1 of the
 * same trajectory. Loaded from segments in order; read-only after masking, and
 * then shared between threads. The owner frees it.
 */
#ifndef PX_DATA_DATASET_H
#define PX_DATA_DATASET_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"

struct px_dataset {
  struct px_spaces spaces;
  uint32_t traj_n;
  uint32_t unrewarded_n;   /* trajectories without rewards */
  uint64_t steps_n, obs_n; /* sum T, sum (T + f) */
  float *observations;     /* [obs_n, O] */
  float *actions;          /* [steps_n, A]; 0 where not labelled */
  uint8_t *labelled;       /* [steps_n] */
  float *rewards;          /* [steps_n]; NAN where they are not known */
  uint64_t *step_start;    /* [traj_n + 1] first step of each trajectory */
  uint64_t *obs_start;     /* [traj_n + 1] first observation of each trajectory */
  uint8_t *terminated, *truncated, *has_final; /* [traj_n] */
  uint32_t segments_n;
  uint32_t *segment_traj; /* [segments_n + 1] first trajectory of each segment */
};

struct px_dataset_builder;
/* NULL when out of memory. */
struct px_dataset_builder *px_dataset_builder_new(const struct px_spaces *spaces);
/* Appends one segment's bytes (segment.h), copied; n = 0: one that was taken out, without a
 * trajectory. BAD_DATA if it does not parse; the builder is then as before. */
enum px_status px_dataset_builder_segment(struct px_dataset_builder *b, const void *bytes, size_t n,
                                          struct px_err *err) PX_MUST_CHECK;
/* Gives the dataset, which the caller owns, and frees the builder (not on failure). */
enum px_status px_dataset_builder_end(struct px_dataset_builder *b, struct px_dataset **out,
                                      struct px_err *err) PX_MUST_CHECK;
void px_dataset_builder_free(struct px_dataset_builder *b);
void px_dataset_free(struct px_dataset *ds);

/* Which trajectory a step belongs to (binary search). */
uint32_t px_dataset_traj_of_step(const struct px_dataset *ds, uint64_t step);
/* Whether the state after step t (0-based in the trajectory) is known. */
static inline bool px_dataset_next_known(const struct px_dataset *ds, uint32_t traj, uint64_t t) {
  return ds->has_final[traj] || t + 1 < ds->step_start[traj + 1] - ds->step_start[traj];
}
/* Whether all trajectories have a return. Without that nothing is chosen or compared by it. */
static inline bool px_dataset_has_returns(const struct px_dataset *ds) {
  return ds->unrewarded_n == 0;
}
/* undiscounted, float64 sum; NAN without rewards */
double px_dataset_return(const struct px_dataset *ds, uint32_t traj);
/* Returns that differ by no more are equal up to rounding: 1e-5 of the sum of |reward|, some
 * hundred roundings of a float32. Rewards that come from a potential sum up to the same return but
 * for that. */
double px_dataset_return_slack(const struct px_dataset *ds, uint32_t traj);

/* Mean and population standard deviation per observation dimension over all
 * observation rows, in float64 (Welford by chunks). mean, std: [O]. */
void px_dataset_obs_stats(const struct px_dataset *ds, double *mean, double *std);

/* Zeroes the actions of trajectories that keep[] drops, and marks them not
 * labelled: what is hidden is gone from this copy. */
void px_dataset_hide(struct px_dataset *ds, const uint8_t *keep);

#endif
