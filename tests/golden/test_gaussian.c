/* SPDX-License-Identifier: Apache-2.0 */
/* The tanh-squashed Gaussian against torch.distributions in float64 (gen_gaussian.py).
 * Tolerances are relative to a tensor's largest number. Given actions are met with
 * z = (u - mu) / sigma, which multiplies float32's 6e-8 by 1 / sigma, here up to 45. */
#include <math.h>

#include "lib/rl/algo/gaussian.h"
#include "tests/support/cu.h"
#include "tests/support/golden.h"

enum { N = 40, TIMES = 3, A = 5 };
static const struct gaussian dist = { A, 1.25F, -0.75F };

/* The first draw of each row. */
static void first_of(const float *all, uint32_t width, float *out) {
  for (uint32_t i = 0; i < N; i++)
    for (uint32_t j = 0; j < width; j++) out[i * width + j] = all[i * TIMES * width + j];
}

static void expect_pair(const struct golden *g, const char *name, const double found[2],
                        double tolerance) {
  size_t n;
  const double *expected = golden_take(g, name, &n);
  CU_ASSERT_EQUAL_FATAL(n, 2);
  for (int i = 0; i < 2; i++)
    CU_ASSERT_DOUBLE_EQUAL(found[i], expected[i], tolerance * (1 + fabs(expected[i])));
}

static void draws_densities_and_their_gradients_agree(void) {
  struct golden g;
  float y[N * 2 * A], noise[N * TIMES * A], da[N * A], dlog_pi[N], action[N * TIMES * A],
    log_pi[N * TIMES], dy[N * 2 * A];
  float first[N * A], first_noise[N * A];
  double dmb[2] = { 0 };
  golden_open(&g, "gaussian");
  golden_floats(&g, "y", 0, N * 2 * A, y);
  golden_floats(&g, "noise", 0, N * TIMES * A, noise);
  golden_floats(&g, "da", 0, N * A, da);
  golden_floats(&g, "dlog_pi", 0, N, dlog_pi);
  gaussian_sample(&dist, N, TIMES, y, noise, action, log_pi);
  CU_ASSERT_TRUE(golden_error(&g, "action", action, N * TIMES * A) < 1e-6);
  CU_ASSERT_TRUE(golden_error(&g, "log_pi", log_pi, N * TIMES) < 1e-6);
  first_of(action, A, first);
  first_of(noise, A, first_noise);
  gaussian_sample_back(&dist, N, y, first_noise, first, da, dlog_pi, false, dy, dmb);
  CU_ASSERT_TRUE(golden_error(&g, "sample_dy", dy, N * 2 * A) < 1e-6);
  expect_pair(&g, "sample_dmb", dmb, 1e-6);
  golden_close(&g);
}

static void densities_of_given_actions_and_their_gradients_agree(void) {
  struct golden g;
  float y[N * 2 * A], given[N * A], dlog_pi[N], log_pi[N], dy[N * 2 * A];
  double dmb[2] = { 0 };
  golden_open(&g, "gaussian");
  golden_floats(&g, "near", 0, N * 2 * A, y);
  golden_floats(&g, "given", 0, N * A, given);
  golden_floats(&g, "dlog_pi", 0, N, dlog_pi);
  gaussian_log_pi(&dist, N, y, given, log_pi);
  CU_ASSERT_TRUE(golden_error(&g, "log_given", log_pi, N) < 1e-5);
  gaussian_log_pi_back(&dist, N, y, given, dlog_pi, false, dy, dmb);
  CU_ASSERT_TRUE(golden_error(&g, "given_dy", dy, N * 2 * A) < 1e-5);
  expect_pair(&g, "given_dmb", dmb, 1e-5);
  golden_close(&g);
}

CU_MAIN("gaussian", T(draws_densities_and_their_gradients_agree),
        T(densities_of_given_actions_and_their_gradients_agree))
