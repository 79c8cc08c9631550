/* SPDX-License-Identifier: Apache-2.0 */
/* TD3+BC against PyTorch in float64 (gen_td3bc.py); tolerances as in test_mlp.c. */
#include <math.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/td3bc.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { B = 24, O = 11, A = 3, H = 32, STEPS = 10, LOSSES = 4 };

static const char *name(const char *net, const char *suffix) {
  static char text[64];
  snprintf(text, sizeof text, "%s%s", net, suffix);
  return text;
}

static void load_batch(const struct golden *g, struct td3bc *t, size_t step) {
  golden_floats(g, "s", step * B * O, B * O, t->batch.s);
  golden_floats(g, "s2", step * B * O, B * O, t->batch.s2);
  golden_floats(g, "action", step * B * A, B * A, t->batch.action);
  golden_floats(g, "reward", step * B, B, t->batch.reward);
  golden_floats(g, "not_done", step * B, B, t->batch.not_done);
  golden_floats(g, "weight", step * B, B, t->batch.weight);
  golden_floats(g, "noise", step * B * A, B * A, t->noise);
}

static void ten_updates_agree(void) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  static const char *const nets[] = { "actor", "critic0", "critic1" };
  struct golden g;
  struct rl_spec spec;
  struct td3bc *t;
  struct px_err err;
  double losses[RL_LOSSES_MAX] = { 0 };
  size_t n;
  golden_open(&g, "td3bc");
  CU_OK(rl_spec_defaults("td3bc", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "hidden", H, &err), err);
  CU_OK(rl_spec_set(&spec, "batch", B, &err), err);
  CU_OK(rl_spec_set(&spec, "tau", 0.005, &err), err);
  CU_OK(td3bc_new(arena, &spec, O, A, &t, &err), err);
  struct rl_net *const mine[] = { &t->actor, &t->critic[0], &t->critic[1] };
  for (int i = 0; i < 3; i++) {
    golden_floats(&g, nets[i], 0, mine[i]->net->params_n, mine[i]->net->params);
    golden_floats(&g, name(nets[i], "_target"), 0, mine[i]->net->params_n, mine[i]->target->params);
  }
  const double *expected = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    load_batch(&g, t, step);
    td3bc_update(t, step, losses);
    for (int i = 0; i < LOSSES; i++) {
      const double want = expected[step * LOSSES + (size_t)i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 1e-5 * (1 + fabs(want)));
    }
    for (int i = 0; i < 3; i++) /* the actor's first update is the second one */
      if (step == (i ? 0 : 1))
        CU_ASSERT_TRUE(
          golden_error(&g, name(nets[i], "_grads"), mine[i]->grads, mine[i]->net->params_n) < 5e-6);
  }
  for (int i = 0; i < 3; i++) {
    CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_after"), mine[i]->net->params,
                                mine[i]->net->params_n) < 2e-5);
    CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_target_after"), mine[i]->target->params,
                                mine[i]->net->params_n) < 1e-6);
  }
  px_arena_free(arena);
  golden_close(&g);
}

CU_MAIN("td3bc", T(ten_updates_agree))
