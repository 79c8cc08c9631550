/* SPDX-License-Identifier: Apache-2.0 */
/* Offline RL: training's guarantees, policies and their files. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/rl/algo/iql.h"
#include "lib/rl/algo/td3bc.h"
#include "tests/support/allocations.h"
#include "tests/support/rl_world.h"

/* ---- training */

/* Each algorithm, with continuous actions and with discrete ones, where it learns such. */
static void with_every_algorithm(void (*check)(const struct rl_world *w, const char *algo)) {
  for (const struct flow_field *one = flow_algos; one->name; one++)
    for (int discrete = 0; discrete <= 1; discrete++) {
      struct rl_world w;
      if (!flow_algo_learns(one->name, discrete)) continue;
      rl_world_open(&w);
      if (discrete) rl_world_discrete(&w);
      check(&w, one->name);
      rl_world_close(&w);
    }
}

static struct px_buf trained(const struct rl_world *w, const struct rl_spec *spec) {
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  struct px_buf file = PX_BUF(1 << 22);
  CU_OK(rl_train(spec, &w->u, NULL, NULL, &policy, &metrics, &err), err);
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  rl_policy_free(policy);
  return file;
}

static void trains_alike_from_equal_seeds(const struct rl_world *w, const char *algo) {
  struct rl_spec spec = rl_world_spec(algo, 20);
  struct px_buf one = trained(w, &spec), two = trained(w, &spec);
  spec.seed = 1;
  struct px_buf other = trained(w, &spec);
  CU_ASSERT_EQUAL_FATAL(one.len, two.len);
  CU_ASSERT_EQUAL(memcmp(one.data, two.data, one.len), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(one.data, other.data, one.len), 0);
  px_buf_free(&one), px_buf_free(&two), px_buf_free(&other);
}

static void equal_seeds_give_equal_bytes_and_others_do_not(void) {
  with_every_algorithm(trains_alike_from_equal_seeds);
}

#ifdef COUNTS_ALLOCATIONS
static void steps_without_allocating(const struct rl_world *w, const char *name) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_spec spec = rl_world_spec(name, 1);
  const struct rl_algo *algo = rl_algo_find(name);
  struct rl_data *d;
  struct px_err err;
  void *state;
  double losses[RL_LOSSES_MAX] = { 0 };
  uint64_t before = allocations;
  rl_world_set(&spec, "batch", PX_MLP_CHUNK + 1);
  CU_OK(rl_data_new(&w->u, &spec, &d, &err), err);
  CU_OK(algo->init(arena, &spec, d, &state, &err), err);
  CU_ASSERT_TRUE(allocations > before); /* so the count works */
  before = allocations;
  for (uint64_t step = 0; step < 10; step++) algo->step(state, step, losses);
  CU_ASSERT_EQUAL(allocations, before);
  px_arena_free(arena);
  rl_data_free(d);
}
#endif

static void updates_allocate_nothing(void) {
#ifndef COUNTS_ALLOCATIONS
  CU_PASS("the sanitizer owns malloc: counted in the ordinary build");
#else
  with_every_algorithm(steps_without_allocating);
#endif
}

static void steps(const struct rl_algo *algo, void *state, uint64_t from, uint64_t to) {
  double losses[RL_LOSSES_MAX] = { 0 };
  for (uint64_t step = from; step < to; step++) algo->step(state, step, losses);
}

static struct px_buf written(const struct rl_algo *algo, void *state,
                             const struct px_state **list) {
  static struct px_state all;
  struct px_err err;
  struct px_buf file = PX_BUF(1 << 24);
  all.n = 0;
  algo->state(state, &all);
  CU_ASSERT_TRUE(px_state_finite(&all));
  CU_OK(px_state_write(&all, NULL, 0, &file, &err), err);
  *list = &all;
  return file;
}

