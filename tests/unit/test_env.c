/* SPDX-License-Identifier: Apache-2.0 */
/* worker/env: environments and rollouts. What one step computes is checked against recorded data in
 * golden/test_replay.c. */
#include <math.h>
#include <mujoco/mujoco.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "tests/support/cu.h"
#include "worker/env/sensitivity.h"

static struct px_err err;

static struct px_env *opened(const char *name) {
  struct px_env *env = NULL;
  CU_OK(px_env_open(name, &env, &err), err);
  return env;
}

/* Uniform in the range or among the classes, keyed by episode and step, so the same for every
 * number of lanes. */
static enum px_status act_randomly(void *ctx, const struct px_rollout_view *view, float *actions,
                                   struct px_err *e) {
  const struct px_env_info *info = ctx;
  const uint32_t act_dim = info->act_dim;
  (void)e;
  for (uint32_t i = 0; i < view->n; i++) {
    struct px_rng rng =
      px_rng_at(11, px_rng_stream("random_policy", view->episode[i]), (uint64_t)view->step[i] << 8);
    for (uint32_t j = 0; j < act_dim; j++)
      actions[i * act_dim + j] =
        info->act_count ? (float)px_rng_below(&rng, info->act_count) : 2 * px_rng_float(&rng) - 1;
  }
  return PX_OK;
}

static struct px_rollout_result roll(const char *name, uint32_t episodes, uint32_t lanes,
                                     uint64_t seed) {
  const struct px_env_info *info = NULL;
  CU_OK(px_env_find(name, &info, &err), err);
  const struct px_rollout_spec spec = { name, episodes, lanes, seed, 1 };
  const struct px_rollout_policy policy = { (void *)(uintptr_t)info, act_randomly };
  struct px_rollout_result result;
  CU_OK(px_rollout_run(&spec, &policy, NULL, &result, &err), err);
  return result;
}

static void unknown_name_is_refused_with_the_known_ones(void) {
  struct px_env *env = NULL;
  CU_ASSERT_EQUAL(px_env_open("ant", &env, &err), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NULL(env);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "ant"));
  for (size_t i = 0; px_env_at(i); i++)
    CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, px_env_at(i)->name));
}

static void models_have_the_declared_shapes(void) {
  for (size_t i = 0; px_env_at(i); i++) {
    const struct px_env_info *info = px_env_at(i);
    struct px_env *env = opened(info->name);
    const mjModel *model = px_env_model(env);
    CU_ASSERT_TRUE(!model || !info->act_count); /* cartpole has none */
    if (model) {
      CU_ASSERT_EQUAL((uint32_t)model->nq, info->qpos_n);
      CU_ASSERT_EQUAL((uint32_t)model->nv, info->qvel_n);
      CU_ASSERT_EQUAL((uint32_t)model->nu, info->act_dim);
      CU_ASSERT_EQUAL((uint32_t)(model->nq + model->nv - 1), info->obs_dim);
    }
    CU_ASSERT(info->obs_dim <= PX_ENV_OBS_MAX && info->act_dim <= PX_ENV_ACT_MAX);
    px_env_close(env);
  }
}

/* Whether one idle step from the given height, pitch and pitch velocity ends the episode. */
static bool ends_at(const char *name, double z, double pitch, double pitch_velocity) {
  struct px_env *env = opened(name);
  double qpos[PX_ENV_OBS_MAX] = { 0, z, pitch }, qvel[PX_ENV_OBS_MAX] = { 0, 0, pitch_velocity };
  float obs[PX_ENV_OBS_MAX], action[PX_ENV_ACT_MAX] = { 0 };
  struct px_env_step step;
  CU_OK(px_env_set_state(env, qpos, qvel, obs, &err), err);
  CU_OK(px_env_step(env, action, obs, &step, &err), err);
  CU_ASSERT_FALSE(step.truncated);
  px_env_close(env);
  return step.terminated;
}

