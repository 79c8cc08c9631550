/* SPDX-License-Identifier: Apache-2.0 */
/* Baselines and label quality, against sums written out by hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/baseline.h"
#include "lib/idm/dual.h"
#include "lib/idm/gram.h"
#include "lib/idm/norm.h"
#include "lib/idm/quality.h"
#include "lib/idm/ridge.h"
#include "lib/idm/window.h"
#include "tests/support/cu.h"

/* ---- four trajectories of 50 steps, s' = s + a / 2 and one state that no action moves, range [-1,
 * 3] */

enum { O = 2, A = 1, TRAJ_N = 4, STEPS = 50 };

struct world {
  struct px_dataset truth, masked;
  float observations[TRAJ_N * (STEPS + 1) * O], actions[TRAJ_N * STEPS], hidden[TRAJ_N * STEPS],
    rewards[TRAJ_N * STEPS];
  uint8_t all[TRAJ_N * STEPS], some[TRAJ_N * STEPS], yes[TRAJ_N], no[TRAJ_N];
  uint64_t step_start[TRAJ_N + 1], obs_start[TRAJ_N + 1];
};

/* Trajectory i's return is 10 i; 1 and 2 are labelled, so 0 and 3 lie outside the labelled
 * range. */
static struct world *world_new(void) {
  struct world *w = px_mem_calloc(1, sizeof *w);
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
    w->step_start[i + 1] = w->step_start[i] + STEPS,
                      w->obs_start[i + 1] = w->obs_start[i] + STEPS + 1;
  }
  w->truth = (struct px_dataset){ .traj_n = TRAJ_N,
                                  .steps_n = TRAJ_N * STEPS,
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
  w->truth.spaces.obs_dim = O, w->truth.spaces.act_dim = A;
  w->truth.spaces.act_low[0] = -1, w->truth.spaces.act_high[0] = 3;
  w->masked = w->truth;
  w->masked.actions = w->hidden, w->masked.labelled = w->some;
  return w;
}

static struct idm_labels *predictions(const struct world *w, const struct idm_baselines *y,
                                      enum idm_baseline which) {
  struct idm_labels *labels = NULL;
  struct px_err err;
  CU_OK(idm_baselines_label(y, which, &w->masked, 0, TRAJ_N, NULL, &labels, &err), err);
  return labels;
}

static void yardsticks_are_what_they_say(void) {
  struct world *w = world_new();
  struct idm_baselines *y;
  struct px_err err;
  CU_OK(idm_baselines_fit(&w->masked, 1, 0, NULL, &y, &err), err);
  struct idm_labels *mean = predictions(w, y, IDM_MEAN), *ridge = predictions(w, y, IDM_RIDGE),
                    *nearest = predictions(w, y, IDM_NEAREST);
  double sum = 0;
  for (uint32_t i = STEPS; i < 3 * STEPS; i++) sum += (double)w->actions[i];
  for (uint32_t i = 0; i < TRAJ_N * STEPS; i++) {
    CU_ASSERT_TRUE(mean->known[i] && ridge->known[i] && nearest->known[i]);
    CU_ASSERT_DOUBLE_EQUAL(mean->actions[i], sum / (2 * STEPS), 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(ridge->actions[i], w->actions[i], 1e-2); /* the law is linear */
    /* itself is nearest */
    if (w->some[i]) CU_ASSERT_DOUBLE_EQUAL(nearest->actions[i], w->actions[i], 1e-5);
  }
  idm_labels_free(mean), idm_labels_free(ridge), idm_labels_free(nearest);
  idm_baselines_free(y);
  memset(w->some, 0, sizeof w->some);
  CU_ASSERT_EQUAL(idm_baselines_fit(&w->masked, 1, 0, NULL, &y, &err), PX_E_NO_LABELS);
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
      for (uint32_t i = 0; i <= IN; i++)
        gradient[i * OUT + j] += off * (i < IN ? (double)x[r * IN + i] : 1);
    }
  CU_ASSERT_DOUBLE_EQUAL(idm_gram_error(gram, w), error, 1e-9 * error);
  for (uint32_t i = 0; i <= IN;
       i++) /* at the minimum, X^T (X w - y) + lambda n w = 0, the constant unpenalised */
    for (uint32_t j = 0; j < OUT; j++)
      CU_ASSERT_DOUBLE_EQUAL(gradient[i * OUT + j] + (i < IN ? lambda * N * w[i * OUT + j] : 0), 0,
                             1e-9);
  idm_gram_free(gram);
}

