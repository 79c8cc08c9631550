/* SPDX-License-Identifier: Apache-2.0 */
/* Locomotion environments on MuJoCo: see env.h and kind.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/sim/physics.h"
#include "worker/env/env_kind.h"
#include "worker/env/mjcf.h"

/* What makes a task of a model. Infinite bounds never end an episode. */
struct task {
  struct px_env_info info;
  const char *mjcf, *mjcf_end;
  int frame_skip;
  double velocity_clip; /* of the observation only */
  double alive_bonus, control_cost;
  double z_low, z_high, pitch_max, state_max; /* state_max: of qpos[2..] and qvel */
  double start_noise;
  bool normal_velocity; /* start velocities: normal, else uniform */
};

enum { ROOT_X, ROOT_Z, ROOT_PITCH };

#define SCORE_NOTE \
  "normalised with D4RL's constants, which were taken with another MuJoCo version than the 2.2.2 " \
  "used here"
#define INFO(name_, obs, act, qpos, qvel, random_, expert) \
  { \
    .name = name_, .obs_dim = obs, .act_dim = act, .qpos_n = qpos, .qvel_n = qvel, .act_low = -1, \
    .act_high = 1, .time_limit = PX_ENV_TIME_LIMIT, .random_return = random_, \
    .expert_return = expert, .score_note = SCORE_NOTE \
  }
static const struct task TASKS[] = {
  { INFO("hopper", 11, 3, 6, 6, -20.272305, 3234.3), px_mjcf_hopper, px_mjcf_hopper_end, 4, 10, 1,
    1e-3, 0.7, INFINITY, 0.2, 100, 5e-3, false },
  { INFO("walker2d", 17, 6, 9, 9, 1.629008, 4592.3), px_mjcf_walker2d, px_mjcf_walker2d_end, 4, 10,
    1, 1e-3, 0.8, 2, 1, INFINITY, 5e-3, false },
  { INFO("halfcheetah", 17, 6, 9, 9, -280.178953, 12135.0), px_mjcf_halfcheetah,
    px_mjcf_halfcheetah_end, 5, INFINITY, 0, 0.1, -INFINITY, INFINITY, INFINITY, INFINITY, 0.1,
    true },
};
enum { TASKS_N = sizeof TASKS / sizeof *TASKS };

struct mujoco {
  struct px_env env; /* first: what env.c holds is this */
  const struct task *task;
  mjModel *model;
  mjData *data;
};

static const struct px_env_info *info_at(size_t i) { return i < TASKS_N ? &TASKS[i].info : NULL; }

static const struct task *task_of(const struct px_env_info *info) {
  for (size_t i = 0; i < TASKS_N; i++)
    if (&TASKS[i].info == info) return &TASKS[i];
  return NULL;
}

static void physics(const struct px_env_info *info, struct px_env_physics *out) {
  const struct task *task = task_of(info);
  *out = (struct px_env_physics){ task->mjcf, (size_t)(task->mjcf_end - task->mjcf),
                                  task->frame_skip, task->velocity_clip };
}

static void close_model(struct px_env *env) {
  struct mujoco *m = (struct mujoco *)env;
  if (m->data) mj_deleteData(m->data);
  if (m->model) mj_deleteModel(m->model);
  free(m);
}

static enum px_status open_model(const struct px_env_info *info, struct px_env **out,
                                 struct px_err *err) {
  struct mujoco *m = px_mem_calloc(1, sizeof *m);
  if (!m) return px_fail(err, PX_E_NO_MEMORY, "no memory for environment %s", info->name);
  m->task = task_of(info);
  const size_t n = (size_t)(m->task->mjcf_end - m->task->mjcf);
  const enum px_status status = px_physics_load(m->task->mjcf, n, &m->model, &m->data, err);
  if (status) close_model(&m->env);
  else *out = &m->env;
  return status;
}

static const void *compiled_model(const struct px_env *env) {
  return ((const struct mujoco *)env)->model;
}

