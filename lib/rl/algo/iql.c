/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/iql.h"

#include <math.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/nn/loss.h"

enum { NET_VALUE, NET_CRITIC, NET_ACTOR = NET_CRITIC + 2 };

static void read_options(struct iql *q, const struct rl_spec *spec) {
  q->seed = spec->seed;
  q->updates = (uint64_t)rl_option(spec, "updates");
  q->deterministic = rl_says(spec, "actor", "deterministic");
  q->states_only = rl_says(spec, "values", "states");
  q->lr = rl_option(spec, "lr");
  q->expectile = rl_option(spec, "expectile");
  q->beta = rl_option(spec, "beta");
  q->weight_max = rl_option(spec, "weight_max");
  q->gamma = (float)rl_option(spec, "gamma");
  q->tau = (float)rl_option(spec, "tau");
  q->reward_scale = 1;
}

static enum px_status init_nets(struct px_arena *arena, struct iql *q, const struct rl_spec *spec,
                                uint32_t o, uint32_t a, uint32_t chunk, struct px_err *err) {
  const uint32_t hidden = rl_whole(spec, "hidden"), layers = rl_whole(spec, "layers"),
                 count = q->act_count;
  struct rl_net_spec net = { .shape = { .in = o, .out = 1, .hidden = hidden, .layers = layers },
                             .seed = spec->seed,
                             .which = NET_VALUE,
                             .lr = q->lr,
                             .rows = chunk,
                             .target = q->states_only };
  enum px_status status = rl_net_init(arena, &q->value, &net, err);
  net.target = false;
  net.which = NET_ACTOR, net.shape.out = count ? count : a;
  if (!status) status = rl_net_init(arena, &q->actor, &net, err);
  if (q->states_only) return status;
  net.shape.layer_norm = rl_option(spec, "layer_norm") > 0;
  net.target = true, net.shape.in = count ? o : o + a, net.shape.out = count ? count : 1;
  for (uint64_t i = 0; i < 2 && !status; i++) {
    net.which = NET_CRITIC + i;
    status = rl_net_init(arena, &q->critic[i], &net, err);
  }
  return status;
}

enum px_status iql_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                       uint32_t act_dim, uint32_t act_count, struct iql **out, struct px_err *err) {
  const uint32_t batch = rl_whole(spec, "batch"), chunk = rl_rows(batch, 0),
                 widest = act_count > act_dim ? act_count : act_dim;
  struct iql *q = px_arena_take(arena, 1, sizeof *q);
  if (!q) return rl_arena_check(arena, "iql", err);
  q->act_count = act_count;
  read_options(q, spec);
  const enum px_status status = init_nets(arena, q, spec, obs_dim, act_dim, chunk, err);
  if (status) return status;
  q->log_sigma = px_arena_floats(arena, act_dim, 1);
  q->dlog_sigma = px_arena_floats(arena, act_dim, 1);
  q->sa = px_arena_floats(arena, chunk, obs_dim + act_dim);
  q->target = px_arena_floats(arena, chunk, 1);
  q->advantage = px_arena_floats(arena, chunk, 1);
  q->weight = px_arena_floats(arena, chunk, 1);
  q->q = px_arena_floats(arena, chunk, 1);
  q->dy = px_arena_floats(arena, chunk, widest);
  px_adam_init_in(arena, &q->sigma_adam, act_dim, PX_ADAM_DEFAULTS((float)q->lr));
  rl_batch_init(arena, &q->batch, batch, obs_dim, act_dim);
  *out = q;
  return rl_arena_check(arena, "iql", err);
}

/* ---- one chunk: n rows from `row` on */

/* x: what the critics take */
struct chunk {
  uint32_t row, n;
  const float *s, *action, *weight, *x;
};

static struct chunk chunk_at(struct iql *q, uint32_t row) {
  const struct rl_batch *b = &q->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim, n = rl_rows(b->n, row);
  const float *s = b->s + (size_t)row * o, *action = b->action + (size_t)row * a;
  if (!q->act_count) rl_net_join(n, o, a, s, action, q->sa);
  return (struct chunk){ row, n, s, action, b->weight + row, q->act_count ? s : q->sa };
}

/* Of row i's outputs that of its action. */
static float of_action(const struct iql *q, const struct chunk *c, const float *y, uint32_t i) {
  return q->act_count ? y[(size_t)i * q->act_count + (size_t)c->action[i]] : y[i];
}