static void falling_ends_an_episode(void) {
  CU_ASSERT_FALSE(ends_at("hopper", 1.25, 0, 0));
  CU_ASSERT_TRUE(ends_at("hopper", 0.65, 0, 0));
  CU_ASSERT_FALSE(ends_at("hopper", 2.5, 0.19, 0)); /* above the ground: nothing turns it */
  CU_ASSERT_TRUE(ends_at("hopper", 2.5, 0.21, 0));
  CU_ASSERT_TRUE(ends_at("hopper", 2.5, -0.21, 0));
  CU_ASSERT_TRUE(ends_at("hopper", 2.5, -0.1, 130)); /* a velocity over 100 */
  CU_ASSERT_FALSE(ends_at("walker2d", 1.25, 0, 0));
  CU_ASSERT_TRUE(ends_at("walker2d", 0.7, 0, 0));
  CU_ASSERT_TRUE(ends_at("walker2d", 2.1, 0, 0));
  CU_ASSERT_FALSE(ends_at("walker2d", 1.9, 0.98, 0));
  CU_ASSERT_TRUE(ends_at("walker2d", 1.9, 1.02, 0));
  CU_ASSERT_FALSE(ends_at("halfcheetah", 0, 3, 0));
}

static void time_limit_truncates_and_does_not_terminate(void) {
  struct px_env *env = opened("halfcheetah");
  float obs[PX_ENV_OBS_MAX], action[PX_ENV_ACT_MAX] = { 0 };
  struct px_env_step step = { 0 };
  for (int episode = 0; episode < 2; episode++) { /* a reset starts the count again */
    CU_OK(px_env_reset(env, 1, 0, obs, &err), err);
    int steps = 0;
    do {
      CU_OK(px_env_step(env, action, obs, &step, &err), err);
      CU_ASSERT_FALSE(step.terminated);
      steps++;
    } while (!step.truncated && steps < 2000);
    CU_ASSERT_EQUAL(steps, 1000);
  }
  px_env_close(env);
}

static void observation_leaves_out_x_and_clips_velocities(void) {
  const double qpos[9] = { 5, 1.5, 0.1 }, qvel[9] = { 12, -30, 3 };
  float obs[PX_ENV_OBS_MAX];
  const struct {
    const char *name;
    uint32_t qpos_n;
    float vx, vz;
  } cases[] = { { "hopper", 6, 10, -10 },
                { "walker2d", 9, 10, -10 },
                { "halfcheetah", 9, 12, -30 } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct px_env *env = opened(cases[i].name);
    CU_OK(px_env_set_state(env, qpos, qvel, obs, &err), err);
    CU_ASSERT_EQUAL(obs[0], 1.5f);
    CU_ASSERT_EQUAL(obs[1], 0.1f);
    CU_ASSERT_EQUAL(obs[cases[i].qpos_n - 1], cases[i].vx);
    CU_ASSERT_EQUAL(obs[cases[i].qpos_n], cases[i].vz);
    CU_ASSERT_EQUAL(obs[cases[i].qpos_n + 1], 3);
    px_env_close(env);
  }
}

static void actions_beyond_the_range_count_as_its_ends(void) {
  struct px_env *env = opened("walker2d");
  const float wild[6] = { 3, -7, 1.5f, 0, 0.5f, -1 }, tame[6] = { 1, -1, 1, 0, 0.5f, -1 };
  float obs[2][PX_ENV_OBS_MAX];
  struct px_env_step step[2];
  for (int i = 0; i < 2; i++) {
    CU_OK(px_env_reset(env, 4, 2, obs[i], &err), err);
    CU_OK(px_env_step(env, i ? wild : tame, obs[i], &step[i], &err), err);
  }
  CU_ASSERT_EQUAL(memcmp(obs[0], obs[1], sizeof obs[0]), 0);
  CU_ASSERT_EQUAL(step[0].reward, step[1].reward);
  px_env_close(env);
}

/* ---- cartpole */

static bool cart_ends_at(double x, double theta) {
  struct px_env *env = opened("cartpole");
  const double qpos[2] = { x, theta }, qvel[2] = { 0 };
  const float left = 0;
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step;
  CU_OK(px_env_set_state(env, qpos, qvel, obs, &err), err);
  CU_OK(px_env_step(env, &left, obs, &step, &err), err);
  CU_ASSERT_EQUAL(step.reward, 1);
  px_env_close(env);
  return step.terminated;
}

