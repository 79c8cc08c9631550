/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ensemble prediction: see idm.h. With m_i the members' labels in (-1, 1) and
 * s_i their spread there:
 *
 *   label = mean m_i;  epistemic = (E - 1) mean (m_i - label)^2
 *   each mean weighted by how much the members count (vote.h)
 *   s_i = sigma_i (1 - tanh(mu_i)^2) for a squashed head, to first order,
 *         sigma_i for the others
 *   aleatoric = max(mean s_i^2 - epistemic, 0)
 *
 * Each of the E members left out one fold, so they are replicates of the grouped
 * jackknife, whose variance of the mean that is (Efron and Stein 1981): members
 * that share most of their data differ by less than they err. s_i is fitted to
 * a member's whole error on its own fold, which holds what the members differ by
 * (Krogh and Vedelsby 1995): only the rest of it is the data's own.
 *
 * With compat: reference epistemic = mean (m_i - label)^2, aleatoric = mean s_i^2
 * and s_i = sigma_i.
 *
 * With a softmax head p_i are the members' probabilities, p = mean p_i and H the
 * entropy as a share of log act_count (Depeweg et al. 2018, arXiv 1710.07283):
 *
 *   label = argmax p;  aleatoric = mean H(p_i);  epistemic = H(p) - mean H(p_i)
 *
 * Rows go through in chunks, so nearly all time is in the matrix products.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "lib/idm/label.h"
#include "lib/idm/loss.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/softmax.h"
#include "lib/idm/vote.h"
#include "lib/idm/window.h"

enum { ROWS = 512 }; /* activations of a chunk stay in the second-level cache */
enum { JUDGED_MAX = 20000 };
static const double report_every_s = 0.5;

struct idm_label_work {
  struct idm_model *const *models;
  uint32_t models_n, dims, outputs;
  const struct px_dataset *ds;
  struct idm_labels *labels;
  uint64_t first; /* step number of the first row of labels */
  struct px_mlp_work *mu_work, *sigma_work;
  struct idm_step *steps;         /* [ROWS] */
  float *x, *one;                 /* [ROWS, in], [ROWS, M] */
  double weight[IDM_MEMBERS_MAX]; /* of the members, with mean 1 */
  /* [ROWS, M] sums of m_i, m_i^2, s_i^2; or of p_i, and spread [ROWS] of H(p_i) */
  double *mean, *square, *spread;
};

void idm_labels_free(struct idm_labels *labels) {
  if (!labels) return;
  free(labels->actions);
  free(labels->std);
  free(labels->epistemic);
  free(labels->score);
  free(labels->known);
  free(labels);
}

struct idm_labels *idm_labels_new(const struct px_dataset *ds, uint32_t from, uint32_t to) {
  struct idm_labels *labels = px_mem_calloc(1, sizeof *labels);
  if (!labels) return NULL;
  const size_t n = ds->step_start[to] - ds->step_start[from], dims = ds->spaces.act_dim;
  labels->traj_from = from;
  labels->traj_to = to;
  labels->act_dim = (uint32_t)dims;
  labels->steps_n = n;
  labels->actions = px_mem_calloc(n, sizeof(float) * dims);
  labels->std = px_mem_calloc(n, sizeof(float) * dims);
  labels->epistemic = px_mem_calloc(n, sizeof(float) * dims);
  labels->score = px_mem_calloc(n, sizeof(float));
  labels->known = px_mem_calloc(n, 1);
  if (labels->actions && labels->std && labels->epistemic && labels->score && labels->known)
    return labels;
  idm_labels_free(labels);
  return NULL;
}

static bool same_norm(const struct idm_norm *a, const struct idm_norm *b) {
  const size_t dims = a->obs_dim;
  return memcmp(a->stats, b->stats, sizeof *a->stats * IDM_STATS_N * dims) == 0 &&
         !a->residual == !b->residual &&
         (!a->residual ||
          memcmp(a->residual, b->residual, sizeof *a->residual * dims * (2 * dims + 1)) == 0);
}

/* The dataset's dims and range are the models'. */
static enum px_status check_spaces(const struct idm_model *a, const struct px_spaces *spaces,
                                   struct px_err *err) {
  if (a->obs_dim != spaces->obs_dim || a->act_dim != spaces->act_dim ||
      a->act_count != spaces->act_count ||
      memcmp(a->act_low, spaces->act_low, sizeof(float) * a->act_dim) != 0 ||
      memcmp(a->act_high, spaces->act_high, sizeof(float) * a->act_dim) != 0)
    return px_fail(err, PX_E_BAD_DATA,
                   "the model was trained for another observation or action space");
  return PX_OK;
}

