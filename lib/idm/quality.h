/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good labels are, where the truth is known: a pipeline that hid known
 * actions compares them afterwards. Used by the report job and the bench. One
 * struct idm_quality gathers the sums of one label set and belongs to one
 * thread and its maker.
 *
 * Judged are the steps that are labelled in `truth`, are not in `masked`, and
 * for which a label could be given. Errors are in the units of actions mapped
 * to (-1, 1), so datasets compare. Inside and outside: trajectories whose return
 * lies within, or not, the range of returns of the labelled trajectories, up to
 * rounding (px_dataset_return_slack). Where some trajectory has no return there are no such parts:
 * their figures are of no transition.
 *
 * Of discrete actions the figures are the accuracy and how certain right and
 * wrong labels were; the others are 0.
 */
#ifndef PX_IDM_QUALITY_H
#define PX_IDM_QUALITY_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"

enum { IDM_INTERVALS_N = 3 };
extern const double idm_quality_interval_levels[IDM_INTERVALS_N]; /* 0.5, 0.8, 0.95 */

enum idm_quality_part { IDM_ALL, IDM_INSIDE, IDM_OUTSIDE, IDM_QUALITY_PARTS_N };

struct idm_quality_figures {
  uint64_t n; /* transitions; 0: all else is 0 */
  /* r2: 1 - squared error / squared distance from the mean, all dims together; NAN where true
   * actions do not differ, as with one transition */
  double mse, r2;
  /* Of a Gaussian with the label's total spread, sqrt(std^2 + epistemic^2). */
  double nll; /* per transition, summed over dims */
  /* share of elements inside the central interval of that level */
  double coverage[IDM_INTERVALS_N];
  /* Of discrete actions. */
  double accuracy; /* share of labels that are the true class */
  /* mean std + epistemic of right and of wrong labels; 0 if there are none */
  double score_right, score_wrong;
};

struct idm_quality;
enum px_status idm_quality_new(const struct px_dataset *truth, const struct px_dataset *masked,
                               struct idm_quality **out, struct px_err *err) PX_MUST_CHECK;
void idm_quality_free(struct idm_quality *q);
/* Adds the labels of trajectories [traj_from, ...); arrays as in struct
 * idm_labels, all of them that range's. May be called range by range. */
void idm_quality_add(struct idm_quality *q, uint32_t traj_from, uint32_t traj_to,
                     const float *actions, const float *std, const float *epistemic,
                     const uint8_t *known);
void idm_quality_figures(const struct idm_quality *q, enum idm_quality_part part,
                         struct idm_quality_figures *out);
/* True where there are no returns. */
bool idm_quality_is_inside(const struct idm_quality *q, uint32_t traj);
/* R^2 of each dim over all judged steps: r2[A]; NAN where true actions do not differ. */
void idm_quality_r2_dims(const struct idm_quality *q, double *r2);
/* Of discrete actions: the share of each class's steps that were labelled right,
 * over all judged steps: recall[act_count], NAN where no step is of the class. */
void idm_quality_recall(const struct idm_quality *q, double *recall);

#endif