static void goes_on_from_its_state(const struct rl_world *w, const char *name) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  const struct rl_algo *algo = rl_algo_find(name);
  const struct rl_spec spec = rl_world_spec(name, 20);
  const struct px_state *list;
  struct rl_data *d;
  struct px_safetensors *st;
  struct px_err err;
  void *state[2];
  CU_OK(rl_data_new(&w->u, &spec, &d, &err), err);
  for (int i = 0; i < 2; i++) CU_OK(algo->init(arena, &spec, d, &state[i], &err), err);
  steps(algo, state[0], 0, 7);
  struct px_buf half = written(algo, state[0], &list), end[2];
  steps(algo, state[0], 7, 15);
  end[0] = written(algo, state[0], &list);
  CU_OK(px_safetensors_parse(half.data, half.len, &st, &err), err);
  end[1] = written(algo, state[1], &list); /* so that the list is that of the fresh one */
  px_buf_free(&end[1]);
  CU_OK(px_state_read(list, st, &err), err);
  steps(algo, state[1], 7, 15);
  end[1] = written(algo, state[1], &list);
  CU_ASSERT_EQUAL_FATAL(end[0].len, end[1].len);
  CU_ASSERT_EQUAL(memcmp(end[0].data, end[1].data, end[0].len), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(end[0].data, half.data, half.len), 0);
  px_safetensors_free(st);
  px_buf_free(&half), px_buf_free(&end[0]), px_buf_free(&end[1]);
  px_arena_free(arena);
  rl_data_free(d);
}

static void a_training_goes_on_from_its_state_bit_for_bit(void) {
  with_every_algorithm(goes_on_from_its_state);
}

static void batches_over_one_chunk_update_like_one_chunk(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  enum { N = PX_MLP_CHUNK };
  struct px_err err;
  struct td3bc *t[2];
  struct px_rng rng = px_rng_at(3, 1, 4);
  double losses[2][RL_LOSSES_MAX] = { { 0 } };
  for (uint32_t i = 0; i < 2; i++) {
    struct rl_spec spec = rl_world_spec("td3bc", 1);
    rl_world_set(&spec, "policy_freq", 1), rl_world_set(&spec, "batch", N * (i + 1));
    CU_OK(td3bc_new(arena, &spec, O, A, &t[i], &err), err);
  }
  struct rl_batch *one = &t[0]->batch, *two = &t[1]->batch;
  px_rng_normal(&rng, one->s, N * O);
  px_rng_normal(&rng, one->s2, N * O);
  px_rng_normal(&rng, one->reward, N);
  px_rng_normal(&rng, t[0]->noise, N * A);
  for (int i = 0; i < N * A; i++) one->action[i] = 2 * px_rng_float(&rng) - 1;
  for (int i = 0; i < N; i++) one->not_done[i] = one->weight[i] = 1;
  /* the same batch twice has the same mean loss and gradients */
  for (int copy = 0; copy < 2; copy++) {
    memcpy(two->s + copy * N * O, one->s, N * O * sizeof(float));
    memcpy(two->s2 + copy * N * O, one->s2, N * O * sizeof(float));
    memcpy(two->reward + copy * N, one->reward, N * sizeof(float));
    memcpy(two->not_done + copy * N, one->not_done, N * sizeof(float));
    memcpy(two->weight + copy * N, one->weight, N * sizeof(float));
    memcpy(two->action + copy * N * A, one->action, N * A * sizeof(float));
    memcpy(t[1]->noise + copy * N * A, t[0]->noise, N * A * sizeof(float));
  }
  for (int i = 0; i < 2; i++) td3bc_update(t[i], 0, losses[i]);
  for (int i = 0; i < RL_LOSSES_MAX; i++) CU_ASSERT_DOUBLE_EQUAL(losses[0][i], losses[1][i], 1e-5);
  for (size_t i = 0; i < t[0]->actor.net->params_n; i++)
    CU_ASSERT_DOUBLE_EQUAL(t[0]->actor.grads[i], t[1]->actor.grads[i], 1e-6);
  for (size_t i = 0; i < t[0]->critic[1].net->params_n; i++)
    CU_ASSERT_DOUBLE_EQUAL(t[0]->critic[1].grads[i], t[1]->critic[1].grads[i], 1e-5);
  px_arena_free(arena);
}

