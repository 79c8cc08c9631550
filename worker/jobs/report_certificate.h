/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report's certificate of a simulator's labels: how many of them the simulator explains,
 * whether or not any true action is known to judge them by. Used by report_labels.c.
 */
#ifndef PX_WORKER_JOBS_REPORT_CERTIFICATE_H
#define PX_WORKER_JOBS_REPORT_CERTIFICATE_H

#include "lib/base/fail.h"
#include "worker/jobs/jobs.h"

/* Adds certificate {verified_share, mean_residual, verified_steps, simulator_steps, threshold} to
 * `label`, as the label set has them, and to the report what the label job warned of and that few
 * labels are verified. */
enum px_status report_certificate(struct job *job, const char *label_set, json_t *label,
                                  json_t *report, struct px_err *err) PX_MUST_CHECK;

#endif
