/* Normalisation and windows: see window.h. */
#include "worker/idm/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
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
  for (uint32_t j = 0; j < dims; j++) { /* a change carries the rounding of the states that it is between */
    double *std = stats + IDM_STATE_STD * dims + j, *change = stats + IDM_CHANGE_STD * dims + j;
    const double magnitude = hypot(stats[IDM_STATE_MEAN * dims + j], *std);
    *std = px_running_stats_scale(*std, magnitude);
    *change = px_running_stats_scale(*change, magnitude);
  }
  idm_norm_ready(norm);
}

/* Extremes of states, and of changes, over the windows of `steps`: low and high [2, O]. */
static void measure_extremes(const struct px_dataset *ds, const struct idm_spec *spec, const struct idm_step *steps,
                             uint32_t n, float *low, float *high) {
  const uint32_t dims = ds->spaces.obs_dim;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t start = ds->obs_start[steps[i].traj], end = ds->obs_start[steps[i].traj + 1] - start;
    const uint64_t first = steps[i].t > spec->k ? steps[i].t - spec->k : 0, after = steps[i].t + 2ull + spec->f;
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

enum px_status idm_norm_leave_out(struct idm_norm *norm, const struct px_dataset *ds, const struct idm_spec *spec,
                                  const struct idm_step *steps, uint32_t n) {
  const uint32_t dims = norm->obs_dim;
  float *low = px_mem_calloc((size_t)4 * dims, sizeof *low), *high = low ? low + (size_t)2 * dims : NULL;
  if (!low) return PX_E_NO_MEMORY;
  for (size_t i = 0; i < (size_t)2 * dims; i++) low[i] = HUGE_VALF, high[i] = -HUGE_VALF;
  measure_extremes(ds, spec, steps, n, low, high);
  for (uint32_t j = 0; j < dims; j++) {
    const double size = fmax(fabs((double)low[j]), fabs((double)high[j]));
    if (px_running_stats_scale((double)high[j] - (double)low[j], size) <= 0) norm->stats[IDM_STATE_STD * dims + j] = 0;
    if (px_running_stats_scale((double)high[dims + j] - (double)low[dims + j], size) <= 0)
      norm->stats[IDM_CHANGE_STD * dims + j] = 0;
  }
  free(low);
  idm_norm_ready(norm);
  return PX_OK;
}

void idm_norm_ready(struct idm_norm *norm) {
  norm->kinematic = false;
  for (uint32_t i = 0; i < norm->obs_dim && norm->residual; i++) norm->kinematic |= idm_has_residual(norm, i);
  for (uint32_t i = 0; i < IDM_STATS_N; i++)
    for (size_t j = (size_t)i * norm->obs_dim; j < (size_t)(i + 1) * norm->obs_dim; j++)
      norm->scales[j] = (float)(i % 2 == 0 ? norm->stats[j] : norm->stats[j] > 0 ? 1 / norm->stats[j] : 0);
}

uint32_t idm_window_inputs(const struct idm_spec *spec, uint32_t obs_dim) {
  return obs_dim * (spec->k + 2 + spec->f) + spec->f;
}

/* s NULL: the state 0. */
static void put_state(const struct idm_norm *norm, const float *s, float *out) {
  const float *mean = norm->scales + IDM_STATE_MEAN * norm->obs_dim, *inverse = norm->scales + IDM_STATE_STD * norm->obs_dim;
  for (uint32_t j = 0; j < norm->obs_dim; j++) out[j] = ((s ? s[j] : 0) - mean[j]) * inverse[j];
}

double idm_window_residual(const struct idm_norm *norm, uint32_t i, const float *from, const float *to) {
  const size_t dims = norm->obs_dim;
  const double *r = norm->residual + i * (2 * dims + 1);
  double sum = r[2 * dims];
  for (size_t j = 0; j < dims; j++) sum += r[j] * (double)from[j] + r[dims + j] * ((double)to[j] - (double)from[j]);
  return sum;
}

static void put_change(const struct idm_norm *norm, const float *from, const float *to, float *out) {
  const float *mean = norm->scales + IDM_CHANGE_MEAN * norm->obs_dim;
  const float *inverse = norm->scales + IDM_CHANGE_STD * norm->obs_dim;
  for (uint32_t j = 0; j < norm->obs_dim; j++) out[j] = (to[j] - from[j] - mean[j]) * inverse[j];
  for (uint32_t i = 0; i < norm->obs_dim && norm->residual; i++)
    if (idm_has_residual(norm, i)) out[i] = (float)idm_window_residual(norm, i, from, to);
}

/* What the public reference sees: with k > 0 never the final state, and what is missing stands at the left. */
static void put_reference(const struct idm_norm *norm, int64_t k, const struct px_dataset *ds, struct idm_step step,
                          float *out) {
  const float *s = ds->observations + ds->obs_start[step.traj] * norm->obs_dim;
  const int64_t t = step.t, steps_n = (int64_t)(ds->step_start[step.traj + 1] - ds->step_start[step.traj]);
  const int64_t shift = k > 0 && t + 1 == steps_n, oldest = t > k ? t - k : 0;
  for (int64_t at = t - k - shift; at <= t + 1 - shift; at++, out += norm->obs_dim)
    put_state(norm, at < oldest ? NULL : s + at * norm->obs_dim, out);
}

void idm_window_gather(const struct idm_norm *norm, const struct idm_spec *spec, const struct px_dataset *ds,
                       const struct idm_step *steps, uint32_t n, float *x) {
  const uint32_t dims = norm->obs_dim, inputs = idm_window_inputs(spec, dims);
  const int64_t before = spec->k, after = (int64_t)spec->f + 1;
  for (uint32_t i = 0; i < n; i++, x += inputs) {
    if (spec->compat == IDM_REFERENCE) {
      put_reference(norm, spec->k, ds, steps[i], x);
      continue;
    }
    const uint64_t start = ds->obs_start[steps[i].traj];
    const float *s = ds->observations + start * dims;
    const int64_t t = steps[i].t, last = (int64_t)(ds->obs_start[steps[i].traj + 1] - start) - 1;
    float *out = x, *mask = x + dims * (spec->k + 2 + spec->f);
    for (int64_t place = -before; place <= after; place++, out += dims) {
      const int64_t at = t + place;
      const float *here = s + (at < 0 ? 0 : at > last ? last : at) * dims;
      if (place > 1) *mask++ = at > last ? 1 : 0;
      const bool difference = spec->inputs == IDM_DIFFERENCE;
      if (at < 0 || (place < 0 && difference && norm->kinematic))
        memset(out, 0, sizeof *out * dims);
      else if (!difference || place == 0)
        put_state(norm, here, out);
      else if (place < 0)
        put_change(norm, here, here + dims, out);
      else
        put_change(norm, at > last ? here : here - dims, here, out);
    }
  }
}

void idm_window_action_target(const struct px_spaces *spaces, const float *action, float *target) {
  if (spaces->act_count) {
    memset(target, 0, sizeof *target * spaces->act_count);
    target[(uint32_t)action[0]] = 1;
    return;
  }
  for (uint32_t j = 0; j < spaces->act_dim; j++)
    target[j] = 2 * (action[j] - spaces->act_low[j]) / (spaces->act_high[j] - spaces->act_low[j]) - 1;
}

void idm_window_actions(const struct px_dataset *ds, const struct idm_step *steps, uint32_t n, float *a) {
  const struct px_spaces *spaces = &ds->spaces;
  const uint32_t dims = spaces->act_dim, outputs = idm_window_outputs(spaces);
  for (uint32_t i = 0; i < n; i++, a += outputs)
    idm_window_action_target(spaces, ds->actions + (ds->step_start[steps[i].traj] + steps[i].t) * dims, a);
}

bool idm_window_step_has(const struct px_dataset *ds, const struct idm_spec *spec, uint32_t traj, uint64_t t) {
  return (spec->compat == IDM_REFERENCE && spec->k > 0) || px_dataset_next_known(ds, traj, t);
}

enum px_status idm_window_steps_labelled(const struct px_dataset *ds, const struct idm_spec *spec, struct idm_step **out,
                                  uint32_t *n) {
  struct idm_step *steps = NULL;
  for (int pass = 0; pass < 2; pass++) {
    size_t count = 0;
    for (uint32_t traj = 0; traj < ds->traj_n; traj++)
      for (uint64_t t = 0; t < ds->step_start[traj + 1] - ds->step_start[traj]; t++) {
        if (!ds->labelled[ds->step_start[traj] + t] || !idm_window_step_has(ds, spec, traj, t)) continue;
        if (steps) steps[count] = (struct idm_step){ traj, (uint32_t)t };
        count++;
      }
    if (count == 0 || steps) {
      *out = steps;
      *n = (uint32_t)count;
      return PX_OK;
    }
    if (count > UINT32_MAX || !(steps = px_mem_calloc(count, sizeof *steps))) return PX_E_NO_MEMORY;
  }
  return PX_OK;
}

enum px_status idm_window_steps_unlabelled(const struct px_dataset *ds, const struct idm_spec *spec, uint32_t n_max,
                                    struct idm_step **out, uint32_t *n) {
  uint64_t all = 0, seen = 0;
  for (uint64_t i = 0; i < ds->steps_n; i++) all += !ds->labelled[i];
  const uint64_t stride = 1 + (all ? (all - 1) / n_max : 0);
  struct idm_step *steps = px_mem_calloc(all / stride + 1, sizeof *steps);
  if (!steps) return PX_E_NO_MEMORY;
  *n = 0;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    for (uint64_t i = ds->step_start[traj]; i < ds->step_start[traj + 1]; i++) {
      const uint64_t t = i - ds->step_start[traj];
      if (ds->labelled[i] || seen++ % stride || !idm_window_step_has(ds, spec, traj, t)) continue;
      steps[(*n)++] = (struct idm_step){ traj, (uint32_t)t };
    }
  *out = steps;
  return PX_OK;
}
