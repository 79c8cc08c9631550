/* SPDX-License-Identifier: Apache-2.0 */
/* ReBRAC against PyTorch in float64 (gen_rebrac.py); tolerances as in test_mlp.c, but for three
 * layers with norms. */
#include <math.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/rebrac.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

static struct px_arena *arena;

enum { B = 24, O = 11, A = 3, H = 32, STEPS = 10, LOSSES = 5, NETS = 3 };

static const char *name(const char *net, const char *suffix) {
  static char text[64];
  snprintf(text, sizeof text, "%s%s", net, suffix);
  return text;
}

static struct rebrac *open_rebrac(void) {
  static const struct {
    const char *name;
    double value;
  } options[] = { { "hidden", H },  { "layers", 3 },           { "batch", B },
                  { "lr", 1e-3 },   { "actor_bc_coef", 0.05 }, { "critic_bc_coef", 0.1 },
                  { "tau", 0.005 }, { "pretrain", 0 } };
  struct rl_spec spec;
  struct rebrac *r;
  struct px_err err;
  CU_OK(rl_spec_defaults("rebrac", &spec, &err), err);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    CU_OK(rl_spec_set(&spec, options[i].name, options[i].value, &err), err);
  arena = px_arena_new(RL_ARENA_BYTES_MAX);
  CU_OK(rebrac_new(arena, &spec, O, A, &r, &err), err);
  return r;
}

static void load_batch(const struct golden *g, struct rebrac *r, size_t step) {
  golden_floats(g, "s", step * B * O, B * O, r->batch.s);
  golden_floats(g, "s2", step * B * O, B * O, r->batch.s2);
  golden_floats(g, "action", step * B * A, B * A, r->batch.action);
  golden_floats(g, "next_action", step * B * A, B * A, r->batch.next_action);
  golden_floats(g, "reward", step * B, B, r->batch.reward);
  golden_floats(g, "not_done", step * B, B, r->batch.not_done);
  golden_floats(g, "weight", step * B, B, r->batch.weight);
  golden_floats(g, "next_weight", step * B, B, r->batch.next_weight);
  golden_floats(g, "noise", step * B * A, B * A, r->noise);
}

static void ten_updates_agree(void) {
  static const char *const nets[NETS] = { "actor", "critic0", "critic1" };
  struct golden g;
  double losses[RL_LOSSES_MAX] = { 0 };
  size_t n;
  golden_open(&g, "rebrac");
  struct rebrac *r = open_rebrac();
  struct rl_net *const mine[NETS] = { &r->actor, &r->critic[0], &r->critic[1] };
  for (int i = 0; i < NETS; i++) {
    golden_floats(&g, nets[i], 0, mine[i]->net->params_n, mine[i]->net->params);
    golden_floats(&g, name(nets[i], "_target"), 0, mine[i]->net->params_n, mine[i]->target->params);
  }
  const double *expected = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    load_batch(&g, r, step);
    rebrac_update(r, step, losses);
    for (int i = 0; i < LOSSES; i++) {
      const double want = expected[step * LOSSES + (size_t)i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 2e-5 * (1 + fabs(want)));
    }
    for (int i = 0; i < NETS; i++) /* the actor's first update is the second one */
      if (step == (i ? 0 : 1))
        CU_ASSERT_TRUE(
          golden_error(&g, name(nets[i], "_grads"), mine[i]->grads, mine[i]->net->params_n) < 1e-5);
  }
  for (int i = 0; i < NETS; i++) {
    CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_after"), mine[i]->net->params,
                                mine[i]->net->params_n) < 5e-5);
    CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_target_after"), mine[i]->target->params,
                                mine[i]->net->params_n) < 2e-6);
  }
  px_arena_free(arena);
  golden_close(&g);
}

CU_MAIN("rebrac", T(ten_updates_agree))
