/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts and how a sim is opened: see sim.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "worker/env/env.h"
#include "worker/sim/solve.h"

enum px_status sim_layout_builtin(const char *env, struct sim_layout *out, struct px_err *err) {
  struct px_env_physics physics;
  const struct px_env_info *info;
  enum px_status status = px_env_physics(env, &physics, err);
  if (!status) status = px_env_find(env, &info, err);
  if (status) return status;
  *out = (struct sim_layout){ .mjcf = physics.mjcf,
                              .mjcf_n = physics.mjcf_n,
                              .obs_dim = info->obs_dim,
                              .act_dim = info->act_dim,
                              .frame_skip = (uint32_t)physics.frame_skip };
  struct sim_term *term = out->obs;
  for (uint32_t i = 1; i < info->qpos_n; i++)
    *term++ = (struct sim_term){ SIM_QPOS, i, 1, 0, -INFINITY, INFINITY };
  for (uint32_t i = 0; i < info->qvel_n; i++)
    *term++ = (struct sim_term){ SIM_QVEL, i, 1, 0, -physics.velocity_clip, physics.velocity_clip };
  for (uint32_t j = 0; j < info->act_dim; j++) out->act[j] = (struct sim_control){ j, 1, 0 };
  return PX_OK;
}

static enum px_status check_numbers(const struct sim_layout *l, struct px_err *err) {
  if (l->obs_dim < 1 || l->obs_dim > SIM_OBS_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "observations",
                      "%u observation dims: 1 to %d are possible", l->obs_dim, SIM_OBS_MAX);
  if (l->act_dim < 1 || l->act_dim > SIM_ACT_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "actions", "%u action dims: 1 to %d are possible",
                      l->act_dim, SIM_ACT_MAX);
  if (l->frame_skip < 1 || l->frame_skip > SIM_FRAME_SKIP_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "frame_skip",
                      "%u physics steps for each step: 1 to %d are possible", l->frame_skip,
                      SIM_FRAME_SKIP_MAX);
  if (l->delay > SIM_DELAY_MAX)
    return px_fail_at(err, PX_E_BAD_FIELD, "delay", "a delay of %u steps: 0 to %d are possible",
                      l->delay, SIM_DELAY_MAX);
  if (l->time_step != 0 && !(l->time_step > 0 && l->time_step <= 1))
    return px_fail_at(err, PX_E_BAD_FIELD, "time_step",
                      "a time step of %g s: above 0 and up to 1 are possible", l->time_step);
  return PX_OK;
}

static enum px_status check_term(const mjModel *m, const struct sim_layout *l, uint32_t i,
                                 struct px_err *err) {
  const struct sim_term *t = &l->obs[i];
  const char *what = t->source == SIM_QPOS ? "qpos" : "qvel";
  const int n = t->source == SIM_QPOS ? m->nq : m->nv;
  char at[40];
  snprintf(at, sizeof at, "observations[%u]", i);
  if (t->index >= (uint32_t)n)
    return px_fail_at(err, PX_E_BAD_FIELD, at, "%s[%u] is none of the model's %d", what, t->index,
                      n);
  if (!isfinite(t->scale) || t->scale == 0 || !isfinite(t->offset))
    return px_fail_at(err, PX_E_BAD_FIELD, at,
                      "scale %g and offset %g: finite ones are possible, and no scale of 0",
                      t->scale, t->offset);
  if (!(t->clip_low < t->clip_high))
    return px_fail_at(err, PX_E_BAD_FIELD, at, "clipped to %g and %g, which is no range",
                      t->clip_low, t->clip_high);
  for (uint32_t k = 0; k < i; k++)
    if (l->obs[k].source == t->source && l->obs[k].index == t->index)
      return px_fail_at(err, PX_E_BAD_FIELD, at, "%s[%u] is observations[%u] already", what,
                        t->index, k);
  return PX_OK;
}

static enum px_status check_control(const mjModel *m, const struct sim_layout *l, uint32_t j,
                                    struct px_err *err) {
  const struct sim_control *c = &l->act[j];
  char at[40];
  snprintf(at, sizeof at, "actions[%u]", j);
  if (c->index >= (uint32_t)m->nu)
    return px_fail_at(err, PX_E_BAD_FIELD, at, "ctrl[%u] is none of the model's %d", c->index,
                      m->nu);
  if (!isfinite(c->scale) || c->scale == 0 || !isfinite(c->offset))
    return px_fail_at(err, PX_E_BAD_FIELD, at,
                      "scale %g and offset %g: finite ones are possible, and no scale of 0",
                      c->scale, c->offset);
  for (uint32_t k = 0; k < j; k++)
    if (l->act[k].index == c->index)
      return px_fail_at(err, PX_E_BAD_FIELD, at, "ctrl[%u] is actions[%u] already", c->index, k);
  return PX_OK;
}

static void forward(void *ctx) {
  struct sim *sim = ctx;
  mj_forward(sim->model, sim->data);
}

/* The model's own start must be one that can be computed. */
static enum px_status first_state(struct sim *sim, struct px_err *err) {
  enum px_status status = px_physics_guard(forward, sim, err);
  const char *warning = status ? NULL : px_physics_warning(sim->data);
  if (warning)
    status =
      px_fail(err, PX_E_BAD_DATA, "the model is unstable in its own first state: %s", warning);
  mj_resetData(sim->model, sim->data);
  return status;
}

enum px_status sim_open(const struct sim_layout *layout, struct sim **out, struct px_err *err) {
  enum px_status status = check_numbers(layout, err);
  if (status) return status;
  struct sim *sim = px_mem_calloc(1, sizeof *sim);
  if (!sim) return px_fail(err, PX_E_NO_MEMORY, "no memory for a simulator");
  sim->layout = *layout;
  sim->layout.mjcf = NULL;
  sim->opened_delay = layout->delay;
  status = px_physics_load(layout->mjcf, layout->mjcf_n, &sim->model, &sim->data, err);
  for (uint32_t i = 0; !status && i < layout->obs_dim; i++)
    status = check_term(sim->model, layout, i, err);
  for (uint32_t j = 0; !status && j < layout->act_dim; j++)
    status = check_control(sim->model, layout, j, err);
  if (!status && layout->time_step > 0) sim->model->opt.timestep = layout->time_step;
  if (!status) sim->model->opt.disableflags |= mjDSBL_SENSOR; /* nobody reads them */
  if (!status) status = first_state(sim, err);
  if (!status && !(sim_model_state_new(sim->model, &sim->x) && sim_solve_work_new(sim)))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a simulator");
  if (status) sim_close(sim);
  else *out = sim;
  return status;
}

void sim_close(struct sim *sim) {
  if (!sim) return;
  sim_solve_work_free(sim);
  sim_model_state_free(&sim->x);
  if (sim->data) mj_deleteData(sim->data);
  if (sim->model) mj_deleteModel(sim->model);
  if (sim->own) mj_deleteModel(sim->own);
  free(sim);
}
