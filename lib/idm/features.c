/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs that are left out or replaced: see features.h. */
#include "lib/idm/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/running_stats.h"
#include "lib/idm/gram.h"
#include "lib/idm/norm.h"
#include "lib/idm/window.h"

enum { ROWS = 64 };
static const double integrates = 0.85, low_share = 0.005;

/* ---- rows: evenly spaced transitions of all trajectories */

struct rows {
  const float **at;
  uint32_t n;
}; /* [n] s_t, with s_{t+1} behind it */

static enum px_status take_rows(const struct px_dataset *ds, struct rows *rows) {
  const uint32_t dims = ds->spaces.obs_dim;
  const uint64_t all = ds->obs_n - ds->traj_n,
                 stride = 1 + (all ? (all - 1) / IDM_FEATURES_ROWS : 0);
  uint64_t seen = 0;
  *rows = (struct rows){ px_mem_calloc(all / stride + 1, sizeof *rows->at), 0 };
  if (!rows->at) return PX_E_NO_MEMORY;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    for (uint64_t row = ds->obs_start[traj]; row + 1 < ds->obs_start[traj + 1]; row++)
      if (seen++ % stride == 0) rows->at[rows->n++] = ds->observations + row * dims;
  return PX_OK;
}

/* ---- kinematic coordinates */

struct kinematics {
  struct idm_norm *norm;
  struct rows rows;
  uint32_t dims, kin_n, dyn_n;
  uint32_t *kin, *dyn;     /* [O] each; dyn: all others that are not left out */
  double *middle, *change; /* [O] of one row: s + s' and s' - s, standardised */
  double *sums;            /* [2, O] mean and variance of s + s' */
  double *products;        /* [O, O] of change i and middle j */
};

static double stat(const struct kinematics *k, int which, uint32_t j) {
  return k->norm->stats[(size_t)which * k->dims + j];
}

static bool used(const struct kinematics *k, uint32_t j) {
  return stat(k, IDM_STATE_STD, j) > 0 && stat(k, IDM_CHANGE_STD, j) > 0 &&
         k->sums[k->dims + j] > 0;
}

static void measure_middles(struct kinematics *k) {
  double *mean = k->sums, *variance = k->sums + k->dims;
  for (uint32_t r = 0; r < k->rows.n; r++)
    for (uint32_t j = 0; j < k->dims; j++) {
      const double x = (double)k->rows.at[r][j] + (double)k->rows.at[r][k->dims + j],
                   off = x - mean[j];
      mean[j] += off / (r + 1.0);
      variance[j] += (off * (x - mean[j]) - variance[j]) / (r + 1.0);
    }
}

static void correlate(struct kinematics *k) {
  const uint32_t dims = k->dims;
  for (uint32_t r = 0; r < k->rows.n; r++) {
    const float *s = k->rows.at[r];
    for (uint32_t j = 0; j < dims; j++) {
      const double scale = used(k, j) ? 1 / sqrt(k->sums[dims + j]) : 0;
      k->middle[j] = scale * ((double)s[j] + (double)s[dims + j] - k->sums[j]);
      k->change[j] = used(k, j)
                       ? ((double)s[dims + j] - (double)s[j] - stat(k, IDM_CHANGE_MEAN, j)) /
                           stat(k, IDM_CHANGE_STD, j)
                       : 0;
    }
    for (uint32_t i = 0; i < dims; i++)
      for (uint32_t j = 0; j < dims; j++)
        k->products[(size_t)i * dims + j] += k->change[i] * k->middle[j] / k->rows.n;
  }
}

static uint32_t partner(const struct kinematics *k, uint32_t i, double *most) {
  uint32_t best = i;
  *most = 0;
  for (uint32_t j = 0; j < k->dims; j++) {
    const double c = fabs(k->products[(size_t)i * k->dims + j]);
    if (j == i || c <= *most) continue;
    *most = c;
    best = j;
  }
  return best;
}

static bool is_kinematic(const struct kinematics *k, uint32_t i) {
  for (uint32_t n = 0; n < k->kin_n; n++)
    if (k->kin[n] == i) return true;
  return false;
}

