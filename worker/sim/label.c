/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of whole trajectories: see sim.h. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "worker/sim/recall.h"
#include "worker/sim/solve.h"

enum { SPREAD_DIMS = 64 }; /* taken at a time */
static const double report_every_s = 0.5;
/* A step is searched further while its residual is above both; a residual of 1e-6 is an action
 * error of about 1e-3. */
static const double ENOUGH = 1e-6, UNUSUAL = 10, LEAST = 1e-9;

struct sim_options sim_options_default(void) {
  return (struct sim_options){ .restarts = 8, .verified_below = 1e-4, .solve = true };
}

void sim_labels_free(struct sim_labels *labels) {
  if (!labels) return;
  free(labels->actions);
  free(labels->std);
  free(labels->epistemic);
  free(labels->score);
  free(labels->known);
  free(labels->residual);
  free(labels->verified);
  free(labels);
}

struct sim_labels *sim_labels_new(const struct px_dataset *ds, uint32_t from, uint32_t to) {
  struct sim_labels *l = px_mem_calloc(1, sizeof *l);
  if (!l) return NULL;
  const size_t n = ds->step_start[to] - ds->step_start[from], dims = ds->spaces.act_dim;
  l->traj_from = from;
  l->traj_to = to;
  l->act_dim = (uint32_t)dims;
  l->steps_n = n;
  l->actions = px_mem_calloc(n, sizeof(float) * dims);
  l->std = px_mem_calloc(n, sizeof(float) * dims);
  l->epistemic = px_mem_calloc(n, sizeof(float) * dims);
  l->score = px_mem_calloc(n, sizeof(float));
  l->known = px_mem_calloc(n, 1);
  l->residual = px_mem_calloc(n, sizeof(float));
  l->verified = px_mem_calloc(n, 1);
  if (l->actions && l->std && l->epistemic && l->score && l->known && l->residual && l->verified)
    return l;
  sim_labels_free(l);
  return NULL;
}

/* Dims [from, from + n) of sim_spread, by rows as they lie in memory. */
static void spread_of(const struct px_dataset *ds, uint32_t from, uint32_t n, double *std) {
  const uint32_t obs = ds->spaces.obs_dim;
  double sum[SPREAD_DIMS] = { 0 }, squares[SPREAD_DIMS] = { 0 }, steps = 0;
  for (uint32_t i = 0; i < ds->traj_n; i++)
    for (uint64_t row = ds->obs_start[i]; row + 1 < ds->obs_start[i + 1]; row++, steps++) {
      const float *s = ds->observations + row * obs + from, *next = s + obs;
      for (uint32_t d = 0; d < n; d++) {
        const double x = (double)next[d] - (double)s[d];
        sum[d] += x;
        squares[d] += x * x;
      }
    }
  for (uint32_t d = 0; d < n; d++) {
    const double mean = steps > 0 ? sum[d] / steps : 0;
    const double spread = steps > 0 ? sqrt(fmax(squares[d] / steps - mean * mean, 0)) : 0;
    std[d] = spread > 1e-9 ? spread : 1;
  }
}

void sim_spread(const struct px_dataset *ds, double *std) {
  const uint32_t obs = ds->spaces.obs_dim;
  for (uint32_t d = 0; d < obs; d += SPREAD_DIMS)
    spread_of(ds, d, obs - d < SPREAD_DIMS ? obs - d : SPREAD_DIMS, std + d);
}

struct labeller {
  struct sim *sim;
  const struct sim_options *options;
  const struct px_dataset *ds;
  struct sim_labels *labels;
  struct sim_starts starts;
  const struct px_progress *progress;
  struct sim_recall *recall;
  double reported_s;
  /* The step under way. */
  uint32_t traj;
  uint64_t t;
  double last[SIM_ACT_MAX]; /* the u before */
  double usual;             /* residual, about the median of the trajectory's steps so far */
};

/* The row's action of the k-th start, in units of u. */
static void read_start(const struct labeller *l, uint32_t k, uint64_t row, double *u) {
  const struct sim *sim = l->sim;
  const float *action = l->starts.actions[k] + row * sim->layout.act_dim;
  for (uint32_t j = 0; j < sim->layout.act_dim; j++)
    u[j] = ((double)action[j] - sim->middle[j]) / sim->half[j];
}