/* One ensemble: the same windows, normalised alike. */
static enum px_status check_members(struct idm_model *const *models, uint32_t n,
                                    struct px_err *err) {
  if (n == 0 || n > IDM_MEMBERS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "an ensemble has 1 to %d members, not %u", IDM_MEMBERS_MAX,
                   n);
  const struct idm_model *a = models[0];
  for (uint32_t i = 1; i < n; i++) {
    const struct idm_model *b = models[i];
    const struct px_mlp_shape *p = &a->mu->shape, *q = &b->mu->shape;
    if (a->obs_dim != b->obs_dim || a->act_dim != b->act_dim || a->spec.k != b->spec.k ||
        a->spec.f != b->spec.f || a->spec.inputs != b->spec.inputs ||
        a->spec.head != b->spec.head || a->spec.compat != b->spec.compat ||
        a->spec.voting != b->spec.voting || p->hidden != q->hidden || p->layers != q->layers ||
        a->spec.activation != b->spec.activation ||
        (a->sigma && a->sigma->shape.hidden != b->sigma->shape.hidden) ||
        !same_norm(a->norm, b->norm))
      return px_fail(err, PX_E_BAD_DATA, "models 0 and %u are not members of one ensemble", i);
  }
  return PX_OK;
}

/* Their nets do not change while they label. */
static bool pack_models(struct idm_label_work *l) {
  for (uint32_t i = 0; i < l->models_n; i++) {
    const struct idm_model *model = l->models[i];
    if (px_mlp_pack(model->mu, ROWS) || (model->sigma && px_mlp_pack(model->sigma, ROWS)))
      return false;
  }
  return true;
}

/* Of all members' mean nets: some may have GELUs. */
static struct px_mlp_shape mu_shape(const struct idm_label_work *l) {
  struct px_mlp_shape shape = l->models[0]->mu->shape;
  for (uint32_t i = 0; i < l->models_n; i++) shape.gelu |= l->models[i]->mu->shape.gelu;
  return shape;
}

static bool work_init(struct idm_label_work *l) {
  const struct idm_model *model = l->models[0];
  l->dims = model->act_dim;
  l->outputs = model->outputs;
  const struct px_mlp_shape shape = mu_shape(l);
  const size_t cells = (size_t)ROWS * l->outputs;
  idm_vote(l->models, l->models_n, l->weight);
  l->steps = px_mem_calloc(ROWS, sizeof *l->steps);
  l->x = px_mem_calloc((size_t)ROWS * model->mu->shape.in, sizeof *l->x);
  l->one = px_mem_calloc(cells, sizeof *l->one);
  l->mean = px_mem_calloc(cells, sizeof *l->mean);
  l->square = px_mem_calloc(cells, sizeof *l->square);
  l->spread = px_mem_calloc(cells, sizeof *l->spread);
  return l->steps && l->x && l->one && l->mean && l->square && l->spread &&
         px_mlp_work_new(&shape, ROWS, &l->mu_work) == PX_OK &&
         (!model->sigma || px_mlp_work_new(&model->sigma->shape, ROWS, &l->sigma_work) == PX_OK) &&
         pack_models(l);
}

static void work_end(struct idm_label_work *l) {
  free(l->steps);
  free(l->x);
  free(l->one);
  free(l->mean);
  free(l->square);
  free(l->spread);
  px_mlp_work_free(l->mu_work);
  px_mlp_work_free(l->sigma_work);
  for (uint32_t i = 0; i < l->models_n; i++) {
    px_mlp_unpack(l->models[i]->mu);
    if (l->models[i]->sigma) px_mlp_unpack(l->models[i]->sigma);
  }
}

static void add_probabilities(struct idm_label_work *l, const struct idm_model *model, uint32_t n) {
  const uint32_t classes = l->outputs;
  idm_softmax(n, classes, idm_model_mu(model, l->mu_work, l->x, n, NULL), l->one);
  for (size_t i = 0; i < n; i++) {
    double *sum = l->mean + i * classes, *p = l->square; /* p: scratch for one row */
    for (uint32_t j = 0; j < classes; j++) sum[j] += p[j] = (double)l->one[i * classes + j];
    l->spread[i] += idm_softmax_entropy(classes, p, 1);
  }
}

static void add_member(struct idm_label_work *l, uint32_t member, uint32_t n) {
  const struct idm_model *model = l->models[member];
  const double weight = l->weight[member];
  if (model->act_count) {
    add_probabilities(l, model, n);
    return;
  }
  const size_t cells = (size_t)n * l->dims;
  /* The reference takes the spread before the tanh for the action's. */
  const bool squashed = model->spec.head == IDM_SQUASHED && model->spec.compat != IDM_REFERENCE;
  idm_model_label(model, n, idm_model_mu(model, l->mu_work, l->x, n, NULL), l->one);
  const float *y = idm_model_sigma(model, l->sigma_work, l->x, n, NULL);
  for (size_t i = 0; i < cells; i++) {
    const double m = (double)l->one[i];
    const float sigma = (y ? idm_loss_sigma(y[i]) : 1) * model->spread[i % l->dims];
    const double s = (double)sigma * (squashed ? 1 - m * m : 1);
    l->mean[i] += weight * m;
    l->square[i] += weight * m * m;
    l->spread[i] += weight * s * s;
  }
}

