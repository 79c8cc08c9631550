/* SPDX-License-Identifier: Apache-2.0 */
/* The inverse dynamics model of discrete actions: loss, training, labels, baselines and quality,
 * against what is written out here by hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/baseline.h"
#include "lib/idm/loss.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/pass.h"
#include "lib/idm/quality.h"
#include "lib/idm/softmax.h"
#include "lib/idm/window.h"
#include "tests/support/allocations.h"
#include "tests/support/cu.h"

/* ---- a small world: the action moves the state by its own step; class 2 is the most frequent;
 * return of trajectory i is i. Every third trajectory's end is unknown. */

enum { O = 2, C = 4, TRAJ_N = 12, STEPS = 20, N = TRAJ_N * STEPS };
static const float move[C][O] = { { 0.5F, 0 }, { -0.5F, 0 }, { 0, 0.5F }, { 0.4F, -0.4F } };
static const float frequent[] = { 0, 1, 2, 2, 2, 3 };

struct world {
  struct px_dataset truth, masked;
  float observations[TRAJ_N * (STEPS + 1) * O], actions[N], hidden[N], rewards[N];
  uint8_t all[N], some[N], final[TRAJ_N], no[TRAJ_N];
  uint64_t step_start[TRAJ_N + 1], obs_start[TRAJ_N + 1];
};

/* Trajectories [first, last) are labelled in `masked`. */
static struct world *world_new(uint32_t first, uint32_t last) {
  struct world *w = px_mem_calloc(1, sizeof *w);
  struct px_rng rng = px_rng_at(5, 0, 0);
  for (uint32_t i = 0; i < TRAJ_N; i++) {
    w->final[i] = i % 3 != 2;
    float *s = w->observations + w->obs_start[i] * O;
    px_rng_normal(&rng, s, O);
    for (uint32_t t = 0; t < STEPS; t++, s += O) {
      const uint32_t at = i * STEPS + t;
      w->actions[at] = frequent[px_rng_below(&rng, 6)];
      w->rewards[at] = t == 0 ? (float)i : 0;
      w->all[at] = 1, w->some[at] = i >= first && i < last;
      w->hidden[at] = w->some[at] ? w->actions[at] : 0;
      for (uint32_t j = 0; j < O && t + 1u < STEPS + (uint32_t)w->final[i]; j++)
        s[O + j] = s[j] + move[(int)w->actions[at]][j] + 0.05F * (px_rng_float(&rng) - 0.5F);
    }
    w->step_start[i + 1] = w->step_start[i] + STEPS;
    w->obs_start[i + 1] = w->obs_start[i] + STEPS + w->final[i];
  }
  w->truth = (struct px_dataset){ .traj_n = TRAJ_N,
                                  .steps_n = N,
                                  .obs_n = w->obs_start[TRAJ_N],
                                  .observations = w->observations,
                                  .actions = w->actions,
                                  .labelled = w->all,
                                  .rewards = w->rewards,
                                  .step_start = w->step_start,
                                  .obs_start = w->obs_start,
                                  .terminated = w->final,
                                  .truncated = w->no,
                                  .has_final = w->final };
  w->truth.spaces.obs_dim = O;
  px_spaces_set_discrete(&w->truth.spaces, C);
  w->masked = w->truth;
  w->masked.actions = w->hidden, w->masked.labelled = w->some;
  return w;
}

static struct idm_spec small(uint32_t members, uint32_t steps) {
  struct idm_spec spec;
  idm_spec_default(IDM_FAST, &spec);
  spec.head = IDM_SOFTMAX, spec.mean_loss = IDM_NLL;
  spec.hidden = 32, spec.layers = 2, spec.members = members, spec.steps = steps, spec.batch = 64;
  spec.validate_every = 10, spec.seed = 5;
  return spec;
}

static struct idm_model *trained(const struct px_dataset *ds, const struct idm_spec *spec,
                                 uint32_t member, struct idm_metrics *metrics) {
  struct idm_model *model = NULL;
  struct px_err err;
  CU_OK(idm_train_member(ds, spec, member, NULL, NULL, &model, metrics, &err), err);
  return model;
}

/* ---- the loss */

/* Central differences of the loss as it is defined, in float64: mean_i log sum_j exp mu_ij -
 * mu_i,class. */
