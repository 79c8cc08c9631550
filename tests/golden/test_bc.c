/* SPDX-License-Identifier: Apache-2.0 */
/* Behaviour cloning against PyTorch in float64 (gen_bc.py); tolerances as in test_mlp.c. */
#include "lib/base/fail.h"
#include "lib/rl/algo/bc.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { B = 24, O = 11, A = 3, H = 32, STEPS = 10, COUNT = 4 };

static void ten_updates_agree_for(const char *file, uint32_t act_dim, uint32_t act_count) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  struct golden g;
  struct rl_spec spec;
  struct bc *bc;
  struct px_err err;
  size_t n;
  golden_open(&g, file);
  CU_OK(rl_spec_defaults("bc", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "hidden", H, &err), err);
  CU_OK(rl_spec_set(&spec, "batch", B, &err), err);
  CU_OK(bc_new(arena, &spec, O, act_dim, act_count, &bc, &err), err);
  golden_floats(&g, "actor", 0, bc->actor.net->params_n, bc->actor.net->params);
  const double *losses = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    golden_floats(&g, "s", step * B * O, B * O, bc->batch.s);
    golden_floats(&g, "action", step * B * act_dim, B * act_dim, bc->batch.action);
    golden_floats(&g, "weight", step * B, B, bc->batch.weight);
    CU_ASSERT_DOUBLE_EQUAL(bc_update(bc), losses[step], 2e-6 * losses[step]);
    if (step == 0)
      CU_ASSERT_TRUE(golden_error(&g, "actor_grads", bc->actor.grads, bc->actor.net->params_n) <
                     2e-6);
  }
  CU_ASSERT_TRUE(golden_error(&g, "actor_after", bc->actor.net->params, bc->actor.net->params_n) <
                 2e-5);
  px_arena_free(arena);
  golden_close(&g);
}

static void ten_updates_agree(void) { ten_updates_agree_for("bc", A, 0); }
static void ten_updates_agree_where_actions_are_discrete(void) {
  ten_updates_agree_for("bc_discrete", 1, COUNT);
}

CU_MAIN("bc", T(ten_updates_agree), T(ten_updates_agree_where_actions_are_discrete))
