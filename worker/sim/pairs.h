/* Transitions that the simulator makes from the data's own states: see net.h. For the files of
 * this folder only. */
#ifndef PX_SIM_PAIRS_H
#define PX_SIM_PAIRS_H

#include "worker/sim/model.h"

/* x [n, 2 O]: s, s' - s; u [n, A]. A pair is a function of model, data, seed and its number.
 * After sim_prepare. BAD_DATA when no start of a hundred in a row is stable. Phase "simulate". */
enum px_status sim_pairs(struct sim *sim, const struct px_dataset *ds, uint64_t seed, uint32_t n,
                         const struct px_progress *progress, float *x, float *u,
                         struct px_err *err) PX_MUST_CHECK;

#endif
