/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses and their gradients, by rows, so that a batch can be taken in chunks.
 * Used by every trainer. Nothing is owned; thread safe.
 *
 * Each returns its share of the batch's loss, already multiplied by `scale`
 * (1 / batch, or 1 / (batch dims) for a mean over elements too), and writes the
 * gradients of that. weight [n] multiplies rows; NULL: all 1.
 */
#ifndef PX_NN_LOSS_H
#define PX_NN_LOSS_H

#include <stdint.h>

/* sum_i w_i sum_j (y_ij - target_ij)^2; dy [n,dims] = 2 scale w (y - target). */
double px_loss_mse(uint32_t n, uint32_t dims, const float *y, const float *target,
                   const float *weight, double scale, float *dy);

/* Softmax cross entropy: sum_i w_i (log sum_j exp y_ij - y_i,target_i) for the class indices target
 * [n]; dy [n,classes] = scale w (softmax(y) - [j = target]). */
double px_loss_softmax(uint32_t n, uint32_t classes, const float *y, const float *target,
                       const float *weight, double scale, float *dy);

/* log sigma = CENTER + RANGE tanh(y): sigma is in [0.0067, 7.39]. */
#define PX_LOSS_LOG_SIGMA_CENTER (-1.5F)
#define PX_LOSS_LOG_SIGMA_RANGE 3.5F

/* Negative log-likelihood of a tanh-squashed Gaussian (SS-ORL, arXiv 2210.06518):
 * u = atanh(a), z = (u - mu) / sigma,
 * sum_j z^2/2 + log sigma + log(2 pi)/2 + log(1 - a^2).
 * mu, y, action: [n,dims], action in (-1,1), clamped to +-(1 - 1e-6).
 * dmu, dy [n,dims] are written; mu is never clamped: it lives before the tanh. */
double px_loss_squashed_nll(uint32_t n, uint32_t dims, const float *mu, const float *y,
                            const float *action, const float *weight, double scale, float *dmu,
                            float *dy);

/* Minus the entropy of the same law, estimated by one draw u = mu + sigma noise for each row (unit
 * normal noise [n,dims]): -sum_i w_i sum_j noise^2/2 + log sigma + log(2 pi)/2 + log(1 -
 * tanh(u)^2). Its gradients through the draw are ADDED to dmu, dy [n,dims]. Source: Online DT
 * (Zheng et al. 2022, arXiv 2202.05607). */
double px_loss_squashed_entropy(uint32_t n, uint32_t dims, const float *mu, const float *y,
                                const float *noise, const float *weight, double scale, float *dmu,
                                float *dy);

#endif
