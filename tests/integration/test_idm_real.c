/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inverse dynamics models on real trajectories, those of the demo. Trainings are short: they show
 * that every window and option learns from such data, not how well (bench_labels does).
 */
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/quality.h"
#include "tests/support/cu.h"
#include "tests/support/d4rl.h"
#include "tests/support/helpers.h"

static struct px_dataset *truth, *masked;
static const char PATH[] = "deploy/demo/hopper-demo.hdf5";

static void need_data(void) {
  struct px_err err;
  if (masked) return;
  CU_OK(d4rl_load(PATH, &truth, &err), err);
  CU_OK(d4rl_load(PATH, &masked, &err), err);
  CU_OK(d4rl_hide(masked, 0.5, 1, 0, &err), err);
}

/* The share of the variance of hidden actions that a model of these options explains. */
static double explained(const char *const options[][2], uint32_t options_n,
                        enum idm_profile profile) {
  struct idm_spec spec;
  struct idm_model *model = NULL;
  struct idm_metrics metrics;
  struct idm_labels *labels = NULL;
  struct idm_quality *quality = NULL;
  struct idm_quality_figures figures;
  struct px_err err;
  need_data();
  idm_spec_default(profile, &spec);
  spec.hidden = 64, spec.steps = profile == IDM_PAPER ? 400 : 60, spec.batch = 256,
  spec.validate_every = 20, spec.members = 1, spec.lr = 1e-3;
  for (uint32_t i = 0; i < options_n; i++)
    CU_OK(idm_spec_set(&spec, options[i][0], options[i][1], &err), err);
  CU_OK(idm_train_member(masked, &spec, 0, NULL, NULL, &model, &metrics, &err), err);
  CU_OK(idm_label(&model, 1, masked, 0, masked->traj_n, NULL, &labels, &err), err);
  CU_OK(idm_quality_new(truth, masked, &quality, &err), err);
  idm_quality_add(quality, 0, truth->traj_n, labels->actions, labels->std, labels->epistemic,
                  labels->known);
  idm_quality_figures(quality, IDM_ALL, &figures);
  idm_quality_free(quality);
  idm_labels_free(labels);
  idm_model_free(model);
  return figures.r2;
}

static void windows_of_every_kind_learn(void) {
  static const char *const sizes[][2] = { { "0", "0" }, { "1", "0" }, { "8", "0" },
                                          { "0", "4" }, { "3", "2" }, { "8", "4" } };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const char *const options[][2] = { { "k", sizes[i][0] }, { "f", sizes[i][1] } };
    const double r2 = explained(options, 2, IDM_FAST);
    if (!(r2 > 0.7)) printf("\n  k %s, f %s: R2 %.3f\n", sizes[i][0], sizes[i][1], r2);
    CU_ASSERT_TRUE(r2 > 0.7);
  }
}

/* Those without a linear path start from nothing: more steps do not bring them as far. */
static void every_option_learns(void) {
  static const struct {
    const char *option[2];
    enum idm_profile profile;
    double least;
  } cases[] = {
    { { "head", "deterministic" }, IDM_FAST, 0.7 }, { { "mean_loss", "nll" }, IDM_FAST, 0.7 },
    { { "mean_loss", "beta_nll" }, IDM_FAST, 0.7 }, { { "spectral_norm", "true" }, IDM_FAST, 0.7 },
    { { "rounds", "1" }, IDM_FAST, 0.7 },           { { "k", "1" }, IDM_PAPER, 0.2 },
    { { "compat", "reference" }, IDM_PAPER, 0.2 },  { { "spectral_norm", "true" }, IDM_PAPER, 0.1 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const double r2 = explained(&cases[i].option, 1, cases[i].profile);
    if (!(r2 > cases[i].least))
      printf("\n  %s %s: R2 %.3f\n", cases[i].option[0], cases[i].option[1], r2);
    CU_ASSERT_TRUE(r2 > cases[i].least);
  }
}

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  static const struct cu_test tests[] = { T(windows_of_every_kind_learn), T(every_option_learns) };
  const int failures = cu_run("idm_real", tests, sizeof tests / sizeof *tests, argc, argv);
  px_dataset_free(truth), px_dataset_free(masked);
  return failures;
}
