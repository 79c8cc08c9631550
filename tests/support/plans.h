/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans for tests of lib/flow: a data set as a planner sees it, and questions to a plan. For one
 * thread; nothing is owned.
 */
#ifndef PX_TESTS_SUPPORT_PLANS_H
#define PX_TESTS_SUPPORT_PLANS_H

#include <stdbool.h>

#include "lib/flow/plan.h"

/* The members of a spec that every spec has. */
#define PLANS_DS "\"dataset\": \"ds_00000000000000000001\""

/* 100 whole, labelled trajectories of hopper in 10 segments; ids of jobs count from 0 again. */
struct flow_snapshot plans_snapshot(void);
/* flow_plan of a spec in JSON. */
enum px_status plans_of(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                        struct flow_plan *plan, struct px_err *err);
int plans_count(const struct flow_plan *plan, enum flow_kind kind);
/* NULL: there is none of that name. */
const struct flow_job *plans_job(const struct flow_plan *plan, const char *name);
bool plans_needs(const struct flow_job *job, const struct flow_job *other);

#endif
