/* SPDX-License-Identifier: Apache-2.0 */
/* Fitted Q evaluation against PyTorch in float64 (gen_fqe.py); tolerances as in test_mlp.c. */
#include <math.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/rl/fqe.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { B = 24, O = 11, D = 3, H = 32, STEPS = 10 };

static void ten_updates_agree(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  const struct fqe_spec spec = {
    .hidden = H, .layers = 2, .batch = B, .updates = STEPS, .lr = 3e-4, .gamma = 0.99, .tau = 0.005
  };
  struct golden g;
  struct fqe *f;
  struct px_err err;
  size_t n;
  golden_open(&g, "fqe");
  CU_OK(fqe_new(arena, &spec, O, D, 0, &f, &err), err);
  f->reward_scale = 2.5F;
  struct rl_net *c = &f->critic;
  golden_floats(&g, "critic", 0, c->net->params_n, c->net->params);
  golden_floats(&g, "critic_target", 0, c->net->params_n, c->target->params);
  const double *losses = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    golden_floats(&g, "s", step * B * O, B * O, f->batch.s);
    golden_floats(&g, "s2", step * B * O, B * O, f->batch.s2);
    golden_floats(&g, "action", step * B * D, B * D, f->action);
    golden_floats(&g, "next", step * B * D, B * D, f->next);
    golden_floats(&g, "reward", step * B, B, f->batch.reward);
    golden_floats(&g, "not_done", step * B, B, f->batch.not_done);
    CU_ASSERT_DOUBLE_EQUAL(fqe_update(f), losses[step], 1e-5 * (1 + fabs(losses[step])));
    if (step == 0)
      CU_ASSERT_TRUE(golden_error(&g, "critic_grads", c->grads, c->net->params_n) < 5e-6);
  }
  CU_ASSERT_TRUE(golden_error(&g, "critic_after", c->net->params, c->net->params_n) < 2e-5);
  CU_ASSERT_TRUE(golden_error(&g, "critic_target_after", c->target->params, c->net->params_n) <
                 1e-6);
  px_arena_free(arena);
  golden_close(&g);
}

CU_MAIN("fqe", T(ten_updates_agree))
