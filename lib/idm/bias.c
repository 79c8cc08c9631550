/* SPDX-License-Identifier: Apache-2.0 */
/* How systematic labels' errors are: see bias.h. */
#include "lib/idm/bias.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/idm/norm.h"
#include "lib/idm/smooth.h"
#include "lib/idm/window.h"

enum { ROWS = IDM_SMOOTH_ROWS };
static const size_t errors_bytes_max = (size_t)64 << 20;
static const float widest = 10;

struct idm_bias {
  const struct px_dataset *truth, *masked;
  uint64_t stride, seen; /* every stride-th judged step is taken; how many were met */
  uint32_t rows_n, rows_max;
  struct idm_step *steps;  /* [rows_max] */
  float *errors, *actions; /* [rows_max, A] label - truth, and the truth, mapped to (-1, 1) */
};

static bool hidden(const struct idm_bias *b, uint64_t step) {
  return b->truth->labelled[step] && !b->masked->labelled[step];
}

enum px_status idm_bias_new(const struct px_dataset *truth, const struct px_dataset *masked,
                            struct idm_bias **out, struct px_err *err) {
  struct idm_bias *b = px_mem_calloc(1, sizeof *b);
  const size_t dims = truth->spaces.act_dim, fit = errors_bytes_max / sizeof(float) / 2 / dims;
  const uint64_t most = fit < IDM_BIAS_ROWS_MAX ? fit : IDM_BIAS_ROWS_MAX;
  uint64_t n = 0;
  if (!b) return px_fail(err, PX_E_NO_MEMORY, "no memory to judge labels");
  b->truth = truth;
  b->masked = masked;
  for (uint64_t i = 0; i < truth->steps_n; i++) n += hidden(b, i);
  b->stride = 1 + (n ? (n - 1) / most : 0);
  b->rows_max = (uint32_t)(n / b->stride + 1);
  b->steps = px_mem_calloc(b->rows_max, sizeof *b->steps);
  b->errors = px_mem_calloc(b->rows_max, sizeof(float) * dims);
  b->actions = px_mem_calloc(b->rows_max, sizeof(float) * dims);
  if (!b->steps || !b->errors || !b->actions) {
    idm_bias_free(b);
    return px_fail(err, PX_E_NO_MEMORY, "no memory to judge labels");
  }
  *out = b;
  return PX_OK;
}

void idm_bias_free(struct idm_bias *b) {
  if (!b) return;
  free(b->steps);
  free(b->errors);
  free(b->actions);
  free(b);
}

static void add_row(struct idm_bias *b, uint32_t traj, uint64_t t, const float *label) {
  const struct px_dataset *ds = b->truth;
  const size_t dims = ds->spaces.act_dim;
  float *error = b->errors + b->rows_n * dims, *action = b->actions + b->rows_n * dims;
  idm_window_action_target(&ds->spaces, ds->actions + (ds->step_start[traj] + t) * dims, action);
  idm_window_action_target(&ds->spaces, label, error);
  for (size_t j = 0; j < dims; j++) error[j] -= action[j];
  b->steps[b->rows_n++] = (struct idm_step){ traj, (uint32_t)t };
}

void idm_bias_add(struct idm_bias *b, uint32_t traj_from, uint32_t traj_to, const float *actions,
                  const uint8_t *known) {
  const struct px_dataset *ds = b->truth;
  const uint64_t first = ds->step_start[traj_from];
  for (uint32_t traj = traj_from; traj < traj_to; traj++)
    for (uint64_t step = ds->step_start[traj]; step < ds->step_start[traj + 1]; step++) {
      const uint64_t t = step - ds->step_start[traj];
      if (!hidden(b, step) || !known[step - first] || !px_dataset_next_known(ds, traj, t)) continue;
      if (b->seen++ % b->stride == 0)
        add_row(b, traj, t, actions + (step - first) * ds->spaces.act_dim);
    }
}

/* ---- measuring */

struct measuring {
  const struct idm_bias *b;
  const struct idm_quality *q;
  const struct px_progress *progress;
  struct idm_norm *norm;
  struct idm_spec pair; /* the window (s, s' - s) */
  float *x, *y;         /* [ROWS, 2 O], [ROWS, A] */
  int64_t done, total;  /* rows */
  struct {
    double squared, rest, along, habit2;
    uint64_t n;
  } sums[IDM_QUALITY_PARTS_N];
};

