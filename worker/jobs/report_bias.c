/* SPDX-License-Identifier: Apache-2.0 */
/* The report's part on systematic errors: see report_bias.h. */
#include "worker/jobs/report_bias.h"

#include <math.h>

#include "lib/base/fail.h"
#include "lib/base/warn.h"

/* A constant offset of 0.05 on one of hopper's joints, a root mean square of 0.03 over its three,
 * costs a clone more than half of its return. */
static const double rms_least = 0.05, share_least = 0.3, lean_least = 0.1;

static void add(json_t *found, const struct idm_bias_figures *f) {
  if (!json_is_object(found)) return; /* no step of that part was judged */
  json_object_set_new(found, "bias_share", px_json_number(f->bias_share));
  json_object_set_new(found, "lean", px_json_number(f->lean));
}

static void warn(const struct idm_bias_figures *f, double mse, json_t *report) {
  const double rms = sqrt(f->bias_share * mse);
  const bool biased = f->bias_share >= share_least && rms >= rms_least,
             leans = f->lean >= lean_least;
  if (!biased && !leans) return;
  json_t *found =
    px_warn(report, PX_W_LABELS_BIASED,
            "%.0f%% of the labels' squared error is bias, of size %.2g, and labels"
            " lean %.0f%% of the way from the true action to what the labelled policy would do",
            100 * f->bias_share, rms, 100 * f->lean);
  px_warn_figure(found, "bias_share", f->bias_share);
  px_warn_figure(found, "bias_rms", rms);
  px_warn_figure(found, "lean", f->lean);
}

enum px_status report_bias(struct job *job, struct idm_bias *bias, const struct idm_quality *q,
                           json_t *label, json_t *report, struct px_err *err) {
  struct idm_bias_figures parts[IDM_QUALITY_PARTS_N];
  struct idm_quality_figures all;
  const enum px_status status = idm_bias_measure(bias, q, &job->progress, parts, err);
  if (status) return status;
  idm_quality_figures(q, IDM_ALL, &all);
  add(label, &parts[IDM_ALL]);
  add(json_object_get(label, "inside"), &parts[IDM_INSIDE]);
  add(json_object_get(label, "outside"), &parts[IDM_OUTSIDE]);
  if (!isnan(parts[IDM_ALL].bias_share) && !isnan(parts[IDM_ALL].lean))
    warn(&parts[IDM_ALL], all.mse, report);
  return PX_OK;
}
