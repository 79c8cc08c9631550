/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A label set against true actions that the labellers did not see: those that the mask hid, or all
 * of them where a simulator labelled. Used by report_labels.c. What is judged is borrowed.
 */
#ifndef PX_WORKER_JOBS_REPORT_JUDGING_H
#define PX_WORKER_JOBS_REPORT_JUDGING_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/bias.h"
#include "lib/idm/quality.h"
#include "worker/jobs/jobs.h"
#include "worker/jobs/report_sources.h"

/* A set that a simulator took part in is judged by parts too: its own labels, and those of them
 * that it verified. */
enum report_judging_part {
  REPORT_JUDGING_WHOLE,
  REPORT_JUDGING_SIMULATED,
  REPORT_JUDGING_VERIFIED,
  REPORT_JUDGING_PARTS_N
};

struct report_judging {
  struct job *job;
  const struct px_dataset *truth;
  struct px_dataset *visible; /* without what the mask hides */
  const char *label_set;
  json_t *report; /* gets warnings */
  /* found by report_judging_read */
  struct idm_quality *quality[REPORT_JUDGING_PARTS_N];
  struct idm_quality_figures all; /* of the whole */
  struct report_sources *sources; /* of the whole; NULL: there are none */
  struct idm_bias *bias;          /* of the whole; NULL: actions are discrete */
  uint8_t *chosen;                /* [chosen_n] steps of one segment */
  uint64_t chosen_n;
  bool simulated;
};

/* Reads the labels; what was allocated is freed by report_judging_free, after a failure too. */
enum px_status report_judging_read(struct report_judging *j, struct px_err *err) PX_MUST_CHECK;
void report_judging_free(struct report_judging *j);

/* What was hidden is known: labels and baselines against it. *out, basis "hidden", is the
 * caller's. */
enum px_status report_judging_hidden(const struct report_judging *j, json_t **out,
                                     struct px_err *err) PX_MUST_CHECK;
/* Nothing was hidden, but a simulator looks at no true action: all known ones judge its labels.
 * `visible` loses them. held: what is said of the models' folds. *out, basis "known", is the
 * caller's. */
enum px_status report_judging_known(const struct report_judging *whole, json_t *held, json_t **out,
                                    struct px_err *err) PX_MUST_CHECK;

#endif
