/* SPDX-License-Identifier: Apache-2.0 */
/* Offline RL: which transitions are learned from, how much each counts, and what batches hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/rl/rl_returns.h"
#include "tests/support/rl_world.h"

static uint32_t transitions(const struct rl_world *w, const struct rl_spec *spec) {
  struct rl_data *d;
  struct px_err err;
  CU_OK(rl_data_new(&w->u, spec, &d, &err), err);
  const uint32_t n = d->n;
  CU_ASSERT_EQUAL(d->true_n + d->proxy_n, n);
  rl_data_free(d);
  return n;
}

static void a_step_without_next_state_is_used_only_if_the_episode_terminates_there(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_world w;
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("td3bc", 1);
  CU_ASSERT_EQUAL(transitions(&w, &spec), TRAJ_N * STEPS);
  w.ds.has_final[TRAJ_N - 1] = 0;
  CU_ASSERT_EQUAL(transitions(&w, &spec), TRAJ_N * STEPS - 1);
  w.ds.terminated[TRAJ_N - 1] = 1;
  w.ds.obs_n--; /* the last transition's next row lies beyond the observations now */
  struct rl_data *d;
  struct rl_batch b;
  struct px_err err;
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_ASSERT_EQUAL(d->n, TRAJ_N * STEPS);
  CU_ASSERT_EQUAL(d->not_done[d->n - 1], 0);
  CU_ASSERT_EQUAL(d->not_done[d->n - 2], 1);
  CU_ASSERT_EQUAL(d->not_done[STEPS - 1], 1);
  rl_batch_init(arena, &b, 4096, O, A);
  rl_batch_draw(&b, d, 1, 1);
  CU_ASSERT_TRUE(isfinite(b.s2[0]));
  px_arena_free(arena);
  rl_data_free(d);
  rl_world_close(&w);
}