static void cloning_finds_the_behaviour_and_acts_in_its_range(void) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("bc", 3000);
  rl_world_set(&spec, "lr", 1e-3);
  CU_OK(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), err);
  CU_ASSERT_EQUAL(metrics.updates, 3000);
  CU_ASSERT_EQUAL(metrics.transitions_n, TRAJ_N * STEPS);
  CU_ASSERT_EQUAL(metrics.effective_n, TRAJ_N * STEPS);
  float actions[300 * A], far[O] = { -100, 100, 0 };
  rl_policy_act(policy, w.ds.observations, 300, actions);
  double error = 0;
  for (int i = 0; i < 300; i++)
    for (int j = 0; j < A; j++)
      error +=
        pow((double)(actions[i * A + j] - fminf(fmaxf(-w.ds.observations[i * O + j], -2), 2)), 2);
  CU_ASSERT_TRUE(error / (300 * A) < 0.02); /* the actions' own variance is 0.9 */
  rl_policy_act(policy, far, 1, actions);
  for (int j = 0; j < A; j++) CU_ASSERT_TRUE(fabsf(actions[j]) <= 2);
  float value;
  CU_ASSERT_FALSE(rl_policy_value(policy, far, 1, &value));
  rl_policy_free(policy);
  rl_world_close(&w);
}

static void cloning_finds_discrete_behaviour_and_acts_with_its_classes(void) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("td3bc", 1);
  rl_world_discrete(&w);
  CU_ASSERT_EQUAL(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/algo");
  spec = rl_world_spec("bc", 2000);
  rl_world_set(&spec, "lr", 1e-3);
  CU_OK(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), err);
  CU_ASSERT_EQUAL(rl_policy_act_dim(policy), 1);
  CU_ASSERT_EQUAL(rl_policy_act_count(policy), CLASSES);
  float actions[STEPS], far[O] = { -1000, 0, 0 }, other;
  rl_policy_act(policy, w.ds.observations, STEPS, actions);
  int right = 0;
  for (int i = 0; i < STEPS; i++) right += actions[i] == w.u.actions[i];
  CU_ASSERT_TRUE(right >= STEPS - 2);
  rl_policy_act(policy, far, 1, &other);
  CU_ASSERT_EQUAL(other, 0);
  rl_policy_free(policy);
  rl_world_close(&w);
}

/* The mean first action of a policy trained on uniform behaviour whose reward is that action: about
 * 0 if it only clones. */
static double mean_first_action(const struct rl_world *w, struct rl_spec *spec, bool has_critic) {
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  float actions[100 * A], values[100];
  double mean = 0, value = 0;
  rl_world_set(spec, "lr", 1e-3);
  if (has_critic) rl_world_set(spec, "gamma", 0);
  CU_OK(rl_train(spec, &w->u, NULL, NULL, &policy, &metrics, &err), err);
  rl_policy_act(policy, w->ds.observations, 100, actions);
  for (int k = 0; k < 100; k++) mean += (double)actions[k * A] / 100;
  CU_ASSERT_EQUAL(rl_policy_value(policy, w->ds.observations, 100, values), has_critic);
  for (int k = 0; has_critic && k < 100; k++) value += (double)values[k] / 100;
  if (has_critic) CU_ASSERT_DOUBLE_EQUAL(value, mean, 0.5); /* in the rewards' own units */
  rl_policy_free(policy);
  return mean;
}

