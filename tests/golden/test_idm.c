/* SPDX-License-Identifier: Apache-2.0 */
/* Inverse dynamics models against PyTorch in float64 (gen_idm.py): windows, and
 * for each head and loss labels, the first gradients and ten Adam steps. Tolerances are
 * relative to a tensor's largest number. A squashed head meets an action at the
 * edge, where float32 knows atanh(1 - 1e-6) to a hundredth only; its share of
 * gradients is what the wider tolerances of those cases are for. The softmax head
 * has a file of its own, where the actions are classes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/pass.h"
#include "lib/idm/softmax.h"
#include "lib/idm/window.h"
#include "lib/nn/adam.h"
#include "lib/nn/spectral.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { O = 4, A = 2, TRAJS = 4, STEPS = 22, OBS = 25, TRAINED = 10, CLASSES = 5 };

struct data {
  struct golden g;
  struct px_dataset ds;
  float observations[OBS * O], actions[STEPS * A];
  uint8_t labelled[STEPS];
};

static uint64_t step_start[TRAJS + 1] = { 0, 7, 8, 13, 22 },
                                   obs_start[TRAJS + 1] = { 0, 8, 10, 15, 25 };
static uint8_t has_final[TRAJS] = { 1, 1, 0, 1 };

static void open_data(struct data *d, bool discrete) {
  float low[A], high[A];
  memset(d, 0, sizeof *d);
  golden_open(&d->g, discrete ? "idm_softmax" : "idm");
  golden_floats(&d->g, "observations", 0, OBS * O, d->observations);
  golden_floats(&d->g, "actions", 0, discrete ? STEPS : STEPS * A, d->actions);
  if (!discrete) golden_floats(&d->g, "low", 0, A, low);
  if (!discrete) golden_floats(&d->g, "high", 0, A, high);
  memset(d->labelled, 1, sizeof d->labelled);
  struct px_dataset *ds = &d->ds;
  ds->spaces.obs_dim = O, ds->spaces.act_dim = A;
  if (discrete) px_spaces_set_discrete(&ds->spaces, CLASSES);
  if (!discrete)
    memcpy(ds->spaces.act_low, low, sizeof low), memcpy(ds->spaces.act_high, high, sizeof high);
  ds->traj_n = TRAJS, ds->steps_n = STEPS, ds->obs_n = OBS;
  ds->observations = d->observations, ds->actions = d->actions, ds->labelled = d->labelled;
  ds->step_start = step_start, ds->obs_start = obs_start, ds->has_final = has_final;
}

static struct golden *golden_of;
static const char *case_of;

static const char *named(const char *what) {
  static char name[64];
  (void)snprintf(name, sizeof name, "%s.%s", case_of, what);
  return name;
}

static double error_of(const char *what, const float *found, size_t n) {
  return golden_error(golden_of, named(what), found, n);
}

/* A net under training: what Adam moves, and its gradients. */
struct moved {
  struct px_spectral *spectral;
  float *params, *grads;
  size_t n;
  struct px_adam adam;
};

static struct moved moved_of(const struct idm_spec *spec, struct px_mlp *net, float *params,
                             float *grads, size_t n, const char *start, const char *u) {
  struct moved m = { .params = params, .grads = grads, .n = n };
  if (!n) return m;
  if (spec->spectral_norm && net) {
    CU_ASSERT_EQUAL_FATAL(px_spectral_new(net, &m.spectral), PX_OK);
    golden_floats(golden_of, named(u), 0, m.spectral->u_n, m.spectral->u);
    m.params = m.spectral->raw;
  }
  golden_floats(golden_of, named(start), 0, n, m.params);
  CU_ASSERT_EQUAL_FATAL(px_adam_init(&m.adam, n, PX_ADAM_DEFAULTS(1e-3F)), PX_OK);
  return m;
}

