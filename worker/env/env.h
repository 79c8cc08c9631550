/*
 * Locomotion environments on MuJoCo: where a policy's true return is measured.
 * Used by rollout.h and through it by evaluation jobs.
 *
 * Observations, rewards, terminations and start noise follow Gym's v2 tasks (v3
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
 * walker2d). Every task truncates after 1000 steps.
 *
 * A struct px_env belongs to one thread; different ones are independent. A step
 * allocates nothing.
 */
#ifndef PX_ENV_ENV_H
#define PX_ENV_ENV_H

#include <stdint.h>

#include "lib/base/status.h"

enum { PX_ENV_OBS_MAX = 17, PX_ENV_ACT_MAX = 6, PX_ENV_TIME_LIMIT = 1000 };

struct px_env_info {
  const char *name;
  uint32_t obs_dim, act_dim;
  uint32_t qpos_n, qvel_n;
  float act_low, act_high; /* of every action dimension */
  /* Returns of D4RL's random and expert policies (Fu et al. 2020, arXiv
   * 2004.07219; the constants of its infos.py). */
  double random_return, expert_return;
};

/* BAD_FIELD, naming the known ones, unless `name` is exactly one of them. */
enum px_status px_env_find(const char *name, const struct px_env_info **info, struct px_err *err) PX_MUST_CHECK;
/* The i-th environment, or NULL after the last. */
const struct px_env_info *px_env_at(size_t i);

/* 100 (R - random) / (expert - random). D4RL took its constants with MuJoCo 2.0
 * and earlier; this is 2.2.2, so compare scores with published ones with care,
 * and say so wherever one is shown: PX_ENV_SCORE_NOTE. */
double px_env_score(const struct px_env_info *info, double episode_return);
#define PX_ENV_SCORE_NOTE \
  "normalised with D4RL's constants, which were taken with another MuJoCo version than the 2.2.2 used here"

struct px_env;
/* BAD_FIELD for an unknown name. The caller owns *out; call reset before step. */
enum px_status px_env_open(const char *name, struct px_env **out, struct px_err *err) PX_MUST_CHECK;
void px_env_close(struct px_env *env);
const struct px_env_info *px_env_info(const struct px_env *env);

/* Starts an episode; obs[O]. The start is a function of (seed, episode) alone. */
enum px_status px_env_reset(struct px_env *env, uint64_t seed, uint64_t episode, float *obs, struct px_err *err)
  PX_MUST_CHECK;
/* Starts an episode at a recorded state: qpos[qpos_n], qvel[qvel_n]. */
enum px_status px_env_set_state(struct px_env *env, const double *qpos, const double *qvel, float *obs,
                                struct px_err *err) PX_MUST_CHECK;

struct px_env_step {
  double reward;
  bool terminated; /* the task's own end: bootstrap 0 */
  bool truncated;  /* the time limit, without an end of the task's own */
};
/* action[A] is clipped to the range first, and the reward charges the clipped
 * one. BAD_DATA if it is not finite; INTERNAL if the simulation went unstable
 * (MuJoCo's own words in the message): reset before going on. */
enum px_status px_env_step(struct px_env *env, const float *action, float *obs, struct px_env_step *out,
                           struct px_err *err) PX_MUST_CHECK;

/* The compiled model, for tests that compare it; borrowed. An mjModel. */
const void *px_env_model(const struct px_env *env);

#endif
