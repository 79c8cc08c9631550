/* SPDX-License-Identifier: Apache-2.0 */
/* A small world: see rl_world.h. */
#include "tests/support/rl_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"

void rl_world_open(struct rl_world *w) {
  struct px_dataset *ds = &w->ds;
  struct px_rng rng = px_rng_at(1, 2, 3);
  memset(w, 0, sizeof *w);
  ds->spaces.obs_dim = O, ds->spaces.act_dim = A;
  for (int j = 0; j < A; j++) ds->spaces.act_low[j] = -2, ds->spaces.act_high[j] = 2;
  ds->traj_n = TRAJ_N, ds->steps_n = TRAJ_N * STEPS, ds->obs_n = TRAJ_N * (STEPS + 1);
  ds->observations = px_mem_calloc(ds->obs_n, O * sizeof(float));
  ds->rewards = px_mem_calloc(ds->steps_n, sizeof(float));
  ds->step_start = px_mem_calloc(TRAJ_N + 1, sizeof(uint64_t));
  ds->obs_start = px_mem_calloc(TRAJ_N + 1, sizeof(uint64_t));
  ds->terminated = px_mem_calloc(TRAJ_N, 1), ds->truncated = px_mem_calloc(TRAJ_N, 1),
  ds->has_final = px_mem_calloc(TRAJ_N, 1);
  w->u = (struct px_actions_merged){ .ds = ds,
                                     .actions = px_mem_calloc(ds->steps_n, A * sizeof(float)),
                                     .source = px_mem_calloc(ds->steps_n, 1),
                                     .score = px_mem_calloc(ds->steps_n, sizeof(float)),
                                     .verified = px_mem_calloc(ds->steps_n, 1) };
  for (uint32_t i = 0; i <= TRAJ_N; i++)
    ds->step_start[i] = i * STEPS, ds->obs_start[i] = i * (STEPS + 1);
  memset(ds->has_final, 1, TRAJ_N);
  memset(w->u.source, PX_SOURCE_TRUE, ds->steps_n);
  px_rng_normal(&rng, ds->observations, ds->obs_n * O);
  for (uint64_t step = 0; step < ds->steps_n; step++) {
    const float *s = ds->observations + (ds->obs_start[step / STEPS] + step % STEPS) * O;
    for (int j = 0; j < A; j++) w->u.actions[step * A + j] = fminf(fmaxf(-s[j], -2), 2);
    ds->rewards[step] = -(float)(step / STEPS); /* the return of trajectory i is -50 i */
  }
}

void rl_world_discrete(struct rl_world *w) {
  px_spaces_set_discrete(&w->ds.spaces, CLASSES);
  for (uint64_t step = 0; step < w->ds.steps_n; step++) {
    const float s = w->ds.observations[(w->ds.obs_start[step / STEPS] + step % STEPS) * O];
    w->u.actions[step] = s < -0.5F ? 0 : s < 0.5F ? 1 : 2;
  }
}

void rl_world_close(struct rl_world *w) {
  struct px_dataset *ds = &w->ds;
  free(ds->observations), free(ds->rewards), free(ds->step_start), free(ds->obs_start);
  free(ds->terminated), free(ds->truncated), free(ds->has_final);
  free(w->u.actions), free(w->u.source), free(w->u.score), free(w->u.verified);
}

void rl_world_set(struct rl_spec *spec, const char *name, double value) {
  struct px_err err;
  CU_OK(rl_spec_set(spec, name, value, &err), err);
}

struct rl_spec rl_world_spec(const char *algo, uint64_t updates) {
  struct rl_spec spec;
  struct px_err err;
  CU_OK(rl_spec_defaults(algo, &spec, &err), err);
  rl_world_set(&spec, "hidden", 32), rl_world_set(&spec, "batch", 32),
    rl_world_set(&spec, "updates", (double)updates);
  return spec;
}
