/* SPDX-License-Identifier: Apache-2.0 */
/* How systematic labels' errors are, on errors made up with known answers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/idm/bias.h"
#include "tests/support/cu.h"

/* ---- trajectories of random states; the labelled ones follow a linear policy, the others act at
 * random */

enum { O = 3, TRAJ_N = 24, STEPS = 120, N = TRAJ_N * STEPS };

struct world {
  struct px_dataset truth, masked;
  float observations[TRAJ_N * (STEPS + 1) * O], actions[N], hidden[N], rewards[N], labels[N];
  double habit[N]; /* what the labelled policy does, mapped to (-1, 1) */
  uint8_t all[N], some[N], yes[TRAJ_N], no[TRAJ_N], known[N];
  uint64_t step_start[TRAJ_N + 1], obs_start[TRAJ_N + 1];
};

/* Actions range over [-1, 3]: 1 + 2 u for u in (-1, 1). */
static float of_unit(double u) { return (float)(1 + 2 * u); }
static double to_unit(float a) { return ((double)a - 1) / 2; }

/* Trajectories 0 to 7 are labelled, with returns 0 to 7; of the others every second one lies among
 * them. */
static struct world *world_new(void) {
  struct world *w = px_mem_calloc(1, sizeof *w);
  struct px_rng rng = px_rng_at(5, 0, 0);
  CU_ASSERT_PTR_NOT_NULL_FATAL(w);
  px_rng_normal(&rng, w->observations, sizeof w->observations / sizeof *w->observations);
  for (uint32_t i = 0; i < TRAJ_N; i++) {
    for (uint32_t t = 0; t < STEPS; t++) {
      const uint32_t at = i * STEPS + t;
      const float *s = w->observations + (i * (STEPS + 1) + t) * O;
      w->habit[at] = fmin(fmax(0.2 * (double)s[0] - 0.1 * (double)s[1] + 0.05, -0.9), 0.9);
      w->actions[at] = of_unit(i < 8 ? w->habit[at] : 1.6 * px_rng_double(&rng) - 0.8);
      w->all[at] = w->known[at] = 1;
      w->some[at] = i < 8;
      w->hidden[at] = i < 8 ? w->actions[at] : 0;
    }
    w->rewards[i * STEPS] = i < 8 ? (float)i : i % 2 ? 3 : 100;
    w->yes[i] = 1;
    w->step_start[i + 1] = w->step_start[i] + STEPS,
                      w->obs_start[i + 1] = w->obs_start[i] + STEPS + 1;
  }
  w->truth = (struct px_dataset){ .traj_n = TRAJ_N,
                                  .steps_n = N,
                                  .obs_n = TRAJ_N * (STEPS + 1),
                                  .observations = w->observations,
                                  .actions = w->actions,
                                  .labelled = w->all,
                                  .rewards = w->rewards,
                                  .step_start = w->step_start,
                                  .obs_start = w->obs_start,
                                  .terminated = w->yes,
                                  .truncated = w->no,
                                  .has_final = w->yes };
  w->truth.spaces.obs_dim = O, w->truth.spaces.act_dim = 1;
  w->truth.spaces.act_low[0] = -1, w->truth.spaces.act_high[0] = 3;
  w->masked = w->truth;
  w->masked.actions = w->hidden, w->masked.labelled = w->some;
  return w;
}

/* Labels that err by constant + wave sin(s_0) + sign +-, and lean by `lean` to the habit. */
static void label(struct world *w, double constant, double wave, double sign, double lean) {
  struct px_rng rng = px_rng_at(6, 0, 0);
  for (uint32_t at = 0; at < N; at++) {
    const float *s = w->observations + (at / STEPS * (STEPS + 1) + at % STEPS) * O;
    const double a = to_unit(w->actions[at]), random = px_rng_u32(&rng) & 1 ? sign : -sign;
    w->labels[at] =
      of_unit(a + constant + wave * sin((double)s[0]) + random + lean * (w->habit[at] - a));
    if (w->some[at]) w->labels[at] = 99; /* what is labelled must not count */
  }
}

static void measure(const struct world *w, struct idm_bias_figures out[IDM_QUALITY_PARTS_N]) {
  struct idm_quality *q;
  struct idm_bias *b;
  struct px_err err;
  CU_OK(idm_quality_new(&w->truth, &w->masked, &q, &err), err);
  CU_OK(idm_bias_new(&w->truth, &w->masked, &b, &err), err);
  idm_bias_add(b, 0, 10, w->labels, w->known);
  idm_bias_add(b, 10, TRAJ_N, w->labels + 10 * STEPS, w->known + 10 * STEPS);
  CU_OK(idm_bias_measure(b, q, NULL, out, &err), err);
  idm_bias_free(b);
  idm_quality_free(q);
}

/* ---- bias */

