/* SPDX-License-Identifier: Apache-2.0 */
/* CartPole: see env.h. The letters of the equations are those of Florian 2007, "Correct equations
 * for the dynamics of the cart-pole system", section 3 without friction; the constants are
 * Gymnasium's CartPole-v1. */
#include <math.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "worker/env/env_kind.h"

static const double GRAVITY = 9.8, CART_KG = 1.0, POLE_KG = 0.1, HALF_POLE_M = 0.5, FORCE_N = 10.0,
                    TAU_S = 0.02;
static const double X_MAX = 2.4, ANGLE_MAX = 12 * 2 * M_PI / 360, START_NOISE = 0.05;

static const struct px_env_info INFO = {
  .name = "cartpole",
  .obs_dim = 4,
  .act_dim = 1,
  .act_count = 2,
  .qpos_n = 2,
  .qvel_n = 2,
  .act_low = 0,
  .act_high = 1,
  .time_limit = 500,
  .random_return = 22.25,
  .expert_return = 500,
  .score_note = "0 is the mean return of random actions (22.25, measured over 300,000 episodes), "
                "100 the highest return "
                "(500)",
};

struct cartpole {
  struct px_env env; /* first: what env.c holds is this */
  double x, x_dot, theta, theta_dot;
};

static const struct px_env_info *info_at(size_t i) { return i == 0 ? &INFO : NULL; }

static enum px_status open_cart(const struct px_env_info *info, struct px_env **out,
                                struct px_err *err) {
  struct cartpole *c = px_mem_calloc(1, sizeof *c);
  if (!c) return px_fail(err, PX_E_NO_MEMORY, "no memory for environment %s", info->name);
  *out = &c->env;
  return PX_OK;
}

static void close_cart(struct px_env *env) { free(env); }

static void observe(const struct cartpole *c, float *obs) {
  obs[0] = (float)c->x;
  obs[1] = (float)c->x_dot;
  obs[2] = (float)c->theta;
  obs[3] = (float)c->theta_dot;
}

static enum px_status reset(struct px_env *env, struct px_rng *rng, float *obs,
                            struct px_err *err) {
  struct cartpole *c = (struct cartpole *)env;
  (void)err;
  double *const state[] = { &c->x, &c->x_dot, &c->theta, &c->theta_dot };
  for (int i = 0; i < 4; i++) *state[i] = START_NOISE * (2 * px_rng_double(rng) - 1);
  observe(c, obs);
  return PX_OK;
}

static enum px_status set_state(struct px_env *env, const double *qpos, const double *qvel,
                                float *obs, struct px_err *err) {
  struct cartpole *c = (struct cartpole *)env;
  (void)err;
  c->x = qpos[0];
  c->theta = qpos[1];
  c->x_dot = qvel[0];
  c->theta_dot = qvel[1];
  observe(c, obs);
  return PX_OK;
}

/* Euler's method as Gymnasium does it: positions move by the velocities of before. */
static enum px_status step(struct px_env *env, const float *action, float *obs,
                           struct px_env_step *out, struct px_err *err) {
  struct cartpole *c = (struct cartpole *)env;
  (void)err;
  const double total = CART_KG + POLE_KG, lever = POLE_KG * HALF_POLE_M;
  const double force = action[0] == 1 ? FORCE_N : -FORCE_N, cosine = cos(c->theta),
               sine = sin(c->theta);
  const double push = (force + lever * c->theta_dot * c->theta_dot * sine) / total;
  const double theta_acc = (GRAVITY * sine - cosine * push) /
                           (HALF_POLE_M * (4.0 / 3.0 - POLE_KG * cosine * cosine / total));
  const double x_acc = push - lever * theta_acc * cosine / total;
  c->x += TAU_S * c->x_dot;
  c->x_dot += TAU_S * x_acc;
  c->theta += TAU_S * c->theta_dot;
  c->theta_dot += TAU_S * theta_acc;
  out->reward = 1; /* for the last step too */
  out->terminated = !(fabs(c->x) <= X_MAX && fabs(c->theta) <= ANGLE_MAX);
  observe(c, obs);
  return PX_OK;
}

const struct px_env_kind px_env_cartpole = { info_at,   open_cart, close_cart, reset,
                                             set_state, step,      NULL,       NULL };