static void compare_probabilities(const struct idm_model *model, const struct idm_pass *pass,
                                  uint32_t rows) {
  float p[STEPS * CLASSES], entropy[STEPS];
  double wide[CLASSES];
  idm_softmax(rows, CLASSES, idm_model_mu(model, pass->mu_work, pass->x, rows, NULL), p);
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < CLASSES; j++) wide[j] = (double)p[i * CLASSES + j];
    entropy[i] = (float)idm_softmax_entropy(CLASSES, wide, 1);
  }
  CU_ASSERT_TRUE(error_of("p", p, rows * CLASSES) < 1e-5);
  CU_ASSERT_TRUE(error_of("entropy", entropy, rows) < 1e-5);
}

static void take_steps(struct idm_model *model, struct idm_pass *pass, uint32_t rows,
                       struct moved moved[3], double loose) {
  static const char *const grads[] = { "mu_grads", "y_grads", "linear_grads" };
  static const char *const after[] = { "mu_after", "y_after", "linear_after" };
  size_t n;
  const double *losses = golden_take(golden_of, named("losses"), &n);
  for (int step = 0; step < TRAINED; step++) {
    for (int i = 0; i < 3; i++)
      if (moved[i].spectral) px_spectral_apply(moved[i].spectral, true);
    if (step == 0) {
      idm_model_label(model, rows, idm_model_mu(model, pass->mu_work, pass->x, rows, NULL),
                      pass->dmu);
      CU_ASSERT_TRUE(error_of("label", pass->dmu, (size_t)rows * model->act_dim) < 1e-5);
      if (model->act_count) compare_probabilities(model, pass, rows);
    }
    const double loss = idm_pass_gradients(model, pass, rows, NULL, NULL, 1.0 / rows, false);
    CU_ASSERT_DOUBLE_EQUAL(loss, losses[step], loose * (1 + fabs(losses[step])));
    for (int i = 0; i < 3; i++) {
      if (!moved[i].n) continue;
      if (moved[i].spectral) px_spectral_gradients(moved[i].spectral, moved[i].grads);
      if (step == 0) CU_ASSERT_TRUE(error_of(grads[i], moved[i].grads, moved[i].n) < loose);
      px_adam_step(&moved[i].adam, moved[i].params, moved[i].grads);
    }
  }
  for (int i = 0; i < 3; i++)
    if (moved[i].n) CU_ASSERT_TRUE(error_of(after[i], moved[i].params, moved[i].n) < 1e-4);
}

static void compare(const char *name, struct idm_spec spec, double loose) {
  struct data *d = px_mem_calloc(1, sizeof *d);
  struct idm_model *model;
  struct idm_pass pass;
  struct idm_step *rows;
  struct px_err err;
  uint32_t n;
  open_data(d, spec.head == IDM_SOFTMAX);
  golden_of = &d->g;
  case_of = name;
  spec.profile = IDM_FAST, spec.hidden = 16, spec.layers = 2, spec.members = 1, spec.beta = 0.5;
  CU_ASSERT_EQUAL_FATAL(idm_window_steps_labelled(&d->ds, &spec, &rows, &n), PX_OK);
  CU_OK(idm_model_new(&spec, 0, &d->ds.spaces, &model, &err), err);
  CU_OK(idm_pass_new(model, &pass), err);
  idm_norm_measure(model->norm, &d->ds);
  idm_window_gather(model->norm, &spec, &d->ds, rows, n, pass.x);
  idm_window_actions(&d->ds, rows, n, pass.action);
  CU_ASSERT_TRUE(error_of("x", pass.x, (size_t)n * model->mu->shape.in) < 1e-6);
  const size_t linear_n = spec.linear ? model->outputs * (model->mu->shape.in + 1) : 0;
  struct moved moved[] = {
    moved_of(&spec, model->mu, model->mu->params, pass.mu_grads, model->mu->params_n, "mu", "mu_u"),
    moved_of(&spec, model->sigma, model->sigma ? model->sigma->params : NULL, pass.sigma_grads,
             model->sigma ? model->sigma->params_n : 0, "y", "y_u"),
    moved_of(&spec, NULL, model->linear, pass.linear_grads, linear_n, "linear", NULL),
  };
  take_steps(model, &pass, n, moved, loose);
  for (int i = 0; i < 3; i++) {
    px_spectral_free(moved[i].spectral);
    px_adam_free(&moved[i].adam);
  }
  free(rows);
  idm_pass_free(&pass);
  idm_model_free(model);
  golden_close(&d->g);
  free(d);
}