static void write_class(struct idm_label_work *l, size_t i, uint64_t row) {
  const uint32_t classes = l->outputs;
  const double members = l->models_n, most = log(classes), *sum = l->mean + i * classes;
  const double all = idm_softmax_entropy(classes, sum, 1 / members) / most,
               noise = fmin(l->spread[i] / members / most, all);
  uint32_t best = 0;
  for (uint32_t j = 1; j < classes; j++)
    if (sum[j] > sum[best]) best = j;
  l->labels->actions[row] = (float)best;
  l->labels->std[row] = (float)noise;
  l->labels->epistemic[row] = (float)(all - noise);
}

/* Into the rows of the chunk's steps, in the dataset's units. */
static void write_rows(struct idm_label_work *l, uint32_t n) {
  const struct px_spaces *spaces = &l->ds->spaces;
  const bool reference = l->models[0]->spec.compat == IDM_REFERENCE;
  const double members = l->models_n, replicates = reference ? 1 : l->models[0]->spec.members - 1;
  for (size_t i = 0; i < n; i++) {
    const uint64_t row = l->ds->step_start[l->steps[i].traj] + l->steps[i].t - l->first;
    l->labels->known[row] = 1;
    if (spaces->act_count) write_class(l, i, row);
    for (uint32_t j = 0; j < l->dims && !spaces->act_count; j++) {
      const size_t cell = i * l->dims + j, at = row * l->dims + j;
      const double half = ((double)spaces->act_high[j] - (double)spaces->act_low[j]) / 2;
      const double m = l->mean[cell] / members, differ = fmax(l->square[cell] / members - m * m, 0);
      const double whole = l->spread[cell] / members, epistemic = differ * replicates;
      const double noise = reference ? whole : fmax(whole - epistemic, 0);
      const float action = (float)((double)spaces->act_low[j] + half * (m + 1));
      l->labels->actions[at] = fminf(fmaxf(action, spaces->act_low[j]), spaces->act_high[j]);
      l->labels->std[at] = (float)(half * sqrt(noise));
      l->labels->epistemic[at] = (float)(half * sqrt(epistemic));
    }
  }
}

static void label_chunk(struct idm_label_work *l, uint32_t n) {
  const size_t cells = sizeof(double) * n * l->outputs;
  memset(l->mean, 0, cells);
  memset(l->square, 0, cells);
  memset(l->spread, 0, cells);
  idm_window_gather(l->models[0]->norm, &l->models[0]->spec, l->ds, l->steps, n, l->x);
  for (uint32_t i = 0; i < l->models_n; i++) add_member(l, i, n);
  write_rows(l, n);
}

/* -log p of the true classes of the chunk's steps. */
static double chunk_cross_entropy(struct idm_label_work *l, uint32_t n) {
  double sum = 0;
  memset(l->mean, 0, sizeof(double) * n * l->outputs);
  idm_window_gather(l->models[0]->norm, &l->models[0]->spec, l->ds, l->steps, n, l->x);
  for (uint32_t i = 0; i < l->models_n; i++) add_probabilities(l, l->models[i], n);
  for (size_t i = 0; i < n; i++) {
    const uint64_t step = l->ds->step_start[l->steps[i].traj] + l->steps[i].t;
    const double p = l->mean[i * l->outputs + (size_t)l->ds->actions[step]] / l->models_n;
    sum -= log(fmax(p, FLT_MIN));
  }
  return sum;
}

/* Every stride-th hidden step; stride 0 counts them. */
static enum px_status hidden_steps(struct idm_label_work *l, const struct px_dataset *masked,
                                   uint64_t stride, const struct px_progress *progress,
                                   uint64_t *seen, double *sum) {
  const struct px_dataset *ds = l->ds;
  enum px_status status = PX_OK;
  uint32_t n = 0;
  *seen = 0;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    for (uint64_t step = ds->step_start[traj]; step < ds->step_start[traj + 1]; step++) {
      const uint64_t t = step - ds->step_start[traj];
      if (!ds->labelled[step] || masked->labelled[step] || !px_dataset_next_known(ds, traj, t))
        continue;
      if ((*seen)++ % (stride ? stride : 1) || !stride) continue;
      l->steps[n++] = (struct idm_step){ traj, (uint32_t)t };
      if (n < ROWS) continue;
      *sum += chunk_cross_entropy(l, n);
      n = 0;
      status = px_progress_report(progress, "cross entropy", traj, ds->traj_n, NULL, 0);
      if (status) return status;
    }
  if (n) *sum += chunk_cross_entropy(l, n);
  return status;
}

