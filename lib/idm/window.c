/* SPDX-License-Identifier: Apache-2.0 */
/* Windows: see window.h. */
#include "lib/idm/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/norm.h"

uint32_t idm_window_inputs(const struct idm_spec *spec, uint32_t obs_dim) {
  return obs_dim * (spec->k + 2 + spec->f) + spec->f;
}

/* s NULL: the state 0. */
static void put_state(const struct idm_norm *norm, const float *s, float *out) {
  const float *mean = norm->scales + IDM_STATE_MEAN * norm->obs_dim,
              *inverse = norm->scales + IDM_STATE_STD * norm->obs_dim;
  for (uint32_t j = 0; j < norm->obs_dim; j++) out[j] = ((s ? s[j] : 0) - mean[j]) * inverse[j];
}

static void put_change(const struct idm_norm *norm, const float *from, const float *to,
                       float *out) {
  const float *mean = norm->scales + IDM_CHANGE_MEAN * norm->obs_dim;
  const float *inverse = norm->scales + IDM_CHANGE_STD * norm->obs_dim;
  for (uint32_t j = 0; j < norm->obs_dim; j++) out[j] = (to[j] - from[j] - mean[j]) * inverse[j];
  for (uint32_t i = 0; i < norm->obs_dim && norm->residual; i++)
    if (idm_norm_has_residual(norm, i)) out[i] = (float)idm_norm_residual(norm, i, from, to);
}

/* What the public reference sees: with k > 0 never the final state, and what is missing stands at
 * the left. */
static void put_reference(const struct idm_norm *norm, int64_t k, const struct px_dataset *ds,
                          struct idm_step step, float *out) {
  const float *s = ds->observations + ds->obs_start[step.traj] * norm->obs_dim;
  const int64_t t = step.t,
                steps_n = (int64_t)(ds->step_start[step.traj + 1] - ds->step_start[step.traj]);
  const int64_t shift = k > 0 && t + 1 == steps_n, oldest = t > k ? t - k : 0;
  for (int64_t at = t - k - shift; at <= t + 1 - shift; at++, out += norm->obs_dim)
    put_state(norm, at < oldest ? NULL : s + at * norm->obs_dim, out);
}

void idm_window_gather(const struct idm_norm *norm, const struct idm_spec *spec,
                       const struct px_dataset *ds, const struct idm_step *steps, uint32_t n,
                       float *x) {
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
      else if (!difference || place == 0) put_state(norm, here, out);
      else if (place < 0) put_change(norm, here, here + dims, out);
      else put_change(norm, at > last ? here : here - dims, here, out);
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
    target[j] =
      2 * (action[j] - spaces->act_low[j]) / (spaces->act_high[j] - spaces->act_low[j]) - 1;
}

void idm_window_actions(const struct px_dataset *ds, const struct idm_step *steps, uint32_t n,
                        float *a) {
  const struct px_spaces *spaces = &ds->spaces;
  const uint32_t dims = spaces->act_dim, outputs = idm_window_outputs(spaces);
  for (uint32_t i = 0; i < n; i++, a += outputs)
    idm_window_action_target(spaces,
                             ds->actions + (ds->step_start[steps[i].traj] + steps[i].t) * dims, a);
}

bool idm_window_step_has(const struct px_dataset *ds, const struct idm_spec *spec, uint32_t traj,
                         uint64_t t) {
  return (spec->compat == IDM_REFERENCE && spec->k > 0) || px_dataset_next_known(ds, traj, t);
}

enum px_status idm_window_steps_labelled(const struct px_dataset *ds, const struct idm_spec *spec,
                                         struct idm_step **out, uint32_t *n) {
  struct idm_step *steps = NULL;
  for (int pass = 0; pass < 2; pass++) {
    size_t count = 0;
    for (uint32_t traj = 0; traj < ds->traj_n; traj++)
      for (uint64_t t = 0; t < ds->step_start[traj + 1] - ds->step_start[traj]; t++) {
        if (!ds->labelled[ds->step_start[traj] + t] || !idm_window_step_has(ds, spec, traj, t))
          continue;
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

enum px_status idm_window_steps_unlabelled(const struct px_dataset *ds, const struct idm_spec *spec,
                                           uint32_t n_max, struct idm_step **out, uint32_t *n) {
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
