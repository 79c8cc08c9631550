/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D4RL files as datasets, the way an upload goes, for tests and benchmarks on
 * real data (folder PROXACT_DATA). The caller owns what is returned.
 */
#ifndef PX_TESTS_SUPPORT_D4RL_H
#define PX_TESTS_SUPPORT_D4RL_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"

/* Actions in [-1, 1], dimensions as in the file. The calling program must begin
 * with helpers_main (tests/support/helpers.h). */
enum px_status d4rl_load(const char *path, struct px_dataset **out,
                         struct px_err *err) PX_MUST_CHECK;
/* Hides the actions of all but the share p of the trajectories, drawn from the lowest q by
 * return. */
enum px_status d4rl_hide(struct px_dataset *ds, double p, double q, uint64_t seed,
                         struct px_err *err) PX_MUST_CHECK;

#endif