enum px_status idm_cross_entropy(struct idm_model *const *models, uint32_t models_n,
                                 const struct px_dataset *truth, const struct px_dataset *masked,
                                 const struct px_progress *progress, double *out,
                                 struct px_err *err) {
  enum px_status status = check_members(models, models_n, err);
  if (!status) status = check_spaces(models[0], &truth->spaces, err);
  if (status) return status;
  struct idm_label_work l = { .models = models, .models_n = models_n, .ds = truth };
  uint64_t n = 0, seen;
  double sum = 0;
  if (!work_init(&l)) status = px_fail(err, PX_E_NO_MEMORY, "no memory to judge labels");
  if (!status) status = hidden_steps(&l, masked, 0, progress, &n, &sum);
  const uint64_t stride = 1 + (n ? (n - 1) / JUDGED_MAX : 0);
  if (!status && n) status = hidden_steps(&l, masked, stride, progress, &seen, &sum);
  work_end(&l);
  const uint64_t judged = (n + stride - 1) / stride;
  if (!status) *out = n ? sum / (double)judged : 0;
  return status;
}

static enum px_status label_steps(struct idm_label_work *l, const struct px_progress *progress) {
  const struct px_dataset *ds = l->ds;
  uint32_t n = 0;
  double reported_s = 0;
  for (uint32_t traj = l->labels->traj_from; traj < l->labels->traj_to; traj++) {
    const uint64_t steps = ds->step_start[traj + 1] - ds->step_start[traj];
    for (uint64_t t = 0; t < steps; t++) {
      if (idm_window_step_has(ds, &l->models[0]->spec, traj, t))
        l->steps[n++] = (struct idm_step){ traj, (uint32_t)t };
      if (n < ROWS) continue;
      label_chunk(l, n);
      n = 0;
      const double now_s = px_clock_s();
      if (now_s - reported_s < report_every_s) continue;
      reported_s = now_s;
      const uint64_t done = ds->step_start[traj] + t - l->first;
      const enum px_status status =
        px_progress_report(progress, "label", (int64_t)done, (int64_t)l->labels->steps_n, NULL, 0);
      if (status) return status;
    }
  }
  if (n) label_chunk(l, n);
  return PX_OK;
}

enum px_status idm_label_work_new(struct idm_model *const *models, uint32_t models_n,
                                  struct idm_label_work **out, struct px_err *err) {
  const enum px_status status = check_members(models, models_n, err);
  if (status) return status;
  struct idm_label_work *l = px_mem_calloc(1, sizeof *l);
  if (l) {
    *l = (struct idm_label_work){ .models = models, .models_n = models_n };
    if (work_init(l)) {
      *out = l;
      return PX_OK;
    }
    idm_label_work_free(l);
  }
  return px_fail(err, PX_E_NO_MEMORY, "no memory to label");
}

void idm_label_work_free(struct idm_label_work *l) {
  if (!l) return;
  work_end(l);
  free(l);
}

enum px_status idm_label_range(struct idm_label_work *l, const struct px_dataset *ds,
                               uint32_t traj_from, uint32_t traj_to,
                               const struct px_progress *progress, struct idm_labels **out,
                               struct px_err *err) {
  enum px_status status = check_spaces(l->models[0], &ds->spaces, err);
  if (status) return status;
  if (traj_from > traj_to || traj_to > ds->traj_n)
    return px_fail(err, PX_E_BAD_FIELD, "trajectories %u to %u of %u", traj_from, traj_to,
                   ds->traj_n);
  l->ds = ds;
  l->first = ds->step_start[traj_from];
  l->labels = idm_labels_new(ds, traj_from, traj_to);
  if (!l->labels)
    return px_fail(err, PX_E_NO_MEMORY, "no memory to label %u trajectories", traj_to - traj_from);
  if ((status = label_steps(l, progress))) {
    idm_labels_free(l->labels);
    return status;
  }
  px_label_scores(&ds->spaces, l->labels->std, l->labels->epistemic, l->labels->known,
                  l->labels->steps_n, l->labels->score);
  *out = l->labels;
  return PX_OK;
}

enum px_status idm_label(struct idm_model *const *models, uint32_t models_n,
                         const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                         const struct px_progress *progress, struct idm_labels **out,
                         struct px_err *err) {
  struct idm_label_work *work = NULL;
  enum px_status status = idm_label_work_new(models, models_n, &work, err);
  if (!status) status = idm_label_range(work, ds, traj_from, traj_to, progress, out, err);
  idm_label_work_free(work);
  return status;
}
