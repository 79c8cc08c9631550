/* SPDX-License-Identifier: Apache-2.0 */
/* Environments by name, whatever simulates them: see env.h. */
#include "worker/env/env.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "worker/env/env_kind.h"

static const struct px_env_kind *const KINDS[] = {
#define KIND(name) &px_env_##name,
  PX_ENV_KINDS(KIND)
#undef KIND
};
enum { KINDS_N = sizeof KINDS / sizeof *KINDS };

const struct px_env_info *px_env_at(size_t i) {
  for (size_t k = 0; k < KINDS_N; k++)
    for (size_t j = 0; KINDS[k]->info_at(j); j++)
      if (i-- == 0) return KINDS[k]->info_at(j);
  return NULL;
}

static const struct px_env_kind *kind_named(const char *name, const struct px_env_info **info) {
  for (size_t k = 0; k < KINDS_N; k++)
    for (size_t j = 0; KINDS[k]->info_at(j); j++)
      if (strcmp(KINDS[k]->info_at(j)->name, name) == 0) {
        *info = KINDS[k]->info_at(j);
        return KINDS[k];
      }
  return NULL;
}

enum px_status px_env_find(const char *name, const struct px_env_info **info, struct px_err *err) {
  if (kind_named(name, info)) return PX_OK;
  char names[256] = "";
  for (size_t i = 0; px_env_at(i); i++) {
    const size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", px_env_at(i)->name);
  }
  px_fail(err, PX_E_BAD_FIELD, "there is no environment \"%.64s\"", name);
  px_fail_hint(err, "Environments: %s.", names);
  return PX_E_BAD_FIELD;
}

double px_env_score(const struct px_env_info *info, double episode_return) {
  return 100 * (episode_return - info->random_return) / (info->expert_return - info->random_return);
}

enum px_status px_env_open(const char *name, struct px_env **out, struct px_err *err) {
  const struct px_env_info *info = NULL;
  enum px_status status = px_env_find(name, &info, err);
  if (status) return status;
  const struct px_env_kind *kind = kind_named(name, &info);
  struct px_env *env = NULL;
  status = kind->open(info, &env, err);
  if (status) return status;
  env->kind = kind;
  env->info = info;
  *out = env;
  return PX_OK;
}

void px_env_close(struct px_env *env) {
  if (env) env->kind->close(env);
}

const struct px_env_info *px_env_info(const struct px_env *env) { return env->info; }
enum px_status px_env_physics(const char *name, struct px_env_physics *out, struct px_err *err) {
  const struct px_env_info *info;
  const enum px_status status = px_env_find(name, &info, err);
  if (status) return status;
  const struct px_env_kind *kind = kind_named(name, &info);
  if (!kind->physics)
    return px_fail(err, PX_E_BAD_FIELD, "environment %s has no MuJoCo model", name);
  kind->physics(info, out);
  return PX_OK;
}

const void *px_env_model(const struct px_env *env) {
  return env->kind->model ? env->kind->model(env) : NULL;
}

enum px_status px_env_reset(struct px_env *env, uint64_t seed, uint64_t episode, float *obs,
                            struct px_err *err) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("env_reset", episode), 0);
  env->steps = 0;
  return env->kind->reset(env, &rng, obs, err);
}

enum px_status px_env_set_state(struct px_env *env, const double *qpos, const double *qvel,
                                float *obs, struct px_err *err) {
  env->steps = 0;
  return env->kind->set_state(env, qpos, qvel, obs, err);
}

enum px_status px_env_step(struct px_env *env, const float *action, float *obs,
                           struct px_env_step *out, struct px_err *err) {
  const struct px_env_info *info = env->info;
  for (uint32_t j = 0; j < info->act_dim; j++)
    if (!isfinite(action[j]))
      return px_fail(err, PX_E_BAD_DATA, "action[%u] of %s is not finite", j, info->name);
  if (info->act_count && !px_is_class(action[0], info->act_count))
    return px_fail(err, PX_E_BAD_DATA, "the action of %s is %g, none of its %u", info->name,
                   (double)action[0], info->act_count);
  env->steps++;
  const enum px_status status = env->kind->step(env, action, obs, out, err);
  if (!status) out->truncated = !out->terminated && env->steps >= info->time_limit;
  return status;
}
