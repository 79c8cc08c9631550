/* SPDX-License-Identifier: Apache-2.0 */
/* How well a model replays labelled steps: see sim.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "worker/sim/replay.h"

static const double MISS_MAX = 10;

struct check {
  const struct sim_options *options;
  struct sim_fit *fit;
  double *residuals; /* [SIM_CHECK_STEPS] */
};

static void count(void *ctx, uint64_t i, const struct sim_point *point) {
  struct check *c = ctx;
  struct sim_fit *fit = c->fit;
  (void)i;
  if (!point) return;
  const bool stable = isfinite(point->cost);
  c->residuals[fit->steps_n++] = point->cost;
  fit->unstable_n += !stable;
  fit->within += point->cost <= c->options->verified_below;
  for (uint32_t d = 0; d < fit->obs_dim; d++) {
    const double miss = stable ? fmin(fabs(point->r[d]), MISS_MAX) : MISS_MAX;
    fit->rms[d] += miss * miss;
  }
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

enum px_status sim_check(struct sim *sim, const struct sim_options *options,
                         const struct px_dataset *ds, const struct px_progress *progress,
                         struct sim_fit *out, struct px_err *err) {
  enum px_status status = sim_model_prepare(sim, &ds->spaces, options->std, err);
  if (status) return status;
  struct check c = { .options = options,
                     .fit = px_mem_calloc(1, sizeof *c.fit),
                     .residuals = px_mem_calloc(SIM_CHECK_STEPS, sizeof(double)) };
  const struct sim_replay replay = { .sim = sim,
                                     .ds = ds,
                                     .steps_max = SIM_CHECK_STEPS,
                                     .progress = progress,
                                     .visit = count,
                                     .ctx = &c };
  if (!c.fit || !c.residuals)
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to check a simulator");
  if (!status) {
    c.fit->obs_dim = ds->spaces.obs_dim;
    status = sim_replay(&replay, err);
  }
  if (!status && c.fit->steps_n == 0)
    status = px_fail(err, PX_E_NO_LABELS,
                     "no labelled step's full state is known, so none can be replayed");
  if (!status) {
    finish(&c);
    *out = *c.fit;
  }
  free(c.residuals);
  free(c.fit);
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
    const int n =
      snprintf(text + used, size - used, "%s%u: %.3g", k ? ", " : "", worst, fit->rms[worst]);
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
          "the model does not explain the labelled steps: of %llu replayed %llu went unstable, the "
          "median residual is "
          "%.3g (at most %.3g is accepted); error of the worst observation dims in standard "
          "deviations of s' - s: %s",
          (unsigned long long)fit->steps_n, (unsigned long long)fit->unstable_n, fit->median, most,
          worst);
  px_fail_hint(
    err,
    "Check the observations' order, frame_skip, the time step, the delay and the actions' scale.");
  return PX_E_BAD_DATA;
}
