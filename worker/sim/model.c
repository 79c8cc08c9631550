/* SPDX-License-Identifier: Apache-2.0 */
/* One step of the data: see model.h. */
#include "worker/sim/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"

bool sim_model_state_new(const mjModel *m, struct sim_state *out) {
  const size_t n = (size_t)m->nq + (size_t)m->nv * 2 + (size_t)m->na;
  mjtNum *block = px_mem_calloc(n, sizeof *block);
  if (!block) return false;
  *out = (struct sim_state){ block, block + m->nq, block + m->nq + m->nv,
                             block + m->nq + m->nv + m->na };
  return true;
}

void sim_model_state_free(struct sim_state *state) { free(state->qpos); }

static size_t state_bytes(const mjModel *m) {
  return sizeof(mjtNum) * ((size_t)m->nq + (size_t)m->nv * 2 + (size_t)m->na);
}

void sim_model_state_copy(const mjModel *m, struct sim_state *to, const struct sim_state *from) {
  memcpy(to->qpos, from->qpos, state_bytes(m));
}

bool sim_model_point_new(const struct sim *sim, struct sim_point *p) {
  p->u = px_mem_calloc(sim->layout.act_dim, sizeof *p->u);
  p->r = px_mem_calloc(sim->layout.obs_dim, sizeof *p->r);
  return sim_model_state_new(sim->model, &p->next) && p->u && p->r;
}

void sim_model_point_free(struct sim_point *p) {
  free(p->u);
  free(p->r);
  sim_model_state_free(&p->next);
}

static enum px_status prepare_action(struct sim *sim, const struct px_spaces *spaces, uint32_t j,
                                     struct px_err *err) {
  const struct sim_control *c = &sim->layout.act[j];
  const double low = (double)spaces->act_low[j], high = (double)spaces->act_high[j];
  sim->middle[j] = (low + high) / 2;
  sim->half[j] = (high - low) / 2;
  sim->low[j] = -1;
  sim->high[j] = 1;
  if (!sim->model->actuator_ctrllimited[c->index]) return PX_OK;
  const mjtNum *range = sim->model->actuator_ctrlrange + 2 * c->index;
  const double u0 = ((range[0] - c->offset) / c->scale - sim->middle[j]) / sim->half[j];
  const double u1 = ((range[1] - c->offset) / c->scale - sim->middle[j]) / sim->half[j];
  sim->low[j] = fmax(sim->low[j], fmin(u0, u1));
  sim->high[j] = fmin(sim->high[j], fmax(u0, u1));
  if (sim->low[j] < sim->high[j]) return PX_OK;
  return px_fail(err, PX_E_BAD_FIELD,
                 "action %u goes from %g to %g, outside the range [%g, %g] of ctrl[%u]", j, low,
                 high, range[0], range[1], c->index);
}

enum px_status sim_model_prepare(struct sim *sim, const struct px_spaces *spaces, const double *std,
                                 struct px_err *err) {
  const struct sim_layout *l = &sim->layout;
  mj_resetData(sim->model, sim->data); /* whatever an error left */
  if (spaces->act_count)
    return px_fail(err, PX_E_BAD_FIELD, "a simulator labels continuous actions, not discrete ones");
  if (spaces->obs_dim != l->obs_dim || spaces->act_dim != l->act_dim)
    return px_fail(
      err, PX_E_BAD_FIELD,
      "the layout has %u observation dims and %u action dims, the dataset has %u and %u",
      l->obs_dim, l->act_dim, spaces->obs_dim, spaces->act_dim);
  for (uint32_t i = 0; i < l->obs_dim; i++) {
    if (!(std[i] > 0) || !isfinite(std[i]))
      return px_fail(err, PX_E_BAD_FIELD, "the spread of observation %u is %g, not above 0", i,
                     std[i]);
    sim->weight[i] = 1 / std[i];
  }
  for (uint32_t j = 0; j < l->act_dim; j++) {
    const enum px_status status = prepare_action(sim, spaces, j, err);
    if (status) return status;
  }
  return PX_OK;
}

/* The bounds between which an observed number leaves its coordinate. */
static double within(const struct sim_term *t, double obs, double q) {
  if (obs > t->clip_low && obs < t->clip_high) return (obs - t->offset) / t->scale;
  const double edge = ((obs <= t->clip_low ? t->clip_low : t->clip_high) - t->offset) / t->scale;
  /* At the upper edge of the observation q lies above the edge, unless the scale turns it round. */
  return (obs <= t->clip_low) == (t->scale > 0) ? fmin(q, edge) : fmax(q, edge);
}

