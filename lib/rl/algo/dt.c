/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/dt.h"

#include <math.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/nn/loss.h"

/* Tokens taken at a time, so that a layer's activations stay in the cache. */
enum { CHUNK_TOKENS = 960 };

enum px_status dt_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                      uint32_t act_dim, bool discrete, uint32_t timesteps, struct dt **out,
                      struct px_err *err) {
  const uint32_t context = rl_whole(spec, "context"), batch = rl_whole(spec, "batch");
  const struct dt_shape shape = {
    .obs_dim = obs_dim,
    .act_dim = act_dim,
    .discrete = discrete,
    .context = context,
    .timesteps = timesteps,
    .width = rl_whole(spec, "hidden"),
    .layers = rl_whole(spec, "layers"),
    .heads = rl_whole(spec, "heads"),
    .dropout = (float)rl_option(spec, "dropout"),
  };
  const struct px_lamb_options options = { 0.9F, 0.999F, 1e-6F,
                                           (float)rl_option(spec, "weight_decay"),
                                           (float)rl_option(spec, "clip") };
  struct dt *dt = px_arena_take(arena, 1, sizeof *dt);
  if (!dt) return rl_arena_check(arena, "dt", err);
  const enum px_status status = dt_net_new_in(arena, &shape, &dt->net, err);
  if (status) return status;
  dt->seed = spec->seed;
  dt->lr = (float)rl_option(spec, "lr"), dt->temperature = (float)rl_option(spec, "temperature");
  dt->return_scale = rl_option(spec, "return_scale");
  dt->warmup = (uint64_t)rl_option(spec, "warmup");
  dt->chunk = CHUNK_TOKENS / (DT_TOKENS * context);
  dt->chunk = !dt->chunk ? 1 : dt->chunk > batch ? batch : dt->chunk;
  dt->noise = px_arena_floats(arena, (size_t)batch * context, act_dim);
  dt->grads = px_arena_floats(arena, dt->net->params_n, 1);
  dt->dfirst = px_arena_floats(arena, (size_t)dt->chunk * context, act_dim);
  dt->dsecond = px_arena_floats(arena, (size_t)dt->chunk * context, act_dim);
  dt_batch_init(arena, &dt->batch, batch, context, obs_dim, act_dim);
  *out = dt;
  px_lamb_init(arena, &dt->lamb, dt->net->params_n, options);
  if (dt_work_new(arena, dt->net, dt->chunk, &dt->work)) return rl_arena_check(arena, "dt", err);
  dt_net_init(dt->net, spec->seed);
  return PX_OK;
}

/* Adds the losses of n steps from `at` on, and gives their gradients in dfirst and dsecond. */
static void loss_of(struct dt *dt, uint32_t at, uint32_t n, struct dt_outputs y,
                    double losses[DT_LOSSES_N]) {
  const struct dt_batch *b = &dt->batch;
  const double scale = 1.0 / (b->losses_n ? b->losses_n : 1);
  const float *weight = b->weight + at;
  if (dt->net->shape.discrete) {
    losses[DT_LOSS_NLL] +=
      px_loss_softmax(n, b->act_dim, y.first, b->chosen + at, weight, scale, dt->dfirst);
    return;
  }
  const size_t from = (size_t)at * b->act_dim;
  losses[DT_LOSS_NLL] += px_loss_squashed_nll(n, b->act_dim, y.first, y.second, b->action + from,
                                              weight, scale, dt->dfirst, dt->dsecond);
  if (dt->temperature > 0)
    losses[DT_LOSS_ENTROPY] -=
      px_loss_squashed_entropy(n, b->act_dim, y.first, y.second, dt->noise + from, weight,
                               scale * (double)dt->temperature, dt->dfirst, dt->dsecond) /
      (double)dt->temperature;
}

void dt_gradients(struct dt *dt, uint64_t step, double losses[DT_LOSSES_N]) {
  const struct dt_batch *b = &dt->batch;
  losses[DT_LOSS_NLL] = losses[DT_LOSS_ENTROPY] = 0;
  for (uint32_t seq = 0, seqs; seq < b->seqs; seq += seqs) {
    seqs = b->seqs - seq < dt->chunk ? b->seqs - seq : dt->chunk;
    const uint32_t at = b->start[seq], n = b->start[seq + seqs] - at;
    const struct dt_steps steps = { seqs,
                                    b->start + seq,
                                    b->to_go + at,
                                    b->state + (size_t)at * b->obs_dim,
                                    b->action + (size_t)at * b->act_dim,
                                    b->time + at,
                                    false };
    const struct px_transformer_drop drop = { dt->seed, step, DT_TOKENS * at };
    const struct dt_outputs y = dt_net_forward(dt->net, dt->work, &steps, &drop);
    loss_of(dt, at, n, y, losses);
    dt_net_backward(dt->net, dt->work, &steps, &drop, dt->dfirst, y.second ? dt->dsecond : NULL,
                    dt->grads, seq > 0);
  }
  losses[DT_LOSS] = losses[DT_LOSS_NLL] - (double)dt->temperature * losses[DT_LOSS_ENTROPY];
}

void dt_update(struct dt *dt, uint64_t step, double losses[DT_LOSSES_N]) {
  const float grown = dt->warmup > step + 1 ? (float)(step + 1) / (float)dt->warmup : 1;
  dt_gradients(dt, step, losses);
  losses[DT_LOSS_NORM] = px_lamb_step(&dt->lamb, dt->net->tensors, dt->net->tensors_n,
                                      dt->lr * grown, dt->net->params, dt->grads);
}

/* ---- behind the table */

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct dt_windows *windows = NULL;
  struct dt *dt = NULL;
  enum px_status status =
    dt_windows_new(arena, data, rl_option(spec, "return_scale"), &windows, err);
  if (status) return status;
  const uint32_t timesteps =
    windows->longest < DT_TIMESTEPS_MAX ? windows->longest : DT_TIMESTEPS_MAX;
  const bool discrete = data->act_count > 0;
  status = dt_new(arena, spec, data->obs_dim, discrete ? data->act_count : data->act_dim, discrete,
                  timesteps, &dt, err);
  if (status) return status;
  dt->windows = windows;
  *state = dt;
  return PX_OK;
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct dt *dt = state;
  struct dt_batch *b = &dt->batch;
  dt_batch_draw(b, dt->windows, dt->seed, at);
  struct px_rng rng = px_rng_at(dt->seed, px_rng_stream("entropy", at), 0);
  if (!dt->net->shape.discrete)
    px_rng_normal(&rng, dt->noise, (size_t)b->start[b->seqs] * b->act_dim);
  dt_update(dt, at, losses);
}

static void list_state(void *state, struct px_state *list) {
  struct dt *dt = state;
  px_state_floats(list, "net", "params", dt->net->params, dt->net->params_n);
  px_state_floats(list, "net", "m", dt->lamb.m, dt->lamb.n);
  px_state_floats(list, "net", "v", dt->lamb.v, dt->lamb.n);
  px_state_whole(list, "net", "steps", &dt->lamb.steps, 1);
}

static struct rl_weights acting(void *state) {
  const struct dt_net *net = ((struct dt *)state)->net;
  return (struct rl_weights){ net->params, net->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct dt *dt = state;
  *nets =
    (struct rl_nets){ .kind = RL_TRANSFORMER,
                      .sequence = { dt->net, dt->return_scale, dt->windows->data->return_max } };
}

const struct rl_algo dt_algo = {
  { "loss", "nll", "entropy", "grad_norm" }, init, step, list_state, acting, finish
};
