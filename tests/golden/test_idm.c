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

#include "lib/base/mem.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"
#include "worker/idm/model.h"
#include "worker/idm/softmax.h"
#include "worker/nn/adam.h"

enum { O = 4, A = 2, TRAJS = 4, STEPS = 22, OBS = 25, ROWS = 21, TRAINED = 10, PARAMS_MAX = 4096, CLASSES = 5 };

struct data {
  struct golden g;
  struct px_dataset ds;
  float observations[OBS * O], actions[STEPS * A];
  uint8_t labelled[STEPS];
  struct idm_step rows[ROWS];
};

static uint64_t step_start[TRAJS + 1] = { 0, 7, 8, 13, 22 }, obs_start[TRAJS + 1] = { 0, 8, 10, 15, 25 };
static uint8_t has_final[TRAJS] = { 1, 1, 0, 1 };

static void open_data(struct data *d, bool discrete) {
  float low[A], high[A];
  uint32_t n = 0;
  struct idm_step *labelled;
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
  if (!discrete) memcpy(ds->spaces.act_low, low, sizeof low), memcpy(ds->spaces.act_high, high, sizeof high);
  ds->traj_n = TRAJS, ds->steps_n = STEPS, ds->obs_n = OBS;
  ds->observations = d->observations, ds->actions = d->actions, ds->labelled = d->labelled;
  ds->step_start = step_start, ds->obs_start = obs_start, ds->has_final = has_final;
  CU_ASSERT_EQUAL_FATAL(idm_steps_labelled(ds, &(struct idm_spec){ .k = 1 }, &labelled, &n), PX_OK);
  CU_ASSERT_EQUAL_FATAL(n, ROWS);
  memcpy(d->rows, labelled, sizeof d->rows);
  free(labelled);
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

static void take_steps(const struct data *d, struct idm_model *model, struct idm_pass *pass, double loose) {
  const size_t linear_n = model->outputs * (model->mu->shape.in + 1);
  struct px_adam adam[3];
  size_t n;
  CU_ASSERT_EQUAL_FATAL(px_adam_init(&adam[0], model->mu->params_n, PX_ADAM_DEFAULTS(1e-3F)), PX_OK);
  CU_ASSERT_EQUAL_FATAL(px_adam_init(&adam[1], model->y ? model->y->params_n : 1, PX_ADAM_DEFAULTS(1e-3F)), PX_OK);
  CU_ASSERT_EQUAL_FATAL(px_adam_init(&adam[2], linear_n, PX_ADAM_DEFAULTS(1e-3F)), PX_OK);
  const double *losses = golden_take(&d->g, named("losses"), &n);
  for (int step = 0; step < TRAINED; step++) {
    const double loss = idm_pass_gradients(model, pass, ROWS, NULL, NULL, 1.0 / ROWS, false);
    CU_ASSERT_DOUBLE_EQUAL(loss, losses[step], loose * (1 + fabs(losses[step])));
    if (step == 0) {
      CU_ASSERT_TRUE(error_of("mu_grads", pass->mu_grads, model->mu->params_n) < loose);
      if (model->y) CU_ASSERT_TRUE(error_of("y_grads", pass->y_grads, model->y->params_n) < loose);
      if (model->linear) CU_ASSERT_TRUE(error_of("linear_grads", pass->linear_grads, linear_n) < loose);
    }
    px_adam_step(&adam[0], model->mu->params, pass->mu_grads);
    if (model->y) px_adam_step(&adam[1], model->y->params, pass->y_grads);
    if (model->linear) px_adam_step(&adam[2], model->linear, pass->linear_grads);
  }
  CU_ASSERT_TRUE(error_of("mu_after", model->mu->params, model->mu->params_n) < 1e-4);
  if (model->y) CU_ASSERT_TRUE(error_of("y_after", model->y->params, model->y->params_n) < 1e-4);
  if (model->linear) CU_ASSERT_TRUE(error_of("linear_after", model->linear, linear_n) < 1e-4);
  for (int i = 0; i < 3; i++) px_adam_free(&adam[i]);
}

static void compare_probabilities(const struct idm_model *model, const struct idm_pass *pass) {
  float p[ROWS * CLASSES], entropy[ROWS];
  double wide[CLASSES];
  idm_softmax(ROWS, CLASSES, idm_model_mu(model, pass->mu_work, pass->x, ROWS, NULL), p);
  for (size_t i = 0; i < ROWS; i++) {
    for (size_t j = 0; j < CLASSES; j++) wide[j] = (double)p[i * CLASSES + j];
    entropy[i] = (float)idm_softmax_entropy(CLASSES, wide, 1);
  }
  CU_ASSERT_TRUE(error_of("p", p, ROWS * CLASSES) < 1e-5);
  CU_ASSERT_TRUE(error_of("entropy", entropy, ROWS) < 1e-5);
}

static void compare(const char *name, struct idm_spec spec, double loose) {
  struct data *d = px_calloc(1, sizeof *d);
  struct idm_model *model;
  struct idm_pass pass;
  struct px_err err;
  open_data(d, spec.head == IDM_SOFTMAX);
  golden_of = &d->g;
  case_of = name;
  spec.profile = IDM_FAST, spec.hidden = 16, spec.layers = 2, spec.members = 1, spec.beta = 0.5;
  CU_OK(idm_model_new(&spec, 0, &d->ds.spaces, &model, &err), err);
  CU_OK(idm_pass_new(model, &pass), err);
  idm_norm_measure(model->norm, &d->ds);
  idm_window_gather(model->norm, &spec, &d->ds, d->rows, ROWS, pass.x);
  idm_window_actions(&d->ds, d->rows, ROWS, pass.action);
  CU_ASSERT_TRUE(error_of("x", pass.x, (size_t)ROWS * model->mu->shape.in) < 1e-6);
  golden_floats(&d->g, named("mu"), 0, model->mu->params_n, model->mu->params);
  if (model->y) golden_floats(&d->g, named("y"), 0, model->y->params_n, model->y->params);
  if (spec.linear) golden_floats(&d->g, named("linear"), 0, model->outputs * (model->mu->shape.in + 1), model->linear);
  idm_model_label(model, ROWS, idm_model_mu(model, pass.mu_work, pass.x, ROWS, NULL), pass.dmu);
  CU_ASSERT_TRUE(error_of("label", pass.dmu, (size_t)ROWS * model->act_dim) < 1e-5);
  if (model->act_count) compare_probabilities(model, &pass);
  take_steps(d, model, &pass, loose);
  idm_pass_free(&pass);
  idm_model_free(model);
  golden_close(&d->g);
  free(d);
}

static void squashed_likelihood_agrees(void) {
  compare("nll", (struct idm_spec){ .k = 1, .inputs = IDM_STATES, .head = IDM_SQUASHED, .mean_loss = IDM_NLL }, 2e-4);
}
static void squared_error_with_linear_path_and_future_agrees(void) {
  compare("squared", (struct idm_spec){ .k = 2, .f = 1, .inputs = IDM_DIFFERENCE, .head = IDM_GAUSSIAN,
                                        .mean_loss = IDM_SQUARED, .linear = true }, 1e-5);
}
static void beta_likelihood_agrees(void) {
  compare("beta", (struct idm_spec){ .f = 2, .inputs = IDM_DIFFERENCE, .head = IDM_SQUASHED, .mean_loss = IDM_BETA_NLL },
          2e-4);
}
static void squared_error_of_tanh_agrees(void) {
  compare("tanh", (struct idm_spec){ .k = 1, .inputs = IDM_DIFFERENCE, .head = IDM_SQUASHED, .mean_loss = IDM_SQUARED,
                                     .linear = true }, 2e-4);
}
static void gaussian_likelihood_agrees(void) {
  compare("gaussian", (struct idm_spec){ .k = 1, .inputs = IDM_STATES, .head = IDM_GAUSSIAN, .mean_loss = IDM_NLL,
                                         .linear = true }, 1e-5);
}
static void deterministic_agrees(void) {
  compare("deterministic", (struct idm_spec){ .k = 1, .f = 1, .inputs = IDM_DIFFERENCE, .head = IDM_DETERMINISTIC,
                                              .mean_loss = IDM_SQUARED, .linear = true }, 1e-5);
}
static void softmax_agrees(void) {
  compare("softmax", (struct idm_spec){ .k = 1, .inputs = IDM_DIFFERENCE, .head = IDM_SOFTMAX, .mean_loss = IDM_NLL,
                                        .linear = true }, 1e-5);
}

CU_MAIN("idm", T(squashed_likelihood_agrees), T(squared_error_with_linear_path_and_future_agrees),
        T(beta_likelihood_agrees), T(squared_error_of_tanh_agrees), T(gaussian_likelihood_agrees), T(deterministic_agrees),
        T(softmax_agrees))
