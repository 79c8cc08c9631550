/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tanh-squashed Gaussian over actions: drawing from it, its log-density and
 * the gradients of both. Used by the algorithms whose actor is stochastic.
 * Nothing is owned; thread safe; nothing allocates.
 *
 * An actor's output y [n, 2A] holds, by rows, mu and then o:
 *
 *   log sigma = clip(m o + b, -20, 2);  u = mu + sigma eps;  a = tanh(u)
 *   log pi(a) = sum_j -eps^2/2 - log sigma - log(2 pi)/2 - log(1 - a^2)
 *
 * Source: Haarnoja et al. 2018 (arXiv 1801.01290, appendix C); m and b, learned
 * too where an algorithm wants it, as in the code published with CQL (arXiv
 * 2006.04779). Since log(1 - tanh(u)^2) = 2 (log 2 - |u| - log(1 + exp(-2|u|))), it
 * stays exact where tanh(u) rounds to 1.
 */
#ifndef PX_RL_ALGO_GAUSSIAN_H
#define PX_RL_ALGO_GAUSSIAN_H

#include <stdbool.h>
#include <stdint.h>

#define GAUSSIAN_LOG_SIGMA_MIN (-20.0F)
#define GAUSSIAN_LOG_SIGMA_MAX 2.0F

struct gaussian {
  uint32_t act_dim;
  float m, b;
};

/* Draws `times` actions for each of n rows: noise [n, times, A] unit normal ->
 * action [n, times, A] and, unless NULL, log_pi [n, times]. */
void gaussian_sample(const struct gaussian *g, uint32_t n, uint32_t times, const float *y,
                     const float *noise, float *action, float *log_pi);
/* Through one draw per row (reparameterisation): from da [n, A] = dL/da (NULL: 0) and
 * dlog_pi [n] = dL/dlog_pi, writes dy [n, 2A] = dL/dy (+= if `add`) and adds dL/dm, dL/db to
 * dmb[2]. */
void gaussian_sample_back(const struct gaussian *g, uint32_t n, const float *y, const float *noise,
                          const float *action, const float *da, const float *dlog_pi, bool add,
                          float *dy, double dmb[2]);

/* log_pi [n] of given actions [n, A], which are kept within +-(1 - 1e-6). */
void gaussian_log_pi(const struct gaussian *g, uint32_t n, const float *y, const float *action,
                     float *log_pi);
/* From dlog_pi [n]; the actions are constants. */
void gaussian_log_pi_back(const struct gaussian *g, uint32_t n, const float *y, const float *action,
                          const float *dlog_pi, bool add, float *dy, double dmb[2]);

#endif
