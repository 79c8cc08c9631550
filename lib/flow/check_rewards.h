/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What needs rewards, refused before any work where some trajectories have none: algorithms that
 * learn from them, choices by return, and fitted Q evaluation with options of its own. Part of
 * flow_check (check.h). Pure.
 */
#ifndef PX_FLOW_CHECK_REWARDS_H
#define PX_FLOW_CHECK_REWARDS_H

#include "lib/base/fail.h"
#include "lib/flow/plan.h"

/* NO_REWARDS at the field. `given` is what the user wrote, `spec` the same with defaults. */
enum px_status flow_check_rewards(enum flow_kind kind, const json_t *given, const json_t *spec,
                                  const struct flow_snapshot *snapshot,
                                  struct px_err *err) PX_MUST_CHECK;

#endif
