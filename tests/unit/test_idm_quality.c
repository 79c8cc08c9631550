/* Yardsticks and label quality, against sums written out by hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "tests/support/cu.h"
#include "worker/idm/linear.h"
#include "worker/idm/quality.h"
#include "worker/idm/yardstick.h"

/* ---- four trajectories of 50 steps, s' = s + a / 2 and one state that no action moves, range [-1, 3] */

enum { O = 2, A = 1, TRAJ_N = 4, STEPS = 50 };

struct world {
  struct px_dataset truth, masked;
  float observations[TRAJ_N * (STEPS + 1) * O], actions[TRAJ_N * STEPS], hidden[TRAJ_N * STEPS], rewards[TRAJ_N * STEPS];
  uint8_t all[TRAJ_N * STEPS], some[TRAJ_N * STEPS], yes[TRAJ_N], no[TRAJ_N];
  uint64_t step_start[TRAJ_N + 1], obs_start[TRAJ_N + 1];
};

/* Trajectory i's return is 10 i; 1 and 2 are labelled, so 0 and 3 lie outside the labelled range. */
static struct world *world_new(void) {
  struct world *w = px_calloc(1, sizeof *w);
  struct px_rng rng = px_rng_at(3, 0, 0);
  for (uint32_t i = 0; i < TRAJ_N; i++) {
    float *s = w->observations + i * (STEPS + 1) * O;
    px_rng_normal(&rng, s, O);
    for (uint32_t t = 0; t < STEPS; t++, s += O) {
      const uint32_t at = i * STEPS + t;
      w->actions[at] = 4 * px_rng_float(&rng) - 1;
      w->rewards[at] = t == 0 ? 10 * (float)i : 0;
      w->all[at] = 1, w->some[at] = i == 1 || i == 2;
      w->hidden[at] = w->some[at] ? w->actions[at] : 0;
      s[O] = s[0] + w->actions[at] / 2;
      s[O + 1] = 0.9F * s[1] + 0.1F * (float)(t % 7);
    }
    w->yes[i] = 1;
    w->step_start[i + 1] = w->step_start[i] + STEPS, w->obs_start[i + 1] = w->obs_start[i] + STEPS + 1;
  }
  w->truth = (struct px_dataset){ .traj_n = TRAJ_N, .steps_n = TRAJ_N * STEPS, .obs_n = TRAJ_N * (STEPS + 1),
    .observations = w->observations, .actions = w->actions, .labelled = w->all, .rewards = w->rewards,
    .step_start = w->step_start, .obs_start = w->obs_start, .terminated = w->yes, .truncated = w->no, .has_final = w->yes };
  w->truth.spaces.obs_dim = O, w->truth.spaces.act_dim = A;
  w->truth.spaces.act_low[0] = -1, w->truth.spaces.act_high[0] = 3;
  w->masked = w->truth;
  w->masked.actions = w->hidden, w->masked.labelled = w->some;
  return w;
}

static struct idm_labels *predictions(const struct world *w, const struct idm_yardsticks *y, enum idm_yardstick which) {
  struct idm_labels *labels = NULL;
  struct px_err err;
  CU_OK(idm_yardsticks_label(y, which, &w->masked, 0, TRAJ_N, NULL, &labels, &err), err);
  return labels;
}

