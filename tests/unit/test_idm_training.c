/* SPDX-License-Identifier: Apache-2.0 */
/* Training's options: self-training, resuming, divergence, spectral
 * normalisation, window sizes, and what compat: reference does differently. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/norm.h"
#include "lib/idm/training.h"
#include "lib/idm/window.h"
#include "tests/support/cu.h"
#include "tests/support/idm_world.h"

enum { O = WORLD_O, A = WORLD_A, TRAJ_N = WORLD_TRAJS };

/* The paper's profile in small. */
static struct idm_spec paper_spec(uint32_t steps) {
  struct idm_spec spec;
  idm_spec_default(IDM_PAPER, &spec);
  spec.hidden = 32, spec.steps = steps, spec.batch = 64, spec.validate_every = 10, spec.seed = 5,
  spec.lr = 1e-3;
  return spec;
}

static struct idm_training *training(const struct px_dataset *ds, const struct idm_spec *spec,
                                     const struct px_progress *progress) {
  struct idm_training *t = NULL;
  struct px_err err;
  CU_OK(idm_training_new(ds, spec, 0, progress, &t, &err), err);
  return t;
}

/* ---- windows of every size */

static void windows_of_every_size_train_and_label(void) {
  struct px_dataset *ds = world_new(9);
  for (uint32_t k = 0; k <= IDM_K_MAX; k++)
    for (uint32_t f = 0; f <= IDM_F_MAX; f++) {
      struct idm_spec spec = world_spec(2, 12);
      struct idm_metrics metrics;
      struct idm_labels *labels;
      struct px_err err;
      spec.k = k, spec.f = f;
      struct idm_model *model = world_trained(ds, &spec, 0, &metrics);
      CU_ASSERT_EQUAL(model->mu->shape.in, O * (k + 2 + f) + f);
      CU_ASSERT_TRUE(metrics.val_r2 > 0.9); /* the ridge solution alone finds the law */
      CU_OK(idm_label(&model, 1, ds, 0, TRAJ_N, NULL, &labels, &err), err);
      for (uint64_t i = 0; i < labels->steps_n * A; i++)
        CU_ASSERT_TRUE(isfinite(labels->actions[i]));
      idm_labels_free(labels);
      idm_model_free(model);
    }
  world_free(ds);
}

/* ---- spectral normalisation */

static void spectral_normalisation_bounds_hidden_layers_of_both_nets(void) {
  struct px_dataset *ds = world_new(9);
  struct idm_spec spec = world_spec(2, 200);
  struct idm_metrics metrics;
  spec.spectral_norm = true, spec.patience = 0;
  struct idm_model *model = world_trained(ds, &spec, 0, &metrics);
  struct px_mlp *const nets[] = { model->mu, model->sigma };
  for (int i = 0; i < 2; i++) {
    struct px_spectral *s;
    CU_ASSERT_EQUAL_FATAL(px_spectral_new(nets[i], &s), PX_OK);
    px_spectral_start(s, 1, 1);
    for (int round = 0; round < 300; round++) px_spectral_apply(s, true);
    for (uint32_t l = 0; l < spec.layers; l++) CU_ASSERT_DOUBLE_EQUAL(s->sigma[l], 1, 0.02);
    px_spectral_free(s);
  }
  idm_model_free(model);
  world_free(ds);
}

/* ---- resuming */

struct checkpointer {
  uint64_t at;
  struct px_buf bytes;
};

/* Keeps the state after `at` steps of all rounds; nothing of later ones. */
static enum px_status keep(void *ctx, uint64_t step, const void *bytes, size_t n,
                           struct px_err *err) {
  struct checkpointer *k = ctx;
  (void)err;
  if (step == k->at && !k->bytes.len) CU_ASSERT_EQUAL(px_buf_put(&k->bytes, bytes, n), PX_OK);
  return PX_OK;
}

static struct px_buf run_with(const struct px_dataset *ds, const struct idm_spec *spec,
                              struct px_checkpoint *checkpoint) {
  struct idm_model *model = NULL;
  struct idm_metrics metrics;
  struct px_err err;
  CU_OK(idm_train_member(ds, spec, 0, NULL, checkpoint, &model, &metrics, &err), err);
  const struct px_buf bytes = world_saved(model);
  idm_model_free(model);
  return bytes;
}

