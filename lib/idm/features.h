/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the inputs of a model leave out or replace, measured on the dataset
 * before training: see idm_features_measure. Used by prepare.c only.
 */
#ifndef PX_IDM_FEATURES_H
#define PX_IDM_FEATURES_H

#include "lib/data/dataset.h"
#include "lib/idm/norm.h"

/* Of a spec with inputs difference, after idm_norm_leave_out; labelled[n] are all labelled steps.
 *
 * residuals: coordinate i is kinematic where |corr(s'_i - s_i, s_j + s'_j)| is above 0.85 for some
 * j that is not kinematic itself: it integrates j, so its change tells next to nothing but j. The
 * change is replaced by what a linear regression on the states and changes of all coordinates that
 * are not kinematic leaves of it, over its standard deviation: norm->residual. States that hold a
 * velocity make the past of the window worth little, and off the labelled data it misleads: its
 * changes are left out then. Measured on all trajectories, for no action is needed.
 *
 * shift_max: a coordinate whose s_t lies outside the labelled steps' 0.5 to 99.5% in more than this
 * share of the unlabelled steps is left out of the place of s_t, since its level tells the net
 * where it may not go on. Its changes stay.
 *
 * At most IDM_FEATURES_ROWS evenly spaced steps of each kind are looked at. */
enum { IDM_FEATURES_ROWS = 20000 };
enum px_status idm_features_measure(struct idm_norm *norm, const struct px_dataset *ds,
                                    const struct idm_spec *spec, const struct idm_step *labelled,
                                    uint32_t n) PX_MUST_CHECK;

#endif
