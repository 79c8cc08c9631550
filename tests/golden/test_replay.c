/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof by replay: our environments against recorded transitions, and our MJCF
 * files against reference models.
 *
 * From a recorded state and action, one step must give the recorded next
 * observation, reward and termination, for 99.9% of a file's transitions:
 *
 *   state from infos/qpos and infos/qvel (float64): each number x against the
 *   recorded y within |x - y| <= 1e-4 max(1, |y|);
 *   state from the observation (float32), where no velocity was clipped: the
 *   same for the reward, and |x_j - y_j| <= 1e-4 max(1, max_k |y_k|) for the
 *   observation. The state is then only known to 6e-8 of its size, and near a
 *   contact or a joint's stop one step magnifies that up to 1e5 times in one
 *   component: halfcheetah-medium replays from float64 without any difference.
 *
 * Both fractions are printed for every file.
 *
 * data/replay-*.hdf5 are small cuts with their provenance as attributes
 * (make_replay_sample.py); the files of tests/data and the demo's are whole trajectories. Where
 * PROXACT_DATA names a folder that has them, larger files are read too: every
 * PROXACT_REPLAY_STRIDE-th transition, 10 by default.
 */
#include <hdf5.h>
#include <math.h>
#include <mujoco/mujoco.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "tests/support/cu.h"
#include "worker/env/env.h"

static const double TOLERANCE = 1e-4, LEAST_FRACTION = 0.999;
static struct px_err err;

/* |x - y| relative to `size`, or to 1 where that is larger. */
static double difference(double x, double y, double size) {
  return fabs(x - y) / fmax(1, fabs(size));
}

/* N transitions. qpos and qvel are NULL where the file has none. */
struct recording {
  size_t n;
  float *observations, *next_observations, *actions, *rewards;
  uint8_t *terminals;
  double *qpos, *qvel;
};

/* A whole array of HDF5, as `type` (below 0: as it is stored), or NULL if there is none of that
 * name. */
