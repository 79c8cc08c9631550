/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels from a simulator: the action whose simulated step meets the recorded one. For data whose
 * robot has a MuJoCo model. Used by label jobs, by the helper that runs a user's model, by tests
 * and by the bench.
 *
 *   residual(a) = sum over d of ((f(x, a)_d - s'_d) / std_d)^2
 *   label       = argmin residual(a) over the action range, by Levenberg-Marquardt
 *
 * std_d is that of s'_d - s_d over the whole snapshot; a recorded number at its clip is missed only
 * from the inner side. A step whose residual stays far above what the trajectory's steps usually
 * end with begins anew, at the actions of the most similar steps so far and at random ones.
 *
 * x is the simulator's full state and f(x, a) the observation after one step of frame_skip physics
 * steps. x is carried along the trajectory: an observed coordinate is the recorded one, and every
 * other, a clipped velocity above all, comes from the simulator after the step before. At a
 * trajectory's start a velocity that is not observed is the difference of the first two positions,
 * where these are observed; what is left is the model's own start (qpos0, 0).
 *
 * A label's std needs no true label. With J = d r / d a at the solution, r the terms of the
 * residual,
 *
 *   std_j = sqrt(max(residual, replay_median, 1e-8) / max(O - A, 1) * [(J'J)^-1]_jj)
 *
 * the usual standard error of nonlinear least squares (Seber and Wild 1989, section 2.1), at most
 * that of a uniform distribution over the range, (high - low) / sqrt(12). J is the solver's own,
 * which later steps correct: an estimate.
 *
 * `verified` says that the action explains the step: its residual is at most verified_below, and
 * every std_j is below a tenth of the range, so that no action far from it explains the step as
 * well. A wrong model explains steps with wrong actions, though: with damping and armature half
 * off, 90% of hopper's labels had such a residual. So where labelled steps say what the true
 * actions leave (sim_check: replay_median), that must be below verified_below too.
 *
 * Ownership: a sim owns its model and all memory of a step; datasets and options are borrowed,
 * labels belong to the caller. A sim belongs to one thread. Labels are a function of model,
 * options, trajectory and its number in the snapshot alone, so the division into segments does not
 * matter. MuJoCo's errors and warnings come back as px_err.
 *
 * Letters: O observation dims, A action dims.
 */
#ifndef PX_SIM_SIM_H
#define PX_SIM_SIM_H

#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "lib/data/dataset.h"

enum { SIM_OBS_MAX = 512, SIM_ACT_MAX = 64, SIM_FRAME_SKIP_MAX = 1000, SIM_DELAY_MAX = 16 };
enum { SIM_RESTARTS_MAX = 64 };

/* One observation dim: clip(scale * q + offset, clip_low, clip_high), q = qpos[index] or
 * qvel[index]. */
enum sim_source { SIM_QPOS, SIM_QVEL };
struct sim_term {
  enum sim_source source;
  uint32_t index;
  double scale, offset;       /* 1 and 0: as it is */
  double clip_low, clip_high; /* -INFINITY and INFINITY: not clipped */
};

/* One action dim: ctrl[index] = scale * a + offset. A control that no action drives stays 0. */
struct sim_control {
  uint32_t index;
  double scale, offset;
};

struct sim_layout {
  const char *mjcf; /* [mjcf_n] without a NUL; borrowed while sim_open runs */
  size_t mjcf_n;
  uint32_t frame_skip; /* physics steps for each step of the data */
  double time_step;    /* of a physics step in seconds; 0: the model's */
  uint32_t delay;      /* steps from an action to the step that it drives */
  uint32_t obs_dim, act_dim;
  struct sim_term obs[SIM_OBS_MAX];
  struct sim_control act[SIM_ACT_MAX];
};

/* Layout of a built-in environment: hopper, walker2d or halfcheetah. BAD_FIELD for any other. */
enum px_status sim_layout_builtin(const char *env, struct sim_layout *out,
                                  struct px_err *err) PX_MUST_CHECK;

struct sim;
/* BAD_DATA, in MuJoCo's words, for a model that does not load or cannot compute its first state.
 * BAD_FIELD at "observations[i]", "actions[j]" or a field's name for a layout that the model
 * does not have. */
enum px_status sim_open(const struct sim_layout *layout, struct sim **out,
                        struct px_err *err) PX_MUST_CHECK;
void sim_close(struct sim *sim);

/* std [O] of s' - s over all steps whose next state is known: the residual's unit. A dim that
 * never changes gets 1. */
void sim_spread(const struct px_dataset *ds, double *std);

struct sim_options {
  const double *std;     /* [O] sim_spread of the whole snapshot; borrowed */
  uint64_t seed;         /* of random restarts */
  uint32_t traj_base;    /* number in the snapshot of the dataset's trajectory 0 */
  uint32_t restarts;     /* random ones, at most; 0: also none at similar steps' actions */
  double verified_below; /* residual of a verified label */
  /* sim_fit.median of this model: what true actions leave; 0: not known */
  double replay_median;
  /* false: the first start is the label, and one simulated step judges it */
  bool solve;
};
/* std NULL, seed 0, 8 restarts, 1e-4, solve. */
struct sim_options sim_options_default(void);

/* Proxy actions for the steps of trajectories [traj_from, traj_to), in order; arrays as in
 * struct idm_labels. known is 0 where the next state (with a delay: the one after the step that
 * the action drives) is not in the data. */
struct sim_labels {
  uint32_t traj_from, traj_to, act_dim;
  uint64_t steps_n;
  float *actions;    /* [steps_n, A] in the dataset's action units, inside its declared range */
  float *std;        /* [steps_n, A] see above */
  float *epistemic;  /* [steps_n, A] 0 */
  float *score;      /* [steps_n] px_label_scores */
  uint8_t *known;    /* [steps_n] */
  float *residual;   /* [steps_n] FLT_MAX where every simulation was unstable */
  uint8_t *verified; /* [steps_n] */
  uint64_t known_n, verified_n, unstable_n;
  uint64_t simulations_n; /* simulated steps of the data */
};
/* All zero: nothing known yet. NULL when out of memory. */
struct sim_labels *sim_labels_new(const struct px_dataset *ds, uint32_t traj_from,
                                  uint32_t traj_to);
void sim_labels_free(struct sim_labels *labels);

/* Where the solver may begin: arrays of [steps of the range, A] in action units, borrowed. */
enum { SIM_STARTS_MAX = 2 };
struct sim_starts {
  uint32_t n;
  const float *actions[SIM_STARTS_MAX];
};

/* Labels every step of the range, labelled or not. starts may be NULL; the solver begins at the
 * better of the first and the label before, and at the second where that does not solve the step.
 * Without `solve` the first is the label. BAD_FIELD where
 * dataset and layout do not agree, or solve is false without a start; INTERNAL when MuJoCo
 * itself gives up, naming trajectory and step. Phase "label", steps done of all, about twice a
 * second. */
enum px_status sim_label(struct sim *sim, const struct sim_options *options,
                         const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                         const struct sim_starts *starts, const struct px_progress *progress,
                         struct sim_labels **out, struct px_err *err) PX_MUST_CHECK;

/* How well the model replays labelled steps, with their true actions and the state carried. */
struct sim_fit {
  uint32_t obs_dim;
  uint64_t steps_n;        /* replayed; those whose full state was not known are left out */
  uint64_t unstable_n;     /* of them: the simulation went unstable */
  double within;           /* share with a residual of at most verified_below */
  double median;           /* residual */
  double rms[SIM_OBS_MAX]; /* [O] of (f(x, a) - s') / std, at most 10; s' = s would give 1 */
};
enum { SIM_CHECK_STEPS = 20000 };

/* Replays labelled steps, evenly drawn trajectories of at most SIM_CHECK_STEPS steps in all.
 * NO_LABELS when there is no step to replay. Phase "check". */
enum px_status sim_check(struct sim *sim, const struct sim_options *options,
                         const struct px_dataset *ds, const struct px_progress *progress,
                         struct sim_fit *out, struct px_err *err) PX_MUST_CHECK;
/* BAD_DATA, with the worst dims and their numbers, unless the model explains the steps at all:
 * all stable but one in a hundred, and half of the steps within a residual of O / 10, a tenth of
 * the variance of s' - s. */
enum px_status sim_fit_judge(const struct sim_fit *fit, struct px_err *err) PX_MUST_CHECK;

#endif
