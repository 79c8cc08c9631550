/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world for tests of inverse dynamics models: s' = s + B a, actions in
 * [-2, 2]; trajectory i has i % 3 + 8 steps, and of every third the state after
 * the last step is unknown. And models trained on it.
 */
#ifndef PX_TESTS_SUPPORT_IDM_WORLD_H
#define PX_TESTS_SUPPORT_IDM_WORLD_H

#include "lib/base/buf.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"

enum { WORLD_O = 3, WORLD_A = 2, WORLD_TRAJS = 12, WORLD_LONGEST = 10 };

/* Only the first `labelled_trajs` trajectories are labelled; the actions of the others are 0. */
struct px_dataset *world_new(uint32_t labelled_trajs);
void world_free(struct px_dataset *ds);

/* The fast profile with 2 x 32 units, batch 64, a validation every 10 steps, seed 5. */
struct idm_spec world_spec(uint32_t members, uint32_t steps);
/* A CUnit fatal failure if it cannot be trained. */
struct idm_model *world_trained(const struct px_dataset *ds, const struct idm_spec *spec,
                                uint32_t member, struct idm_metrics *metrics);
/* The model's file. */
struct px_buf world_saved(const struct idm_model *model);

#endif
