/* SPDX-License-Identifier: Apache-2.0 */
/* Conservative Q-learning against PyTorch in float64 (gen_cql.py), which evaluates every sampled
 * action as a row of its own; tolerances as in test_mlp.c. */
#include <math.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/cql.h"
#include "lib/rl/algo/cql_discrete.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

static struct px_arena *arena;

enum { B = 16, O = 11, A = 3, H = 20, N = 4, STEPS = 10 };
static const char *const nets[] = { "actor", "critic0", "critic1" };

static const char *name(const char *run, const char *net, const char *suffix) {
  static char text[64];
  snprintf(text, sizeof text, "%s%s%s", run, net, suffix);
  return text;
}

static void load_batch(const struct golden *g, struct cql *t, size_t step) {
  golden_floats(g, "s", step * B * O, B * O, t->batch.s);
  golden_floats(g, "s2", step * B * O, B * O, t->batch.s2);
  golden_floats(g, "action", step * B * A, B * A, t->batch.action);
  golden_floats(g, "reward", step * B, B, t->batch.reward);
  golden_floats(g, "not_done", step * B, B, t->batch.not_done);
  golden_floats(g, "weight", step * B, B, t->batch.weight);
  golden_floats(g, "noise_pi", step * B * A, B * A, t->noise.pi);
  golden_floats(g, "noise_next", step * B * A, B * A, t->noise.next);
  golden_floats(g, "noise_here", step * B * N * A, B * N * A, t->noise.here);
  golden_floats(g, "noise_there", step * B * N * A, B * N * A, t->noise.there);
  golden_floats(g, "uniform", step * B * N * A, B * N * A, t->noise.uniform);
  golden_floats(g, "pick", step * 2 * B, 2 * B, t->noise.pick);
}

static void sizes(struct rl_spec *spec) {
  struct px_err err;
  CU_OK(rl_spec_set(spec, "hidden", H, &err), err);
  CU_OK(rl_spec_set(spec, "layers", 3, &err), err);
  CU_OK(rl_spec_set(spec, "batch", B, &err), err);
  CU_OK(rl_spec_set(spec, "lr", 3e-4, &err), err);
  CU_OK(rl_spec_set(spec, "tau", 0.005, &err), err);
}

static struct cql *fresh(const struct golden *g, struct rl_spec *spec) {
  struct cql *t;
  struct px_err err;
  sizes(spec);
  CU_OK(rl_spec_set(spec, "n_action_samples", N, &err), err);
  CU_OK(rl_spec_set(spec, "actor_lr", 1e-4, &err), err);
  CU_OK(rl_spec_set(spec, "temperature_lr", 3e-4, &err), err);
  arena = px_arena_new(RL_ARENA_BYTES_MAX);
  CU_OK(cql_new(arena, spec, O, A, &t, &err), err);
  struct rl_net *const mine[] = { &t->actor, &t->critic[0], &t->critic[1] };
  for (int i = 0; i < 3; i++)
    golden_floats(g, nets[i], 0, mine[i]->net->params_n, mine[i]->net->params);
  for (int i = 1; i < 3; i++)
    golden_floats(g, name("", nets[i], "_target"), 0, mine[i]->net->params_n,
                  mine[i]->target->params);
  return t;
}

static void expect_gradients(const struct golden *g, const char *run, const struct cql *t) {
  const struct rl_net *const mine[] = { &t->actor, &t->critic[0], &t->critic[1] };
  for (int i = 0; i < 3; i++)
    CU_ASSERT_TRUE(
      golden_error(g, name(run, nets[i], "_grads"), mine[i]->grads, mine[i]->net->params_n) < 5e-6);
  CU_ASSERT_TRUE(golden_error(g, name(run, "spread", "_grads"), t->spread_grads, 2) < 5e-6);
  CU_ASSERT_TRUE(golden_error(g, name(run, "log_alpha", "_grads"), &t->log_alpha_grad, 1) < 5e-6);
}

static void ten_updates(const struct golden *g, const char *run, struct rl_spec *spec) {
  double losses[RL_LOSSES_MAX];
  size_t n;
  struct cql *t = fresh(g, spec);
  const struct rl_net *const mine[] = { &t->actor, &t->critic[0], &t->critic[1] };
  const double *expected = golden_take(g, name(run, "losses", ""), &n);
  CU_ASSERT_EQUAL_FATAL(n, STEPS * RL_LOSSES_MAX);
  for (size_t step = 0; step < STEPS; step++) {
    load_batch(g, t, step);
    cql_update(t, step, losses);
    for (size_t i = 0; i < RL_LOSSES_MAX; i++) {
      const double want = expected[step * RL_LOSSES_MAX + i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 1e-5 * (1 + fabs(want)));
    }
    if (step == 0) expect_gradients(g, run, t);
  }
  for (int i = 0; i < 3; i++)
    CU_ASSERT_TRUE(golden_error(g, name(run, nets[i], "_after"), mine[i]->net->params,
                                mine[i]->net->params_n) < 2e-5);
  for (int i = 1; i < 3; i++)
    CU_ASSERT_TRUE(golden_error(g, name(run, nets[i], "_target_after"), mine[i]->target->params,
                                mine[i]->net->params_n) < 1e-6);
  CU_ASSERT_TRUE(golden_error(g, name(run, "spread", "_after"), t->spread, 2) < 1e-6);
  CU_ASSERT_TRUE(golden_error(g, name(run, "log_alpha", "_after"), &t->log_alpha, 1) < 1e-4);
  px_arena_free(arena);
}

