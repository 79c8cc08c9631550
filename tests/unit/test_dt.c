/* SPDX-License-Identifier: Apache-2.0 */
/* The Decision Transformer: what a batch holds, what gradients are, and how it acts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "tests/support/cu.h"
#include "worker/nn/loss.h"
#include "worker/rl/algo/dt.h"
#include "worker/rl/algo/dt_actor.h"

/* ---- a small world: trajectories of 1 to 40 steps; each keeps to one action, which is its reward
 * too */

enum { O = 3, A = 2, TRAJ_N = 40, CLASSES = 3 };

struct world {
  struct px_dataset ds;
  struct px_actions_merged u;
  struct px_arena *arena; /* for what trains on it */
};

static void world_open(struct world *w, bool discrete) {
  struct px_dataset *ds = &w->ds;
  struct px_rng rng = px_rng_at(1, 2, 3);
  memset(w, 0, sizeof *w);
  w->arena = px_arena_new(RL_ARENA_BYTES_MAX);
  ds->spaces.obs_dim = O, ds->spaces.act_dim = A;
  for (int j = 0; j < A; j++) ds->spaces.act_low[j] = -2, ds->spaces.act_high[j] = 2;
  if (discrete) px_spaces_set_discrete(&ds->spaces, CLASSES);
  const uint32_t a = ds->spaces.act_dim;
  ds->traj_n = TRAJ_N;
  ds->step_start = px_mem_calloc(TRAJ_N + 1, sizeof(uint64_t)),
  ds->obs_start = px_mem_calloc(TRAJ_N + 1, sizeof(uint64_t));
  for (uint32_t i = 0; i < TRAJ_N; i++) {
    ds->step_start[i + 1] = ds->step_start[i] + i + 1;
    ds->obs_start[i + 1] = ds->obs_start[i] + i + 2;
  }
  ds->steps_n = ds->step_start[TRAJ_N], ds->obs_n = ds->obs_start[TRAJ_N];
  ds->observations = px_mem_calloc(ds->obs_n, O * sizeof(float)),
  ds->rewards = px_mem_calloc(ds->steps_n, sizeof(float));
  ds->terminated = px_mem_calloc(TRAJ_N, 1), ds->truncated = px_mem_calloc(TRAJ_N, 1),
  ds->has_final = px_mem_calloc(TRAJ_N, 1);
  w->u = (struct px_actions_merged){ .ds = ds,
                                     .actions = px_mem_calloc(ds->steps_n, a * sizeof(float)),
                                     .source = px_mem_calloc(ds->steps_n, 1),
                                     .score = px_mem_calloc(ds->steps_n, sizeof(float)) };
  memset(ds->has_final, 1, TRAJ_N);
  memset(w->u.source, PX_SOURCE_TRUE, ds->steps_n);
  px_rng_normal(&rng, ds->observations, ds->obs_n * O);
  for (uint32_t i = 0; i < TRAJ_N; i++) {
    const float action = discrete ? (float)(i % CLASSES) : 1.5F * (float)(i % 3) - 1.5F;
    for (uint64_t step = ds->step_start[i]; step < ds->step_start[i + 1]; step++) {
      ds->rewards[step] = action;
      for (uint32_t j = 0; j < a; j++) w->u.actions[step * a + j] = j ? -action : action;
    }
  }
}

static void world_close(struct world *w) {
  struct px_dataset *ds = &w->ds;
  free(ds->observations), free(ds->rewards), free(ds->step_start), free(ds->obs_start);
  free(ds->terminated), free(ds->truncated), free(ds->has_final);
  free(w->u.actions), free(w->u.source), free(w->u.score);
  px_arena_free(w->arena);
}

static void set(struct rl_spec *spec, const char *name, double value) {
  struct px_err err;
  CU_OK(rl_spec_set(spec, name, value, &err), err);
}