static void the_dual_form_gives_the_same_ridge(void) {
  enum { N = 30, HELD = 7, IN = 45, OUT = 2 };
  struct px_rng rng = px_rng_at(9, 0, 1);
  struct idm_gram *gram, *held_gram;
  struct idm_dual *dual;
  float x[N * IN], y[N * OUT];
  double w[(IN + 1) * OUT], bias[OUT];
  uint32_t rows[N], held[HELD];
  px_rng_normal(&rng, x, N * IN);
  px_rng_normal(&rng, y, N * OUT);
  for (int i = 0; i < N * IN; i++) x[i] += 2;
  CU_ASSERT_EQUAL_FATAL(idm_gram_new(IN, OUT, &gram), PX_OK);
  CU_ASSERT_EQUAL_FATAL(idm_gram_new(IN, OUT, &held_gram), PX_OK);
  CU_ASSERT_EQUAL_FATAL(idm_dual_new(N, OUT, &dual), PX_OK);
  idm_gram_add(gram, N - HELD, x + HELD * IN, y + HELD * OUT);
  idm_gram_add(held_gram, HELD, x, y);
  for (uint32_t i = 0; i < HELD; i++) held[i] = i;
  for (uint32_t i = HELD; i < N; i++) rows[i - HELD] = i;
  for (int i = 0; i < N * OUT; i++) dual->y[i] = (double)y[i];
  for (uint32_t i = 0; i < N; i += 13) /* in blocks that no tile divides */
    for (uint32_t j = i; j < N; j += 13)
      idm_dual_products(dual, IN, i, N - i < 13 ? N - i : 13, x + i * IN, j,
                        N - j < 13 ? N - j : 13, x + j * IN);
  for (double lambda = 1e-6; lambda < 2; lambda *= 1000) {
    CU_ASSERT_EQUAL_FATAL(idm_gram_solve(gram, lambda, w), PX_OK);
    CU_ASSERT_EQUAL_FATAL(idm_dual_solve(dual, rows, N - HELD, lambda), PX_OK);
    const double error = idm_gram_error(held_gram, w);
    CU_ASSERT_DOUBLE_EQUAL(idm_dual_error(dual, rows, N - HELD, held, HELD), error, 1e-6 * error);
    idm_dual_bias(dual, rows, N - HELD, bias);
    for (uint32_t j = 0; j < OUT; j++) {
      CU_ASSERT_DOUBLE_EQUAL(bias[j], w[IN * OUT + j], 1e-5);
      for (uint32_t i = 0; i < IN; i++) {
        double weight = 0;
        for (uint32_t r = 0; r < N - HELD; r++)
          weight += dual->weight[r * OUT + j] * (double)x[rows[r] * IN + i];
        CU_ASSERT_DOUBLE_EQUAL(weight, w[i * OUT + j], 1e-5);
      }
    }
  }
  idm_gram_free(gram), idm_gram_free(held_gram), idm_dual_free(dual);
}

/* ---- wide observations */

enum { WIDE_O = 300, WIDE_A = 40, WIDE_TRAJS = 4, WIDE_STEPS = 12 };
struct wide {
  struct px_dataset ds;
  float observations[WIDE_TRAJS * (WIDE_STEPS + 1) * WIDE_O],
    actions[WIDE_TRAJS * WIDE_STEPS * WIDE_A], rewards[WIDE_TRAJS * WIDE_STEPS];
  uint8_t labelled[WIDE_TRAJS * WIDE_STEPS], flags[WIDE_TRAJS];
  uint64_t step_start[WIDE_TRAJS + 1], obs_start[WIDE_TRAJS + 1];
};

