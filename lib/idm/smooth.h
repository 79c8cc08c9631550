/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A smooth function by ridge regression, cross-fitted: of inputs x[in] the
 * features are x itself, where in is at most IDM_SMOOTH_LINEAR_MAX, and
 * IDM_SMOOTH_UNITS fixed random tanh(w x + b) (Rahimi and Recht 2008; w normal
 * with variance 1 / in, b normal). Used by bias.c. One thread; the maker frees it.
 *
 * Rows belong to one of IDM_SMOOTH_FOLDS folds. The penalty of a fixed grid is
 * taken whose squared error over all folds, each held out in turn, is least; the
 * largest leaves next to nothing but the mean. Inputs should be of unit variance.
 */
#ifndef PX_IDM_SMOOTH_H
#define PX_IDM_SMOOTH_H

#include <stdint.h>

#include "lib/base/status.h"

/* ALL stands for a fold where no rows are held out; ROWS a call takes at most. */
enum { IDM_SMOOTH_FOLDS = 5, IDM_SMOOTH_ALL = IDM_SMOOTH_FOLDS, IDM_SMOOTH_ROWS = 256 };
enum { IDM_SMOOTH_UNITS = 256, IDM_SMOOTH_LINEAR_MAX = 128 };

struct idm_smooth;
enum px_status idm_smooth_new(uint32_t in, uint32_t out, struct idm_smooth **smooth) PX_MUST_CHECK;
void idm_smooth_free(struct idm_smooth *smooth);
/* Adds x[n,in] and y[n,out] to a fold; every row once. */
void idm_smooth_add(struct idm_smooth *smooth, uint32_t fold, uint32_t n, const float *x,
                    const float *y);
/* After all rows. NAN_LOSS when numbers are not finite. */
enum px_status idm_smooth_fit(struct idm_smooth *smooth) PX_MUST_CHECK;
/* y[n,out] by the function that was fitted without the fold's rows. */
void idm_smooth_predict(struct idm_smooth *smooth, uint32_t fold, uint32_t n, const float *x,
                        float *y);

#endif