static void proxies_are_chosen_and_weighed_by_their_score(void) {
  struct rl_world w;
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("bc", 1);
  for (int step = 0; step < 3 * STEPS; step++) {
    w.u.source[step] = PX_SOURCE_PROXY;
    w.u.score[step] = 0.01F * (float)(step % 10);
  }
  w.u.source[200] = PX_SOURCE_NONE;
  CU_ASSERT_EQUAL(transitions(&w, &spec), TRAJ_N * STEPS - 1);
  rl_world_set(&spec, "labels", TRUE_ONLY);
  CU_ASSERT_EQUAL(transitions(&w, &spec), 3 * STEPS - 1);
  rl_world_set(&spec, "labels", PROXY_BELOW), rl_world_set(&spec, "max_score", 0.045);
  CU_ASSERT_EQUAL(transitions(&w, &spec), 3 * STEPS - 1 + 3 * STEPS / 2);
  rl_world_set(&spec, "labels", VERIFIED);
  for (int step = 0; step < 3 * STEPS; step++) w.u.verified[step] = step % 3 == 0;
  CU_ASSERT_EQUAL(transitions(&w, &spec), 3 * STEPS - 1 + STEPS);
  w.u.proxy_n = 3 * STEPS;
  /* scores 0 to 0.09, alike often: the lower five, with or without max_score */
  rl_world_set(&spec, "labels", CONFIDENT);
  CU_ASSERT_EQUAL(transitions(&w, &spec), 3 * STEPS - 1 + 3 * STEPS / 2);
  for (int step = 0; step < 3 * STEPS; step++) w.u.score[step] = 0.5F;
  CU_ASSERT_EQUAL(transitions(&w, &spec), TRAJ_N * STEPS - 1); /* ties are in */
  for (int step = 0; step < 3 * STEPS; step++) w.u.score[step] = 0.01F * (float)(step % 10);
  rl_world_set(&spec, "labels", ALL), rl_world_set(&spec, "weighting", EXP),
    rl_world_set(&spec, "weight_temperature", 0.02);
  rl_world_set(&spec, "weight_floor", 0.1);
  struct rl_data *d;
  struct px_err err;
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  const float one = d->weight[d->n - 1]; /* a true one's */
  CU_ASSERT_DOUBLE_EQUAL(d->weight[0] / one, 1, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(d->weight[2] / one, exp(-1), 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(d->weight[9] / one, 0.1, 1e-6);
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < d->n; i++)
    sum += (double)d->weight[i], squares += pow((double)d->weight[i], 2);
  CU_ASSERT_DOUBLE_EQUAL(sum, d->n, 1e-3);
  CU_ASSERT_DOUBLE_EQUAL(d->effective_n, sum * sum / squares, 1e-3);
  CU_ASSERT_TRUE(d->effective_n < d->n);
  rl_data_free(d);
  rl_world_close(&w);
}

static void top_percent_takes_the_trajectories_of_highest_return(void) {
  struct rl_world w;
  struct rl_data *d;
  struct px_err err;
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("bc", 1);
  rl_world_set(&spec, "top_percent", 34); /* of six: the upper 2.04, so three */
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_ASSERT_EQUAL(d->n, 3 * STEPS);
  for (uint32_t i = 0; i < d->n; i++) CU_ASSERT_TRUE(d->reward[i] >= -2);
  rl_data_free(d);
  rl_world_set(&spec, "top_percent", 1);
  CU_ASSERT_EQUAL(transitions(&w, &spec), STEPS);
  /* the best one has no actions: the next best is taken */
  memset(w.u.source, PX_SOURCE_NONE, STEPS);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_ASSERT_EQUAL(d->reward[0], -1);
  rl_data_free(d);
  memset(w.u.source, PX_SOURCE_NONE, TRAJ_N * STEPS);
  CU_ASSERT_EQUAL(rl_data_new(&w.u, &spec, &d, &err), PX_E_NO_LABELS);
  rl_world_close(&w);
}

/* Trajectories 0 to 2, the best ones, have proxies, the others true actions. */
static void best_are_proxies(struct rl_world *w) {
  memset(w->u.source, PX_SOURCE_PROXY, 3 * STEPS);
}

/* The worst return of a trajectory that is learned from. */
static float worst_reward(const struct rl_data *d) {
  float worst = 0;
  for (uint32_t i = 0; i < d->n; i++) worst = fminf(worst, d->reward[i]);
  return worst;
}

static void top_percent_counts_both_and_never_leaves_all_true_actions_out(void) {
  static const struct {
    double percent;
    uint32_t true_n, proxy_n;
    float worst;
  } cases[] = { /* one of six, a proxy; and one of the three that have true actions */
                { 1, STEPS, STEPS, -3 },
                /* the three proxies; and half of the others, rounded up */
                { 50, 2 * STEPS, 3 * STEPS, -4 },
                { 67, 2 * STEPS, 3 * STEPS, -4 }, /* five of six: true ones are among them */
                { 100, 3 * STEPS, 3 * STEPS, -5 }
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rl_world w;
    struct rl_data *d;
    struct px_err err;
    rl_world_open(&w);
    best_are_proxies(&w);
    struct rl_spec spec = rl_world_spec("bc", 1);
    rl_world_set(&spec, "top_percent", cases[i].percent);
    CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
    CU_ASSERT_EQUAL(d->true_n, cases[i].true_n);
    CU_ASSERT_EQUAL(d->proxy_n, cases[i].proxy_n);
    CU_ASSERT_EQUAL(worst_reward(d), cases[i].worst);
    CU_ASSERT_EQUAL(d->return_max, 0);
    CU_ASSERT_EQUAL(d->return_min, (double)cases[i].worst * STEPS);
    CU_ASSERT_DOUBLE_EQUAL(d->true_share, (double)d->true_n / d->n, 1e-12);
    CU_ASSERT_PTR_NULL(d->by_source);
    rl_data_free(d);
    rl_world_close(&w);
  }
}

static void of_a_trajectory_that_comes_for_its_true_actions_no_proxy_does(void) {
  struct rl_world w;
  struct rl_data *d;
  struct px_err err;
  rl_world_open(&w);
  best_are_proxies(&w);
  memset(w.u.source + 3 * STEPS + 20, PX_SOURCE_PROXY, STEPS - 20);
  struct rl_spec spec = rl_world_spec("bc", 1);
  rl_world_set(&spec, "top_percent", 1);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_ASSERT_EQUAL(d->true_n, 20);
  CU_ASSERT_EQUAL(d->proxy_n, STEPS);
  rl_data_free(d);
  rl_world_close(&w);
}

static void only_verified_proxies_that_are_learned_from_stand_for_true_ones(void) {
  struct rl_world w;
  struct rl_data *d;
  struct px_err err;
  rl_world_open(&w);
  best_are_proxies(&w);
  for (int t = 0; t < STEPS; t++) w.u.verified[t] = t >= 10, w.u.score[t] = t < 10 ? 0.1F : 1;
  struct rl_spec spec = rl_world_spec("bc", 1);
  rl_world_set(&spec, "top_percent", 1);
  rl_world_set(&spec, "labels", PROXY_BELOW), rl_world_set(&spec, "max_score", 0.5);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_ASSERT_EQUAL(d->proxy_n, 10); /* none of them verified */
  CU_ASSERT_EQUAL(d->true_n, STEPS);
  rl_data_free(d);
  rl_world_close(&w);
}

static void verified_proxies_need_no_true_actions_of_lower_return(void) {
  static const struct {
    uint32_t verified_n;
    double true_share;
    uint32_t true_n;
  } cases[] = {
    { 0, 0, STEPS },         /* as proxies of a model */
    { STEPS / 2, 0, STEPS }, /* half of those chosen */
    { STEPS / 2 + 1, 0, 0 }, /* most of them */
    { STEPS, 0.25, STEPS }   /* a share is asked for */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rl_world w;
    struct rl_data *d;
    struct px_err err;
    rl_world_open(&w);
    best_are_proxies(&w);
    memset(w.u.verified, 1, cases[i].verified_n);
    struct rl_spec spec = rl_world_spec("bc", 1);
    rl_world_set(&spec, "top_percent", 1);
    rl_world_set(&spec, "true_share", cases[i].true_share);
    CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
    CU_ASSERT_EQUAL(d->true_n, cases[i].true_n);
    CU_ASSERT_EQUAL(d->proxy_n, STEPS);
    rl_data_free(d);
    rl_world_close(&w);
  }
}

static uint32_t count_true(const struct rl_batch *b, const struct rl_data *d) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < b->n; i++) n += d->source[b->index[i]] == PX_SOURCE_TRUE;
  return n;
}

