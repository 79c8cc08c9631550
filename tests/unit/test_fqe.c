/* SPDX-License-Identifier: Apache-2.0 */
/* Fitted Q evaluation where the answer is known: the reward is the action itself, whatever the
 * state. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/rl/fqe.h"
#include "tests/support/cu.h"
#include "tests/support/trajs.h"

enum { O = 3, TRAJ_N = 20, STEPS = 50 };

struct world {
  struct px_dataset *ds;
  struct px_actions_merged *u;
  float *policy;
};

/* Unending trajectories of `steps`, or such that terminate with their last step. Actions are
 * uniform. */
static struct world world_open(const struct px_spaces *spaces, uint32_t steps, bool terminated) {
  struct world w = { 0 };
  struct trajs list = { .spaces = *spaces };
  struct segments segments = { .spaces = *spaces };
  struct px_rng rng = px_rng_at(5, 6, 7);
  struct px_traj_sink sink = trajs_sink(&list);
  struct px_err err;
  float obs[(STEPS + 1) * O], actions[STEPS], rewards[STEPS];
  for (int i = 0; i < TRAJ_N; i++) {
    px_rng_normal(&rng, obs, (steps + 1) * O);
    for (uint32_t t = 0; t < steps; t++)
      rewards[t] = actions[t] = spaces->act_count ? (float)px_rng_below(&rng, spaces->act_count)
                                                  : 2 * px_rng_float(&rng) - 1;
    const struct px_traj traj = { .steps = steps,
                                  .observations = obs,
                                  .actions = actions,
                                  .rewards = rewards,
                                  .terminated = terminated,
                                  .truncated = !terminated,
                                  .has_final = true };
    CU_OK(sink.put(sink.ctx, &traj, &err), err);
  }
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
  struct px_dataset_builder *builder = px_dataset_builder_new(spaces);
  for (size_t i = 0; i < segments.n; i++)
    CU_OK(px_dataset_builder_segment(builder, segments.items[i].bytes, segments.items[i].size,
                                     &err),
          err);
  CU_OK(px_dataset_builder_end(builder, &w.ds, &err), err);
  CU_OK(px_actions_merged_new(w.ds, &w.u, &err), err);
  w.policy = px_mem_calloc(w.ds->obs_n, sizeof *w.policy);
  segments_free(&segments);
  trajs_free(&list);
  return w;
}

static void world_close(struct world *w) {
  free(w->policy);
  px_actions_merged_free(w->u);
  px_dataset_free(w->ds);
}

static const struct fqe_spec small = { .hidden = 32,
                                       .layers = 2,
                                       .batch = 128,
                                       .updates = 4000,
                                       .seed = 1,
                                       .lr = 1e-3,
                                       .gamma = 0.9,
                                       .tau = 0.02 };

/* The mean value of a policy that always does `action`. */
static double value_of(struct world *w, float action) {
  float values[TRAJ_N];
  struct fqe_result result;
  struct px_err err;
  double mean = 0;
  for (uint64_t i = 0; i < w->ds->obs_n; i++) w->policy[i] = action;
  CU_OK(fqe_run(&small, w->u, w->policy, NULL, NULL, values, &result, &err), err);
  CU_ASSERT_EQUAL(result.transitions_n, w->ds->steps_n);
  CU_ASSERT_TRUE(result.td_rms < 0.3);
  for (int i = 0; i < TRAJ_N; i++) mean += (double)values[i] / TRAJ_N;
  return mean;
}

static void unending_rewards_sum_up_with_the_discount(void) {
  const struct px_spaces spaces = trajs_spaces(O, 1);
  struct world w = world_open(&spaces, STEPS, false);
  CU_ASSERT_DOUBLE_EQUAL(value_of(&w, 0.5F), 0.5 / (1 - 0.9), 0.5);
  CU_ASSERT_DOUBLE_EQUAL(value_of(&w, -0.8F), -0.8 / (1 - 0.9), 0.8);
  world_close(&w);
}