static void leaving_the_track_or_leaning_too_far_ends_cartpole(void) {
  const double lean = 12 * M_PI / 180;
  CU_ASSERT_FALSE(cart_ends_at(2.4, 0)); /* without velocity a step leaves it where it is */
  CU_ASSERT_TRUE(cart_ends_at(2.4001, 0));
  CU_ASSERT_TRUE(cart_ends_at(-2.4001, 0));
  CU_ASSERT_FALSE(cart_ends_at(0, lean - 1e-9));
  CU_ASSERT_TRUE(cart_ends_at(0, lean + 1e-9));
  CU_ASSERT_TRUE(cart_ends_at(0, -lean - 1e-9));
}

/* Pushes against where the pole will lean, and against drifting: it never falls. */
static float balance(const float *obs) {
  return obs[2] + 0.5f * obs[3] + 0.05f * obs[0] + 0.1f * obs[1] > 0;
}

static void cartpole_truncates_a_balanced_pole_after_500_steps(void) {
  struct px_env *env = opened("cartpole");
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step = { 0 };
  for (uint64_t episode = 0; episode < 20; episode++) {
    CU_OK(px_env_reset(env, 1, episode, obs, &err), err);
    int steps = 0;
    do {
      const float action = balance(obs);
      CU_OK(px_env_step(env, &action, obs, &step, &err), err);
      steps++;
    } while (!step.terminated && !step.truncated);
    CU_ASSERT_EQUAL(steps, 500);
    CU_ASSERT_FALSE(step.terminated);
  }
  px_env_close(env);
}

static void cartpole_takes_its_two_actions_only(void) {
  struct px_env *env = opened("cartpole");
  static const float wrong[] = { -1, 2, 0.5f, NAN };
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step;
  CU_OK(px_env_reset(env, 0, 0, obs, &err), err);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CU_ASSERT_EQUAL(px_env_step(env, &wrong[i], obs, &step, &err), PX_E_BAD_DATA);
  px_env_close(env);
}

static void action_that_is_not_finite_is_refused(void) {
  struct px_env *env = opened("hopper");
  const float action[3] = { 0, NAN, 0 };
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step;
  CU_OK(px_env_reset(env, 0, 0, obs, &err), err);
  CU_ASSERT_EQUAL(px_env_step(env, action, obs, &step, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "action[1]"));
  px_env_close(env);
}

static void unstable_simulation_is_an_error_and_reset_mends_it(void) {
  struct px_env *env = opened("hopper");
  const double qpos[6] = { 0, 1.25 }, qvel[6] = { 1e12 };
  const float action[3] = { 0 };
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step;
  enum px_status status = px_env_set_state(env, qpos, qvel, obs, &err);
  if (!status) status = px_env_step(env, action, obs, &step, &err);
  CU_ASSERT_EQUAL(status, PX_E_INTERNAL);
  CU_OK(px_env_reset(env, 0, 0, obs, &err), err);
  CU_OK(px_env_step(env, action, obs, &step, &err), err);
  px_env_close(env);
}

static void raise_error(const mjModel *model, mjData *data) {
  (void)model, (void)data;
  mju_error("out of stack");
}

static void error_inside_mujoco_comes_back_as_a_status(void) {
  struct px_env *env = opened("hopper");
  const float action[3] = { 0 };
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step;
  CU_OK(px_env_reset(env, 0, 0, obs, &err), err);
  mjcb_control = raise_error;
  CU_ASSERT_EQUAL(px_env_step(env, action, obs, &step, &err), PX_E_INTERNAL);
  mjcb_control = NULL;
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "out of stack"));
  px_env_close(env);
}

static void start_states_depend_on_seed_and_episode_alone(void) {
  float first[PX_ENV_OBS_MAX], again[PX_ENV_OBS_MAX], other[PX_ENV_OBS_MAX];
  for (size_t i = 0; px_env_at(i); i++) {
    struct px_env *env = opened(px_env_at(i)->name);
    const size_t bytes = px_env_at(i)->obs_dim * sizeof *first;
    CU_OK(px_env_reset(env, 3, 8, first, &err), err);
    CU_OK(px_env_reset(env, 3, 9, other, &err), err);
    CU_ASSERT_NOT_EQUAL(memcmp(first, other, bytes), 0);
    CU_OK(px_env_reset(env, 4, 8, other, &err), err);
    CU_ASSERT_NOT_EQUAL(memcmp(first, other, bytes), 0);
    CU_OK(px_env_reset(env, 3, 8, again, &err), err);
    CU_ASSERT_EQUAL(memcmp(first, again, bytes), 0);
    px_env_close(env);
  }
}

