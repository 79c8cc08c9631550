/* Offline RL: which transitions are learned from, how much each counts, and what batches hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
  CU_OK(rl_batch_init(&b, 4096, O, A), err);
  rl_batch_draw(&b, d, 1, 1);
  CU_ASSERT_TRUE(isfinite(b.s2[0]));
  rl_batch_free(&b);
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
  rl_world_set(&spec, "labels", ALL), rl_world_set(&spec, "weighting", EXP), rl_world_set(&spec, "weight_temperature", 0.02);
  rl_world_set(&spec, "weight_floor", 0.1);
  struct rl_data *d;
  struct px_err err;
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  const float one = d->weight[d->n - 1]; /* a true one's */
  CU_ASSERT_DOUBLE_EQUAL(d->weight[0] / one, 1, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(d->weight[2] / one, exp(-1), 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(d->weight[9] / one, 0.1, 1e-6);
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < d->n; i++) sum += (double)d->weight[i], squares += pow((double)d->weight[i], 2);
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
  memset(w.u.source, PX_SOURCE_NONE, STEPS); /* the best one has no actions: the next best is taken */
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_ASSERT_EQUAL(d->reward[0], -1);
  rl_data_free(d);
  memset(w.u.source, PX_SOURCE_NONE, TRAJ_N * STEPS);
  CU_ASSERT_EQUAL(rl_data_new(&w.u, &spec, &d, &err), PX_E_NO_LABELS);
  rl_world_close(&w);
}

static void batches_hold_normalised_states_and_scaled_actions(void) {
  struct rl_world w;
  struct rl_data *d;
  struct rl_batch b;
  struct px_err err;
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("bc", 1);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_OK(rl_batch_init(&b, 100, O, A), err);
  rl_batch_draw(&b, d, 5, 7);
  for (uint32_t i = 0; i < b.n; i++) {
    const uint64_t row = d->row[b.index[i]], step = row - row / (STEPS + 1);
    for (int j = 0; j < O; j++) {
      const float *raw = w.ds.observations + row * O + j;
      CU_ASSERT_DOUBLE_EQUAL(b.s[i * O + j], (raw[0] - d->mean[j]) / d->scale[j], 1e-6);
      CU_ASSERT_DOUBLE_EQUAL(b.s2[i * O + j], (raw[O] - d->mean[j]) / d->scale[j], 1e-6);
    }
    for (int j = 0; j < A; j++) CU_ASSERT_DOUBLE_EQUAL(b.action[i * A + j], w.u.actions[step * A + j] / 2, 1e-6);
  }
  const uint32_t first = b.index[0], last = b.index[99];
  rl_batch_draw(&b, d, 5, 8);
  CU_ASSERT_TRUE(b.index[0] != first || b.index[99] != last);
  rl_batch_draw(&b, d, 5, 7);
  CU_ASSERT_TRUE(b.index[0] == first && b.index[99] == last);
  rl_batch_free(&b);
  rl_data_free(d);
  rl_world_close(&w);
}

static void next_actions_are_those_of_the_step_that_follows_if_that_one_is_learned_from(void) {
  struct rl_world w;
  struct rl_data *d;
  struct rl_batch b;
  struct px_err err;
  bool seen[4] = { false };
  rl_world_open(&w);
  struct rl_spec spec = rl_world_spec("bc", 1);
  w.ds.has_final[0] = 0, w.ds.terminated[0] = 1;
  for (int i = 1; i <= TRAJ_N; i++) w.ds.obs_start[i]--; /* so behind its last row comes the next trajectory's first */
  for (uint64_t step = STEPS; step < w.ds.steps_n; step++) {
    if (step % 7 == 0) w.u.source[step] = PX_SOURCE_NONE;
    if (step % 5 == 0) w.u.source[step] = PX_SOURCE_PROXY, w.u.score[step] = 0.1F;
  }
  rl_world_set(&spec, "weighting", EXP), rl_world_set(&spec, "weight_temperature", 0.1);
  CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
  CU_OK(rl_batch_init(&b, 4096, O, A), err);
  rl_batch_draw(&b, d, 5, 7);
  CU_ASSERT_PTR_NULL(b.next_action);
  CU_OK(rl_batch_want_next(&b), err);
  rl_batch_draw(&b, d, 5, 7);
  for (uint32_t i = 0; i < b.n; i++) {
    const uint64_t row = d->row[b.index[i]], step = row < STEPS ? row : row + 1 - (row + 1) / (STEPS + 1);
    const bool last = step % STEPS == STEPS - 1, used = !last && w.u.source[step + 1] != PX_SOURCE_NONE;
    const bool proxy = used && w.u.source[step + 1] == PX_SOURCE_PROXY;
    const float weight = used ? d->weight[b.index[i] + 1] : 0;
    CU_ASSERT_EQUAL(b.next_weight[i], weight);
    if (proxy) CU_ASSERT_DOUBLE_EQUAL(weight / d->weight[0], exp(-1), 1e-5); /* the first one is true */
    for (int j = 0; j < A; j++)
      CU_ASSERT_DOUBLE_EQUAL(b.next_action[i * A + j], used ? w.u.actions[(step + 1) * A + j] / 2 : 0, 1e-6);
    seen[used ? 1 + proxy : last ? 3 : 0] = true;
  }
  for (int i = 0; i < 4; i++) CU_ASSERT_TRUE(seen[i]);
  rl_batch_free(&b);
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
    for (uint64_t i = 0; equal && i < w.ds.steps_n; i++) w.ds.rewards[i] = (i % 2 ? 3.F : -3.F) * (1 + (i % 7 ? 0 : 1e-6F * (float)(i / STEPS)));
    CU_OK(rl_data_new(&w.u, &spec, &d, &err), err);
    CU_ASSERT_EQUAL(d->returns_equal, equal == 1);
    if (equal) CU_ASSERT_TRUE(d->return_max > d->return_min); /* a range, but of rounding */
    CU_ASSERT_DOUBLE_EQUAL(rl_reward_scale(&spec, d), equal ? 1 : 1000.0 / (50 * (TRAJ_N - 1)), 1e-3);
    rl_data_free(d);
  }
  rl_world_close(&w);
}

CU_MAIN("rl_data", T(returns_equal_up_to_rounding_scale_nothing), T(a_step_without_next_state_is_used_only_if_the_episode_terminates_there),
        T(proxies_are_chosen_and_weighed_by_their_score), T(top_percent_takes_the_trajectories_of_highest_return),
        T(batches_hold_normalised_states_and_scaled_actions),
        T(next_actions_are_those_of_the_step_that_follows_if_that_one_is_learned_from))
