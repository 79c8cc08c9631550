/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads and what trains them, for the files of this folder only: loss.c has the formulas.
 */
#ifndef PX_IDM_LOSS_H
#define PX_IDM_LOSS_H

#include "lib/idm/model.h"

/* sigma before the spread's factor, from y, the sigma net's output. */
float idm_loss_sigma(float y);

/* Both gradients of one chunk, and the loss that is minimised, times scale
 * (1 / batch). action in (-1, 1), clamped here. All [n,M]; without a sigma
 * net y, its output, is NULL and dy is not touched. n is at most PX_MLP_CHUNK. */
double idm_loss(const struct idm_spec *spec, uint32_t n, uint32_t outputs, const float *mu,
                const float *y, const float *action, double scale, float *dmu, float *dy);

/* Sums over validation rows, per dim; the arrays [A] belong to the caller. Of a
 * softmax head squared counts wrong labels and log_scale sums the cross entropy.
 * stated: squares of the label's standard deviation, before the spread's factor. */
struct idm_sums {
  double *squared, *stated, *z2, *log_scale, *action, *action2;
  uint64_t n;
};
enum { IDM_SUMS_N = 6 };
/* Adds n rows; label is scratch [n,M]. NLL = (z2 / 2 + log_scale) / n. */
void idm_loss_sums(const struct idm_model *model, uint32_t n, const float *mu, const float *y,
                   const float *action, float *label, struct idm_sums *sums);

#endif