static double defined_loss(const double *mu, const float *class, uint32_t n) {
  double loss = 0;
  for (uint32_t i = 0; i < n; i++) {
    double sum = 0;
    for (uint32_t j = 0; j < C; j++) sum += exp(mu[i * C + j]);
    loss += (log(sum) - mu[i * C + (uint32_t) class[i]]) / n;
  }
  return loss;
}

static void the_loss_is_the_cross_entropy_and_its_gradient(void) {
  enum { ROWS = 9 };
  const struct idm_spec spec = small(1, 1);
  struct px_rng rng = px_rng_at(2, 0, 0);
  float mu[ROWS * C], target[ROWS * C] = { 0 }, class[ROWS], dmu[ROWS * C];
  double wide[ROWS * C];
  px_rng_normal(&rng, mu, ROWS * C);
  for (uint32_t i = 0; i < ROWS; i++) target[i * C + i % C] = 1, class[i] = (float)(i % C);
  for (uint32_t i = 0; i < ROWS * C; i++) wide[i] = (double)(mu[i] *= 3);
  const double loss = idm_loss(&spec, ROWS, C, mu, NULL, target, 1.0 / ROWS, dmu, NULL);
  CU_ASSERT_DOUBLE_EQUAL(loss, defined_loss(wide, class, ROWS), 1e-6);
  for (uint32_t i = 0; i < ROWS * C; i++) {
    const double was = wide[i];
    wide[i] = was + 1e-5;
    const double up = defined_loss(wide, class, ROWS);
    wide[i] = was - 1e-5;
    const double down = defined_loss(wide, class, ROWS);
    wide[i] = was;
    CU_ASSERT_DOUBLE_EQUAL((double)dmu[i], (up - down) / 2e-5, 1e-6);
  }
  /* nothing overflows */
  for (uint32_t i = 0; i < ROWS * C; i++) mu[i] = i % C == 1 ? 500 : -500;
  CU_ASSERT_TRUE(isfinite(idm_loss(&spec, ROWS, C, mu, NULL, target, 1.0 / ROWS, dmu, NULL)));
}

static double difference(struct idm_model *model, struct idm_pass *pass, uint32_t n, float *params,
                         const float *grads, size_t count) {
  const float step = 5e-4F;
  double worst = 0, size = 0;
  (void)idm_pass_gradients(model, pass, n, NULL, NULL, 1.0 / n, false);
  float *kept = px_mem_calloc(count, sizeof *kept);
  memcpy(kept, grads, sizeof *kept * count);
  for (size_t i = 0; i < count; i++) {
    const float was = params[i];
    params[i] = was + step;
    const double up = idm_pass_gradients(model, pass, n, NULL, NULL, 1.0 / n, false);
    params[i] = was - step;
    const double down = idm_pass_gradients(model, pass, n, NULL, NULL, 1.0 / n, false);
    params[i] = was;
    worst = fmax(worst, fabs((up - down) / (2 * (double)step) - (double)kept[i]));
    size = fmax(size, fabs((double)kept[i]));
  }
  free(kept);
  return worst / size;
}

static void gradients_of_net_and_linear_path_agree_with_finite_differences(void) {
  enum { ROWS = 16 };
  struct world *w = world_new(0, TRAJ_N);
  struct idm_spec spec = small(1, 1);
  struct idm_model *model;
  struct idm_pass pass;
  struct px_err err;
  struct idm_step *steps;
  struct px_rng rng = px_rng_at(1, 2, 3);
  uint32_t n;
  spec.hidden = 8;
  CU_OK(idm_model_new(&spec, 0, &w->truth.spaces, &model, &err), err);
  CU_OK(idm_pass_new(model, &pass), err);
  CU_ASSERT_PTR_NULL(model->sigma);
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(&w->truth, &spec, &steps, &n), PX_OK);
  CU_ASSERT_EQUAL_FATAL(px_mlp_init(model->mu, PX_MLP_UNIFORM, 1, 1), PX_OK);
  const size_t linear_n = C * (model->mu->shape.in + 1);
  px_rng_normal(&rng, model->linear, linear_n);
  for (size_t i = 0; i < linear_n; i++) model->linear[i] *= 0.1F;
  idm_norm_measure(model->norm, &w->truth);
  idm_window_gather(model->norm, &spec, &w->truth, steps, ROWS, pass.x);
  idm_window_actions(&w->truth, steps, ROWS, pass.action);
  CU_ASSERT_TRUE(
    difference(model, &pass, ROWS, model->mu->params, pass.mu_grads, model->mu->params_n) < 5e-3);
  CU_ASSERT_TRUE(difference(model, &pass, ROWS, model->linear, pass.linear_grads, linear_n) < 5e-3);
  free(steps);
  idm_pass_free(&pass);
  idm_model_free(model);
  free(w);
}

