/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linear inverse dynamics model: ridge regression on windows. Used by the
 * linear path of a member and by the baseline. Nothing is kept here.
 *
 * lambda is the one of a fixed grid whose squared error over ALL folds of the
 * labelled transitions, each held out in turn, is least. One member's fold
 * alone would be too few trajectories to judge by. M outputs: A, or one for
 * each discrete action, which regresses on the classes' indicators.
 *
 * Time and memory are bounded. Where there are more inputs than rows, and always
 * beyond IDM_RIDGE_SYSTEM_MAX inputs, it is solved in its dual form, whose system
 * is the rows' (dual.h). Where all labelled rows would take too long, evenly
 * spaced ones are fitted (idm_ridge_rows).
 */
#ifndef PX_IDM_RIDGE_H
#define PX_IDM_RIDGE_H

#include "lib/data/dataset.h"
#include "lib/idm/norm.h"

/* Reports phase "ridge", systems solved of all. Chooses lambda on labelled[n], whose folds are
 * those of spec's members, and fits on train[train_n]. linear: [M, in], then the bias [M]. */
enum px_status idm_ridge_fit(const struct px_dataset *ds, const struct idm_norm *norm,
                             const struct idm_spec *spec, const struct idm_step *labelled,
                             uint32_t n, const struct idm_step *train, uint32_t train_n,
                             const struct px_progress *progress, float *linear) PX_MUST_CHECK;

enum { IDM_RIDGE_SYSTEM_MAX = 2048 };
/* How many of n labelled rows of `in` inputs are fitted. */
uint32_t idm_ridge_rows(uint32_t in, uint32_t n);

#endif
