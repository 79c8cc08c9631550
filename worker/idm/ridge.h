/*
 * The linear inverse dynamics model: ridge regression on windows. Used by the
 * linear path of a member and by the yardstick. Nothing is kept here.
 *
 * lambda is the one of a fixed grid whose squared error over ALL folds of the
 * labelled transitions, each held out in turn, is least. One member's fold
 * alone would be too few trajectories to judge by. M outputs: A, or one for
 * each discrete action, which regresses on the classes' indicators.
 */
#ifndef PX_IDM_RIDGE_H
#define PX_IDM_RIDGE_H

#include "worker/idm/window.h"

/* Chooses lambda on labelled[n], whose folds are those of spec's members, and
 * fits on train[train_n]. linear: [M, in], then the bias [M]. */
enum px_status idm_ridge_fit(const struct px_dataset *ds, const struct idm_norm *norm, const struct idm_spec *spec,
                             const struct idm_step *labelled, uint32_t n, const struct idm_step *train,
                             uint32_t train_n, const struct px_progress *progress, float *linear) PX_MUST_CHECK;

#endif