/* What a step begins at; how many. */
static uint32_t gather_starts(const struct labeller *l, uint64_t row, double *starts) {
  const uint32_t dims = l->sim->layout.act_dim;
  uint32_t n = 0;
  if (l->starts.n) read_start(l, 0, row, starts + n++ * dims);
  if (!l->options->solve) return n;
  memcpy(starts + n * dims, l->last, sizeof(double) * dims);
  return n + 1;
}

static void write_label(struct labeller *l, uint64_t row, const struct sim_point *p,
                        const double *std) {
  const struct sim *sim = l->sim;
  const struct px_spaces *spaces = &l->ds->spaces;
  struct sim_labels *out = l->labels;
  const uint32_t dims = sim->layout.act_dim;
  bool sure = true;
  for (uint32_t j = 0; j < dims; j++) {
    const float action = (float)(sim->middle[j] + sim->half[j] * p->u[j]);
    out->actions[row * dims + j] = fminf(fmaxf(action, spaces->act_low[j]), spaces->act_high[j]);
    out->std[row * dims + j] = (float)(sim->half[j] * std[j]);
    sure = sure && std[j] < 0.2;
  }
  const bool stable = isfinite(p->cost);
  out->residual[row] = stable ? (float)fmin(p->cost, (double)FLT_MAX) : FLT_MAX;
  out->verified[row] =
    sure && fmax(p->cost, l->options->replay_median) <= l->options->verified_below;
  out->known[row] = 1;
  out->known_n++;
  out->verified_n += out->verified[row];
  out->unstable_n += !stable;
}

/* Where a step's residual is far above the usual one, it may be that of another valley: begins
 * elsewhere, at the second start, at the actions of similar steps and then anywhere. */
static const struct sim_point *search(struct labeller *l, const float *s, uint64_t row,
                                      const struct sim_point *p) {
  struct sim *sim = l->sim;
  const float *target = s + l->ds->spaces.obs_dim;
  const double enough = fmax(ENOUGH, UNUSUAL * l->usual);
  const double *similar[SIM_RECALL_MAX];
  double u[SIM_ACT_MAX];
  for (uint32_t k = 1; k < l->starts.n && !(p->cost <= enough); k++) {
    read_start(l, k, row, u);
    p = sim_solve_again(sim, target, u);
  }
  if (p->cost <= enough || !l->options->restarts) return p;
  const uint32_t n = sim_recall_nearest(l->recall, sim->weight, s, target, similar);
  for (uint32_t k = 0; k < n && !(p->cost <= enough); k++)
    p = sim_solve_again(sim, target, similar[k]);
  const uint64_t stream = px_rng_stream("simulator", l->options->traj_base + l->traj);
  struct px_rng rng = px_rng_at(l->options->seed, stream, l->t << 16);
  for (uint32_t k = 0; k < l->options->restarts && !(p->cost <= enough); k++) {
    for (uint32_t j = 0; j < sim->layout.act_dim; j++)
      u[j] = sim->low[j] + (sim->high[j] - sim->low[j]) * px_rng_double(&rng);
    p = sim_solve_again(sim, target, u);
  }
  return p;
}

static const struct sim_point *solve_step(struct labeller *l, const float *s, uint64_t row) {
  struct sim *sim = l->sim;
  const float *target = s + l->ds->spaces.obs_dim;
  double starts[2 * SIM_ACT_MAX];
  const uint32_t n = gather_starts(l, row, starts);
  if (!l->options->solve) return sim_solve_judge(sim, target, starts);
  const struct sim_point *p = search(l, s, row, sim_solve(sim, target, starts, n));
  if (p->cost <= fmax(l->options->verified_below, UNUSUAL * l->usual))
    sim_recall_add(l->recall, sim->weight, s, target, p->u);
  l->usual = fmax(l->usual * (p->cost > l->usual ? 1.2 : 1 / 1.2), LEAST);
  return p;
}

