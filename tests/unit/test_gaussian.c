/* SPDX-License-Identifier: Apache-2.0 */
/* The tanh-squashed Gaussian: its densities against a plain twin in float64, its gradients against
 * the twin's differences. */
#include <math.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/rl/algo/gaussian.h"
#include "tests/support/cu.h"

enum { N = 30, A = 3, Y = 2 * A };

struct row {
  double y[Y], m, b;
};

static double log_sigma(const struct row *r, int j) {
  return fmin(fmax(r->m * r->y[A + j] + r->b, -20), 2);
}

/* log pi of u = atanh(a); 1 - tanh(u)^2 = cosh(u)^-2, without its cancellation. */
static double log_pi(const struct row *r, const double u[A]) {
  double sum = 0;
  for (int j = 0; j < A; j++) {
    const double z = (u[j] - r->y[j]) / exp(log_sigma(r, j));
    sum -= z * z / 2 + log_sigma(r, j) + log(2 * acos(-1)) / 2 - 2 * log(cosh(u[j]));
  }
  return sum;
}

/* What the backward passes are asked about: sum_j da_j a_j + dlog_pi log pi, of a draw or of given
 * actions. */
struct question {
  bool drawn;
  double noise[A], u[A], da[A], dlog_pi;
};

static double ask(const struct question *q, const struct row *r) {
  double u[A], sum = 0;
  for (int j = 0; j < A; j++)
    u[j] = q->drawn ? r->y[j] + exp(log_sigma(r, j)) * q->noise[j] : q->u[j];
  for (int j = 0; q->drawn && j < A; j++) sum += q->da[j] * tanh(u[j]);
  return sum + q->dlog_pi * log_pi(r, u);
}

static double slope(const struct question *q, struct row *r, double *at) {
  const double step = 1e-6, x = *at;
  *at = x + step;
  const double above = ask(q, r);
  *at = x - step;
  const double below = ask(q, r);
  *at = x;
  return (above - below) / (2 * step);
}

struct sample {
  float y[N * Y], noise[N * A], action[N * A], da[N * A], dlog_pi[N], log_pi[N];
};
static const struct gaussian dist = { A, 0.8F, -0.5F };

static void draw(struct sample *s) {
  struct px_rng rng = px_rng_at(7, 7, 7);
  px_rng_normal(&rng, s->y, N * Y);
  px_rng_normal(&rng, s->noise, N * A);
  px_rng_normal(&rng, s->da, N * A);
  px_rng_normal(&rng, s->dlog_pi, N);
  s->y[A] = 4; /* clipped: no gradient, and so for m and b */
  gaussian_sample(&dist, N, 1, s->y, s->noise, s->action, s->log_pi);
}

static struct row row_of(const struct sample *s, int i) {
  struct row r = { .m = (double)dist.m, .b = (double)dist.b };
  for (int j = 0; j < Y; j++) r.y[j] = (double)s->y[i * Y + j];
  return r;
}

static struct question question_of(const struct sample *s, int i, bool drawn) {
  struct question q = { .drawn = drawn, .dlog_pi = (double)s->dlog_pi[i] };
  const struct row r = row_of(s, i);
  for (int j = 0; j < A; j++) {
    q.noise[j] = (double)s->noise[i * A + j], q.da[j] = (double)s->da[i * A + j];
    q.u[j] =
      drawn ? r.y[j] + exp(log_sigma(&r, j)) * q.noise[j] : atanh((double)s->action[i * A + j]);
  }
  return q;
}