static void batches_hold_the_true_share_exactly(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  static const struct {
    double share;
    uint32_t batch, expected;
  } cases[] = { { 0.6, 10, 6 }, { 0.7, 10, 7 }, { 0.9, 7, 7 }, { 1, 33, 33 }, { 0.55, 1000, 550 } };
  struct rl_world w;
  struct px_err err;
  rl_world_open(&w);
  best_are_proxies(&w);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rl_spec spec = rl_world_spec("bc", 1);
    struct rl_data *d;
    struct rl_batch b;
    rl_world_set(&spec, "true_share", cases[i].share);
    CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
    CU_ASSERT_EQUAL(d->true_share, cases[i].share);
    rl_batch_init(arena, &b, cases[i].batch, O, A);
    for (uint64_t step = 0; step < 20; step++) {
      rl_batch_draw(&b, d, 3, step);
      CU_ASSERT_EQUAL(count_true(&b, d), cases[i].expected);
    }
    const uint32_t first = b.index[0];
    rl_batch_draw(&b, d, 3, 19);
    CU_ASSERT_EQUAL(b.index[0], first);
    rl_data_free(d);
  }
  px_arena_free(arena);
  rl_world_close(&w);
}

static void a_true_share_below_what_comes_by_itself_changes_nothing(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_world w;
  struct rl_data *d[2];
  struct rl_batch b[2];
  struct px_err err;
  rl_world_open(&w);
  best_are_proxies(&w);
  for (int i = 0; i < 2; i++) {
    struct rl_spec spec = rl_world_spec("bc", 1);
    rl_world_set(&spec, "true_share", i ? 0.5 : 0); /* half of them are true */
    CU_OK(rl_data_new(&w.u, &spec, &d[i], &err), err);
    CU_ASSERT_EQUAL(d[i]->true_share, 0.5);
    rl_batch_init(arena, &b[i], 100, O, A);
    rl_batch_draw(&b[i], d[i], 3, 4);
  }
  CU_ASSERT_EQUAL(memcmp(b[0].index, b[1].index, 100 * sizeof *b[0].index), 0);
  CU_ASSERT_NOT_EQUAL(count_true(&b[0], d[0]), 0);
  for (int i = 0; i < 2; i++) rl_data_free(d[i]);
  px_arena_free(arena);
  rl_world_close(&w);
}

static void weights_have_mean_one_in_batches_of_any_true_share(void) {
  struct rl_world w;
  struct rl_data *d;
  struct px_err err;
  rl_world_open(&w);
  best_are_proxies(&w);
  for (int step = 0; step < 3 * STEPS; step++) w.u.score[step] = 0.01F * (float)(step % 10);
  struct rl_spec spec = rl_world_spec("bc", 1);
  rl_world_set(&spec, "true_share", 0.75), rl_world_set(&spec, "weighting", EXP);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  double sum[2] = { 0 };
  for (uint32_t i = 0; i < d->n; i++) sum[d->source[i] == PX_SOURCE_TRUE] += (double)d->weight[i];
  CU_ASSERT_DOUBLE_EQUAL(0.75 * sum[1] / d->true_n + 0.25 * sum[0] / d->proxy_n, 1, 1e-5);
  CU_ASSERT_TRUE(sum[1] / d->true_n > sum[0] / d->proxy_n);
  rl_data_free(d);
  rl_world_close(&w);
}