/* One step: the action that drives it belongs to the row `delay` steps before. */
static void label_step(void *ctx) {
  struct labeller *l = ctx;
  struct sim *sim = l->sim;
  const uint32_t obs = l->ds->spaces.obs_dim, dims = sim->layout.act_dim, delay = sim->layout.delay;
  const float *s = l->ds->observations + (l->ds->obs_start[l->traj] + l->t) * obs;
  const uint64_t first = l->ds->step_start[l->labels->traj_from];
  const uint64_t row = l->ds->step_start[l->traj] - first + (l->t >= delay ? l->t - delay : 0);
  double std[SIM_ACT_MAX];
  const struct sim_point *p = solve_step(l, s, row);
  if (l->t >= delay) {
    sim_solve_std(sim, l->options->replay_median, std);
    write_label(l, row, p, std);
  }
  memcpy(l->last, p->u, sizeof(double) * dims);
  if (isfinite(p->cost)) sim_model_state_copy(sim->model, &sim->x, &p->next);
  else sim_model_begin(sim, s + obs, NULL);
}

static enum px_status label_trajectory(struct labeller *l, struct px_err *err) {
  const struct px_dataset *ds = l->ds;
  const uint32_t obs = ds->spaces.obs_dim;
  const uint64_t steps = ds->step_start[l->traj + 1] - ds->step_start[l->traj];
  const float *rows = ds->observations + ds->obs_start[l->traj] * obs;
  for (uint32_t j = 0; j < SIM_ACT_MAX; j++) l->last[j] = 0;
  l->usual = ENOUGH / UNUSUAL;
  sim_solve_forget(l->sim);
  sim_recall_forget(l->recall);
  for (l->t = 0; l->t < steps && px_dataset_next_known(ds, l->traj, l->t); l->t++) {
    if (l->t == 0) sim_model_begin(l->sim, rows, rows + obs);
    else sim_model_observe(l->sim, rows + l->t * obs);
    enum px_status status = px_physics_guard(label_step, l, err);
    if (status) {
      struct px_err why = *err;
      return px_fail_at(err, status, "", "trajectory %u, step %llu: %.400s",
                        l->options->traj_base + l->traj, (unsigned long long)l->t, why.message);
    }
    const double now_s = px_clock_s();
    if (now_s - l->reported_s < report_every_s) continue;
    l->reported_s = now_s;
    const uint64_t done = ds->step_start[l->traj] + l->t - ds->step_start[l->labels->traj_from];
    status =
      px_progress_report(l->progress, "label", (int64_t)done, (int64_t)l->labels->steps_n, NULL, 0);
    if (status) return status;
  }
  return PX_OK;
}

enum px_status sim_label(struct sim *sim, const struct sim_options *options,
                         const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                         const struct sim_starts *starts, const struct px_progress *progress,
                         struct sim_labels **out, struct px_err *err) {
  struct px_err own;
  if (!err) err = &own;
  enum px_status status = sim_model_prepare(sim, &ds->spaces, options->std, err);
  if (status) return status;
  if (traj_from > traj_to || traj_to > ds->traj_n)
    return px_fail(err, PX_E_BAD_FIELD, "trajectories %u to %u of %u", traj_from, traj_to,
                   ds->traj_n);
  if (options->restarts > SIM_RESTARTS_MAX || !(options->verified_below > 0) ||
      !(options->replay_median >= 0) || (!options->solve && !(starts && starts->n)))
    return px_fail(err, PX_E_BAD_FIELD,
                   "restarts at most %d, verified_below above 0, a start where nothing is solved",
                   SIM_RESTARTS_MAX);
  struct labeller l = { .sim = sim,
                        .options = options,
                        .ds = ds,
                        .starts = starts ? *starts : (struct sim_starts){ .n = 0 },
                        .progress = progress,
                        .labels = sim_labels_new(ds, traj_from, traj_to),
                        .recall = sim_recall_new(ds->spaces.obs_dim, ds->spaces.act_dim) };
  if (!l.labels || !l.recall)
    status =
      px_fail(err, PX_E_NO_MEMORY, "no memory to label %u trajectories", traj_to - traj_from);
  sim->simulations_n = 0;
  for (l.traj = traj_from; l.traj < traj_to && !status; l.traj++)
    status = label_trajectory(&l, err);
  sim_recall_free(l.recall);
  if (status) {
    sim_labels_free(l.labels);
    return status;
  }
  px_label_scores(&ds->spaces, l.labels->std, l.labels->epistemic, l.labels->known,
                  l.labels->steps_n, l.labels->score);
  l.labels->simulations_n = sim->simulations_n;
  *out = l.labels;
  return PX_OK;
}
