/* SPDX-License-Identifier: Apache-2.0 */
/* Nets, losses and Adam against PyTorch in float64 (gen_mlp.py). Tolerances are
 * relative to a tensor's largest number: float32 carries 6e-8 per operation, a
 * gradient sums some hundred of them, and ten Adam steps divide by its size. */
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/nn/adam.h"
#include "lib/nn/loss.h"
#include "lib/nn/mlp.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { B = 20, I = 7, O = 3, H = 24, LAYERS = 3, STEPS = 10 };

static void net_loss_gradients_and_ten_steps_agree(void) {
  const struct px_mlp_shape shape = { .in = I, .out = O, .hidden = H, .layers = LAYERS };
  struct golden g;
  struct px_mlp *net;
  struct px_mlp_work *work;
  struct px_adam adam;
  struct px_err err;
  float x[B * I], target[B * O], dy[B * O], dx[B * I];
  size_t n;
  golden_open(&g, "mlp");
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_work_new(&shape, B, &work), err);
  CU_OK(px_adam_init(&adam, net->params_n, PX_ADAM_DEFAULTS(1e-3F)), err);
  float *grads = px_mem_calloc(net->params_n, sizeof *grads);
  golden_floats(&g, "params", 0, net->params_n, net->params);
  golden_floats(&g, "x", 0, B * I, x);
  golden_floats(&g, "target", 0, B * O, target);
  const double *losses = golden_take(&g, "losses", &n);
  for (int step = 0; step < STEPS; step++) {
    const float *y = px_mlp_forward(net, work, x, B, NULL);
    if (step == 0) CU_ASSERT_TRUE(golden_error(&g, "y", y, B * O) < 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(px_loss_mse(B, O, y, target, NULL, 1.0 / (B * O), dy), losses[step],
                           2e-6 * losses[step]);
    px_mlp_backward(net, work, x, B, dy, grads, false, dx);
    if (step == 0) {
      CU_ASSERT_TRUE(golden_error(&g, "grads", grads, net->params_n) < 2e-6);
      CU_ASSERT_TRUE(golden_error(&g, "dx", dx, B * I) < 2e-6);
    }
    px_adam_step(&adam, net->params, grads);
  }
  CU_ASSERT_TRUE(golden_error(&g, "params_after", net->params, net->params_n) < 2e-5);
  free(grads);
  px_adam_free(&adam);
  px_mlp_work_free(work);
  px_mlp_free(net);
  golden_close(&g);
}

static void squashed_likelihood_and_its_gradients_agree(void) {
  struct golden g;
  float mu[B * O], raw[B * O], action[B * O], dmu[B * O], draw[B * O];
  size_t n;
  golden_open(&g, "mlp");
  golden_floats(&g, "mu", 0, B * O, mu);
  golden_floats(&g, "raw", 0, B * O, raw);
  golden_floats(&g, "action", 0, B * O, action);
  const double nll = *golden_take(&g, "nll", &n);
  CU_ASSERT_DOUBLE_EQUAL(px_loss_squashed_nll(B, O, mu, raw, action, NULL, 1.0 / B, dmu, draw), nll,
                         2e-6 * nll);
  CU_ASSERT_TRUE(golden_error(&g, "dmu", dmu, B * O) < 1e-5);
  CU_ASSERT_TRUE(golden_error(&g, "draw", draw, B * O) < 1e-5);
  golden_close(&g);
}

CU_MAIN("mlp", T(net_loss_gradients_and_ten_steps_agree),
        T(squashed_likelihood_and_its_gradients_agree))
