/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What env.c asks of a simulator, for the files of this folder only. A kind has
 * one table of tasks and one set of functions; its struct begins with struct
 * px_env. Names are looked up, steps counted and episodes truncated in env.c.
 */
#ifndef PX_ENV_KIND_H
#define PX_ENV_KIND_H

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "worker/env/env.h"

struct px_env_kind {
  const struct px_env_info *(*info_at)(size_t i); /* NULL after the last */
  /* Makes one; kind, info and steps are filled in by env.c. */
  enum px_status (*open)(const struct px_env_info *info, struct px_env **out, struct px_err *err);
  void (*close)(struct px_env *env);
  enum px_status (*reset)(struct px_env *env, struct px_rng *rng, float *obs, struct px_err *err);
  enum px_status (*set_state)(struct px_env *env, const double *qpos, const double *qvel,
                              float *obs, struct px_err *err);
  /* The action is finite, and a class where they are. Sets reward and terminated. */
  enum px_status (*step)(struct px_env *env, const float *action, float *obs,
                         struct px_env_step *out, struct px_err *err);
  const void *(*model)(const struct px_env *env); /* or NULL */
  /* or NULL: no MuJoCo model */
  void (*physics)(const struct px_env_info *info, struct px_env_physics *out);
};

struct px_env {
  const struct px_env_kind *kind;
  const struct px_env_info *info;
  uint32_t steps; /* of this episode, the one under way included */
};

/* All kinds: px_env_<name>, each in its own file. */
#define PX_ENV_KINDS(KIND) \
  KIND(mujoco) \
  KIND(cartpole)
#define KIND(name) extern const struct px_env_kind px_env_##name;
PX_ENV_KINDS(KIND)
#undef KIND

#endif
