/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is learned does not depend on the units of the observations, nor on
 * dimensions that are constant. A unit here is a power of two, by which floats
 * are scaled without rounding: then equal means equal bit by bit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/running_stats.h"
#include "lib/idm/baseline.h"
#include "lib/rl/fqe.h"
#include "tests/support/idm_world.h"
#include "tests/support/rl_world.h"

/* About 1e-9, 1 and 1e9: a column each. */
static const float UNITS[O] = { 0x1p-30F, 1, 0x1p30F };

static void in_units(float *observations, uint64_t n, const float units[O]) {
  for (uint64_t i = 0; i < n * O; i++) observations[i] *= units[i % O];
}

static void constant_is_what_varies_by_rounding_alone(void) {
  CU_ASSERT_EQUAL(px_running_stats_scale(0, 0), 0);
  CU_ASSERT_EQUAL(px_running_stats_scale(0, 7), 0);
  /* less than a unit in the last place of 1e6 */
  CU_ASSERT_EQUAL(px_running_stats_scale(0.05, 1e6), 0);
  CU_ASSERT_EQUAL(px_running_stats_scale(5e-8, 1), 0);
  CU_ASSERT_EQUAL(px_running_stats_scale(10, 1e6), 10);
  CU_ASSERT_EQUAL(px_running_stats_scale(1e-6, 1), 1e-6);
  CU_ASSERT_EQUAL(px_running_stats_scale(1e-30, 1e-30), 1e-30);
  CU_ASSERT_EQUAL(px_running_stats_scale(1e-40, 0), 0); /* has no inverse in float32 */
}

/* ---- inverse dynamics */

static struct idm_labels *labels_of(struct px_dataset *ds, const struct idm_spec *spec) {
  struct idm_metrics metrics;
  struct idm_model *model = world_trained(ds, spec, 0, &metrics);
  struct idm_labels *labels = NULL;
  struct px_err err;
  CU_OK(idm_label(&model, 1, ds, 0, ds->traj_n, NULL, &labels, &err), err);
  idm_model_free(model);
  return labels;
}

static void compare_labels(struct px_dataset *a, struct px_dataset *b,
                           const struct idm_spec *spec) {
  struct idm_labels *left = labels_of(a, spec), *right = labels_of(b, spec);
  CU_ASSERT_EQUAL(memcmp(left->actions, right->actions, sizeof(float) * left->steps_n * A), 0);
  CU_ASSERT_EQUAL(memcmp(left->std, right->std, sizeof(float) * left->steps_n * A), 0);
  idm_labels_free(left), idm_labels_free(right);
}

static void compare_baselines(const struct px_dataset *a, const struct px_dataset *b) {
  const struct px_dataset *ds[2] = { a, b };
  struct idm_labels *labels[IDM_BASELINES_N][2];
  struct px_err err;
  for (int i = 0; i < 2; i++) {
    struct idm_baselines *y = NULL;
    CU_OK(idm_baselines_fit(ds[i], 1, 1, NULL, &y, &err), err);
    for (int which = 0; which < IDM_BASELINES_N; which++)
      CU_OK(idm_baselines_label(y, (enum idm_baseline)which, ds[i], 0, ds[i]->traj_n, NULL,
                                &labels[which][i], &err),
            err);
    idm_baselines_free(y);
  }
  for (int which = 0; which < IDM_BASELINES_N; which++) {
    const size_t bytes = sizeof(float) * labels[which][0]->steps_n * A;
    CU_ASSERT_EQUAL(memcmp(labels[which][0]->actions, labels[which][1]->actions, bytes), 0);
    idm_labels_free(labels[which][0]), idm_labels_free(labels[which][1]);
  }
}

