/* SPDX-License-Identifier: Apache-2.0 */
/* A small world and models of it: see idm_world.h. */
#include "tests/support/idm_world.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "tests/support/cu.h"

static const float effect[WORLD_O][WORLD_A] = { { 0.5F, 0 }, { 0, 0.3F }, { 0.1F, -0.2F } };

struct px_dataset *world_new(uint32_t labelled_trajs) {
  struct px_dataset *ds = px_mem_calloc(1, sizeof *ds);
  struct px_rng rng = px_rng_at(7, 0, 0);
  ds->spaces.obs_dim = WORLD_O, ds->spaces.act_dim = WORLD_A, ds->traj_n = WORLD_TRAJS;
  for (uint32_t j = 0; j < WORLD_A; j++) ds->spaces.act_low[j] = -2, ds->spaces.act_high[j] = 2;
  ds->observations =
    px_mem_calloc((size_t)WORLD_TRAJS * (WORLD_LONGEST + 1) * WORLD_O, sizeof(float));
  ds->actions = px_mem_calloc((size_t)WORLD_TRAJS * WORLD_LONGEST * WORLD_A, sizeof(float));
  ds->rewards = px_mem_calloc((size_t)WORLD_TRAJS * WORLD_LONGEST, sizeof(float));
  ds->labelled = px_mem_calloc((size_t)WORLD_TRAJS * WORLD_LONGEST, 1);
  ds->step_start = px_mem_calloc(WORLD_TRAJS + 1, sizeof(uint64_t)),
  ds->obs_start = px_mem_calloc(WORLD_TRAJS + 1, sizeof(uint64_t));
  ds->terminated = px_mem_calloc(WORLD_TRAJS, 1), ds->truncated = px_mem_calloc(WORLD_TRAJS, 1),
  ds->has_final = px_mem_calloc(WORLD_TRAJS, 1);
  for (uint32_t i = 0; i < WORLD_TRAJS; i++) {
    const uint32_t steps = 8 + i % 3;
    ds->has_final[i] = i % 3 != 2;
    float *s = ds->observations + ds->obs_start[i] * WORLD_O,
          *a = ds->actions + ds->step_start[i] * WORLD_A;
    px_rng_normal(&rng, s, WORLD_O);
    for (uint32_t t = 0; t < steps; t++, a += WORLD_A) {
      ds->labelled[ds->step_start[i] + t] = i < labelled_trajs;
      for (uint32_t j = 0; j < WORLD_A; j++) a[j] = 4 * px_rng_float(&rng) - 2;
      for (uint32_t j = 0; j < WORLD_O && t + 1 < steps + ds->has_final[i]; j++)
        s[(t + 1) * WORLD_O + j] = s[t * WORLD_O + j] + effect[j][0] * a[0] + effect[j][1] * a[1];
      if (i >= labelled_trajs) memset(a, 0, sizeof(float) * WORLD_A);
    }
    ds->step_start[i + 1] = ds->step_start[i] + steps;
    ds->obs_start[i + 1] = ds->obs_start[i] + steps + ds->has_final[i];
  }
  ds->steps_n = ds->step_start[WORLD_TRAJS], ds->obs_n = ds->obs_start[WORLD_TRAJS];
  return ds;
}

void world_free(struct px_dataset *ds) {
  free(ds->observations), free(ds->actions), free(ds->rewards), free(ds->labelled),
    free(ds->step_start);
  free(ds->obs_start), free(ds->terminated), free(ds->truncated), free(ds->has_final), free(ds);
}

struct idm_spec world_spec(uint32_t members, uint32_t steps) {
  struct idm_spec spec;
  idm_spec_default(IDM_FAST, &spec);
  spec.hidden = 32, spec.layers = 2, spec.members = members, spec.steps = steps, spec.batch = 64;
  spec.validate_every = 10, spec.seed = 5;
  return spec;
}

struct idm_model *world_trained(const struct px_dataset *ds, const struct idm_spec *spec,
                                uint32_t member, struct idm_metrics *metrics) {
  struct idm_model *model = NULL;
  struct px_err err;
  CU_OK(idm_train_member(ds, spec, member, NULL, NULL, &model, metrics, &err), err);
  return model;
}

struct px_buf world_saved(const struct idm_model *model) {
  static const char *const lineage[][2] = { { "job", "job_1" } };
  struct px_buf buf = PX_BUF(IDM_MODEL_BYTES_MAX);
  struct px_err err;
  CU_OK(idm_model_save(model, lineage, 1, &buf, &err), err);
  return buf;
}
