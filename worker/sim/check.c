/* How well a model replays labelled steps: see sim.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "worker/sim/solve.h"

static const double MISS_MAX = 10;

struct check {
  struct sim *sim;
  const struct sim_options *options;
  const struct px_dataset *ds;
  struct sim_fit *fit;
  struct sim_point point;
  double *residuals; /* [SIM_CHECK_STEPS] */
  /* The step under way. */
  uint32_t traj;
  uint64_t t;
  bool whole; /* sim->x is the full state */
};

static void replay_step(void *ctx) {
  struct check *c = ctx;
  struct sim *sim = c->sim;
  const struct px_dataset *ds = c->ds;
  const uint32_t obs = ds->spaces.obs_dim, dims = ds->spaces.act_dim;
  const float *s = ds->observations + (ds->obs_start[c->traj] + c->t) * obs;
  const float *a = ds->actions + (ds->step_start[c->traj] + c->t - sim->layout.delay) * dims;
  for (uint32_t j = 0; j < dims; j++) {
    const double u = ((double)a[j] - sim->middle[j]) / sim->half[j];
    c->point.u[j] = fmin(fmax(u, sim->low[j]), sim->high[j]);
  }
  sim_step(sim, s + obs, &c->point);
}

static void count(struct check *c) {
  struct sim_fit *fit = c->fit;
  c->residuals[fit->steps_n++] = c->point.cost;
  fit->unstable_n += !isfinite(c->point.cost);
  fit->within += c->point.cost <= c->options->verified_below;
  for (uint32_t d = 0; d < fit->obs_dim; d++) {
    const double miss = isfinite(c->point.cost) ? fmin(fabs(c->point.r[d]), MISS_MAX) : MISS_MAX;
    fit->rms[d] += miss * miss;
  }
}

/* Whether the action that drives step t is known. */
static bool driven(const struct check *c) {
  const uint32_t delay = c->sim->layout.delay;
  return c->t >= delay && c->ds->labelled[c->ds->step_start[c->traj] + c->t - delay]
         && px_dataset_next_known(c->ds, c->traj, c->t);
}

static enum px_status replay(struct check *c, struct px_err *err) {
  const struct px_dataset *ds = c->ds;
  const uint32_t obs = ds->spaces.obs_dim;
  const uint64_t steps = ds->step_start[c->traj + 1] - ds->step_start[c->traj];
  bool carried = false;
  for (c->t = 0; c->t < steps && c->fit->steps_n < SIM_CHECK_STEPS; c->t++) {
    const bool can = driven(c);
    if (!can) {
      carried = false;
      continue;
    }
    const float *s = ds->observations + (ds->obs_start[c->traj] + c->t) * obs;
    if (carried) sim_observe(c->sim, s);
    else c->whole = sim_begin(c->sim, s, s + obs) || c->t == 0;
    const enum px_status status = px_physics_guard(replay_step, c, err);
    if (status) return status;
    if (carried || c->whole) count(c);
    carried = isfinite(c->point.cost);
    if (carried) sim_state_copy(c->sim->model, &c->sim->x, &c->point.next);
  }
  return PX_OK;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void finish(struct check *c) {
  struct sim_fit *fit = c->fit;
  const double n = (double)fit->steps_n;
  qsort(c->residuals, fit->steps_n, sizeof *c->residuals, ascending);
  fit->median = c->residuals[fit->steps_n / 2];
  fit->within /= n;
  for (uint32_t d = 0; d < fit->obs_dim; d++) fit->rms[d] = sqrt(fit->rms[d] / n);
}

/* Labelled trajectories, every so many-th, so that the steps are drawn from all of the data. */
static enum px_status replay_all(struct check *c, const struct px_progress *progress, struct px_err *err) {
  const struct px_dataset *ds = c->ds;
  uint64_t labelled = 0;
  for (uint64_t i = 0; i < ds->steps_n; i++) labelled += ds->labelled[i] != 0;
  const uint64_t stride = labelled / SIM_CHECK_STEPS + 1;
  enum px_status status = PX_OK;
  uint64_t seen = 0;
  for (c->traj = 0; c->traj < ds->traj_n && !status; c->traj++) {
    bool any = false;
    for (uint64_t i = ds->step_start[c->traj]; i < ds->step_start[c->traj + 1] && !any; i++) any = ds->labelled[i];
    if (!any || seen++ % stride) continue;
    status = replay(c, err);
    if (!status) status = px_progress_report(progress, "check", c->traj, ds->traj_n, NULL, 0);
  }
  return status;
}

enum px_status sim_check(struct sim *sim, const struct sim_options *options, const struct px_dataset *ds,
                         const struct px_progress *progress, struct sim_fit *out, struct px_err *err) {
  enum px_status status = sim_prepare(sim, &ds->spaces, options->std, err);
  if (status) return status;
  struct sim_fit *fit = px_calloc(1, sizeof *fit);
  struct check c = { .sim = sim, .options = options, .ds = ds, .fit = fit,
                     .residuals = px_calloc(SIM_CHECK_STEPS, sizeof(double)) };
  if (!fit || !c.residuals || !sim_point_new(sim, &c.point))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to check a simulator");
  if (!status) {
    fit->obs_dim = ds->spaces.obs_dim;
    status = replay_all(&c, progress, err);
  }
  if (!status && fit->steps_n == 0)
    status = px_fail(err, PX_E_NO_LABELS, "no labelled step can be replayed: its full state is not known");
  if (!status) {
    finish(&c);
    *out = *fit;
  }
  sim_point_free(&c.point);
  free(c.residuals);
  free(fit);
  return status;
}

/* "d: rms" of the dims that miss most, into text. */
static void name_worst(const struct sim_fit *fit, char *text, size_t size) {
  bool told[SIM_OBS_MAX] = { false };
  size_t used = 0;
  for (int k = 0; k < 5 && k < (int)fit->obs_dim; k++) {
    uint32_t worst = 0;
    for (uint32_t d = 1; d < fit->obs_dim; d++)
      if (told[worst] || (!told[d] && fit->rms[d] > fit->rms[worst])) worst = d;
    told[worst] = true;
    const int n = snprintf(text + used, size - used, "%s%u: %.3g", k ? ", " : "", worst, fit->rms[worst]);
    if (n < 0 || (size_t)n >= size - used) return;
    used += (size_t)n;
  }
}

enum px_status sim_fit_judge(const struct sim_fit *fit, struct px_err *err) {
  const double most = fit->obs_dim / 10.0, steps = (double)fit->steps_n;
  if (fit->median <= most && (double)fit->unstable_n <= steps / 100) return PX_OK;
  char worst[160] = "";
  name_worst(fit, worst, sizeof worst);
  px_fail(err, PX_E_BAD_DATA,
          "the model does not explain the labelled steps: of %llu replayed %llu went unstable, the median residual is "
          "%.3g (at most %.3g is accepted); error of the worst observation dims in standard deviations of s' - s: %s",
          (unsigned long long)fit->steps_n, (unsigned long long)fit->unstable_n, fit->median, most, worst);
  px_err_hint(err, "Check the observations' order, frame_skip, the time step, the delay and the actions' scale.");
  return PX_E_BAD_DATA;
}