static void check_resumed(const struct idm_spec *spec, uint64_t at) {
  struct px_dataset *ds = world_new(8);
  struct checkpointer keeper = { at, PX_BUF(1 << 24) };
  struct px_checkpoint first = { .name = "first", .ctx = &keeper, .keep = keep };
  struct px_buf whole = run_with(ds, spec, &first);
  CU_ASSERT_TRUE_FATAL(keeper.bytes.len > 0);
  struct px_checkpoint second = { .name = "second",
                                  .ctx = &keeper,
                                  .keep = keep,
                                  .from = keeper.bytes.data,
                                  .from_n = keeper.bytes.len };
  struct px_buf resumed = run_with(ds, spec, &second);
  CU_ASSERT_EQUAL(second.resumed_step, at);
  CU_ASSERT_TRUE(whole.len == resumed.len && memcmp(whole.data, resumed.data, whole.len) == 0);
  px_checkpoint_free(&first), px_checkpoint_free(&second);
  px_buf_free(&keeper.bytes), px_buf_free(&whole), px_buf_free(&resumed);
  world_free(ds);
}

static void a_resumed_training_gives_the_same_bytes(void) {
  struct idm_spec spec = world_spec(3, 40);
  check_resumed(&spec, 1);
  check_resumed(&spec, 17);
  spec.spectral_norm = true, spec.dropout = 0.2;
  check_resumed(&spec, 10);
  spec.rounds = 2, spec.patience = 0;
  check_resumed(&spec, 13);
  check_resumed(&spec, 40 + 25); /* within the first round of self-training */
  check_resumed(&spec, 80);      /* between two rounds */
  spec = paper_spec(30);
  check_resumed(&spec, 11);
  spec.compat = IDM_REFERENCE;
  check_resumed(&spec, 11);
}

/* ---- divergence */

static void a_training_that_diverges_names_the_step_and_keeps_its_best_iterate(void) {
  struct px_dataset *ds = world_new(9);
  struct idm_spec spec = world_spec(2, 500);
  struct px_err err;
  struct idm_metrics before, kept;
  struct idm_model *model = NULL;
  spec.linear = false;
  spec.lr = 1e3;
  /* no job can ask for that, but others diverge too */
  CU_ASSERT_EQUAL(idm_spec_check(&spec, &err), PX_E_BAD_FIELD);
  spec.lr = 1e-3;
  struct idm_training *t = training(ds, &spec, NULL);
  t->steps_max = 0;
  CU_ASSERT_EQUAL(idm_training_take(t, &model, &kept, &err), PX_E_NOT_FOUND);
  t->model->spec.steps = 40;
  CU_OK(idm_training_run(t, NULL, &err), err);
  CU_OK(idm_training_measure(t), err);
  before = t->model->metrics;
  t->model->spec.steps = 500, t->model->spec.lr = 1e3, t->model->spec.cosine = false;
  CU_ASSERT_EQUAL(idm_training_run(t, NULL, &err), PX_E_NAN_LOSS);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, " at step 4"));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "lr below 1000"));
  CU_OK(idm_training_take(t, &model, &kept, &err), err);
  CU_ASSERT_TRUE(kept.best_step > 0 && kept.best_step <= 40);
  CU_ASSERT_EQUAL(kept.val_mse, before.val_mse);
  idm_model_free(model);
  idm_training_free(t);
  world_free(ds);
}

static void a_loss_that_explodes_stops_before_it_overflows(void) {
  struct px_dataset *ds = world_new(9);
  struct idm_spec spec = world_spec(2, 500);
  struct px_err err;
  struct idm_model *model = NULL;
  struct idm_metrics metrics;
  /* the highest that a job may ask for */
  spec.lr = 1, spec.layers = 3, spec.cosine = false, spec.validate_every = 1000;
  CU_ASSERT_EQUAL(idm_train_member(ds, &spec, 0, NULL, NULL, &model, &metrics, &err),
                  PX_E_NAN_LOSS);
  CU_ASSERT_PTR_NULL(model);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "e+")); /* a number, not inf or nan */
  world_free(ds);
}

/* ---- self-training */