/* The most certain first. */
static void choose(struct kinematics *k) {
  for (;;) {
    uint32_t best = k->dims;
    double most = integrates, c;
    for (uint32_t i = 0; i < k->dims; i++) {
      const uint32_t j = partner(k, i, &c);
      if (c <= most || is_kinematic(k, i) || is_kinematic(k, j)) continue;
      most = c;
      best = i;
    }
    if (best == k->dims) break;
    k->kin[k->kin_n++] = best;
  }
  for (uint32_t j = 0; j < k->dims; j++)
    if (!is_kinematic(k, j) && used(k, j)) k->dyn[k->dyn_n++] = j;
}

static void put_inputs(const struct kinematics *k, const float *s, float *x, float *y) {
  const uint32_t dims = k->dims;
  for (uint32_t n = 0; n < k->dyn_n; n++) {
    const uint32_t j = k->dyn[n];
    x[n] = (float)(((double)s[j] - stat(k, IDM_STATE_MEAN, j)) / stat(k, IDM_STATE_STD, j));
    x[k->dyn_n + n] = (float)(((double)s[dims + j] - (double)s[j] - stat(k, IDM_CHANGE_MEAN, j)) /
                              stat(k, IDM_CHANGE_STD, j));
  }
  for (uint32_t n = 0; n < k->kin_n; n++) {
    const uint32_t i = k->kin[n];
    y[n] = (float)(((double)s[dims + i] - (double)s[i] - stat(k, IDM_CHANGE_MEAN, i)) /
                   stat(k, IDM_CHANGE_STD, i));
  }
}

/* w [2 dyn_n + 1, kin_n]; of the smallest penalty that has a solution. */
static enum px_status regress(const struct kinematics *k, double *w) {
  struct idm_gram *gram;
  float *x = px_mem_calloc((size_t)ROWS * 2 * k->dyn_n, sizeof *x),
        *y = px_mem_calloc((size_t)ROWS * k->kin_n, sizeof *y);
  enum px_status status = x && y ? idm_gram_new(2 * k->dyn_n, k->kin_n, &gram) : PX_E_NO_MEMORY;
  if (!status) {
    for (uint32_t r = 0, n; r < k->rows.n; r += n) {
      for (n = 0; n < ROWS && r + n < k->rows.n; n++)
        put_inputs(k, k->rows.at[r + n], x + (size_t)n * 2 * k->dyn_n, y + (size_t)n * k->kin_n);
      idm_gram_add(gram, n, x, y);
    }
    double penalty = 1e-8;
    while ((status = idm_gram_solve(gram, penalty, w)) == PX_E_NAN_LOSS && penalty < 1)
      penalty *= 100;
    idm_gram_free(gram);
  }
  free(x);
  free(y);
  return status;
}

/* Row n of w as a function of raw states and changes, in units of its own spread; left as it was
 * where that is rounding. */
static void put_residual(const struct kinematics *k, uint32_t n, const double *w) {
  const uint32_t dims = k->dims, i = k->kin[n];
  double *r = k->norm->residual + (size_t)i * (2 * (size_t)dims + 1),
         *constant = r + 2 * (size_t)dims;
  r[dims + i] = 1 / stat(k, IDM_CHANGE_STD, i);
  *constant = -stat(k, IDM_CHANGE_MEAN, i) / stat(k, IDM_CHANGE_STD, i) -
              w[2 * (size_t)k->dyn_n * k->kin_n + n];
  for (uint32_t m = 0; m < k->dyn_n; m++) {
    const uint32_t j = k->dyn[m];
    r[j] = -w[(size_t)m * k->kin_n + n] / stat(k, IDM_STATE_STD, j);
    r[dims + j] = -w[((size_t)k->dyn_n + m) * k->kin_n + n] / stat(k, IDM_CHANGE_STD, j);
    *constant -= r[j] * stat(k, IDM_STATE_MEAN, j) + r[dims + j] * stat(k, IDM_CHANGE_MEAN, j);
  }
  double mean = 0, variance = 0;
  for (uint32_t row = 0; row < k->rows.n; row++) {
    const double e = idm_norm_residual(k->norm, i, k->rows.at[row], k->rows.at[row] + dims),
                 off = e - mean;
    mean += off / (row + 1.0);
    variance += (off * (e - mean) - variance) / (row + 1.0);
  }
  const double size = hypot(stat(k, IDM_STATE_MEAN, i), stat(k, IDM_STATE_STD, i)),
               unit = stat(k, IDM_CHANGE_STD, i);
  const double scale = px_running_stats_scale(sqrt(variance) * unit, size) / unit;
  *constant -= mean;
  for (uint32_t j = 0; j <= 2 * dims; j++) r[j] = scale > 0 ? r[j] / scale : 0;
}