static void densities_agree_with_the_formula_where_tanh_rounds_to_one_too(void) {
  struct sample s;
  draw(&s);
  for (int i = 0; i < N; i++) {
    const struct row r = row_of(&s, i);
    const struct question q = question_of(&s, i, true);
    const double expected = log_pi(&r, q.u);
    CU_ASSERT_DOUBLE_EQUAL(s.log_pi[i], expected, 2e-6 * (1 + fabs(expected)));
    for (int j = 0; j < A; j++) CU_ASSERT_DOUBLE_EQUAL(s.action[i * A + j], tanh(q.u[j]), 2e-7);
  }
  /* u = 20: 1 - tanh(u)^2 = 4 exp(-40), which no float32 difference from 1 can hold. */
  const float far[Y] = { 20 }, none[A] = { 0 };
  float action[A], density;
  gaussian_sample(&dist, 1, 1, far, none, action, &density);
  CU_ASSERT_EQUAL(action[0], 1);
  CU_ASSERT_DOUBLE_EQUAL(density, A * (0.5 - 0.9189385332) - (log(4) - 40), 1e-5);
}

static void check_gradients(bool drawn, float *dy, double dmb[2], struct sample *s) {
  double expected[2] = { 0 };
  for (int i = 0; i < N; i++) {
    struct row r = row_of(s, i);
    const struct question q = question_of(s, i, drawn);
    for (int j = 0; j < Y; j++) {
      const double want = slope(&q, &r, &r.y[j]);
      CU_ASSERT_DOUBLE_EQUAL(dy[i * Y + j], want, 1e-4 * (1 + fabs(want)));
    }
    expected[0] += slope(&q, &r, &r.m), expected[1] += slope(&q, &r, &r.b);
  }
  for (int k = 0; k < 2; k++)
    CU_ASSERT_DOUBLE_EQUAL(dmb[k], expected[k], 1e-4 * (1 + fabs(expected[k])));
}

static void gradients_agree_with_finite_differences(void) {
  struct sample s;
  float dy[N * Y];
  double dmb[2] = { 0 };
  draw(&s);
  gaussian_sample_back(&dist, N, s.y, s.noise, s.action, s.da, s.dlog_pi, false, dy, dmb);
  check_gradients(true, dy, dmb, &s);
  dmb[0] = dmb[1] = 0;
  /* within the edge at which given actions are kept */
  for (int i = 0; i < N * A; i++) s.action[i] *= 0.99F;
  gaussian_log_pi_back(&dist, N, s.y, s.action, s.dlog_pi, false, dy, dmb);
  check_gradients(false, dy, dmb, &s);
}

static void gradients_add_up_when_asked_to(void) {
  struct sample s;
  float one[N * Y], both[N * Y], other[N * Y];
  double dmb[2] = { 0 };
  draw(&s);
  gaussian_sample_back(&dist, N, s.y, s.noise, s.action, NULL, s.dlog_pi, false, one, dmb);
  memcpy(both, one, sizeof both);
  gaussian_log_pi_back(&dist, N, s.y, s.action, s.dlog_pi, true, both, dmb);
  gaussian_log_pi_back(&dist, N, s.y, s.action, s.dlog_pi, false, other, dmb);
  for (int i = 0; i < N * Y; i++)
    CU_ASSERT_DOUBLE_EQUAL(both[i], one[i] + other[i], 1e-5 * (1 + fabs((double)both[i])));
}

static void many_draws_for_a_state_are_those_of_one_after_another(void) {
  enum { TIMES = 4 };
  struct sample s;
  float action[N / TIMES * TIMES * A], density[N / TIMES * TIMES], repeated[N * Y], one[N * A],
    of_one[N];
  draw(&s);
  gaussian_sample(&dist, N / TIMES, TIMES, s.y, s.noise, action, density);
  for (int i = 0; i < N / TIMES * TIMES; i++)
    memcpy(repeated + i * Y, s.y + i / TIMES * Y, Y * sizeof(float));
  gaussian_sample(&dist, N / TIMES * TIMES, 1, repeated, s.noise, one, of_one);
  CU_ASSERT_EQUAL(memcmp(action, one, sizeof action), 0);
  CU_ASSERT_EQUAL(memcmp(density, of_one, sizeof density), 0);
}

CU_MAIN("gaussian", T(densities_agree_with_the_formula_where_tanh_rounds_to_one_too),
        T(gradients_agree_with_finite_differences), T(gradients_add_up_when_asked_to),
        T(many_draws_for_a_state_are_those_of_one_after_another))
