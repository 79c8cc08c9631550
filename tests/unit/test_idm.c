/* SPDX-License-Identifier: Apache-2.0 */
/* Inverse dynamics models: windows, folds, training's guarantees, files, labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/idm/fold.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/pass.h"
#include "lib/idm/window.h"
#include "tests/support/allocations.h"
#include "tests/support/cu.h"
#include "tests/support/idm_world.h"

enum { O = WORLD_O, A = WORLD_A, TRAJ_N = WORLD_TRAJS, LONGEST = WORLD_LONGEST };

/* ---- windows */

/* A window's place, counted from the oldest, is zero / the state of row `row`. */
static bool is_zero(const float *x, uint32_t place) {
  for (uint32_t j = 0; j < O; j++)
    if (x[place * O + j] != 0) return false;
  return true;
}
static bool is_state(const float *x, uint32_t place, const struct idm_norm *norm, const float *s) {
  for (uint32_t j = 0; j < O; j++)
    if (fabs((double)x[place * O + j] - ((double)s[j] - norm->stats[j]) / norm->stats[O + j]) >
        1e-5)
      return false;
  return true;
}

static void windows_are_padded_at_both_ends(void) {
  struct px_dataset *ds = world_new(TRAJ_N);
  struct idm_spec spec = world_spec(1, 1);
  struct idm_norm *norm;
  spec.k = 2, spec.f = 2, spec.inputs = IDM_STATES;
  float x[3][O * 6 + 2];
  /* 8 steps, the state after the last is known */
  const struct idm_step steps[3] = { { 0, 0 }, { 0, 4 }, { 0, 7 } };
  CU_ASSERT_EQUAL_FATAL(idm_norm_new(O, &norm), PX_OK);
  idm_norm_measure(norm, ds);
  CU_ASSERT_EQUAL_FATAL(idm_window_inputs(&spec, O), O * 6 + 2);
  idm_window_gather(norm, &spec, ds, steps, 3, x[0]);
  const float *s = ds->observations;
  CU_ASSERT_TRUE(is_zero(x[0], 0) && is_zero(x[0], 1)); /* before the start */
  CU_ASSERT_TRUE(is_state(x[0], 2, norm, s) && is_state(x[0], 5, norm, s + 3 * O));
  CU_ASSERT_TRUE(x[0][O * 6] == 0 && x[0][O * 6 + 1] == 0);
  for (uint32_t place = 0; place < 6; place++)
    CU_ASSERT_TRUE(is_state(x[1], place, norm, s + (2 + place) * O));
  CU_ASSERT_TRUE(is_state(x[2], 3, norm, s + 8 * O)); /* past the end: repeated, and marked */
  CU_ASSERT_TRUE(is_state(x[2], 4, norm, s + 8 * O) && is_state(x[2], 5, norm, s + 8 * O));
  CU_ASSERT_TRUE(x[2][O * 6] == 1 && x[2][O * 6 + 1] == 1);
  idm_norm_free(norm);
  world_free(ds);
}

static void windows_do_not_cross_trajectories(void) {
  struct px_dataset *ds = world_new(TRAJ_N);
  struct idm_spec spec = world_spec(1, 1);
  struct idm_norm *norm;
  spec.k = 3, spec.f = 3;
  const uint32_t in = idm_window_inputs(&spec, O), steps_n = 10;
  struct idm_step steps[10];
  float *before = px_mem_calloc((size_t)steps_n * in, sizeof *before),
        *after = px_mem_calloc((size_t)steps_n * in, sizeof *after);
  for (uint32_t t = 0; t < 9; t++) steps[t] = (struct idm_step){ 1, t };
  CU_ASSERT_EQUAL_FATAL(idm_norm_new(O, &norm), PX_OK);
  idm_norm_measure(norm, ds);
  idm_window_gather(norm, &spec, ds, steps, 9, before);
  for (uint64_t row = 0; row < ds->obs_n; row++)
    if (row < ds->obs_start[1] || row >= ds->obs_start[2]) ds->observations[row * O] = NAN;
  idm_window_gather(norm, &spec, ds, steps, 9, after);
  CU_ASSERT_EQUAL(memcmp(before, after, sizeof *before * 9 * in), 0);
  free(before), free(after);
  idm_norm_free(norm);
  world_free(ds);
}

