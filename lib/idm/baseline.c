/* SPDX-License-Identifier: Apache-2.0 */
/* Baselines: see baseline.h. */
#include "lib/idm/baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/norm.h"
#include "lib/idm/ridge.h"
#include "lib/idm/softmax.h"
#include "lib/idm/window.h"
#include "lib/nn/mat.h"

enum { ROWS = 256, FOLDS = 5, NEAREST_BYTES_MAX = 64 << 20 };

struct idm_baselines {
  struct idm_norm *norm;
  struct idm_spec window, pair; /* the ridge's inputs, and (s_t, s_{t+1}) */
  float *mean;                  /* [M] targets (idm_window_actions), as all below */
  float *ridge;                 /* [M, in], then [M] */
  float *near_x, *near_half;    /* [near_n, pair in], and half of each row's squared length */
  float *near_a;                /* [near_n, M] */
  uint32_t near_n, outputs;     /* M: A, or one for each discrete action */
};

const char *idm_baseline_name(enum idm_baseline which, bool discrete) {
  static const char *const names[IDM_BASELINES_N] = { "mean", "ridge", "nearest" };
  return which == IDM_MEAN && discrete ? "majority" : names[which];
}

void idm_baselines_free(struct idm_baselines *y) {
  if (!y) return;
  idm_norm_free(y->norm);
  free(y->mean);
  free(y->ridge);
  free(y->near_x);
  free(y->near_half);
  free(y->near_a);
  free(y);
}

/* ---- fitting */

static enum px_status fit_mean(struct idm_baselines *y, const struct px_dataset *ds,
                               const struct idm_step *steps, uint32_t n) {
  float *a = px_mem_calloc(y->outputs, sizeof *a);
  double *sum = px_mem_calloc(y->outputs, sizeof *sum);
  for (uint32_t i = 0; i < n && a && sum; i++) {
    idm_window_actions(ds, steps + i, 1, a);
    for (uint32_t j = 0; j < y->outputs; j++) sum[j] += (double)a[j];
  }
  for (uint32_t j = 0; j < y->outputs && sum; j++) y->mean[j] = (float)(sum[j] / n);
  const enum px_status status = a && sum ? PX_OK : PX_E_NO_MEMORY;
  free(a);
  free(sum);
  return status;
}

static void fit_nearest(struct idm_baselines *y, const struct px_dataset *ds,
                        const struct idm_step *steps, uint32_t n) {
  const uint32_t in = idm_window_inputs(&y->pair, ds->spaces.obs_dim);
  for (uint32_t i = 0; i < y->near_n; i++) {
    const struct idm_step *step = steps + (uint64_t)i * n / y->near_n;
    float *x = y->near_x + (size_t)i * in;
    idm_window_gather(y->norm, &y->pair, ds, step, 1, x);
    idm_window_actions(ds, step, 1, y->near_a + (size_t)i * y->outputs);
    double length = 0;
    for (uint32_t j = 0; j < in; j++) length += (double)x[j] * (double)x[j];
    y->near_half[i] = (float)(length / 2);
  }
}

/* As many as IDM_NEAREST_MAX, unless wide rows would take too much memory. */
static uint32_t near_rows(uint32_t in, uint32_t n) {
  const uint32_t most = (uint32_t)(NEAREST_BYTES_MAX / sizeof(float) / in),
                 rows = n < IDM_NEAREST_MAX ? n : IDM_NEAREST_MAX;
  return rows < most ? rows : most;
}

static enum px_status fit(struct idm_baselines *y, const struct px_dataset *ds,
                          const struct idm_step *steps, uint32_t n,
                          const struct px_progress *progress) {
  const uint32_t in = idm_window_inputs(&y->window, ds->spaces.obs_dim), dims = y->outputs;
  const uint32_t pair = idm_window_inputs(&y->pair, ds->spaces.obs_dim);
  y->near_n = near_rows(pair, n);
  y->mean = px_mem_calloc(dims, sizeof *y->mean);
  y->ridge = px_mem_calloc((size_t)dims * (in + 1), sizeof *y->ridge);
  y->near_x = px_mem_calloc((size_t)y->near_n * pair, sizeof *y->near_x);
  y->near_half = px_mem_calloc(y->near_n, sizeof *y->near_half);
  y->near_a = px_mem_calloc((size_t)y->near_n * dims, sizeof *y->near_a);
  if (!y->mean || !y->ridge || !y->near_x || !y->near_half || !y->near_a) return PX_E_NO_MEMORY;
  fit_nearest(y, ds, steps, n);
  const enum px_status status = fit_mean(y, ds, steps, n);
  return status ? status
                : idm_ridge_fit(ds, y->norm, &y->window, steps, n, steps, n, progress, y->ridge);
}