void sim_model_observe(struct sim *sim, const float *obs) {
  for (uint32_t i = 0; i < sim->layout.obs_dim; i++) {
    const struct sim_term *t = &sim->layout.obs[i];
    mjtNum *q = (t->source == SIM_QPOS ? sim->x.qpos : sim->x.qvel) + t->index;
    *q = within(t, (double)obs[i], *q);
  }
}

static void differences(struct sim *sim, const float *obs, const float *next) {
  const mjModel *m = sim->model;
  struct sim_state *x = &sim->x;
  mjtNum *later = sim->data->qpos;
  sim_model_observe(sim, next);
  memcpy(later, x->qpos, sizeof(mjtNum) * (size_t)m->nq);
  memcpy(x->qpos, m->qpos0, sizeof(mjtNum) * (size_t)m->nq);
  sim_model_observe(sim, obs);
  mj_differentiatePos(m, x->qvel, m->opt.timestep * sim->layout.frame_skip, x->qpos, later);
}

bool sim_model_begin(struct sim *sim, const float *obs, const float *next) {
  const mjModel *m = sim->model;
  struct sim_state *x = &sim->x;
  memset(x->qpos, 0, state_bytes(m));
  memcpy(x->qpos, m->qpos0, sizeof(mjtNum) * (size_t)m->nq);
  if (next) differences(sim, obs, next);
  sim_model_observe(sim, obs);
  int seen = 0;
  for (uint32_t i = 0; i < sim->layout.obs_dim; i++) {
    const struct sim_term *t = &sim->layout.obs[i];
    seen += t->source == SIM_QVEL && (double)obs[i] > t->clip_low && (double)obs[i] < t->clip_high;
  }
  return seen == m->nv && m->na == 0;
}

void sim_model_read(const struct sim *sim, const struct sim_state *state, float *obs) {
  for (uint32_t i = 0; i < sim->layout.obs_dim; i++) {
    const struct sim_term *t = &sim->layout.obs[i];
    const double q = (t->source == SIM_QPOS ? state->qpos : state->qvel)[t->index];
    obs[i] = (float)fmin(fmax(t->scale * q + t->offset, t->clip_low), t->clip_high);
  }
}

static void set_controls(struct sim *sim, const double *u) {
  for (uint32_t j = 0; j < sim->layout.act_dim; j++) {
    const struct sim_control *c = &sim->layout.act[j];
    sim->data->ctrl[c->index] = c->scale * (sim->middle[j] + sim->half[j] * u[j]) + c->offset;
  }
}

/* How far the number misses the recorded one; a recorded edge stands for everything beyond it. */
static double miss(const struct sim_term *t, double y, double s) {
  if (s >= t->clip_high) return fmin(y - t->clip_high, 0);
  if (s <= t->clip_low) return fmax(y - t->clip_low, 0);
  return y - s;
}

static void compare(struct sim *sim, const float *target, struct sim_point *p) {
  p->cost = 0;
  for (uint32_t i = 0; i < sim->layout.obs_dim; i++) {
    const struct sim_term *t = &sim->layout.obs[i];
    const double q = (t->source == SIM_QPOS ? p->next.qpos : p->next.qvel)[t->index];
    p->r[i] = miss(t, t->scale * q + t->offset, (double)target[i]) * sim->weight[i];
    p->cost += p->r[i] * p->r[i];
  }
}

void sim_model_step(struct sim *sim, const float *target, struct sim_point *p) {
  const mjModel *m = sim->model;
  mjData *d = sim->data;
  const struct sim_state *x = &sim->x;
  const size_t nq = sizeof(mjtNum) * (size_t)m->nq, nv = sizeof(mjtNum) * (size_t)m->nv;
  const size_t na = sizeof(mjtNum) * (size_t)m->na;
  sim->simulations_n++;
  memcpy(d->qpos, x->qpos, nq);
  memcpy(d->qvel, x->qvel, nv);
  memcpy(d->act, x->act, na);
  memcpy(d->qacc_warmstart, x->warm, nv);
  set_controls(sim, p->u);
  for (uint32_t k = 0; k < sim->layout.frame_skip; k++) mj_step(m, d);
  memcpy(p->next.qpos, d->qpos, nq);
  memcpy(p->next.qvel, d->qvel, nv);
  memcpy(p->next.act, d->act, na);
  memcpy(p->next.warm, d->qacc_warmstart, nv);
  compare(sim, target, p);
  if (!px_physics_warning(d) && isfinite(p->cost)) return;
  p->cost = INFINITY;
  mj_resetData(m, d);
}
