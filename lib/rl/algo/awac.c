/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/awac.h"

#include <math.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/nn/loss.h"

static void read_options(struct awac *w, const struct rl_spec *spec, uint32_t act_dim) {
  w->seed = spec->seed;
  w->lambda = rl_option(spec, "lambda");
  w->weight_max = rl_option(spec, "weight_max");
  w->gamma = (float)rl_option(spec, "gamma");
  w->tau = (float)rl_option(spec, "tau");
  w->reward_scale = 1;
  w->dist = (struct gaussian){ act_dim, 1, 0 };
}

enum px_status awac_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                        uint32_t act_dim, struct awac **out, struct px_err *err) {
  const uint32_t both = obs_dim + act_dim, batch = rl_whole(spec, "batch"),
                 chunk = rl_rows(batch, 0);
  struct rl_net_spec net = { .shape = { .in = obs_dim,
                                        .out = 2 * act_dim,
                                        .hidden = rl_whole(spec, "hidden"),
                                        .layers = rl_whole(spec, "layers") },
                             .seed = spec->seed,
                             .lr = rl_option(spec, "lr"),
                             .rows = chunk };
  struct awac *w = px_arena_take(arena, 1, sizeof *w);
  if (!w) return rl_arena_check(arena, "awac", err);
  read_options(w, spec, act_dim);
  enum px_status status = rl_net_init(arena, &w->actor, &net, err);
  net.shape.in = both, net.shape.out = 1, net.target = true;
  net.shape.layer_norm = rl_option(spec, "layer_norm") > 0;
  for (uint64_t i = 0; i < 2 && !status; i++) {
    net.which = 1 + i;
    status = rl_net_init(arena, &w->critic[i], &net, err);
  }
  if (status) return status;
  w->noise = px_arena_floats(arena, batch, act_dim);
  w->next_noise = px_arena_floats(arena, batch, act_dim);
  w->sa = px_arena_floats(arena, chunk, both);
  w->sampled = px_arena_floats(arena, chunk, act_dim);
  w->dy = px_arena_floats(arena, chunk, 2 * act_dim);
  float **const rows[] = { &w->target, &w->own, &w->q_min, &w->dq, &w->dlog_pi, &w->log_pi };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    *rows[i] = px_arena_floats(arena, chunk, 1);
  rl_batch_init(arena, &w->batch, batch, obs_dim, act_dim);
  *out = w;
  return rl_arena_check(arena, "awac", err);
}

/* ---- one chunk: n rows from `row` on */

struct chunk {
  uint32_t row, n;
  const float *s, *action, *weight;
};

/* out [n] = min_i Q_i(s, a) of the critics or their targets. */
static void least_value(struct awac *w, uint32_t n, const float *s, const float *action,
                        bool of_targets, float *out) {
  const float *q[2];
  rl_net_join(n, w->batch.obs_dim, w->batch.act_dim, s, action, w->sa);
  for (int i = 0; i < 2; i++)
    q[i] = px_mlp_forward(of_targets ? w->critic[i].target : w->critic[i].net, w->critic[i].work,
                          w->sa, n, NULL);
  for (uint32_t i = 0; i < n; i++) out[i] = fminf(q[0][i], q[1][i]);
}

/* w->target, from an action that the actor draws for the next state. */
static void target_values(struct awac *w, const struct chunk *c) {
  const struct rl_batch *b = &w->batch;
  const float *s2 = b->s2 + (size_t)c->row * b->obs_dim;
  const float *y = px_mlp_forward(w->actor.net, w->actor.work, s2, c->n, NULL);
  gaussian_sample(&w->dist, c->n, 1, y, w->next_noise + (size_t)c->row * b->act_dim, w->sampled,
                  NULL);
  least_value(w, c->n, s2, w->sampled, true, w->target);
  for (uint32_t i = 0; i < c->n; i++)
    w->target[i] =
      w->reward_scale * b->reward[c->row + i] + w->gamma * b->not_done[c->row + i] * w->target[i];
}

/* The critics' gradients, and w->q_min. */
static void learn_critics(struct awac *w, const struct chunk *c, double losses[RL_LOSSES_MAX]) {
  const double scale = 1.0 / w->batch.n;
  rl_net_join(c->n, w->batch.obs_dim, w->batch.act_dim, c->s, c->action, w->sa);
  for (int i = 0; i < 2; i++) {
    struct rl_net *critic = &w->critic[i];
    const float *q = px_mlp_forward(critic->net, critic->work, w->sa, c->n, NULL);
    for (uint32_t k = 0; k < c->n; k++) w->q_min[k] = i ? fminf(w->q_min[k], q[k]) : q[k];
    losses[AWAC_LOSS_CRITIC] += px_loss_mse(c->n, 1, q, w->target, c->weight, scale, w->dq);
    px_mlp_backward(critic->net, critic->work, w->sa, c->n, w->dq, critic->grads, c->row > 0, NULL);
  }
  for (uint32_t k = 0; k < c->n; k++) losses[AWAC_Q] += scale * (double)w->q_min[k];
}

