/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/simd.h"

enum px_status px_adam_init(struct px_adam *adam, size_t n, struct px_adam_options options) {
  *adam = (struct px_adam){ options, 0, n, px_mem_calloc(n, sizeof *adam->m),
                            px_mem_calloc(n, sizeof *adam->v) };
  if (adam->m && adam->v) return PX_OK;
  px_adam_free(adam);
  return PX_E_NO_MEMORY;
}

void px_adam_init_in(struct px_arena *arena, struct px_adam *adam, size_t n,
                     struct px_adam_options options) {
  *adam =
    (struct px_adam){ options, 0, n, px_arena_floats(arena, n, 1), px_arena_floats(arena, n, 1) };
}

void px_adam_free(struct px_adam *adam) {
  free(adam->m);
  free(adam->v);
  adam->m = adam->v = NULL;
}

void px_adam_restart(struct px_adam *adam) {
  memset(adam->m, 0, sizeof *adam->m * adam->n);
  memset(adam->v, 0, sizeof *adam->v * adam->n);
  adam->steps = 0;
}

/* One pass over four arrays. rate = lr / (1 - beta1^t), root = 1 / sqrt(1 - beta2^t). */
PX_CLONES static void update(size_t n, struct px_adam_options o, float rate, float root,
                             float *restrict p, float *restrict m, float *restrict v,
                             const float *restrict grads) {
  const float m_keep = 1 - o.beta1, v_keep = 1 - o.beta2;
  for (size_t i = 0; i < n; i++) {
    const float g = grads[i] + o.weight_decay * p[i];
    m[i] = o.beta1 * m[i] + m_keep * g;
    v[i] = o.beta2 * v[i] + v_keep * (g * g);
    p[i] -= rate * (m[i] / (sqrtf(v[i]) * root + o.eps));
  }
}

void px_adam_step(struct px_adam *adam, float *params, const float *grads) {
  const struct px_adam_options o = adam->options;
  const double t = (double)++adam->steps;
  const double rate = (double)o.lr / (1 - pow((double)o.beta1, t)),
               root = 1 / sqrt(1 - pow((double)o.beta2, t));
  update(adam->n, o, (float)rate, (float)root, params, adam->m, adam->v, grads);
}

PX_CLONES void px_adam_polyak(size_t n, float tau, const float *restrict source,
                              float *restrict target) {
  for (size_t i = 0; i < n; i++) target[i] += tau * (source[i] - target[i]);
}