static void changes_have_unit_variance_and_actions_map_to_one(void) {
  struct px_dataset *ds = world_new(TRAJ_N);
  struct idm_spec spec = world_spec(1, 1);
  struct idm_norm *norm;
  struct idm_step *steps;
  uint32_t n;
  spec.k = 0;
  CU_ASSERT_EQUAL_FATAL(idm_norm_new(O, &norm), PX_OK);
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(ds, &spec, &steps, &n), PX_OK);
  /* the last step of every third trajectory cannot be used */
  CU_ASSERT_EQUAL(n, ds->steps_n - TRAJ_N / 3);
  idm_norm_measure(norm, ds);
  double sum = 0, square = 0;
  for (uint32_t i = 0; i < n; i++) {
    float x[2 * O], a[A];
    idm_window_gather(norm, &spec, ds, steps + i, 1, x);
    idm_window_actions(ds, steps + i, 1, a);
    CU_ASSERT_DOUBLE_EQUAL(a[1],
                           ds->actions[(ds->step_start[steps[i].traj] + steps[i].t) * A + 1] / 2,
                           1e-6);
    sum += (double)x[O];
    square += (double)x[O] * (double)x[O];
  }
  CU_ASSERT_DOUBLE_EQUAL(sum / n, 0, 1e-4);
  CU_ASSERT_DOUBLE_EQUAL(square / n, 1, 1e-3);
  free(steps);
  idm_norm_free(norm);
  world_free(ds);
}

/* ---- the loss */

/* The largest difference of a gradient from central differences, relative to its largest number. */
static double gradient_error(struct idm_model *model, struct idm_pass *pass, uint32_t n,
                             float *params, const float *grads, size_t count) {
  const float step = 2e-3F;
  double worst = 0, size = 0;
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

static void check_gradients(enum idm_head head, enum idm_mean_loss mean_loss) {
  enum { N = 16 };
  struct px_dataset *ds = world_new(TRAJ_N);
  struct idm_spec spec = world_spec(1, 1);
  struct idm_model *model;
  struct idm_pass pass;
  struct px_err err;
  struct idm_step *steps;
  struct px_rng rng = px_rng_at(1, 2, 3);
  uint32_t n;
  spec.hidden = 8, spec.k = 0, spec.head = head, spec.mean_loss = mean_loss;
  CU_OK(idm_model_new(&spec, 0, &ds->spaces, &model, &err), err);
  CU_OK(idm_pass_new(model, &pass), err);
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(ds, &spec, &steps, &n), PX_OK);
  CU_ASSERT_EQUAL_FATAL(px_mlp_init(model->mu, PX_MLP_UNIFORM, 1, 1), PX_OK);
  if (model->sigma) CU_ASSERT_EQUAL_FATAL(px_mlp_init(model->sigma, PX_MLP_UNIFORM, 1, 2), PX_OK);
  const size_t linear_n = A * (model->mu->shape.in + 1);
  px_rng_normal(&rng, model->linear, linear_n);
  for (size_t i = 0; i < linear_n; i++) model->linear[i] *= 0.1F;
  idm_norm_measure(model->norm, ds);
  idm_window_gather(model->norm, &spec, ds, steps, N, pass.x);
  idm_window_actions(ds, steps, N, pass.action);
  (void)idm_pass_gradients(model, &pass, N, NULL, NULL, 1.0 / N, false);
  if (model->sigma)
    CU_ASSERT_TRUE(gradient_error(model, &pass, N, model->sigma->params, pass.sigma_grads,
                                  model->sigma->params_n) < 5e-3);
  (void)idm_pass_gradients(model, &pass, N, NULL, NULL, 1.0 / N, false);
  /* else the likelihood in the loss moves with mu and its gradient does not */
  if (mean_loss == IDM_NLL || !model->sigma) {
    CU_ASSERT_TRUE(gradient_error(model, &pass, N, model->mu->params, pass.mu_grads,
                                  model->mu->params_n) < 5e-3);
    (void)idm_pass_gradients(model, &pass, N, NULL, NULL, 1.0 / N, false);
    CU_ASSERT_TRUE(gradient_error(model, &pass, N, model->linear, pass.linear_grads, linear_n) <
                   5e-3);
  }
  free(steps);
  idm_pass_free(&pass);
  idm_model_free(model);
  world_free(ds);
}