static void batches_hold_normalised_states_and_scaled_actions(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_world w;
  struct rl_data *d;
  struct rl_batch b;
  struct px_err err;
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("bc", 1);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  rl_batch_init(arena, &b, 100, O, A);
  rl_batch_draw(&b, d, 5, 7);
  for (uint32_t i = 0; i < b.n; i++) {
    const uint64_t row = d->row[b.index[i]], step = row - row / (STEPS + 1);
    for (int j = 0; j < O; j++) {
      const float *raw = w.ds.observations + row * O + j;
      CU_ASSERT_DOUBLE_EQUAL(b.s[i * O + j], (raw[0] - d->mean[j]) / d->scale[j], 1e-6);
      CU_ASSERT_DOUBLE_EQUAL(b.s2[i * O + j], (raw[O] - d->mean[j]) / d->scale[j], 1e-6);
    }
    for (int j = 0; j < A; j++)
      CU_ASSERT_DOUBLE_EQUAL(b.action[i * A + j], w.u.actions[step * A + j] / 2, 1e-6);
  }
  const uint32_t first = b.index[0], last = b.index[99];
  rl_batch_draw(&b, d, 5, 8);
  CU_ASSERT_TRUE(b.index[0] != first || b.index[99] != last);
  rl_batch_draw(&b, d, 5, 7);
  CU_ASSERT_TRUE(b.index[0] == first && b.index[99] == last);
  px_arena_free(arena);
  rl_data_free(d);
  rl_world_close(&w);
}

static void what_was_earned_is_counted_to_the_end_and_beyond_where_the_recording_was_cut_off(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_world w;
  struct rl_data *d;
  struct px_err err;
  rl_world_open(&w);
  w.ds.terminated[1] = 1;
  /* an action that is not known: its reward counts */
  w.u.source[2 * STEPS + 7] = PX_SOURCE_NONE;
  for (int t = 0; t < STEPS; t++) w.ds.rewards[2 * STEPS + t] = (float)(t % 3);
  const struct rl_spec spec = rl_world_spec("bc", 1);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  float *to_go = rl_returns_new(arena, d, 0.9), *undiscounted = rl_returns_new(arena, d, 1);
  double mean = 0, sum[2] = { 0 };
  for (int t = 0; t < STEPS; t++) mean += t % 3 / (double)STEPS;
  for (int t = 7; t < STEPS; t++) sum[0] += pow(0.9, t - 7) * (t % 3), sum[1] += t % 3;
  const uint32_t after = 2 * STEPS + 7; /* the transition at t = 8 of trajectory 2 */
  CU_ASSERT_DOUBLE_EQUAL(1 + 0.9 * (double)to_go[after], sum[0] + pow(0.9, STEPS - 7) * mean / 0.1,
                         1e-4);
  CU_ASSERT_DOUBLE_EQUAL(1 + (double)undiscounted[after], sum[1], 1e-4);
  CU_ASSERT_DOUBLE_EQUAL(to_go[STEPS], -(1 - pow(0.9, STEPS)) / 0.1, 1e-4); /* it terminates */
  CU_ASSERT_DOUBLE_EQUAL(to_go[4 * STEPS], -4 / 0.1, 1e-4);
  CU_ASSERT_DOUBLE_EQUAL(to_go[d->n - 1], -5 / 0.1, 1e-4);
  double squares = 0;
  for (uint32_t i = 0; i < d->n; i++) squares += (double)to_go[i] * (double)to_go[i];
  CU_ASSERT_DOUBLE_EQUAL(rl_returns_rms(d, 0.9), sqrt(squares / d->n), 1e-4);
  struct rl_spec scaled = rl_world_spec("rebrac", 1);
  rl_world_set(&scaled, "gamma", 0.9), rl_world_set(&scaled, "rewards", 2);
  CU_ASSERT_DOUBLE_EQUAL(rl_reward_scale(&scaled, d), 30 / sqrt(squares / d->n), 1e-4);
  px_arena_free(arena);
  rl_data_free(d);
  rl_world_close(&w);
}