static enum px_status measure_kinematics(struct kinematics *k) {
  const size_t dims = k->dims;
  k->kin = px_mem_calloc(dims, sizeof *k->kin);
  k->dyn = px_mem_calloc(dims, sizeof *k->dyn);
  k->middle = px_mem_calloc(dims, sizeof *k->middle);
  k->change = px_mem_calloc(dims, sizeof *k->change);
  k->sums = px_mem_calloc(2 * dims, sizeof *k->sums);
  k->products = px_mem_calloc(dims * dims, sizeof *k->products);
  if (!k->kin || !k->dyn || !k->middle || !k->change || !k->sums || !k->products)
    return PX_E_NO_MEMORY;
  measure_middles(k);
  correlate(k);
  choose(k);
  if (!k->kin_n || !k->dyn_n) return PX_OK;
  double *w = px_mem_calloc((2 * (size_t)k->dyn_n + 1) * k->kin_n, sizeof *w);
  const enum px_status status = w ? regress(k, w) : PX_E_NO_MEMORY;
  for (uint32_t n = 0; n < k->kin_n && !status; n++) put_residual(k, n, w);
  free(w);
  return status;
}

static enum px_status measure_residuals(struct idm_norm *norm, const struct px_dataset *ds) {
  struct kinematics k = { .norm = norm, .dims = norm->obs_dim };
  enum px_status status = take_rows(ds, &k.rows);
  if (!status && k.rows.n > 1) status = measure_kinematics(&k);
  free(k.rows.at);
  free(k.kin);
  free(k.dyn);
  free(k.middle);
  free(k.change);
  free(k.sums);
  free(k.products);
  return status;
}

/* ---- coordinates that are elsewhere where nothing is labelled */

static int ascending(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static float state(const struct px_dataset *ds, struct idm_step step, uint32_t j) {
  return ds->observations[(ds->obs_start[step.traj] + step.t) * ds->spaces.obs_dim + j];
}

static enum px_status leave_out_shifted(struct idm_norm *norm, const struct px_dataset *ds,
                                        const struct idm_spec *spec,
                                        const struct idm_step *labelled, uint32_t n) {
  const uint32_t rows = n < IDM_FEATURES_ROWS ? n : IDM_FEATURES_ROWS;
  float *sorted = px_mem_calloc(rows, sizeof *sorted);
  struct idm_step *others = NULL;
  uint32_t others_n = 0;
  enum px_status status = PX_E_NO_MEMORY;
  if (sorted) status = idm_window_steps_unlabelled(ds, spec, IDM_FEATURES_ROWS, &others, &others_n);
  for (uint32_t j = 0; j < norm->obs_dim && !status && others_n; j++) {
    uint32_t outside = 0;
    for (uint32_t i = 0; i < rows; i++) sorted[i] = state(ds, labelled[(uint64_t)i * n / rows], j);
    qsort(sorted, rows, sizeof *sorted, ascending);
    const uint32_t low = (uint32_t)(low_share * (rows - 1));
    for (uint32_t i = 0; i < others_n; i++) {
      const float s = state(ds, others[i], j);
      outside += s < sorted[low] || s > sorted[rows - 1 - low];
    }
    if (outside > spec->shift_max * others_n) norm->stats[IDM_STATE_STD * norm->obs_dim + j] = 0;
  }
  free(sorted);
  free(others);
  return status;
}

enum px_status idm_features_measure(struct idm_norm *norm, const struct px_dataset *ds,
                                    const struct idm_spec *spec, const struct idm_step *labelled,
                                    uint32_t n) {
  enum px_status status = PX_OK;
  if (spec->inputs != IDM_DIFFERENCE) return PX_OK;
  if (norm->residual) status = measure_residuals(norm, ds);
  if (!status && spec->shift_max < 1) status = leave_out_shifted(norm, ds, spec, labelled, n);
  idm_norm_ready(norm);
  return status;
}