static void labels_and_yardsticks_are_the_same_in_all_units(void) {
  for (int profile = IDM_FAST; profile <= IDM_PAPER; profile++) {
    struct px_dataset *plain = world_new(6), *scaled = world_new(6);
    struct idm_spec spec = world_spec(2, 20);
    idm_spec_default((enum idm_profile)profile, &spec);
    spec.hidden = 16, spec.layers = 1, spec.steps = 20, spec.batch = 32, spec.validate_every = 10,
    spec.k = 1, spec.f = 1;
    in_units(scaled->observations, scaled->obs_n, UNITS);
    compare_labels(plain, scaled, &spec);
    compare_baselines(plain, scaled);
    world_free(plain), world_free(scaled);
  }
}

/* Column 2: constant where it is labelled, but for rounding; elsewhere it is constant too, or
 * moves. */
static struct px_dataset *world_with_a_column(float elsewhere) {
  struct px_dataset *ds = world_new(6);
  for (uint64_t row = 0; row < ds->obs_n; row++) {
    const bool labelled = row < ds->obs_start[6];
    ds->observations[row * O + 2] =
      labelled ? 1e6F + 0.0625F * (float)(row % 2) : 1e6F + elsewhere * (float)(row % 7);
  }
  return ds;
}

static void a_column_that_is_constant_where_labelled_has_no_say(void) {
  struct px_dataset *still = world_with_a_column(0), *moving = world_with_a_column(1000);
  struct idm_spec spec = world_spec(2, 20);
  compare_labels(still, moving, &spec);
  compare_baselines(still, moving);
  world_free(still), world_free(moving);
}

/* ---- policies */

/* Actions at the world's observations, in units. */
static void act(const char *algo, struct rl_world *w, float *actions) {
  const struct rl_spec defaults = rl_world_spec(algo, 20);
  struct rl_spec spec = defaults;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  CU_OK(rl_train(&spec, &w->u, NULL, NULL, &policy, &metrics, &err), err);
  rl_policy_act(policy, w->ds.observations, (uint32_t)w->ds.obs_n, actions);
  rl_policy_free(policy);
}

static void policies_are_the_same_in_all_units(void) {
  for (int discrete = 0; discrete < 2; discrete++)
    for (const struct flow_field *one = flow_algos; one->name; one++) {
      struct rl_world plain, scaled;
      float actions[2][TRAJ_N * (STEPS + 1) * A];
      if (!flow_algo_learns(one->name, discrete)) continue;
      rl_world_open(&plain), rl_world_open(&scaled);
      if (discrete) rl_world_discrete(&plain), rl_world_discrete(&scaled);
      in_units(scaled.ds.observations, scaled.ds.obs_n, UNITS);
      act(one->name, &plain, actions[0]);
      act(one->name, &scaled, actions[1]);
      CU_ASSERT_EQUAL(memcmp(actions[0], actions[1],
                             sizeof(float) * plain.ds.obs_n * plain.ds.spaces.act_dim),
                      0);
      rl_world_close(&plain), rl_world_close(&scaled);
    }
}

static void values_follow_the_unit_of_rewards(void) {
  const float unit = 0x1p-40F; /* about 1e-12 */
  const struct fqe_spec spec = { .hidden = 16,
                                 .layers = 1,
                                 .batch = 32,
                                 .updates = 20,
                                 .seed = 1,
                                 .lr = 1e-3,
                                 .gamma = 0.9,
                                 .tau = 0.05 };
  float values[2][TRAJ_N];
  for (int i = 0; i < 2; i++) {
    struct rl_world w;
    struct fqe_result found;
    struct px_err err;
    rl_world_open(&w);
    for (uint64_t step = 0; i && step < w.ds.steps_n; step++) w.ds.rewards[step] *= unit;
    float *actions = px_mem_calloc(w.ds.obs_n, A * sizeof *actions);
    CU_OK(fqe_run(&spec, &w.u, actions, NULL, NULL, values[i], &found, &err), err);
    free(actions);
    rl_world_close(&w);
  }
  for (int i = 0; i < TRAJ_N; i++) CU_ASSERT_EQUAL(values[0][i] * unit, values[1][i]);
}

