/* SPDX-License-Identifier: Apache-2.0 */
/* The tanh-squashed Gaussian: see gaussian.h. */
#include "lib/rl/algo/gaussian.h"

#include <math.h>
#include <stddef.h>

#include "lib/data/spaces.h"

static const float half_log_2pi = 0.918938533204672742F, log_4 = 1.38629436111989062F;

static float log_sigma_of(const struct gaussian *g, float o) {
  return fminf(fmaxf(g->m * o + g->b, GAUSSIAN_LOG_SIGMA_MIN), GAUSSIAN_LOG_SIGMA_MAX);
}

/* The clip lets a gradient through inside and at its bounds. */
static bool free_sigma(const struct gaussian *g, float o) {
  const float x = g->m * o + g->b;
  return x >= GAUSSIAN_LOG_SIGMA_MIN && x <= GAUSSIAN_LOG_SIGMA_MAX;
}

/* action[A] for a row's mu[A]; gives log pi. One exponential serves both tanh(u) and log(1 -
 * tanh(u)^2). */
static float draw(uint32_t a, const float *mu, const float *sigma, float log_pi, const float *noise,
                  float *action) {
  for (uint32_t j = 0; j < a; j++) {
    const float u = mu[j] + sigma[j] * noise[j], e = expf(-2 * fabsf(u));
    action[j] = copysignf((1 - e) / (1 + e), u);
    log_pi -= 0.5F * noise[j] * noise[j] + log_4 - 2 * (fabsf(u) + log1pf(e));
  }
  return log_pi;
}

void gaussian_sample(const struct gaussian *g, uint32_t n, uint32_t times, const float *y,
                     const float *noise, float *action, float *log_pi) {
  const uint32_t a = g->act_dim;
  float sigma[PX_ACT_MAX];
  for (uint32_t i = 0; i < n; i++, y += 2 * (size_t)a) {
    float constant = 0;
    for (uint32_t j = 0; j < a; j++) {
      const float log_sigma = log_sigma_of(g, y[a + j]);
      sigma[j] = expf(log_sigma);
      constant -= log_sigma + half_log_2pi;
    }
    for (uint32_t t = 0; t < times; t++, noise += a, action += a) {
      const float density = draw(a, y, sigma, constant, noise, action);
      if (log_pi) *log_pi++ = density;
    }
  }
}

/* dL/dmu and dL/dlog sigma of one element go to its places in dy, and to m and b. */
static void put_gradients(const struct gaussian *g, const float *y, uint32_t j, float dmu,
                          float dlog_sigma, bool add, float *dy, double dmb[2]) {
  const uint32_t a = g->act_dim;
  const float dx = free_sigma(g, y[a + j]) ? dlog_sigma : 0;
  dy[j] = dmu + (add ? dy[j] : 0);
  dy[a + j] = g->m * dx + (add ? dy[a + j] : 0);
  dmb[0] += (double)dx * (double)y[a + j];
  dmb[1] += (double)dx;
}

/* du = dL/du: dmu = du; dlog sigma = du sigma eps - dlog_pi; -log(1 - a^2) grows by 2 a with u. */
void gaussian_sample_back(const struct gaussian *g, uint32_t n, const float *y, const float *noise,
                          const float *action, const float *da, const float *dlog_pi, bool add,
                          float *dy, double dmb[2]) {
  const uint32_t a = g->act_dim;
  for (uint32_t i = 0; i < n; i++, y += 2 * (size_t)a, dy += 2 * (size_t)a)
    for (uint32_t j = 0; j < a; j++) {
      const size_t at = (size_t)i * a + j;
      const float x = action[at], du = 2 * x * dlog_pi[i] + (da ? da[at] * (1 - x) * (1 + x) : 0);
      put_gradients(g, y, j, du, du * expf(log_sigma_of(g, y[a + j])) * noise[at] - dlog_pi[i], add,
                    dy, dmb);
    }
}

static float inside(float action) {
  const float edge = 1 - 1e-6F;
  return fminf(fmaxf(action, -edge), edge);
}

void gaussian_log_pi(const struct gaussian *g, uint32_t n, const float *y, const float *action,
                     float *log_pi) {
  const uint32_t a = g->act_dim;
  for (uint32_t i = 0; i < n; i++, y += 2 * (size_t)a, action += a) {
    log_pi[i] = 0;
    for (uint32_t j = 0; j < a; j++) {
      const float x = inside(action[j]), log_sigma = log_sigma_of(g, y[a + j]);
      const float z = (atanhf(x) - y[j]) * expf(-log_sigma);
      log_pi[i] -= 0.5F * z * z + log_sigma + half_log_2pi + logf((1 - x) * (1 + x));
    }
  }
}

void gaussian_log_pi_back(const struct gaussian *g, uint32_t n, const float *y, const float *action,
                          const float *dlog_pi, bool add, float *dy, double dmb[2]) {
  const uint32_t a = g->act_dim;
  for (uint32_t i = 0; i < n; i++, y += 2 * (size_t)a, dy += 2 * (size_t)a, action += a)
    for (uint32_t j = 0; j < a; j++) {
      const float inv_sigma = expf(-log_sigma_of(g, y[a + j])),
                  z = (atanhf(inside(action[j])) - y[j]) * inv_sigma;
      put_gradients(g, y, j, dlog_pi[i] * z * inv_sigma, dlog_pi[i] * (z * z - 1), add, dy, dmb);
    }
}