static enum px_status report_progress(struct measuring *m, uint32_t rows) {
  m->done += rows;
  return px_progress_report(m->progress, "bias", m->done, m->total, NULL, 0);
}

/* By trajectory, or where there are few of them by stretches of rows. */
static void put_folds(const struct idm_step *steps, uint32_t n, uint8_t *folds) {
  uint32_t trajs = 0;
  for (uint32_t i = 0; i < n; i++) {
    trajs += i == 0 || steps[i].traj != steps[i - 1].traj;
    folds[i] = (uint8_t)((trajs - 1) % IDM_SMOOTH_FOLDS);
  }
  if (trajs >= IDM_SMOOTH_FOLDS) return;
  for (uint32_t i = 0; i < n; i++) folds[i] = (uint8_t)((uint64_t)i * IDM_SMOOTH_FOLDS / n);
}

/* The length of the stretch of one fold that begins at row `at`, at most ROWS. */
static uint32_t stretch(const uint8_t *folds, uint32_t at, uint32_t n) {
  uint32_t rows = 1;
  while (rows < ROWS && at + rows < n && folds[at + rows] == folds[at]) rows++;
  return rows;
}

/* x: the windows of steps[n], or with `state` only their first O numbers. */
static void put_inputs(struct measuring *m, const struct idm_step *steps, uint32_t n, bool state) {
  const size_t dims = m->norm->obs_dim;
  idm_window_gather(m->norm, &m->pair, m->b->truth, steps, n, m->x);
  for (size_t i = 0; i < 2 * dims * n; i++) m->x[i] = fminf(fmaxf(m->x[i], -widest), widest);
  for (size_t i = 1; i < n && state; i++)
    memmove(m->x + i * dims, m->x + 2 * i * dims, sizeof *m->x * dims);
}

static void add_part(struct measuring *m, uint32_t row, size_t part, const float *bias,
                     const float *habit) {
  const size_t dims = m->b->truth->spaces.act_dim;
  for (size_t j = 0; j < dims; j++) {
    const double e = (double)m->b->errors[row * dims + j],
                 a = (double)m->b->actions[row * dims + j];
    const double p = habit ? fmin(fmax((double)habit[j], -1), 1) - a : 0,
                 rest = bias ? e - (double)bias[j] : 0;
    m->sums[part].along += e * p;
    m->sums[part].habit2 += p * p;
    m->sums[part].rest += rest * rest;
    m->sums[part].squared += bias ? e * e : 0;
  }
  m->sums[part].n += bias != NULL;
}

/* What the function says of the judged rows: of their errors (habit false), or of the labelled
 * policy's actions. */
static enum px_status predict_rows(struct measuring *m, struct idm_smooth *smooth,
                                   const uint8_t *folds, bool habit) {
  const struct idm_bias *b = m->b;
  for (uint32_t at = 0, n; at < b->rows_n; at += n) {
    n = stretch(folds, at, b->rows_n);
    put_inputs(m, b->steps + at, n, habit);
    idm_smooth_predict(smooth, habit ? IDM_SMOOTH_ALL : folds[at], n, m->x, m->y);
    for (uint32_t i = 0; i < n; i++) {
      const float *y = m->y + (size_t)i * b->truth->spaces.act_dim;
      const size_t half =
        idm_quality_is_inside(m->q, b->steps[at + i].traj) ? IDM_INSIDE : IDM_OUTSIDE;
      add_part(m, at + i, IDM_ALL, habit ? NULL : y, habit ? y : NULL);
      add_part(m, at + i, half, habit ? NULL : y, habit ? y : NULL);
    }
    const enum px_status status = report_progress(m, n);
    if (status) return status;
  }
  return PX_OK;
}

static enum px_status measure_bias(struct measuring *m, const uint8_t *folds) {
  const struct idm_bias *b = m->b;
  const size_t dims = b->truth->spaces.act_dim;
  struct idm_smooth *smooth;
  enum px_status status = idm_smooth_new(2 * m->norm->obs_dim, (uint32_t)dims, &smooth);
  if (status) return status;
  for (uint32_t at = 0, n; at < b->rows_n && !status; at += n) {
    n = stretch(folds, at, b->rows_n);
    put_inputs(m, b->steps + at, n, false);
    idm_smooth_add(smooth, folds[at], n, m->x, b->errors + at * dims);
    status = report_progress(m, n);
  }
  if (!status) status = idm_smooth_fit(smooth);
  if (!status) status = predict_rows(m, smooth, folds, false);
  idm_smooth_free(smooth);
  return status;
}

