/* SPDX-License-Identifier: Apache-2.0 */
/* What is doubtful about labels and members: lags of known sign, and members beside the
 * baselines. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/idm/judge.h"
#include "tests/support/cu.h"
#include "tests/support/d4rl.h"
#include "tests/support/idm_world.h"
#include "tests/support/trajs.h"

enum { O = 2, STEPS = 40 };

/* s' = s + 0.1 (the action of `lag` steps before is at work), so a_{t - lag} explains the change at
 * t; `late`: actions are recorded so many steps late instead. Discrete actions: three classes that
 * push by -1, 0 and 1. */
static struct px_dataset *world(uint32_t trajs_n, uint32_t classes, int lag, int late,
                                float noise) {
  const struct px_spaces spaces = classes ? trajs_discrete(O, classes) : trajs_spaces(O, 1);
  struct trajs list = { .spaces = spaces };
  struct segments segments = { .spaces = spaces };
  struct px_traj_sink sink = trajs_sink(&list);
  struct px_rng rng = px_rng_at(9, (uint64_t)trajs_n, 0);
  struct px_dataset *ds = NULL;
  struct px_err err;
  for (uint32_t i = 0; i < trajs_n; i++) {
    float obs[(STEPS + 1) * O], a[STEPS], recorded[STEPS], rewards[STEPS] = { 0 }, e[STEPS];
    px_rng_normal(&rng, obs, O);
    px_rng_normal(&rng, e, STEPS);
    for (int t = 0; t < STEPS; t++)
      a[t] = classes ? (float)px_rng_below(&rng, classes) : 2 * px_rng_float(&rng) - 1;
    for (int t = 0; t < STEPS; t++) {
      const float push = t >= lag ? a[t - lag] - (classes ? 1 : 0) : 0;
      obs[(t + 1) * O] = obs[t * O] + 0.1F * push + noise * e[t];
      obs[(t + 1) * O + 1] = 0.5F * obs[t * O + 1];
      recorded[t] = t >= late ? a[t - late] : 0;
    }
    const struct px_traj traj = { .steps = STEPS,
                                  .observations = obs,
                                  .actions = recorded,
                                  .rewards = rewards,
                                  .truncated = true,
                                  .has_final = true };
    CU_OK(sink.put(sink.ctx, &traj, &err), err);
  }
  CU_ASSERT_EQUAL_FATAL(segments_pack(&segments, &list), PX_OK);
  struct px_dataset_builder *builder = px_dataset_builder_new(&spaces);
  for (size_t i = 0; i < segments.n; i++)
    CU_OK(px_dataset_builder_segment(builder, segments.items[i].bytes, segments.items[i].size,
                                     &err),
          err);
  CU_OK(px_dataset_builder_end(builder, &ds, &err), err);
  segments_free(&segments);
  trajs_free(&list);
  return ds;
}

static struct idm_lag lag_of(const struct px_dataset *ds) {
  struct idm_lag lag = { .found = 99 };
  struct px_err err;
  CU_OK(idm_judge_lag(ds, NULL, &lag, &err), err);
  return lag;
}

static void lags_have_their_sign(void) {
  const struct {
    uint32_t trajs, classes;
    int lag, late, found;
  } CASES[] = {
    { 8, 0, 0, 0, 0 }, { 8, 0, 1, 0, -1 }, { 8, 0, 2, 0, -2 }, { 8, 0, 0, 1, 1 },
    { 8, 0, 0, 2, 2 }, { 8, 3, 0, 0, 0 },  { 8, 3, 1, 0, -1 }, { 8, 3, 0, 1, 1 },
    { 2, 0, 0, 1, 1 }, { 1, 0, 0, 0, 0 },  { 1, 0, 0, 1, 1 },  { 4, 3, 1, 0, -1 },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    struct px_dataset *ds = world(CASES[i].trajs, CASES[i].classes, CASES[i].lag, CASES[i].late, 0);
    const struct idm_lag lag = lag_of(ds);
    CU_ASSERT_TRUE(lag.known);
    if (lag.found != CASES[i].found) printf("\n  case %zu: %d\n", i, lag.found);
    CU_ASSERT_EQUAL(lag.found, CASES[i].found);
    CU_ASSERT_TRUE(lag.share[lag.found + IDM_LAG_MAX] > 0.6);
    px_dataset_free(ds);
  }
}

/* The demo's hopper, whose actions are smooth and whose dynamics are not linear, as it is and moved
 * by a step. */
static void a_lag_of_real_trajectories_is_found(void) {
  struct px_dataset *ds = NULL, moved;
  struct px_err err;
  CU_OK(d4rl_load("deploy/demo/hopper-demo.hdf5", &ds, &err), err);
  const size_t a = ds->spaces.act_dim;
  moved = *ds;
  CU_ASSERT_EQUAL(lag_of(ds).found, 0);
  for (int late = -1; late <= 1; late += 2) {
    moved.actions = px_mem_calloc(ds->steps_n * a, sizeof *moved.actions);
    for (uint32_t traj = 0; traj < ds->traj_n; traj++)
      for (int64_t step = (int64_t)ds->step_start[traj], end = (int64_t)ds->step_start[traj + 1];
           step < end; step++)
        if (step - late >= (int64_t)ds->step_start[traj] && step - late < end)
          memcpy(moved.actions + (size_t)step * a, ds->actions + (size_t)(step - late) * a,
                 a * sizeof *moved.actions);
    CU_ASSERT_EQUAL(lag_of(&moved).found, late);
    free(moved.actions);
  }
  px_dataset_free(ds);
}

