/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/loss.h"

#include <math.h>
#include <stddef.h>

double px_loss_mse(uint32_t n, uint32_t dims, const float *y, const float *target,
                   const float *weight, double scale, float *dy) {
  double loss = 0;
  for (size_t i = 0; i < n; i++) {
    const double w = (weight ? (double)weight[i] : 1) * scale;
    double row = 0;
    for (size_t j = i * dims; j < (i + 1) * dims; j++) {
      const double diff = (double)y[j] - (double)target[j];
      row += diff * diff;
      dy[j] = (float)(2 * w * diff);
    }
    loss += w * row;
  }
  return loss;
}

double px_loss_softmax(uint32_t n, uint32_t classes, const float *y, const float *target,
                       const float *weight, double scale, float *dy) {
  double loss = 0;
  for (size_t i = 0; i < n; i++, y += classes, dy += classes) {
    const double w = (weight ? (double)weight[i] : 1) * scale;
    const size_t class = (size_t)target[i];
    float largest = y[0]; /* subtracted first, so that no exponential overflows */
    for (size_t j = 1; j < classes; j++) largest = fmaxf(largest, y[j]);
    double sum = 0;
    for (size_t j = 0; j < classes; j++) sum += (double)(dy[j] = expf(y[j] - largest));
    for (size_t j = 0; j < classes; j++) dy[j] = (float)(w * ((double)dy[j] / sum - (j == class)));
    loss += w * (log(sum) + (double)largest - (double)y[class]);
  }
  return loss;
}

double px_loss_squashed_nll(uint32_t n, uint32_t dims, const float *mu, const float *y,
                            const float *action, const float *weight, double scale, float *dmu,
                            float *dy) {
  const float edge = 1 - 1e-6F, half_log_2pi = 0.918938533204672742F;
  double loss = 0;
  for (size_t i = 0; i < n; i++) {
    const double w = (weight ? (double)weight[i] : 1) * scale;
    double row = 0;
    for (size_t j = i * dims; j < (i + 1) * dims; j++) {
      const float a = fminf(fmaxf(action[j], -edge), edge), t = tanhf(y[j]);
      const float log_sigma = PX_LOSS_LOG_SIGMA_CENTER + PX_LOSS_LOG_SIGMA_RANGE * t;
      const float inv_sigma = expf(-log_sigma), z = (atanhf(a) - mu[j]) * inv_sigma;
      row += (double)(0.5F * z * z + log_sigma + half_log_2pi + logf((1 - a) * (1 + a)));
      dmu[j] = (float)(w * (double)(-z * inv_sigma));
      dy[j] = (float)(w * (double)((1 - z * z) * PX_LOSS_LOG_SIGMA_RANGE * (1 - t * t)));
    }
    loss += w * row;
  }
  return loss;
}

/* log(1 - tanh(u)^2) = 2 (log 2 - |u| - log(1 + exp(-2|u|))), whose slope is -2 tanh(u). */
double px_loss_squashed_entropy(uint32_t n, uint32_t dims, const float *mu, const float *y,
                                const float *noise, const float *weight, double scale, float *dmu,
                                float *dy) {
  const float half_log_2pi = 0.918938533204672742F, log_4 = 1.38629436111989062F;
  double loss = 0;
  for (size_t i = 0; i < n; i++) {
    const double w = (weight ? (double)weight[i] : 1) * scale;
    double row = 0;
    for (size_t j = i * dims; j < (i + 1) * dims; j++) {
      const float t = tanhf(y[j]),
                  log_sigma = PX_LOSS_LOG_SIGMA_CENTER + PX_LOSS_LOG_SIGMA_RANGE * t;
      const float away = expf(log_sigma) * noise[j], u = mu[j] + away, e = expf(-2 * fabsf(u));
      const float squashed = copysignf((1 - e) / (1 + e), u);
      row += (double)(0.5F * noise[j] * noise[j] + log_sigma + half_log_2pi + log_4 -
                      2 * (fabsf(u) + log1pf(e)));
      dmu[j] += (float)(w * (double)(2 * squashed));
      dy[j] +=
        (float)(w * (double)((2 * squashed * away - 1) * PX_LOSS_LOG_SIGMA_RANGE * (1 - t * t)));
    }
    loss -= w * row;
  }
  return loss;
}