static void self_training_adds_the_most_certain_unlabelled_transitions(void) {
  struct px_dataset *ds = world_new(6);
  struct idm_spec spec = world_spec(2, 40);
  struct idm_labels *labels;
  struct px_err err;
  spec.rounds = 2, spec.add_percent = 20;
  struct idm_training *t = training(ds, &spec, NULL);
  uint64_t unlabelled = 0, added = 0;
  for (uint32_t traj = 6; traj < TRAJ_N; traj++)
    unlabelled += ds->step_start[traj + 1] - ds->step_start[traj] - !ds->has_final[traj];
  CU_ASSERT_EQUAL(t->pseudo.share, (unlabelled + 4) / 5);
  t->model->spec.rounds = 0;
  CU_OK(idm_training_run(t, NULL, &err), err);
  CU_ASSERT_EQUAL(t->pseudo.n, 0);
  CU_OK(idm_training_measure(t), err);
  CU_OK(idm_pseudo_add(&t->pseudo, ds, t->model, NULL, &err), err);
  CU_ASSERT_EQUAL(t->pseudo.n, t->pseudo.share);
  CU_OK(idm_label(&t->model, 1, ds, 0, TRAJ_N, NULL, &labels, &err), err);
  float worst = 0;
  uint8_t in[WORLD_TRAJS * WORLD_LONGEST] = { 0 };
  for (uint64_t i = 0; i < t->pseudo.n; i++) {
    const struct idm_step step = idm_pseudo_step(&t->pseudo, i);
    const uint64_t at = ds->step_start[step.traj] + step.t;
    CU_ASSERT_TRUE(!ds->labelled[at] && px_dataset_next_known(ds, step.traj, step.t) && !in[at]);
    in[at] = 1;
    worst = fmaxf(worst, labels->score[at]);
    for (uint32_t j = 0; j < A; j++)
      CU_ASSERT_EQUAL(t->pseudo.actions[i * A + j], labels->actions[at * A + j]);
  }
  for (uint32_t traj = 6; traj < TRAJ_N; traj++)
    for (uint64_t at = ds->step_start[traj]; at < ds->step_start[traj + 1]; at++)
      if (labels->known[at] && !in[at]) CU_ASSERT_TRUE(labels->score[at] >= worst);
  /* the second share is of others */
  CU_OK(idm_pseudo_add(&t->pseudo, ds, t->model, NULL, &err), err);
  CU_ASSERT_EQUAL(t->pseudo.n, 2 * t->pseudo.share);
  for (uint64_t i = t->pseudo.share; i < t->pseudo.n; i++) {
    const struct idm_step step = idm_pseudo_step(&t->pseudo, i);
    added += in[ds->step_start[step.traj] + step.t];
  }
  CU_ASSERT_EQUAL(added, 0);
  idm_labels_free(labels);
  idm_training_free(t);
  world_free(ds);
}

static void rounds_learn_from_pseudo_labels_and_never_validate_on_them(void) {
  struct px_dataset *ds = world_new(6);
  struct idm_spec spec = world_spec(2, 20);
  struct px_err err;
  struct idm_metrics metrics, without;
  struct idm_model *model = NULL;
  spec.linear = false; /* the ridge solution knows it all */
  const struct idm_spec plain = spec;
  spec.rounds = 3, spec.add_percent = 60; /* all is added after two */
  struct idm_training *t = training(ds, &spec, NULL);
  CU_OK(idm_training_run(t, NULL, &err), err);
  CU_ASSERT_EQUAL(t->pseudo.n, t->pseudo.max);
  CU_ASSERT_EQUAL(t->place.round, 2);
  for (uint32_t i = 0; i < t->fold.held_n; i++)
    CU_ASSERT_TRUE(ds->labelled[ds->step_start[t->fold.held[i].traj] + t->fold.held[i].t]);
  CU_OK(idm_training_take(t, &model, &metrics, &err), err);
  CU_ASSERT_EQUAL(metrics.pseudo_n, t->pseudo.max);
  idm_model_free(world_trained(ds, &plain, 0, &without));
  CU_ASSERT_EQUAL(metrics.train_n, without.train_n);
  CU_ASSERT_EQUAL(metrics.val_n, without.val_n);
  CU_ASSERT_EQUAL(without.pseudo_n, 0);
  CU_ASSERT_NOT_EQUAL(metrics.val_mse, without.val_mse);
  idm_model_free(model);
  idm_training_free(t);
  world_free(ds);
}

