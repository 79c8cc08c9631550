/* SPDX-License-Identifier: Apache-2.0 */
/* Spectral normalisation against torch.nn.utils.spectral_norm in float64
 * (gen_spectral.py). Tolerances are relative to a tensor's largest number, and
 * those of test_mlp.c: the division adds a few operations to each. */
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/nn/adam.h"
#include "lib/nn/loss.h"
#include "lib/nn/spectral.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { B = 20, I = 7, O = 3, H = 24, LAYERS = 3, STEPS = 10 };

static void ten_steps_and_what_is_computed_afterwards_agree(void) {
  const struct px_mlp_shape shape = { .in = I, .out = O, .hidden = H, .layers = LAYERS };
  struct golden g;
  struct px_mlp *net;
  struct px_mlp_work *work;
  struct px_spectral *s;
  struct px_adam adam;
  struct px_err err;
  float x[B * I], target[B * O], dy[B * O];
  size_t n;
  golden_open(&g, "spectral");
  CU_OK(px_mlp_new(&shape, &net, &err), err);
  CU_OK(px_mlp_work_new(&shape, B, &work), err);
  CU_OK(px_spectral_new(net, &s), err);
  CU_OK(px_adam_init(&adam, net->params_n, PX_ADAM_DEFAULTS(1e-3F)), err);
  float *grads = px_mem_calloc(net->params_n, sizeof *grads);
  golden_floats(&g, "params", 0, net->params_n, s->raw);
  golden_floats(&g, "u", 0, s->u_n, s->u);
  golden_floats(&g, "x", 0, B * I, x);
  golden_floats(&g, "target", 0, B * O, target);
  const double *losses = golden_take(&g, "losses", &n);
  for (int step = 0; step < STEPS; step++) {
    px_spectral_apply(s, true);
    const float *y = px_mlp_forward(net, work, x, B, NULL);
    if (step == 0) CU_ASSERT_TRUE(golden_error(&g, "y", y, B * O) < 2e-6);
    CU_ASSERT_DOUBLE_EQUAL(px_loss_mse(B, O, y, target, NULL, 1.0 / (B * O), dy), losses[step],
                           2e-6 * losses[step]);
    px_mlp_backward(net, work, x, B, dy, grads, false, NULL);
    px_spectral_gradients(s, grads);
    if (step == 0) CU_ASSERT_TRUE(golden_error(&g, "grads", grads, net->params_n) < 4e-6);
    px_adam_step(&adam, s->raw, grads);
  }
  px_spectral_apply(s, false);
  CU_ASSERT_TRUE(golden_error(&g, "raw_after", s->raw, net->params_n) < 2e-5);
  CU_ASSERT_TRUE(golden_error(&g, "u_after", s->u, s->u_n) < 2e-5);
  CU_ASSERT_TRUE(golden_error(&g, "v_after", s->v, s->v_n) < 2e-5);
  CU_ASSERT_TRUE(golden_error(&g, "y_after", px_mlp_forward(net, work, x, B, NULL), B * O) < 1e-4);
  free(grads);
  px_adam_free(&adam);
  px_spectral_free(s);
  px_mlp_work_free(work);
  px_mlp_free(net);
  golden_close(&g);
}

CU_MAIN("spectral", T(ten_steps_and_what_is_computed_afterwards_agree))
