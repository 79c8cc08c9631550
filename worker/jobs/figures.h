/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures as results and reports show them: means with intervals, and values
 * that the rewards allow. What cannot be told is null or left out, and a
 * warning in the document says why (lib/base/warn.h). Used by the jobs that
 * judge. Nothing is kept; documents that are returned belong to the caller.
 */
#ifndef PX_WORKER_JOBS_FIGURES_H
#define PX_WORKER_JOBS_FIGURES_H

#include <jansson.h>
#include <stdint.h>

#include "lib/idm/quality.h"
#include "lib/rl/fqe.h"

/* Of fewer transitions a mean is left to chance. */
enum { FIGURES_FEW_TRANSITIONS = 50 };
/* Of fewer values there is no interval: with two, Student's t is 12.7 and the two may lie
 * anywhere. */
enum { FIGURES_INTERVAL_LEAST = 3 };

/* The 95% interval of the mean of x [n], n > 0, as [low, high] (px_rollout_ci95),
 * and the mean. Of two values null, of one [it, it]; then `document` warns that
 * there is no interval of `name` (such as "return_mean") over `over` ("seeds"). */
json_t *figures_interval(const double *x, uint32_t n, const char *name, const char *over,
                         json_t *document, double *mean);

/* {mean, ci95} of discounted values x [n], one for each trajectory's first state.
 * No policy can earn less or more than `bounds`: a value that is beyond them by
 * at most FQE_SLACK of the larger bound is taken as that bound, and further
 * beyond both are null and `document` warns that `name` was refused. */
json_t *figures_values(double *x, uint32_t n, struct fqe_bounds bounds, const char *name,
                       json_t *document);

/* `document` warns that labels with these figures are no better than those of a simple model of
 * that name. */
void figures_warn_no_better(const struct idm_quality_figures *idm,
                            const struct idm_quality_figures *best, const char *name, bool discrete,
                            json_t *document);

#endif
