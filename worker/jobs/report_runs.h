/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report's part on policies: returns by algorithm and variant, pooled over
 * seeds. Used by job_report.c.
 */
#ifndef PX_WORKER_JOBS_REPORT_RUNS_H
#define PX_WORKER_JOBS_REPORT_RUNS_H

#include "lib/base/fail.h"
#include "worker/jobs/jobs.h"

/* Reads the evaluations that the spec's `runs` name and adds to `report`:
 *   runs        [{variant, policy, seed, model, true_transitions, proxy_transitions, true_share,
 *                 return_mean, ...}]
 *   candidates  runs like these, of labels that were compared and not chosen; in no summary
 *   algorithms  {td3bc: {ss: summary, labelled_only: summary, oracle: summary}}
 *   policies    the summaries of the only algorithm; with several, as `algorithms`
 *   warnings    what the runs' own jobs warned of, and what is doubtful here
 * where a summary is {return_mean, return_ci95, ci95_over, normalized, episodes, seeds, models}
 * and, under ss, `gap` = (oracle - ss) / oracle in normalised score: above 0 where ss is worse;
 * null where the oracle's is below 1 of 100. Where labels were compared, ss also has `labels`
 * (report_choice.h). The interval is Student's t over the
 * seeds' means, or over the episodes when there is one seed (figures.h). */
enum px_status report_runs(struct job *job, json_t *report, struct px_err *err) PX_MUST_CHECK;

#endif
