/* SPDX-License-Identifier: Apache-2.0 */
/* A net asked about many actions of each state: see multi_action.h. */
#include "lib/nn/multi_action.h"

#include <assert.h>

#include "lib/nn/mat.h"
#include "lib/nn/simd.h"

struct px_multi_action {
  struct px_mlp_work *work;
  uint32_t state_dim, act_dim, hidden, states_max, times;
  /* [A, hidden]: the first layer's last columns, transposed; then their gradient */
  float *action_weight;
  float *from_state; /* [states_max, hidden]: W_s s + b; then its gradient */
};

enum px_status px_multi_action_new(struct px_arena *arena, const struct px_mlp_shape *shape,
                                   uint32_t act_dim, uint32_t states_max, uint32_t times,
                                   struct px_multi_action **out) {
  assert(shape->out == 1 && shape->dropout == 0 && !shape->layer_norm && !shape->gelu &&
         act_dim < shape->in);
  struct px_multi_action *multi = px_arena_take(arena, 1, sizeof *multi);
  if (!multi) return PX_E_NO_MEMORY;
  multi->state_dim = shape->in - act_dim, multi->act_dim = act_dim, multi->hidden = shape->hidden;
  multi->states_max = states_max, multi->times = times;
  multi->action_weight = px_arena_floats(arena, act_dim, shape->hidden);
  multi->from_state = px_arena_floats(arena, states_max, shape->hidden);
  *out = multi;
  /* Once the arena has refused something, so does this. */
  return px_mlp_work_new_in(arena, shape, states_max * times, &multi->work);
}

enum { UNITS = 4 * PX_LANES }; /* taken at a time: their sums stay in registers */

struct part {
  size_t n, times, a, hidden;
};

/* h [n, times, hidden] = relu(from_state + W_a a), for `width` <= UNITS hidden units from j on. */
PX_INLINE void first_units(struct part p, size_t j, size_t width, const float *restrict from_state,
                           const float *restrict w, const float *restrict actions,
                           float *restrict h) {
  for (size_t i = 0; i < p.n; i++)
    for (size_t row = i * p.times; row < (i + 1) * p.times; row++) {
      float sum[UNITS];
      for (size_t lane = 0; lane < width; lane++) sum[lane] = from_state[i * p.hidden + j + lane];
      for (size_t l = 0; l < p.a; l++)
        for (size_t lane = 0; lane < width; lane++)
          sum[lane] += actions[row * p.a + l] * w[l * p.hidden + j + lane];
      /* 0 * v keeps a NaN, as in px_mat_bias_relu */
      for (size_t lane = 0; lane < width; lane++)
        h[row * p.hidden + j + lane] = sum[lane] > 0 ? sum[lane] : 0 * sum[lane];
    }
}

PX_CLONES static void first_layer(struct part p, const float *restrict from_state,
                                  const float *restrict w, const float *restrict actions,
                                  float *restrict h) {
  size_t j = 0;
  for (; j + UNITS <= p.hidden; j += UNITS) first_units(p, j, UNITS, from_state, w, actions, h);
  if (j < p.hidden) first_units(p, j, p.hidden - j, from_state, w, actions, h);
}

/* d [n, times, hidden] = dL/dh, counted where h > 0: its sums over a state's actions -> dstate [n,
 * hidden]; sum over rows of a d -> dw [A, hidden]. */
PX_INLINE void back_units(struct part p, size_t j, size_t width, const float *restrict h,
                          const float *restrict d, const float *restrict actions,
                          float *restrict dstate, float *restrict dw) {
  for (size_t l = 0; l < p.a; l++)
    for (size_t lane = 0; lane < width; lane++) dw[l * p.hidden + j + lane] = 0;
  for (size_t i = 0; i < p.n; i++) {
    float sum[UNITS] = { 0 };
    for (size_t row = i * p.times; row < (i + 1) * p.times; row++) {
      float one[UNITS];
      for (size_t lane = 0; lane < width; lane++) {
        one[lane] = h[row * p.hidden + j + lane] > 0 ? d[row * p.hidden + j + lane] : 0;
        sum[lane] += one[lane];
      }
      for (size_t l = 0; l < p.a; l++)
        for (size_t lane = 0; lane < width; lane++)
          dw[l * p.hidden + j + lane] += actions[row * p.a + l] * one[lane];
    }
    for (size_t lane = 0; lane < width; lane++) dstate[i * p.hidden + j + lane] = sum[lane];
  }
}

PX_CLONES static void first_back(struct part p, const float *restrict h, const float *restrict d,
                                 const float *restrict actions, float *restrict dstate,
                                 float *restrict dw) {
  size_t j = 0;
  for (; j + UNITS <= p.hidden; j += UNITS) back_units(p, j, UNITS, h, d, actions, dstate, dw);
  if (j < p.hidden) back_units(p, j, p.hidden - j, h, d, actions, dstate, dw);
}

const float *px_multi_action_forward(const struct px_mlp *net, struct px_multi_action *multi,
                                     const float *s, const float *actions, uint32_t n) {
  const struct part p = { n, multi->times, multi->act_dim, multi->hidden };
  const struct px_mlp_layer first = px_mlp_layer(net, 0);
  const float *weight = net->params + first.weight;
  assert(n <= multi->states_max);
  for (size_t l = 0; l < p.a; l++)
    for (size_t j = 0; j < p.hidden; j++)
      multi->action_weight[l * p.hidden + j] = weight[j * first.in + multi->state_dim + l];
  px_mat_mul_ld(PX_MAT_N, PX_MAT_T, n, multi->hidden, multi->state_dim, s, multi->state_dim, weight,
                first.in, 0, multi->from_state, multi->hidden);
  px_mat_bias(n, multi->hidden, net->params + first.bias, multi->from_state);
  first_layer(p, multi->from_state, multi->action_weight, actions, px_mlp_first(multi->work));
  return px_mlp_forward_rest(net, multi->work, n * multi->times, NULL);
}

void px_multi_action_backward(const struct px_mlp *net, struct px_multi_action *multi,
                              const float *s, const float *actions, uint32_t n, const float *dy,
                              float *grads, bool add) {
  const struct part p = { n, multi->times, multi->act_dim, multi->hidden };
  const struct px_mlp_layer first = px_mlp_layer(net, 0);
  const float *d = px_mlp_backward_rest(net, multi->work, n * multi->times, dy, grads, add);
  float *weight = grads + first.weight;
  first_back(p, px_mlp_first(multi->work), d, actions, multi->from_state, multi->action_weight);
  px_mat_col_sums(n, multi->hidden, multi->from_state, add, grads + first.bias);
  px_mat_mul_ld(PX_MAT_T, PX_MAT_N, multi->hidden, multi->state_dim, n, multi->from_state,
                multi->hidden, s, multi->state_dim, add ? 1 : 0, weight, first.in);
  for (size_t j = 0; j < p.hidden; j++)
    for (size_t l = 0; l < p.a; l++) {
      float *one = weight + j * first.in + multi->state_dim + l;
      *one = multi->action_weight[l * p.hidden + j] + (add ? *one : 0);
    }
}
