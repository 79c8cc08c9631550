/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net asked about many actions of each state: Q(s, a_1) ... Q(s, a_K). Used by
 * algorithms whose loss looks at a state from all sides (cql).
 *
 * The net is an ordinary px_mlp of inputs (s, a). Its first layer is linear, so
 * W (s, a) + b = (W_s s + b) + W_a a, and the first term is computed once per
 * state; backwards, the K gradients of a state are summed before they meet s.
 * No row (s, a) is ever written. The result is that of px_mlp on the repeated
 * rows but for the order of sums.
 *
 * A struct px_multi_action holds what one forward pass leaves for the backward pass;
 * px_multi_action_new takes everything from the arena. It belongs to one thread.
 */
#ifndef PX_NN_MULTI_ACTION_H
#define PX_NN_MULTI_ACTION_H

#include "lib/nn/mlp.h"

struct px_multi_action;
/* For nets of one output, without dropout and layer norms, whose inputs are a state [shape.in -
 * act_dim] and an action [act_dim]. */
enum px_status px_multi_action_new(struct px_arena *arena, const struct px_mlp_shape *shape,
                                   uint32_t act_dim, uint32_t states_max, uint32_t times,
                                   struct px_multi_action **out) PX_MUST_CHECK;

/* s [n, S], actions [n, times, A] -> y [n, times], in `multi` until the next forward. n <=
 * states_max. */
const float *px_multi_action_forward(const struct px_mlp *net, struct px_multi_action *multi,
                                     const float *s, const float *actions, uint32_t n);
/* After px_multi_action_forward with the same s, actions and n: dy [n, times] = dL/dy -> grads
 * [params_n] (+= if `add`). */
void px_multi_action_backward(const struct px_mlp *net, struct px_multi_action *multi,
                              const float *s, const float *actions, uint32_t n, const float *dy,
                              float *grads, bool add);

#endif