static struct rl_spec small(uint64_t updates) {
  struct rl_spec spec;
  struct px_err err;
  CU_OK(rl_spec_defaults("dt", &spec, &err), err);
  set(&spec, "hidden", 32), set(&spec, "heads", 2), set(&spec, "layers", 2),
    set(&spec, "context", 6);
  set(&spec, "batch", 32);
  set(&spec, "updates", (double)updates), set(&spec, "warmup", 10),
    set(&spec, "return_scale", 0.05);
  return spec;
}

/* ---- batches */

static struct dt_windows *windows_of(const struct world *w, const struct rl_spec *spec,
                                     struct rl_data **data) {
  struct dt_windows *windows;
  struct px_err err;
  CU_OK(rl_data_new(&w->u, spec, data, &err), err);
  CU_OK(dt_windows_new(w->arena, *data, 0.5, &windows, &err), err);
  return windows;
}

/* The step of the dataset at the i-th place of a batch, found by its state. */
static uint64_t step_at(const struct world *w, const struct rl_data *d, const struct dt_batch *b,
                        uint32_t i) {
  for (uint32_t traj = 0; traj < TRAJ_N; traj++) {
    if (b->time[i] > traj) continue;
    const float *s = w->ds.observations + (w->ds.obs_start[traj] + b->time[i]) * O;
    const float expected = (s[0] - d->mean[0]) * d->inv_scale[0];
    if (fabsf(b->state[i * O] - expected) < 1e-6F) return w->ds.step_start[traj] + b->time[i];
  }
  CU_FAIL_FATAL("no such state");
  return 0;
}

static void a_stretch_is_the_steps_up_to_any_with_a_known_action(void) {
  enum { SEQS = 300, CONTEXT = 6 };
  struct world w;
  struct rl_data *d;
  struct dt_batch b;
  world_open(&w, false);
  for (uint64_t step = 0; step < w.ds.steps_n; step += 5) w.u.source[step] = PX_SOURCE_NONE;
  const struct rl_spec spec = small(1);
  struct dt_windows *windows = windows_of(&w, &spec, &d);
  CU_ASSERT_EQUAL(windows->longest, TRAJ_N);
  dt_batch_init(w.arena, &b, SEQS, CONTEXT, O, A);
  dt_batch_draw(&b, windows, 3, 4);
  uint32_t losses = 0;
  for (uint32_t i = 0; i < SEQS; i++) {
    const uint64_t first = step_at(&w, d, &b, b.start[i]);
    const uint32_t n = b.start[i + 1] - b.start[i], traj = px_dataset_traj_of_step(&w.ds, first);
    const uint64_t left = w.ds.step_start[traj + 1] - first,
                   until = first + n - w.ds.step_start[traj];
    CU_ASSERT_EQUAL(n, until < CONTEXT ? until : CONTEXT);
    CU_ASSERT_EQUAL(w.u.source[first + n - 1], PX_SOURCE_TRUE); /* it ends at one with a loss */
    for (uint32_t k = 0; k < n; k++) {
      const uint32_t at = b.start[i] + k;
      const bool known = w.u.source[first + k] == PX_SOURCE_TRUE;
      CU_ASSERT_EQUAL(b.time[at], b.time[b.start[i]] + k);
      CU_ASSERT_EQUAL(step_at(&w, d, &b, at), first + k);
      CU_ASSERT_DOUBLE_EQUAL(b.to_go[at], 0.5 * (double)w.ds.rewards[first] * (double)(left - k),
                             1e-4);
      CU_ASSERT_EQUAL(b.weight[at], known ? 1 : 0);
      for (uint32_t j = 0; j < A; j++)
        CU_ASSERT_DOUBLE_EQUAL(b.action[at * A + j],
                               known ? w.u.actions[(first + k) * A + j] / 2 : 0, 1e-6);
      losses += known;
    }
  }
  CU_ASSERT_EQUAL(b.losses_n, losses);
  rl_data_free(d);
  world_close(&w);
}

