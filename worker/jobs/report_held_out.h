/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the members of the ensemble found in training, on the trajectories that each held out. Used
 * by report_labels.c.
 */
#ifndef PX_WORKER_JOBS_REPORT_HELD_OUT_H
#define PX_WORKER_JOBS_REPORT_HELD_OUT_H

#include "lib/base/fail.h"
#include "worker/jobs/report_judging.h"

/* *out: the result of each member's training, the caller's. Its warnings become the report's, but
 * for those that the report judges itself. */
enum px_status report_held_out_members(struct job *job, json_t *report, json_t **out,
                                       struct px_err *err) PX_MUST_CHECK;
/* Nothing was hidden: the members' own held-out folds, weighted by size. *out, basis "held_out", is
 * the caller's. */
enum px_status report_held_out_document(const struct report_judging *j, const json_t *members,
                                        json_t **out, struct px_err *err) PX_MUST_CHECK;

#endif