static void nothing_counts_after_the_end_of_an_episode(void) {
  const struct px_spaces spaces = trajs_spaces(O, 1);
  struct world w = world_open(&spaces, 1, true);
  CU_ASSERT_DOUBLE_EQUAL(value_of(&w, 0.5F), 0.5, 0.1);
  world_close(&w);
}

static void discrete_actions_are_told_apart(void) {
  const struct px_spaces spaces = trajs_discrete(O, 3);
  struct world w = world_open(&spaces, STEPS, false);
  CU_ASSERT_DOUBLE_EQUAL(value_of(&w, 0), 0, 1);
  CU_ASSERT_DOUBLE_EQUAL(value_of(&w, 2), 20, 2);
  world_close(&w);
}

/* The rewards are the actions, from -1 to 1. */
static void what_a_policy_can_earn_is_known_from_the_rewards(void) {
  const struct px_spaces spaces = trajs_spaces(O, 1);
  for (int ends = 0; ends < 2; ends++) {
    struct world w = world_open(&spaces, 2, ends);
    float values[TRAJ_N];
    struct fqe_result result;
    struct fqe_spec spec = small;
    struct px_err err;
    spec.updates = 5;
    for (uint64_t i = 0; i < w.ds->steps_n; i++) w.ds->rewards[i] = i ? 2 : 5;
    CU_OK(fqe_run(&spec, w.u, w.policy, NULL, NULL, values, &result, &err), err);
    CU_ASSERT_TRUE(result.reward_min == 2 && result.reward_max == 5 && result.ends == ends);
    const struct fqe_bounds bounds = fqe_bounds(&result, spec.gamma);
    CU_ASSERT_DOUBLE_EQUAL(bounds.low, ends ? 2 : 20, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(bounds.high, 50, 1e-9);
    world_close(&w);
  }
}

static enum px_status stop_at_once(void *ctx, const char *phase, int64_t step, int64_t total,
                                   const struct px_metric *metrics, size_t metrics_n) {
  (void)ctx, (void)step, (void)total, (void)metrics;
  return strcmp(phase, "fqe") == 0 && metrics_n == 1 ? PX_E_CANCELLED : PX_OK;
}

static void it_repeats_bit_for_bit_stops_when_told_and_says_when_it_diverges(void) {
  const struct px_spaces spaces = trajs_spaces(O, 1);
  struct world w = world_open(&spaces, STEPS, false);
  struct fqe_spec spec = small;
  struct fqe_result result;
  struct px_err err;
  float values[2][TRAJ_N];
  spec.updates = 50;
  for (int i = 0; i < 2; i++)
    CU_OK(fqe_run(&spec, w.u, w.policy, NULL, NULL, values[i], &result, &err), err);
  CU_ASSERT_EQUAL(memcmp(values[0], values[1], sizeof values[0]), 0);
  const struct px_progress progress = { NULL, stop_at_once };
  CU_ASSERT_EQUAL(fqe_run(&spec, w.u, w.policy, &progress, NULL, values[0], &result, &err),
                  PX_E_CANCELLED);
  spec.lr = 1e6;
  CU_ASSERT_EQUAL(fqe_run(&spec, w.u, w.policy, NULL, NULL, values[0], &result, &err),
                  PX_E_NAN_LOSS);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "at update "));
  memset(w.u->source, PX_SOURCE_NONE, w.ds->steps_n);
  CU_ASSERT_EQUAL(fqe_run(&spec, w.u, w.policy, NULL, NULL, values[0], &result, &err),
                  PX_E_NO_LABELS);
  world_close(&w);
}

CU_MAIN("fqe", T(unending_rewards_sum_up_with_the_discount),
        T(nothing_counts_after_the_end_of_an_episode), T(discrete_actions_are_told_apart),
        T(what_a_policy_can_earn_is_known_from_the_rewards),
        T(it_repeats_bit_for_bit_stops_when_told_and_says_when_it_diverges))
