/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads and what trains them: see loss.h. Per element, with sigma =
 * exp(-1.5 + 3.5 tanh y) and z the residual in units of sigma:
 *
 *   squashed: u = atanh(a), z = (u - mu) / sigma, label tanh(mu)
 *             NLL = z^2/2 + log sigma + log(2 pi)/2 + log(1 - a^2)
 *   gaussian: z = (a - mu) / sigma, label mu clipped to the range
 *             NLL = z^2/2 + log sigma + log(2 pi)/2
 *   d NLL / d mu = -z / sigma;  d NLL / d y = (1 - z^2) 3.5 (1 - tanh^2 y)
 *   deterministic: label mu clipped to the range; no likelihood, only the
 *             squared error
 *   softmax: label the class of the largest mu; NLL the cross entropy,
 *             log sum_j exp mu_j - mu_a;  d NLL / d mu_j = softmax(mu)_j - [j = a]
 *
 * mean_loss nll keeps both; squared replaces mu's by that of the squared error
 * of the label (for the Gaussian head: of mu before the clip, which would stop
 * its gradient) and leaves y's; beta_nll multiplies both by sigma^(2 beta),
 * taken as a constant.
 */
#include "lib/idm/loss.h"

#include <math.h>

#include "lib/idm/softmax.h"
#include "lib/nn/loss.h"

static const float half_log_2pi = 0.918938533204672742F;

static float clip(float v) { return fminf(fmaxf(v, -IDM_EDGE), IDM_EDGE); }

static float log_sigma(float y) {
  return PX_LOSS_LOG_SIGMA_CENTER + PX_LOSS_LOG_SIGMA_RANGE * tanhf(y);
}

float idm_loss_sigma(float y) { return expf(log_sigma(y)); }

static double gaussian_nll(uint32_t n, uint32_t dims, const float *mu, const float *y,
                           const float *action, double scale, float *dmu, float *dy) {
  double loss = 0;
  const float weight = (float)scale;
  for (size_t i = 0; i < (size_t)n * dims; i++) {
    const float t = tanhf(y[i]), log_s = PX_LOSS_LOG_SIGMA_CENTER + PX_LOSS_LOG_SIGMA_RANGE * t,
                inverse = expf(-log_s);
    const float z = (clip(action[i]) - mu[i]) * inverse;
    loss += (double)(0.5F * z * z + log_s + half_log_2pi);
    dmu[i] = weight * -z * inverse;
    dy[i] = weight * (1 - z * z) * PX_LOSS_LOG_SIGMA_RANGE * (1 - t * t);
  }
  return loss * scale;
}

/* The squared error, and its gradient in place of dmu. */
static double squared(enum idm_head head, size_t n, const float *mu, const float *action,
                      double scale, float *dmu) {
  double loss = 0;
  const float weight = (float)scale;
  for (size_t i = 0; i < n; i++) {
    const float label = head == IDM_SQUASHED ? tanhf(mu[i]) : mu[i], off = label - clip(action[i]);
    loss += (double)(off * off);
    dmu[i] = weight * 2 * off * (head == IDM_SQUASHED ? 1 - label * label : 1);
  }
  return loss * scale;
}

/* targets[n, classes] to the classes' indices. */
static double cross_entropy(uint32_t n, uint32_t classes, const float *logits, const float *targets,
                            double scale, float *dlogits) {
  float class[PX_MLP_CHUNK];
  for (size_t i = 0; i < n; i++)
    class[i] = (float)idm_softmax_class(classes, targets + i * classes);
  return px_loss_softmax(n, classes, logits, class, NULL, scale, dlogits);
}

double idm_loss(const struct idm_spec *spec, uint32_t n, uint32_t outputs, const float *mu,
                const float *y, const float *action, double scale, float *dmu, float *dy) {
  const size_t elements = (size_t)n * outputs;
  if (spec->head == IDM_SOFTMAX) return cross_entropy(n, outputs, mu, action, scale, dmu);
  if (spec->head == IDM_DETERMINISTIC) return squared(spec->head, elements, mu, action, scale, dmu);
  double loss = spec->head == IDM_SQUASHED
                  ? px_loss_squashed_nll(n, outputs, mu, y, action, NULL, scale, dmu, dy)
                  : gaussian_nll(n, outputs, mu, y, action, scale, dmu, dy);
  if (spec->mean_loss == IDM_SQUARED) loss += squared(spec->head, elements, mu, action, scale, dmu);
  if (spec->mean_loss == IDM_BETA_NLL)
    for (size_t i = 0; i < elements; i++) {
      const float weight = expf(2 * (float)spec->beta * log_sigma(y[i]));
      dmu[i] *= weight;
      dy[i] *= weight;
    }
  return loss;
}

static void softmax_sums(uint32_t n, uint32_t classes, const float *logits, const float *targets,
                         float *scratch, struct idm_sums *sums) {
  sums->log_scale[0] += cross_entropy(n, classes, logits, targets, 1, scratch);
  for (size_t i = 0; i < n; i++)
    sums->squared[0] += idm_softmax_class(classes, logits + i * classes) !=
                        idm_softmax_class(classes, targets + i * classes);
  sums->n += n;
}

void idm_loss_sums(const struct idm_model *model, uint32_t n, const float *mu, const float *y,
                   const float *action, float *label, struct idm_sums *sums) {
  const bool squashed = model->spec.head == IDM_SQUASHED;
  const uint32_t act_dim = model->act_dim;
  if (model->act_count) {
    softmax_sums(n, model->outputs, mu, action, label, sums);
    return;
  }
  idm_model_label(model, n, mu, label);
  for (size_t i = 0; i < (size_t)n * act_dim; i++) {
    const uint32_t j = (uint32_t)(i % act_dim);
    const float a = clip(action[i]), off = label[i] - a, log_s = y ? log_sigma(y[i]) : 0;
    /* The spread is judged about the label, so a Gaussian's mu counts as clipped. */
    const float z = (squashed ? atanhf(a) - mu[i] : -off) * expf(-log_s);
    const double s = (double)expf(log_s) * (squashed ? 1 - (double)label[i] * (double)label[i] : 1);
    sums->squared[j] += (double)off * (double)off;
    sums->stated[j] += s * s;
    sums->z2[j] += (double)z * (double)z;
    sums->log_scale[j] += (double)(log_s + half_log_2pi + (squashed ? logf((1 - a) * (1 + a)) : 0));
    sums->action[j] += (double)a;
    sums->action2[j] += (double)a * (double)a;
  }
  sums->n += n;
}
