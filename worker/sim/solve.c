/* SPDX-License-Identifier: Apache-2.0 */
/* The solver of one step: see solve.h. */
#include "worker/sim/solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

enum { ITERATIONS = 20, REFUSALS_MAX = 4 };
/* Residual at which nothing is left to gain: float32 leaves about as much. */
static const double DONE = 1e-9;
static const double NUDGE = 1e-3, TINY = 1e-7;
static const double RESIDUAL_FLOOR = 1e-8;

struct sim_work {
  struct sim_point points[3], *best, *now, *try;
  double *jacobian, *best_jacobian;       /* [O, A] dr/du */
  bool known;                             /* whether jacobian is that of some point near */
  double *normal, *factor, *slope, *step; /* [A, A] J'J, [A, A], [A] J'r, [A] */
  double *before;                         /* [O] */
  uint8_t *fixed;                         /* [A] */
};

bool sim_solve_work_new(struct sim *sim) {
  const size_t dims = sim->layout.act_dim, obs = sim->layout.obs_dim;
  struct sim_work *w = sim->work = px_mem_calloc(1, sizeof *w);
  if (!w) return false;
  w->best = &w->points[0];
  w->now = &w->points[1];
  w->try = &w->points[2];
  w->jacobian = px_mem_calloc(obs * dims, sizeof(double));
  w->best_jacobian = px_mem_calloc(obs * dims, sizeof(double));
  w->normal = px_mem_calloc(dims * dims, sizeof(double));
  w->factor = px_mem_calloc(dims * dims, sizeof(double));
  w->slope = px_mem_calloc(dims, sizeof(double));
  w->step = px_mem_calloc(dims, sizeof(double));
  w->before = px_mem_calloc(obs, sizeof(double));
  w->fixed = px_mem_calloc(dims, 1);
  return sim_model_point_new(sim, w->best) && sim_model_point_new(sim, w->now) &&
         sim_model_point_new(sim, w->try) && w->jacobian && w->best_jacobian && w->normal &&
         w->factor && w->slope && w->step && w->before && w->fixed;
}

void sim_solve_work_free(struct sim *sim) {
  struct sim_work *w = sim->work;
  if (!w) return;
  for (int i = 0; i < 3; i++) sim_model_point_free(&w->points[i]);
  free(w->jacobian);
  free(w->best_jacobian);
  free(w->normal);
  free(w->factor);
  free(w->slope);
  free(w->step);
  free(w->before);
  free(w->fixed);
  free(w);
}

void sim_solve_forget(struct sim *sim) { sim->work->best->cost = INFINITY; }

/* Cholesky factor L of m [n, n] in place, lower half; false unless m is positive definite. */
static bool factorise(double *m, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j <= i; j++) {
      double s = m[i * n + j];
      for (uint32_t k = 0; k < j; k++) s -= m[i * n + k] * m[j * n + k];
      if (i == j && !(s > 0)) return false;
      m[i * n + j] = i == j ? sqrt(s) : s / m[j * n + j];
    }
  return true;
}

/* b := (L L')^-1 b */
static void backsolve(const double *l, uint32_t n, double *b) {
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < i; k++) b[i] -= l[i * n + k] * b[k];
    b[i] /= l[i * n + i];
  }
  for (uint32_t i = n; i-- > 0;) {
    for (uint32_t k = i + 1; k < n; k++) b[i] -= l[k * n + i] * b[k];
    b[i] /= l[i * n + i];
  }
}

/* jacobian = dr/du at now, by steps toward the middle of the box. */
static void differentiate(struct sim *sim, const float *target) {
  struct sim_work *w = sim->work;
  const uint32_t dims = sim->layout.act_dim, obs = sim->layout.obs_dim;
  for (uint32_t j = 0; j < dims; j++) {
    memcpy(w->try->u, w->now->u, sizeof(double) * dims);
    const double nudge = w->now->u[j] > (sim->low[j] + sim->high[j]) / 2 ? -NUDGE : NUDGE;
    w->try->u[j] += nudge;
    sim_model_step(sim, target, w->try);
    const bool stable = isfinite(w->try->cost);
    for (uint32_t i = 0; i < obs; i++)
      w->jacobian[i * dims + j] = stable ? (w->try->r[i] - w->now->r[i]) / nudge : 0;
  }
  w->known = true;
}