static void squashed_likelihood_agrees(void) {
  compare("nll",
          (struct idm_spec){
            .k = 1, .inputs = IDM_STATES, .head = IDM_SQUASHED, .mean_loss = IDM_NLL },
          2e-4);
}
static void squared_error_with_linear_path_and_future_agrees(void) {
  compare("squared",
          (struct idm_spec){ .k = 2,
                             .f = 1,
                             .inputs = IDM_DIFFERENCE,
                             .head = IDM_GAUSSIAN,
                             .mean_loss = IDM_SQUARED,
                             .linear = true },
          1e-5);
}
static void beta_likelihood_agrees(void) {
  compare("beta",
          (struct idm_spec){
            .f = 2, .inputs = IDM_DIFFERENCE, .head = IDM_SQUASHED, .mean_loss = IDM_BETA_NLL },
          2e-4);
}
static void squared_error_of_tanh_agrees(void) {
  compare("tanh",
          (struct idm_spec){ .k = 1,
                             .inputs = IDM_DIFFERENCE,
                             .head = IDM_SQUASHED,
                             .mean_loss = IDM_SQUARED,
                             .linear = true },
          2e-4);
}
static void gaussian_likelihood_agrees(void) {
  compare(
    "gaussian",
    (struct idm_spec){
      .k = 1, .inputs = IDM_STATES, .head = IDM_GAUSSIAN, .mean_loss = IDM_NLL, .linear = true },
    1e-5);
}
static void deterministic_agrees(void) {
  compare("deterministic",
          (struct idm_spec){ .k = 1,
                             .f = 1,
                             .inputs = IDM_DIFFERENCE,
                             .head = IDM_DETERMINISTIC,
                             .mean_loss = IDM_SQUARED,
                             .linear = true },
          1e-5);
}
static void softmax_agrees(void) {
  compare(
    "softmax",
    (struct idm_spec){
      .k = 1, .inputs = IDM_DIFFERENCE, .head = IDM_SOFTMAX, .mean_loss = IDM_NLL, .linear = true },
    1e-5);
}
static void beta_likelihood_of_a_gaussian_agrees(void) {
  compare("gaussian_beta",
          (struct idm_spec){
            .k = 1, .inputs = IDM_DIFFERENCE, .head = IDM_GAUSSIAN, .mean_loss = IDM_BETA_NLL },
          1e-5);
}
static void likelihood_with_spectral_normalisation_agrees(void) {
  compare("spectral_nll",
          (struct idm_spec){ .k = 1,
                             .inputs = IDM_STATES,
                             .head = IDM_SQUASHED,
                             .mean_loss = IDM_NLL,
                             .spectral_norm = true },
          2e-4);
}
static void squared_error_with_spectral_normalisation_agrees(void) {
  compare("spectral_squared",
          (struct idm_spec){ .k = 1,
                             .inputs = IDM_DIFFERENCE,
                             .head = IDM_GAUSSIAN,
                             .mean_loss = IDM_SQUARED,
                             .linear = true,
                             .spectral_norm = true },
          1e-5);
}
static void compat_with_the_reference_agrees(void) {
  compare("reference",
          (struct idm_spec){ .k = 2,
                             .inputs = IDM_STATES,
                             .head = IDM_SQUASHED,
                             .mean_loss = IDM_NLL,
                             .compat = IDM_REFERENCE },
          2e-4);
}

CU_MAIN("idm", T(squashed_likelihood_agrees), T(squared_error_with_linear_path_and_future_agrees),
        T(beta_likelihood_agrees), T(squared_error_of_tanh_agrees), T(gaussian_likelihood_agrees),
        T(deterministic_agrees), T(softmax_agrees), T(beta_likelihood_of_a_gaussian_agrees),
        T(likelihood_with_spectral_normalisation_agrees),
        T(squared_error_with_spectral_normalisation_agrees), T(compat_with_the_reference_agrees))
