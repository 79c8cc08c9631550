/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalisation of states and changes, for the files of this folder only. A struct
 * idm_norm is read-only after it is made, and its maker frees it.
 */
#ifndef PX_IDM_NORM_H
#define PX_IDM_NORM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/data/dataset.h"
#include "lib/idm/idm.h"

/* A transition: step t of trajectory traj. */
struct idm_step {
  uint32_t traj, t;
};

struct idm_norm {
  uint32_t obs_dim;
  /* [4, O] mean and std of states, mean and std of changes, over ALL trajectories; std 0: left
   * out */
  double *stats;
  /* NULL without the option; [O, 2 O + 1] of states, of changes, and a constant; row 0: has none */
  double *residual;
  /* some coordinate has a residual: then velocities are observed, and changes before s_t are
   * left out */
  bool kinematic;
  float *scales; /* [4, O] the same as mean and 1 / std (0 for 0), in float32 */
};
enum { IDM_STATE_MEAN, IDM_STATE_STD, IDM_CHANGE_MEAN, IDM_CHANGE_STD, IDM_STATS_N };

/* stats all 0: idm_norm_measure or the caller fills them, then idm_norm_ready. */
enum px_status idm_norm_new(uint32_t obs_dim, struct idm_norm **out) PX_MUST_CHECK;
void idm_norm_free(struct idm_norm *norm);
/* Makes room for residuals, all 0, where O is at most IDM_RESIDUAL_OBS_MAX; else there are none. */
enum { IDM_RESIDUAL_OBS_MAX = 256 };
enum px_status idm_norm_add_residuals(struct idm_norm *norm) PX_MUST_CHECK;
static inline bool idm_norm_has_residual(const struct idm_norm *norm, uint32_t i) {
  return norm->residual &&
         (norm->residual[(size_t)i * (2 * (size_t)norm->obs_dim + 1) + norm->obs_dim + i] < 0 ||
          norm->residual[(size_t)i * (2 * (size_t)norm->obs_dim + 1) + norm->obs_dim + i] > 0);
}
/* Coordinate i's residual of the change from one state to the next. */
double idm_norm_residual(const struct idm_norm *norm, uint32_t i, const float *from,
                         const float *to);
/* Population statistics in float64. The std of what is constant is 0, and its
 * inverse in `scales` too: it is left out (px_running_stats_scale). */
void idm_norm_measure(struct idm_norm *norm, const struct px_dataset *ds);
void idm_norm_ready(struct idm_norm *norm);

/* Also leaves out what is constant in the windows of steps[n], from which
 * nothing can be learned about it: it may move elsewhere. */
enum px_status idm_norm_leave_out(struct idm_norm *norm, const struct px_dataset *ds,
                                  const struct idm_spec *spec, const struct idm_step *steps,
                                  uint32_t n) PX_MUST_CHECK;

#endif