/* The action is the mean change of all coordinates. */
static struct wide *wide_new(void) {
  struct wide *w = px_mem_calloc(1, sizeof *w);
  struct px_rng rng = px_rng_at(3, 1, 4);
  CU_ASSERT_PTR_NOT_NULL_FATAL(w);
  w->ds = (struct px_dataset){ .traj_n = WIDE_TRAJS,
                               .steps_n = WIDE_TRAJS * WIDE_STEPS,
                               .obs_n = WIDE_TRAJS * (WIDE_STEPS + 1),
                               .observations = w->observations,
                               .actions = w->actions,
                               .labelled = w->labelled,
                               .rewards = w->rewards,
                               .step_start = w->step_start,
                               .obs_start = w->obs_start,
                               .terminated = w->flags,
                               .truncated = w->flags,
                               .has_final = w->flags };
  w->ds.spaces.obs_dim = WIDE_O, w->ds.spaces.act_dim = 1, w->ds.spaces.act_low[0] = -1,
  w->ds.spaces.act_high[0] = 1;
  memset(w->labelled, 1, sizeof w->labelled), memset(w->flags, 1, sizeof w->flags);
  for (uint32_t i = 0; i <= WIDE_TRAJS; i++)
    w->step_start[i] = i * WIDE_STEPS, w->obs_start[i] = i * (WIDE_STEPS + 1);
  for (uint32_t i = 0; i < WIDE_TRAJS; i++)
    for (uint32_t t = 0; t <= WIDE_STEPS; t++) {
      float *s = w->observations + (w->obs_start[i] + t) * WIDE_O;
      px_rng_normal(&rng, s, WIDE_O);
      float *action = w->actions + i * WIDE_STEPS + t - 1;
      for (uint32_t j = 0; t && j < WIDE_O; j++) {
        *action += 0.5F * s[j] / WIDE_O;
        s[j] = s[(ptrdiff_t)j - WIDE_O] + s[j] + *action / 10;
      }
    }
  return w;
}

/* X^T (X w - y) + lambda n w, with the constant unpenalised, at what the ridge of a member
 * gives. */
static void ridge_of_wide_windows_is_the_minimum(void) {
  struct wide *w = wide_new();
  struct idm_spec spec;
  struct idm_norm *norm;
  struct idm_step *steps;
  uint32_t n;
  idm_spec_default(IDM_FAST, &spec);
  const uint32_t in = idm_window_inputs(&spec, WIDE_O);
  float *linear = px_mem_calloc(in + 1, sizeof *linear),
        *x = px_mem_calloc((size_t)w->ds.steps_n * in, sizeof *x), y[WIDE_TRAJS * WIDE_STEPS];
  double *gradient = px_mem_calloc(in, sizeof *gradient);
  CU_ASSERT_EQUAL_FATAL(idm_norm_new(WIDE_O, &norm), PX_OK);
  idm_norm_measure(norm, &w->ds);
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(&w->ds, &spec, &steps, &n), PX_OK);
  CU_ASSERT_TRUE(n < in);
  CU_ASSERT_EQUAL_FATAL(idm_ridge_fit(&w->ds, norm, &spec, steps, n, steps + 3, n - 3, NULL,
                                      linear),
                        PX_OK);
  idm_window_gather(norm, &spec, &w->ds, steps + 3, n - 3, x);
  idm_window_actions(&w->ds, steps + 3, n - 3, y);
  double offset = 0, length = 0;
  for (uint32_t r = 0; r < n - 3; r++) {
    double off = (double)linear[in] - (double)y[r];
    for (uint32_t p = 0; p < in; p++) off += (double)linear[p] * (double)x[r * in + p];
    offset += off;
    for (uint32_t p = 0; p < in; p++) gradient[p] += off * (double)x[r * in + p];
  }
  CU_ASSERT_DOUBLE_EQUAL(offset / n, 0, 1e-5);
  for (uint32_t p = 0; p < in; p++) length += (double)linear[p] * (double)linear[p];
  CU_ASSERT_TRUE(length > 0);
  double best = HUGE_VAL; /* of the lambdas that it may have chosen */
  for (double lambda = 1e-6; lambda < 2; lambda *= 10) {
    double rest = 0;
    for (uint32_t p = 0; p < in; p++)
      rest += pow(gradient[p] / (n - 3) + lambda * (double)linear[p], 2);
    best = fmin(best, sqrt(rest / length) / lambda);
  }
  CU_ASSERT_TRUE(best < 1e-2);
  free(linear), free(x), free(gradient), free(steps);
  idm_norm_free(norm);
  free(w);
}

