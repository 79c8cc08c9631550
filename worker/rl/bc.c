#include "worker/rl/bc.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/rng.h"
#include "worker/nn/loss.h"

enum px_status bc_new(const struct rl_spec *spec, uint32_t obs_dim, uint32_t act_dim, struct bc **out,
                      struct px_err *err) {
  const uint32_t batch = rl_whole(spec, "batch"), chunk = batch < PX_MLP_CHUNK ? batch : PX_MLP_CHUNK;
  const struct px_mlp_shape shape = { obs_dim, act_dim, rl_whole(spec, "hidden"), rl_whole(spec, "layers"), 0 };
  const struct rl_net_spec actor = { shape, spec->seed, 0, rl_option(spec, "lr"), chunk, false };
  struct bc *bc = px_calloc(1, sizeof *bc);
  if (!bc) return px_fail(err, PX_E_NO_MEMORY, "no memory for bc");
  bc->seed = spec->seed;
  enum px_status status = rl_net_init(&bc->actor, &actor, err);
  if (status) goto out;
  bc->dy = px_calloc(chunk, sizeof(float) * act_dim);
  if (!bc->dy || rl_batch_init(&bc->batch, batch, obs_dim, act_dim))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for bc");
out:
  if (status) bc_free(bc);
  else *out = bc;
  return status;
}

void bc_free(struct bc *bc) {
  if (!bc) return;
  rl_net_free(&bc->actor);
  rl_batch_free(&bc->batch);
  free(bc->dy);
  free(bc);
}

double bc_update(struct bc *bc) {
  const struct rl_batch *b = &bc->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim;
  double loss = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = b->n - row < PX_MLP_CHUNK ? b->n - row : PX_MLP_CHUNK;
    const float *s = b->s + (size_t)row * o;
    float *pi = px_mlp_forward(bc->actor.net, bc->actor.work, s, n, NULL);
    for (uint32_t i = 0; i < n * a; i++) pi[i] = tanhf(pi[i]);
    loss += px_loss_mse(n, a, pi, b->action + (size_t)row * a, b->weight + row, 1.0 / ((double)b->n * a), bc->dy);
    for (uint32_t i = 0; i < n * a; i++) bc->dy[i] *= 1 - pi[i] * pi[i];
    px_mlp_backward(bc->actor.net, bc->actor.work, s, n, bc->dy, bc->actor.grads, row > 0, NULL);
  }
  rl_net_step(&bc->actor);
  return loss;
}

/* ---- behind the table */

static enum px_status init(const struct rl_spec *spec, const struct rl_data *data, void **state, struct px_err *err) {
  struct bc *bc;
  const enum px_status status = bc_new(spec, data->obs_dim, data->act_dim, &bc, err);
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

static void arrays(void *state, struct px_state *list) {
  struct bc *bc = state;
  rl_net_arrays(&bc->actor, "actor", list);
}

static void take(void *state, struct rl_nets *nets) {
  struct bc *bc = state;
  *nets = (struct rl_nets){ RL_TANH, bc->actor.net, NULL };
  bc->actor.net = NULL;
}

static void free_state(void *state) { bc_free(state); }

const struct rl_algo bc_algo = { RL_CONTINUOUS, { "bc_loss" }, init, step, arrays, take, free_state };