/* ---- heads and actions */

static void heads_and_actions_must_fit(void) {
  struct world *w = world_new(0, 6);
  struct idm_spec spec = small(1, 1);
  struct idm_metrics metrics;
  struct idm_model *model = NULL;
  struct px_err err = { 0 };
  spec.mean_loss = IDM_SQUARED;
  CU_ASSERT_EQUAL(idm_train_member(&w->masked, &spec, 0, NULL, NULL, &model, &metrics, &err),
                  PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/mean_loss");
  for (int head = IDM_SQUASHED; head < IDM_SOFTMAX; head++) {
    spec.head = (enum idm_head)head;
    CU_ASSERT_EQUAL(idm_train_member(&w->masked, &spec, 0, NULL, NULL, &model, &metrics, &err),
                    PX_E_BAD_FIELD);
    CU_ASSERT_STRING_EQUAL(err.pointer, "/head");
  }
  spec = small(1, 1);
  w->masked.spaces.act_count = 0; /* now they are numbers from 0 to 3 */
  CU_ASSERT_EQUAL(idm_train_member(&w->masked, &spec, 0, NULL, NULL, &model, &metrics, &err),
                  PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/head");
  free(w);
}

/* ---- training */

static void an_ensemble_finds_the_classes(void) {
  struct world *w = world_new(0, 6);
  const struct idm_spec spec = small(3, 200);
  struct idm_metrics metrics;
  struct idm_model *models[3];
  struct idm_labels *labels, *part;
  struct px_err err;
  double cross_entropy;
  for (uint32_t i = 0; i < 3; i++) {
    models[i] = trained(&w->masked, &spec, i, &metrics);
    CU_ASSERT_EQUAL(idm_model_act_count(models[i]), C);
    CU_ASSERT_TRUE(metrics.val_accuracy > 0.95 && metrics.val_nll < 0.2);
  }
  CU_OK(idm_label(models, 3, &w->masked, 0, TRAJ_N, NULL, &labels, &err), err);
  uint32_t right = 0, known = 0;
  for (uint32_t i = 0; i < N; i++) {
    CU_ASSERT_EQUAL(labels->known[i], px_dataset_next_known(&w->truth, i / STEPS, i % STEPS));
    if (!labels->known[i])
      CU_ASSERT_TRUE(labels->actions[i] == 0 && labels->std[i] == 0 && labels->score[i] == 0);
    if (!labels->known[i]) continue;
    known++;
    right += labels->actions[i] == w->actions[i];
    CU_ASSERT_TRUE(labels->score[i] >= 0 && labels->score[i] <= 1.0F + 1e-6F &&
                   labels->epistemic[i] >= 0);
    CU_ASSERT_DOUBLE_EQUAL((double)labels->score[i],
                           (double)labels->std[i] + (double)labels->epistemic[i], 1e-6);
  }
  CU_ASSERT_TRUE(right > known - known / 50);
  CU_OK(idm_cross_entropy(models, 3, &w->truth, &w->masked, NULL, &cross_entropy, &err), err);
  CU_ASSERT_TRUE(cross_entropy > 0 && cross_entropy < 0.2);
  /* a shard's rows are the whole's */
  CU_OK(idm_label(models, 3, &w->masked, 4, 7, NULL, &part, &err), err);
  for (uint64_t i = 0; i < part->steps_n; i++)
    CU_ASSERT_EQUAL(part->actions[i], labels->actions[4 * STEPS + i]);
  w->masked.spaces.act_count = C + 1;
  CU_ASSERT_EQUAL(idm_label(models, 3, &w->masked, 0, 1, NULL, &part, &err), PX_E_BAD_DATA);
  w->masked.spaces.act_count = C;
  idm_labels_free(labels), idm_labels_free(part);
  for (uint32_t i = 0; i < 3; i++) idm_model_free(models[i]);
  free(w);
}

static void self_training_adds_classes(void) {
  struct world *w = world_new(0, 4);
  struct idm_spec spec = small(1, 150);
  struct idm_metrics metrics;
  struct idm_labels *labels;
  struct px_err err;
  spec.rounds = 2, spec.add_percent = 25;
  struct idm_model *model = trained(&w->masked, &spec, 0, &metrics);
  CU_ASSERT_TRUE(metrics.pseudo_n > 0);
  CU_OK(idm_label(&model, 1, &w->masked, 0, TRAJ_N, NULL, &labels, &err), err);
  uint32_t right = 0, known = 0;
  for (uint32_t i = 0; i < N; i++)
    known += labels->known[i], right += labels->known[i] && labels->actions[i] == w->actions[i];
  CU_ASSERT_TRUE(right > known * 9 / 10);
  idm_labels_free(labels);
  idm_model_free(model);
  free(w);
}

static struct px_buf saved(const struct idm_model *model) {
  struct px_buf buf = PX_BUF(IDM_MODEL_BYTES_MAX);
  struct px_err err;
  CU_OK(idm_model_save(model, NULL, 0, &buf, &err), err);
  return buf;
}

static void same_seed_gives_the_same_bytes_and_a_loaded_model_labels_alike(void) {
  struct world *w = world_new(0, 6);
  const struct idm_spec spec = small(2, 60);
  struct idm_metrics metrics;
  struct px_err err;
  struct idm_model *model = trained(&w->masked, &spec, 1, &metrics),
                   *twin = trained(&w->masked, &spec, 1, &metrics), *loaded;
  struct px_buf bytes = saved(model), same = saved(twin), again;
  CU_ASSERT_TRUE(bytes.len == same.len && memcmp(bytes.data, same.data, bytes.len) == 0);
  CU_OK(idm_model_load(bytes.data, bytes.len, &loaded, &err), err);
  again = saved(loaded);
  CU_ASSERT_TRUE(bytes.len == again.len && memcmp(bytes.data, again.data, bytes.len) == 0);
  struct idm_labels *a, *b;
  CU_OK(idm_label(&model, 1, &w->masked, 0, TRAJ_N, NULL, &a, &err), err);
  CU_OK(idm_label(&loaded, 1, &w->masked, 0, TRAJ_N, NULL, &b, &err), err);
  CU_ASSERT_EQUAL(memcmp(a->actions, b->actions, sizeof(float) * N), 0);
  CU_ASSERT_EQUAL(memcmp(a->score, b->score, sizeof(float) * N), 0);
  char *field = strstr(bytes.data + 8, "\"act_count\":\"4\""); /* then the tensors do not fit */
  CU_ASSERT_PTR_NOT_NULL_FATAL(field);
  for (const char *wrong = "0135"; *wrong; wrong++) {
    struct idm_model *none = NULL;
    field[strlen("\"act_count\":\"")] = *wrong;
    CU_ASSERT_EQUAL(idm_model_load(bytes.data, bytes.len, &none, &err), PX_E_BAD_DATA);
  }
  idm_labels_free(a), idm_labels_free(b);
  px_buf_free(&bytes), px_buf_free(&same), px_buf_free(&again);
  idm_model_free(model), idm_model_free(twin), idm_model_free(loaded);
  free(w);
}

static void steps_allocate_nothing(void) {
#ifndef COUNTS_ALLOCATIONS
  CU_PASS("the sanitizer owns malloc: counted in the ordinary build");
#else
  struct world *w = world_new(0, 6);
  struct idm_metrics metrics;
  uint64_t taken[2];
  for (int i = 0; i < 2; i++) {
    struct idm_spec spec = small(1, i ? 60 : 20);
    spec.patience = 0;
    const uint64_t before = allocations;
    idm_model_free(trained(&w->masked, &spec, 0, &metrics));
    taken[i] = allocations - before;
  }
  CU_ASSERT_TRUE(taken[0] > 0);
  CU_ASSERT_EQUAL(taken[0], taken[1]);
  free(w);
#endif
}

/* ---- labels */

static double entropy(const double *p) {
  double sum = 0;
  for (int j = 0; j < C; j++) sum -= p[j] * log(p[j]);
  return sum / log(C);
}

/* With the linear path's bias as the only thing that differs from 0, the logits are that bias. */
static void entropy_is_split_into_noise_and_disagreement(void) {
  struct world *w = world_new(0, 6);
  const struct idm_spec spec = small(2, 1);
  const double p[2][C] = { { 0.7, 0.1, 0.1, 0.1 }, { 0.2, 0.6, 0.1, 0.1 } };
  const double mean[C] = { 0.45, 0.35, 0.1, 0.1 }, noise = (entropy(p[0]) + entropy(p[1])) / 2;
  struct idm_model *models[2];
  struct idm_labels *labels;
  struct px_err err;
  double cross_entropy;
  for (uint32_t i = 0; i < 2; i++) {
    CU_OK(idm_model_new(&spec, i, &w->truth.spaces, &models[i], &err), err);
    idm_norm_measure(models[i]->norm, &w->truth);
    for (int j = 0; j < C; j++)
      models[i]->linear[(size_t)C * models[i]->mu->shape.in + (size_t)j] =
        (float)(2 + log(p[i][j]));
  }
  CU_OK(idm_label(models, 2, &w->masked, 0, 1, NULL, &labels, &err), err);
  CU_ASSERT_EQUAL(labels->actions[0], 0);
  CU_ASSERT_DOUBLE_EQUAL((double)labels->std[0], noise, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL((double)labels->epistemic[0], entropy(mean) - noise, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL((double)labels->score[0], entropy(mean), 1e-6);
  idm_labels_free(labels);
  /* one member disagrees with nobody */
  CU_OK(idm_label(models + 1, 1, &w->masked, 0, 1, NULL, &labels, &err), err);
  CU_ASSERT_EQUAL(labels->actions[0], 1);
  CU_ASSERT_EQUAL(labels->epistemic[0], 0);
  CU_ASSERT_DOUBLE_EQUAL((double)labels->score[0], entropy(p[1]), 1e-6);
  idm_labels_free(labels);
  double sum = 0, n = 0;
  for (uint32_t i = 6 * STEPS; i < N; i++) {
    if (!px_dataset_next_known(&w->truth, i / STEPS, i % STEPS)) continue;
    sum -= log(mean[(int)w->actions[i]]);
    n++;
  }
  CU_OK(idm_cross_entropy(models, 2, &w->truth, &w->masked, NULL, &cross_entropy, &err), err);
  CU_ASSERT_DOUBLE_EQUAL(cross_entropy, sum / n, 1e-6);
  /* nothing hidden */
  CU_OK(idm_cross_entropy(models, 2, &w->truth, &w->truth, NULL, &cross_entropy, &err), err);
  CU_ASSERT_EQUAL(cross_entropy, 0);
  idm_model_free(models[0]), idm_model_free(models[1]);
  free(w);
}

static void entropy_is_right_at_its_ends(void) {
  /* twice a distribution */
  const double even[C] = { 0.5, 0.5, 0.5, 0.5 }, sure[C] = { 0, 2, 0, 0 };
  CU_ASSERT_DOUBLE_EQUAL(idm_softmax_entropy(C, even, 0.5), log(C), 1e-12);
  CU_ASSERT_EQUAL(idm_softmax_entropy(C, sure, 0.5), 0);
  const float logits[2][C] = { { 1000, 999, -1000, 0 }, { -5, -5, -5, -5 } };
  float p[2][C];
  idm_softmax(2, C, logits[0], p[0]);
  CU_ASSERT_DOUBLE_EQUAL((double)p[0][0], 1 / (1 + exp(-1)), 1e-6);
  CU_ASSERT_TRUE(p[0][2] == 0 && p[1][0] == 0.25F && p[1][3] == 0.25F);
  CU_ASSERT_TRUE(idm_softmax_class(C, logits[0]) == 0 && idm_softmax_class(C, logits[1]) == 0);
}

/* ---- baselines and quality */

static struct idm_labels *predictions(const struct world *w, const struct idm_baselines *y,
                                      enum idm_baseline which) {
  struct idm_labels *labels = NULL;
  struct px_err err;
  CU_OK(idm_baselines_label(y, which, &w->masked, 0, TRAJ_N, NULL, &labels, &err), err);
  return labels;
}

static void yardsticks_of_classes_are_what_they_say(void) {
  struct world *w = world_new(0, 6);
  struct idm_baselines *y;
  struct px_err err;
  CU_OK(idm_baselines_fit(&w->masked, 0, 0, NULL, &y, &err), err);
  struct idm_labels *majority = predictions(w, y, IDM_MEAN), *ridge = predictions(w, y, IDM_RIDGE),
                    *nearest = predictions(w, y, IDM_NEAREST);
  uint32_t known = 0, linear = 0;
  for (uint32_t i = 0; i < N; i++) {
    CU_ASSERT_EQUAL(majority->known[i], px_dataset_next_known(&w->truth, i / STEPS, i % STEPS));
    if (!majority->known[i]) continue;
    CU_ASSERT_EQUAL(majority->actions[i], 2);
    if (w->some[i]) CU_ASSERT_EQUAL(nearest->actions[i], w->actions[i]); /* itself is nearest */
    known++;
    linear += ridge->actions[i] == w->actions[i];
    CU_ASSERT_TRUE(px_is_class(ridge->actions[i], C));
  }
  CU_ASSERT_TRUE(linear > known * 9 / 10); /* the classes are nearly linear in the step */
  CU_ASSERT_STRING_EQUAL(idm_baseline_name(IDM_MEAN, true), "majority");
  CU_ASSERT_STRING_EQUAL(idm_baseline_name(IDM_MEAN, false), "mean");
  idm_labels_free(majority), idm_labels_free(ridge), idm_labels_free(nearest);
  idm_baselines_free(y);
  free(w);
}

/* Labels that are wrong at every fifth step, by hand. */
static void quality_of_classes_is_their_accuracy(void) {
  struct world *w = world_new(4, 8); /* returns 4 to 7 */
  static float labels[N], std[N], epistemic[N];
  static uint8_t known[N];
  double right[C] = { 0 }, all[C] = { 0 }, inside = 0, inside_n = 0, recall[C];
  struct idm_quality *q;
  struct idm_quality_figures f, in, out;
  struct px_err err;
  for (uint32_t i = 0; i < N; i++) {
    const bool wrong = i % 5 == 0;
    known[i] = i % 7 != 0;
    labels[i] = wrong ? (float)(((int)w->actions[i] + 1) % C) : w->actions[i];
    std[i] = wrong ? 0.5F : 0.125F;
    epistemic[i] = 0.25F;
    if (w->some[i] || !known[i]) continue;
    all[(int)w->actions[i]]++;
    right[(int)w->actions[i]] += !wrong;
  }
  /* return 0: the labelled returns now reach from 0 to 7, so trajectories 0 to 3 are inside */
  w->rewards[5 * STEPS] = 0;
  for (uint32_t i = 0; i < 4 * STEPS; i++) inside_n += known[i], inside += known[i] && i % 5;
  CU_OK(idm_quality_new(&w->truth, &w->masked, &q, &err), err);
  idm_quality_add(q, 0, 5, labels, std, epistemic, known);
  idm_quality_add(q, 5, TRAJ_N, labels + 5 * STEPS, std + 5 * STEPS, epistemic + 5 * STEPS,
                  known + 5 * STEPS);
  idm_quality_figures(q, IDM_ALL, &f);
  idm_quality_figures(q, IDM_INSIDE, &in);
  idm_quality_figures(q, IDM_OUTSIDE, &out);
  idm_quality_recall(q, recall);
  double n = 0, sum = 0;
  for (int j = 0; j < C; j++) {
    n += all[j], sum += right[j];
    CU_ASSERT_DOUBLE_EQUAL(recall[j], right[j] / all[j], 1e-12);
  }
  CU_ASSERT_EQUAL((double)f.n, n);
  CU_ASSERT_DOUBLE_EQUAL(f.accuracy, sum / n, 1e-12);
  CU_ASSERT_DOUBLE_EQUAL(f.score_right, 0.375, 1e-6);
  CU_ASSERT_DOUBLE_EQUAL(f.score_wrong, 0.75, 1e-6);
  CU_ASSERT_EQUAL((double)in.n, inside_n);
  CU_ASSERT_DOUBLE_EQUAL(in.accuracy, inside / inside_n, 1e-12);
  CU_ASSERT_EQUAL(out.n, f.n - in.n);
  CU_ASSERT_DOUBLE_EQUAL(out.accuracy, (sum - inside) / (n - inside_n), 1e-12);
  idm_quality_free(q);
  free(w);
}

CU_MAIN("idm_softmax", T(the_loss_is_the_cross_entropy_and_its_gradient),
        T(gradients_of_net_and_linear_path_agree_with_finite_differences),
        T(heads_and_actions_must_fit), T(an_ensemble_finds_the_classes),
        T(self_training_adds_classes),
        T(same_seed_gives_the_same_bytes_and_a_loaded_model_labels_alike),
        T(steps_allocate_nothing), T(entropy_is_split_into_noise_and_disagreement),
        T(entropy_is_right_at_its_ends), T(yardsticks_of_classes_are_what_they_say),
        T(quality_of_classes_is_their_accuracy))
