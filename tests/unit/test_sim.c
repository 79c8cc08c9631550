/* SPDX-License-Identifier: Apache-2.0 */
/* Labels from a simulator (worker/sim): what they recover, and what they do not depend on. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "tests/support/cu.h"
#include "tests/support/d4rl.h"
#include "worker/env/env.h"
#include "worker/sim/identify.h"
#include "worker/sim/model.h"

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

/* Share of the numbers that are off by more than 0.01. */
static double share_off(const struct world *w, const struct sim_labels *l) {
  const float *truth = w->ds->actions + w->ds->step_start[l->traj_from] * l->act_dim;
  double off = 0;
  for (uint64_t i = 0; i < l->steps_n * l->act_dim; i++)
    off += fabsf(l->actions[i] - truth[i]) > 0.01F;
  return off / (double)l->steps_n / l->act_dim;
}

static void actions_of_real_hopper_data_are_recovered(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *l = label(&w, 0, w.ds->traj_n);
  CU_ASSERT(mse(&w, l) < 2e-4);
  CU_ASSERT((double)l->verified_n > 0.98 * (double)l->known_n);
  for (uint64_t i = 0; i < l->steps_n; i++)
    CU_ASSERT_FATAL(l->residual[i] < FLT_MAX && l->score[i] >= 0);
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
  sim_labels_free(second);
  /* The second trajectory alone in its dataset, as a job that loads a part has it. */
  struct px_dataset *all = w.ds, part = *all;
  part.traj_n = 1;
  part.step_start++;
  part.obs_start++;
  part.has_final++;
  w.ds = &part;
  w.options.traj_base = 1;
  second = label(&w, 0, 1);
  w.ds = all;
  CU_ASSERT_EQUAL(second->steps_n, m);
  CU_ASSERT(memcmp(whole->actions + n * dims, second->actions, sizeof(float) * m * dims) == 0);
  sim_labels_free(whole);
  sim_labels_free(first);
  sim_labels_free(second);
  world_close(&w);
}

struct told {
  char phase[16];
  int64_t step, total;
  int n;
};

