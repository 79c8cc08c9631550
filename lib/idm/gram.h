/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ridge regression on windows, by float64 normal equations. Used by the skip
 * path of a member and by the baselines. A struct idm_gram belongs to one
 * thread and to whoever made it.
 *
 * The last input is a constant 1, appended here, which is not penalised. The
 * penalty is lambda n: inputs are of unit variance, so lambda has no unit.
 */
#ifndef PX_IDM_GRAM_H
#define PX_IDM_GRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct idm_gram {
  uint32_t in, out; /* without the constant */
  double n;
  double *xx;   /* [in + 1, in + 1], upper triangle filled */
  double *xy;   /* [in + 1, out] */
  double *yy;   /* [out] */
  double *four; /* [4, in + 1 + out] scratch: the rows that are being added */
};

enum px_status idm_gram_new(uint32_t in, uint32_t out, struct idm_gram **gram) PX_MUST_CHECK;
void idm_gram_free(struct idm_gram *gram);
/* Adds n rows x[n,in], y[n,out]. */
void idm_gram_add(struct idm_gram *gram, uint32_t n, const float *x, const float *y);
/* a += sign b. */
void idm_gram_combine(struct idm_gram *a, const struct idm_gram *b, double sign);

/* w[in + 1, out] minimises |X w - Y|^2 + lambda n |w|^2. NAN_LOSS when
 * the matrix is not positive definite: numbers that are not finite, or lambda below rounding. */
enum px_status idm_gram_solve(const struct idm_gram *gram, double lambda, double *w) PX_MUST_CHECK;
/* |X w - Y|^2 over the gram's rows, from its sums alone. */
double idm_gram_error(const struct idm_gram *gram, const double *w);

/* In place: the upper triangle of a [n, n] becomes U with U^T U = a; false when a is not positive
 * definite. */
bool idm_gram_cholesky(size_t n, double *a) PX_MUST_CHECK;
/* w [n, out] = (U^T U)^-1 w. */
void idm_gram_cholesky_solve(size_t n, size_t out, const double *u, double *w);

#endif
