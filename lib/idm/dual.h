/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ridge regression by its dual form, for windows of more numbers than there are
 * rows: with K = X X^T, whose size is the rows', lambda needs no system of the
 * inputs' size. Used by ridge.c. A struct idm_dual belongs to one thread and to
 * whoever made it.
 *
 * Equal to linear.h: the constant is not penalised (K and Y are centred by the
 * means of the rows that are fitted), and the penalty is lambda n.
 */
#ifndef PX_IDM_DUAL_H
#define PX_IDM_DUAL_H

#include <stdint.h>

#include "lib/base/status.h"

struct idm_dual {
  uint32_t n, out;
  double *k;             /* [n, n] products of all rows */
  double *y;             /* [n, out] */
  double *u, *weight;    /* [n, n] scratch; [n, out] of the rows that were fitted */
  double *mean, *y_mean; /* [n] mean product with each fitted row; [out] */
  double mean_mean;
};

/* k and y are 0: the caller fills y, and k by idm_dual_products. */
enum px_status idm_dual_new(uint32_t n, uint32_t out, struct idm_dual **dual) PX_MUST_CHECK;
void idm_dual_free(struct idm_dual *dual);
/* k of rows [i, i + a_n) and [j, j + b_n), both ways; a [a_n, in] and b [b_n, in] are their
 * inputs. */
void idm_dual_products(struct idm_dual *dual, uint32_t in, uint32_t i, uint32_t a_n, const float *a,
                       uint32_t j, uint32_t b_n, const float *b);
/* Fits rows[m], which ascend; prediction(x) = sum_i weight_i x_i x + bias. NAN_LOSS when the system
 * is not positive definite. */
enum px_status idm_dual_solve(struct idm_dual *dual, const uint32_t *rows, uint32_t m,
                              double lambda) PX_MUST_CHECK;
/* |prediction - Y|^2 over held[held_n], after idm_dual_solve with rows[m]. */
double idm_dual_error(const struct idm_dual *dual, const uint32_t *rows, uint32_t m,
                      const uint32_t *held, uint32_t held_n);
/* bias[out] after idm_dual_solve with rows[m]. */
void idm_dual_bias(const struct idm_dual *dual, const uint32_t *rows, uint32_t m, double *bias);

#endif