static void stretches_end_at_true_actions_in_the_share_asked_for(void) {
  enum { SEQS = 50, CONTEXT = 6 };
  struct world w;
  struct rl_data *d;
  struct dt_batch b;
  world_open(&w, false);
  for (uint64_t step = 0; step < w.ds.steps_n; step++)
    if (step % 10) w.u.source[step] = PX_SOURCE_PROXY;
  struct rl_spec spec = small(1);
  set(&spec, "true_share", 0.7);
  struct dt_windows *windows = windows_of(&w, &spec, &d);
  dt_batch_init(w.arena, &b, SEQS, CONTEXT, O, A);
  for (uint64_t update = 0; update < 5; update++) {
    uint32_t true_n = 0;
    dt_batch_draw(&b, windows, 3, update);
    for (uint32_t i = 0; i < SEQS; i++)
      true_n += w.u.source[step_at(&w, d, &b, b.start[i + 1] - 1)] == PX_SOURCE_TRUE;
    CU_ASSERT_EQUAL(true_n, 35);
  }
  rl_data_free(d);
  world_close(&w);
}

static void draws_are_uniform_over_steps_and_depend_on_seed_and_step_alone(void) {
  enum { SEQS = 8192 };
  struct world w;
  struct rl_data *d;
  struct dt_batch b;
  world_open(&w, true);
  const struct rl_spec spec = small(1);
  struct dt_windows *windows = windows_of(&w, &spec, &d);
  dt_batch_init(w.arena, &b, SEQS, 1, O, CLASSES);
  dt_batch_draw(&b, windows, 3, 4);
  double mean = 0;
  for (uint32_t i = 0; i < SEQS; i++) {
    mean += b.time[i] / (double)SEQS;
    for (int j = 0; j < CLASSES; j++)
      CU_ASSERT_EQUAL(b.action[i * CLASSES + j], (float)j == b.chosen[i]);
  }
  /* sum_T sum_{t < T} t / sum_T T = (40^2 - 1) / 3 / 41; its standard error here is 0.1 */
  CU_ASSERT_DOUBLE_EQUAL(mean, 13.0, 0.4);
  const uint32_t first = b.time[0], second = b.time[1], last = b.time[SEQS - 1];
  dt_batch_draw(&b, windows, 3, 5);
  CU_ASSERT_TRUE(b.time[0] != first || b.time[1] != second || b.time[SEQS - 1] != last);
  dt_batch_draw(&b, windows, 3, 4);
  CU_ASSERT_TRUE(b.time[0] == first && b.time[1] == second && b.time[SEQS - 1] == last);
  rl_data_free(d);
  world_close(&w);
}

/* ---- gradients */

static void entropys_gradients_are_those_of_finite_differences(void) {
  enum { N = 8, D = 3 };
  struct px_rng rng = px_rng_at(9, 7, 0);
  float mu[N * D], y[N * D], noise[N * D], weight[N], grads[2][N * D], other[2][N * D];
  px_rng_normal(&rng, mu, N * D), px_rng_normal(&rng, y, N * D), px_rng_normal(&rng, noise, N * D);
  for (int i = 0; i < N; i++) weight[i] = px_rng_float(&rng);
  /* it adds to what is there */
  for (int i = 0; i < N * D; i++) grads[0][i] = 5, grads[1][i] = 6;
  px_loss_squashed_entropy(N, D, mu, y, noise, weight, 1.0 / N, grads[0], grads[1]);
  for (int i = 0; i < 2 * N * D; i++) {
    float *at = i < N * D ? mu + i : y + (i - N * D);
    const double gradient = (double)(i < N * D ? grads[0][i] - 5 : grads[1][i - N * D] - 6);
    const float was = *at, step = 1e-3F;
    *at = was + step;
    const double above =
      px_loss_squashed_entropy(N, D, mu, y, noise, weight, 1.0 / N, other[0], other[1]);
    *at = was - step;
    const double below =
      px_loss_squashed_entropy(N, D, mu, y, noise, weight, 1.0 / N, other[0], other[1]);
    *at = was;
    CU_ASSERT_TRUE(fabs((above - below) / (2 * (double)step) - gradient) <
                   5e-3 * (1 + fabs(gradient)));
  }
}