static void rounds_are_the_same_again_and_do_not_see_hidden_actions(void) {
  struct px_dataset *ds = world_new(6);
  struct idm_spec spec = world_spec(3, 30);
  struct idm_metrics metrics;
  spec.rounds = 2, spec.dropout = 0.1;
  struct idm_model *first = world_trained(ds, &spec, 1, &metrics);
  for (uint64_t i = 0; i < ds->steps_n * A; i++)
    if (!ds->labelled[i / A]) ds->actions[i] = 1e6F;
  struct idm_model *again = world_trained(ds, &spec, 1, &metrics);
  struct px_buf a = world_saved(first), b = world_saved(again);
  CU_ASSERT_TRUE(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
  px_buf_free(&a), px_buf_free(&b);
  idm_model_free(first), idm_model_free(again);
  world_free(ds);
}

static void with_nothing_unlabelled_rounds_change_nothing(void) {
  struct px_dataset *ds = world_new(TRAJ_N);
  struct idm_spec spec = world_spec(2, 20);
  struct idm_metrics with, without;
  idm_model_free(world_trained(ds, &spec, 0, &without));
  spec.rounds = 3;
  idm_model_free(world_trained(ds, &spec, 0, &with));
  CU_ASSERT_TRUE(with.val_mse == without.val_mse && with.steps == without.steps &&
                 with.pseudo_n == 0);
  world_free(ds);
}

/* ---- compat: reference */

/* One trajectory of three steps, states of one dim 10, 20, 40 and 80 (the final one); mean 37.5. */
struct tiny {
  struct px_dataset ds;
  float s[4], a[3];
  uint8_t labelled[3], final;
  uint64_t steps[2], obs[2];
};

static void tiny_init(struct tiny *d, bool final) {
  *d = (struct tiny){ .s = { 10, 20, 40, 80 },
                      .labelled = { 1, 1, 1 },
                      .final = final,
                      .steps = { 0, 3 },
                      .obs = { 0, 3 + final } };
  d->ds.spaces.obs_dim = 1, d->ds.spaces.act_dim = 1, d->ds.spaces.act_low[0] = -1,
  d->ds.spaces.act_high[0] = 1;
  d->ds.traj_n = 1, d->ds.steps_n = 3, d->ds.obs_n = 3 + final;
  d->ds.observations = d->s, d->ds.actions = d->a, d->ds.labelled = d->labelled,
  d->ds.has_final = &d->final;
  d->ds.step_start = d->steps, d->ds.obs_start = d->obs;
}

static void reference_windows_shift_at_the_last_step_and_pad_before_normalising(void) {
  struct tiny d;
  struct idm_spec spec = paper_spec(1);
  struct idm_norm *norm;
  const struct idm_step steps[3] = { { 0, 0 }, { 0, 1 }, { 0, 2 } };
  /* In raw states; 0 is the pad. k = 1: three places. */
  static const double theirs[3][3] = { { 0, 10, 20 }, { 10, 20, 40 }, { 0, 20, 40 } };
  static const double ours[3][3] = { { NAN, 10, 20 }, { 10, 20, 40 }, { 20, 40, 80 } };
  float x[9];
  tiny_init(&d, true);
  CU_ASSERT_EQUAL_FATAL(idm_norm_new(1, &norm), PX_OK);
  idm_norm_measure(norm, &d.ds);
  CU_ASSERT_DOUBLE_EQUAL(norm->stats[IDM_STATE_MEAN], 37.5, 1e-9);
  for (int reference = 0; reference < 2; reference++) {
    spec.compat = reference ? IDM_REFERENCE : IDM_NONE;
    idm_window_gather(norm, &spec, &d.ds, steps, 3, x);
    for (int i = 0; i < 9; i++) {
      const double raw = reference ? theirs[i / 3][i % 3] : ours[i / 3][i % 3];
      CU_ASSERT_DOUBLE_EQUAL(x[i], isnan(raw) ? 0 : (raw - 37.5) / norm->stats[IDM_STATE_STD],
                             1e-5);
    }
  }
  spec.k = 0; /* then it takes the next state from where it is */
  idm_window_gather(norm, &spec, &d.ds, steps + 2, 1, x);
  CU_ASSERT_DOUBLE_EQUAL(x[1], (80 - 37.5) / norm->stats[IDM_STATE_STD], 1e-5);
  idm_norm_free(norm);
}

static void the_reference_learns_and_labels_last_steps_whose_next_state_is_unknown(void) {
  struct tiny d;
  tiny_init(&d, false);
  static const struct {
    enum idm_compat compat;
    uint32_t k, usable;
  } cases[] = {
    { IDM_NONE, 1, 2 },
    { IDM_REFERENCE, 1, 3 },
    { IDM_REFERENCE, 0, 2 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct idm_spec spec = paper_spec(1);
    struct idm_step *steps;
    struct idm_labels *labels;
    struct idm_model *model;
    struct px_err err;
    uint32_t n;
    spec.compat = cases[i].compat, spec.k = cases[i].k;
    CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(&d.ds, &spec, &steps, &n), PX_OK);
    CU_ASSERT_EQUAL(n, cases[i].usable);
    free(steps);
    CU_OK(idm_model_new(&spec, 0, &d.ds.spaces, &model, &err), err);
    idm_norm_measure(model->norm, &d.ds);
    CU_OK(idm_label(&model, 1, &d.ds, 0, 1, NULL, &labels, &err), err);
    CU_ASSERT_EQUAL(labels->known[0] + labels->known[1] + labels->known[2], cases[i].usable);
    idm_labels_free(labels);
    idm_model_free(model);
  }
}

/* Two members whose nets are 0 but for the last biases, so that mu and y are those. */
static void the_references_spread_is_the_one_before_the_tanh(void) {
  struct tiny d;
  struct px_err err;
  const double mu[2] = { 0.3, -0.5 }, y[2] = { 0.4, 0.3 }, differ = (tanh(0.3) - tanh(-0.5)) / 2;
  tiny_init(&d, true);
  for (int reference = 0; reference < 2; reference++) {
    struct idm_spec spec = paper_spec(1);
    struct idm_model *models[2];
    struct idm_labels *labels;
    double variance = 0;
    spec.members = 2, spec.compat = reference ? IDM_REFERENCE : IDM_NONE;
    for (uint32_t i = 0; i < 2; i++) {
      CU_OK(idm_model_new(&spec, i, &d.ds.spaces, &models[i], &err), err);
      idm_norm_measure(models[i]->norm, &d.ds);
      models[i]->mu->params[models[i]->mu->params_n - 1] = (float)mu[i];
      models[i]->sigma->params[models[i]->sigma->params_n - 1] = (float)y[i];
      const double sigma = exp(-1.5 + 3.5 * tanh(y[i])), slope = 1 - tanh(mu[i]) * tanh(mu[i]);
      variance += sigma * sigma * (reference ? 1 : slope * slope) / 2;
    }
    CU_OK(idm_label(models, 2, &d.ds, 0, 1, NULL, &labels, &err), err);
    CU_ASSERT_DOUBLE_EQUAL(labels->actions[0], (tanh(0.3) + tanh(-0.5)) / 2, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(labels->epistemic[0], differ, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(labels->std[0], sqrt(variance - (reference ? 0 : differ * differ)),
                           1e-6);
    idm_labels_free(labels);
    idm_model_free(models[0]), idm_model_free(models[1]);
  }
}

static void the_reference_keeps_the_last_iterate_and_one_fold_for_all(void) {
  struct px_dataset *ds = world_new(11);
  struct idm_spec spec = paper_spec(60);
  struct idm_metrics best, last, other;
  spec.lr = 0.05; /* noisy enough that the last one is not the best */
  idm_model_free(world_trained(ds, &spec, 0, &best));
  CU_ASSERT_TRUE(best.best_step < 60);
  spec.compat = IDM_REFERENCE, spec.members = 2;
  idm_model_free(world_trained(ds, &spec, 0, &last));
  CU_ASSERT_EQUAL(last.best_step, 60);
  struct idm_training *t = training(ds, &spec, NULL), *second = NULL;
  struct px_err err;
  CU_OK(idm_training_new(ds, &spec, 1, NULL, &second, &err), err);
  CU_ASSERT_EQUAL(t->fold.held_n, second->fold.held_n);
  CU_ASSERT_EQUAL(memcmp(t->fold.held, second->fold.held, sizeof *t->fold.held * t->fold.held_n),
                  0);
  /* a tenth of 11, rounded down */
  CU_ASSERT_EQUAL(t->fold.held[0].traj, t->fold.held[t->fold.held_n - 1].traj);
  idm_model_free(world_trained(ds, &spec, 1, &other));
  CU_ASSERT_NOT_EQUAL(other.val_mse, last.val_mse);
  idm_training_free(t), idm_training_free(second);
  world_free(ds);
}

/* The held-out trajectory's rows are validated in batches of 4 x 1: a last one of fewer rows counts
 * as much. */
static void the_references_validation_weighs_batches_alike(void) {
  struct px_dataset *ds = world_new(11);
  struct idm_spec spec = paper_spec(5);
  struct px_err err;
  spec.batch = 1, spec.compat = IDM_REFERENCE, spec.seed = 1;
  struct idm_training *t = training(ds, &spec, NULL);
  CU_OK(idm_training_run(t, NULL, &err), err);
  CU_OK(idm_training_measure(t), err);
  const double found = t->model->metrics.val_nll;
  const uint32_t n = t->fold.held_n, batches = (n + 3) / 4;
  CU_ASSERT_TRUE_FATAL(n > 4 && n % 4 != 0);
  double theirs = 0, even = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct idm_step *held = t->fold.held;
    t->fold.held = held + i, t->fold.held_n = 1;
    CU_OK(idm_training_validate(t, 1), err);
    t->fold.held = held, t->fold.held_n = n;
    const uint32_t size = i / 4 + 1 < batches ? 4 : n % 4;
    theirs += idm_training_sums_nll(t) / size / batches;
    even += idm_training_sums_nll(t) / n;
  }
  CU_ASSERT_DOUBLE_EQUAL(found, theirs, 1e-6 * fabs(theirs));
  CU_ASSERT_TRUE(fabs(found - even) > 1e-4 * fabs(even));
  idm_training_free(t);
  world_free(ds);
}

static void options_that_do_not_go_together_are_refused(void) {
  struct idm_spec spec;
  struct px_err err;
  static const struct {
    enum idm_profile profile;
    const char *name, *text, *pointer;
  } cases[] = {
    { IDM_FAST, "compat", "reference", "/inputs" },
    { IDM_PAPER, "head", "gaussian", "/head" },
    { IDM_PAPER, "f", "1", "/f" },
    { IDM_PAPER, "head", "deterministic", "/mean_loss" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    idm_spec_default(cases[i].profile, &spec);
    spec.compat = i < 3 ? IDM_REFERENCE : IDM_NONE;
    CU_OK(idm_spec_set(&spec, cases[i].name, cases[i].text, &err), err);
    CU_ASSERT_EQUAL(idm_spec_check(&spec, &err), PX_E_BAD_FIELD);
    CU_ASSERT_STRING_EQUAL(err.pointer, cases[i].pointer);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Set "));
  }
  idm_spec_default(IDM_FAST, &spec);
  spec.head = IDM_DETERMINISTIC, spec.rounds = 1;
  CU_ASSERT_EQUAL(idm_spec_check(&spec, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "/rounds");
}

CU_MAIN("idm_training", T(windows_of_every_size_train_and_label),
        T(spectral_normalisation_bounds_hidden_layers_of_both_nets),
        T(a_resumed_training_gives_the_same_bytes),
        T(a_training_that_diverges_names_the_step_and_keeps_its_best_iterate),
        T(a_loss_that_explodes_stops_before_it_overflows),
        T(self_training_adds_the_most_certain_unlabelled_transitions),
        T(rounds_learn_from_pseudo_labels_and_never_validate_on_them),
        T(rounds_are_the_same_again_and_do_not_see_hidden_actions),
        T(with_nothing_unlabelled_rounds_change_nothing),
        T(reference_windows_shift_at_the_last_step_and_pad_before_normalising),
        T(the_reference_learns_and_labels_last_steps_whose_next_state_is_unknown),
        T(the_references_spread_is_the_one_before_the_tanh),
        T(the_reference_keeps_the_last_iterate_and_one_fold_for_all),
        T(the_references_validation_weighs_batches_alike),
        T(options_that_do_not_go_together_are_refused))