/* Steps never fall, and there is a total. */
static enum px_status tell(void *ctx, const char *phase, int64_t step, int64_t total,
                           const struct px_metric *metrics, size_t n) {
  struct told *told = ctx;
  (void)metrics, (void)n;
  CU_ASSERT(step >= told->step && step <= total && total > 0);
  snprintf(told->phase, sizeof told->phase, "%s", phase);
  told->step = step, told->total = total, told->n++;
  return PX_OK;
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

static void a_check_tells_how_far_it_is(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct told check = { .n = 0 };
  struct sim_fit fit;
  w.options.std = w.std;
  CU_OK(sim_check(w.sim, &w.options, w.ds, &(struct px_progress){ &check, tell }, &fit, &err), err);
  CU_ASSERT_STRING_EQUAL(check.phase, "check");
  CU_ASSERT_EQUAL(check.step, (int64_t)fit.steps_n);
  CU_ASSERT_EQUAL(check.total, (int64_t)fit.steps_n);
  CU_ASSERT(check.n > (int)(fit.steps_n / 256)); /* within a trajectory too, however long */
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

/* A copy of the actions, to be freed. */
static float *remember(const struct px_dataset *ds) {
  const size_t bytes = sizeof(float) * ds->steps_n * ds->spaces.act_dim;
  float *copy = malloc(bytes);
  CU_ASSERT_FATAL(copy != NULL);
  memcpy(copy, ds->actions, bytes);
  return copy;
}

enum { ROLL_STEPS = 60 };

/* A trajectory that the environment itself makes of random actions. */
struct roll {
  struct px_dataset ds;
  float obs[(ROLL_STEPS + 1) * PX_ENV_OBS_MAX], actions[ROLL_STEPS * PX_ENV_ACT_MAX];
  float rewards[ROLL_STEPS];
  uint8_t labelled[ROLL_STEPS], has_final;
  uint64_t step_start[2], obs_start[2];
};

static void roll(const char *env_name, struct roll *r) {
  struct px_env *env;
  struct px_env_step step = { 0 };
  struct px_rng rng = px_rng_at(1, px_rng_stream("roll", 0), 0);
  CU_OK(px_env_open(env_name, &env, &err), err);
  const struct px_env_info *info = px_env_info(env);
  CU_OK(px_env_reset(env, 1, 0, r->obs, &err), err);
  uint32_t t = 0;
  for (; t < ROLL_STEPS && !step.terminated; t++) {
    float *a = r->actions + t * info->act_dim;
    for (uint32_t j = 0; j < info->act_dim; j++)
      a[j] = (t ? 0.7F * a[(int)j - (int)info->act_dim] : 0) + 0.2F * (2 * px_rng_float(&rng) - 1);
    CU_OK(px_env_step(env, a, r->obs + (t + 1) * info->obs_dim, &step, &err), err);
    r->labelled[t] = 1;
  }
  px_env_close(env);
  r->has_final = 1;
  r->step_start[1] = t;
  r->obs_start[1] = t + 1;
  r->ds = (struct px_dataset){ .traj_n = 1,
                               .steps_n = t,
                               .obs_n = t + 1,
                               .observations = r->obs,
                               .actions = r->actions,
                               .labelled = r->labelled,
                               .rewards = r->rewards,
                               .step_start = r->step_start,
                               .obs_start = r->obs_start,
                               .has_final = &r->has_final };
  r->ds.spaces.obs_dim = info->obs_dim;
  r->ds.spaces.act_dim = info->act_dim;
  for (uint32_t j = 0; j < info->act_dim; j++) {
    r->ds.spaces.act_low[j] = info->act_low;
    r->ds.spaces.act_high[j] = info->act_high;
  }
}

static void every_built_in_robot_is_labelled(void) {
  static const char *const names[] = { "hopper", "walker2d", "halfcheetah" };
  for (int i = 0; i < 3; i++) {
    struct roll *r = calloc(1, sizeof *r);
    CU_ASSERT_FATAL(r != NULL);
    struct world w = { .options = sim_options_default(), .ds = &r->ds };
    struct sim_fit fit;
    roll(names[i], r);
    CU_OK(sim_layout_builtin(names[i], &w.layout, &err), err);
    CU_OK(sim_open(&w.layout, &w.sim, &err), err);
    sim_spread(w.ds, w.std);
    struct sim_labels *l = label(&w, 0, 1);
    CU_OK(sim_check(w.sim, &w.options, w.ds, NULL, &fit, &err), err);
    CU_ASSERT(fit.within > 0.95);
    CU_ASSERT((double)l->verified_n > 0.9 * (double)l->steps_n);
    CU_ASSERT(mse(&w, l) < 2e-3);
    sim_labels_free(l);
    sim_close(w.sim);
    free(r);
  }
}

/* Hides all labels but those of the first trajectory. */
static void keep_first_labels(struct world *w) {
  uint8_t *keep = calloc(w->ds->traj_n, 1);
  CU_ASSERT_FATAL(keep != NULL);
  keep[0] = 1;
  px_dataset_hide(w->ds, keep);
  free(keep);
}

/* The model that is open becomes another one, as if it had been read so. */
static void spoil(struct world *w, enum sim_factor which, double factor) {
  struct sim_adjustment wrong = sim_identify_none(w->sim);
  wrong.factor[which] = factor;
  CU_OK(sim_identify_adjust(w->sim, &wrong, &err), err);
  mj_deleteModel(w->sim->own);
  w->sim->own = NULL;
}

static void clipped_velocities_are_carried(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *l = label(&w, 0, 2);
  uint64_t clipped = 0, verified = 0;
  for (uint32_t traj = 0; traj < 2; traj++)
    for (uint64_t i = w.ds->step_start[traj]; i < w.ds->step_start[traj + 1]; i++) {
      const float *s =
        w.ds->observations + (w.ds->obs_start[traj] + i - w.ds->step_start[traj]) * 11;
      bool any = false;
      for (int d = 5; d < 11; d++) any = any || fabsf(s[d]) >= 10;
      clipped += any && l->known[i];
      verified += any && l->verified[i];
    }
  CU_ASSERT(clipped > 20);
  CU_ASSERT((double)verified > 0.95 * (double)clipped);
  sim_labels_free(l);
  world_close(&w);
}

static void numbers_of_a_model_are_identified_from_labelled_steps(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_identified found;
  w.options.std = w.std;
  w.options.restarts = 0;
  struct sim_labels *right = label(&w, 0, 1);
  const struct px_dataset *ds = w.ds;
  float *truth = remember(ds);
  keep_first_labels(&w);
  spoil(&w, SIM_MASS, 1.1);
  struct sim_labels *wrong = label(&w, 0, 1);
  struct told told = { .n = 0 };
  CU_OK(sim_identify(w.sim, &w.options, w.ds, 0, &(struct px_progress){ &told, tell }, &found,
                     &err),
        err);
  CU_ASSERT_STRING_EQUAL(told.phase, "identify");
  CU_ASSERT(told.n == told.step && told.n > 6);
  struct sim_labels *after = label(&w, 0, 1);
  memcpy(ds->actions, truth, sizeof(float) * ds->steps_n * 3);
  /* Masses and gains together are what a flight shows; a contact's share is small. */
  const double *f = found.adjustment.factor;
  CU_ASSERT_DOUBLE_EQUAL(f[SIM_MASS] * 1.1 / f[SIM_GAIN], 1, 0.002);
  CU_ASSERT_DOUBLE_EQUAL(f[SIM_TIME_STEP], 1, 0.002);
  CU_ASSERT(found.median_after < 1e-3 * found.median_before);
  CU_ASSERT(share_off(&w, wrong) > 0.15);
  CU_ASSERT(share_off(&w, after) < share_off(&w, right) + 0.01);
  free(truth);
  sim_labels_free(right);
  sim_labels_free(wrong);
  sim_labels_free(after);
  world_close(&w);
}

/* An action that drives the step after its own: recorded one row earlier than before. */
static void delay_by_one(struct px_dataset *ds) {
  const size_t dims = ds->spaces.act_dim;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++) {
    const uint64_t first = ds->step_start[traj], last = ds->step_start[traj + 1] - 1;
    memmove(ds->actions + first * dims, ds->actions + (first + 1) * dims,
            sizeof(float) * dims * (last - first));
    memset(ds->actions + last * dims, 0, sizeof(float) * dims);
    ds->labelled[last] = 0;
  }
}

static void a_delay_is_found_and_its_labels_are_those_of_earlier_steps(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_identified found;
  w.options.std = w.std;
  delay_by_one(w.ds);
  float *truth = remember(w.ds);
  keep_first_labels(&w);
  CU_OK(sim_identify(w.sim, &w.options, w.ds, 2, NULL, &found, &err), err);
  CU_ASSERT_EQUAL(found.adjustment.delay, 1);
  CU_ASSERT_DOUBLE_EQUAL(found.adjustment.factor[SIM_TIME_STEP], 1, 1e-3);
  struct sim_labels *l = label(&w, 0, 1);
  memcpy(w.ds->actions, truth, sizeof(float) * w.ds->steps_n * 3);
  CU_ASSERT(mse(&w, l) < 2e-4);
  const uint64_t last = w.ds->step_start[1] - 1;
  CU_ASSERT_EQUAL(l->known[last], 0);
  CU_ASSERT_EQUAL(l->known_n + 1 + !w.ds->has_final[0], l->steps_n);
  free(truth);
  sim_labels_free(l);
  world_close(&w);
}

/* The same robot in other units: degrees, an offset, actions to +-2. */
static void layouts_have_units(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  sim_close(w.sim);
  const double scale = 180 / 3.141592653589793;
  w.layout.obs[1] = (struct sim_term){ SIM_QPOS, 2, scale, 5, -INFINITY, INFINITY };
  for (uint64_t i = 0; i < w.ds->obs_n; i++)
    w.ds->observations[i * 11 + 1] = (float)(scale * (double)w.ds->observations[i * 11 + 1] + 5);
  for (uint32_t j = 0; j < 3; j++) {
    w.layout.act[j] = (struct sim_control){ j, 0.5, 0 };
    w.ds->spaces.act_low[j] = -2;
    w.ds->spaces.act_high[j] = 2;
  }
  for (uint64_t i = 0; i < w.ds->steps_n * 3; i++) w.ds->actions[i] *= 2;
  CU_OK(sim_open(&w.layout, &w.sim, &err), err);
  sim_spread(w.ds, w.std);
  struct sim_labels *l = label(&w, 0, 1);
  CU_ASSERT(mse(&w, l) < 8e-4);
  CU_ASSERT((double)l->verified_n > 0.98 * (double)l->known_n);
  sim_labels_free(l);
  world_close(&w);
}

static void labels_that_are_given_are_judged_and_kept(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *l = NULL;
  const struct sim_starts given = { 1, { w.ds->actions } };
  w.options.std = w.std;
  w.options.solve = false;
  CU_ASSERT_EQUAL(sim_label(w.sim, &w.options, w.ds, 0, 1, NULL, NULL, &l, &err), PX_E_BAD_FIELD);
  CU_OK(sim_label(w.sim, &w.options, w.ds, 0, 1, &given, NULL, &l, &err), err);
  CU_ASSERT(mse(&w, l) < 1e-12);
  CU_ASSERT_EQUAL(l->verified_n, l->known_n);
  sim_labels_free(l);
  for (uint64_t i = 0; i < w.ds->step_start[1] * 3; i++) w.ds->actions[i] *= 0.5F;
  CU_OK(sim_label(w.sim, &w.options, w.ds, 0, 1, &given, NULL, &l, &err), err);
  CU_ASSERT((double)l->verified_n < 0.2 * (double)l->known_n);
  sim_labels_free(l);
  world_close(&w);
}

static void a_second_start_is_taken_where_the_first_does_not_lead_there(void) {
  struct world w = world_open("halfcheetah", "tests/data/halfcheetah-medium.hdf5");
  struct sim_starts starts = { 1,
                               { calloc(w.ds->step_start[1] * 6, sizeof(float)), w.ds->actions } };
  struct sim_labels *l[2];
  w.options.std = w.std;
  w.options.restarts = 0;
  for (int k = 0; k < 2; k++, starts.n++)
    CU_OK(sim_label(w.sim, &w.options, w.ds, 0, 1, &starts, NULL, &l[k], &err), err);
  CU_ASSERT((double)l[0]->verified_n < 0.95 * (double)l[0]->known_n);
  CU_ASSERT_EQUAL(l[1]->verified_n, l[1]->known_n);
  free((void *)(uintptr_t)starts.actions[0]);
  for (int k = 0; k < 2; k++) sim_labels_free(l[k]);
  world_close(&w);
}

static void what_true_actions_leave_is_held_against_labels(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *sure = label(&w, 0, 1);
  w.options.replay_median = 1e-2;
  struct sim_labels *doubted = label(&w, 0, 1);
  CU_ASSERT_EQUAL(doubted->verified_n, 0);
  CU_ASSERT(memcmp(doubted->actions, sure->actions, sizeof(float) * 3 * sure->steps_n) == 0);
  CU_ASSERT(doubted->score[100] > 10 * sure->score[100]);
  sim_labels_free(sure);
  sim_labels_free(doubted);
  world_close(&w);
}

/* A spring that no time step holds. */
static const char UNSTABLE[] =
  "<mujoco><option timestep='0.1' integrator='Euler'/><worldbody>"
  "<body><joint name='x' type='slide' axis='1 0 0' stiffness='1e9'/>"
  "<geom size='.1' mass='1'/></body>"
  "<body pos='5 0 0'><joint name='y' type='slide' axis='1 0 0' stiffness='1e9'/>"
  "<geom size='.1' mass='1'/></body>"
  "</worldbody><actuator><motor joint='x' ctrllimited='true' ctrlrange='-1 1'/></actuator>"
  "</mujoco>";

/* What is left of the trajectory before has no part in a label, even where nothing can be
 * solved. */
static void unstable_steps_do_not_depend_on_the_division(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *both = NULL, *alone = NULL;
  const uint64_t first = w.ds->step_start[1], n = w.ds->step_start[2] - first;
  w.options.std = w.std;
  w.options.restarts = 0;
  for (uint64_t row = w.ds->obs_start[1]; row < w.ds->obs_start[2]; row++)
    w.ds->observations[row * 11] = 1e12F; /* no simulator holds a hopper there */
  CU_OK(sim_label(w.sim, &w.options, w.ds, 0, 2, NULL, NULL, &both, &err), err);
  sim_close(w.sim);
  CU_OK(sim_open(&w.layout, &w.sim, &err), err);
  CU_OK(sim_label(w.sim, &w.options, w.ds, 1, 2, NULL, NULL, &alone, &err), err);
  CU_ASSERT_EQUAL(alone->unstable_n, alone->known_n);
  CU_ASSERT(memcmp(both->actions + first * 3, alone->actions, sizeof(float) * 3 * n) == 0);
  CU_ASSERT(memcmp(both->std + first * 3, alone->std, sizeof(float) * 3 * n) == 0);
  sim_labels_free(both);
  sim_labels_free(alone);
  world_close(&w);
}

static void an_unstable_simulation_is_told_and_not_fatal(void) {
  struct world w = world_open("hopper", "tests/data/hopper-medium.hdf5");
  struct sim_labels *l = NULL;
  struct sim_fit fit;
  sim_close(w.sim);
  w.sim = NULL;
  w.layout = (struct sim_layout){
    .mjcf = UNSTABLE, .mjcf_n = sizeof UNSTABLE - 1, .frame_skip = 50, .obs_dim = 11, .act_dim = 3
  };
  /* 11 observations of 4 numbers */
  CU_ASSERT_EQUAL(sim_open(&w.layout, &w.sim, &err), PX_E_BAD_FIELD);
  w.layout.obs_dim = 4;
  for (uint32_t i = 0; i < 4; i++)
    w.layout.obs[i] =
      (struct sim_term){ i < 2 ? SIM_QPOS : SIM_QVEL, i % 2, 1, 0, -INFINITY, INFINITY };
  w.layout.act_dim = 1;
  w.layout.act[0] = (struct sim_control){ 0, 1, 0 };
  CU_OK(sim_open(&w.layout, &w.sim, &err), err);
  w.options.std = w.std;
  CU_ASSERT_EQUAL(sim_label(w.sim, &w.options, w.ds, 0, 1, NULL, NULL, &l, &err), PX_E_BAD_FIELD);
  w.ds->spaces.obs_dim = 4;
  w.ds->spaces.act_dim = 1;
  sim_spread(w.ds, w.std);
  CU_OK(sim_label(w.sim, &w.options, w.ds, 0, 1, NULL, NULL, &l, &err), err);
  CU_ASSERT(l->unstable_n > 100);
  CU_ASSERT_EQUAL(l->verified_n, 0);
  CU_ASSERT(l->residual[200] > 1);
  sim_labels_free(l);
  CU_OK(sim_check(w.sim, &w.options, w.ds, NULL, &fit, &err), err);
  CU_ASSERT(fit.unstable_n > 100);
  CU_ASSERT_EQUAL(sim_fit_judge(&fit, &err), PX_E_BAD_DATA);
  world_close(&w);
}

static const struct cu_test tests[] = {
  T(actions_of_real_hopper_data_are_recovered),
  T(every_built_in_robot_is_labelled),
  T(labels_do_not_depend_on_the_division),
  T(a_model_that_fits_is_accepted_and_another_refused_with_numbers),
  T(a_check_tells_how_far_it_is),
  T(clipped_velocities_are_carried),
  T(numbers_of_a_model_are_identified_from_labelled_steps),
  T(a_delay_is_found_and_its_labels_are_those_of_earlier_steps),
  T(layouts_have_units),
  T(labels_that_are_given_are_judged_and_kept),
  T(a_second_start_is_taken_where_the_first_does_not_lead_there),
  T(what_true_actions_leave_is_held_against_labels),
  T(an_unstable_simulation_is_told_and_not_fatal),
  T(unstable_steps_do_not_depend_on_the_division),
  T(a_layout_that_the_model_lacks_is_refused_at_its_place),
};

int main(int argc, char **argv) {
  return cu_run("sim", tests, sizeof tests / sizeof *tests, argc, argv);
}
