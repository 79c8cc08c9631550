/* Locomotion environments on MuJoCo: see env.h. */
#include "worker/env/env.h"

#include <math.h>
#include <mujoco/mujoco.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "worker/env/mjcf.h"

/* What makes a task of a model. Infinite bounds never end an episode. */
struct task {
  struct px_env_info info;
  const char *mjcf, *mjcf_end;
  int frame_skip;
  double velocity_clip;                       /* of the observation only */
  double alive_bonus, control_cost;
  double z_low, z_high, pitch_max, state_max; /* state_max: of qpos[2..] and qvel */
  double start_noise;
  bool normal_velocity;                       /* start velocities: normal, else uniform */
};

enum { ROOT_X, ROOT_Z, ROOT_PITCH };

static const struct task TASKS[] = {
  { { "hopper", 11, 3, 6, 6, -1, 1, -20.272305, 3234.3 }, px_mjcf_hopper, px_mjcf_hopper_end,
    4, 10, 1, 1e-3, 0.7, INFINITY, 0.2, 100, 5e-3, false },
  { { "walker2d", 17, 6, 9, 9, -1, 1, 1.629008, 4592.3 }, px_mjcf_walker2d, px_mjcf_walker2d_end,
    4, 10, 1, 1e-3, 0.8, 2, 1, INFINITY, 5e-3, false },
  { { "halfcheetah", 17, 6, 9, 9, -1, 1, -280.178953, 12135.0 }, px_mjcf_halfcheetah, px_mjcf_halfcheetah_end,
    5, INFINITY, 0, 0.1, -INFINITY, INFINITY, INFINITY, INFINITY, 0.1, true },
};
enum { TASKS_N = sizeof TASKS / sizeof *TASKS };

struct px_env {
  const struct task *task;
  mjModel *model;
  mjData *data;
  uint32_t steps;
  char load_error[300];
};

/*
 * MuJoCo's own answer to an internal error is to wait for a key and exit. Ours
 * jumps back to the call of ours that it happened in; what MuJoCo had allocated
 * in that call is lost, which a fault this rare may cost.
 */
static _Thread_local jmp_buf *guard;
static _Thread_local char guard_text[300];

static void on_mujoco_error(const char *text) {
  snprintf(guard_text, sizeof guard_text, "%s", text);
  if (guard) longjmp(*guard, 1);
}
/* Its default prints and writes a log file into the working folder. Warnings are counted in mjData: see check_warnings. */
static void on_mujoco_warning(const char *text) { (void)text; }

static enum px_status guarded(void (*run)(struct px_env *env), struct px_env *env, struct px_err *err) {
  jmp_buf here;
  if (setjmp(here)) {
    guard = NULL;
    return px_fail(err, PX_E_INTERNAL, "MuJoCo stopped: %s", guard_text);
  }
  guard = &here;
  run(env);
  guard = NULL;
  return PX_OK;
}

static const struct task *task_named(const char *name) {
  for (size_t i = 0; i < TASKS_N; i++)
    if (strcmp(TASKS[i].info.name, name) == 0) return &TASKS[i];
  return NULL;
}

enum px_status px_env_find(const char *name, const struct px_env_info **info, struct px_err *err) {
  const struct task *task = task_named(name);
  if (!task) {
    px_fail(err, PX_E_BAD_FIELD, "there is no environment \"%.64s\"", name);
    px_err_hint(err, "The environments are hopper, walker2d and halfcheetah.");
    return PX_E_BAD_FIELD;
  }
  *info = &task->info;
  return PX_OK;
}

const struct px_env_info *px_env_at(size_t i) { return i < TASKS_N ? &TASKS[i].info : NULL; }

double px_env_score(const struct px_env_info *info, double episode_return) {
  return 100 * (episode_return - info->random_return) / (info->expert_return - info->random_return);
}

/* MuJoCo reads XML from a file or from its own table of files in memory, which is megabytes: not for the stack. */
static void load(struct px_env *env) {
  mjVFS *files = px_calloc(1, sizeof *files);
  if (!files) return;
  mj_defaultVFS(files);
  const size_t n = (size_t)(env->task->mjcf_end - env->task->mjcf);
  if (mj_makeEmptyFileVFS(files, "model.xml", (int)n) == 0) {
    memcpy(files->filedata[0], env->task->mjcf, n);
    env->model = mj_loadXML("model.xml", files, env->load_error, sizeof env->load_error);
  }
  mj_deleteVFS(files);
  free(files);
  if (env->model) env->data = mj_makeData(env->model);
}

enum px_status px_env_open(const char *name, struct px_env **out, struct px_err *err) {
  const struct px_env_info *info = NULL;
  enum px_status status = px_env_find(name, &info, err);
  if (status) return status;
  mju_user_error = on_mujoco_error;
  mju_user_warning = on_mujoco_warning;
  struct px_env *env = px_calloc(1, sizeof *env);
  if (!env) return px_fail(err, PX_E_NO_MEMORY, "no memory for environment %s", name);
  env->task = task_named(name);
  status = guarded(load, env, err);
  if (!status && !env->data) status = px_fail(err, PX_E_INTERNAL, "model of %s: %s", name, env->load_error);
  if (status) px_env_close(env);
  else *out = env;
  return status;
}

