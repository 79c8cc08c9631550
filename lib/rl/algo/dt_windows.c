/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/dt_windows.h"

#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"

static uint64_t steps_of(const struct px_dataset *ds, uint32_t traj) {
  return ds->step_start[traj + 1] - ds->step_start[traj];
}

/* Fills traj, first and the counts; transitions are in the dataset's order. */
static void choose(struct dt_windows *w) {
  const struct rl_data *data = w->data;
  const struct px_dataset *ds = data->ds;
  for (uint32_t traj = 0, i = 0; traj < ds->traj_n; traj++) {
    const bool used = i < data->n && data->row[i] < ds->obs_start[traj + 1];
    while (i < data->n && data->row[i] < ds->obs_start[traj + 1]) i++;
    if (!used) continue;
    const uint64_t steps = steps_of(ds, traj);
    w->traj[w->traj_n] = traj;
    w->first[w->traj_n + 1] = w->first[w->traj_n] + steps;
    if (steps > w->longest) w->longest = (uint32_t)steps;
    w->traj_n++;
  }
}

static void fill(struct dt_windows *w, double return_scale) {
  const struct rl_data *data = w->data;
  const struct px_dataset *ds = data->ds;
  for (uint32_t k = 0, i = 0; k < w->traj_n; k++) {
    const uint32_t traj = w->traj[k];
    const uint64_t steps = steps_of(ds, traj), first = w->first[k];
    for (; i < data->n && data->row[i] < ds->obs_start[traj + 1]; i++)
      w->transition[first + data->row[i] - ds->obs_start[traj]] = i + 1;
    double sum = 0;
    for (uint64_t t = steps; t-- > 0;) {
      sum += (double)ds->rewards[ds->step_start[traj] + t];
      w->to_go[first + t] = (float)(sum * return_scale);
    }
  }
}

enum px_status dt_windows_new(struct px_arena *arena, const struct rl_data *data,
                              double return_scale, struct dt_windows **out, struct px_err *err) {
  struct dt_windows *w = px_arena_take(arena, 1, sizeof *w);
  if (!w) return rl_arena_check(arena, "dt", err);
  w->data = data;
  w->traj = px_arena_take(arena, data->ds->traj_n, sizeof *w->traj);
  w->first = px_arena_take(arena, (size_t)data->ds->traj_n + 1, sizeof *w->first);
  if (!w->traj || !w->first) return rl_arena_check(arena, "dt", err);
  choose(w);
  const uint64_t steps = w->first[w->traj_n];
  if (steps > UINT32_MAX) return px_fail(err, PX_E_TOO_LARGE, "more steps than a training takes");
  w->transition = px_arena_take(arena, steps, sizeof *w->transition);
  w->to_go = px_arena_floats(arena, steps, 1);
  if (!w->transition || !w->to_go) return rl_arena_check(arena, "dt", err);
  fill(w, return_scale);
  *out = w;
  return PX_OK;
}

void dt_batch_init(struct px_arena *arena, struct dt_batch *b, uint32_t seqs, uint32_t context,
                   uint32_t obs_dim, uint32_t act_dim) {
  const size_t steps = (size_t)seqs * context;
  *b =
    (struct dt_batch){ .seqs = seqs, .context = context, .obs_dim = obs_dim, .act_dim = act_dim };
  b->start = px_arena_take(arena, (size_t)seqs + 1, sizeof *b->start);
  b->to_go = px_arena_floats(arena, steps, 1);
  b->state = px_arena_floats(arena, steps, obs_dim);
  b->action = px_arena_floats(arena, steps, act_dim);
  b->time = px_arena_take(arena, steps, sizeof *b->time);
  b->chosen = px_arena_floats(arena, steps, 1);
  b->weight = px_arena_floats(arena, steps, 1);
}

/* The action, its weight and, if discrete, its index at place `at` of the batch. */
static void put_action(struct dt_batch *b, const struct rl_data *data, uint32_t at,
                       uint32_t transition) {
  float *action = b->action + (size_t)at * b->act_dim;
  memset(action, 0, b->act_dim * sizeof *action);
  b->weight[at] = b->chosen[at] = 0;
  if (transition == 0) return;
  const float *known = data->action + (size_t)(transition - 1) * data->act_dim;
  b->weight[at] = data->weight[transition - 1];
  b->losses_n++;
  if (data->act_count) {
    b->chosen[at] = known[0];
    action[(size_t)known[0]] = 1;
  } else {
    memcpy(action, known, b->act_dim * sizeof *action);
  }
}

/* Steps t .. t + n of the k-th trajectory from place `at` on. */
static void put_steps(struct dt_batch *b, const struct dt_windows *w, uint32_t k, uint32_t t,
                      uint32_t n, uint32_t at) {
  const struct rl_data *data = w->data;
  const uint32_t o = b->obs_dim;
  const float *s = data->ds->observations + (data->ds->obs_start[w->traj[k]] + t) * o;
  float *state = b->state + (size_t)at * o;
  const struct px_normal normal = rl_normal(data);
  for (uint32_t i = 0; i < n; i++, s += o, state += o) {
    const uint64_t step = w->first[k] + t + i;
    px_normalise(&normal, o, s, state);
    b->to_go[at + i] = w->to_go[step];
    b->time[at + i] = t + i;
    put_action(b, data, at + i, w->transition[step]);
  }
}

void dt_batch_draw(struct dt_batch *b, const struct dt_windows *w, uint64_t seed, uint64_t step) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("batch", step), 0);
  b->losses_n = 0;
  for (uint32_t i = 0, at = 0; i < b->seqs; i++) {
    const struct px_dataset *ds = w->data->ds;
    const uint64_t row = w->data->row[rl_data_draw(w->data, &rng, i, b->seqs)];
    uint32_t low = 0, high = w->traj_n;
    while (high - low > 1) {
      const uint32_t middle = (low + high) / 2;
      if (ds->obs_start[w->traj[middle]] <= row) low = middle;
      else high = middle;
    }
    const uint32_t steps = (uint32_t)(row - ds->obs_start[w->traj[low]]) + 1,
                   n = steps < b->context ? steps : b->context;
    put_steps(b, w, low, steps - n, n, at);
    b->start[i + 1] = at += n;
  }
}
