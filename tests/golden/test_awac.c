/* SPDX-License-Identifier: Apache-2.0 */
/* Advantage-weighted actor-critic against PyTorch in float64 (gen_awac.py); tolerances as in
 * test_mlp.c. */
#include <math.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/awac.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

static struct px_arena *arena;

enum { B = 24, O = 11, A = 3, H = 32, STEPS = 10, LOSSES = 4, NETS = 3 };

static const char *name(const char *net, const char *suffix) {
  static char text[64];
  snprintf(text, sizeof text, "%s%s", net, suffix);
  return text;
}

static struct awac *open_awac(void) {
  struct rl_spec spec;
  struct awac *w;
  struct px_err err;
  CU_OK(rl_spec_defaults("awac", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "hidden", H, &err), err);
  CU_OK(rl_spec_set(&spec, "batch", B, &err), err);
  CU_OK(rl_spec_set(&spec, "lr", 3e-4, &err), err);
  CU_OK(rl_spec_set(&spec, "tau", 0.005, &err), err);
  CU_OK(rl_spec_set(&spec, "lambda", 0.05, &err), err);
  CU_OK(rl_spec_set(&spec, "weight_max", 3, &err), err);
  arena = px_arena_new(RL_ARENA_BYTES_MAX);
  CU_OK(awac_new(arena, &spec, O, A, &w, &err), err);
  return w;
}

static void load_batch(const struct golden *g, struct awac *w, size_t step) {
  golden_floats(g, "s", step * B * O, B * O, w->batch.s);
  golden_floats(g, "s2", step * B * O, B * O, w->batch.s2);
  golden_floats(g, "action", step * B * A, B * A, w->batch.action);
  golden_floats(g, "reward", step * B, B, w->batch.reward);
  golden_floats(g, "not_done", step * B, B, w->batch.not_done);
  golden_floats(g, "weight", step * B, B, w->batch.weight);
  golden_floats(g, "noise", step * B * A, B * A, w->noise);
  golden_floats(g, "next_noise", step * B * A, B * A, w->next_noise);
}

static void ten_updates_agree(void) {
  static const char *const nets[NETS] = { "critic0", "critic1", "actor" };
  struct golden g;
  double losses[RL_LOSSES_MAX];
  size_t n;
  golden_open(&g, "awac");
  struct awac *w = open_awac();
  struct rl_net *const mine[NETS] = { &w->critic[0], &w->critic[1], &w->actor };
  for (int i = 0; i < NETS; i++) {
    golden_floats(&g, nets[i], 0, mine[i]->net->params_n, mine[i]->net->params);
    if (mine[i]->target)
      golden_floats(&g, name(nets[i], "_target"), 0, mine[i]->net->params_n,
                    mine[i]->target->params);
  }
  const double *expected = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    load_batch(&g, w, step);
    awac_update(w, losses);
    for (int i = 0; i < LOSSES; i++) {
      const double want = expected[step * LOSSES + (size_t)i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 2e-5 * (1 + fabs(want)));
    }
    /* The advantages' own rounding, 1e-7, grows by 1 / lambda = 20 in the weights. */
    for (int i = 0; step == 0 && i < NETS; i++)
      CU_ASSERT_TRUE(
        golden_error(&g, name(nets[i], "_grads"), mine[i]->grads, mine[i]->net->params_n) < 1e-5);
  }
  for (int i = 0; i < NETS; i++) {
    CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_after"), mine[i]->net->params,
                                mine[i]->net->params_n) < 2e-5);
    if (mine[i]->target)
      CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_target_after"), mine[i]->target->params,
                                  mine[i]->net->params_n) < 1e-6);
  }
  px_arena_free(arena);
  golden_close(&g);
}

CU_MAIN("awac", T(ten_updates_agree))