/* The least change of the Jacobian that explains the step from now to try. */
static void correct(struct sim *sim) {
  struct sim_work *w = sim->work;
  const uint32_t dims = sim->layout.act_dim, obs = sim->layout.obs_dim;
  double length = 0;
  for (uint32_t j = 0; j < dims; j++) length += w->step[j] * w->step[j];
  for (uint32_t i = 0; i < obs; i++) {
    double *row = w->jacobian + (size_t)i * dims, seen = w->try->r[i] - w->now->r[i];
    for (uint32_t j = 0; j < dims; j++) seen -= row[j] * w->step[j];
    for (uint32_t j = 0; j < dims; j++) row[j] += seen / length * w->step[j];
  }
}

static void normal_equations(struct sim *sim, const double *jacobian, const double *r) {
  struct sim_work *w = sim->work;
  const uint32_t dims = sim->layout.act_dim, obs = sim->layout.obs_dim;
  memset(w->normal, 0, sizeof(double) * dims * dims);
  memset(w->slope, 0, sizeof(double) * dims);
  for (uint32_t i = 0; i < obs; i++) {
    const double *row = jacobian + (size_t)i * dims;
    for (uint32_t j = 0; j < dims; j++) {
      w->slope[j] += row[j] * r[i];
      for (uint32_t k = 0; k <= j; k++) w->normal[j * dims + k] += row[j] * row[k];
    }
  }
  for (uint32_t j = 0; j < dims; j++)
    for (uint32_t k = j + 1; k < dims; k++) w->normal[j * dims + k] = w->normal[k * dims + j];
}

/* step of the free variables, with the fixed ones where they are. */
static bool solve_free(struct sim *sim, double lambda) {
  struct sim_work *w = sim->work;
  const uint32_t dims = sim->layout.act_dim;
  double b[SIM_ACT_MAX];
  uint32_t at[SIM_ACT_MAX], n = 0;
  for (uint32_t j = 0; j < dims; j++)
    if (!w->fixed[j]) at[n++] = j;
  for (uint32_t i = 0; i < n; i++) {
    const double *row = w->normal + (size_t)at[i] * dims;
    b[i] = -w->slope[at[i]];
    for (uint32_t j = 0; j < dims; j++)
      if (w->fixed[j]) b[i] -= row[j] * w->step[j];
    for (uint32_t k = 0; k < n; k++) w->factor[i * n + k] = row[at[k]];
    w->factor[i * n + i] += lambda * (row[at[i]] + 1e-9);
  }
  if (!factorise(w->factor, n)) return false;
  backsolve(w->factor, n, b);
  for (uint32_t i = 0; i < n; i++) w->step[at[i]] = b[i];
  return true;
}

/* The step from now that J foretells to be best, inside the box. Returns its largest element. */
static double choose_step(struct sim *sim, double lambda) {
  struct sim_work *w = sim->work;
  const uint32_t dims = sim->layout.act_dim;
  const double *u = w->now->u;
  normal_equations(sim, w->jacobian, w->now->r);
  for (uint32_t j = 0; j < dims; j++) {
    w->step[j] = 0;
    w->fixed[j] =
      (u[j] <= sim->low[j] && w->slope[j] > 0) || (u[j] >= sim->high[j] && w->slope[j] < 0);
  }
  for (bool again = true; again;) {
    again = false;
    if (!solve_free(sim, lambda)) return 0;
    for (uint32_t j = 0; j < dims; j++) {
      const double to = u[j] + w->step[j];
      if (w->fixed[j] || (to >= sim->low[j] && to <= sim->high[j])) continue;
      w->step[j] = (to < sim->low[j] ? sim->low[j] : sim->high[j]) - u[j];
      w->fixed[j] = again = true;
    }
  }
  double largest = 0;
  for (uint32_t j = 0; j < dims; j++) {
    w->try->u[j] = fmin(fmax(u[j] + w->step[j], sim->low[j]), sim->high[j]);
    w->step[j] = w->try->u[j] - u[j];
    largest = fmax(largest, fabs(w->step[j]));
  }
  return largest;
}

static void swap(struct sim_point **a, struct sim_point **b) {
  struct sim_point *c = *a;
  *a = *b;
  *b = c;
}