static struct rl_policy *cloned(const struct rl_world *w, const struct rl_spec *spec) {
  struct rl_policy *policy = NULL;
  struct rl_metrics metrics;
  struct px_err err;
  CU_OK(rl_train(spec, &w->u, NULL, NULL, &policy, &metrics, &err), err);
  return policy;
}

static void a_constant_dimension_that_moves_changes_no_action(void) {
  struct rl_world w;
  float actions[2][A];
  rl_world_open(&w);
  /* Constant in the best third of the trajectories, which are learned from; it moves in the
   * others. */
  for (uint64_t row = 0; row < w.ds.obs_n; row++)
    w.ds.observations[row * O + 1] = row < 2 * (STEPS + 1) ? 1 : 1 + 0.01F * (float)(row % 5);
  struct rl_spec spec = rl_world_spec("bc", 50);
  for (int part = 0; part < 2; part++) {
    rl_world_set(&spec, "top_percent", part ? 100 : 33);
    struct rl_policy *policy = cloned(&w, &spec);
    float s[O] = { 0.3F, 1, -0.2F };
    rl_policy_act(policy, s, 1, actions[0]);
    s[1] = 1.05F;
    rl_policy_act(policy, s, 1, actions[1]);
    CU_ASSERT_EQUAL(memcmp(actions[0], actions[1], sizeof *actions) == 0, !part);
    rl_policy_free(policy);
  }
  rl_world_close(&w);
}

static void what_is_far_outside_the_data_is_clipped(void) {
  struct rl_world w;
  struct px_buf file = PX_BUF(1 << 20);
  struct px_err err;
  float actions[4][A];
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("bc", 50);
  struct rl_policy *policy = cloned(&w, &spec), *loaded;
  for (int i = 0; i < 4; i++) {
    /* in standard deviations, which are about 1 */
    const float s[O] = { (float[]){ 5, 9, 50, 1e20F }[i], 0, 0 };
    rl_policy_act(policy, s, 1, actions[i]);
  }
  CU_ASSERT_NOT_EQUAL(memcmp(actions[0], actions[1], sizeof *actions), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(actions[1], actions[2], sizeof *actions), 0);
  CU_ASSERT_EQUAL(memcmp(actions[2], actions[3], sizeof *actions), 0);
  /* Its file says so; one of an older version does not, and acts as it did. */
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  char *key = memmem(file.data, file.len, "\"obs_clip\"", 10);
  CU_ASSERT_PTR_NOT_NULL_FATAL(key);
  for (int older = 0; older < 2; older++) {
    float far[2][A], s[O] = { 50, 0, 0 };
    if (older) memcpy(key, "\"obs_None\"", 10);
    CU_OK(rl_policy_load(file.data, file.len, &loaded, &err), err);
    rl_policy_act(loaded, s, 1, far[0]);
    s[0] = 1000;
    rl_policy_act(loaded, s, 1, far[1]);
    CU_ASSERT_EQUAL(memcmp(far[0], actions[2], sizeof *far) == 0, !older);
    CU_ASSERT_EQUAL(memcmp(far[0], far[1], sizeof *far) == 0, !older);
    rl_policy_free(loaded);
  }
  memcpy(key, "\"obs_clip\"", 10);
  char *value = memmem(key, 20, "\"10\"", 4);
  CU_ASSERT_PTR_NOT_NULL_FATAL(value);
  value[1] = '-';
  CU_ASSERT_EQUAL(rl_policy_load(file.data, file.len, &loaded, &err), PX_E_BAD_DATA);
  px_buf_free(&file);
  rl_policy_free(policy);
  rl_world_close(&w);
}

CU_MAIN("units", T(constant_is_what_varies_by_rounding_alone),
        T(labels_and_yardsticks_are_the_same_in_all_units),
        T(a_column_that_is_constant_where_labelled_has_no_say),
        T(policies_are_the_same_in_all_units), T(values_follow_the_unit_of_rewards),
        T(a_constant_dimension_that_moves_changes_no_action),
        T(what_is_far_outside_the_data_is_clipped))