/* Standard deviation: 0.005 / sqrt 3 and 0.1 / sqrt 3 for uniform noise, 0.1 for the cheetah's
 * velocities. */
static void start_noise_has_the_tasks_spread(void) {
  const struct {
    const char *name;
    double position, velocity;
  } cases[] = { { "hopper", 5e-3 / sqrt(3), 5e-3 / sqrt(3) },
                { "walker2d", 5e-3 / sqrt(3), 5e-3 / sqrt(3) },
                { "halfcheetah", 0.1 / sqrt(3), 0.1 },
                { "cartpole", 0.05 / sqrt(3), 0.05 / sqrt(3) } };
  enum { EPISODES = 2000 };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct px_env *env = opened(cases[c].name);
    const struct px_env_info *info = px_env_info(env);
    double position = 0, velocity = 0;
    float obs[PX_ENV_OBS_MAX];
    for (uint64_t i = 0; i < EPISODES; i++) {
      CU_OK(px_env_reset(env, 5, i, obs, &err), err);
      position += (double)obs[1] * obs[1]; /* the pitch, or the cart's velocity, around 0 */
      /* cartpole: the pole alone */
      const uint32_t first = info->act_count ? 2 : info->qpos_n - 1;
      for (uint32_t j = first; j < info->obs_dim; j++)
        velocity += (double)obs[j] * obs[j] / info->qvel_n;
    }
    CU_ASSERT_DOUBLE_EQUAL(sqrt(position / EPISODES) / cases[c].position, 1, 0.05);
    CU_ASSERT_DOUBLE_EQUAL(sqrt(velocity / EPISODES) / cases[c].velocity, 1, 0.05);
    px_env_close(env);
  }
}

static void same_seed_gives_the_same_returns_with_any_lanes(void) {
  for (size_t i = 0; px_env_at(i); i++) {
    const uint32_t episodes = i == 2 ? 3 : 20;
    struct px_rollout_result one = roll(px_env_at(i)->name, episodes, 1, 6),
                             many = roll(px_env_at(i)->name, episodes, 7, 6);
    struct px_rollout_result other = roll(px_env_at(i)->name, episodes, 1, 7);
    CU_ASSERT_EQUAL(memcmp(one.returns, many.returns, episodes * sizeof *one.returns), 0);
    CU_ASSERT_EQUAL(memcmp(one.lengths, many.lengths, episodes * sizeof *one.lengths), 0);
    CU_ASSERT_EQUAL(one.steps, many.steps);
    CU_ASSERT_NOT_EQUAL(one.return_mean, other.return_mean);
    px_rollout_free(&one);
    px_rollout_free(&many);
    px_rollout_free(&other);
  }
}

/* A uniform policy with Gym's files on this MuJoCo version: 19, 2.8 and -288
 * (D4RL's own constants are -20, 1.6 and -280; the first is known to be odd);
 * cartpole's mean of 300,000 episodes. The tolerance is about four standard errors of this many
 * episodes. */
static void random_policy_returns_what_is_published(void) {
  const struct {
    const char *name;
    uint32_t episodes;
    double mean, tolerance;
  } cases[] = { { "hopper", 500, 19, 2.5 },
                { "walker2d", 500, 2.8, 1.2 },
                { "halfcheetah", 20, -288, 70 },
                { "cartpole", 10000, 22.25, 0.5 } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct px_rollout_result result = roll(cases[i].name, cases[i].episodes, 16, 1);
    printf("\n  %s: random policy %.2f [%.2f, %.2f], length %.1f, score %.2f ", cases[i].name,
           result.return_mean, result.return_ci95[0], result.return_ci95[1], result.length_mean,
           result.score_mean);
    CU_ASSERT_DOUBLE_EQUAL(result.return_mean, cases[i].mean, cases[i].tolerance);
    px_rollout_free(&result);
  }
}

