/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator under the labels, for the files of this folder only: one step of the data as a
 * function of a full state and an action. See sim.h; a struct sim belongs to one thread, and a step
 * allocates nothing.
 *
 * Actions are solved in units u: 0 is the middle of the declared range, -1 and 1 its ends.
 */
#ifndef PX_SIM_MODEL_H
#define PX_SIM_MODEL_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/sim/physics.h"
#include "worker/sim/sim.h"

/* What a physics step depends on beside the controls. Arrays of one block, owned. */
struct sim_state {
  /* [nq], [nv], [na], [nv]: warm starts the constraint solver */
  mjtNum *qpos, *qvel, *act, *warm;
};

/* What an action came to. */
struct sim_point {
  double *u;   /* [A] */
  double *r;   /* [O] (f(x, u) - s') / std */
  double cost; /* sum r^2; INFINITY: unstable */
  struct sim_state next;
};

struct sim_work;
struct sim {
  mjModel *model;
  mjModel *own; /* as it was opened, once it has been adjusted (identify.h) */
  uint32_t opened_delay;
  mjData *data;
  struct sim_layout layout;                      /* mjcf is not borrowed any more */
  struct sim_state x;                            /* the state that is being stepped from */
  struct sim_work *work;                         /* the solver's: solve.c */
  double middle[SIM_ACT_MAX], half[SIM_ACT_MAX]; /* a = middle + half u */
  double low[SIM_ACT_MAX], high[SIM_ACT_MAX];    /* of u, inside the control's own range */
  double weight[SIM_OBS_MAX];                    /* 1 / std */
  uint64_t simulations_n;
};

/* NULL when out of memory. */
bool sim_model_state_new(const mjModel *model, struct sim_state *out) PX_MUST_CHECK;
void sim_model_state_free(struct sim_state *state);
void sim_model_state_copy(const mjModel *model, struct sim_state *to, const struct sim_state *from);

bool sim_model_point_new(const struct sim *sim, struct sim_point *point) PX_MUST_CHECK;
void sim_model_point_free(struct sim_point *point);

/* Takes the actions' range from the spaces and the residual's unit from std [O]. BAD_FIELD where
 * they do not go with the layout. */
enum px_status sim_model_prepare(struct sim *sim, const struct px_spaces *spaces, const double *std,
                                 struct px_err *err) PX_MUST_CHECK;

/* Sets sim->x to a trajectory's start: what obs [O] and, for velocities that it does not give,
 * next (may be NULL: 0) say. true if every coordinate of the velocity was observed and not
 * clipped. */
bool sim_model_begin(struct sim *sim, const float *obs, const float *next);
/* sim->x is what came of the step before: puts the observed coordinates of obs [O] into it. */
void sim_model_observe(struct sim *sim, const float *obs);

/* What is observed of a state: obs [O]. */
void sim_model_read(const struct sim *sim, const struct sim_state *state, float *obs);

/* Simulates point->u from sim->x, and compares with target [O]: fills r, cost and next. Inside a
 * guard. */
void sim_model_step(struct sim *sim, const float *target, struct sim_point *point);

#endif
