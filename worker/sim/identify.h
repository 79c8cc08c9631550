/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System identification: the numbers of a model that its maker only estimated, fitted on labelled
 * steps. Used by label jobs before they trust a model, and by the bench.
 *
 * A few factors on whole groups of the model's numbers, since labels are few: a step's residual
 * (sim.h) with the true action, over some thousand labelled steps, is made small by Gauss-Newton
 * over the factors' logarithms. Steps count by Cauchy's weight 1 / (1 + residual / median), for
 * near a contact one is chaotic. A weak prior, a standard deviation of 0.5 about 1 for each factor,
 * decides what the data leave open: masses, gains, damping and armature all twice as large move
 * alike.
 *
 * Nothing is owned. Thread safety as a sim's. The same data give the same numbers.
 */
#ifndef PX_SIM_IDENTIFY_H
#define PX_SIM_IDENTIFY_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "worker/sim/sim.h"

/* What a factor multiplies. mass: body masses and inertias. gain: the actuators' gain and bias.
 * damping and armature: of joints. friction: of geoms and pairs, all coefficients. time_step: of
 * a physics step. */
enum sim_factor {
  SIM_MASS,
  SIM_GAIN,
  SIM_DAMPING,
  SIM_ARMATURE,
  SIM_FRICTION,
  SIM_TIME_STEP,
  SIM_FACTORS_N
};
extern const char *const sim_identify_factor_name[SIM_FACTORS_N];

struct sim_adjustment {
  double factor[SIM_FACTORS_N]; /* above 0; 1: the model's own */
  uint32_t delay;               /* in place of the layout's */
};
enum { SIM_IDENTIFY_STEPS = 2000 };
#define SIM_FACTOR_LEAST 0.1
#define SIM_FACTOR_MOST 10.0

/* No adjustment: what sim_open gives. */
struct sim_adjustment sim_identify_none(const struct sim *sim);
/* Sets the model's numbers to the factors times those it was opened with. BAD_FIELD for a factor
 * outside [SIM_FACTOR_LEAST, SIM_FACTOR_MOST] or a delay above SIM_DELAY_MAX. */
enum px_status sim_identify_adjust(struct sim *sim, const struct sim_adjustment *to,
                                   struct px_err *err) PX_MUST_CHECK;

struct sim_identified {
  struct sim_adjustment adjustment;
  double std[SIM_FACTORS_N]; /* of log(factor), by the curvature: 0.5 where data say nothing */
  double median_before, median_after; /* residual of the replayed steps */
  uint64_t steps_n;                   /* replayed at a time */
};

/* Scans delays from 0 to delay_max and time steps of half, one and two times the model's, then
 * fits the factors. The sim is left adjusted, or as it was where that does not fit better.
 * NO_LABELS when no step can be replayed. Phase "identify". */
enum px_status sim_identify(struct sim *sim, const struct sim_options *options,
                            const struct px_dataset *ds, uint32_t delay_max,
                            const struct px_progress *progress, struct sim_identified *out,
                            struct px_err *err) PX_MUST_CHECK;

#endif
