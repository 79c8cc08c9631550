/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches for the Decision Transformer: stretches of up to `context` steps of
 * the trajectories that a spec uses. Used by dt.c.
 *
 * Trajectories are those with a transition that may be learned from (rl_data:
 * labels, top_percent, weighting). A step whose action is not among these is
 * part of the history with a token of zeros in its action's place, and has no
 * loss. A stretch ends at a step drawn uniformly from those with a loss, so that
 * none is in vain however few actions are known, and begins `context` steps
 * before or with the trajectory: what an actor has seen when it acts. The papers
 * draw where it begins, and see an episode's first step, where nothing but the
 * return tells good from bad, `context` times less often. Stretches lie one after
 * another, where the papers pad them on the left and mask that: the numbers are
 * the same.
 */
#ifndef PX_RL_ALGO_DT_WINDOWS_H
#define PX_RL_ALGO_DT_WINDOWS_H

#include "lib/base/fail.h"
#include "lib/rl/rl.h"

struct dt_windows {
  const struct rl_data *data; /* borrowed */
  uint32_t traj_n;
  uint32_t *traj;       /* [traj_n] trajectories of the dataset */
  uint64_t *first;      /* [traj_n + 1] steps before them */
  uint32_t *transition; /* [steps] 1 + its number in data; 0: unknown action */
  float *to_go;         /* [steps] sum of rewards from it to the end, scaled */
  uint32_t longest;     /* steps of the longest trajectory */
};
/* All from the arena. */
enum px_status dt_windows_new(struct px_arena *arena, const struct rl_data *data,
                              double return_scale, struct dt_windows **out,
                              struct px_err *err) PX_MUST_CHECK;

/* Room for one batch, from an arena. */
struct dt_batch {
  uint32_t seqs, context, obs_dim, act_dim; /* act_dim: numbers of an action token */
  uint32_t *start;                          /* [seqs + 1] first step of each */
  float *to_go;                             /* [steps] */
  /* [steps, O] normalised, [steps, A] in [-1, 1] or one-hot; 0 where unknown */
  float *state, *action;
  uint32_t *time;    /* [steps] */
  float *chosen;     /* [steps] discrete: the class index; else not read */
  float *weight;     /* [steps] 0: no loss */
  uint32_t losses_n; /* steps with a loss */
};
/* Where the arena has run out, which rl_arena_check tells, the batch is not to be used. */
void dt_batch_init(struct px_arena *arena, struct dt_batch *batch, uint32_t seqs, uint32_t context,
                   uint32_t obs_dim, uint32_t act_dim);
/* Draws batch->seqs stretches: a pure function of (seed, step). */
void dt_batch_draw(struct dt_batch *batch, const struct dt_windows *windows, uint64_t seed,
                   uint64_t step);

#endif