static void gradients_agree_with_finite_differences(void) {
  check_gradients(IDM_SQUASHED, IDM_NLL);
  check_gradients(IDM_GAUSSIAN, IDM_NLL);
  check_gradients(IDM_SQUASHED, IDM_SQUARED);
  check_gradients(IDM_GAUSSIAN, IDM_SQUARED);
  check_gradients(IDM_DETERMINISTIC, IDM_SQUARED);
}

/* ---- folds */

static void folds_part_whole_trajectories_and_cover_all(void) {
  struct px_dataset *ds = world_new(7);
  const struct idm_spec spec = world_spec(5, 1);
  struct idm_step *steps;
  uint32_t n, held = 0;
  bool seen[TRAJ_N] = { false };
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(ds, &spec, &steps, &n), PX_OK);
  CU_ASSERT_EQUAL(idm_folds_n(&spec, steps, n), 5);
  for (uint32_t member = 0; member < 5; member++) {
    struct idm_fold fold;
    CU_ASSERT_EQUAL_FATAL(idm_fold_split(&spec, member, steps, n, &fold), PX_OK);
    CU_ASSERT_FALSE(fold.by_transition);
    CU_ASSERT_TRUE(fold.held_n > 0 && fold.train_n > 0);
    for (uint32_t i = 0; i < fold.held_n; i++) {
      CU_ASSERT_FALSE(seen[fold.held[i].traj] &&
                      (i == 0 || fold.held[i - 1].traj != fold.held[i].traj));
      seen[fold.held[i].traj] = true;
      for (uint32_t k = 0; k < fold.train_n; k++)
        CU_ASSERT_NOT_EQUAL(fold.train[k].traj, fold.held[i].traj);
    }
    held += fold.held_n;
    idm_fold_free(&fold);
  }
  CU_ASSERT_EQUAL(held, n);
  free(steps);
  world_free(ds);
}

static void fewer_trajectories_than_members_are_dealt_in_blocks(void) {
  struct px_dataset *ds = world_new(3);
  const struct idm_spec spec = world_spec(5, 1);
  struct idm_step *steps;
  uint32_t n, held[TRAJ_N * LONGEST] = { 0 };
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(ds, &spec, &steps, &n), PX_OK);
  for (uint32_t member = 0; member < 5; member++) {
    struct idm_fold fold;
    CU_ASSERT_EQUAL_FATAL(idm_fold_split(&spec, member, steps, n, &fold), PX_OK);
    CU_ASSERT_TRUE(fold.by_transition);
    CU_ASSERT_EQUAL(fold.train_n + fold.held_n, n);
    for (uint32_t i = 0; i < fold.held_n; i++)
      held[ds->step_start[fold.held[i].traj] + fold.held[i].t]++;
    idm_fold_free(&fold);
  }
  for (uint32_t i = 0; i < n; i++)
    CU_ASSERT_EQUAL(held[ds->step_start[steps[i].traj] + steps[i].t], 1);
  free(steps);
  world_free(ds);
}

static void one_labelled_trajectory_or_transition_is_enough(void) {
  struct px_dataset *ds = world_new(1);
  const struct idm_spec spec = world_spec(3, 30);
  struct idm_metrics metrics;
  for (int only_one = 0; only_one < 2; only_one++) {
    if (only_one) memset(ds->labelled + 1, 0, ds->steps_n - 1);
    struct idm_model *model = world_trained(ds, &spec, 1, &metrics);
    CU_ASSERT_TRUE(metrics.val_by_transition);
    CU_ASSERT_TRUE(metrics.val_n > 0 && metrics.train_n > 0 && isfinite(metrics.val_mse));
    idm_model_free(model);
  }
  world_free(ds);
}

/* ---- training */

static void nothing_labelled_is_an_error(void) {
  struct px_dataset *ds = world_new(0);
  const struct idm_spec spec = world_spec(1, 10);
  struct idm_metrics metrics;
  struct idm_model *model = NULL;
  struct px_err err;
  CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 0, NULL, NULL, &model, &metrics, &err),
                  PX_E_NO_LABELS);
  /* the last step of trajectory 2, whose next state is unknown */
  ds->labelled[ds->step_start[3] - 1] = 1;
  CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 0, NULL, NULL, &model, &metrics, &err),
                  PX_E_NO_LABELS);
  CU_ASSERT_PTR_NULL(model);
  world_free(ds);
}