static void what_tells_nothing_of_any_action_names_no_lag(void) {
  struct px_dataset *ds = world(8, 0, 0, 1, 10);
  CU_ASSERT_EQUAL(lag_of(ds).found, 0);
  memset(ds->labelled, 0, ds->steps_n);
  CU_ASSERT_FALSE(lag_of(ds).known);
  memset(ds->labelled, 1, STEPS / 2);
  CU_ASSERT_FALSE(lag_of(ds).known); /* too few to say */
  px_dataset_free(ds);
  ds = world(8, 0, 0, 0, 0);
  for (uint64_t i = 0; i < ds->steps_n; i++) ds->actions[i] = 0.5F; /* always the same */
  CU_ASSERT_EQUAL(lag_of(ds).found, 0);
  px_dataset_free(ds);
}

static struct idm_judged judged(const struct px_dataset *ds, uint32_t members, uint32_t steps,
                                uint64_t *held) {
  struct idm_spec spec = world_spec(members, steps);
  spec.k = spec.f = 0; /* it sees (s_t, s_{t+1}) alone */
  struct idm_metrics metrics;
  struct idm_model *model = world_trained(ds, &spec, 0, &metrics);
  struct idm_judged out = { .idm = { .n = 99 } };
  struct px_err err;
  CU_OK(idm_judge_member(model, ds, NULL, &out, &err), err);
  idm_model_free(model);
  *held = metrics.val_n;
  if (out.idm.n)
    CU_ASSERT_DOUBLE_EQUAL(out.idm.mse, metrics.val_mse, 1e-3 * metrics.val_mse + 1e-9);
  return out;
}

static void a_member_is_judged_with_the_yardsticks_on_its_own_fold(void) {
  struct px_dataset *ds = world_new(WORLD_TRAJS);
  uint64_t held;
  struct idm_judged j = judged(ds, 3, 200, &held);
  CU_ASSERT_EQUAL(j.idm.n, held);
  for (int i = 0; i < IDM_BASELINES_N; i++) CU_ASSERT_EQUAL(j.baselines[i].n, held);
  CU_ASSERT_TRUE(j.idm.r2 > 0.9 && j.baselines[IDM_MEAN].r2 < 0.1);
  CU_ASSERT_EQUAL(idm_judge_best(j.baselines, false), IDM_RIDGE); /* the world is linear */
  CU_ASSERT_FALSE(idm_judge_no_better(&j.idm, &j.baselines[IDM_MEAN], false));
  world_free(ds);
}

static void a_member_that_learned_nothing_is_no_better_than_the_mean(void) {
  struct px_dataset *ds = world(8, 0, 0, 1, 0);
  uint64_t held;
  struct idm_judged j = judged(ds, 2, 20, &held);
  const enum idm_baseline best = idm_judge_best(j.baselines, false);
  CU_ASSERT_TRUE(j.idm.r2 < 0.2);
  CU_ASSERT_TRUE(idm_judge_no_better(&j.idm, &j.baselines[best], false));
  px_dataset_free(ds);
}

static void nearly_perfect_labels_are_not_doubted(void) {
  const struct idm_quality_figures good = { .n = 9, .mse = 1e-6, .r2 = 0.999 },
                                   better = { .n = 9, .mse = 1e-9, .r2 = 1 };
  const struct idm_quality_figures right = { .n = 9, .accuracy = 0.7 },
                                   wrong = { .n = 9, .accuracy = 0.6 }, none = { .n = 0 };
  const struct idm_quality_figures fair = { .n = 9, .mse = 0.1, .r2 = 0.5 },
                                   same = { .n = 9, .mse = 0.1005, .r2 = (double)NAN };
  CU_ASSERT_FALSE(idm_judge_no_better(&good, &better, false));
  CU_ASSERT_FALSE(idm_judge_no_better(&right, &wrong, true));
  CU_ASSERT_TRUE(idm_judge_no_better(&wrong, &right, true));
  CU_ASSERT_TRUE(idm_judge_no_better(&right, &right, true));
  CU_ASSERT_TRUE(idm_judge_no_better(&fair, &fair, false));
  CU_ASSERT_TRUE(idm_judge_no_better(&same, &fair, false)); /* r2 is not known */
  const struct idm_quality_figures exact = { .n = 9, .mse = 0, .r2 = (double)NAN };
  /* always the same action, and that is known */
  CU_ASSERT_FALSE(idm_judge_no_better(&exact, &exact, false));
  CU_ASSERT_FALSE(idm_judge_no_better(&none, &fair, false));
  CU_ASSERT_FALSE(idm_judge_no_better(&fair, &none, false));
}

CU_MAIN("idm_judge", T(lags_have_their_sign), T(a_lag_of_real_trajectories_is_found),
        T(what_tells_nothing_of_any_action_names_no_lag),
        T(a_member_is_judged_with_the_yardsticks_on_its_own_fold),
        T(a_member_that_learned_nothing_is_no_better_than_the_mean),
        T(nearly_perfect_labels_are_not_doubted))
