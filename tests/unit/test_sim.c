/* Labels from a simulator (worker/sim): what they recover, and what they do not depend on. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/data/helper.h"
#include "tests/support/cu.h"
#include "tests/support/d4rl.h"
#include "worker/sim/sim.h"

static struct px_err err;

struct world {
  struct px_dataset *ds;
  struct sim_layout layout;
  struct sim *sim;
  struct sim_options options;
  double std[SIM_OBS_MAX];
};

static struct world world_open(const char *env, const char *path) {
  struct world w = { .options = sim_options_default() };
  CU_OK(d4rl_load(path, &w.ds, &err), err);
  CU_OK(sim_layout_builtin(env, &w.layout, &err), err);
  CU_OK(sim_open(&w.layout, &w.sim, &err), err);
  sim_spread(w.ds, w.std);
  return w;
}

static void world_close(struct world *w) {
  sim_close(w->sim);
  px_dataset_free(w->ds);
}

static struct sim_labels *label(struct world *w, uint32_t from, uint32_t to) {
  struct sim_labels *labels = NULL;
  w->options.std = w->std;
  CU_OK(sim_label(w->sim, &w->options, w->ds, from, to, NULL, NULL, &labels, &err), err);
  return labels;
}

static double mse(const struct world *w, const struct sim_labels *l) {
  const float *truth = w->ds->actions + w->ds->step_start[l->traj_from] * l->act_dim;
  double sum = 0, n = 0;
  for (uint64_t i = 0; i < l->steps_n; i++)
    for (uint32_t j = 0; j < l->act_dim && l->known[i]; j++, n++) {
      const double e = (double)l->actions[i * l->act_dim + j] - (double)truth[i * l->act_dim + j];
      sum += e * e;
    }
  return sum / n;
}

static void actions_of_real_hopper_data_are_recovered(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *l = label(&w, 0, w.ds->traj_n);
  CU_ASSERT(mse(&w, l) < 2e-4);
  CU_ASSERT((double)l->verified_n > 0.98 * (double)l->known_n);
  for (uint64_t i = 0; i < l->steps_n; i++) CU_ASSERT_FATAL(l->residual[i] < FLT_MAX && l->score[i] >= 0);
  sim_labels_free(l);
  world_close(&w);
}

static void labels_do_not_depend_on_the_division(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *whole = label(&w, 0, 2);
  struct sim_labels *first = label(&w, 0, 1), *second = label(&w, 1, 2);
  const size_t n = first->steps_n, m = second->steps_n, dims = whole->act_dim;
  CU_ASSERT_EQUAL(whole->steps_n, n + m);
  CU_ASSERT(memcmp(whole->actions, first->actions, sizeof(float) * n * dims) == 0);
  CU_ASSERT(memcmp(whole->actions + n * dims, second->actions, sizeof(float) * m * dims) == 0);
  CU_ASSERT(memcmp(whole->std + n * dims, second->std, sizeof(float) * m * dims) == 0);
  CU_ASSERT(memcmp(whole->residual + n, second->residual, sizeof(float) * m) == 0);
  sim_labels_free(whole);
  sim_labels_free(first);
  sim_labels_free(second);
  world_close(&w);
}

static void a_model_that_fits_is_accepted_and_another_refused_with_numbers(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_fit fit;
  w.options.std = w.std;
  CU_OK(sim_check(w.sim, &w.options, w.ds, NULL, &fit, &err), err);
  CU_ASSERT(fit.steps_n > 1000 && fit.within > 0.99);
  CU_OK(sim_fit_judge(&fit, &err), err);
  sim_close(w.sim);
  w.layout.frame_skip = 9;
  CU_OK(sim_open(&w.layout, &w.sim, &err), err);
  CU_OK(sim_check(w.sim, &w.options, w.ds, NULL, &fit, &err), err);
  CU_ASSERT_EQUAL(sim_fit_judge(&fit, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "median residual"));
  world_close(&w);
}

static void a_layout_that_the_model_lacks_is_refused_at_its_place(void) {
  struct sim_layout layout;
  struct sim *sim = NULL;
  CU_OK(sim_layout_builtin("hopper", &layout, &err), err);
  layout.obs[3].index = 6;
  CU_ASSERT_EQUAL(sim_open(&layout, &sim, &err), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(err.pointer, "observations[3]");
  layout.mjcf = "<mujoco><worldbody><body/></worldbody></mujoco>";
  layout.mjcf_n = strlen(layout.mjcf);
  CU_ASSERT_EQUAL(sim_open(&layout, &sim, &err), PX_E_BAD_FIELD);
  layout.mjcf = "no model";
  layout.mjcf_n = strlen(layout.mjcf);
  CU_ASSERT_EQUAL(sim_open(&layout, &sim, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NULL(sim);
}

static const struct cu_test tests[] = {
  T(actions_of_real_hopper_data_are_recovered),
  T(labels_do_not_depend_on_the_division),
  T(a_model_that_fits_is_accepted_and_another_refused_with_numbers),
  T(a_layout_that_the_model_lacks_is_refused_at_its_place),
};

int main(int argc, char **argv) {
  const int helper = px_helper_main(argc, argv);
  if (helper >= 0) return helper;
  return cu_run("sim", tests, sizeof tests / sizeof *tests, argc, argv);
}