/* From w->q_min and w->own; y [n, 2A] are the actor's outputs for s, which its work still holds. */
static void learn_actor(struct awac *w, const struct chunk *c, const float *y,
                        double losses[RL_LOSSES_MAX]) {
  const double scale = 1.0 / w->batch.n;
  double unused[2];
  gaussian_log_pi(&w->dist, c->n, y, c->action, w->log_pi);
  for (uint32_t i = 0; i < c->n; i++) {
    const double advantage = (double)w->q_min[i] - (double)w->own[i];
    const double weight = fmin(exp(advantage / w->lambda), w->weight_max);
    losses[AWAC_WEIGHT] += scale * weight;
    losses[AWAC_EFFECTIVE] += scale * weight * weight;
    w->dlog_pi[i] = (float)(-scale * weight * (double)c->weight[i]);
    losses[AWAC_LOSS_ACTOR] += (double)w->dlog_pi[i] * (double)w->log_pi[i];
  }
  gaussian_log_pi_back(&w->dist, c->n, y, c->action, w->dlog_pi, false, w->dy, unused);
  px_mlp_backward(w->actor.net, w->actor.work, c->s, c->n, w->dy, w->actor.grads, c->row > 0, NULL);
}

/* ---- one update */

void awac_update(struct awac *w, double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &w->batch;
  const size_t o = b->obs_dim, a = b->act_dim;
  for (int i = 0; i < RL_LOSSES_MAX; i++) losses[i] = 0;
  for (uint32_t row = 0; row < b->n; row += rl_rows(b->n, row)) {
    const struct chunk c = { row, rl_rows(b->n, row), b->s + row * o, b->action + row * a,
                             b->weight + row };
    target_values(w, &c);
    const float *y = px_mlp_forward(w->actor.net, w->actor.work, c.s, c.n, NULL);
    gaussian_sample(&w->dist, c.n, 1, y, w->noise + row * a, w->sampled, NULL);
    least_value(w, c.n, c.s, w->sampled, false, w->own);
    learn_critics(w, &c, losses);
    learn_actor(w, &c, y, losses);
  }
  losses[AWAC_EFFECTIVE] = rl_effective_share(losses[AWAC_WEIGHT], losses[AWAC_EFFECTIVE]);
  rl_net_step(&w->actor);
  for (int i = 0; i < 2; i++) {
    rl_net_step(&w->critic[i]);
    rl_net_follow(&w->critic[i], w->tau);
  }
}

/* ---- behind the table */

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct awac *w;
  const enum px_status status = awac_new(arena, spec, data->obs_dim, data->act_dim, &w, err);
  if (status) return status;
  w->reward_scale = rl_reward_scale(spec, data);
  w->data = data;
  *state = w;
  return PX_OK;
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct awac *w = state;
  const size_t n = (size_t)w->batch.n * w->batch.act_dim;
  rl_batch_draw(&w->batch, w->data, w->seed, at);
  struct px_rng rng = px_rng_at(w->seed, px_rng_stream("noise", at), 0);
  px_rng_normal(&rng, w->noise, n);
  px_rng_normal(&rng, w->next_noise, n);
  awac_update(w, losses);
}

static void list_state(void *state, struct px_state *list) {
  struct awac *w = state;
  rl_net_state(&w->actor, "actor", list);
  rl_net_state(&w->critic[0], "critic0", list);
  rl_net_state(&w->critic[1], "critic1", list);
}

static struct rl_weights acting(void *state) {
  const struct px_mlp *actor = ((struct awac *)state)->actor.net;
  return (struct rl_weights){ actor->params, actor->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct awac *w = state;
  /* back to the rewards' own units */
  rl_net_scale_output(w->critic[0].net, 1 / w->reward_scale);
  *nets = (struct rl_nets){ .kind = RL_TANH, .actor = w->actor.net, .critic = w->critic[0].net };
}

const struct rl_algo awac_algo = { { "critic_loss", "actor_loss", "q_mean", "weight_mean",
                                     "effective_share" },
                                   init,
                                   step,
                                   list_state,
                                   acting,
                                   finish };
