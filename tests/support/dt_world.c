/* SPDX-License-Identifier: Apache-2.0 */
/* DT_WORLD_ACT small world for the Decision Transformer: see dt_world.h. */
#include "tests/support/dt_world.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/rl/algo/dt.h"
#include "tests/support/cu.h"

void dt_world_open(struct dt_world *w, bool discrete) {
  struct px_dataset *ds = &w->ds;
  struct px_rng rng = px_rng_at(1, 2, 3);
  memset(w, 0, sizeof *w);
  w->arena = px_arena_new(RL_ARENA_BYTES_MAX);
  ds->spaces.obs_dim = DT_WORLD_OBS, ds->spaces.act_dim = DT_WORLD_ACT;
  for (int j = 0; j < DT_WORLD_ACT; j++) ds->spaces.act_low[j] = -2, ds->spaces.act_high[j] = 2;
  if (discrete) px_spaces_set_discrete(&ds->spaces, DT_WORLD_CLASSES);
  const uint32_t a = ds->spaces.act_dim;
  ds->traj_n = DT_WORLD_TRAJ_N;
  ds->step_start = px_mem_calloc(DT_WORLD_TRAJ_N + 1, sizeof(uint64_t)),
  ds->obs_start = px_mem_calloc(DT_WORLD_TRAJ_N + 1, sizeof(uint64_t));
  for (uint32_t i = 0; i < DT_WORLD_TRAJ_N; i++) {
    ds->step_start[i + 1] = ds->step_start[i] + i + 1;
    ds->obs_start[i + 1] = ds->obs_start[i] + i + 2;
  }
  ds->steps_n = ds->step_start[DT_WORLD_TRAJ_N], ds->obs_n = ds->obs_start[DT_WORLD_TRAJ_N];
  ds->observations = px_mem_calloc(ds->obs_n, DT_WORLD_OBS * sizeof(float)),
  ds->rewards = px_mem_calloc(ds->steps_n, sizeof(float));
  ds->terminated = px_mem_calloc(DT_WORLD_TRAJ_N, 1),
  ds->truncated = px_mem_calloc(DT_WORLD_TRAJ_N, 1),
  ds->has_final = px_mem_calloc(DT_WORLD_TRAJ_N, 1);
  w->u = (struct px_actions_merged){ .ds = ds,
                                     .actions = px_mem_calloc(ds->steps_n, a * sizeof(float)),
                                     .source = px_mem_calloc(ds->steps_n, 1),
                                     .score = px_mem_calloc(ds->steps_n, sizeof(float)) };
  memset(ds->has_final, 1, DT_WORLD_TRAJ_N);
  memset(w->u.source, PX_SOURCE_TRUE, ds->steps_n);
  px_rng_normal(&rng, ds->observations, ds->obs_n * DT_WORLD_OBS);
  for (uint32_t i = 0; i < DT_WORLD_TRAJ_N; i++) {
    const float action = discrete ? (float)(i % DT_WORLD_CLASSES) : 1.5F * (float)(i % 3) - 1.5F;
    for (uint64_t step = ds->step_start[i]; step < ds->step_start[i + 1]; step++) {
      ds->rewards[step] = action;
      for (uint32_t j = 0; j < a; j++) w->u.actions[step * a + j] = j ? -action : action;
    }
  }
}

void dt_world_close(struct dt_world *w) {
  struct px_dataset *ds = &w->ds;
  free(ds->observations), free(ds->rewards), free(ds->step_start), free(ds->obs_start);
  free(ds->terminated), free(ds->truncated), free(ds->has_final);
  free(w->u.actions), free(w->u.source), free(w->u.score);
  px_arena_free(w->arena);
}

void dt_world_set(struct rl_spec *spec, const char *name, double value) {
  struct px_err err;
  CU_OK(rl_spec_set(spec, name, value, &err), err);
}

struct rl_spec dt_world_spec(uint64_t updates) {
  struct rl_spec spec;
  struct px_err err;
  CU_OK(rl_spec_defaults("dt", &spec, &err), err);
  dt_world_set(&spec, "hidden", 32), dt_world_set(&spec, "heads", 2),
    dt_world_set(&spec, "layers", 2), dt_world_set(&spec, "context", 6);
  dt_world_set(&spec, "batch", 32);
  dt_world_set(&spec, "updates", (double)updates), dt_world_set(&spec, "warmup", 10),
    dt_world_set(&spec, "return_scale", 0.05);
  return spec;
}

struct dt *dt_world_training(const struct dt_world *w, const struct rl_spec *spec,
                             struct rl_data **data) {
  void *state;
  struct px_err err;
  CU_OK(rl_data_new(&w->u, spec, data, &err), err);
  CU_OK(dt_algo.init(w->arena, spec, *data, &state, &err), err);
  struct dt *dt = state;
  dt_batch_draw(&dt->batch, dt->windows, 1, 1);
  struct px_rng rng = px_rng_at(1, 1, 1);
  if (dt->net->shape.discrete) return dt;
  px_rng_normal(&rng, dt->noise, (size_t)dt->batch.start[dt->batch.seqs] * DT_WORLD_ACT);
  /* Middling actions and spreads keep losses of size one, which finite differences in float32
   * need. */
  for (uint32_t i = 0; i < dt->batch.start[dt->batch.seqs] * DT_WORLD_ACT; i++)
    dt->batch.action[i] *= 0.4F;
  const struct px_tensor *log_sigma = &dt->net->tensors[dt->net->tensors_n - 2];
  for (size_t i = 0; i < px_tensor_n(log_sigma); i++) dt->net->params[log_sigma->at + i] *= 0.1F;
  return dt;
}
