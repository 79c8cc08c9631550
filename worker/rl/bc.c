#include "worker/rl/bc.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/rng.h"
#include "worker/nn/loss.h"

enum px_status bc_new(const struct rl_spec *spec, uint32_t obs_dim, uint32_t act_dim, struct bc **out,
                      struct px_err *err) {
  const uint32_t batch = rl_whole(spec, "batch"), chunk = batch < PX_MLP_CHUNK ? batch : PX_MLP_CHUNK;
  const struct px_mlp_shape shape = { obs_dim, act_dim, rl_whole(spec, "hidden"), rl_whole(spec, "layers"), 0 };
  struct bc *bc = px_calloc(1, sizeof *bc);
  if (!bc) return px_fail(err, PX_E_NO_MEMORY, "no memory for bc");
  bc->seed = spec->seed;
  enum px_status status = px_mlp_new(&shape, &bc->actor, err);
  if (status) goto out;
  bc->grads = px_calloc(bc->actor->params_n, sizeof *bc->grads);
  bc->dy = px_calloc(chunk, sizeof(float) * act_dim);
  if (!bc->grads || !bc->dy || px_mlp_init(bc->actor, PX_MLP_UNIFORM, spec->seed, px_rng_stream("init", 0))
      || px_mlp_work_new(&shape, chunk, &bc->work) || rl_batch_init(&bc->batch, batch, obs_dim, act_dim)
      || px_adam_init(&bc->adam, bc->actor->params_n, PX_ADAM_DEFAULTS((float)rl_option(spec, "lr"))))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for bc");
out:
  if (status) bc_free(bc);
  else *out = bc;
  return status;
}

void bc_free(struct bc *bc) {
  if (!bc) return;
  px_mlp_free(bc->actor);
  px_mlp_work_free(bc->work);
  px_adam_free(&bc->adam);
  rl_batch_free(&bc->batch);
  free(bc->grads);
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
    float *pi = px_mlp_forward(bc->actor, bc->work, s, n, NULL);
    for (uint32_t i = 0; i < n * a; i++) pi[i] = tanhf(pi[i]);
    loss += px_loss_mse(n, a, pi, b->action + (size_t)row * a, b->weight + row, 1.0 / ((double)b->n * a), bc->dy);
    for (uint32_t i = 0; i < n * a; i++) bc->dy[i] *= 1 - pi[i] * pi[i];
    px_mlp_backward(bc->actor, bc->work, s, n, bc->dy, bc->grads, row > 0, NULL);
  }
  px_adam_step(&bc->adam, bc->actor->params, bc->grads);
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
  px_state_net(list, "actor", bc->actor);
  px_state_adam(list, "actor", &bc->adam);
}

static void take(void *state, struct rl_nets *nets) {
  struct bc *bc = state;
  *nets = (struct rl_nets){ RL_TANH, bc->actor, NULL };
  bc->actor = NULL;
}

static void free_state(void *state) { bc_free(state); }

const struct rl_algo bc_algo = { RL_CONTINUOUS, { "bc_loss" }, init, step, arrays, take, free_state };
