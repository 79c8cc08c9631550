/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that make a plan share. Everybody else sees plan.h.
 *
 *   plan.c            checks a spec and expands it into its stages
 *   plan_defaults.c   fills in what the spec leaves open
 *   plan_labels.c     a label job with its shards
 *   plan_runs.c       the policies of a pipeline
 *   plan_jobs.c       the jobs themselves, and which needs which
 */
#ifndef PX_FLOW_PLAN_PARTS_H
#define PX_FLOW_PLAN_PARTS_H

#include <jansson.h>

#include "lib/base/fail.h"
#include "lib/flow/plan.h"

/* Within a pipeline the jobs that most others wait for go first. */
enum { PLAN_FIRST = 3, PLAN_SECOND = 2, PLAN_THIRD = 1 };

struct planner {
  const struct flow_snapshot *snapshot;
  struct flow_plan *plan;
  const char *parent; /* "" for none */
};

/* Adds a job and takes `spec` over. Defaults are filled in, so that the job's spec says all that it
 * will use. *at is the job's index: the array moves when it grows. */
enum px_status plan_add(struct planner *p, enum flow_kind kind, json_t *spec, int urgency,
                        size_t *at, struct px_err *err, const char *name, ...) PX_PRINTF(7, 8);
enum px_status plan_no_memory(struct px_err *err);
/* The parts that every job of a pipeline takes from it; NULL without memory. */
json_t *plan_base(const json_t *from, bool masked);
/* The id of what job_x makes: mdl_x, ls_x. */
void plan_result_id(const char *prefix, const char *job_id, char out[FLOW_ID_MAX]);
/* Whether the spec's mask hides anything. */
bool plan_hides(const json_t *spec);

/* The job needs another one, once; by its id, or its index. */
enum px_status plan_need(struct flow_job *job, const char *id, struct px_err *err);
enum px_status plan_need_job(struct planner *p, size_t at, size_t needed, struct px_err *err);

/* A copy of `given` with the defaults that discrete actions have, or trajectories without rewards.
 * NULL without memory. */
json_t *plan_defaults(enum flow_kind kind, const json_t *given,
                      const struct flow_snapshot *snapshot);
/* Fills in the snapshot and the dataset's simulator. */
enum px_status plan_complete(enum flow_kind kind, json_t *spec,
                             const struct flow_snapshot *snapshot, struct px_err *err);

/* A label job with its shards. `spec` is a checked label spec; `mask` (NULL: none) hides true
 * actions from a simulator's check. The label job is at *at; what it needs comes after it. */
enum px_status plan_add_label(struct planner *p, const json_t *spec, const json_t *mask,
                              int urgency, size_t *at, struct px_err *err);

/* Adds the pipeline's policies, their evaluations by rollouts and from data, and appends each to
 * `runs`, which the report reads. A policy whose `labels` is auto becomes one run for each choice
 * of labels that is compared, or follows a rehearse job, whose id is given in `rehearsal`, ""
 * before (docs/policies.md). */
enum px_status plan_add_runs(struct planner *p, const json_t *spec, const char *label_set,
                             json_t *runs, char rehearsal[FLOW_ID_MAX], struct px_err *err);

#endif
