/* SPDX-License-Identifier: Apache-2.0 */
/* The Decision Transformer as a policy: how it acts, and what its file holds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/rl/algo/dt.h"
#include "lib/rl/algo/dt_actor.h"
#include "tests/support/cu.h"
#include "tests/support/dt_world.h"

enum { O = DT_WORLD_OBS, A = DT_WORLD_ACT };

static struct dt_net *net_of(uint32_t context) {
  const struct dt_shape shape = { .obs_dim = O,
                                  .act_dim = A,
                                  .context = context,
                                  .timesteps = 30,
                                  .width = 32,
                                  .layers = 2,
                                  .heads = 2 };
  struct dt_net *net;
  struct px_err err;
  CU_OK(dt_net_new(&shape, &net, &err), err);
  dt_net_init(net, 3);
  /* so that all inputs matter */
  for (size_t i = 0; i < net->params_n; i++) net->params[i] *= 3;
  return net;
}

static void acting_sees_the_last_steps_as_training_does(void) {
  enum { CONTEXT = 4, STEPS = 12 };
  struct dt_net *net = net_of(CONTEXT);
  struct dt_actor *actor;
  struct dt_work *work;
  struct px_err err;
  struct px_rng rng = px_rng_at(2, 2, 2);
  float state[STEPS * O], action[STEPS * A], to_go[STEPS];
  uint32_t time[STEPS];
  double reward = 0, left = 10;
  px_rng_normal(&rng, state, STEPS * O);
  CU_OK(dt_actor_new(net, 3, CONTEXT, 10, 0.1, &actor), err);
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  CU_OK(dt_work_new(arena, net, 1, &work), err);
  for (uint32_t t = 0; t < STEPS; t++) {
    const uint32_t lane = 2;
    const struct dt_sight sight = { 1, state + t * O, &lane, &t, &reward };
    left -= reward, to_go[t] = (float)(left * 0.1), time[t] = t;
    dt_actor_act(actor, &sight, action + t * A);
    reward = (double)action[t * A] + 1;
    const uint32_t first = t < CONTEXT ? 0 : t + 1 - CONTEXT, start[] = { first, t + 1 };
    const struct dt_steps steps = {
      1, start, to_go + first, state + first * O, action + first * A, time + first, false
    };
    const struct dt_outputs y = dt_net_forward(net, work, &steps, NULL);
    for (uint32_t j = 0; j < A; j++)
      CU_ASSERT_DOUBLE_EQUAL(action[t * A + j], tanh((double)y.first[(t - first) * A + j]), 1e-5);
  }
  px_arena_free(arena);
  dt_actor_free(actor);
  dt_net_free(net);
}

static void lanes_know_nothing_of_each_other_and_forget_with_a_new_episode(void) {
  enum { LANES = 20, STEPS = 6 };
  struct dt_net *net = net_of(5);
  struct dt_actor *many, *one;
  struct px_err err;
  struct px_rng rng = px_rng_at(2, 2, 2);
  uint32_t lanes[LANES], steps[LANES];
  float state[STEPS][LANES * O], actions[LANES * A], alone[A];
  double rewards[LANES];
  CU_OK(dt_actor_new(net, LANES, 5, 10, 0.1, &many), err);
  CU_OK(dt_actor_new(net, 1, 5, 10, 0.1, &one), err);
  for (uint32_t round = 0; round < 2; round++)
    for (uint32_t t = 0; t < STEPS; t++) {
      px_rng_normal(&rng, state[t], LANES * O);
      for (uint32_t i = 0; i < LANES; i++)
        lanes[i] = LANES - 1 - i, steps[i] = t, rewards[i] = t + i;
      dt_actor_act(many, &(struct dt_sight){ LANES, state[t], lanes, steps, rewards }, actions);
      const uint32_t lane = 0, seen = 17;
      dt_actor_act(one, &(struct dt_sight){ 1, state[t] + seen * O, &lane, &t, &rewards[seen] },
                   alone);
      for (int j = 0; j < A; j++)
        CU_ASSERT_DOUBLE_EQUAL(actions[seen * A + (uint32_t)j], alone[j], 1e-5);
      if (round == 0) continue;
      dt_actor_free(one); /* the second round's actor has no past to forget */
      CU_OK(dt_actor_new(net, 1, 5, 10, 0.1, &one), err);
      for (uint32_t past = 0; past <= t; past++) {
        const double before = past + seen;
        dt_actor_act(one, &(struct dt_sight){ 1, state[past] + seen * O, &lane, &past, &before },
                     alone);
      }
      for (int j = 0; j < A; j++)
        CU_ASSERT_DOUBLE_EQUAL(actions[seen * A + (uint32_t)j], alone[j], 1e-5);
    }
  dt_actor_free(many);
  dt_actor_free(one);
  dt_net_free(net);
}