/* The clone of the labelled steps, at most IDM_BIAS_ROWS_MAX evenly spaced ones. */
static enum px_status fit_habit(struct measuring *m, struct idm_step *steps, uint32_t all,
                                struct idm_smooth *smooth) {
  const uint32_t n = all < IDM_BIAS_ROWS_MAX ? all : IDM_BIAS_ROWS_MAX;
  uint8_t *folds = px_mem_calloc(n, 1);
  enum px_status status = folds ? PX_OK : PX_E_NO_MEMORY;
  for (uint32_t i = 0; i < n; i++) steps[i] = steps[(uint64_t)i * all / n];
  if (folds) put_folds(steps, n, folds);
  for (uint32_t at = 0, rows; at < n && !status; at += rows) {
    rows = stretch(folds, at, n);
    put_inputs(m, steps + at, rows, true);
    idm_window_actions(m->b->masked, steps + at, rows, m->y);
    idm_smooth_add(smooth, folds[at], rows, m->x, m->y);
    status = report_progress(m, rows);
  }
  free(folds);
  return status ? status : idm_smooth_fit(smooth);
}

static enum px_status measure_lean(struct measuring *m, const uint8_t *folds) {
  struct idm_smooth *smooth = NULL;
  struct idm_step *steps = NULL;
  uint32_t n = 0;
  enum px_status status = idm_window_steps_labelled(m->b->masked, &m->pair, &steps, &n);
  if (!status && n) status = idm_smooth_new(m->norm->obs_dim, m->b->truth->spaces.act_dim, &smooth);
  if (!status && n) status = fit_habit(m, steps, n, smooth);
  if (!status && n) status = predict_rows(m, smooth, folds, true);
  idm_smooth_free(smooth);
  free(steps);
  return status;
}

static enum px_status measure(struct measuring *m) {
  const struct idm_bias *b = m->b;
  const uint32_t obs = b->truth->spaces.obs_dim;
  uint8_t *folds = px_mem_calloc(b->rows_n, 1);
  m->x = px_mem_calloc((size_t)ROWS * 2 * obs, sizeof *m->x);
  m->y = px_mem_calloc((size_t)ROWS * b->truth->spaces.act_dim, sizeof *m->y);
  enum px_status status = folds && m->x && m->y ? idm_norm_new(obs, &m->norm) : PX_E_NO_MEMORY;
  if (!status) {
    idm_norm_measure(m->norm, b->truth);
    put_folds(b->steps, b->rows_n, folds);
    status = measure_bias(m, folds);
  }
  if (!status) status = measure_lean(m, folds);
  free(folds);
  return status;
}

enum px_status idm_bias_measure(struct idm_bias *b, const struct idm_quality *q,
                                const struct px_progress *progress,
                                struct idm_bias_figures out[IDM_QUALITY_PARTS_N],
                                struct px_err *err) {
  struct measuring m = {
    .b = b, .q = q, .progress = progress, .total = 3 * (int64_t)b->rows_n + IDM_BIAS_ROWS_MAX
  };
  for (int i = 0; i < IDM_QUALITY_PARTS_N; i++)
    out[i] = (struct idm_bias_figures){ (double)NAN, (double)NAN };
  if (b->rows_n < IDM_BIAS_ROWS_MIN || b->truth->spaces.obs_dim > IDM_BIAS_OBS_MAX) return PX_OK;
  idm_spec_default(IDM_PAPER, &m.pair);
  m.pair.inputs = IDM_DIFFERENCE;
  m.pair.k = m.pair.f = 0;
  const enum px_status status = measure(&m);
  idm_norm_free(m.norm);
  free(m.x);
  free(m.y);
  if (status)
    return px_fail(err, status, "the labels' bias could not be measured (%s)",
                   px_status_slug(status));
  for (int i = 0; i < IDM_QUALITY_PARTS_N; i++) {
    if (m.sums[i].n < IDM_BIAS_ROWS_MIN) continue;
    if (m.sums[i].squared > 0) out[i].bias_share = fmax(1 - m.sums[i].rest / m.sums[i].squared, 0);
    if (m.sums[i].habit2 > 0) out[i].lean = m.sums[i].along / m.sums[i].habit2;
  }
  return PX_OK;
}
