/* SPDX-License-Identifier: Apache-2.0 */
/* Lint: clean data has no finding, and each planted mistake has its own, at its place. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/read/lint.h"
#include "tests/support/cu.h"

enum { O = 4, A = 2, TRAJECTORIES = 10, STEPS = 120 };

/* A noisy controller on a linear system: v' = .9 v + .5 a, x' = x + .1 v'. */
static struct made {
  float obs[TRAJECTORIES][STEPS + 1][O], act[TRAJECTORIES][STEPS][A], rew[TRAJECTORIES][STEPS];
  uint32_t length[TRAJECTORIES];
  bool terminated[TRAJECTORIES];
} made;

static void make(void) {
  memset(&made, 0, sizeof made);
  struct px_rng rng = px_rng_at(5, px_rng_stream("lint", 0), 0);
  for (int i = 0; i < TRAJECTORIES; i++) {
    float noise[O];
    px_rng_normal(&rng, noise, O);
    memcpy(made.obs[i][0], noise, sizeof noise);
    made.length[i] = (uint32_t)(STEPS - i);
    made.terminated[i] = i % 2;
    for (int t = 0; t < STEPS; t++) {
      const float *s = made.obs[i][t];
      float *next = made.obs[i][t + 1], *a = made.act[i][t];
      px_rng_normal(&rng, noise, O);
      for (int j = 0; j < A; j++) {
        a[j] = fmaxf(-1, fminf(1, -0.3f * s[j] - 0.2f * s[A + j] + 0.3f * noise[j]));
        next[A + j] = 0.9f * s[A + j] + 0.5f * a[j] + 0.05f * noise[A + j];
        next[j] = s[j] + 0.1f * next[A + j];
      }
      made.rew[i][t] = -s[0] * s[0];
    }
  }
}

static struct px_spaces spaces(void) {
  static struct px_spaces s;
  s = (struct px_spaces){ .obs_dim = O, .act_dim = A };
  for (int j = 0; j < A; j++) s.act_low[j] = -1, s.act_high[j] = 1;
  return s;
}

static struct px_lint_finding found[PX_LINT_FINDINGS_MAX];
static uint32_t lint(void) {
  const struct px_spaces s = spaces();
  struct px_lint *lint = NULL;
  struct px_err err;
  CU_OK(px_lint_new(&s, &lint, &err), err);
  for (int i = 0; i < TRAJECTORIES; i++)
    px_lint_put(lint, &(struct px_traj){ .steps = made.length[i],
                                         .observations = made.obs[i][0],
                                         .actions = made.act[i][0],
                                         .rewards = made.rew[i],
                                         .terminated = made.terminated[i],
                                         .truncated = !made.terminated[i],
                                         .has_final = true });
  const uint32_t n = px_lint_findings(lint, found);
  px_lint_free(lint);
  return n;
}

/* One finding alone, of that code and at that place. */
static void only(enum px_lint_code code, const char *field, int64_t trajectory, int64_t step) {
  const uint32_t n = lint();
  for (uint32_t i = 0; i < n && (n > 1 || found[i].code != code); i++)
    printf("\n  %s: %s", px_lint_name(found[i].code), found[i].message);
  CU_ASSERT_EQUAL_FATAL(n, 1);
  CU_ASSERT_EQUAL(found[0].code, code);
  CU_ASSERT_STRING_EQUAL(found[0].field, field);
  CU_ASSERT_EQUAL(found[0].trajectory, trajectory);
  CU_ASSERT_EQUAL(found[0].step, step);
}

static void clean_data_has_no_finding(void) {
  make();
  CU_ASSERT_EQUAL(lint(), 0);
}

static void a_jump_is_found_at_its_step(void) {
  make();
  for (int t = 60; t <= STEPS; t++) made.obs[3][t][1] += 12;
  only(PX_LINT_JUMP, "observations[1]", 3, 60);
  CU_ASSERT(found[0].figure > 30);
}

static void a_sensor_that_hangs_is_found(void) {
  make();
  for (int t = 21; t < 60; t++) memcpy(made.obs[2][t], made.obs[2][20], sizeof made.obs[2][20]);
  for (int t = 60; t <= STEPS; t++) /* so that what comes after is no jump */
    for (int j = 0; j < O; j++) made.obs[2][t][j] += made.obs[2][20][j] - made.obs[2][59][j];
  only(PX_LINT_FROZEN, "observations", 2, 21);
  CU_ASSERT_EQUAL(found[0].figure, 39);
  make();
  for (int t = 41; t <= 70; t++) made.obs[5][t][3] = made.obs[5][40][3];
  only(PX_LINT_STILL_OBSERVATION, "observations[3]", 5, 41);
  CU_ASSERT_EQUAL(found[0].figure, 30);
  make();
  for (int t = 41; t < 60; t++) made.obs[5][t][3] = made.obs[5][40][3]; /* one step too short */
  CU_ASSERT_EQUAL(lint(), 0);
}