static void yardsticks_are_what_they_say(void) {
  struct world *w = world_new();
  struct idm_yardsticks *y;
  struct px_err err;
  CU_OK(idm_yardsticks_fit(&w->masked, 1, 0, NULL, &y, &err), err);
  struct idm_labels *mean = predictions(w, y, IDM_MEAN), *ridge = predictions(w, y, IDM_RIDGE),
                    *nearest = predictions(w, y, IDM_NEAREST);
  double sum = 0;
  for (uint32_t i = STEPS; i < 3 * STEPS; i++) sum += (double)w->actions[i];
  for (uint32_t i = 0; i < TRAJ_N * STEPS; i++) {
    CU_ASSERT_TRUE(mean->known[i] && ridge->known[i] && nearest->known[i]);
    CU_ASSERT_DOUBLE_EQUAL(mean->actions[i], sum / (2 * STEPS), 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(ridge->actions[i], w->actions[i], 1e-2); /* the law is linear */
    if (w->some[i]) CU_ASSERT_DOUBLE_EQUAL(nearest->actions[i], w->actions[i], 1e-5); /* itself is nearest */
  }
  idm_labels_free(mean), idm_labels_free(ridge), idm_labels_free(nearest);
  idm_yardsticks_free(y);
  memset(w->some, 0, sizeof w->some);
  CU_ASSERT_EQUAL(idm_yardsticks_fit(&w->masked, 1, 0, NULL, &y, &err), PX_E_NO_LABELS);
  free(w);
}

static void ridge_error_from_sums_is_the_error(void) {
  enum { N = 40, IN = 3, OUT = 2 };
  struct px_rng rng = px_rng_at(9, 0, 0);
  struct idm_gram *gram;
  float x[N * IN], y[N * OUT];
  double w[(IN + 1) * OUT], error = 0, gradient[(IN + 1) * OUT] = { 0 };
  const double lambda = 0.1;
  px_rng_normal(&rng, x, N * IN);
  px_rng_normal(&rng, y, N * OUT);
  CU_ASSERT_EQUAL_FATAL(idm_gram_new(IN, OUT, &gram), PX_OK);
  idm_gram_add(gram, 15, x, y);
  idm_gram_add(gram, N - 15, x + 15 * IN, y + 15 * OUT);
  CU_ASSERT_EQUAL_FATAL(idm_gram_solve(gram, lambda, w), PX_OK);
  for (uint32_t r = 0; r < N; r++)
    for (uint32_t j = 0; j < OUT; j++) {
      double off = w[IN * OUT + j] - (double)y[r * OUT + j];
      for (uint32_t i = 0; i < IN; i++) off += w[i * OUT + j] * (double)x[r * IN + i];
      error += off * off;
      for (uint32_t i = 0; i <= IN; i++) gradient[i * OUT + j] += off * (i < IN ? (double)x[r * IN + i] : 1);
    }
  CU_ASSERT_DOUBLE_EQUAL(idm_gram_error(gram, w), error, 1e-9 * error);
  for (uint32_t i = 0; i <= IN; i++) /* at the minimum, X^T (X w - y) + lambda n w = 0, the constant unpenalised */
    for (uint32_t j = 0; j < OUT; j++)
      CU_ASSERT_DOUBLE_EQUAL(gradient[i * OUT + j] + (i < IN ? lambda * N * w[i * OUT + j] : 0), 0, 1e-9);
  idm_gram_free(gram);
}

static void quality_is_judged_on_hidden_known_steps_alone(void) {
  struct world *w = world_new();
  struct idm_quality *q;
  struct idm_quality_figures all, inside, outside;
  struct px_err err;
  float labels[TRAJ_N * STEPS], std[TRAJ_N * STEPS], none[TRAJ_N * STEPS] = { 0 };
  uint8_t known[TRAJ_N * STEPS];
  double square = 0, sum = 0, sum2 = 0, r2;
  uint32_t n = 0;
  for (uint32_t i = 0; i < TRAJ_N * STEPS; i++) {
    const bool first = i < STEPS;
    labels[i] = w->some[i] ? 99 : w->actions[i] + (first ? 0.2F : -0.4F); /* what is labelled must not count */
    std[i] = 0.3F;
    known[i] = i % 10 != 0;
    if (w->some[i] || !known[i]) continue;
    const double a = ((double)w->actions[i] + 1) / 2 - 1;
    square += first ? 0.01 : 0.04; /* a range of 4 becomes one of 2 */
    sum += a, sum2 += a * a;
    n++;
  }
  CU_OK(idm_quality_new(&w->truth, &w->masked, &q, &err), err);
  idm_quality_add(q, 0, 1, labels, std, none, known);
  idm_quality_add(q, 1, TRAJ_N, labels + STEPS, std + STEPS, none, known + STEPS);
  idm_quality_figures(q, IDM_ALL, &all);
  idm_quality_figures(q, IDM_INSIDE, &inside);
  idm_quality_figures(q, IDM_OUTSIDE, &outside);
  CU_ASSERT_EQUAL(all.n, n);
  CU_ASSERT_DOUBLE_EQUAL(all.mse, square / n, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(all.r2, 1 - square / (sum2 - sum * sum / n), 1e-6);
  CU_ASSERT_EQUAL(inside.n, 0);
  CU_ASSERT_EQUAL(outside.n, n);
  CU_ASSERT_DOUBLE_EQUAL(outside.mse, all.mse, 1e-12);
  idm_quality_r2_dims(q, &r2);
  CU_ASSERT_DOUBLE_EQUAL(r2, all.r2, 1e-12);
  /* |z| = 2/3 in the first half, 4/3 in the second. */
  CU_ASSERT_DOUBLE_EQUAL(all.coverage[0], 0.5, 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(all.coverage[1], 0.5, 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(all.coverage[2], 1, 1e-9);
  CU_ASSERT_DOUBLE_EQUAL(all.nll, (4.0 / 9 + 16.0 / 9) / 4 + log(0.15) + 0.918938533204673, 1e-5);
  idm_quality_free(q);
  free(w);
}

static void quality_splits_at_the_labelled_returns(void) {
  struct world *w = world_new();
  struct idm_quality *q;
  struct idm_quality_figures inside, outside;
  struct px_err err;
  float none[TRAJ_N * STEPS] = { 0 };
  memset(w->some, 0, sizeof w->some); /* trajectories 0 and 2 stay labelled: 1 lies between, 3 outside */
  memset(w->some, 1, STEPS), memset(w->some + 2 * STEPS, 1, STEPS);
  CU_OK(idm_quality_new(&w->truth, &w->masked, &q, &err), err);
  idm_quality_add(q, 0, TRAJ_N, w->actions, none, none, w->all);
  idm_quality_figures(q, IDM_INSIDE, &inside);
  idm_quality_figures(q, IDM_OUTSIDE, &outside);
  CU_ASSERT_EQUAL(inside.n, STEPS);
  CU_ASSERT_EQUAL(outside.n, STEPS);
  CU_ASSERT_EQUAL(inside.mse, 0);
  CU_ASSERT_EQUAL(inside.r2, 1);
  idm_quality_free(q);
  w->masked.traj_n--;
  CU_ASSERT_EQUAL(idm_quality_new(&w->truth, &w->masked, &q, &err), PX_E_BAD_DATA);
  free(w);
}

CU_MAIN("idm_quality", T(yardsticks_are_what_they_say), T(ridge_error_from_sums_is_the_error),
        T(quality_is_judged_on_hidden_known_steps_alone), T(quality_splits_at_the_labelled_returns))
