/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/bc.h"

#include <math.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/nn/loss.h"

enum px_status bc_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                      uint32_t act_dim, uint32_t act_count, struct bc **out, struct px_err *err) {
  const uint32_t outputs = act_count ? act_count : act_dim;
  const uint32_t batch = rl_whole(spec, "batch"), chunk = rl_rows(batch, 0);
  const struct px_mlp_shape shape = { .in = obs_dim,
                                      .out = outputs,
                                      .hidden = rl_whole(spec, "hidden"),
                                      .layers = rl_whole(spec, "layers") };
  const struct rl_net_spec actor = { shape, spec->seed, 0, rl_option(spec, "lr"), chunk, false };
  struct bc *bc = px_arena_take(arena, 1, sizeof *bc);
  if (!bc) return rl_arena_check(arena, "bc", err);
  bc->seed = spec->seed;
  bc->act_count = act_count;
  const enum px_status status = rl_net_init(arena, &bc->actor, &actor, err);
  if (status) return status;
  bc->dy = px_arena_floats(arena, chunk, outputs);
  rl_batch_init(arena, &bc->batch, batch, obs_dim, act_dim);
  *out = bc;
  return rl_arena_check(arena, "bc", err);
}

/* The loss of n rows from `row` on, and bc->dy, for the actor's outputs y, which are changed. */
static double loss_of(struct bc *bc, uint32_t row, uint32_t n, float *y) {
  const struct rl_batch *b = &bc->batch;
  const uint32_t a = b->act_dim;
  const float *action = b->action + (size_t)row * a, *weight = b->weight + row;
  if (bc->act_count)
    return px_loss_softmax(n, bc->act_count, y, action, weight, 1.0 / b->n, bc->dy);
  for (uint32_t i = 0; i < n * a; i++) y[i] = tanhf(y[i]);
  const double loss = px_loss_mse(n, a, y, action, weight, 1.0 / ((double)b->n * a), bc->dy);
  for (uint32_t i = 0; i < n * a; i++) bc->dy[i] *= 1 - y[i] * y[i];
  return loss;
}

double bc_update(struct bc *bc) {
  const struct rl_batch *b = &bc->batch;
  double loss = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    const float *s = b->s + (size_t)row * b->obs_dim;
    loss += loss_of(bc, row, n, px_mlp_forward(bc->actor.net, bc->actor.work, s, n, NULL));
    px_mlp_backward(bc->actor.net, bc->actor.work, s, n, bc->dy, bc->actor.grads, row > 0, NULL);
  }
  rl_net_step(&bc->actor);
  return loss;
}

/* ---- behind the table */

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct bc *bc;
  const enum px_status status =
    bc_new(arena, spec, data->obs_dim, data->act_dim, data->act_count, &bc, err);
  if (status) return status;
  bc->data = data;
  *state = bc;
  return PX_OK;
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct bc *bc = state;
  rl_batch_draw(&bc->batch, bc->data, bc->seed, at);
  losses[0] = bc_update(bc);
}

static void list_state(void *state, struct px_state *list) {
  struct bc *bc = state;
  rl_net_state(&bc->actor, "actor", list);
}

static struct rl_weights acting(void *state) {
  const struct px_mlp *actor = ((struct bc *)state)->actor.net;
  return (struct rl_weights){ actor->params, actor->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct bc *bc = state;
  *nets = (struct rl_nets){ .kind = bc->act_count ? RL_ARGMAX : RL_TANH, .actor = bc->actor.net };
}

const struct rl_algo bc_algo = { { "bc_loss" }, init, step, list_state, acting, finish };
