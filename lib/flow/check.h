/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes together, checked before any work: a spec's options against each other, against what
 * the kernels need, against the dataset's dimensions and kind of actions, and against the results
 * that it names.
 *
 * flow_plan calls it, so that POST /v1/jobs, POST /v1/pipelines, their dry runs and retries refuse
 * the same things at the same places. Pure, but for the snapshot's `find`.
 */
#ifndef PX_FLOW_CHECK_H
#define PX_FLOW_CHECK_H

#include "lib/base/fail.h"
#include "lib/flow/plan.h"

/* `given` is what the user wrote, `spec` the same with defaults and snapshot filled in. BAD_FIELD,
 * NOT_FOUND or DEPENDENCY_FAILED at the JSON pointer of the field; pointers begin with /spec. */
enum px_status flow_check(enum flow_kind kind, const json_t *given, const json_t *spec,
                          const struct flow_snapshot *snapshot, struct px_err *err) PX_MUST_CHECK;

/* Whether a pipeline's policies are judged so: "evaluate" or "ope". */
bool flow_check_evaluated_by(const json_t *spec, const char *how);
/* What the report calls a policy. */
const char *flow_check_policy_name(const json_t *policy);

#endif