static void actions_of_another_step_are_found(void) {
  static const int LAGS[] = { 1, 2, -1, -3 };
  for (size_t k = 0; k < sizeof LAGS / sizeof *LAGS; k++) {
    make();
    for (int i = 0; i < TRAJECTORIES; i++) {
      float shifted[STEPS][A];
      for (int t = 0; t < STEPS; t++) {
        const int from = t - LAGS[k] < 0 ? 0 : t - LAGS[k] >= STEPS ? STEPS - 1 : t - LAGS[k];
        memcpy(shifted[t], made.act[i][from], sizeof shifted[t]);
      }
      memcpy(made.act[i], shifted, sizeof shifted);
    }
    only(PX_LINT_ACTIONS_LAG, "actions", -1, -1);
    CU_ASSERT_EQUAL(found[0].figure, LAGS[k]);
    CU_ASSERT_PTR_NOT_NULL(strstr(found[0].message, LAGS[k] > 0 ? "late" : "early"));
  }
}

static void a_time_limit_called_terminal_is_found(void) {
  make();
  for (int i = 0; i < TRAJECTORIES; i++) made.length[i] = 100, made.terminated[i] = true;
  only(PX_LINT_TIME_LIMIT, "terminated", -1, -1);
  made.terminated[4] = false;
  CU_ASSERT_EQUAL(lint(), 0);
}

static void a_recording_that_is_there_twice_is_found(void) {
  make();
  memcpy(made.obs[7], made.obs[1], sizeof made.obs[1]);
  memcpy(made.act[7], made.act[1], sizeof made.act[1]);
  only(PX_LINT_REPEATED_STEPS, "observations", 7, 0);
}

/* Sets a column of observations or of actions by a function of what it was. */
enum how { CONSTANT, CLIPPED, BOUND, ROUNDED };
static float changed(enum how how, float x) {
  return how == CONSTANT  ? 0.25f
         : how == CLIPPED ? fminf(x, 0.2f)
         : how == BOUND   ? (x > 0 ? 1.0f : x)
                          : roundf(x * 5) / 5;
}
static void change(bool action, int j, enum how how) {
  make();
  for (int i = 0; i < TRAJECTORIES; i++)
    for (int t = 0; t < STEPS + !action; t++) {
      float *row = action ? made.act[i][t] : made.obs[i][t];
      row[j] = changed(how, row[j]);
    }
}
static void columns_are_looked_at_one_by_one(void) {
  change(false, 3, CONSTANT);
  only(PX_LINT_CONSTANT_OBSERVATION, "observations[3]", -1, -1);
  change(true, 1, CONSTANT);
  only(PX_LINT_CONSTANT_ACTION, "actions[1]", -1, -1);
  change(false, 2, CLIPPED);
  only(PX_LINT_CLIPPED_OBSERVATION, "observations[2]", -1, -1);
  change(true, 0, ROUNDED);
  only(PX_LINT_QUANTISED_ACTION, "actions[0]", -1, -1);
  make();
  for (int i = 0; i < TRAJECTORIES; i++)
    for (int t = 0; t < STEPS; t++) made.act[i][t][0] = t % 3 ? 1 : made.act[i][t][0];
  only(PX_LINT_SATURATED_ACTION, "actions[0]", -1, -1);
}

static void rewards_are_looked_at(void) {
  make();
  for (int i = 0; i < TRAJECTORIES; i++)
    for (int t = 0; t < STEPS; t++) made.rew[i][t] = 3;
  only(PX_LINT_CONSTANT_REWARD, "rewards", -1, -1);
}

/* A finding is the same whatever comes later of the same kind: dimensions are told up to eight. */
static void many_dimensions_are_told_up_to_eight(void) {
  struct px_spaces wide = { .obs_dim = 40, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 } };
  struct px_lint *lint = NULL;
  struct px_err err;
  static float rows[301 * 40];
  CU_OK(px_lint_new(&wide, &lint, &err), err);
  for (int t = 0; t < 301; t++) rows[t * 40] = sinf((float)t * 1.7f);
  px_lint_put(lint, &(struct px_traj){ .steps = 300, .observations = rows, .has_final = true });
  CU_ASSERT_EQUAL(px_lint_findings(lint, found), 8);
  CU_ASSERT_STRING_EQUAL(found[0].field, "observations[1]");
  px_lint_free(lint);
}

CU_MAIN("lint", T(clean_data_has_no_finding), T(a_jump_is_found_at_its_step),
        T(a_sensor_that_hangs_is_found), T(actions_of_another_step_are_found),
        T(a_time_limit_called_terminal_is_found), T(a_recording_that_is_there_twice_is_found),
        T(columns_are_looked_at_one_by_one), T(rewards_are_looked_at),
        T(many_dimensions_are_told_up_to_eight))
