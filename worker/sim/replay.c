/* SPDX-License-Identifier: Apache-2.0 */
/* See replay.h. */
#include "worker/sim/replay.h"

#include "lib/base/fail.h"
#include "lib/data/dataset.h"

#include <math.h>
#include <string.h>

enum { TELL_EVERY = 256 };

struct run {
  const struct sim_replay *with;
  struct sim_point point;
  uint64_t visited, wanted; /* wanted: how many there will be */
  uint32_t traj;
  uint64_t t;
};

static void replay_step(void *ctx) {
  struct run *r = ctx;
  struct sim *sim = r->with->sim;
  const struct px_dataset *ds = r->with->ds;
  const uint32_t obs = ds->spaces.obs_dim, dims = ds->spaces.act_dim;
  const float *s = ds->observations + (ds->obs_start[r->traj] + r->t) * obs;
  const float *a = ds->actions + (ds->step_start[r->traj] + r->t - sim->layout.delay) * dims;
  for (uint32_t j = 0; j < dims; j++) {
    const double u = ((double)a[j] - sim->middle[j]) / sim->half[j];
    r->point.u[j] = fmin(fmax(u, sim->low[j]), sim->high[j]);
  }
  sim_model_step(sim, s + obs, &r->point);
}

/* Whether the action that drives step t is known, and what came of it. */
static bool driven(const struct run *r) {
  const uint32_t delay = r->with->sim->layout.delay;
  const struct px_dataset *ds = r->with->ds;
  return r->t >= delay && ds->labelled[ds->step_start[r->traj] + r->t - delay] &&
         px_dataset_next_known(ds, r->traj, r->t);
}

static enum px_status report_progress(const struct run *r) {
  return px_progress_report(r->with->progress, "check", (int64_t)r->visited, (int64_t)r->wanted,
                            NULL, 0);
}

static enum px_status replay_trajectory(struct run *r, struct px_err *err) {
  struct sim *sim = r->with->sim;
  const struct px_dataset *ds = r->with->ds;
  const uint32_t obs = ds->spaces.obs_dim;
  const uint64_t steps = ds->step_start[r->traj + 1] - ds->step_start[r->traj];
  bool carried = false;
  for (r->t = 0; r->t < steps && r->visited < r->with->steps_max; r->t++) {
    if (!driven(r)) {
      carried = false;
      continue;
    }
    const float *s = ds->observations + (ds->obs_start[r->traj] + r->t) * obs;
    bool whole = carried;
    if (carried) sim_model_observe(sim, s);
    else whole = sim_model_begin(sim, s, s + obs) || r->t == 0;
    enum px_status status = px_physics_guard(replay_step, r, err);
    if (!status && r->visited % TELL_EVERY == 0) status = report_progress(r);
    if (status) return status;
    r->with->visit(r->with->ctx, r->visited++, whole ? &r->point : NULL);
    carried = isfinite(r->point.cost);
    if (carried) sim_model_state_copy(sim->model, &sim->x, &r->point.next);
  }
  return PX_OK;
}

static bool any_label(const struct px_dataset *ds, uint32_t traj) {
  return memchr(ds->labelled + ds->step_start[traj], 1,
                ds->step_start[traj + 1] - ds->step_start[traj]);
}

/* Every stride-th trajectory with a label: counts its steps, or replays them. */
static enum px_status each_chosen(struct run *r, uint64_t stride, bool replay, struct px_err *err) {
  const struct px_dataset *ds = r->with->ds;
  enum px_status status = PX_OK;
  uint64_t seen = 0;
  for (r->traj = 0; r->traj < ds->traj_n && !status; r->traj++) {
    if (!any_label(ds, r->traj) || seen++ % stride) continue;
    const uint64_t steps = ds->step_start[r->traj + 1] - ds->step_start[r->traj];
    if (replay) status = replay_trajectory(r, err);
    else
      for (r->t = 0; r->t < steps; r->t++) r->wanted += driven(r);
  }
  return status;
}

static enum px_status replay_all(struct run *r, struct px_err *err) {
  const struct px_dataset *ds = r->with->ds;
  uint64_t labelled = 0;
  for (uint64_t i = 0; i < ds->steps_n; i++) labelled += ds->labelled[i] != 0;
  const uint64_t stride = labelled / r->with->steps_max + 1;
  enum px_status status = each_chosen(r, stride, false, err);
  if (r->wanted > r->with->steps_max) r->wanted = r->with->steps_max;
  if (!status) status = each_chosen(r, stride, true, err);
  return status ? status : report_progress(r);
}

enum px_status sim_replay(const struct sim_replay *replay, struct px_err *err) {
  struct run r = { .with = replay };
  enum px_status status = PX_OK;
  if (sim_model_point_new(replay->sim, &r.point)) status = replay_all(&r, err);
  else status = px_fail(err, PX_E_NO_MEMORY, "no memory to replay steps");
  sim_model_point_free(&r.point);
  return status;
}