/* q->advantage = what the actions are worth. */
static void value_actions(struct iql *q, const struct chunk *c) {
  const float *q_values[2];
  for (int i = 0; i < 2; i++)
    q_values[i] = px_mlp_forward(q->critic[i].target, q->critic[i].work, c->x, c->n, NULL);
  for (uint32_t i = 0; i < c->n; i++)
    q->advantage[i] = fminf(of_action(q, c, q_values[0], i), of_action(q, c, q_values[1], i));
}

/* q->target, q->advantage, and the gradients of V. */
static void learn_value(struct iql *q, const struct chunk *c, double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &q->batch;
  const double scale = 1.0 / b->n;
  const struct px_mlp *of_next = q->states_only ? q->value.target : q->value.net;
  const float *next =
    px_mlp_forward(of_next, q->value.work, b->s2 + (size_t)c->row * b->obs_dim, c->n, NULL);
  for (uint32_t i = 0; i < c->n; i++)
    q->target[i] =
      q->reward_scale * b->reward[c->row + i] + q->gamma * b->not_done[c->row + i] * next[i];
  if (q->states_only) memcpy(q->advantage, q->target, c->n * sizeof *q->advantage);
  else value_actions(q, c);
  const float *v = px_mlp_forward(q->value.net, q->value.work, c->s, c->n, NULL);
  for (uint32_t i = 0; i < c->n; i++) {
    const float advantage = q->advantage[i] - v[i];
    const double side = fabs(q->expectile - (advantage < 0)) * (double)c->weight[i] * scale;
    q->advantage[i] = advantage;
    q->dy[i] = (float)(-2 * side * (double)advantage);
    losses[IQL_LOSS_VALUE] += side * (double)advantage * (double)advantage;
    losses[IQL_V] += scale * (double)v[i];
  }
  px_mlp_backward(q->value.net, q->value.work, c->s, c->n, q->dy, q->value.grads, c->row > 0, NULL);
}

static void learn_critic(struct iql *q, struct rl_net *critic, const struct chunk *c,
                         double losses[RL_LOSSES_MAX]) {
  const uint32_t count = q->act_count;
  const float *y = px_mlp_forward(critic->net, critic->work, c->x, c->n, NULL);
  for (uint32_t i = 0; i < c->n; i++) q->q[i] = of_action(q, c, y, i);
  /* The gradient goes where q was, and from there to the outputs' places. */
  losses[IQL_LOSS_CRITIC] +=
    px_loss_mse(c->n, 1, q->q, q->target, c->weight, 1.0 / q->batch.n, q->q);
  if (count) memset(q->dy, 0, sizeof *q->dy * count * c->n);
  for (uint32_t i = 0; i < c->n; i++)
    q->dy[count ? (size_t)i * count + (size_t)c->action[i] : i] = q->q[i];
  px_mlp_backward(critic->net, critic->work, c->x, c->n, q->dy, critic->grads, c->row > 0, NULL);
}

/* sum_i w_i sum_j z^2/2 + log sigma + log(2 pi)/2 of m = tanh(mu), which y [n, A] holds, and the
 * gradients of that. */
static double gaussian_loss(struct iql *q, const struct chunk *c, const float *m) {
  const uint32_t a = q->batch.act_dim;
  const double scale = 1.0 / q->batch.n;
  double loss = 0;
  for (uint32_t j = 0; j < a; j++) {
    const bool held = q->log_sigma[j] < -20 || q->log_sigma[j] > 2;
    const float log_sigma = fminf(fmaxf(q->log_sigma[j], -20), 2), inverse = expf(-log_sigma);
    double dlog_sigma = 0;
    for (uint32_t i = 0; i < c->n; i++) {
      const size_t at = (size_t)i * a + j;
      const float z = (c->action[at] - m[at]) * inverse;
      const double w = (double)q->weight[i] * scale;
      loss += w * (0.5 * (double)(z * z) + (double)log_sigma + 0.918938533204672742);
      dlog_sigma += w * (1 - (double)(z * z));
      q->dy[at] = (float)(w * (double)(-z * inverse));
    }
    q->dlog_sigma[j] = (c->row ? q->dlog_sigma[j] : 0) + (held ? 0 : (float)dlog_sigma);
  }
  return loss;
}