static struct rl_policy *trained(const struct dt_world *w, const struct rl_spec *spec) {
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  CU_OK(rl_train(spec, &w->u, NULL, NULL, &policy, &metrics, &err), err);
  return policy;
}

/* First actions at the first and the second step of n episodes, aiming at target (NAN: what the
 * policy aims at). */
static void play(struct rl_policy *policy, double target, uint32_t n, float *first, float *second) {
  enum { N = 8 };
  struct rl_player *player;
  struct px_err err;
  uint32_t lanes[N], step[N];
  double reward[N];
  float obs[N * O], actions[N * A];
  const uint32_t a = rl_policy_act_dim(policy);
  struct px_rng rng = px_rng_at(8, 8, 8);
  CU_ASSERT_TRUE_FATAL(n <= N);
  CU_OK(rl_player_new(policy, n, isnan(target) ? NULL : &target, &player, &err), err);
  for (uint32_t t = 0; t < 2; t++) {
    px_rng_normal(&rng, obs, n * O);
    for (uint32_t i = 0; i < n; i++) lanes[i] = i, step[i] = t, reward[i] = 1;
    rl_player_act(player, &(struct rl_view){ n, obs, lanes, step, reward }, actions);
    for (uint32_t i = 0; i < n; i++) (t ? second : first)[i] = actions[i * a];
  }
  rl_player_free(player);
}

static void a_higher_target_gives_actions_of_higher_reward(void) {
  struct dt_world w;
  struct rl_spec spec = dt_world_spec(250);
  float low[8], high[8], next[8];
  dt_world_set(&spec, "lr", 0.01);
  for (int discrete = 0; discrete < 2; discrete++) {
    dt_world_open(&w, discrete);
    struct rl_policy *policy = trained(&w, &spec);
    double target;
    CU_ASSERT_TRUE(rl_policy_target(policy, &target));
    /* 39 steps of the best reward: trajectory 38 */
    CU_ASSERT_DOUBLE_EQUAL(target, discrete ? 2 * 39 : 1.5 * 39, 1e-3);
    play(policy, discrete ? 0 : -1.5 * 38, 8, low, next);
    play(policy, NAN, 8, high, next);
    for (int i = 0; i < 8; i++) {
      if (discrete) CU_ASSERT_TRUE(low[i] == 0 && high[i] == 2);
      if (!discrete) CU_ASSERT_TRUE(low[i] < -1 && high[i] > 1 && high[i] <= 2);
    }
    rl_policy_free(policy);
    dt_world_close(&w);
  }
}

static void along_a_recording_it_remembers_what_it_did_itself(void) {
  struct dt_world w;
  struct rl_data *d;
  struct dt_work *work;
  struct px_err err;
  dt_world_open(&w, false);
  const struct rl_spec spec = dt_world_spec(20);
  struct rl_policy *policy = trained(&w, &spec);
  struct dt *dt =
    dt_world_training(&w, &spec, &d); /* the same net, once it took the same updates */
  double losses[RL_LOSSES_MAX];
  dt_net_init(dt->net, spec.seed);
  for (uint64_t step = 0; step < 20; step++) dt_algo.step(dt, step, losses);
  w.ds.actions = w.u.actions, w.ds.labelled = px_mem_calloc(w.ds.steps_n, 1);
  float *actions = px_mem_calloc(w.ds.obs_n * A, sizeof *actions),
        *again = px_mem_calloc(w.ds.obs_n * A, sizeof *again);
  CU_OK(rl_policy_along(policy, &w.ds, NULL, again, &err), err);
  memset(w.ds.labelled, 1, w.ds.steps_n);
  CU_OK(rl_policy_along(policy, &w.ds, NULL, actions, &err), err);
  /* known actions tell it nothing */
  CU_ASSERT_EQUAL(memcmp(actions, again, w.ds.obs_n * A * sizeof *actions), 0);
  enum { TRAJ = 30, FROM = 5, N = 6 }; /* six steps of a trajectory of 31 */
  const uint64_t row = w.ds.obs_start[TRAJ] + FROM, step = w.ds.step_start[TRAJ] + FROM;
  const uint32_t start[] = { 0, N };
  float to_go[N], state[N * O], action[N * A];
  uint32_t time[N];
  double left = d->return_max;
  for (int t = 0; t < FROM; t++) left -= (double)w.ds.rewards[step - FROM + t];
  for (uint32_t t = 0; t < N; t++) {
    time[t] = FROM + t, to_go[t] = (float)(left * 0.05), left -= (double)w.ds.rewards[step + t];
    for (int j = 0; j < O; j++)
      state[t * O + j] = (w.ds.observations[(row + t) * O + j] - d->mean[j]) * d->inv_scale[j];
    for (int j = 0; j < A; j++) action[t * A + j] = actions[(row + t) * A + j] / 2;
  }
  CU_OK(dt_work_new(w.arena, dt->net, 1, &work), err);
  const struct dt_steps steps = { 1, start, to_go, state, action, time, true };
  const struct dt_outputs y = dt_net_forward(dt->net, work, &steps, NULL);
  for (int j = 0; j < A; j++)
    CU_ASSERT_DOUBLE_EQUAL(actions[(row + N - 1) * A + j], 2 * tanh((double)y.first[j]), 1e-4);
  free(actions), free(again), free(w.ds.labelled);
  rl_data_free(d);
  rl_policy_free(policy);
  dt_world_close(&w);
}