static void algorithms_with_critics_prefer_actions_of_higher_reward_over_the_behaviour(void) {
  struct rl_world w;
  struct px_rng rng = px_rng_at(4, 4, 4);
  rl_world_open(&w);
  for (uint64_t step = 0; step < w.ds.steps_n; step++) {
    for (int j = 0; j < A; j++) w.u.actions[step * A + j] = 4 * px_rng_float(&rng) - 2;
    w.ds.rewards[step] = w.u.actions[step * A];
  }
  struct rl_spec bc = rl_world_spec("bc", 2000), td3bc = rl_world_spec("td3bc", 2000),
                 iql = rl_world_spec("iql", 2000), awac = rl_world_spec("awac", 2000),
                 rebrac = rl_world_spec("rebrac", 2000), cql = rl_world_spec("cql", 2000);
  struct rl_spec scaled = rl_world_spec("rebrac", 2000);
  rl_world_set(&scaled, "rewards", 2);
  struct rl_spec of_states = rl_world_spec("iql", 2000);
  rl_world_set(&of_states, "values", 1), rl_world_set(&of_states, "gamma", 0);
  rl_world_set(&awac, "lambda", 0.3);
  rl_world_set(&cql, "conservative_weight", 0.1), rl_world_set(&cql, "n_action_samples", 4),
    rl_world_set(&cql, "actor_lr", 1e-3);
  CU_ASSERT_TRUE(fabs(mean_first_action(&w, &bc, false)) < 0.7);
  CU_ASSERT_TRUE(mean_first_action(&w, &td3bc, true) > 1.2);
  /* it clones what is better than the state's value */
  CU_ASSERT_TRUE(mean_first_action(&w, &iql, true) > 0.8);
  CU_ASSERT_TRUE(mean_first_action(&w, &of_states, false) > 0.8);
  CU_ASSERT_TRUE(mean_first_action(&w, &scaled, true) > 1.2);
  CU_ASSERT_TRUE(mean_first_action(&w, &awac, true) > 1.2);
  CU_ASSERT_TRUE(mean_first_action(&w, &rebrac, true) > 1.2);
  CU_ASSERT_TRUE(mean_first_action(&w, &cql, true) > 1.2);
  rl_world_close(&w);
}

/* With gamma 0 what was earned from an action on is its reward: then pretraining alone gives the
 * critic of such a world, and an actor that only clones. */
static void pretraining_learns_what_was_earned_and_clones(void) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  struct px_rng rng = px_rng_at(4, 6, 4);
  float actions[100 * A], values[100];
  double mean = 0;
  rl_world_open(&w);
  for (uint64_t step = 0; step < w.ds.steps_n; step++) {
    for (int j = 0; j < A; j++) w.u.actions[step * A + j] = 4 * px_rng_float(&rng) - 2;
    w.ds.rewards[step] = w.u.actions[step * A];
  }
  struct rl_spec spec = rl_world_spec("rebrac", 1500);
  rl_world_set(&spec, "gamma", 0), rl_world_set(&spec, "pretrain", 1);
  CU_OK(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), err);
  rl_policy_act(policy, w.ds.observations, 100, actions);
  CU_ASSERT_TRUE(rl_policy_value(policy, w.ds.observations, 100, values));
  for (int k = 0; k < 100; k++) {
    mean += (double)actions[k * A] / 100;
    CU_ASSERT_DOUBLE_EQUAL(values[k], actions[k * A], 1);
  }
  CU_ASSERT_TRUE(fabs(mean) < 0.7);
  rl_policy_free(policy);
  rl_world_close(&w);
}

static double metric_of(const struct rl_metrics *metrics, const char *name) {
  for (int i = 0; i < RL_LOSSES_MAX; i++)
    if (metrics->losses[i].name && strcmp(metrics->losses[i].name, name) == 0)
      return metrics->losses[i].value;
  CU_FAIL_FATAL("no such metric");
  return NAN;
}

/* The value net of an iql of states' values after some updates. */
static struct px_buf values_learned(const struct rl_world *w) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_spec spec = rl_world_spec("iql", 20);
  const struct rl_algo *algo = rl_algo_find("iql");
  struct rl_data *d;
  struct px_err err;
  struct px_buf bytes = PX_BUF(1 << 20);
  void *state;
  rl_world_set(&spec, "values", 1);
  CU_OK(rl_data_new(&w->u, &spec, &d, &err), err);
  CU_OK(algo->init(arena, &spec, d, &state, &err), err);
  steps(algo, state, 0, 20);
  const struct px_mlp *net = ((struct iql *)state)->value.net;
  CU_OK(px_buf_put(&bytes, net->params, net->params_n * sizeof *net->params), err);
  px_arena_free(arena);
  rl_data_free(d);
  return bytes;
}

