/* SPDX-License-Identifier: Apache-2.0 */
/* See pairs.h. */
#include "worker/sim/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "worker/sim/model.h"

enum { TRIES_MAX = 100, DRAWS_MAX = 1000 };
static const double BEYOND =
  1.2; /* actions are drawn so far beyond the range, then clipped: the edges are frequent */

struct drawing {
  struct sim *sim;
  const struct px_dataset *ds;
  struct sim_point point;
  const float *target; /* of no interest */
};

static void step(void *ctx) {
  struct drawing *d = ctx;
  sim_model_step(d->sim, d->target, &d->point);
}

/* One start state and action, simulated. */
static enum px_status draw(struct drawing *d, struct px_rng *rng, float *x, struct px_err *err) {
  const struct px_dataset *ds = d->ds;
  struct sim *sim = d->sim;
  const uint32_t obs = ds->spaces.obs_dim;
  uint32_t traj = 0;
  uint64_t row = 0, t = 0;
  bool known = false;
  /* Where next states are rare the next one after the last row drawn is taken. */
  for (int k = 0; !known; k++) {
    row = k < DRAWS_MAX ? (uint64_t)(px_rng_double(rng) * (double)ds->steps_n)
                        : (row + 1) % ds->steps_n;
    traj = px_dataset_traj_of_step(ds, row);
    t = row - ds->step_start[traj];
    known = px_dataset_next_known(ds, traj, t);
  }
  const float *s = ds->observations + (ds->obs_start[traj] + t) * obs;
  sim_model_begin(sim, s, s + obs);
  for (uint32_t j = 0; j < sim->layout.act_dim; j++) {
    const double middle = (sim->low[j] + sim->high[j]) / 2, half = (sim->high[j] - sim->low[j]) / 2;
    const double u = middle + BEYOND * half * (2 * px_rng_double(rng) - 1);
    d->point.u[j] = fmin(fmax(u, sim->low[j]), sim->high[j]);
  }
  d->target = s;
  memcpy(x, s, sizeof *x * obs);
  return px_physics_guard(step, d, err);
}

static enum px_status make(struct drawing *d, uint64_t seed, uint32_t i, float *x, float *u,
                           struct px_err *err) {
  const uint32_t obs = d->ds->spaces.obs_dim;
  struct px_rng rng = px_rng_at(seed, px_rng_stream("sim_pairs", i), 0);
  for (int k = 0; k < TRIES_MAX; k++) {
    const enum px_status status = draw(d, &rng, x, err);
    if (status) return status;
    if (!isfinite(d->point.cost)) continue;
    sim_model_read(d->sim, &d->point.next, x + obs);
    for (uint32_t j = 0; j < obs; j++) x[obs + j] -= x[j];
    for (uint32_t j = 0; j < d->sim->layout.act_dim; j++) u[j] = (float)d->point.u[j];
    return PX_OK;
  }
  return px_fail(err, PX_E_BAD_DATA,
                 "the simulation went unstable from %d of the data's states in a row", TRIES_MAX);
}

static bool any_next(const struct px_dataset *ds) {
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    if (px_dataset_next_known(ds, traj, 0)) return true;
  return false;
}

struct sim_pairs *sim_pairs_new(const struct px_spaces *spaces, uint32_t n) {
  struct sim_pairs *p = px_mem_calloc(1, sizeof *p);
  if (!p) return NULL;
  p->n = n;
  p->obs_dim = spaces->obs_dim;
  p->act_dim = spaces->act_dim;
  p->x = px_mem_calloc(n, sizeof *p->x * 2 * spaces->obs_dim);
  p->u = px_mem_calloc(n, sizeof *p->u * spaces->act_dim);
  if (p->x && p->u) return p;
  sim_pairs_free(p);
  return NULL;
}

void sim_pairs_free(struct sim_pairs *p) {
  if (!p) return;
  free(p->x);
  free(p->u);
  free(p);
}

enum px_status sim_pairs_part(struct sim *sim, const struct sim_options *options,
                              const struct px_dataset *ds, uint64_t seed, uint32_t from, uint32_t n,
                              const struct px_progress *progress, struct sim_pairs *part,
                              struct px_err *err) {
  const size_t obs = ds->spaces.obs_dim, dims = ds->spaces.act_dim;
  struct drawing d = { .sim = sim, .ds = ds };
  double reported_s = 0;
  enum px_status status = sim_model_prepare(sim, &ds->spaces, options->std, err);
  if (status) return status;
  if (!any_next(ds)) return px_fail(err, PX_E_BAD_DATA, "no step's next state is known");
  if (!sim_model_point_new(sim, &d.point))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to simulate steps");
  for (uint32_t i = 0; i < part->n && !status; i++) {
    status = make(&d, seed, from + i, part->x + i * 2 * obs, part->u + i * dims, err);
    if (status || px_clock_s() - reported_s < 0.5) continue;
    reported_s = px_clock_s();
    status = px_progress_report(progress, "simulate", from + i, n, NULL, 0);
  }
  sim_model_point_free(&d.point);
  part->delay = sim->layout.delay;
  memcpy(part->low, sim->low, sizeof part->low);
  memcpy(part->high, sim->high, sizeof part->high);
  return status;
}

enum px_status sim_pairs_make(struct sim *sim, const struct sim_options *options,
                              const struct px_dataset *ds, uint64_t seed, uint32_t n,
                              const struct px_progress *progress, struct sim_pairs **out,
                              struct px_err *err) {
  if (n < 1 || n > SIM_PAIRS_MAX)
    return px_fail(err, PX_E_BAD_FIELD, "%u pairs, not 1 to %d", n, SIM_PAIRS_MAX);
  struct sim_pairs *pairs = sim_pairs_new(&ds->spaces, n);
  const enum px_status status =
    pairs ? sim_pairs_part(sim, options, ds, seed, 0, n, progress, pairs, err)
          : px_fail(err, PX_E_NO_MEMORY, "no memory for %u simulated steps", n);
  if (status) sim_pairs_free(pairs);
  else *out = pairs;
  return status;
}
