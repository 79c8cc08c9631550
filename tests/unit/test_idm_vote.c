/* SPDX-License-Identifier: Apache-2.0 */
/* How much members count in labels: against a twin in float64 that works in another way, and on
 * models. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/idm/norm.h"
#include "lib/idm/vote.h"
#include "lib/idm/window.h"
#include "tests/support/cu.h"
#include "tests/support/idm_world.h"

/* ---- models of which the probes alone are set */

enum { PROBES = 50, CELLS = PROBES * WORLD_A };

static void take_models(uint32_t n, struct idm_model **models) {
  struct px_dataset *ds = world_new(WORLD_TRAJS);
  const struct idm_spec spec = world_spec(n, 1);
  struct px_err err;
  for (uint32_t i = 0; i < n; i++) {
    CU_OK(idm_model_new(&spec, i, &ds->spaces, &models[i], &err), err);
    CU_OK(idm_vote_probes_new(models[i], PROBES, &err), err);
    idm_norm_measure(models[i]->norm, ds);
  }
  world_free(ds);
}

static void free_models(uint32_t n, struct idm_model **models) {
  for (uint32_t i = 0; i < n; i++) idm_model_free(models[i]);
}

/* Around a common answer, member i by noise of size[i]. */
static void answer(uint32_t n, struct idm_model **models, const double *size) {
  struct px_rng rng = px_rng_at(3, 0, 0);
  for (uint32_t c = 0; c < CELLS; c++) {
    const double common = px_rng_double(&rng) - 0.5;
    for (uint32_t i = 0; i < n; i++)
      models[i]->probes[c] = (float)(common + size[i] * (px_rng_double(&rng) - 0.5));
  }
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double twin_median(uint32_t n, const double *values) {
  double sorted[IDM_MEMBERS_MAX];
  memcpy(sorted, values, sizeof *values * n);
  qsort(sorted, n, sizeof *sorted, ascending);
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

/* From the mean squared distances themselves, not their sums. */
static void twin(uint32_t n, struct idm_model **models, double *weight) {
  double distance[IDM_MEMBERS_MAX] = { 0 }, total = 0;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t c = 0; c < CELLS; c++) {
      double all[IDM_MEMBERS_MAX];
      for (uint32_t j = 0; j < n; j++) all[j] = (double)models[j]->probes[c];
      distance[i] += pow(all[i] - twin_median(n, all), 2) / CELLS;
    }
  const double bound = 3 * twin_median(n, distance);
  for (uint32_t i = 0; i < n; i++)
    total += weight[i] = distance[i] > bound ? 1 / distance[i] : 1 / bound;
  for (uint32_t i = 0; i < n; i++) weight[i] *= n / total;
}

static void weights_agree_with_their_twin(void) {
  static const uint32_t MEMBERS[] = { 3, 4, 5, IDM_MEMBERS_MAX };
  for (size_t m = 0; m < sizeof MEMBERS / sizeof *MEMBERS; m++) {
    const uint32_t n = MEMBERS[m];
    struct idm_model *models[IDM_MEMBERS_MAX];
    double size[IDM_MEMBERS_MAX], weight[IDM_MEMBERS_MAX], expected[IDM_MEMBERS_MAX], sum = 0;
    for (uint32_t i = 0; i < n; i++) size[i] = i == 1 ? 2 : i == 4 ? 0.8 : 0.1 + 0.01 * (i % 4);
    take_models(n, models);
    answer(n, models, size);
    idm_vote(models, n, weight);
    twin(n, models, expected);
    for (uint32_t i = 0; i < n; i++) {
      CU_ASSERT_DOUBLE_EQUAL(weight[i], expected[i], 1e-9);
      CU_ASSERT_TRUE(i == 1 ? weight[i] < 0.1 : i == 4 ? weight[i] < 0.5 : weight[i] > 1);
      if (i != 1 && i != 4) CU_ASSERT_DOUBLE_EQUAL(weight[i], weight[0], 1e-12);
      sum += weight[i];
    }
    CU_ASSERT_DOUBLE_EQUAL(sum, n, 1e-9);
    free_models(n, models);
  }
}

static bool equal(uint32_t n, struct idm_model **models) {
  double weight[IDM_MEMBERS_MAX];
  bool all = true;
  idm_vote(models, n, weight);
  for (uint32_t i = 0; i < n; i++) all = all && fabs(weight[i] - 1) < 1e-12;
  return all;
}

static void nothing_to_compare_means_equal_weights(void) {
  struct idm_model *models[5];
  const double size[5] = { 0.1, 2, 0.11, 0.12, 0.1 }, near[5] = { 0.1, 0.12, 0.11, 0.12, 0.1 };
  const double same[5] = { 0, 0, 0, 0, 2 };
  take_models(5, models);
  answer(5, models, size);
  CU_ASSERT_FALSE(equal(5, models));
  CU_ASSERT_FALSE(equal(3, models));
  CU_ASSERT_TRUE(equal(2, models));
  CU_ASSERT_TRUE(equal(1, models));
  models[3]->probes_n--; /* of another dataset */
  CU_ASSERT_TRUE(equal(5, models));
  models[3]->probes_n++;
  models[3]->probes_of++; /* of another mask, with as many hidden */
  CU_ASSERT_TRUE(equal(5, models));
  models[3]->probes_of--;
  models[2]->probes[7] = NAN;
  CU_ASSERT_TRUE(equal(5, models));
  answer(5, models, near);
  CU_ASSERT_TRUE(equal(5, models));
  answer(5, models, same);
  CU_ASSERT_TRUE(equal(5, models));
  free_models(5, models);
}

/* ---- labels: the linear path's bias is all that differs from 0 */

static void labels_are_weighted_means(void) {
  struct px_dataset *ds = world_new(WORLD_TRAJS);
  struct idm_model *models[3];
  struct idm_labels *labels;
  struct px_err err;
  const double mu[3] = { 0.3, -0.5, 0.1 }, y[3] = { 0.4, 0.3, -0.2 }, size[3] = { 0.1, 1, 0.1 };
  double weight[3], label = 0, differ = 0, whole = 0;
  take_models(3, models);
  answer(3, models, size);
  twin(3, models, weight);
  CU_ASSERT_TRUE(weight[1] < 0.5);
  for (uint32_t i = 0; i < 3; i++) {
    models[i]->linear[(size_t)WORLD_A * models[i]->mu->shape.in] = (float)mu[i];
    models[i]->sigma->params[models[i]->sigma->params_n - WORLD_A] = (float)y[i];
    label += weight[i] * mu[i] / 3;
    whole += weight[i] * exp(2 * (-1.5 + 3.5 * tanh(y[i]))) / 3;
  }
  for (uint32_t i = 0; i < 3; i++) differ += weight[i] * (mu[i] - label) * (mu[i] - label) / 3;
  CU_OK(idm_label(models, 3, ds, 0, 1, NULL, &labels, &err), err);
  CU_ASSERT_DOUBLE_EQUAL(labels->actions[0], 2 * label, 1e-5); /* the range is [-2, 2] */
  CU_ASSERT_DOUBLE_EQUAL(labels->epistemic[0], 2 * sqrt(2 * differ), 1e-5);
  CU_ASSERT_DOUBLE_EQUAL(labels->std[0], 2 * sqrt(fmax(whole - 2 * differ, 0)), 1e-5);
  idm_labels_free(labels);
  models[1]->spec.voting = IDM_EQUAL;
  /* These are not one ensemble. */
  CU_ASSERT_EQUAL(idm_label(models, 3, ds, 0, 1, NULL, &labels, &err), PX_E_BAD_DATA);
  free_models(3, models);
  world_free(ds);
}

/* ---- probes */

static void probes_are_labels_of_what_is_unlabelled(void) {
  struct px_dataset *ds = world_new(7);
  const struct idm_spec spec = world_spec(3, 40);
  struct idm_metrics metrics;
  struct idm_labels *labels;
  struct px_err err;
  struct idm_model *model = world_trained(ds, &spec, 1, &metrics);
  uint64_t n = 0;
  CU_OK(idm_label(&model, 1, ds, 7, WORLD_TRAJS, NULL, &labels, &err), err);
  for (uint64_t i = 0; i < labels->steps_n; i++) {
    if (!labels->known[i]) continue;
    const float *label = labels->actions + i * WORLD_A, *probe = model->probes + n * WORLD_A;
    for (uint32_t j = 0; j < WORLD_A && n < model->probes_n; j++)
      CU_ASSERT_DOUBLE_EQUAL(label[j], 2 * probe[j], 1e-5);
    n++;
  }
  CU_ASSERT_EQUAL(n, model->probes_n);
  CU_ASSERT_TRUE(n > 20);
  idm_labels_free(labels);
  idm_model_free(model);
  world_free(ds);
}

static void unlabelled_steps_are_evenly_spaced(void) {
  struct px_dataset *ds = world_new(0);
  const struct idm_spec spec = world_spec(3, 1);
  struct idm_step *all, *some;
  uint32_t all_n, some_n;
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_unlabelled(ds, &spec, 1000, &all, &all_n), PX_OK);
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_unlabelled(ds, &spec, 54, &some, &some_n), PX_OK);
  /* Of every third trajectory the last state is unknown. */
  CU_ASSERT_EQUAL(all_n, ds->steps_n - WORLD_TRAJS / 3);
  CU_ASSERT_EQUAL(ds->steps_n, 108);
  CU_ASSERT_TRUE(some_n > 45 && some_n <= 54);
  for (uint32_t i = 0; i < some_n; i++)
    CU_ASSERT_EQUAL((ds->step_start[some[i].traj] + some[i].t) % 2, 0);
  free(all), free(some);
  world_free(ds);
}

