/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisation: see norm.h. */
#include "lib/idm/norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/running_stats.h"

enum px_status idm_norm_new(uint32_t obs_dim, struct idm_norm **out) {
  struct idm_norm *norm = px_mem_calloc(1, sizeof *norm);
  if (!norm) return PX_E_NO_MEMORY;
  norm->obs_dim = obs_dim;
  norm->stats = px_mem_calloc((size_t)IDM_STATS_N * obs_dim, sizeof *norm->stats);
  norm->scales = px_mem_calloc((size_t)IDM_STATS_N * obs_dim, sizeof *norm->scales);
  if (!norm->stats || !norm->scales) {
    idm_norm_free(norm);
    return PX_E_NO_MEMORY;
  }
  *out = norm;
  return PX_OK;
}

void idm_norm_free(struct idm_norm *norm) {
  if (!norm) return;
  free(norm->stats);
  free(norm->residual);
  free(norm->scales);
  free(norm);
}

enum px_status idm_norm_add_residuals(struct idm_norm *norm) {
  const size_t dims = norm->obs_dim;
  if (dims > IDM_RESIDUAL_OBS_MAX) return PX_OK;
  norm->residual = px_mem_calloc(dims * (2 * dims + 1), sizeof *norm->residual);
  return norm->residual ? PX_OK : PX_E_NO_MEMORY;
}

/* Mean and population variance of the changes, by Welford's recurrence. */
static void measure_changes(const struct px_dataset *ds, double *mean, double *std) {
  const uint32_t dims = ds->spaces.obs_dim;
  double n = 0;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    for (uint64_t row = ds->obs_start[traj]; row + 1 < ds->obs_start[traj + 1]; row++) {
      const float *s = ds->observations + row * dims;
      n += 1;
      for (uint32_t j = 0; j < dims; j++) {
        const double change = (double)s[dims + j] - (double)s[j], off = change - mean[j];
        mean[j] += off / n;
        std[j] += off * (change - mean[j]);
      }
    }
  for (uint32_t j = 0; j < dims; j++) std[j] = n > 0 ? sqrt(std[j] / n) : 0;
}

void idm_norm_measure(struct idm_norm *norm, const struct px_dataset *ds) {
  const uint32_t dims = norm->obs_dim;
  double *stats = norm->stats;
  memset(stats, 0, sizeof *stats * IDM_STATS_N * dims);
  px_dataset_obs_stats(ds, stats + IDM_STATE_MEAN * dims, stats + IDM_STATE_STD * dims);
  measure_changes(ds, stats + IDM_CHANGE_MEAN * dims, stats + IDM_CHANGE_STD * dims);
  /* a change carries the rounding of the states that it is between */
  for (uint32_t j = 0; j < dims; j++) {
    double *std = stats + IDM_STATE_STD * dims + j, *change = stats + IDM_CHANGE_STD * dims + j;
    const double magnitude = hypot(stats[IDM_STATE_MEAN * dims + j], *std);
    *std = px_running_stats_scale(*std, magnitude);
    *change = px_running_stats_scale(*change, magnitude);
  }
  idm_norm_ready(norm);
}

/* Extremes of states, and of changes, over the windows of `steps`: low and high [2, O]. */
static void measure_extremes(const struct px_dataset *ds, const struct idm_spec *spec,
                             const struct idm_step *steps, uint32_t n, float *low, float *high) {
  const uint32_t dims = ds->spaces.obs_dim;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t start = ds->obs_start[steps[i].traj],
                   end = ds->obs_start[steps[i].traj + 1] - start;
    const uint64_t first = steps[i].t > spec->k ? steps[i].t - spec->k : 0,
                   after = steps[i].t + 2ull + spec->f;
    for (uint64_t row = first; row < (after < end ? after : end); row++) {
      const float *s = ds->observations + (start + row) * dims;
      for (uint32_t j = 0; j < dims; j++) {
        const float change = row == first ? 0 : s[j] - s[j - (ptrdiff_t)dims];
        low[j] = s[j] < low[j] ? s[j] : low[j];
        high[j] = s[j] > high[j] ? s[j] : high[j];
        if (row == first) continue;
        low[dims + j] = change < low[dims + j] ? change : low[dims + j];
        high[dims + j] = change > high[dims + j] ? change : high[dims + j];
      }
    }
  }
}

enum px_status idm_norm_leave_out(struct idm_norm *norm, const struct px_dataset *ds,
                                  const struct idm_spec *spec, const struct idm_step *steps,
                                  uint32_t n) {
  const uint32_t dims = norm->obs_dim;
  float *low = px_mem_calloc((size_t)4 * dims, sizeof *low),
        *high = low ? low + (size_t)2 * dims : NULL;
  if (!low) return PX_E_NO_MEMORY;
  for (size_t i = 0; i < (size_t)2 * dims; i++) low[i] = HUGE_VALF, high[i] = -HUGE_VALF;
  measure_extremes(ds, spec, steps, n, low, high);
  for (uint32_t j = 0; j < dims; j++) {
    const double size = fmax(fabs((double)low[j]), fabs((double)high[j]));
    if (px_running_stats_scale((double)high[j] - (double)low[j], size) <= 0)
      norm->stats[IDM_STATE_STD * dims + j] = 0;
    if (px_running_stats_scale((double)high[dims + j] - (double)low[dims + j], size) <= 0)
      norm->stats[IDM_CHANGE_STD * dims + j] = 0;
  }
  free(low);
  idm_norm_ready(norm);
  return PX_OK;
}

void idm_norm_ready(struct idm_norm *norm) {
  norm->kinematic = false;
  for (uint32_t i = 0; i < norm->obs_dim && norm->residual; i++)
    norm->kinematic |= idm_norm_has_residual(norm, i);
  for (uint32_t i = 0; i < IDM_STATS_N; i++)
    for (size_t j = (size_t)i * norm->obs_dim; j < (size_t)(i + 1) * norm->obs_dim; j++)
      norm->scales[j] = (float)(i % 2 == 0           ? norm->stats[j]
                                : norm->stats[j] > 0 ? 1 / norm->stats[j]
                                                     : 0);
}

double idm_norm_residual(const struct idm_norm *norm, uint32_t i, const float *from,
                         const float *to) {
  const size_t dims = norm->obs_dim;
  const double *r = norm->residual + i * (2 * dims + 1);
  double sum = r[2 * dims];
  for (size_t j = 0; j < dims; j++)
    sum += r[j] * (double)from[j] + r[dims + j] * ((double)to[j] - (double)from[j]);
  return sum;
}