static void observe(const struct mujoco *m, float *obs) {
  const struct px_env_info *info = &m->task->info;
  const double clip = m->task->velocity_clip;
  for (uint32_t i = 1; i < info->qpos_n; i++) *obs++ = (float)m->data->qpos[i];
  for (uint32_t i = 0; i < info->qvel_n; i++)
    *obs++ = (float)fmin(fmax(m->data->qvel[i], -clip), clip);
}

static enum px_status check_warnings(const struct mujoco *m, struct px_err *err) {
  const char *warning = px_physics_warning(m->data);
  return warning ? px_fail(err, PX_E_INTERNAL, "the simulation of %s went unstable at step %u: %s",
                           m->task->info.name, m->env.steps, warning)
                 : PX_OK;
}

static void forward(void *ctx) {
  struct mujoco *m = ctx;
  mj_forward(m->model, m->data);
}

static enum px_status begin(struct mujoco *m, float *obs, struct px_err *err) {
  enum px_status status = px_physics_guard(forward, m, err);
  if (!status) status = check_warnings(m, err);
  if (!status) observe(m, obs);
  return status;
}

static enum px_status reset(struct px_env *env, struct px_rng *rng, float *obs,
                            struct px_err *err) {
  struct mujoco *m = (struct mujoco *)env;
  const struct task *task = m->task;
  mj_resetData(m->model, m->data);
  for (uint32_t i = 0; i < task->info.qpos_n; i++)
    m->data->qpos[i] += task->start_noise * (2 * px_rng_double(rng) - 1);
  float normal[PX_ENV_OBS_MAX];
  if (task->normal_velocity) px_rng_normal(rng, normal, task->info.qvel_n);
  for (uint32_t i = 0; i < task->info.qvel_n; i++)
    m->data->qvel[i] =
      task->start_noise * (task->normal_velocity ? (double)normal[i] : 2 * px_rng_double(rng) - 1);
  return begin(m, obs, err);
}

static enum px_status set_state(struct px_env *env, const double *qpos, const double *qvel,
                                float *obs, struct px_err *err) {
  struct mujoco *m = (struct mujoco *)env;
  mj_resetData(m->model, m->data);
  memcpy(m->data->qpos, qpos, m->task->info.qpos_n * sizeof *qpos);
  memcpy(m->data->qvel, qvel, m->task->info.qvel_n * sizeof *qvel);
  return begin(m, obs, err);
}

static bool ended(const struct mujoco *m) {
  const struct task *task = m->task;
  const double *qpos = m->data->qpos, *qvel = m->data->qvel;
  for (uint32_t i = ROOT_PITCH; i < task->info.qpos_n; i++)
    if (!(fabs(qpos[i]) < task->state_max)) return true;
  for (uint32_t i = 0; i < task->info.qvel_n; i++)
    if (!(fabs(qvel[i]) < task->state_max)) return true;
  return !(qpos[ROOT_Z] > task->z_low && qpos[ROOT_Z] < task->z_high &&
           fabs(qpos[ROOT_PITCH]) < task->pitch_max);
}

static void advance(void *ctx) {
  struct mujoco *m = ctx;
  for (int i = 0; i < m->task->frame_skip; i++) mj_step(m->model, m->data);
}

static enum px_status step(struct px_env *env, const float *action, float *obs,
                           struct px_env_step *out, struct px_err *err) {
  struct mujoco *m = (struct mujoco *)env;
  const struct task *task = m->task;
  double squares = 0;
  for (uint32_t j = 0; j < task->info.act_dim; j++) {
    const double a =
      fmin(fmax((double)action[j], (double)task->info.act_low), (double)task->info.act_high);
    m->data->ctrl[j] = a;
    squares += a * a;
  }
  const double x = m->data->qpos[ROOT_X];
  enum px_status status = px_physics_guard(advance, m, err);
  if (!status) status = check_warnings(m, err);
  if (status) return status;
  const double seconds = m->model->opt.timestep * task->frame_skip;
  out->reward =
    (m->data->qpos[ROOT_X] - x) / seconds + task->alive_bonus - task->control_cost * squares;
  out->terminated = ended(m);
  observe(m, obs);
  return PX_OK;
}

const struct px_env_kind px_env_mujoco = { info_at,   open_model, close_model,    reset,
                                           set_state, step,       compiled_model, physics };