static void ten_updates_agree(void) {
  struct golden g;
  struct rl_spec spec;
  struct px_err err;
  golden_open(&g, "cql");
  CU_OK(rl_spec_defaults("cql", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "conservative_weight", 5, &err), err);
  CU_OK(rl_spec_set(&spec, "backward_actions", 0, &err), err);
  ten_updates(&g, "plain_", &spec);
  golden_close(&g);
}

static void ten_updates_through_drawn_actions_agree(void) {
  struct golden g;
  struct rl_spec spec;
  struct px_err err;
  golden_open(&g, "cql");
  CU_OK(rl_spec_defaults("cql", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "conservative_weight", 5, &err), err);
  CU_OK(rl_spec_set(&spec, "backward_actions", 3, &err), err);
  ten_updates(&g, "drawn_", &spec);
  golden_close(&g);
}

static void ten_updates_with_other_options_and_cloning_first_agree(void) {
  struct golden g;
  struct rl_spec spec;
  struct px_err err;
  golden_open(&g, "cql");
  CU_OK(rl_spec_defaults("cql", &spec, &err), err);
  CU_OK(rl_spec_set(&spec, "conservative_weight", 3, &err), err);
  CU_OK(rl_spec_set(&spec, "backward_actions", 0, &err), err);
  CU_OK(rl_spec_set(&spec, "cql_temperature", 0.7, &err), err);
  CU_OK(rl_spec_set(&spec, "target_entropy", -0.5, &err), err);
  CU_OK(rl_spec_set(&spec, "backup_entropy", 1, &err), err);
  CU_OK(rl_spec_set(&spec, "bc_updates", 2, &err), err);
  ten_updates(&g, "other_", &spec);
  golden_close(&g);
}

static void ten_updates_of_discrete_actions_agree(void) {
  enum { ACTIONS = 5, LOSSES = 3 };
  struct golden g;
  struct rl_spec spec;
  struct cql_discrete *t;
  struct px_err err;
  double losses[RL_LOSSES_MAX];
  size_t n;
  golden_open(&g, "cql_discrete");
  CU_OK(rl_spec_defaults("cql", &spec, &err), err);
  sizes(&spec);
  CU_OK(rl_spec_set(&spec, "conservative_weight", 4, &err), err);
  CU_OK(rl_spec_set(&spec, "cql_temperature", 0.8, &err), err);
  arena = px_arena_new(RL_ARENA_BYTES_MAX);
  CU_OK(cql_discrete_new(arena, &spec, O, ACTIONS, &t, &err), err);
  const size_t params_n = t->critic.net->params_n;
  golden_floats(&g, "critic", 0, params_n, t->critic.net->params);
  golden_floats(&g, "critic_target", 0, params_n, t->critic.target->params);
  const double *expected = golden_take(&g, "losses", &n);
  CU_ASSERT_EQUAL_FATAL(n, STEPS * LOSSES);
  for (size_t step = 0; step < STEPS; step++) {
    golden_floats(&g, "s", step * B * O, B * O, t->batch.s);
    golden_floats(&g, "s2", step * B * O, B * O, t->batch.s2);
    golden_floats(&g, "action", step * B, B, t->batch.action);
    golden_floats(&g, "reward", step * B, B, t->batch.reward);
    golden_floats(&g, "not_done", step * B, B, t->batch.not_done);
    golden_floats(&g, "weight", step * B, B, t->batch.weight);
    cql_discrete_update(t, losses);
    for (size_t i = 0; i < LOSSES; i++) {
      const double want = expected[step * LOSSES + i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 1e-5 * (1 + fabs(want)));
    }
    if (step == 0)
      CU_ASSERT_TRUE(golden_error(&g, "critic_grads", t->critic.grads, params_n) < 5e-6);
  }
  CU_ASSERT_TRUE(golden_error(&g, "critic_after", t->critic.net->params, params_n) < 2e-5);
  CU_ASSERT_TRUE(golden_error(&g, "critic_target_after", t->critic.target->params, params_n) <
                 1e-6);
  px_arena_free(arena);
  golden_close(&g);
}

CU_MAIN("cql", T(ten_updates_agree), T(ten_updates_with_other_options_and_cloning_first_agree),
        T(ten_updates_through_drawn_actions_agree), T(ten_updates_of_discrete_actions_agree))
