/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/plans.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/cu.h"

static int next_id;
static void numbered_id(char id[FLOW_ID_MAX]) { snprintf(id, FLOW_ID_MAX, "job_%05d", next_id++); }

struct flow_snapshot plans_snapshot(void) {
  next_id = 0;
  return (struct flow_snapshot){ .segments_n = 10,
                                 .trajectories_n = 100,
                                 .labelled_trajectories_n = 100,
                                 .whole_trajectories_n = 100,
                                 .size = { .trajectories_n = 100 },
                                 .env = "hopper",
                                 .obs_dim = 11,
                                 .act_dim = 3,
                                 .new_id = numbered_id };
}

enum px_status plans_of(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                        struct flow_plan *plan, struct px_err *err) {
  json_t *json = json_loads(spec, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  const enum px_status status = flow_plan(kind, json, s, plan, err);
  json_decref(json);
  return status;
}

int plans_count(const struct flow_plan *plan, enum flow_kind kind) {
  int n = 0;
  for (size_t i = 0; i < plan->n; i++) n += plan->jobs[i].kind == kind;
  return n;
}

const struct flow_job *plans_job(const struct flow_plan *plan, const char *name) {
  for (size_t i = 0; i < plan->n; i++)
    if (strcmp(plan->jobs[i].name, name) == 0) return &plan->jobs[i];
  return NULL;
}

bool plans_needs(const struct flow_job *job, const struct flow_job *other) {
  for (size_t i = 0; i < job->needs_n; i++)
    if (strcmp(job->needs[i], other->id) == 0) return true;
  return false;
}