static void no_action_reaches_the_values_of_states(void) {
  struct rl_world w;
  rl_world_open(&w);
  struct px_buf one = values_learned(&w);
  for (uint64_t i = 0; i < w.ds.steps_n * A; i++) w.u.actions[i] *= -0.5F;
  struct px_buf other = values_learned(&w);
  CU_ASSERT_EQUAL(memcmp(one.data, other.data, one.len), 0);
  w.ds.rewards[7] += 10;
  struct px_buf richer = values_learned(&w);
  CU_ASSERT_NOT_EQUAL(memcmp(one.data, richer.data, one.len), 0);
  px_buf_free(&one), px_buf_free(&other), px_buf_free(&richer);
  rl_world_close(&w);
}

static void weighted_cloning_says_how_much_of_a_batch_counts(void) {
  struct rl_world w;
  struct px_err err;
  rl_world_open(&w);
  for (int sharp = 0; sharp < 2; sharp++) {
    struct rl_spec iql = rl_world_spec("iql", 300), awac = rl_world_spec("awac", 300);
    rl_world_set(&iql, "beta", sharp ? 100 : 0);
    rl_world_set(&awac, "lambda", sharp ? 0.5 : 1e6);
    const struct rl_spec *specs[] = { &iql, &awac };
    for (int i = 0; i < 2; i++) {
      struct rl_policy *policy;
      struct rl_metrics metrics;
      CU_OK(rl_train(specs[i], &w.u, NULL, NULL, &policy, &metrics, &err), err);
      const double share = metric_of(&metrics, "effective_share");
      if (sharp) CU_ASSERT_TRUE(share > 0 && share < 0.9);
      if (!sharp) CU_ASSERT_DOUBLE_EQUAL(share, 1, 1e-4);
      rl_policy_free(policy);
    }
  }
  rl_world_close(&w);
}

static void prefers_discrete_actions_of_higher_reward(struct rl_spec *spec) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  struct px_rng rng = px_rng_at(4, 5, 4);
  float actions[100], values[100];
  rl_world_open(&w);
  rl_world_discrete(&w);
  /* The middle class is done half of the time, and cloning would do it; the last one is worth
   * more. */
  for (uint64_t step = 0; step < w.ds.steps_n; step++) {
    const uint32_t draw = px_rng_below(&rng, 4);
    w.u.actions[step] = draw < 2 ? 1 : draw == 2 ? 0 : 2;
    w.ds.rewards[step] = w.u.actions[step];
  }
  rl_world_set(spec, "lr", 1e-3), rl_world_set(spec, "gamma", 0);
  CU_OK(rl_train(spec, &w.u, NULL, NULL, &policy, &metrics, &err), err);
  rl_policy_act(policy, w.ds.observations, 100, actions);
  CU_ASSERT_TRUE(rl_policy_value(policy, w.ds.observations, 100, values));
  int best = 0;
  for (int k = 0; k < 100; k++) {
    best += actions[k] == 2;
    CU_ASSERT_DOUBLE_EQUAL(values[k], actions[k], 0.5);
  }
  CU_ASSERT_TRUE(best >= 95);
  rl_policy_free(policy);
  rl_world_close(&w);
}

static void iql_and_cql_prefer_discrete_actions_of_higher_reward(void) {
  struct rl_spec iql = rl_world_spec("iql", 2000), cql = rl_world_spec("cql", 800);
  rl_world_set(&cql, "conservative_weight", 0.1), rl_world_set(&cql, "layers", 2);
  prefers_discrete_actions_of_higher_reward(&iql);
  prefers_discrete_actions_of_higher_reward(&cql);
}

