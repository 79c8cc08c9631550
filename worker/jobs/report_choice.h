/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which labels a pipeline's policies should learn from: the report's choice
 * where `labels` is auto. Used by report_runs.c.
 *
 * Each algorithm was trained with every kind of labels compared, and each policy
 * played episodes that only this choice sees (`selection`). The kind with the
 * highest mean return over seeds is chosen, so that proxies are used where they
 * help and left out where they do not. The final figure is of other episodes:
 * the best of several means over the same episodes would be flattered.
 */
#ifndef PX_WORKER_JOBS_REPORT_CHOICE_H
#define PX_WORKER_JOBS_REPORT_CHOICE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/fail.h"

/* Whether the run is one of several that differ in their labels. */
bool report_choice_compared(const json_t *run);
/* Of such runs of `algo`: sets `chosen` in each, and gives {chosen, by, considered: [{labels,
 * selection_return_mean, return_mean}]}, means over seeds; NULL where there are none. Each run has
 * selection_return_mean and return_mean. */
json_t *report_choice_make(json_t *runs, const char *algo);
/* Parts the runs by `chosen`, which they lose: those behind the report's figures, and those whose
 * labels another kind beat. New references. */
enum px_status report_choice_split(json_t *runs, json_t **out_runs, json_t **out_candidates,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