enum px_status idm_baselines_fit(const struct px_dataset *ds, uint32_t k, uint32_t f,
                                 const struct px_progress *progress, struct idm_baselines **out,
                                 struct px_err *err) {
  struct idm_step *steps = NULL;
  uint32_t n = 0;
  struct idm_baselines *y = px_mem_calloc(1, sizeof *y);
  enum px_status status = PX_E_NO_MEMORY;
  if (y) {
    idm_spec_default(IDM_PAPER, &y->window);
    status = idm_window_steps_labelled(ds, &y->window, &steps, &n);
  }
  if (!status && n == 0) {
    idm_baselines_free(y);
    return px_fail(err, PX_E_NO_LABELS, "no transition with a known next state is labelled");
  }
  if (!status) {
    y->outputs = idm_window_outputs(&ds->spaces);
    y->pair = y->window;
    y->window.members = FOLDS;
    y->window.k = k;
    y->window.f = f;
    y->pair.k = y->pair.f = 0;
    status = idm_norm_new(ds->spaces.obs_dim, &y->norm);
  }
  if (!status) {
    idm_norm_measure(y->norm, ds);
    status = idm_norm_leave_out(y->norm, ds, &y->window, steps, n);
  }
  if (!status) status = fit(y, ds, steps, n, progress);
  free(steps);
  if (status) {
    idm_baselines_free(y);
    return px_fail(err, status, "the yardsticks could not be fitted (%s)", px_status_slug(status));
  }
  *out = y;
  return PX_OK;
}

/* ---- predicting */

struct predictor {
  const struct idm_baselines *y;
  const struct px_dataset *ds;
  float *x, *a, *near; /* one chunk: windows, actions, [ROWS, near_n] products */
};

static void predict_ridge(const struct predictor *p, const struct idm_step *steps, uint32_t n) {
  const uint32_t in = idm_window_inputs(&p->y->window, p->ds->spaces.obs_dim), dims = p->y->outputs;
  idm_window_gather(p->y->norm, &p->y->window, p->ds, steps, n, p->x);
  px_mat_mul(PX_MAT_N, PX_MAT_T, n, dims, in, p->x, p->y->ridge, 0, p->a);
  px_mat_bias(n, dims, p->y->ridge + (size_t)dims * in, p->a);
  for (size_t i = 0; i < (size_t)n * dims && !p->ds->spaces.act_count; i++)
    p->a[i] = fminf(fmaxf(p->a[i], -1), 1);
}

/* argmin |x - r|^2 = argmin |r|^2 / 2 - x r */
static void predict_nearest(const struct predictor *p, const struct idm_step *steps, uint32_t n) {
  const struct idm_baselines *y = p->y;
  const uint32_t in = idm_window_inputs(&y->pair, p->ds->spaces.obs_dim);
  idm_window_gather(y->norm, &y->pair, p->ds, steps, n, p->x);
  px_mat_mul(PX_MAT_N, PX_MAT_T, n, y->near_n, in, p->x, y->near_x, 0, p->near);
  for (uint32_t i = 0; i < n; i++) {
    const float *products = p->near + (size_t)i * y->near_n;
    float least = y->near_half[0] - products[0];
    uint32_t best = 0;
    for (uint32_t r = 1; r < y->near_n; r++) {
      const float distance = y->near_half[r] - products[r];
      if (distance >= least) continue;
      least = distance;
      best = r;
    }
    memcpy(p->a + (size_t)i * y->outputs, y->near_a + (size_t)best * y->outputs,
           sizeof(float) * y->outputs);
  }
}