static void diverges(const char *algo) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec(algo, 100);
  w.ds.rewards[0] = 1e30F;
  CU_ASSERT_EQUAL(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), PX_E_NAN_LOSS);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "critic_loss"));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "at update "));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Divide the rewards"));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "lr below 0.0003, "));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "batch above 32"));
  CU_ASSERT_EQUAL(strstr(err.hint, "conservative_weight above 5") != NULL,
                  strcmp(algo, "cql") == 0);
  rl_world_close(&w);
}

static void divergence_is_reported_with_its_update_and_what_to_change(void) {
  diverges("td3bc");
  diverges("cql");
}

static enum px_status stop_at_once_it_moves(void *ctx, const char *phase, int64_t step,
                                            int64_t total, const struct px_metric *metrics,
                                            size_t metrics_n) {
  (void)metrics;
  if (step == 0) return PX_OK; /* where it begins */
  *(int *)ctx += metrics_n == 4 && step <= total && strcmp(phase, "train") == 0;
  return PX_E_CANCELLED;
}

static void training_stops_when_progress_says_so(void) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  int calls = 0;
  const struct px_progress progress = { &calls, stop_at_once_it_moves };
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("td3bc", 1000000);
  CU_ASSERT_EQUAL(rl_train(&spec, &w.u, &progress, NULL, &policy, &metrics, &err), PX_E_CANCELLED);
  CU_ASSERT_EQUAL(calls, 1);
  rl_world_close(&w);
}

static void specs_out_of_bounds_are_refused_by_name(void) {
  struct px_err err;
  struct rl_spec spec;
  CU_ASSERT_EQUAL(rl_spec_defaults("nothing", &spec, &err), PX_E_BAD_FIELD);
  spec = rl_world_spec("td3bc", 1);
  CU_ASSERT_EQUAL(rl_spec_set(&spec, "gamma", 1.5, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/gamma");
  CU_ASSERT_EQUAL(rl_option(&spec, "gamma"), 0.99);
  CU_ASSERT_EQUAL(rl_spec_set(&spec, "lr", NAN, &err), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(rl_spec_set(&spec, "weighting", EXP + 1, &err), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(rl_spec_set(&spec, "expectile", 0.7, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/expectile");
}

/* ---- files */

static void acts_alike_when_loaded(const struct rl_world *w, const char *algo) {
  enum { N = TRAJ_N * STEPS };
  const struct rl_spec spec = rl_world_spec(algo, 10);
  struct rl_policy *policy[2];
  struct rl_metrics metrics;
  struct px_buf file = PX_BUF(1 << 22);
  struct px_err err;
  float actions[2][N * A] = { { 0 } }, values[2][N];
  bool valued[2];
  CU_OK(rl_train(&spec, &w->u, NULL, NULL, &policy[0], &metrics, &err), err);
  CU_OK(rl_policy_save(policy[0], NULL, 0, &file, &err), err);
  CU_OK(rl_policy_load(file.data, file.len, &policy[1], &err), err);
  for (int i = 0; i < 2; i++) {
    rl_policy_act(policy[i], w->ds.observations, N, actions[i]);
    valued[i] = rl_policy_value(policy[i], w->ds.observations, N, values[i]);
    CU_ASSERT_EQUAL(rl_policy_act_count(policy[i]), w->ds.spaces.act_count);
  }
  CU_ASSERT_EQUAL(memcmp(actions[0], actions[1], sizeof actions[0]), 0);
  CU_ASSERT_EQUAL_FATAL(valued[0], valued[1]);
  if (valued[0]) CU_ASSERT_EQUAL(memcmp(values[0], values[1], sizeof values[0]), 0);
  for (uint32_t i = 0; w->ds.spaces.act_count && i < N; i++)
    CU_ASSERT_TRUE(px_is_class(actions[0][i], w->ds.spaces.act_count));
  px_buf_free(&file);
  for (int i = 0; i < 2; i++) rl_policy_free(policy[i]);
}

static void every_saved_policy_acts_as_before(void) {
  with_every_algorithm(acts_alike_when_loaded);
}

static void a_saved_policy_acts_as_before_and_says_where_it_comes_from(void) {
  struct rl_world w;
  struct rl_policy *policy, *loaded;
  struct rl_metrics metrics;
  struct px_err err;
  struct px_safetensors *st;
  struct px_buf file = PX_BUF(1 << 22);
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("td3bc", 10);
  CU_OK(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), err);
  CU_OK(rl_policy_save(policy, &(struct px_safetensors_meta){ "dataset", "ds_1" }, 1, &file, &err),
        err);
  CU_OK(rl_policy_load(file.data, file.len, &loaded, &err), err);
  float before[300 * A], after[300 * A], values[2][300];
  rl_policy_act(policy, w.ds.observations, 300, before);
  rl_policy_act(loaded, w.ds.observations, 300, after);
  CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
  CU_ASSERT_TRUE(rl_policy_value(policy, w.ds.observations, 300, values[0]));
  CU_ASSERT_TRUE(rl_policy_value(loaded, w.ds.observations, 300, values[1]));
  CU_ASSERT_EQUAL(memcmp(values[0], values[1], sizeof values[0]), 0);
  CU_OK(px_safetensors_parse(file.data, file.len, &st, &err), err);
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "dataset"), "ds_1");
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "algo"), "td3bc");
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "gamma"), "0.99");
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "updates"), "10");
  CU_ASSERT_PTR_NOT_NULL(px_safetensors_meta(st, "numeric_profile"));
  px_safetensors_free(st);
  rl_policy_free(loaded);
  /* Cut anywhere, or something else altogether, it is refused. */
  for (size_t n = 0; n < file.len; n += file.len / 50 + 1)
    CU_ASSERT_NOT_EQUAL(rl_policy_load(file.data, n, &loaded, &err), PX_OK);
  char *hidden = memmem(file.data, file.len, "actor.1.weight", 14);
  CU_ASSERT_PTR_NOT_NULL_FATAL(hidden);
  hidden[6] = '7';
  CU_ASSERT_EQUAL(rl_policy_load(file.data, file.len, &loaded, &err), PX_E_BAD_DATA);
  px_buf_free(&file);
  rl_policy_free(policy);
  rl_world_close(&w);
}

