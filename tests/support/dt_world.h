/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world for tests of the Decision Transformer: trajectories of 1 to 40 steps; each keeps to
 * one action, which is its reward too. Everything fails the running test on error.
 */
#ifndef PX_TESTS_SUPPORT_DT_WORLD_H
#define PX_TESTS_SUPPORT_DT_WORLD_H

#include "lib/base/arena.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/rl/algo/dt.h"
#include "lib/rl/rl.h"
#include "tests/support/cu.h"

enum { DT_WORLD_OBS = 3, DT_WORLD_ACT = 2, DT_WORLD_TRAJ_N = 40, DT_WORLD_CLASSES = 3 };

struct dt_world {
  struct px_dataset ds;
  struct px_actions_merged u;
  struct px_arena *arena; /* for what trains on it */
};
void dt_world_open(struct dt_world *w, bool discrete);
void dt_world_close(struct dt_world *w);

void dt_world_set(struct rl_spec *spec, const char *name, double value);
/* A small transformer and small batches. */
struct rl_spec dt_world_spec(uint64_t updates);
/* A training with its first batch drawn; *data is the caller's. */
struct dt *dt_world_training(const struct dt_world *w, const struct rl_spec *spec,
                             struct rl_data **data);

#endif
