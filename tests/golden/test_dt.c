/* SPDX-License-Identifier: Apache-2.0 */
/* The Decision Transformer against PyTorch in float64 (gen_dt.py), which pads and masks where we do
 * neither. Tolerances are relative to a tensor's largest number: float32 carries 6e-8 per
 * operation, a gradient passes through some dozens of layers' worth of them, and ten LAMB steps
 * divide by its size. */
#include <math.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/dt.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { B = 5, K = 6, N = 19, O = 7, A = 3, TIMES = 20, STEPS = 10 };

static void load_batch(const struct golden *g, struct dt *dt, size_t step) {
  struct dt_batch *b = &dt->batch;
  float lengths[B], time[N];
  golden_floats(g, "lengths", 0, B, lengths);
  for (int i = 0; i < B; i++) b->start[i + 1] = b->start[i] + (uint32_t)lengths[i];
  CU_ASSERT_EQUAL_FATAL(b->start[B], N);
  golden_floats(g, "to_go", step * N, N, b->to_go);
  golden_floats(g, "state", step * N * O, N * O, b->state);
  golden_floats(g, "action", step * N * A, N * A, b->action);
  golden_floats(g, "chosen", step * N, N, b->chosen);
  golden_floats(g, "weight", step * N, N, b->weight);
  golden_floats(g, "noise", step * N * A, N * A, dt->noise);
  golden_floats(g, "time", step * N, N, time);
  b->losses_n = 0;
  for (int i = 0; i < N; i++) {
    b->time[i] = (uint32_t)time[i];
    b->losses_n += b->weight[i] > 0;
  }
}

static void set(struct rl_spec *spec, const char *name, double value) {
  struct px_err err;
  CU_OK(rl_spec_set(spec, name, value, &err), err);
}

static struct rl_spec spec_of_the_vectors(void) {
  struct rl_spec spec;
  struct px_err err;
  CU_OK(rl_spec_defaults("dt", &spec, &err), err);
  set(&spec, "hidden", 32), set(&spec, "heads", 2), set(&spec, "layers", 2),
    set(&spec, "context", K);
  set(&spec, "batch", B);
  set(&spec, "dropout", 0), set(&spec, "lr", 0.01), set(&spec, "warmup", 4),
    set(&spec, "weight_decay", 1e-3);
  set(&spec, "clip", 0.25), set(&spec, "temperature", 0.1);
  return spec;
}

static void check_outputs(const struct golden *g, struct dt *dt) {
  const struct dt_batch *b = &dt->batch;
  const struct dt_steps steps = { B, b->start, b->to_go, b->state, b->action, b->time, false };
  const struct dt_outputs y = dt_net_forward(dt->net, dt->work, &steps, NULL);
  CU_ASSERT_TRUE(golden_error(g, y.second ? "mu" : "logits", y.first, N * A) < 2e-6);
  if (y.second) CU_ASSERT_TRUE(golden_error(g, "log_sigma", y.second, N * A) < 2e-6);
}

static void check_ten_updates(const char *name, bool discrete) {
  struct px_arena *arena = px_arena_new(RL_ARENA_BYTES_MAX);
  const struct rl_spec spec = spec_of_the_vectors();
  struct golden g;
  struct dt *dt;
  struct px_err err;
  double losses[DT_LOSSES_N] = { 0 };
  size_t n;
  golden_open(&g, name);
  CU_OK(dt_new(arena, &spec, O, A, discrete, TIMES, &dt, &err), err);
  golden_floats(&g, "params", 0, dt->net->params_n, dt->net->params);
  const double *expected = golden_take(&g, "losses", &n);
  for (size_t step = 0; step < STEPS; step++) {
    load_batch(&g, dt, step);
    if (step == 0) {
      check_outputs(&g, dt);
      dt_gradients(dt, step, losses);
      CU_ASSERT_TRUE(golden_error(&g, "grads", dt->grads, dt->net->params_n) < 5e-6);
    }
    dt_update(dt, step, losses);
    for (int i = 0; i < DT_LOSSES_N; i++) {
      const double want = expected[step * DT_LOSSES_N + (size_t)i];
      CU_ASSERT_DOUBLE_EQUAL(losses[i], want, 2e-5 * (1 + fabs(want)));
    }
  }
  CU_ASSERT_TRUE(golden_error(&g, "params_after", dt->net->params, dt->net->params_n) < 2e-5);
  px_arena_free(arena);
  golden_close(&g);
}

static void outputs_gradients_and_ten_updates_agree(void) { check_ten_updates("dt", false); }
static void the_same_of_discrete_actions(void) { check_ten_updates("dt_discrete", true); }

CU_MAIN("dt", T(outputs_gradients_and_ten_updates_agree), T(the_same_of_discrete_actions))