/* From now, which has been simulated, to a minimum near. */
static void descend(struct sim *sim, const float *target) {
  struct sim_work *w = sim->work;
  double lambda = 1e-6;
  bool fresh = false;
  int refused = 0;
  for (int i = 0; i < ITERATIONS && w->now->cost > DONE && isfinite(w->now->cost); i++) {
    if (!w->known) {
      differentiate(sim, target);
      fresh = true;
    }
    if (choose_step(sim, lambda) < TINY) {
      if (fresh) return;
      w->known = false;
      continue;
    }
    sim_model_step(sim, target, w->try);
    if (w->try->cost < w->now->cost) {
      const bool slow = w->try->cost > 0.6 * w->now->cost,
                 end = w->try->cost > 0.98 * w->now->cost && fresh;
      correct(sim);
      swap(&w->now, &w->try);
      lambda = fmax(lambda / 10, 1e-9);
      if (end) return;
      if (slow && !fresh) w->known = false;
      fresh = false;
    } else if (!fresh) {
      w->known = false;
    } else {
      lambda = fmax(lambda * 30, 0.1);
      if (++refused == REFUSALS_MAX) return;
    }
  }
}

static const struct sim_point *keep_best(struct sim *sim) {
  struct sim_work *w = sim->work;
  if (isfinite(w->best->cost) && w->best->cost <= w->now->cost) return w->best;
  swap(&w->best, &w->now);
  memcpy(w->best_jacobian, w->jacobian, sizeof(double) * sim->layout.obs_dim * sim->layout.act_dim);
  return w->best;
}

static void simulate(struct sim *sim, const float *target, const double *u, struct sim_point *p) {
  for (uint32_t j = 0; j < sim->layout.act_dim; j++)
    p->u[j] = fmin(fmax(u[j], sim->low[j]), sim->high[j]);
  sim_model_step(sim, target, p);
}

const struct sim_point *sim_solve(struct sim *sim, const float *target, const double *starts,
                                  uint32_t n) {
  struct sim_work *w = sim->work;
  /* What the last step ended with is the best guess. */
  memcpy(w->jacobian, w->best_jacobian, sizeof(double) * sim->layout.obs_dim * sim->layout.act_dim);
  w->known = isfinite(w->best->cost);
  w->now->cost = INFINITY;
  for (uint32_t k = 0; k < n; k++) {
    simulate(sim, target, starts + (size_t)k * sim->layout.act_dim, w->try);
    if (k == 0 || w->try->cost < w->now->cost) swap(&w->now, &w->try);
  }
  descend(sim, target);
  w->best->cost = INFINITY;
  return keep_best(sim);
}

const struct sim_point *sim_solve_again(struct sim *sim, const float *target, const double *start) {
  sim->work->known = false;
  simulate(sim, target, start, sim->work->now);
  descend(sim, target);
  return keep_best(sim);
}

const struct sim_point *sim_solve_judge(struct sim *sim, const float *target, const double *start) {
  struct sim_work *w = sim->work;
  simulate(sim, target, start, w->now);
  if (isfinite(w->now->cost)) differentiate(sim, target);
  w->best->cost = INFINITY;
  return keep_best(sim);
}

void sim_solve_std(struct sim *sim, double least, double *std) {
  struct sim_work *w = sim->work;
  const uint32_t dims = sim->layout.act_dim, obs = sim->layout.obs_dim;
  const double most = 2 / sqrt(12), noise = sqrt(fmax(w->best->cost, fmax(least, RESIDUAL_FLOOR)) /
                                                 fmax((double)obs - dims, 1));
  normal_equations(sim, w->best_jacobian, w->best->r);
  for (uint32_t j = 0; j < dims; j++) std[j] = most;
  if (!isfinite(w->best->cost)) return;
  for (uint32_t j = 0; j < dims; j++) w->normal[j * dims + j] += 1e-12;
  if (!factorise(w->normal, dims)) return;
  for (uint32_t j = 0; j < dims; j++) {
    memset(w->slope, 0, sizeof(double) * dims);
    w->slope[j] = 1;
    backsolve(w->normal, dims, w->slope);
    std[j] = fmin(most, noise * sqrt(w->slope[j]));
  }
}