/* A job that an older server has queued lacks the options that came later. */
static void options_left_out_have_their_defaults(void) {
  struct rl_spec whole, short_one;
  struct px_err err;
  json_t *policy = json_pack("{s:s, s:i}", "algo", "rebrac", "updates", 7);
  CU_OK(rl_spec_defaults("rebrac", &whole, &err), err);
  CU_OK(rl_spec_set(&whole, "updates", 7, &err), err);
  CU_OK(rl_spec_read(policy, 0, &short_one, &err), err);
  CU_ASSERT_EQUAL(memcmp(whole.value, short_one.value, sizeof whole.value), 0);
  json_decref(policy);
}

CU_MAIN("rl", T(options_left_out_have_their_defaults),
        T(equal_seeds_give_equal_bytes_and_others_do_not), T(updates_allocate_nothing),
        T(a_training_goes_on_from_its_state_bit_for_bit),
        T(batches_over_one_chunk_update_like_one_chunk),
        T(cloning_finds_the_behaviour_and_acts_in_its_range),
        T(cloning_finds_discrete_behaviour_and_acts_with_its_classes),
        T(every_saved_policy_acts_as_before), T(weighted_cloning_says_how_much_of_a_batch_counts),
        T(iql_and_cql_prefer_discrete_actions_of_higher_reward),
        T(algorithms_with_critics_prefer_actions_of_higher_reward_over_the_behaviour),
        T(no_action_reaches_the_values_of_states), T(pretraining_learns_what_was_earned_and_clones),
        T(divergence_is_reported_with_its_update_and_what_to_change),
        T(training_stops_when_progress_says_so), T(specs_out_of_bounds_are_refused_by_name),
        T(a_saved_policy_acts_as_before_and_says_where_it_comes_from))