static void next_actions_are_those_of_the_step_that_follows_if_that_one_is_learned_from(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct rl_world w;
  struct rl_data *d;
  struct rl_batch b;
  struct px_err err;
  bool seen[4] = { false };
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("bc", 1);
  w.ds.has_final[0] = 0, w.ds.terminated[0] = 1;
  /* so behind its last row comes the next trajectory's first */
  for (int i = 1; i <= TRAJ_N; i++) w.ds.obs_start[i]--;
  for (uint64_t step = STEPS; step < w.ds.steps_n; step++) {
    if (step % 7 == 0) w.u.source[step] = PX_SOURCE_NONE;
    if (step % 5 == 0) w.u.source[step] = PX_SOURCE_PROXY, w.u.score[step] = 0.1F;
  }
  rl_world_set(&spec, "weighting", EXP), rl_world_set(&spec, "weight_temperature", 0.1);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  rl_batch_init(arena, &b, 4096, O, A);
  rl_batch_draw(&b, d, 5, 7);
  CU_ASSERT_PTR_NULL(b.next_action);
  rl_batch_want_next(arena, &b);
  rl_batch_draw(&b, d, 5, 7);
  for (uint32_t i = 0; i < b.n; i++) {
    const uint64_t row = d->row[b.index[i]],
                   step = row < STEPS ? row : row + 1 - (row + 1) / (STEPS + 1);
    const bool last = step % STEPS == STEPS - 1,
               used = !last && w.u.source[step + 1] != PX_SOURCE_NONE;
    const bool proxy = used && w.u.source[step + 1] == PX_SOURCE_PROXY;
    const float weight = used ? d->weight[b.index[i] + 1] : 0;
    CU_ASSERT_EQUAL(b.next_weight[i], weight);
    /* the first one is true */
    if (proxy) CU_ASSERT_DOUBLE_EQUAL(weight / d->weight[0], exp(-1), 1e-5);
    for (int j = 0; j < A; j++)
      CU_ASSERT_DOUBLE_EQUAL(b.next_action[i * A + j],
                             used ? w.u.actions[(step + 1) * A + j] / 2 : 0, 1e-6);
    seen[used ? 1 + proxy : last ? 3 : 0] = true;
  }
  for (int i = 0; i < 4; i++) CU_ASSERT_TRUE(seen[i]);
  px_arena_free(arena);
  rl_data_free(d);
  rl_world_close(&w);
}

/* Rewards from a potential: 1000 / range would be 1e9 and more. */
static void returns_equal_up_to_rounding_scale_nothing(void) {
  struct rl_world w;
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("iql", 1);
  for (int equal = 0; equal < 2; equal++) {
    struct rl_data *d;
    struct px_err err;
    for (uint64_t i = 0; equal && i < w.ds.steps_n; i++)
      w.ds.rewards[i] = (i % 2 ? 3.F : -3.F) * (1 + (i % 7 ? 0 : 1e-6F * (float)(i / STEPS)));
    CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
    CU_ASSERT_EQUAL(d->returns_equal, equal == 1);
    if (equal) CU_ASSERT_TRUE(d->return_max > d->return_min); /* a range, but of rounding */
    CU_ASSERT_DOUBLE_EQUAL(rl_reward_scale(&spec, d), equal ? 1 : 1000.0 / (50 * (TRAJ_N - 1)),
                           1e-3);
    rl_data_free(d);
  }
  rl_world_close(&w);
}

CU_MAIN("rl_data", T(returns_equal_up_to_rounding_scale_nothing),
        T(a_step_without_next_state_is_used_only_if_the_episode_terminates_there),
        T(proxies_are_chosen_and_weighed_by_their_score),
        T(top_percent_takes_the_trajectories_of_highest_return),
        T(top_percent_counts_both_and_never_leaves_all_true_actions_out),
        T(of_a_trajectory_that_comes_for_its_true_actions_no_proxy_does),
        T(verified_proxies_need_no_true_actions_of_lower_return),
        T(only_verified_proxies_that_are_learned_from_stand_for_true_ones),
        T(batches_hold_the_true_share_exactly),
        T(a_true_share_below_what_comes_by_itself_changes_nothing),
        T(weights_have_mean_one_in_batches_of_any_true_share),
        T(batches_hold_normalised_states_and_scaled_actions),
        T(what_was_earned_is_counted_to_the_end_and_beyond_where_the_recording_was_cut_off),
        T(next_actions_are_those_of_the_step_that_follows_if_that_one_is_learned_from))
