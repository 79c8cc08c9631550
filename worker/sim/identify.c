/* SPDX-License-Identifier: Apache-2.0 */
/* See identify.h. */
#include "worker/sim/identify.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "worker/sim/replay.h"

const char *const sim_identify_factor_name[SIM_FACTORS_N] = { "mass",     "gain",     "damping",
                                                              "armature", "friction", "time_step" };

enum { ITERATIONS = 20, REFUSALS_MAX = 5, SCAN_STEPS = 1000, N = SIM_FACTORS_N };
/* of the objective, for each step: not worth another iteration */
static const double NO_GAIN = 1e-2;
static const double NUDGE = 1e-3, PRIOR_STD = 0.5, STEP_MAX = 0.5, RESIDUAL_LEAST = 1e-9;
static const double UNSTABLE = 1e6; /* what an unstable step's residual counts as, in medians */

/* ---- adjusting */

struct sim_adjustment sim_identify_none(const struct sim *sim) {
  struct sim_adjustment a = { .delay = sim->opened_delay };
  for (int k = 0; k < N; k++) a.factor[k] = 1;
  return a;
}

static void scale(mjtNum *to, const mjtNum *from, int n, double factor) {
  for (int i = 0; i < n; i++) to[i] = from[i] * factor;
}

static void scale_gains(mjModel *m, const mjModel *own, double factor) {
  for (int i = 0; i < m->nu; i++) {
    if (m->actuator_gaintype[i] == mjGAIN_FIXED)
      scale(m->actuator_gainprm + i * mjNGAIN, own->actuator_gainprm + i * mjNGAIN, 3, factor);
    if (m->actuator_biastype[i] == mjBIAS_AFFINE)
      scale(m->actuator_biasprm + i * mjNBIAS, own->actuator_biasprm + i * mjNBIAS, 3, factor);
  }
}

struct adjusting {
  struct sim *sim;
  const struct sim_adjustment *to;
};

static void adjust(void *ctx) {
  const struct adjusting *a = ctx;
  struct sim *sim = a->sim;
  const double *factor = a->to->factor;
  mjModel *m = sim->model;
  if (!sim->own) sim->own = mj_copyModel(NULL, m);
  const mjModel *own = sim->own;
  if (!own) return;
  scale(m->body_mass, own->body_mass, m->nbody, factor[SIM_MASS]);
  scale(m->body_inertia, own->body_inertia, 3 * m->nbody, factor[SIM_MASS]);
  scale_gains(m, own, factor[SIM_GAIN]);
  scale(m->dof_damping, own->dof_damping, m->nv, factor[SIM_DAMPING]);
  scale(m->dof_armature, own->dof_armature, m->nv, factor[SIM_ARMATURE]);
  scale(m->geom_friction, own->geom_friction, 3 * m->ngeom, factor[SIM_FRICTION]);
  scale(m->pair_friction, own->pair_friction, 5 * m->npair, factor[SIM_FRICTION]);
  m->opt.timestep = own->opt.timestep * factor[SIM_TIME_STEP];
  sim->layout.delay = a->to->delay;
  mj_setConst(m, sim->data); /* what MuJoCo derives from masses */
  mj_resetData(m, sim->data);
}

enum px_status sim_identify_adjust(struct sim *sim, const struct sim_adjustment *to,
                                   struct px_err *err) {
  for (int k = 0; k < N; k++)
    if (!(to->factor[k] >= SIM_FACTOR_LEAST && to->factor[k] <= SIM_FACTOR_MOST))
      return px_fail_at(err, PX_E_BAD_FIELD, sim_identify_factor_name[k],
                        "a factor of %g: %g to %g are possible", to->factor[k], SIM_FACTOR_LEAST,
                        SIM_FACTOR_MOST);
  if (to->delay > SIM_DELAY_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "delay", "a delay of %u steps: 0 to %d are possible",
                      to->delay, SIM_DELAY_MAX);
  struct adjusting a = { sim, to };
  const enum px_status status = px_physics_guard(adjust, &a, err);
  if (!status && !sim->own) return px_fail(err, PX_E_NO_MEMORY, "no memory to adjust a model");
  return status;
}

