/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of later actions, collected into runs: see actions_parts.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/read/actions_parts.h"

void px_actions_rows_free(struct px_actions_rows *rows) {
  free(rows->actions);
  rows->actions = NULL;
}

enum px_status px_actions_rows_end(struct px_actions_rows *rows, struct px_err *err) {
  struct px_actions_run run = rows->run;
  if (!run.n) return PX_OK;
  rows->run.n = 0;
  run.actions = rows->actions;
  return rows->sink->put(rows->sink->ctx, &run, err);
}

enum px_status px_actions_rows_put(struct px_actions_rows *rows, uint64_t trajectory, uint64_t step,
                                   const float *action, struct px_err *err) {
  const uint32_t A = rows->r->spaces->act_dim;
  const struct px_actions_reading *what = rows->what;
  char place[64];
  if (what->steps && trajectory != what->trajectory)
    return px_fail_at(err, PX_E_BAD_DATA, "trajectory",
                      "the request is for trajectory %" PRIu64 ", and the file names %" PRIu64,
                      what->trajectory, trajectory);
  if (step >= PX_STEPS_MAX) {
    snprintf(place, sizeof place, "trajectory %" PRIu64 ", step %" PRIu64, trajectory, step);
    return px_fail_at(err, PX_E_BAD_DATA, place, "%s: a trajectory has at most %d steps", place,
                      PX_STEPS_MAX);
  }
  struct px_actions_run *run = &rows->run;
  if (run->n == PX_ACTIONS_RUN_MAX || run->trajectory != trajectory || run->step + run->n != step) {
    const enum px_status status = px_actions_rows_end(rows, err);
    if (status) return status;
    *run = (struct px_actions_run){ .trajectory = trajectory, .step = (uint32_t)step };
  }
  if (!rows->actions &&
      !(rows->actions = px_mem_calloc((size_t)PX_ACTIONS_RUN_MAX * A, sizeof(float))))
    return px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  memcpy(rows->actions + (size_t)run->n++ * A, action, A * sizeof *action);
  return PX_OK;
}

enum px_status px_actions_rows_whole(const struct px_actions_rows *rows, uint64_t n,
                                     struct px_err *err) {
  if (n == rows->what->steps) return PX_OK;
  (void)px_fail_at(err, PX_E_BAD_DATA, "actions",
                   "there are %" PRIu64 " actions, but trajectory %" PRIu64 " has %" PRIu32
                   " steps",
                   n, rows->what->trajectory, rows->what->steps);
  px_fail_hint(err, "Give one for each step, null or NaN where none is known, or say in `step` "
                    "which steps they are of.");
  return PX_E_BAD_DATA;
}
