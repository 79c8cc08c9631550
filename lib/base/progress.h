/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long work tells how far it is, and hears that it should stop.
 *
 * Whoever starts the work owns the struct; the work calls px_progress_report at
 * least once a second and gives up with the status it returns. Used by readers,
 * trainers, labellers and rollouts, so that none of them knows about jobs.
 */
#ifndef PX_BASE_PROGRESS_H
#define PX_BASE_PROGRESS_H

#include <stdint.h>

#include "lib/base/status.h"

struct px_metric {
  const char *name;
  double value;
};

struct px_progress {
  void *ctx;
  /* phase: a short word ("train", "validate"); step of total; metrics may be
   * NULL. CANCELLED or FENCED asks the work to stop and return that status. */
  enum px_status (*report)(void *ctx, const char *phase, int64_t step, int64_t total,
                           const struct px_metric *metrics, size_t metrics_n);
};

/* A NULL progress, or one without a function, never stops anything. */
static inline enum px_status px_progress_report(const struct px_progress *progress,
                                                const char *phase, int64_t step, int64_t total,
                                                const struct px_metric *metrics, size_t metrics_n) {
  return progress && progress->report
           ? progress->report(progress->ctx, phase, step, total, metrics, metrics_n)
           : PX_OK;
}

#endif