static void predict(const struct predictor *p, enum idm_baseline which,
                    const struct idm_step *steps, uint32_t n) {
  switch (which) {
    case IDM_RIDGE: predict_ridge(p, steps, n); break;
    case IDM_NEAREST: predict_nearest(p, steps, n); break;
    default:
      for (uint32_t i = 0; i < n; i++)
        memcpy(p->a + (size_t)i * p->y->outputs, p->y->mean, sizeof(float) * p->y->outputs);
  }
}

/* The i-th prediction in the dataset's units. */
static void put_action(const struct predictor *p, uint32_t i, float *action) {
  const struct px_spaces *spaces = &p->ds->spaces;
  const float *a = p->a + (size_t)i * p->y->outputs;
  if (spaces->act_count) {
    action[0] = (float)idm_softmax_class(spaces->act_count, a);
    return;
  }
  for (uint32_t j = 0; j < spaces->act_dim; j++) {
    const float low = spaces->act_low[j], half = (spaces->act_high[j] - low) / 2;
    action[j] = low + half * (a[j] + 1);
  }
}

/* Trajectory by trajectory, in chunks of steps. */
static enum px_status predict_range(const struct predictor *p, enum idm_baseline which,
                                    const struct px_progress *progress, struct idm_labels *labels) {
  const struct px_dataset *ds = p->ds;
  const uint64_t first = ds->step_start[labels->traj_from];
  for (uint32_t traj = labels->traj_from; traj < labels->traj_to; traj++) {
    uint64_t steps_n = ds->step_start[traj + 1] - ds->step_start[traj];
    if (!px_dataset_next_known(ds, traj, steps_n - 1)) steps_n--;
    for (uint64_t t = 0; t < steps_n;) {
      struct idm_step steps[ROWS];
      uint32_t n = 0;
      const uint64_t row = ds->step_start[traj] + t - first;
      for (; n < ROWS && t < steps_n; t++) steps[n++] = (struct idm_step){ traj, (uint32_t)t };
      predict(p, which, steps, n);
      for (uint32_t i = 0; i < n; i++) {
        labels->known[row + i] = 1;
        put_action(p, i, labels->actions + (row + i) * ds->spaces.act_dim);
      }
    }
    const enum px_status status =
      px_progress_report(progress, idm_baseline_name(which, ds->spaces.act_count > 0),
                         traj - labels->traj_from, labels->traj_to - labels->traj_from, NULL, 0);
    if (status) return status;
  }
  return PX_OK;
}

enum px_status idm_baselines_label(const struct idm_baselines *y, enum idm_baseline which,
                                   const struct px_dataset *ds, uint32_t traj_from,
                                   uint32_t traj_to, const struct px_progress *progress,
                                   struct idm_labels **out, struct px_err *err) {
  if (ds->spaces.obs_dim != y->norm->obs_dim || idm_window_outputs(&ds->spaces) != y->outputs)
    return px_fail(err, PX_E_BAD_DATA, "the yardsticks were fitted for other spaces");
  if (traj_from > traj_to || traj_to > ds->traj_n)
    return px_fail(err, PX_E_BAD_FIELD, "trajectories %u to %u of %u", traj_from, traj_to,
                   ds->traj_n);
  const uint32_t a = idm_window_inputs(&y->window, ds->spaces.obs_dim);
  const uint32_t b = idm_window_inputs(&y->pair, ds->spaces.obs_dim);
  struct predictor p = { .y = y, .ds = ds };
  p.x = px_mem_calloc((size_t)ROWS * (a > b ? a : b), sizeof *p.x);
  p.a = px_mem_calloc((size_t)ROWS * y->outputs, sizeof *p.a);
  p.near = which == IDM_NEAREST ? px_mem_calloc((size_t)ROWS * y->near_n, sizeof *p.near) : NULL;
  struct idm_labels *labels = idm_labels_new(ds, traj_from, traj_to);
  enum px_status status;
  if (p.x && p.a && labels && (p.near || which != IDM_NEAREST))
    status = predict_range(&p, which, progress, labels);
  else status = px_fail(err, PX_E_NO_MEMORY, "no memory for the yardsticks' predictions");
  free(p.x);
  free(p.a);
  free(p.near);
  if (status) {
    idm_labels_free(labels);
    return status;
  }
  *out = labels;
  return PX_OK;
}