/* ---- fitting */

/* A replay's outcome, for every step. */
struct outcome {
  double *cost; /* [steps_max] NaN: the state was not known */
  float *r;     /* [steps_max, O] */
  uint64_t n;
};

struct fit {
  struct sim *sim;
  const struct px_dataset *ds;
  const struct px_progress *progress;
  int64_t evaluated, evaluations_max; /* the most that it can take: usually it is done before */
  uint64_t steps_max;
  uint32_t obs_dim;
  struct outcome base, nudged[N];
  double *sorted; /* [steps_max] */
  /* The factors' logarithms and what they came to. */
  double at[N], scale, objective, hessian[N][N], slope[N];
};

struct taking {
  struct outcome *out;
  uint32_t obs_dim;
};

static void record_residual(void *ctx, uint64_t i, const struct sim_point *point) {
  const struct taking *t = ctx;
  t->out->n = i + 1;
  t->out->cost[i] = point ? point->cost : NAN;
  for (uint32_t d = 0; point && d < t->obs_dim; d++)
    t->out->r[i * t->obs_dim + d] = (float)point->r[d];
}

static enum px_status evaluate(struct fit *f, const double *at, struct outcome *out,
                               struct px_err *err) {
  struct sim_adjustment to = { .delay = f->sim->layout.delay };
  struct taking t = { out, f->obs_dim };
  const struct sim_replay replay = {
    .sim = f->sim, .ds = f->ds, .steps_max = f->steps_max, .visit = record_residual, .ctx = &t
  };
  for (int k = 0; k < N; k++) to.factor[k] = exp(at[k]);
  enum px_status status = sim_identify_adjust(f->sim, &to, err);
  if (!status)
    status =
      px_progress_report(f->progress, "identify", ++f->evaluated, f->evaluations_max, NULL, 0);
  out->n = 0;
  if (!status) status = sim_replay(&replay, err);
  return status;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Of the residuals that are known; INFINITY if none is. */
static double median(struct fit *f, const struct outcome *o) {
  uint64_t n = 0;
  for (uint64_t i = 0; i < o->n; i++)
    if (!isnan(o->cost[i])) f->sorted[n++] = o->cost[i];
  if (!n) return INFINITY;
  qsort(f->sorted, n, sizeof *f->sorted, ascending);
  return f->sorted[n / 2];
}

static double objective(const struct fit *f, const struct outcome *o, const double *at) {
  double sum = 0;
  for (uint64_t i = 0; i < o->n; i++)
    if (!isnan(o->cost[i])) sum += log1p(fmin(o->cost[i] / f->scale, UNSTABLE));
  for (int k = 0; k < N; k++) sum += at[k] * at[k] / (PRIOR_STD * PRIOR_STD);
  return sum;
}

/* Adds one step's share; j [N, O]: the change of its residuals by each factor's logarithm. */
static void add_step(struct fit *f, uint64_t i) {
  const double weight = 1 / (f->scale + f->base.cost[i]);
  const float *r = f->base.r + i * f->obs_dim;
  if (!isfinite(weight) || weight <= 0) return;
  for (int k = 0; k < N; k++)
    if (!isfinite(f->nudged[k].cost[i])) return;
  for (uint32_t d = 0; d < f->obs_dim; d++) {
    double j[N];
    for (int k = 0; k < N; k++)
      j[k] = ((double)f->nudged[k].r[i * f->obs_dim + d] - (double)r[d]) / NUDGE;
    for (int k = 0; k < N; k++) {
      f->slope[k] += weight * j[k] * (double)r[d];
      for (int q = 0; q < N; q++) f->hessian[k][q] += weight * j[k] * j[q];
    }
  }
}

static enum px_status linearise(struct fit *f, struct px_err *err) {
  enum px_status status = PX_OK;
  for (int k = 0; k < N && !status; k++) {
    double at[N];
    memcpy(at, f->at, sizeof at);
    at[k] += NUDGE;
    status = evaluate(f, at, &f->nudged[k], err);
  }
  memset(f->hessian, 0, sizeof f->hessian);
  memset(f->slope, 0, sizeof f->slope);
  for (uint64_t i = 0; i < f->base.n && !status; i++) add_step(f, i);
  for (int k = 0; k < N; k++) {
    f->slope[k] += f->at[k] / (PRIOR_STD * PRIOR_STD);
    f->hessian[k][k] += 1 / (PRIOR_STD * PRIOR_STD);
  }
  return status;
}

/* x := (hessian + lambda diag)^-1 x, by Gauss-Jordan: it is positive definite. */
static void solve(const struct fit *f, double lambda, double *x) {
  double m[N][N];
  memcpy(m, f->hessian, sizeof m);
  for (int k = 0; k < N; k++) m[k][k] *= 1 + lambda;
  for (int k = 0; k < N; k++) {
    const double pivot = m[k][k];
    for (int q = 0; q < N; q++) m[k][q] /= pivot;
    x[k] /= pivot;
    for (int i = 0; i < N; i++) {
      if (i == k) continue;
      const double share = m[i][k];
      for (int q = 0; q < N; q++) m[i][q] -= share * m[k][q];
      x[i] -= share * x[k];
    }
  }
}

/* One step of the factors that fits better, if there is one. *gained: by how much, or 0. */
static enum px_status improve(struct fit *f, double *gained, struct px_err *err) {
  const double least = log(SIM_FACTOR_LEAST) + NUDGE, most = log(SIM_FACTOR_MOST) - NUDGE;
  struct outcome *out = &f->nudged[0];
  double lambda = 1e-6;
  *gained = 0;
  enum px_status status = linearise(f, err);
  for (int refused = 0; refused < REFUSALS_MAX && !status; refused++, lambda *= 100) {
    double to[N];
    for (int k = 0; k < N; k++) to[k] = -f->slope[k];
    solve(f, lambda, to);
    for (int k = 0; k < N; k++) {
      to[k] = fmin(fmax(f->at[k] + fmin(fmax(to[k], -STEP_MAX), STEP_MAX), least), most);
    }
    status = evaluate(f, to, out, err);
    const double gain = status ? 0 : f->objective - objective(f, out, to);
    if (!(gain > 0)) continue;
    memcpy(f->at, to, sizeof to);
    const struct outcome was = f->base;
    f->base = *out;
    *out = was;
    *gained = gain;
    return PX_OK;
  }
  return status;
}

static enum px_status fit_factors(struct fit *f, struct px_err *err) {
  double gained = INFINITY;
  enum px_status status = evaluate(f, f->at, &f->base, err);
  for (int i = 0; i < ITERATIONS && gained > NO_GAIN * (double)f->base.n && !status; i++) {
    f->scale = fmax(median(f, &f->base), RESIDUAL_LEAST);
    f->objective = objective(f, &f->base, f->at);
    if (!isfinite(f->scale)) return PX_OK;
    status = improve(f, &gained, err);
  }
  return status;
}

/* The delay and the time step at which the model as it is fits best; later ones have to be
 * clearly better. */
static enum px_status scan(struct fit *f, uint32_t delay_max, struct sim_identified *out,
                           struct px_err *err) {
  static const double time_steps[] = { 1, 0.5, 2 };
  const uint32_t own = f->sim->layout.delay;
  double best = INFINITY;
  enum px_status status = PX_OK;
  f->steps_max = SCAN_STEPS;
  for (uint32_t i = 0; i <= delay_max + 1 && !status; i++)
    for (int k = 0; k < 3 && !status; k++) {
      double at[N] = { 0 };
      const uint32_t delay = i == 0 ? own : i - 1;
      f->sim->layout.delay = delay;
      at[SIM_TIME_STEP] = log(time_steps[k]);
      status = evaluate(f, at, &f->base, err);
      if (status) break;
      const double here = median(f, &f->base);
      if (i == 0 && k == 0) out->median_before = here;
      if (!(here < 0.8 * best)) continue;
      best = here;
      f->at[SIM_TIME_STEP] = at[SIM_TIME_STEP];
      out->adjustment.delay = delay;
    }
  f->sim->layout.delay = out->adjustment.delay;
  f->steps_max = SIM_IDENTIFY_STEPS;
  return status;
}

static bool outcome_new(struct outcome *o, uint32_t obs_dim) {
  o->cost = px_mem_calloc(SIM_IDENTIFY_STEPS, sizeof *o->cost);
  o->r = px_mem_calloc((size_t)SIM_IDENTIFY_STEPS * obs_dim, sizeof *o->r);
  return o->cost && o->r;
}

static void outcome_free(struct outcome *o) {
  free(o->cost);
  free(o->r);
}

static bool fit_new(struct fit *f) {
  f->sorted = px_mem_calloc(SIM_IDENTIFY_STEPS, sizeof *f->sorted);
  bool made = f->sorted && outcome_new(&f->base, f->obs_dim);
  for (int k = 0; k < N; k++) made = made && outcome_new(&f->nudged[k], f->obs_dim);
  return made;
}

static void fit_free(struct fit *f) {
  free(f->sorted);
  outcome_free(&f->base);
  for (int k = 0; k < N; k++) outcome_free(&f->nudged[k]);
}

/* The factors, if they explain more than the model as it was opened. */
static enum px_status finish(struct fit *f, struct sim_identified *out, struct px_err *err) {
  const struct sim_adjustment none = sim_identify_none(f->sim);
  out->median_after = median(f, &f->base);
  out->steps_n = f->base.n;
  for (int k = 0; k < N; k++) {
    double unit[N] = { 0 };
    unit[k] = 1;
    solve(f, 0, unit);
    out->std[k] = sqrt(fmax(unit[k], 0));
    out->adjustment.factor[k] = exp(f->at[k]);
  }
  if (!(out->median_after < out->median_before)) {
    out->adjustment = none;
    out->median_after = out->median_before;
  }
  return sim_identify_adjust(f->sim, &out->adjustment, err);
}

enum px_status sim_identify(struct sim *sim, const struct sim_options *options,
                            const struct px_dataset *ds, uint32_t delay_max,
                            const struct px_progress *progress, struct sim_identified *out,
                            struct px_err *err) {
  enum px_status status = sim_model_prepare(sim, &ds->spaces, options->std, err);
  if (status) return status;
  if (delay_max > SIM_DELAY_MAX)
    return px_fail(err, PX_E_BAD_FIELD, "delays up to %u: up to %d are possible", delay_max,
                   SIM_DELAY_MAX);
  struct fit f = { .sim = sim, .ds = ds, .progress = progress, .obs_dim = ds->spaces.obs_dim };
  f.evaluations_max = 3 * ((int64_t)delay_max + 2) + 1 + ITERATIONS * (N + REFUSALS_MAX);
  struct sim_identified found = { .adjustment = sim_identify_none(sim) };
  if (!fit_new(&f)) status = px_fail(err, PX_E_NO_MEMORY, "no memory to identify a model");
  if (!status) status = scan(&f, delay_max, &found, err);
  if (!status && !isfinite(found.median_before) && f.base.n == 0)
    status = px_fail(err, PX_E_NO_LABELS,
                     "no labelled step's full state is known, so none can be replayed");
  if (!status) status = fit_factors(&f, err);
  if (!status) status = finish(&f, &found, err);
  if (!status) *out = found;
  fit_free(&f);
  const struct sim_adjustment none = sim_identify_none(sim);
  if (status && sim->own && sim_identify_adjust(sim, &none, NULL)) return PX_E_INTERNAL;
  return status;
}
