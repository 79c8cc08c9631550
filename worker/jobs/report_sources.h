/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels by source: how good and how certain they are for the trajectories of each upload's source.
 * Used by report_judging.c; one thread at a time.
 */
#ifndef PX_WORKER_JOBS_REPORT_SOURCES_H
#define PX_WORKER_JOBS_REPORT_SOURCES_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "worker/jobs/jobs.h"

struct report_sources;
/* *out is NULL where no trajectory names a source. Both datasets are borrowed. */
enum px_status report_sources_new(struct job *job, const struct px_dataset *truth,
                                  const struct px_dataset *visible, struct report_sources **out,
                                  struct px_err *err) PX_MUST_CHECK;
void report_sources_free(struct report_sources *sources);
/* The labels of trajectories [from, to). */
void report_sources_add(struct report_sources *sources, uint32_t from, uint32_t to,
                        const struct px_label_rows *rows);
/* [{source, trajectories, labels, mean_score, transitions, mse, r2}], mse and r2 over the
 * `transitions` whose true action is known and no labeller saw; of discrete actions accuracy. */
json_t *report_sources_document(const struct report_sources *sources);

#endif