/* Many action dimensions, and classes, from wide windows and few rows. */
static void wide_windows_label_many_dimensions_and_classes(void) {
  for (int discrete = 0; discrete < 2; discrete++) {
    struct wide *w = wide_new();
    struct px_spaces *spaces = &w->ds.spaces;
    struct idm_spec spec;
    struct idm_metrics metrics;
    struct idm_model *model;
    struct idm_labels *labels;
    struct px_err err;
    idm_spec_default(IDM_FAST, &spec);
    spec.members = 2, spec.hidden = 16, spec.layers = 1, spec.steps = 5, spec.validate_every = 5;
    if (discrete) {
      px_spaces_set_discrete(spaces, 3);
      for (uint32_t i = 0; i < w->ds.steps_n; i++)
        w->actions[i] = w->actions[i] < -0.01F ? 0 : w->actions[i] > 0.01F ? 2 : 1;
      spec.head = IDM_SOFTMAX, spec.mean_loss = IDM_NLL;
    } else {
      spaces->act_dim = WIDE_A;
      for (uint32_t i = (uint32_t)w->ds.steps_n; i-- > 0;)
        for (uint32_t j = 0; j < WIDE_A; j++) w->actions[i * WIDE_A + j] = w->actions[i];
      for (uint32_t j = 0; j < WIDE_A; j++) spaces->act_low[j] = -1, spaces->act_high[j] = 1;
    }
    CU_OK(idm_train_member(&w->ds, &spec, 0, NULL, NULL, &model, &metrics, &err), err);
    CU_OK(idm_label(&model, 1, &w->ds, 0, WIDE_TRAJS, NULL, &labels, &err), err);
    for (uint64_t i = 0; i < w->ds.steps_n * spaces->act_dim; i++)
      CU_ASSERT_TRUE(isfinite(labels->actions[i]));
    for (uint64_t i = 0; i < w->ds.steps_n; i++) CU_ASSERT_EQUAL(labels->known[i], 1);
    for (uint32_t j = 1; j < WIDE_A && !discrete; j++)
      CU_ASSERT_DOUBLE_EQUAL(metrics.val_r2_dim[j], metrics.val_r2_dim[0], 0.2);
    idm_labels_free(labels);
    idm_model_free(model);
    free(w);
  }
}

static void a_ridge_takes_as_many_rows_as_time_allows(void) {
  CU_ASSERT_EQUAL(idm_ridge_rows(44, 1000000), 1000000); /* ordinary data: all of them */
  CU_ASSERT_EQUAL(idm_ridge_rows(400, 10), 10);
  CU_ASSERT_EQUAL(idm_ridge_rows(12288, 480), 480);
  CU_ASSERT_EQUAL(idm_ridge_rows(57348, 100000), IDM_RIDGE_SYSTEM_MAX);
  for (uint32_t in = 1; in <= 57348; in += 7) {
    const double rows = idm_ridge_rows(in, 100000000), system = fmin(in, rows);
    CU_ASSERT_TRUE(rows >= 1 && system <= IDM_RIDGE_SYSTEM_MAX);
    CU_ASSERT_TRUE(rows * in * system <= 2.5e11);
  }
}

