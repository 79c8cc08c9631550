/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net that is being trained: parameters, gradients, optimiser, activations
 * and, where an algorithm wants one, a target net that follows it. Used by the
 * algorithms in this folder, so that each lists only what is its own. All is taken by
 * rl_net_init, from an arena, and nothing by a step.
 */
#ifndef PX_RL_RL_NET_H
#define PX_RL_RL_NET_H

#include "lib/base/fail.h"
#include "lib/nn/adam.h"
#include "lib/nn/state.h"

struct rl_net {
  struct px_mlp *net, *target; /* target NULL: none */
  struct px_adam adam;
  float *grads;             /* [net->params_n] */
  struct px_mlp_work *work; /* for both nets, one at a time */
};

/* Which of its algorithm's nets it is, so that no two start alike; rows: the most
 * that a forward pass takes. */
struct rl_net_spec {
  struct px_mlp_shape shape;
  uint64_t seed, which;
  double lr;
  uint32_t rows;
  bool target;
};
enum px_status rl_net_init(struct px_arena *arena, struct rl_net *n, const struct rl_net_spec *spec,
                           struct px_err *err) PX_MUST_CHECK;
/* One Adam step along grads. */
void rl_net_step(struct rl_net *n);
/* target += tau (net - target). */
void rl_net_follow(struct rl_net *n, float tau);
/* Lists <name>.params, .m, .v, .steps and .target. */
void rl_net_state(struct rl_net *n, const char *name, struct px_state *list);
/* Multiplies what a net gives: its last layer. */
void rl_net_scale_output(struct px_mlp *net, float factor);

/* How many rows the chunk at `row` of n has. */
static inline uint32_t rl_rows(uint32_t n, uint32_t row) {
  return n - row < PX_MLP_CHUNK ? n - row : PX_MLP_CHUNK;
}
/* out [n, O + A] = (s, a) by rows. */
void rl_net_join(uint32_t n, uint32_t o, uint32_t a, const float *s, const float *actions,
                 float *out);

#endif
