/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labelled steps simulated with their true actions, the state carried: what checks a model and what
 * fits its numbers. For the files of this folder only. One thread.
 */
#ifndef PX_SIM_REPLAY_H
#define PX_SIM_REPLAY_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "worker/sim/model.h"

struct sim_replay {
  struct sim *sim; /* after sim_model_prepare */
  const struct px_dataset *ds;
  uint64_t steps_max;
  const struct px_progress *progress;
  /* Step i of those whose action is known, in order; which ones they are depends on data, delay
   * and steps_max alone. point is NULL where the full state before it is not known. */
  void (*visit)(void *ctx, uint64_t i, const struct sim_point *point);
  void *ctx;
};

/* Replays every so many-th labelled trajectory, at most about steps_max steps. Phase "check",
 * in steps. */
enum px_status sim_replay(const struct sim_replay *replay, struct px_err *err) PX_MUST_CHECK;

#endif
