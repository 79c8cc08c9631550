/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environments: where a policy's true return is measured. Locomotion on MuJoCo,
 * and CartPole, whose actions are discrete, in closed form. Used by rollout.h
 * and through it by evaluation jobs.
 *
 * Observations, rewards, terminations and start noise of the locomotion tasks follow Gym's v2 (v3
 * with default arguments); the models are our own MJCF files (mjcf/), compiled
 * into the binary. That one step gives what recorded data says is shown by
 * tests/golden/test_replay.c.
 *
 *   hopper      O 11, A 3   0.002 s x 4   dx/dt + 1 - 0.001 sum a^2
 *               ends unless z > 0.7, |pitch| < 0.2, the rest of the state finite and < 100
 *   walker2d    O 17, A 6   0.002 s x 4   dx/dt + 1 - 0.001 sum a^2
 *               ends unless 0.8 < z < 2, |pitch| < 1
 *   halfcheetah O 17, A 6   0.01 s x 5    dx/dt - 0.1 sum a^2, never ends
 *
 * The observation is qpos without x, then qvel (clipped to +-10 for hopper and
 * walker2d). They truncate after 1000 steps.
 *
 *   cartpole    O 4, 2 discrete actions (push left, push right)   0.02 s, Euler   1 for every step
 *               ends when |x| > 2.4 or the pole leans more than 12 degrees; truncates after 500
 *               steps
 *
 * Barto, Sutton and Anderson 1983, with the equations (Florian 2007, without
 * friction) and constants that Gymnasium publishes as CartPole-v1. The
 * observation is x, its velocity, the angle, its velocity; qpos is x and the
 * angle, qvel their velocities.
 *
 * A struct px_env belongs to one thread; different ones are independent. A step
 * allocates nothing.
 */
#ifndef PX_ENV_ENV_H
#define PX_ENV_ENV_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum { PX_ENV_OBS_MAX = 17, PX_ENV_ACT_MAX = 6, PX_ENV_TIME_LIMIT = 1000 /* the longest of all */ };

struct px_env_info {
  const char *name;
  uint32_t obs_dim, act_dim;
  uint32_t act_count; /* 0, or how many discrete actions there are: then act_dim is 1 */
  uint32_t qpos_n, qvel_n;
  float act_low, act_high; /* of every action dimension */
  uint32_t time_limit;     /* steps after which an episode is truncated */
  /* Locomotion: returns of D4RL's random and expert policies (Fu et al. 2020,
   * arXiv 2004.07219; the constants of its infos.py). CartPole: the return of
   * uniformly random actions, measured, and the highest there is. */
  double random_return, expert_return;
  const char *score_note; /* to be shown beside a score */
};

/* BAD_FIELD, naming the known ones, unless `name` is exactly one of them. */
enum px_status px_env_find(const char *name, const struct px_env_info **info,
                           struct px_err *err) PX_MUST_CHECK;
/* The i-th environment, or NULL after the last. */
const struct px_env_info *px_env_at(size_t i);

/* 100 (R - random) / (expert - random); info->score_note says what they are. D4RL took its
 * constants with MuJoCo 2.0 and earlier; this is 2.2.2, so compare scores with published ones with
 * care. */
double px_env_score(const struct px_env_info *info, double episode_return);

/* What a step of a locomotion task is made of, for who runs its physics in another way. The
 * observation is qpos[1:], then qvel within +-velocity_clip (INFINITY: whole); the action is
 * ctrl. */
struct px_env_physics {
  const char *mjcf; /* [mjcf_n], static */
  size_t mjcf_n;
  int frame_skip;
  double velocity_clip;
};
/* BAD_FIELD for an unknown name, and for an environment without a model. */
enum px_status px_env_physics(const char *name, struct px_env_physics *out,
                              struct px_err *err) PX_MUST_CHECK;

struct px_env;
/* BAD_FIELD for an unknown name. The caller owns *out; call reset before step. */
enum px_status px_env_open(const char *name, struct px_env **out, struct px_err *err) PX_MUST_CHECK;
void px_env_close(struct px_env *env);
const struct px_env_info *px_env_info(const struct px_env *env);

/* Starts an episode; obs[O]. The start is a function of (seed, episode) alone. */
enum px_status px_env_reset(struct px_env *env, uint64_t seed, uint64_t episode, float *obs,
                            struct px_err *err) PX_MUST_CHECK;
/* Starts an episode at a recorded state: qpos[qpos_n], qvel[qvel_n]. */
enum px_status px_env_set_state(struct px_env *env, const double *qpos, const double *qvel,
                                float *obs, struct px_err *err) PX_MUST_CHECK;

struct px_env_step {
  double reward;
  bool terminated; /* the task's own end: bootstrap 0 */
  bool truncated;  /* the time limit, without an end of the task's own */
};
/* action[A] is clipped to the range first, and the reward charges the clipped
 * one. BAD_DATA if it is not finite, or no class index where they are discrete; INTERNAL if the
 * simulation went unstable (MuJoCo's own words in the message): reset before going on. */
enum px_status px_env_step(struct px_env *env, const float *action, float *obs,
                           struct px_env_step *out, struct px_err *err) PX_MUST_CHECK;

/* The compiled model, for tests that compare it; borrowed. An mjModel; NULL without MuJoCo. */
const void *px_env_model(const struct px_env *env);

#endif
