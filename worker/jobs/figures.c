/* SPDX-License-Identifier: Apache-2.0 */
/* Means, intervals and values for documents: see figures.h. */
#include "worker/jobs/figures.h"

#include <math.h>

#include "lib/base/warn.h"
#include "worker/env/rollout.h"

json_t *figures_interval(const double *x, uint32_t n, const char *name, const char *over,
                         json_t *document, double *mean) {
  double ci95[2];
  px_rollout_ci95(x, n, mean, ci95);
  if (n < FIGURES_INTERVAL_LEAST) {
    json_t *found =
      n == 1
        ? px_warn(document, PX_W_NO_INTERVAL,
                  "%s is over 1 of its %s: it has no interval, whose ends are the value itself",
                  name, over)
        : px_warn(document, PX_W_NO_INTERVAL,
                  "%s is over %u %s, too few for an interval, which is null", name, n, over);
    px_warn_figure(found, "values", n);
  }
  if (n == 2) return json_null();
  if (!isfinite(ci95[0]) || !isfinite(ci95[1]))
    px_warn(document, PX_W_NOT_FINITE,
            "the interval of %s is null: the values differ by more than a double holds", name);
  return json_pack("[o, o]", px_json_number(ci95[0]), px_json_number(ci95[1]));
}

/* How many of x [n] are further beyond the bounds than approximation explains; the others are
 * clipped. */
static uint32_t clip(double *x, uint32_t n, struct fqe_bounds bounds) {
  const double slack = FQE_SLACK * fmax(isfinite(bounds.low) ? fabs(bounds.low) : 0,
                                        isfinite(bounds.high) ? fabs(bounds.high) : 0);
  uint32_t beyond = 0;
  for (uint32_t i = 0; i < n; i++) {
    const bool within = isfinite(x[i]) && x[i] >= bounds.low - slack && x[i] <= bounds.high + slack;
    beyond += !within;
    if (within) x[i] = fmin(fmax(x[i], bounds.low), bounds.high);
  }
  return beyond;
}

static double mean_of(const double *x, uint32_t n) {
  double sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += x[i];
  return sum / n;
}

json_t *figures_values(double *x, uint32_t n, struct fqe_bounds bounds, const char *name,
                       json_t *document) {
  double mean = mean_of(x, n);
  const uint32_t beyond = clip(x, n, bounds);
  if (beyond == 0) {
    json_t *ci95 = figures_interval(x, n, name, "trajectories", document, &mean);
    return json_pack("{s:o, s:o}", "mean", px_json_number(mean), "ci95", ci95);
  }
  json_t *found = px_warn(document, PX_W_VALUE_REFUSED,
                          "%s is no estimate: the rewards allow values from %.6g to %.6g, and for "
                          "%u of %u trajectories it lies beyond"
                          " (its mean was %.6g)",
                          name, bounds.low, bounds.high, beyond, n, mean);
  px_warn_figure(found, "least", bounds.low);
  px_warn_figure(found, "most", bounds.high);
  px_warn_figure(found, "beyond", beyond);
  px_warn_figure(found, "mean", mean);
  return json_pack("{s:n, s:n}", "mean", "ci95");
}

void figures_warn_no_better(const struct idm_quality_figures *idm,
                            const struct idm_quality_figures *best, const char *name, bool discrete,
                            json_t *document) {
  const char *what = discrete ? "accuracy" : "mean squared error";
  const double ours = discrete ? idm->accuracy : idm->mse,
               theirs = discrete ? best->accuracy : best->mse;
  json_t *found =
    px_warn(document, PX_W_IDM_NO_BETTER,
            "the inverse dynamics model is no better than the yardstick `%s`: %s %.4g against"
            " %.4g over %llu transition%s",
            name, what, ours, theirs, (unsigned long long)idm->n, idm->n == 1 ? "" : "s");
  px_warn_figure(found, discrete ? "accuracy" : "mse", ours);
  px_warn_figure(found, discrete ? "yardstick_accuracy" : "yardstick_mse", theirs);
  px_warn_figure(found, "transitions", (double)idm->n);
}