static void *read_array(hid_t file, const char *name, hid_t type, size_t element, size_t *rows) {
  if (strncmp(name, "infos/", 6) == 0 && H5Lexists(file, "infos", H5P_DEFAULT) <= 0) return NULL;
  const hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set),
              stored = H5Dget_type(set);
  hsize_t dims[2] = { 0, 1 };
  CU_ASSERT_FATAL(set >= 0 && H5Sget_simple_extent_ndims(space) <= 2);
  H5Sget_simple_extent_dims(space, dims, NULL);
  void *data = px_mem_calloc(dims[0] * dims[1], element);
  CU_ASSERT_FATAL(data && (type >= 0 || H5Tget_size(stored) == element));
  CU_ASSERT_FATAL(H5Dread(set, type < 0 ? stored : type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Tclose(stored);
  H5Sclose(space);
  H5Dclose(set);
  *rows = dims[0];
  return data;
}

static struct recording read_recording(const char *path) {
  const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  CU_ASSERT_FATAL(file >= 0);
  struct recording r = { 0 };
  r.observations = read_array(file, "observations", H5T_NATIVE_FLOAT, sizeof(float), &r.n);
  r.next_observations =
    read_array(file, "next_observations", H5T_NATIVE_FLOAT, sizeof(float), &r.n);
  r.actions = read_array(file, "actions", H5T_NATIVE_FLOAT, sizeof(float), &r.n);
  r.rewards = read_array(file, "rewards", H5T_NATIVE_FLOAT, sizeof(float), &r.n);
  r.terminals = read_array(file, "terminals", -1, sizeof(uint8_t), &r.n);
  r.qpos = read_array(file, "infos/qpos", H5T_NATIVE_DOUBLE, sizeof(double), &r.n);
  r.qvel = read_array(file, "infos/qvel", H5T_NATIVE_DOUBLE, sizeof(double), &r.n);
  H5Fclose(file);
  return r;
}

static void free_recording(struct recording *r) {
  free(r->observations);
  free(r->next_observations);
  free(r->actions);
  free(r->rewards);
  free(r->terminals);
  free(r->qpos);
  free(r->qvel);
}

/* The state of transition i; false where it is not known, since the observation's velocity was
 * clipped. */
static bool state_at(const struct recording *r, const struct px_env_info *info, size_t i,
                     double *qpos, double *qvel) {
  if (r->qpos) {
    memcpy(qpos, r->qpos + i * info->qpos_n, info->qpos_n * sizeof *qpos);
    memcpy(qvel, r->qvel + i * info->qvel_n, info->qvel_n * sizeof *qvel);
    return true;
  }
  const float *obs = r->observations + i * info->obs_dim;
  qpos[0] = 0; /* nothing depends on x but its difference */
  for (uint32_t j = 1; j < info->qpos_n; j++) qpos[j] = (double)*obs++;
  for (uint32_t j = 0; j < info->qvel_n; j++) {
    qvel[j] = (double)*obs++;
    if (strcmp(info->name, "halfcheetah") != 0 && fabs(qvel[j]) >= 10) return false;
  }
  return true;
}

/* How far one step is from transition i: the largest difference of its numbers
 * relative to each, and relative to the whole observation. Infinite if it ends otherwise. */
struct distance {
  double each, whole;
};

static struct distance replay_transition(struct px_env *env, const struct recording *r, size_t i,
                                         const double *qpos, const double *qvel) {
  const struct px_env_info *info = px_env_info(env);
  const float *recorded = r->next_observations + i * info->obs_dim;
  float obs[PX_ENV_OBS_MAX];
  struct px_env_step step;
  CU_OK(px_env_set_state(env, qpos, qvel, obs, &err), err);
  CU_OK(px_env_step(env, r->actions + i * info->act_dim, obs, &step, &err), err);
  if (step.terminated != (r->terminals[i] != 0)) return (struct distance){ INFINITY, INFINITY };
  const double reward = difference(step.reward, (double)r->rewards[i], (double)r->rewards[i]);
  struct distance d = { reward, reward };
  double size = 0;
  for (uint32_t j = 0; j < info->obs_dim; j++) size = fmax(size, fabs((double)recorded[j]));
  for (uint32_t j = 0; j < info->obs_dim; j++) {
    d.each = fmax(d.each, difference((double)obs[j], (double)recorded[j], (double)recorded[j]));
    d.whole = fmax(d.whole, difference((double)obs[j], (double)recorded[j], size));
  }
  return d;
}

static void replay(const char *env_name, const char *path, size_t stride, bool from_observations) {
  struct recording r = read_recording(path);
  if (from_observations) {
    free(r.qpos);
    r.qpos = NULL;
  }
  struct px_env *env = NULL;
  CU_OK(px_env_open(env_name, &env, &err), err);
  double qpos[PX_ENV_OBS_MAX], qvel[PX_ENV_OBS_MAX], largest = 0;
  size_t tried = 0, each = 0, whole = 0;
  const double start_s = px_clock_s();
  for (size_t i = 0; i < r.n; i += stride)
    if (state_at(&r, px_env_info(env), i, qpos, qvel)) {
      const struct distance d = replay_transition(env, &r, i, qpos, qvel);
      tried++;
      each += d.each <= TOLERANCE;
      whole += d.whole <= TOLERANCE;
      largest = fmax(largest, d.each);
    }
  printf("\n  %-30s %s: %6zu of %6zu tried, %.3f%% agree (whole observation: %.3f%%), largest "
         "difference %.1e, %.1f s",
         strrchr(path, '/') + 1, r.qpos ? "float64 state" : "observation  ", tried, r.n,
         100 * (double)each / (double)tried, 100 * (double)whole / (double)tried, largest,
         px_clock_s() - start_s);
  CU_ASSERT(tried > r.n / stride / 2);
  CU_ASSERT((double)(r.qpos ? each : whole) >= LEAST_FRACTION * (double)tried);
  px_env_close(env);
  free_recording(&r);
}

static void one_step_gives_the_recorded_state_and_reward(void) {
  replay("hopper", "tests/golden/data/replay-hopper.hdf5", 1, false);
  replay("halfcheetah", "tests/golden/data/replay-halfcheetah.hdf5", 1, false);
}

static void one_step_gives_what_whole_trajectories_recorded(void) {
  for (int from_observations = 0; from_observations < 2; from_observations++) {
    replay("hopper", "tests/data/hopper-medium.hdf5", 1, from_observations);
    replay("halfcheetah", "tests/data/halfcheetah-medium.hdf5", 1, from_observations);
  }
  replay("hopper", "deploy/demo/hopper-demo.hdf5", 10, true);
}

static void one_step_gives_what_larger_files_recorded(void) {
  static const char *const ENVS[] = { "hopper", "halfcheetah" };
  static const struct {
    const char *kind;
    bool from_observations;
  } FILES[] = {
    { "medium", false }, { "medium", true }, { "medium-replay", true }, { "medium-expert", true }
  };
  const char *stride_text = getenv("PROXACT_REPLAY_STRIDE"), *folder = getenv("PROXACT_DATA");
  const size_t stride = stride_text ? strtoul(stride_text, NULL, 10) : 10;
  CU_ASSERT_FATAL(stride > 0);
  for (size_t e = 0; e < 2 && folder; e++)
    for (size_t f = 0; f < sizeof FILES / sizeof *FILES; f++) {
      char path[512];
      snprintf(path, sizeof path, "%s/%s-%s.hdf5", folder, ENVS[e], FILES[f].kind);
      if (access(path, R_OK) == 0) replay(ENVS[e], path, stride, FILES[f].from_observations);
    }
}

static double largest_difference(const double *a, const double *b, int n) {
  double largest = 0;
  for (int i = 0; i < n; i++) largest = fmax(largest, difference(a[i], b[i], b[i]));
  return largest;
}
#define SAME(field, n) CU_ASSERT(largest_difference(a->field, b->field, n) < 1e-9)
#define SAME_INTS(field, n) \
  CU_ASSERT_EQUAL(memcmp(a->field, b->field, (size_t)(n) * sizeof *a->field), 0)

/* Everything that enters the dynamics. Frames may sit elsewhere (ours sit at
 * the joints), so places are compared in the world, at the start posture. */
static void compare_models(const mjModel *a, const mjModel *b) {
  CU_ASSERT_FATAL(a->nq == b->nq && a->nv == b->nv && a->nu == b->nu && a->nbody == b->nbody &&
                  a->ngeom == b->ngeom);
  CU_ASSERT_EQUAL(memcmp(&a->opt, &b->opt, sizeof a->opt), 0);
  SAME(body_mass, a->nbody);
  SAME(body_inertia, 3 * a->nbody);
  SAME(body_invweight0, 2 * a->nbody);
  SAME(qpos0, a->nq);
  SAME(qpos_spring, a->nq);
  SAME_INTS(jnt_type, a->njnt);
  SAME_INTS(jnt_limited, a->njnt);
  SAME(jnt_stiffness, a->njnt);
  for (int i = 0; i < a->njnt; i++) {
    if (!a->jnt_limited[i]) continue;
    SAME(jnt_range + 2 * i, 2);
    SAME(jnt_solref + mjNREF * i, mjNREF);
    SAME(jnt_solimp + mjNIMP * i, mjNIMP);
  }
  SAME(dof_damping, a->nv);
  SAME(dof_armature, a->nv);
  SAME(dof_frictionloss, a->nv);
  SAME(dof_invweight0, a->nv);
  SAME_INTS(geom_type, a->ngeom);
  SAME_INTS(geom_condim, a->ngeom);
  SAME_INTS(geom_contype, a->ngeom);
  SAME_INTS(geom_conaffinity, a->ngeom);
  for (int i = 0; i < a->ngeom; i++) /* a plane's only draws it */
    if (a->geom_type[i] != mjGEOM_PLANE) SAME(geom_size + 3 * i, 3);
  SAME(geom_friction, 3 * a->ngeom);
  SAME(geom_margin, a->ngeom);
  SAME(geom_solref, mjNREF * a->ngeom);
  SAME(geom_solimp, mjNIMP * a->ngeom);
  SAME_INTS(actuator_trnid, 2 * a->nu);
  SAME(actuator_gear, 6 * a->nu);
  SAME_INTS(actuator_ctrllimited, a->nu);
  SAME(actuator_ctrlrange, 2 * a->nu);
}

static void compare_places(const mjModel *model_a, const mjModel *model_b, mjData *a, mjData *b) {
  mj_forward(model_a, a);
  mj_forward(model_b, b);
  SAME(xipos, 3 * model_a->nbody);
  SAME(geom_xpos, 3 * model_a->ngeom);
  for (int i = 0; i < model_a->njnt; i++) /* a slide's anchor changes nothing */
    if (model_a->jnt_type[i] == mjJNT_HINGE) SAME(xanchor + 3 * i, 3);
  SAME(xaxis, 3 * model_a->njnt);
  SAME(qM, model_a->nM);
}

static void random_state(const mjModel *model, mjData *data, uint64_t n) {
  struct px_rng rng = px_rng_at(17, px_rng_stream("random_state", n), 0);
  mj_resetData(model, data);
  /* From far into the ground to a little above the start. */
  data->qpos[1] += 0.7 * px_rng_double(&rng) - 0.6;
  data->qpos[2] = 2 * px_rng_double(&rng) - 1;
  for (int j = 3; j < model->nq; j++) {
    const double low = model->jnt_range[2 * j], high = model->jnt_range[2 * j + 1];
    /* a little beyond the limits, too */
    data->qpos[j] = low + (high - low) * (1.2 * px_rng_double(&rng) - 0.1);
  }
  for (int j = 0; j < model->nv; j++) data->qvel[j] = 10 * px_rng_double(&rng) - 5;
  for (int j = 0; j < model->nu; j++) data->ctrl[j] = 2.4 * px_rng_double(&rng) - 1.2;
}

/* One environment step on both models from random states. Equal equations in
 * different frames round differently, and contacts magnify that: hence 1e-6. */
static void compare_dynamics(const char *name, const mjModel *model_a, const mjModel *model_b,
                             mjData *a, mjData *b) {
  enum { STATES = 500 };
  const int frame_skip = strcmp(name, "halfcheetah") == 0 ? 5 : 4;
  int agreed = 0, contacts = 0;
  double worst = 0;
  for (uint64_t n = 0; n < STATES; n++) {
    random_state(model_a, a, n);
    random_state(model_b, b, n);
    for (int i = 0; i < frame_skip; i++) {
      mj_step(model_a, a);
      mj_step(model_b, b);
    }
    const double apart = fmax(largest_difference(a->qpos, b->qpos, model_a->nq),
                              largest_difference(a->qvel, b->qvel, model_a->nv));
    agreed += apart < 1e-6;
    contacts += b->ncon > 0;
    worst = fmax(worst, apart);
  }
  printf("\n  %-12s one step from %d random states, %d with contacts: %d agree to 1e-6, largest "
         "difference %.1e",
         name, STATES, contacts, agreed, worst);
  CU_ASSERT(contacts > STATES / 4 && contacts < STATES);
  CU_ASSERT_EQUAL(agreed, STATES);
}

static void models_have_the_reference_physics(void) {
  static const char *const NAMES[][2] = { { "hopper", "tests/data/models/hopper.xml" },
                                          { "walker2d", "tests/data/models/walker2d.xml" },
                                          { "halfcheetah", "tests/data/models/half_cheetah.xml" } };
  for (size_t i = 0; i < 3; i++) {
    struct px_env *env = NULL;
    CU_OK(px_env_open(NAMES[i][0], &env, &err), err);
    const mjModel *ours = px_env_model(env);
    char message[300] = "";
    mjModel *reference = mj_loadXML(NAMES[i][1], NULL, message, sizeof message);
    if (!reference) printf("\n  %s\n", message);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reference);
    mjData *a = mj_makeData(ours), *b = mj_makeData(reference);
    compare_models(ours, reference);
    compare_places(ours, reference, a, b);
    compare_dynamics(NAMES[i][0], ours, reference, a, b);
    mj_deleteData(a);
    mj_deleteData(b);
    mj_deleteModel(reference);
    px_env_close(env);
  }
}

CU_MAIN("replay", T(one_step_gives_the_recorded_state_and_reward),
        T(one_step_gives_what_whole_trajectories_recorded),
        T(one_step_gives_what_larger_files_recorded), T(models_have_the_reference_physics))