static void random_signs_are_no_bias(void) {
  struct world *w = world_new();
  struct idm_bias_figures f[IDM_QUALITY_PARTS_N];
  label(w, 0, 0, 0.1, 0);
  measure(w, f);
  for (int i = 0; i < IDM_QUALITY_PARTS_N; i++) {
    CU_ASSERT_TRUE(f[i].bias_share >= 0 && f[i].bias_share < 0.05);
    CU_ASSERT_DOUBLE_EQUAL(f[i].lean, 0, 0.03);
  }
  free(w);
}

static void constant_and_smooth_errors_are_all_bias(void) {
  struct world *w = world_new();
  struct idm_bias_figures f[IDM_QUALITY_PARTS_N];
  label(w, 0.05, 0, 0, 0);
  measure(w, f);
  for (int i = 0; i < IDM_QUALITY_PARTS_N; i++) CU_ASSERT_DOUBLE_EQUAL(f[i].bias_share, 1, 1e-3);
  label(w, 0, 0.1, 0, 0);
  measure(w, f);
  CU_ASSERT_DOUBLE_EQUAL(f[IDM_ALL].bias_share, 1, 0.05);
  free(w);
}

static void bias_is_told_from_noise_by_its_share(void) {
  struct world *w = world_new();
  struct idm_bias_figures f[IDM_QUALITY_PARTS_N];
  label(w, 0.1, 0, 0.1, 0);
  measure(w, f);
  CU_ASSERT_DOUBLE_EQUAL(f[IDM_ALL].bias_share, 0.5, 0.04);
  label(w, 0.1, 0, 0.2, 0);
  measure(w, f);
  CU_ASSERT_DOUBLE_EQUAL(f[IDM_ALL].bias_share, 0.2, 0.04);
  free(w);
}

/* ---- lean */

static void lean_is_the_way_to_the_labelled_policys_action(void) {
  static const double ways[] = { -0.2, 0, 0.26, 1 };
  struct world *w = world_new();
  struct idm_bias_figures f[IDM_QUALITY_PARTS_N];
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    label(w, 0, 0, 0, ways[i]);
    measure(w, f);
    for (int part = 0; part < IDM_QUALITY_PARTS_N; part++)
      CU_ASSERT_DOUBLE_EQUAL(f[part].lean, ways[i], 0.005);
    /* roundings at most */
    if (ways[i] == 0) CU_ASSERT_TRUE(isnan(f[IDM_ALL].bias_share) || f[IDM_ALL].bias_share < 1);
  }
  free(w);
}

static void inside_and_outside_are_told_apart(void) {
  struct world *w = world_new();
  struct idm_bias_figures f[IDM_QUALITY_PARTS_N];
  label(w, 0, 0, 0, 0);
  for (uint32_t at = 8 * STEPS; at < N; at++)
    if (at / STEPS % 2 == 0) /* return 100: outside */
      w->labels[at] =
        of_unit(to_unit(w->actions[at]) + 0.5 * (w->habit[at] - to_unit(w->actions[at])));
  measure(w, f);
  CU_ASSERT_DOUBLE_EQUAL(f[IDM_INSIDE].lean, 0, 1e-3);
  CU_ASSERT_DOUBLE_EQUAL(f[IDM_OUTSIDE].lean, 0.5, 0.005);
  CU_ASSERT_DOUBLE_EQUAL(f[IDM_ALL].lean, 0.25, 0.03); /* half of the judged steps */
  free(w);
}

static void few_judged_steps_give_no_figures(void) {
  struct world *w = world_new();
  struct idm_bias_figures f[IDM_QUALITY_PARTS_N];
  label(w, 0.1, 0, 0, 0.2);
  /* and trajectory 8 */
  for (uint32_t at = 9 * STEPS; at < N; at++) w->known[at] = at < 9 * STEPS + IDM_BIAS_ROWS_MIN;
  measure(w, f);
  CU_ASSERT_FALSE(isnan(f[IDM_ALL].lean) || isnan(f[IDM_INSIDE].lean) ||
                  isnan(f[IDM_OUTSIDE].lean));
  w->known[9 * STEPS] = 0; /* inside, one too few are left */
  measure(w, f);
  CU_ASSERT_TRUE(isnan(f[IDM_INSIDE].lean) && isnan(f[IDM_INSIDE].bias_share));
  CU_ASSERT_FALSE(isnan(f[IDM_ALL].lean) || isnan(f[IDM_OUTSIDE].lean));
  memset(w->known, 0, sizeof w->known);
  measure(w, f);
  for (int i = 0; i < IDM_QUALITY_PARTS_N; i++)
    CU_ASSERT_TRUE(isnan(f[i].lean) && isnan(f[i].bias_share));
  free(w);
}

CU_MAIN("idm_bias", T(random_signs_are_no_bias), T(constant_and_smooth_errors_are_all_bias),
        T(bias_is_told_from_noise_by_its_share), T(lean_is_the_way_to_the_labelled_policys_action),
        T(inside_and_outside_are_told_apart), T(few_judged_steps_give_no_figures))