static void bad_specs_name_the_field(void) {
  struct px_dataset *ds = world_new(3);
  struct idm_spec spec = world_spec(2, 10);
  struct idm_metrics metrics;
  struct idm_model *model;
  struct px_err err;
  CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 2, NULL, NULL, &model, &metrics, &err),
                  PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/member");
  spec.k = IDM_K_MAX + 1;
  CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 0, NULL, NULL, &model, &metrics, &err),
                  PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/k");
  spec.k = 0, spec.lr = NAN;
  CU_ASSERT_EQUAL(idm_spec_check(&spec, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/lr");
  spec.lr = 1e-3, spec.head = IDM_DETERMINISTIC, spec.mean_loss = IDM_NLL;
  CU_ASSERT_EQUAL(idm_spec_check(&spec, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/mean_loss");
  world_free(ds);
}

/* Words are kept as their places, which the enums must follow. */
static void options_have_their_words_and_profiles(void) {
  struct idm_spec spec, again;
  struct idm_spec_text text, text_again;
  struct px_safetensors_meta meta[IDM_SPEC_META_MAX], meta_again[IDM_SPEC_META_MAX];
  struct px_err err;
  static const enum idm_head head[] = { IDM_SQUASHED, IDM_GAUSSIAN, IDM_DETERMINISTIC };
  static const enum idm_mean_loss loss[] = { IDM_SQUARED, IDM_NLL, IDM_BETA_NLL };
  static const char *const heads[] = { "squashed", "gaussian", "deterministic" };
  static const char *const losses[] = { "squared", "nll", "beta_nll" };
  for (int i = 0; i < 3; i++) {
    CU_OK(idm_spec_set(&spec, "head", heads[i], &err), err);
    CU_ASSERT_EQUAL(spec.head, head[i]);
    CU_OK(idm_spec_set(&spec, "mean_loss", losses[i], &err), err);
    CU_ASSERT_EQUAL(spec.mean_loss, loss[i]);
  }
  idm_spec_default(IDM_PAPER, &spec);
  CU_OK(idm_spec_check(&spec, &err), err);
  CU_ASSERT_TRUE(spec.inputs == IDM_STATES && spec.head == IDM_SQUASHED &&
                 spec.mean_loss == IDM_NLL && !spec.linear);
  CU_ASSERT_TRUE(spec.k == 1 && spec.hidden == 1024 && spec.layers == 2 && spec.batch == 1024 &&
                 spec.steps == 100000);
  CU_ASSERT_TRUE(spec.lr == 1e-4 && spec.dropout == 0.1 && spec.members == 1 && !spec.cosine &&
                 spec.patience == 0);
  json_t *given = json_pack("{s:s s:i s:f s:b s:s}", "profile", "paper", "k", 3, "lr", 0.1,
                            "linear", 1, "head", "gaussian");
  CU_OK(idm_spec_read(given, &again, &err), err);
  json_decref(given);
  CU_ASSERT_TRUE(again.k == 3 && again.lr == 0.1 && again.linear && again.head == IDM_GAUSSIAN &&
                 again.hidden == 1024);
  const size_t n = idm_spec_meta(&again, &text, meta);
  idm_spec_default(IDM_PAPER, &spec);
  for (size_t i = 1; i < n; i++) CU_OK(idm_spec_set(&spec, meta[i].key, meta[i].value, &err), err);
  CU_ASSERT_EQUAL(idm_spec_meta(&spec, &text_again, meta_again), n);
  for (size_t i = 0; i < n; i++) CU_ASSERT_STRING_EQUAL(meta[i].value, meta_again[i].value);
  CU_ASSERT_EQUAL(idm_spec_set(&spec, "head", "square", &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/head");
  CU_ASSERT_EQUAL(idm_spec_set(&spec, "k", "1.5", &err), PX_E_BAD_FIELD);
  CU_ASSERT_EQUAL(idm_spec_set(&spec, "kk", "1", &err), PX_E_BAD_FIELD);
}

static void a_loss_that_is_not_finite_is_an_error(void) {
  struct px_dataset *ds = world_new(6);
  struct idm_spec spec = world_spec(2, 50);
  struct idm_metrics metrics;
  struct idm_model *model = NULL;
  struct px_err err;
  /* finite, but their difference is not */
  ds->observations[0] = 3e38F, ds->observations[O] = -3e38F;
  for (int linear = 0; linear < 2; linear++) {
    spec.linear = linear;
    CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 0, NULL, NULL, &model, &metrics, &err),
                    PX_E_NAN_LOSS);
    CU_ASSERT_PTR_NULL(model);
  }
  world_free(ds);
}

static enum px_status cancel(void *ctx, const char *phase, int64_t step, int64_t total,
                             const struct px_metric *metrics, size_t metrics_n) {
  (void)ctx, (void)phase, (void)step, (void)total, (void)metrics, (void)metrics_n;
  return PX_E_CANCELLED;
}

static void cancelling_stops_training_and_labelling(void) {
  struct px_dataset *ds = world_new(6);
  const struct idm_spec spec = world_spec(2, 20);
  const struct px_progress progress = { NULL, cancel };
  struct idm_metrics metrics;
  struct idm_model *model = NULL;
  struct px_err err;
  CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 0, &progress, NULL, &model, &metrics, &err),
                  PX_E_CANCELLED);
  CU_ASSERT_PTR_NULL(model);
  world_free(ds);
}

static void same_seed_gives_the_same_bytes(void) {
  struct px_dataset *ds = world_new(8);
  struct idm_spec spec = world_spec(3, 40);
  struct idm_metrics metrics;
  spec.dropout = 0.1;
  struct idm_model *first = world_trained(ds, &spec, 1, &metrics);
  /* What hidden actions were must not matter. */
  for (uint64_t i = 0; i < ds->steps_n * A; i++)
    if (!ds->labelled[i / A]) ds->actions[i] = 1e6F;
  struct idm_model *again = world_trained(ds, &spec, 1, &metrics),
                   *other = world_trained(ds, &spec, 2, &metrics);
  struct px_buf a = world_saved(first), b = world_saved(again), c = world_saved(other);
  CU_ASSERT_EQUAL(a.len, b.len);
  CU_ASSERT_EQUAL(memcmp(a.data, b.data, a.len), 0);
  CU_ASSERT_FALSE(a.len == c.len && memcmp(a.data, c.data, a.len) == 0);
  px_buf_free(&a), px_buf_free(&b), px_buf_free(&c);
  idm_model_free(first), idm_model_free(again), idm_model_free(other);
  world_free(ds);
}

#ifdef COUNTS_ALLOCATIONS
static uint64_t allocations_of(const struct px_dataset *ds, uint32_t steps) {
  struct idm_spec spec = world_spec(2, steps);
  struct idm_metrics metrics;
  spec.patience = 0;
  const uint64_t before = allocations;
  idm_model_free(world_trained(ds, &spec, 0, &metrics));
  CU_ASSERT_EQUAL(metrics.steps, steps);
  return allocations - before;
}
#endif

static void steps_allocate_nothing(void) {
#ifndef COUNTS_ALLOCATIONS
  CU_PASS("the sanitizer owns malloc: counted in the ordinary build");
#else
  struct px_dataset *ds = world_new(8);
  const uint64_t few = allocations_of(ds, 10);
  CU_ASSERT_TRUE(few > 0);
  CU_ASSERT_EQUAL(allocations_of(ds, 150), few);
  world_free(ds);
#endif
}

/* ---- files */

static void check_loaded(enum idm_head head) {
  struct px_dataset *ds = world_new(8);
  struct idm_spec spec = world_spec(2, 60);
  struct idm_metrics metrics;
  spec.head = head;
  struct px_err err;
  struct idm_model *model = world_trained(ds, &spec, 1, &metrics), *loaded = NULL;
  struct px_buf bytes = world_saved(model), again;
  struct idm_labels *a, *b;
  CU_OK(idm_model_load(bytes.data, bytes.len, &loaded, &err), err);
  CU_ASSERT_EQUAL(idm_model_member(loaded), 1);
  CU_ASSERT_EQUAL(idm_model_spec(loaded)->steps, 60);
  CU_OK(idm_label(&model, 1, ds, 0, TRAJ_N, NULL, &a, &err), err);
  CU_OK(idm_label(&loaded, 1, ds, 0, TRAJ_N, NULL, &b, &err), err);
  CU_ASSERT_EQUAL(memcmp(a->actions, b->actions, sizeof(float) * A * a->steps_n), 0);
  CU_ASSERT_EQUAL(memcmp(a->std, b->std, sizeof(float) * A * a->steps_n), 0);
  again = world_saved(loaded);
  CU_ASSERT_TRUE(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0);
  idm_labels_free(a), idm_labels_free(b);
  px_buf_free(&bytes), px_buf_free(&again);
  idm_model_free(model), idm_model_free(loaded);
  world_free(ds);
}

static void a_loaded_model_labels_alike(void) {
  check_loaded(IDM_GAUSSIAN);
  check_loaded(IDM_SQUASHED);
  check_loaded(IDM_DETERMINISTIC);
}

static void broken_model_bytes_are_refused(void) {
  struct px_dataset *ds = world_new(4);
  const struct idm_spec spec = world_spec(1, 5);
  struct idm_metrics metrics;
  struct px_err err;
  struct idm_model *model = world_trained(ds, &spec, 0, &metrics), *loaded = NULL;
  struct px_buf bytes = world_saved(model);
  for (size_t n = 0; n < bytes.len; n += 1 + bytes.len / 50)
    CU_ASSERT_EQUAL(idm_model_load(bytes.data, n, &loaded, &err), PX_E_BAD_DATA);
  char *field = strstr(bytes.data + 8, "\"hidden\":\"32\""); /* then the tensors do not fit */
  CU_ASSERT_PTR_NOT_NULL_FATAL(field);
  field[strlen("\"hidden\":\"")] = '6';
  CU_ASSERT_EQUAL(idm_model_load(bytes.data, bytes.len, &loaded, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NULL(loaded);
  px_buf_free(&bytes);
  idm_model_free(model);
  world_free(ds);
}

/* ---- labels */

static void an_ensemble_finds_the_law_and_marks_what_is_unknown(void) {
  struct px_dataset *ds = world_new(9), *truth = world_new(TRAJ_N);
  const struct idm_spec spec = world_spec(3, 100);
  struct idm_metrics metrics;
  struct px_err err;
  struct idm_model *models[3];
  struct idm_labels *labels, *part;
  for (uint32_t i = 0; i < 3; i++) models[i] = world_trained(ds, &spec, i, &metrics);
  CU_ASSERT_TRUE(metrics.val_r2 > 0.99 && metrics.val_r2_dim[0] > 0.99 &&
                 metrics.val_r2_dim[1] > 0.99);
  CU_OK(idm_label(models, 3, ds, 0, TRAJ_N, NULL, &labels, &err), err);
  double worst = 0;
  for (uint32_t traj = 0; traj < TRAJ_N; traj++)
    for (uint64_t i = ds->step_start[traj]; i < ds->step_start[traj + 1]; i++) {
      CU_ASSERT_EQUAL(labels->known[i], px_dataset_next_known(ds, traj, i - ds->step_start[traj]));
      for (uint64_t j = i * A; j < (i + 1) * A; j++) {
        if (labels->known[i]) {
          worst = fmax(worst, fabs((double)labels->actions[j] - (double)truth->actions[j]));
          CU_ASSERT_TRUE(labels->std[j] > 0 && labels->epistemic[j] >= 0 && labels->score[i] > 0);
        } else {
          CU_ASSERT_TRUE(labels->actions[j] == 0 && labels->std[j] == 0 && labels->score[i] == 0);
        }
      }
    }
  CU_ASSERT_TRUE(worst < 0.2); /* of a range of 4 */
  /* a shard's rows are the whole's */
  CU_OK(idm_label(models, 3, ds, 4, 7, NULL, &part, &err), err);
  CU_ASSERT_EQUAL(part->steps_n, ds->step_start[7] - ds->step_start[4]);
  for (uint64_t j = 0; j < part->steps_n * A; j++)
    CU_ASSERT_DOUBLE_EQUAL(part->actions[j], labels->actions[ds->step_start[4] * A + j], 1e-5);
  idm_labels_free(part), idm_labels_free(labels);
  for (uint32_t i = 0; i < 3; i++) idm_model_free(models[i]);
  world_free(ds), world_free(truth);
}

static void a_deterministic_head_states_its_held_out_error(void) {
  struct px_dataset *ds = world_new(9);
  struct idm_spec spec = world_spec(3, 5);
  struct idm_metrics metrics;
  struct px_err err;
  struct idm_labels *labels;
  spec.head = IDM_DETERMINISTIC;
  struct idm_model *model = world_trained(ds, &spec, 0, &metrics);
  CU_OK(idm_label(&model, 1, ds, 0, TRAJ_N, NULL, &labels, &err), err);
  double square = 0;
  for (uint64_t i = 0; i < labels->steps_n; i++)
    for (uint32_t j = 0; j < A && labels->known[i]; j++)
      CU_ASSERT_EQUAL(labels->std[i * A + j], labels->std[j]);
  for (uint32_t j = 0; j < A; j++) square += (double)labels->std[j] * (double)labels->std[j] / A;
  CU_ASSERT_TRUE(metrics.val_mse > 0);
  CU_ASSERT_DOUBLE_EQUAL(square, 4 * metrics.val_mse, 1e-5 * square); /* the range is [-2, 2] */
  idm_labels_free(labels);
  idm_model_free(model);
  world_free(ds);
}

/* With the linear path as the only thing that differs from 0, mu is its bias. */
static void label_spread_and_disagreement_follow_their_formulas(void) {
  struct px_dataset *ds = world_new(TRAJ_N);
  struct idm_spec spec = world_spec(2, 1);
  struct idm_model *models[2];
  struct idm_labels *labels;
  struct px_err err;
  const double mu[2] = { 0.3, -0.5 }, y[2] = { 0.4, 0.3 };
  for (int i = 0; i < 4; i++) {
    const bool head = i % 2;
    double m[2], whole = 0;
    spec.head = head ? IDM_GAUSSIAN : IDM_SQUASHED;
    /* of 9 replicates these are two: then all is put down to what they differ by */
    spec.members = i < 2 ? 2 : 9;
    for (uint32_t e = 0; e < 2; e++) {
      CU_OK(idm_model_new(&spec, e, &ds->spaces, &models[e], &err), err);
      idm_norm_measure(models[e]->norm, ds);
      models[e]->linear[(size_t)A * models[e]->mu->shape.in] = (float)mu[e];
      models[e]->sigma->params[models[e]->sigma->params_n - A] = (float)y[e];
      m[e] = head ? mu[e] : tanh(mu[e]);
      const double s = exp(-1.5 + 3.5 * tanh(y[e])) * (head ? 1 : 1 - m[e] * m[e]);
      whole += s * s / 2;
    }
    const double epistemic = (spec.members - 1) * (m[0] - m[1]) * (m[0] - m[1]) / 4;
    CU_OK(idm_label(models, 2, ds, 0, 1, NULL, &labels, &err), err);
    /* the range is [-2, 2] */
    CU_ASSERT_DOUBLE_EQUAL(labels->actions[0], 2 * (m[0] + m[1]) / 2, 1e-5);
    CU_ASSERT_EQUAL(epistemic > whole, i >= 2);
    CU_ASSERT_DOUBLE_EQUAL(labels->epistemic[0], 2 * sqrt(epistemic), 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(labels->std[0], 2 * sqrt(fmax(whole - epistemic, 0)), 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(labels->epistemic[1], 0, 1e-5);
    idm_labels_free(labels);
    idm_model_free(models[1]);
    spec.k = 2;
    CU_OK(idm_model_new(&spec, 1, &ds->spaces, &models[1], &err), err);
    /* another window */
    CU_ASSERT_EQUAL(idm_label(models, 2, ds, 0, 1, NULL, &labels, &err), PX_E_BAD_DATA);
    spec.k = 1;
    idm_model_free(models[0]), idm_model_free(models[1]);
  }
  world_free(ds);
}

CU_MAIN("idm", T(windows_are_padded_at_both_ends), T(windows_do_not_cross_trajectories),
        T(changes_have_unit_variance_and_actions_map_to_one),
        T(gradients_agree_with_finite_differences), T(folds_part_whole_trajectories_and_cover_all),
        T(fewer_trajectories_than_members_are_dealt_in_blocks),
        T(one_labelled_trajectory_or_transition_is_enough), T(nothing_labelled_is_an_error),
        T(bad_specs_name_the_field), T(options_have_their_words_and_profiles),
        T(a_loss_that_is_not_finite_is_an_error), T(cancelling_stops_training_and_labelling),
        T(same_seed_gives_the_same_bytes), T(steps_allocate_nothing),
        T(a_loaded_model_labels_alike), T(broken_model_bytes_are_refused),
        T(an_ensemble_finds_the_law_and_marks_what_is_unknown),
        T(label_spread_and_disagreement_follow_their_formulas),
        T(a_deterministic_head_states_its_held_out_error))
