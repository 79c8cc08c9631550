/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The solver of one step: which u in the box brings sim->x to the target. For the files of this
 * folder only.
 *
 * Levenberg-Marquardt with finite differences; variables at a bound whose gradient points outside
 * stay there. The Jacobian of the step before is a good one while contacts stay as they are, so it
 * is taken first, corrected by each simulation (Broyden 1965), and computed anew only where it does
 * not lead on.
 */
#ifndef PX_SIM_SOLVE_H
#define PX_SIM_SOLVE_H

#include "worker/sim/model.h"

/* false when out of memory. */
bool sim_solve_work_new(struct sim *sim) PX_MUST_CHECK;
void sim_solve_work_free(struct sim *sim);

/* A trajectory begins: no Jacobian is known. */
void sim_solve_forget(struct sim *sim);
/* A step begins: descends from the best of starts [n, A], all of which are simulated. The point
 * is sim's until the next call. Inside a guard, as the next. */
const struct sim_point *sim_solve(struct sim *sim, const float *target, const double *starts,
                                  uint32_t n);
/* The same step once more from start [A]: the best point so far. */
const struct sim_point *sim_solve_again(struct sim *sim, const float *target, const double *start);
/* start [A] as it is, with the Jacobian there. */
const struct sim_point *sim_solve_judge(struct sim *sim, const float *target, const double *start);
/* Standard deviations [A] in units of u (sim.h) of the best point, of at most 2 / sqrt(12), as
 * if its residual were at least `least`. */
void sim_solve_std(struct sim *sim, double least, double *std);

#endif