static struct dt *training(const struct world *w, const struct rl_spec *spec,
                           struct rl_data **data) {
  void *state;
  struct px_err err;
  CU_OK(rl_data_new(&w->u, spec, data, &err), err);
  CU_OK(dt_algo.init(w->arena, spec, *data, &state, &err), err);
  struct dt *dt = state;
  dt_batch_draw(&dt->batch, dt->windows, 1, 1);
  struct px_rng rng = px_rng_at(1, 1, 1);
  if (dt->net->shape.discrete) return dt;
  px_rng_normal(&rng, dt->noise, (size_t)dt->batch.start[dt->batch.seqs] * A);
  /* Middling actions and spreads keep losses of size one, which finite differences in float32
   * need. */
  for (uint32_t i = 0; i < dt->batch.start[dt->batch.seqs] * A; i++) dt->batch.action[i] *= 0.4F;
  const struct px_tensor *log_sigma = &dt->net->tensors[dt->net->tensors_n - 2];
  for (size_t i = 0; i < px_tensor_n(log_sigma); i++) dt->net->params[log_sigma->at + i] *= 0.1F;
  return dt;
}

static void check_gradients(bool discrete) {
  struct world w;
  struct rl_data *d;
  world_open(&w, discrete);
  for (uint64_t step = 0; step < w.ds.steps_n; step += 3) w.u.source[step] = PX_SOURCE_NONE;
  struct rl_spec spec = small(1);
  set(&spec, "dropout", 0.2), set(&spec, "batch", 4), set(&spec, "temperature", 0.5);
  struct dt *dt = training(&w, &spec, &d);
  double losses[DT_LOSSES_N];
  dt_gradients(dt, 7, losses);
  float *grads = px_mem_calloc(dt->net->params_n, sizeof *grads);
  memcpy(grads, dt->grads, dt->net->params_n * sizeof *grads);
  for (size_t i = 0; i < dt->net->params_n; i += i < 2000 ? 7 : 97) {
    float *at = dt->net->params + i;
    const float was = *at, step = 2e-3F;
    *at = was + step;
    dt_gradients(dt, 7, losses);
    const double above = losses[DT_LOSS];
    *at = was - step;
    dt_gradients(dt, 7, losses);
    *at = was;
    const double found = (above - losses[DT_LOSS]) / (2 * (double)step),
                 gradient = (double)grads[i];
    CU_ASSERT_TRUE(fabs(found - gradient) < 2e-2 * (1 + fabs(gradient)));
  }
  free(grads);
  rl_data_free(d);
  world_close(&w);
}

static void gradients_are_those_of_finite_differences(void) {
  check_gradients(false);
  check_gradients(true);
}

static void chunks_add_up_to_the_whole_batch(void) {
  struct world w;
  struct rl_data *d;
  double whole[DT_LOSSES_N], parts[DT_LOSSES_N];
  world_open(&w, false);
  struct rl_spec spec = small(1);
  set(&spec, "batch", 20), set(&spec, "dropout", 0.2);
  struct dt *dt = training(&w, &spec, &d);
  CU_ASSERT_EQUAL_FATAL(dt->chunk, 20);
  float *grads = px_mem_calloc(dt->net->params_n, sizeof *grads);
  dt_gradients(dt, 0, whole);
  memcpy(grads, dt->grads, dt->net->params_n * sizeof *grads);
  dt->chunk = 7;
  dt_gradients(dt, 0, parts);
  for (int i = 0; i < DT_LOSS_NORM; i++)
    CU_ASSERT_DOUBLE_EQUAL(whole[i], parts[i], 1e-5 * (1 + fabs(whole[i])));
  double largest = 0, apart = 0;
  for (size_t i = 0; i < dt->net->params_n; i++) {
    largest = fmax(largest, fabs((double)grads[i]));
    apart = fmax(apart, fabs((double)grads[i] - (double)dt->grads[i]));
  }
  CU_ASSERT_TRUE(apart < 2e-6 * largest);
  free(grads);
  rl_data_free(d);
  world_close(&w);
}

