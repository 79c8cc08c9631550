/*
 * The solver of one step: which u in the box brings sim->x to the target. For the files of this folder only.
 *
 * Levenberg-Marquardt with finite differences; variables at a bound whose gradient points outside stay there. The
 * Jacobian of the step before is a good one while contacts stay as they are, so it is taken first, corrected by each
 * simulation (Broyden 1965), and computed anew only where it does not lead on.
 */
#ifndef PX_SIM_SOLVE_H
#define PX_SIM_SOLVE_H

#include "lib/base/rng.h"
#include "worker/sim/model.h"

/* false when out of memory. */
bool sim_work_new(struct sim *sim) PX_MUST_CHECK;
void sim_work_free(struct sim *sim);

/* A trajectory begins: no Jacobian is known. */
void sim_solve_forget(struct sim *sim);
/* The best point found, in sim's work until the next call, from starts [starts_n, A], each of which is simulated, then
 * from up to `restarts` other ones while the residual is above `enough`. Inside a guard. */
const struct sim_point *sim_solve(struct sim *sim, const float *target, const double *starts, uint32_t starts_n,
                                  uint32_t restarts, double enough, struct px_rng *rng);
/* Standard deviations [A] in units of u (sim.h) of the point that sim_solve gave, of at most 2 / sqrt(12). */
void sim_solve_std(struct sim *sim, const float *target, double *std);

#endif
