/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/lamb.h"

#include <math.h>

#include "lib/nn/simd.h"

void px_lamb_init(struct px_arena *arena, struct px_lamb *lamb, size_t n,
                  struct px_lamb_options options) {
  *lamb =
    (struct px_lamb){ options, 0, n, px_arena_floats(arena, n, 1), px_arena_floats(arena, n, 1) };
}

/* In float32 by lanes over short pieces, in float64 over the pieces. */
PX_CLONES static double sum_of_squares(size_t n, const float *x) {
  enum { PIECE = 64 * PX_LANES };
  double sum = 0;
  for (size_t i = 0; i < n; i += PIECE) {
    const size_t end = n - i < PIECE ? n : i + PIECE;
    px_vec part = { 0 };
    size_t j = i;
    for (; j + PX_LANES <= end; j += PX_LANES) part += px_vec_load(x + j) * px_vec_load(x + j);
    sum += (double)px_vec_sum(part);
    for (; j < end; j++) sum += (double)(x[j] * x[j]);
  }
  return sum;
}

struct pass {
  struct px_lamb_options o;
  float cut, m_debias, v_debias;
};

/* The moments; and in place of the gradient m' / (sqrt(v') + eps) + weight_decay p, m' and v' being
 * without bias. */
PX_CLONES static void direction(size_t n, const struct pass *pass, const float *restrict p,
                                float *restrict m, float *restrict v, float *restrict grads) {
  const struct px_lamb_options o = pass->o;
  const float m_keep = 1 - o.beta1, v_keep = 1 - o.beta2, cut = pass->cut;
  const float m_debias = pass->m_debias, v_debias = pass->v_debias;
  for (size_t i = 0; i < n; i++) {
    const float g = grads[i] * cut;
    m[i] = o.beta1 * m[i] + m_keep * g;
    v[i] = o.beta2 * v[i] + v_keep * (g * g);
    grads[i] = m[i] * m_debias / (sqrtf(v[i]) * v_debias + o.eps) + o.weight_decay * p[i];
  }
}

PX_CLONES static void walk(size_t n, float rate, const float *restrict step, float *restrict p) {
  for (size_t i = 0; i < n; i++) p[i] -= rate * step[i];
}

double px_lamb_step(struct px_lamb *lamb, const struct px_tensor *tensors, size_t tensors_n,
                    float lr, float *params, float *grads) {
  const double norm_max = 10; /* phi of the paper: bounds the steps of large tensors */
  const struct px_lamb_options o = lamb->options;
  const double norm = sqrt(sum_of_squares(lamb->n, grads)), t = (double)++lamb->steps;
  const struct pass pass = {
    .o = o,
    .cut = o.clip > 0 && norm > (double)o.clip ? (float)((double)o.clip / norm) : 1,
    .m_debias = (float)(1 / (1 - pow((double)o.beta1, t))),
    .v_debias = (float)(1 / sqrt(1 - pow((double)o.beta2, t))),
  };
  for (size_t i = 0; i < tensors_n; i++) {
    const size_t at = tensors[i].at, n = px_tensor_n(&tensors[i]);
    direction(n, &pass, params + at, lamb->m + at, lamb->v + at, grads + at);
    const double weight = fmin(sqrt(sum_of_squares(n, params + at)), norm_max);
    const double step = sqrt(sum_of_squares(n, grads + at));
    const double trust = weight > 0 && step > 0 ? weight / step : 1;
    walk(n, (float)((double)lr * trust), grads + at, params + at);
  }
  return norm;
}