static void an_unknown_action_is_neither_seen_nor_learned(void) {
  struct world w[2];
  struct rl_data *d[2];
  struct dt *dt[2];
  double losses[2][DT_LOSSES_N];
  const struct rl_spec spec = small(1);
  for (int i = 0; i < 2; i++) {
    world_open(&w[i], false);
    for (uint64_t step = 0; step < w[i].ds.steps_n; step += 2) {
      w[i].u.source[step] = PX_SOURCE_NONE;
      w[i].u.actions[step * A] = (float)i; /* whatever stands there */
    }
    dt[i] = training(&w[i], &spec, &d[i]);
    dt_gradients(dt[i], 0, losses[i]);
  }
  CU_ASSERT_TRUE(dt[0]->batch.losses_n > 0 && dt[0]->batch.losses_n < dt[0]->batch.start[32]);
  CU_ASSERT_EQUAL(losses[0][DT_LOSS], losses[1][DT_LOSS]);
  CU_ASSERT_EQUAL(memcmp(dt[0]->grads, dt[1]->grads, dt[0]->net->params_n * sizeof(float)), 0);
  for (int i = 0; i < 2; i++) rl_data_free(d[i]), world_close(&w[i]);
}

/* ---- acting */

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

static struct rl_policy *trained(const struct world *w, const struct rl_spec *spec) {
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
  struct world w;
  struct rl_spec spec = small(250);
  float low[8], high[8], next[8];
  set(&spec, "lr", 0.01);
  for (int discrete = 0; discrete < 2; discrete++) {
    world_open(&w, discrete);
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
    world_close(&w);
  }
}

static void along_a_recording_it_remembers_what_it_did_itself(void) {
  struct world w;
  struct rl_data *d;
  struct dt_work *work;
  struct px_err err;
  world_open(&w, false);
  const struct rl_spec spec = small(20);
  struct rl_policy *policy = trained(&w, &spec);
  struct dt *dt = training(&w, &spec, &d); /* the same net, once it took the same updates */
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
  world_close(&w);
}

static struct px_buf saved(const struct rl_policy *policy) {
  struct px_buf file = PX_BUF(1 << 22);
  struct px_err err;
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  return file;
}

static void a_loaded_policy_plays_as_before(void) {
  struct world w;
  struct rl_policy *loaded;
  struct px_err err;
  double target;
  for (int discrete = 0; discrete < 2; discrete++) {
    world_open(&w, discrete);
    const struct rl_spec spec = small(30);
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
    world_close(&w);
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
  struct world w;
  struct rl_policy *loaded;
  struct px_err err;
  world_open(&w, false);
  const struct rl_spec spec = small(1);
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
  world_close(&w);
}

static void only_a_policy_that_aims_at_a_return_takes_a_target(void) {
  struct world w;
  struct rl_spec spec;
  struct rl_player *player;
  struct px_err err;
  double target = 1;
  world_open(&w, false);
  CU_OK(rl_spec_defaults("bc", &spec, &err), err);
  set(&spec, "updates", 1);
  struct rl_policy *policy = trained(&w, &spec);
  CU_ASSERT_FALSE(rl_policy_target(policy, &target));
  CU_ASSERT_EQUAL(rl_player_new(policy, 1, &target, &player, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/target_return");
  rl_policy_free(policy);
  world_close(&w);
}

CU_MAIN("dt", T(a_stretch_is_the_steps_up_to_any_with_a_known_action),
        T(draws_are_uniform_over_steps_and_depend_on_seed_and_step_alone),
        T(stretches_end_at_true_actions_in_the_share_asked_for),
        T(entropys_gradients_are_those_of_finite_differences),
        T(gradients_are_those_of_finite_differences), T(chunks_add_up_to_the_whole_batch),
        T(an_unknown_action_is_neither_seen_nor_learned),
        T(acting_sees_the_last_steps_as_training_does),
        T(lanes_know_nothing_of_each_other_and_forget_with_a_new_episode),
        T(along_a_recording_it_remembers_what_it_did_itself),
        T(a_higher_target_gives_actions_of_higher_reward), T(a_loaded_policy_plays_as_before),
        T(a_file_whose_transformer_does_not_fit_is_refused),
        T(only_a_policy_that_aims_at_a_return_takes_a_target))