static void learn_actor(struct iql *q, const struct chunk *c, double losses[RL_LOSSES_MAX]) {
  const uint32_t a = q->batch.act_dim;
  const double scale = 1.0 / q->batch.n;
  for (uint32_t i = 0; i < c->n; i++) {
    const double weight = fmin(exp(q->beta * (double)q->advantage[i]), q->weight_max);
    losses[IQL_WEIGHT] += scale * weight;
    losses[IQL_EFFECTIVE] += scale * weight * weight;
    q->weight[i] = (float)weight * c->weight[i];
  }
  float *y = px_mlp_forward(q->actor.net, q->actor.work, c->s, c->n, NULL);
  if (q->act_count)
    losses[IQL_LOSS_ACTOR] +=
      px_loss_softmax(c->n, q->act_count, y, c->action, q->weight, scale, q->dy);
  else {
    for (uint32_t i = 0; i < c->n * a; i++) y[i] = tanhf(y[i]);
    losses[IQL_LOSS_ACTOR] += q->deterministic
                                ? px_loss_mse(c->n, a, y, c->action, q->weight, scale, q->dy)
                                : gaussian_loss(q, c, y);
    for (uint32_t i = 0; i < c->n * a; i++) q->dy[i] *= 1 - y[i] * y[i];
  }
  px_mlp_backward(q->actor.net, q->actor.work, c->s, c->n, q->dy, q->actor.grads, c->row > 0, NULL);
}

/* ---- one update */

void iql_update(struct iql *q, uint64_t step, double losses[RL_LOSSES_MAX]) {
  for (int i = 0; i < RL_LOSSES_MAX; i++) losses[i] = 0;
  for (uint32_t row = 0; row < q->batch.n; row += rl_rows(q->batch.n, row)) {
    const struct chunk c = chunk_at(q, row);
    learn_value(q, &c, losses);
    for (int i = 0; i < 2 && !q->states_only; i++) learn_critic(q, &q->critic[i], &c, losses);
    learn_actor(q, &c, losses);
  }
  losses[IQL_EFFECTIVE] = rl_effective_share(losses[IQL_WEIGHT], losses[IQL_EFFECTIVE]);
  const double pi = 3.14159265358979323846, done = fmin((double)step / (double)q->updates, 1);
  q->actor.adam.options.lr = q->sigma_adam.options.lr = (float)(0.5 * q->lr * (1 + cos(pi * done)));
  rl_net_step(&q->value);
  if (q->states_only) rl_net_follow(&q->value, q->tau);
  rl_net_step(&q->actor);
  if (!q->act_count && !q->deterministic) px_adam_step(&q->sigma_adam, q->log_sigma, q->dlog_sigma);
  for (int i = 0; i < 2 && !q->states_only; i++) {
    rl_net_step(&q->critic[i]);
    rl_net_follow(&q->critic[i], q->tau);
  }
}

/* ---- behind the table */

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct iql *q;
  const enum px_status status =
    iql_new(arena, spec, data->obs_dim, data->act_dim, data->act_count, &q, err);
  if (status) return status;
  q->reward_scale = rl_reward_scale(spec, data);
  q->data = data;
  *state = q;
  return PX_OK;
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct iql *q = state;
  rl_batch_draw(&q->batch, q->data, q->seed, at);
  iql_update(q, at, losses);
}

static void list_state(void *state, struct px_state *list) {
  struct iql *q = state;
  rl_net_state(&q->value, "value", list);
  if (!q->states_only) {
    rl_net_state(&q->critic[0], "critic0", list);
    rl_net_state(&q->critic[1], "critic1", list);
  }
  rl_net_state(&q->actor, "actor", list);
  px_state_floats(list, "log_sigma", NULL, q->log_sigma, q->batch.act_dim);
  px_state_adam(list, "log_sigma", &q->sigma_adam);
}

static struct rl_weights acting(void *state) {
  const struct px_mlp *actor = ((struct iql *)state)->actor.net;
  return (struct rl_weights){ actor->params, actor->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct iql *q = state;
  if (!q->states_only) /* back to the rewards' own units */
    rl_net_scale_output(q->critic[0].net, 1 / q->reward_scale);
  *nets = (struct rl_nets){ .kind = q->act_count ? RL_ARGMAX : RL_TANH,
                            .actor = q->actor.net,
                            .critic = q->critic[0].net };
}

const struct rl_algo iql_algo = { { "value_loss", "critic_loss", "actor_loss", "v_mean",
                                    "weight_mean", "effective_share" },
                                  init,
                                  step,
                                  list_state,
                                  acting,
                                  finish };
