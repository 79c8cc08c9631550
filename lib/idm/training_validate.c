/* SPDX-License-Identifier: Apache-2.0 */
/* Judging iterates on the member's own fold: see training.h. */
#include <math.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/idm/loss.h"
#include "lib/idm/training.h"
#include "lib/idm/window.h"

static const double report_every_s = 0.5;

enum px_status idm_training_tell(struct idm_training *t, const char *phase) {
  const double now_s = px_clock_s();
  t->seconds += now_s - t->since_s;
  t->since_s = now_s;
  if (now_s - t->reported_s < report_every_s) return PX_OK;
  t->reported_s = now_s;
  const struct px_metric judged = t->model->act_count
                                    ? (struct px_metric){ "val_accuracy", 1 - t->seen.val_mse }
                                    : (struct px_metric){ "val_mse", t->seen.val_mse };
  const struct px_metric metrics[] = { { "loss", t->seen.loss }, judged };
  const uint64_t step = t->place.round * t->steps_max + t->place.step;
  const uint64_t total = (t->model->spec.rounds + 1) * (uint64_t)t->steps_max;
  return px_progress_report(t->progress, phase, (int64_t)step, (int64_t)total, metrics,
                            isfinite(t->seen.val_mse) ? 2 : 1);
}

/* Adds every stride-th held-out transition of [from, to) to the sums. */
static enum px_status add_rows(struct idm_training *t, uint32_t from, uint32_t to,
                               uint32_t stride) {
  const struct idm_model *model = t->model;
  for (uint32_t at = from; at < to;) {
    uint32_t n = 0;
    for (; n < PX_MLP_CHUNK && at < to; at += stride) t->rows[n++] = t->fold.held[at];
    idm_window_gather(model->norm, &model->spec, t->ds, t->rows, n, t->pass.x);
    idm_window_actions(t->ds, t->rows, n, t->pass.action);
    const float *mu = idm_model_mu(model, t->pass.mu_work, t->pass.x, n, NULL);
    const float *y = idm_model_sigma(model, t->pass.sigma_work, t->pass.x, n, NULL);
    idm_loss_sums(model, n, mu, y, t->pass.action, t->pass.dmu, &t->sums);
    const enum px_status status = idm_training_tell(t, "validate");
    if (status) return status;
  }
  return PX_OK;
}

static void clear(struct idm_training *t) {
  memset(t->sums.squared, 0, sizeof(double) * IDM_SUMS_N * t->model->act_dim);
  t->sums.n = 0;
}

enum px_status idm_training_validate(struct idm_training *t, uint32_t stride) {
  clear(t);
  return add_rows(t, 0, t->fold.held_n, stride);
}

static double mean_of(const struct idm_training *t, const double *sums) {
  double sum = 0;
  for (uint32_t j = 0; j < t->model->act_dim; j++) sum += sums[j];
  return sum / (double)t->sums.n / t->model->act_dim;
}

double idm_training_sums_mse(const struct idm_training *t) { return mean_of(t, t->sums.squared); }

double idm_training_sums_nll(const struct idm_training *t) {
  return t->model->act_dim * (mean_of(t, t->sums.z2) / 2 + mean_of(t, t->sums.log_scale));
}

/* Where the spread only follows the mean, it has seen nothing but errors on its
 * own training rows: scale it to the held-out ones, so that the variances that
 * are stated there have the squared errors' mean. (To make z^2 average 1 instead
 * would let the few rows whose spread is far too small widen all others.)
 * Without a spread net sigma is 1, and this is the squared error itself. */
static double spread_variance(const struct idm_model *model, double squared, double stated) {
  if (model->spec.mean_loss == IDM_NLL || !(stated > 0)) return 1;
  return fmin(fmax(squared / stated, model->sigma ? 1e-4 : 1e-12), 1e4);
}

/* Whether actions differ by more than the rounding of their squares. */
static bool differ(double about_mean, double squares) { return about_mean > 1e-10 * squares; }

static void take_figures(struct idm_training *t) {
  struct idm_model *model = t->model;
  struct idm_metrics *metrics = &model->metrics;
  const struct idm_sums *sums = &t->sums;
  const double n = (double)sums->n;
  double error = 0, total = 0, all = 0, nll = 0;
  for (uint32_t j = 0; j < model->act_dim; j++) {
    const double variance = spread_variance(model, sums->squared[j], sums->stated[j]);
    model->spread[j] = (float)sqrt(variance);
    nll += sums->z2[j] / n / variance / 2 + sums->log_scale[j] / n + log(variance) / 2;
    const double about_mean = sums->action2[j] - sums->action[j] * sums->action[j] / n;
    metrics->val_r2_dim[j] =
      differ(about_mean, sums->action2[j]) ? 1 - sums->squared[j] / about_mean : (double)NAN;
    error += sums->squared[j];
    total += about_mean;
    all += sums->action2[j];
  }
  metrics->val_mse = model->act_count ? 0 : error / n / model->act_dim;
  metrics->val_r2 = model->act_count ? 0 : differ(total, all) ? 1 - error / total : (double)NAN;
  metrics->val_nll = nll;
  metrics->val_accuracy = model->act_count ? 1 - error / n : 0;
}

/* The reference means the likelihood over batches of four times the training's,
 * so that a last one that is smaller counts as much as the others. */
static enum px_status reference_nll(struct idm_training *t, double *nll) {
  const uint32_t rows = 4 * t->model->spec.batch;
  double sum = 0, batches = 0;
  for (uint32_t from = 0; from < t->fold.held_n; from += rows) {
    clear(t);
    const enum px_status status =
      add_rows(t, from, from + rows < t->fold.held_n ? from + rows : t->fold.held_n, 1);
    if (status) return status;
    sum += idm_training_sums_nll(t);
    batches += 1;
  }
  *nll = sum / batches;
  return PX_OK;
}

enum px_status idm_training_measure(struct idm_training *t) {
  struct idm_metrics *metrics = &t->model->metrics;
  for (int i = 0; i < IDM_PARTS_N; i++)
    if (t->parts[i].n) memcpy(t->parts[i].used, t->parts[i].best, sizeof(float) * t->parts[i].n);
  enum px_status status = idm_training_validate(t, 1);
  if (status) return status;
  take_figures(t);
  if (t->model->spec.compat == IDM_REFERENCE) status = reference_nll(t, &metrics->val_nll);
  metrics->train_n = t->fold.train_n;
  metrics->pseudo_n = t->pseudo.n;
  metrics->val_n = t->fold.held_n;
  metrics->best_step = (uint32_t)t->place.best_step;
  metrics->steps = (uint32_t)t->place.steps;
  metrics->val_by_transition = t->fold.by_transition;
  metrics->seconds = t->seconds + px_clock_s() - t->since_s;
  return status;
}