struct stopper {
  int64_t after, seen, total;
};
static enum px_status stop(void *ctx, const char *phase, int64_t step, int64_t total,
                           const struct px_metric *metrics, size_t metrics_n) {
  struct stopper *s = ctx;
  (void)metrics, (void)metrics_n;
  CU_ASSERT_STRING_EQUAL(phase, "ridge");
  s->seen = step, s->total = total;
  return step >= s->after ? PX_E_CANCELLED : PX_OK;
}

static void a_ridge_of_wide_windows_can_be_stopped_between_solutions(void) {
  struct wide *w = wide_new();
  struct idm_baselines *y;
  struct stopper s = { .after = 3 };
  const struct px_progress progress = { &s, stop };
  struct px_err err;
  CU_ASSERT_EQUAL(idm_baselines_fit(&w->ds, 1, 0, &progress, &y, &err), PX_E_CANCELLED);
  CU_ASSERT_EQUAL(s.seen, 3);
  CU_ASSERT_TRUE(s.total > 7);
  free(w);
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
    /* what is labelled must not count */
    labels[i] = w->some[i] ? 99 : w->actions[i] + (first ? 0.2F : -0.4F);
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
  /* trajectories 0 and 2 stay labelled: 1 lies between, 3 outside */
  memset(w->some, 0, sizeof w->some);
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

/* Rewards from a potential: the returns differ by rounding alone, and so all are inside. */
static void returns_equal_up_to_rounding_are_inside(void) {
  struct world *w = world_new();
  struct idm_quality *q;
  struct idm_quality_figures inside, outside;
  struct px_err err;
  float none[TRAJ_N * STEPS] = { 0 };
  for (uint32_t i = 0; i < TRAJ_N * STEPS; i++)
    w->rewards[i] = (i % 2 ? 1.F : -1.F) * (1 + 1e-6F * (float)(i / STEPS));
  CU_OK(idm_quality_new(&w->truth, &w->masked, &q, &err), err);
  idm_quality_add(q, 0, TRAJ_N, w->actions, none, none, w->all);
  idm_quality_figures(q, IDM_INSIDE, &inside);
  idm_quality_figures(q, IDM_OUTSIDE, &outside);
  CU_ASSERT_EQUAL(inside.n, 2 * STEPS);
  CU_ASSERT_EQUAL(outside.n, 0);
  CU_ASSERT_TRUE(isnan(outside.r2) || outside.n == 0);
  idm_quality_free(q);
  free(w);
}

static void r2_of_one_transition_is_not_known(void) {
  struct world *w = world_new();
  struct idm_quality *q;
  struct idm_quality_figures all;
  struct px_err err;
  float none[TRAJ_N * STEPS] = { 0 };
  double r2;
  memset(w->some, 1, sizeof w->some);
  w->some[7] = 0;
  CU_OK(idm_quality_new(&w->truth, &w->masked, &q, &err), err);
  idm_quality_add(q, 0, TRAJ_N, none, none, none, w->all);
  idm_quality_figures(q, IDM_ALL, &all);
  idm_quality_r2_dims(q, &r2);
  CU_ASSERT_EQUAL(all.n, 1);
  CU_ASSERT_TRUE(isnan(all.r2) && isnan(r2) && all.mse > 0);
  idm_quality_free(q);
  free(w);
}

CU_MAIN("idm_quality", T(returns_equal_up_to_rounding_are_inside),
        T(r2_of_one_transition_is_not_known), T(yardsticks_are_what_they_say),
        T(ridge_error_from_sums_is_the_error), T(the_dual_form_gives_the_same_ridge),
        T(ridge_of_wide_windows_is_the_minimum), T(wide_windows_label_many_dimensions_and_classes),
        T(a_ridge_takes_as_many_rows_as_time_allows),
        T(a_ridge_of_wide_windows_can_be_stopped_between_solutions),
        T(quality_is_judged_on_hidden_known_steps_alone), T(quality_splits_at_the_labelled_returns))