/* Nothing unlabelled, and voting equal, leave a file as it was before there were probes. */
static void probes_are_kept_where_they_count(void) {
  for (int i = 0; i < 3; i++) {
    struct px_dataset *ds = world_new(i == 1 ? WORLD_TRAJS : 9);
    struct idm_spec spec = world_spec(3, 20);
    struct idm_metrics metrics;
    struct px_err err;
    if (i == 2) spec.voting = IDM_EQUAL;
    struct idm_model *model = world_trained(ds, &spec, 0, &metrics), *loaded = NULL;
    struct px_buf bytes = world_saved(model);
    CU_ASSERT_EQUAL(model->probes_n > 0, i == 0);
    CU_OK(idm_model_load(bytes.data, bytes.len, &loaded, &err), err);
    CU_ASSERT_EQUAL_FATAL(loaded->probes_n, model->probes_n);
    const size_t bytes_n = sizeof(float) * model->probes_n * WORLD_A;
    if (i == 0) CU_ASSERT_EQUAL(memcmp(loaded->probes, model->probes, bytes_n), 0);
    idm_model_free(loaded);
    loaded = NULL;
    char *field = strstr(bytes.data + 8, "\"probes_n\":\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(field);
    field[strlen("\"probes_n\":\"")]++; /* more than the file has */
    CU_ASSERT_EQUAL(idm_model_load(bytes.data, bytes.len, &loaded, &err), PX_E_BAD_DATA);
    CU_ASSERT_EQUAL(idm_vote_probes_new(model, IDM_PROBES_MAX + 1, &err), PX_E_BAD_DATA);
    px_buf_free(&bytes);
    idm_model_free(model);
    world_free(ds);
  }
}

CU_MAIN("idm_vote", T(weights_agree_with_their_twin), T(nothing_to_compare_means_equal_weights),
        T(labels_are_weighted_means), T(probes_are_labels_of_what_is_unlabelled),
        T(unlabelled_steps_are_evenly_spaced), T(probes_are_kept_where_they_count))
