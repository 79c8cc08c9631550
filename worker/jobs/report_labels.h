/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report's part on labels: how good they are, and what simpler models make
 * of the same. Used by job_report.c.
 */
#ifndef PX_WORKER_JOBS_REPORT_LABELS_H
#define PX_WORKER_JOBS_REPORT_LABELS_H

#include "lib/base/fail.h"
#include "worker/jobs/jobs.h"

/* Adds `label` to the report. Where the mask hid known actions (basis
 * "hidden"): {label_set, basis, transitions, mse, r2, r2_per_dim, nll,
 * coverage {50, 80, 95}, bias_share, lean, inside, outside {transitions, mse, r2,
 * coverage, bias_share, lean}, yardsticks
 * {mean, ridge, nearest: {mse, r2, inside, outside}}}. Otherwise (basis
 * "held_out"): mse and r2 of the members on the labelled trajectories each held
 * out, and yardsticks {mean, ridge, nearest: {transitions, mse}} there. Errors
 * are in actions mapped to (-1, 1); r2 is null where true actions do not differ.
 *
 * labeller says who made the set: idm or simulator. Of a simulator's set, mse and r2 are of the
 * labels as published, and labellers {simulator, verified: {transitions, share, mse, r2}, idm} of
 * the simulator's own, of those that it verified, and of what the models alone say on the same
 * steps. Where nothing was hidden its basis is "known": all true actions judge it, since it looked
 * at none; labellers.idm is then what is held out (basis "held_out"). certificate: see
 * report_certificate.h. `warnings` gets what the members warned of, and what is doubtful here. */
enum px_status report_labels(struct job *job, json_t *report, struct px_err *err) PX_MUST_CHECK;

#endif
