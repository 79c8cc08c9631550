/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Decision Transformer (Chen et al. 2021, arXiv 2106.01345) with the
 * stochastic head and objective of Online DT (Zheng et al. 2022, arXiv
 * 2202.05607), which SS-ORL trains: over the steps with a known action
 *
 *   L = mean w (-log pi(a_t | history)) - temperature mean w H(pi(. | history))
 *
 * The entropy H of the squashed Gaussian is estimated by one reparameterised
 * draw. For discrete actions L is the softmax cross entropy alone. LAMB with a
 * linear warm-up and the gradient's norm clipped. Used through the table in
 * rl.c; open for the golden test and benchmarks. One struct dt belongs to one
 * thread and lies in an arena with all it points to.
 *
 * Two differences from the papers: trajectories are not padded (dt_windows.h),
 * and the temperature is constant where Online DT adapts it.
 */
#ifndef PX_RL_ALGO_DT_H
#define PX_RL_ALGO_DT_H

#include "lib/base/fail.h"
#include "lib/nn/lamb.h"
#include "lib/rl/algo/dt_net.h"
#include "lib/rl/algo/dt_windows.h"

enum { DT_LOSS, DT_LOSS_NLL, DT_LOSS_ENTROPY, DT_LOSS_NORM, DT_LOSSES_N };

struct dt {
  uint64_t seed;
  float lr, temperature;
  uint64_t warmup;            /* updates in which the learning rate grows to lr */
  struct dt_windows *windows; /* NULL: the caller fills batch and noise itself */
  double return_scale;
  struct dt_net *net;
  struct px_lamb lamb;
  struct dt_work *work; /* for `chunk` sequences */
  uint32_t chunk;
  struct dt_batch batch;
  float *noise;            /* [steps, A] unit normal */
  float *grads;            /* [net->params_n] */
  float *dfirst, *dsecond; /* [chunk steps, A] */
};

/* The net initialised from the seed. act_dim: of discrete actions, how many there are. */
enum px_status dt_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                      uint32_t act_dim, bool discrete, uint32_t timesteps, struct dt **out,
                      struct px_err *err) PX_MUST_CHECK;
/* dt->grads and the losses but for the norm, from batch and noise as they stand. step: for
 * dropout. */
void dt_gradients(struct dt *dt, uint64_t step, double losses[DT_LOSSES_N]);
/* One update: gradients, then LAMB with the step's learning rate. */
void dt_update(struct dt *dt, uint64_t step, double losses[DT_LOSSES_N]);

#endif
