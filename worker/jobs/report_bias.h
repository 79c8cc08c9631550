/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report's part on how systematic the labels' errors are (lib/idm/bias.h).
 * Used by report_labels.c.
 */
#ifndef PX_WORKER_JOBS_REPORT_BIAS_H
#define PX_WORKER_JOBS_REPORT_BIAS_H

#include "lib/base/fail.h"
#include "lib/idm/bias.h"
#include "worker/jobs/jobs.h"

/* Adds {bias_share, lean} to the document of the labels and to its inside and
 * outside, null where they are not known, and to the report's warnings
 * `labels_biased` where they are large. */
enum px_status report_bias(struct job *job, struct idm_bias *bias, const struct idm_quality *q,
                           json_t *label, json_t *report, struct px_err *err) PX_MUST_CHECK;

#endif
