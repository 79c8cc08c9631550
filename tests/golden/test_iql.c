/* SPDX-License-Identifier: Apache-2.0 */
/* Implicit Q-learning against PyTorch in float64 (gen_iql.py); tolerances as in test_mlp.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/iql.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

static struct px_arena *arena;

enum { B = 24, O = 11, A = 3, H = 32, STEPS = 10, COUNT = 4, LOSSES = 5, NETS = 4 };
enum { GAUSSIAN, DETERMINISTIC }; /* places of the words of `actor` */

static const char *name(const char *net, const char *suffix) {
  static char text[64];
  snprintf(text, sizeof text, "%s%s", net, suffix);
  return text;
}

static void set(struct rl_spec *spec, const char *option, double value) {
  struct px_err err;
  CU_OK(rl_spec_set(spec, option, value, &err), err);
}

static struct iql *open_iql(int actor, uint32_t act_dim, uint32_t act_count) {
  struct rl_spec spec;
  struct iql *q;
  struct px_err err;
  CU_OK(rl_spec_defaults("iql", &spec, &err), err);
  set(&spec, "hidden", H), set(&spec, "batch", B), set(&spec, "updates", STEPS);
  set(&spec, "beta", 10), set(&spec, "weight_max", 20), set(&spec, "actor", actor),
    set(&spec, "tau", 0.005);
  arena = px_arena_new(RL_ARENA_BYTES_MAX);
  CU_OK(iql_new(arena, &spec, O, act_dim, act_count, &q, &err), err);
  return q;
}

static void load_batch(const struct golden *g, struct iql *q, size_t step) {
  const size_t a = q->batch.act_dim;
  golden_floats(g, "s", step * B * O, B * O, q->batch.s);
  golden_floats(g, "s2", step * B * O, B * O, q->batch.s2);
  golden_floats(g, "action", step * B * a, B * a, q->batch.action);
  golden_floats(g, "reward", step * B, B, q->batch.reward);
  golden_floats(g, "not_done", step * B, B, q->batch.not_done);
  golden_floats(g, "weight", step * B, B, q->batch.weight);
}

static void ten_updates_agree_for(const char *file, int actor, uint32_t act_dim,
                                  uint32_t act_count) {
  static const char *const nets[NETS] = { "critic0", "critic1", "value", "actor" };
  struct golden g;
  double losses[RL_LOSSES_MAX];
  size_t n;
  golden_open(&g, file);
  struct iql *q = open_iql(actor, act_dim, act_count);
  const bool sigma = actor == GAUSSIAN && !act_count;
  struct rl_net *const mine[NETS] = { &q->critic[0], &q->critic[1], &q->value, &q->actor };
  for (int i = 0; i < NETS; i++) {
    golden_floats(&g, nets[i], 0, mine[i]->net->params_n, mine[i]->net->params);
    if (mine[i]->target)
      golden_floats(&g, name(nets[i], "_target"), 0, mine[i]->net->params_n,
                    mine[i]->target->params);
  }
  if (sigma) golden_floats(&g, "log_sigma", 0, A, q->log_sigma);
  const double *expected = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    load_batch(&g, q, step);
    iql_update(q, step, losses);
    for (int i = 0; i < LOSSES; i++) {
      const double want = expected[step * LOSSES + (size_t)i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 1e-5 * (1 + fabs(want)));
    }
    for (int i = 0; step == 0 && i < NETS; i++)
      CU_ASSERT_TRUE(
        golden_error(&g, name(nets[i], "_grads"), mine[i]->grads, mine[i]->net->params_n) < 5e-6);
    if (step == 0 && sigma)
      CU_ASSERT_TRUE(golden_error(&g, "log_sigma_grads", q->dlog_sigma, A) < 5e-6);
  }
  for (int i = 0; i < NETS; i++) {
    CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_after"), mine[i]->net->params,
                                mine[i]->net->params_n) < 2e-5);
    if (mine[i]->target)
      CU_ASSERT_TRUE(golden_error(&g, name(nets[i], "_target_after"), mine[i]->target->params,
                                  mine[i]->net->params_n) < 1e-6);
  }
  if (sigma) CU_ASSERT_TRUE(golden_error(&g, "log_sigma_after", q->log_sigma, A) < 1e-6);
  px_arena_free(arena);
  golden_close(&g);
}

static void ten_updates_agree_with_a_gaussian_actor(void) {
  ten_updates_agree_for("iql_gaussian", GAUSSIAN, A, 0);
}
static void ten_updates_agree_with_a_deterministic_actor(void) {
  ten_updates_agree_for("iql_deterministic", DETERMINISTIC, A, 0);
}
static void ten_updates_agree_where_actions_are_discrete(void) {
  ten_updates_agree_for("iql_discrete", GAUSSIAN, 1, COUNT);
}

CU_MAIN("iql", T(ten_updates_agree_with_a_gaussian_actor),
        T(ten_updates_agree_with_a_deterministic_actor),
        T(ten_updates_agree_where_actions_are_discrete))