static struct px_buf saved(const struct rl_policy *policy) {
  struct px_buf file = PX_BUF(1 << 22);
  struct px_err err;
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  return file;
}

static void a_loaded_policy_plays_as_before(void) {
  struct dt_world w;
  struct rl_policy *loaded;
  struct px_err err;
  double target;
  for (int discrete = 0; discrete < 2; discrete++) {
    dt_world_open(&w, discrete);
    const struct rl_spec spec = dt_world_spec(30);
    struct rl_policy *policy = trained(&w, &spec);
    struct px_buf file = saved(policy);
    CU_OK(rl_policy_load(file.data, file.len, &loaded, &err), err);
    CU_ASSERT_TRUE(rl_policy_target(loaded, &target));
    float first[2][8], second[2][8], obs[O] = { 0.3F, -1, 2 }, act[2][A];
    play(policy, NAN, 8, first[0], second[0]);
    play(loaded, NAN, 8, first[1], second[1]);
    CU_ASSERT_EQUAL(memcmp(first[0], first[1], sizeof first[0]), 0);
    CU_ASSERT_EQUAL(memcmp(second[0], second[1], sizeof second[0]), 0);
    rl_policy_act(policy, obs, 1, act[0]);
    rl_policy_act(loaded, obs, 1, act[1]);
    CU_ASSERT_EQUAL(act[0][0], act[1][0]);
    /* without the spec, which a loaded policy does not keep */
    struct px_buf again = saved(loaded);
    struct rl_policy *twice;
    CU_OK(rl_policy_load(again.data, again.len, &twice, &err), err);
    play(twice, NAN, 8, first[1], second[1]);
    CU_ASSERT_EQUAL(memcmp(second[0], second[1], sizeof second[0]), 0);
    px_buf_free(&file), px_buf_free(&again);
    rl_policy_free(policy), rl_policy_free(loaded), rl_policy_free(twice);
    dt_world_close(&w);
  }
}

static void a_file_whose_transformer_does_not_fit_is_refused(void) {
  static const char *const edits[][2] = {
    { "transformer_heads\":\"2\"", "transformer_heads\":\"3\"" },
    { "transformer_heads\":\"2\"", "transformer_heads\":\"-\"" },
    { "transformer_context\":\"6\"", "transformer_context\":\"0\"" },
    { "transformer.norm.bias", "transformer.norm.bxas" },
    { "layer1.norm1.bias", "layer7.norm1.bias" },
    { "\"kind\":\"transformer\"", "\"kind\":\"translating\"" },
  };
  struct dt_world w;
  struct rl_policy *loaded;
  struct px_err err;
  dt_world_open(&w, false);
  const struct rl_spec spec = dt_world_spec(1);
  struct rl_policy *policy = trained(&w, &spec);
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    struct px_buf file = saved(policy);
    char *at = memmem(file.data, file.len, edits[i][0], strlen(edits[i][0]));
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(at, edits[i][1], strlen(edits[i][1]));
    CU_ASSERT_EQUAL(rl_policy_load(file.data, file.len, &loaded, &err), PX_E_BAD_DATA);
    px_buf_free(&file);
  }
  rl_policy_free(policy);
  dt_world_close(&w);
}

static void only_a_policy_that_aims_at_a_return_takes_a_target(void) {
  struct dt_world w;
  struct rl_spec spec;
  struct rl_player *player;
  struct px_err err;
  double target = 1;
  dt_world_open(&w, false);
  CU_OK(rl_spec_defaults("bc", &spec, &err), err);
  dt_world_set(&spec, "updates", 1);
  struct rl_policy *policy = trained(&w, &spec);
  CU_ASSERT_FALSE(rl_policy_target(policy, &target));
  CU_ASSERT_EQUAL(rl_player_new(policy, 1, &target, &player, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/target_return");
  rl_policy_free(policy);
  dt_world_close(&w);
}

CU_MAIN("dt_acting", T(acting_sees_the_last_steps_as_training_does),
        T(lanes_know_nothing_of_each_other_and_forget_with_a_new_episode),
        T(along_a_recording_it_remembers_what_it_did_itself),
        T(a_higher_target_gives_actions_of_higher_reward), T(a_loaded_policy_plays_as_before),
        T(a_file_whose_transformer_does_not_fit_is_refused),
        T(only_a_policy_that_aims_at_a_return_takes_a_target))