void px_env_close(struct px_env *env) {
  if (!env) return;
  if (env->data) mj_deleteData(env->data);
  if (env->model) mj_deleteModel(env->model);
  free(env);
}

const struct px_env_info *px_env_info(const struct px_env *env) { return &env->task->info; }
const void *px_env_model(const struct px_env *env) { return env->model; }

static void observe(const struct px_env *env, float *obs) {
  const struct px_env_info *info = &env->task->info;
  const double clip = env->task->velocity_clip;
  for (uint32_t i = 1; i < info->qpos_n; i++) *obs++ = (float)env->data->qpos[i];
  for (uint32_t i = 0; i < info->qvel_n; i++) *obs++ = (float)fmin(fmax(env->data->qvel[i], -clip), clip);
}

/* After each of these MuJoCo has reset or truncated something, so the state is no longer the task's. */
static enum px_status check_warnings(const struct px_env *env, struct px_err *err) {
  for (int i = 0; i < mjNWARNING; i++)
    if (env->data->warning[i].number > 0)
      return px_fail(err, PX_E_INTERNAL, "the simulation of %s went unstable at step %u: %s", env->task->info.name,
                     env->steps, mju_warningText(i, env->data->warning[i].lastinfo));
  return PX_OK;
}

static void forward(struct px_env *env) { mj_forward(env->model, env->data); }

static enum px_status begin(struct px_env *env, float *obs, struct px_err *err) {
  env->steps = 0;
  enum px_status status = guarded(forward, env, err);
  if (!status) status = check_warnings(env, err);
  if (!status) observe(env, obs);
  return status;
}

enum px_status px_env_reset(struct px_env *env, uint64_t seed, uint64_t episode, float *obs, struct px_err *err) {
  const struct task *task = env->task;
  struct px_rng rng = px_rng_at(seed, px_rng_stream("env_reset", episode), 0);
  mj_resetData(env->model, env->data);
  for (uint32_t i = 0; i < task->info.qpos_n; i++)
    env->data->qpos[i] += task->start_noise * (2 * px_rng_double(&rng) - 1);
  float normal[PX_ENV_OBS_MAX];
  if (task->normal_velocity) px_rng_normal(&rng, normal, task->info.qvel_n);
  for (uint32_t i = 0; i < task->info.qvel_n; i++)
    env->data->qvel[i] = task->start_noise * (task->normal_velocity ? (double)normal[i] : 2 * px_rng_double(&rng) - 1);
  return begin(env, obs, err);
}

enum px_status px_env_set_state(struct px_env *env, const double *qpos, const double *qvel, float *obs,
                                struct px_err *err) {
  mj_resetData(env->model, env->data);
  memcpy(env->data->qpos, qpos, env->task->info.qpos_n * sizeof *qpos);
  memcpy(env->data->qvel, qvel, env->task->info.qvel_n * sizeof *qvel);
  return begin(env, obs, err);
}

static bool ended(const struct px_env *env) {
  const struct task *task = env->task;
  const double *qpos = env->data->qpos, *qvel = env->data->qvel;
  for (uint32_t i = ROOT_PITCH; i < task->info.qpos_n; i++)
    if (!(fabs(qpos[i]) < task->state_max)) return true;
  for (uint32_t i = 0; i < task->info.qvel_n; i++)
    if (!(fabs(qvel[i]) < task->state_max)) return true;
  return !(qpos[ROOT_Z] > task->z_low && qpos[ROOT_Z] < task->z_high && fabs(qpos[ROOT_PITCH]) < task->pitch_max);
}

static void advance(struct px_env *env) {
  for (int i = 0; i < env->task->frame_skip; i++) mj_step(env->model, env->data);
}

enum px_status px_env_step(struct px_env *env, const float *action, float *obs, struct px_env_step *out,
                           struct px_err *err) {
  const struct task *task = env->task;
  double squares = 0;
  for (uint32_t j = 0; j < task->info.act_dim; j++) {
    if (!isfinite(action[j])) return px_fail(err, PX_E_BAD_DATA, "action[%u] of %s is not finite", j, task->info.name);
    const double a = fmin(fmax((double)action[j], (double)task->info.act_low), (double)task->info.act_high);
    env->data->ctrl[j] = a;
    squares += a * a;
  }
  const double x = env->data->qpos[ROOT_X];
  env->steps++;
  enum px_status status = guarded(advance, env, err);
  if (!status) status = check_warnings(env, err);
  if (status) return status;
  const double seconds = env->model->opt.timestep * task->frame_skip;
  out->reward = (env->data->qpos[ROOT_X] - x) / seconds + task->alive_bonus - task->control_cost * squares;
  out->terminated = ended(env);
  out->truncated = !out->terminated && env->steps >= PX_ENV_TIME_LIMIT;
  observe(env, obs);
  return PX_OK;
}