static void score_is_0_for_random_and_100_for_expert(void) {
  for (size_t i = 0; px_env_at(i); i++) {
    CU_ASSERT_DOUBLE_EQUAL(px_env_score(px_env_at(i), px_env_at(i)->random_return), 0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(px_env_score(px_env_at(i), px_env_at(i)->expert_return), 100, 1e-12);
  }
  const struct px_env_info *hopper = NULL;
  CU_OK(px_env_find("hopper", &hopper, &err), err);
  CU_ASSERT_DOUBLE_EQUAL(px_env_score(hopper, 1607.0138475), 50, 1e-6);
}

/* t(0.975, dof) from the usual tables: 12.7062, 2.7764, 2.2622, 2.0452. */
static void interval_is_students(void) {
  const struct {
    uint32_t n;
    double t;
  } cases[] = { { 2, 12.7062 }, { 5, 2.7764 }, { 10, 2.2622 }, { 30, 2.0452 } };
  double x[30], mean, ci[2];
  for (uint32_t i = 0; i < 30; i++) x[i] = i % 2 ? 3 : 1;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    const uint32_t n = cases[c].n;
    px_rollout_ci95(x, n, &mean, ci);
    double squares = 0;
    for (uint32_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    const double error = sqrt(squares / (n - 1) / n);
    CU_ASSERT_DOUBLE_EQUAL((ci[1] - mean) / error, cases[c].t, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL((mean - ci[0]) / error, cases[c].t, 1e-4);
  }
  px_rollout_ci95(x, 1, &mean, ci);
  CU_ASSERT(mean == 1 && ci[0] == 1 && ci[1] == 1);
}

static enum px_status cancel_after_two(void *ctx, const char *phase, int64_t step, int64_t total,
                                       const struct px_metric *metrics, size_t metrics_n) {
  (void)metrics, (void)metrics_n;
  CU_ASSERT_STRING_EQUAL(phase, "evaluate");
  CU_ASSERT(step >= 0 && step <= total);
  return ++*(int *)ctx < 2 ? PX_OK : PX_E_CANCELLED;
}

static void progress_can_cancel_a_rollout(void) {
  const struct px_env_info *info = NULL;
  CU_OK(px_env_find("halfcheetah", &info, &err), err);
  int reports = 0;
  const struct px_rollout_spec spec = { "halfcheetah", 100000, 4, 0, 1 };
  const struct px_rollout_policy policy = { (void *)(uintptr_t)info, act_randomly };
  const struct px_progress progress = { &reports, cancel_after_two };
  struct px_rollout_result result;
  CU_ASSERT_EQUAL(px_rollout_run(&spec, &policy, &progress, &result, &err), PX_E_CANCELLED);
  CU_ASSERT_EQUAL(reports, 2);
}

static void bad_rollout_specs_are_refused(void) {
  const struct px_rollout_spec specs[] = { { "hopper", 0, 1, 0, 1 },
                                           { "hopper", 1, 0, 0, 1 },
                                           { "hopper", 1, 257, 0, 1 },
                                           { "hopper", 100001, 1, 0, 1 },
                                           { "", 1, 1, 0, 1 } };
  const struct px_rollout_policy policy = { NULL, act_randomly };
  struct px_rollout_result result;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
    CU_ASSERT_EQUAL(px_rollout_run(&specs[i], &policy, NULL, &result, &err), PX_E_BAD_FIELD);
}

/* ---- sensitivity */

/* The same action in every step, whatever is seen: ctx. */
static enum px_status act_always(void *ctx, const struct px_rollout_view *view, float *actions,
                                 struct px_err *e) {
  (void)e;
  for (uint32_t i = 0; i < view->n; i++) memcpy(actions + 6 * i, ctx, sizeof *actions * 6);
  return PX_OK;
}

static double score_of_always(const struct px_rollout_spec *spec, const double action[6],
                              double *returns) {
  float given[6];
  struct px_rollout_result result;
  for (int j = 0; j < 6; j++) given[j] = (float)action[j];
  CU_OK(px_rollout_run(spec, &(struct px_rollout_policy){ given, act_always }, NULL, &result, &err),
        err);
  const double score = result.score_mean;
  if (returns) memcpy(returns, result.returns, sizeof *returns * spec->episodes);
  px_rollout_free(&result);
  return score;
}

/* What is lost is what another policy, which takes the changed actions itself, earns less. */
static void sensitivity_is_the_loss_by_changed_actions(void) {
  const struct px_rollout_spec spec = { "halfcheetah", 2, 2, 3, 1 };
  const double action[6] = { 0.5, -0.25, 0.1, 0.9, 0, -0.7 };
  float given[6];
  double returns[2], less[6], more[6];
  struct px_sensitivity s, again;
  const double score = score_of_always(&spec, action, returns);
  for (int j = 0; j < 6; j++)
    given[j] = (float)action[j], less[j] = 0.9 * (double)given[j], more[j] = 1.1 * (double)given[j];
  const struct px_rollout_policy policy = { given, act_always };
  CU_OK(px_sensitivity_run(&spec, &policy, returns, NULL, &s, &err), err);
  CU_ASSERT_EQUAL(s.episodes, 2);
  CU_ASSERT_DOUBLE_EQUAL(s.score, score, 1e-12);
  CU_ASSERT_DOUBLE_EQUAL(s.less, score - score_of_always(&spec, less, NULL), 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(s.more, score - score_of_always(&spec, more, NULL), 1e-9);
  for (int j = 0; j < 6; j += 5) {
    double moved[6];
    for (int k = 0; k < 6; k++) moved[k] = (double)given[k] + (j == k ? PX_SENSITIVITY_SIZE : 0);
    CU_ASSERT_DOUBLE_EQUAL(s.offset[j], score - score_of_always(&spec, moved, NULL), 1e-9);
  }
  CU_OK(px_sensitivity_run(&spec, &policy, returns, NULL, &again, &err), err);
  CU_ASSERT_TRUE(s.noise > 0 || s.noise < 0);
  CU_ASSERT_EQUAL(s.noise, again.noise); /* the noise is a function of seed, episode and step */
}

static void sensitivity_takes_the_first_episodes_and_no_classes(void) {
  struct px_rollout_spec spec = { "hopper", 12, 4, 0, 1 };
  const struct px_env_info *info;
  struct px_sensitivity s;
  struct px_rollout_result result = roll("hopper", 12, 4, 0), first = roll("hopper", 10, 4, 0);
  CU_OK(px_env_find("hopper", &info, &err), err);
  const struct px_rollout_policy policy = { (void *)(uintptr_t)info, act_randomly };
  CU_OK(px_sensitivity_run(&spec, &policy, result.returns, NULL, &s, &err), err);
  CU_ASSERT_EQUAL(s.episodes, PX_SENSITIVITY_EPISODES);
  CU_ASSERT_DOUBLE_EQUAL(s.score, first.score_mean, 1e-9);
  px_rollout_free(&result), px_rollout_free(&first);
  spec.env = "cartpole";
  CU_ASSERT_EQUAL(px_sensitivity_run(&spec, &policy, (double[12]){ 0 }, NULL, &s, &err),
                  PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/sensitivity");
}

CU_MAIN("env", T(sensitivity_is_the_loss_by_changed_actions),
        T(sensitivity_takes_the_first_episodes_and_no_classes),
        T(unknown_name_is_refused_with_the_known_ones), T(models_have_the_declared_shapes),
        T(falling_ends_an_episode), T(time_limit_truncates_and_does_not_terminate),
        T(observation_leaves_out_x_and_clips_velocities),
        T(actions_beyond_the_range_count_as_its_ends),
        T(leaving_the_track_or_leaning_too_far_ends_cartpole),
        T(cartpole_truncates_a_balanced_pole_after_500_steps),
        T(cartpole_takes_its_two_actions_only), T(action_that_is_not_finite_is_refused),
        T(unstable_simulation_is_an_error_and_reset_mends_it),
        T(error_inside_mujoco_comes_back_as_a_status),
        T(start_states_depend_on_seed_and_episode_alone), T(start_noise_has_the_tasks_spread),
        T(same_seed_gives_the_same_returns_with_any_lanes),
        T(random_policy_returns_what_is_published), T(score_is_0_for_random_and_100_for_expert),
        T(interval_is_students), T(progress_can_cancel_a_rollout), T(bad_rollout_specs_are_refused))
