/* SPDX-License-Identifier: Apache-2.0 */
/* Conservative Q-learning, continuous actions: see cql.h. */
#include "lib/rl/algo/cql.h"

#include <math.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/rl/algo/cql_discrete.h"

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Actions of a state that its critics are asked about: that of the data, then N each of three
 * kinds. */
static uint32_t sampled_n(const struct cql *t) { return 3 * t->times; }
static uint32_t asked_n(const struct cql *t) { return 1 + sampled_n(t); }

/* ---- memory */

static void take_scratch(struct px_arena *arena, struct cql *t, size_t batch, size_t chunk,
                         size_t o, size_t a) {
  const size_t n = t->times, few = 1 + t->backward;
  const struct {
    float **place;
    size_t rows, cols;
  } pieces[] = {
    { &t->noise.pi, batch, a },
    { &t->noise.next, batch, a },
    { &t->noise.here, batch, n * a },
    { &t->noise.there, batch, n * a },
    { &t->noise.uniform, batch, n * a },
    { &t->noise.pick, batch, 2 },
    { &t->few_actions, chunk, few * a },
    { &t->few_dq, chunk, few },
    { &t->actions, chunk, asked_n(t) * a },
    { &t->log_density, chunk, sampled_n(t) },
    { &t->drawn, chunk, n * a },
    { &t->log_drawn, chunk, n },
    { &t->next, chunk, a },
    { &t->log_next, chunk, 1 },
    { &t->pi, chunk, a },
    { &t->log_pi, chunk, 1 },
    { &t->sa, chunk, o + a },
    { &t->dsa, chunk, o + a },
    { &t->q_target, chunk, 1 },
    { &t->dq, chunk, 1 },
    { &t->dfan, t->multi_states, asked_n(t) },
    { &t->da, chunk, a },
    { &t->dy, chunk, 2 * a },
  };
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
    *pieces[i].place = px_arena_floats(arena, pieces[i].rows, pieces[i].cols);
}

/* So that they fill a chunk of rows. */
static uint32_t states_at_a_time(uint32_t chunk, uint32_t actions) {
  return min_u32(chunk, actions < PX_MLP_CHUNK ? PX_MLP_CHUNK / actions : 1);
}

static enum px_status take_nets(struct px_arena *arena, struct cql *t, const struct rl_spec *spec,
                                uint32_t o, uint32_t a, uint32_t chunk, struct px_err *err) {
  const struct px_mlp_shape critic = {
    .in = o + a, .out = 1, .hidden = rl_whole(spec, "hidden"), .layers = rl_whole(spec, "layers")
  };
  struct px_mlp_shape actor = critic;
  actor.in = o, actor.out = 2 * a;
  const double actor_lr = rl_option(spec, "actor_lr");
  struct rl_net_spec net = { actor, spec->seed, 0, actor_lr, chunk, false };
  enum px_status status = rl_net_init(arena, &t->actor, &net, err);
  net = (struct rl_net_spec){ critic, spec->seed, 1, rl_option(spec, "lr"), chunk, true };
  for (; net.which <= 2 && !status; net.which++)
    status = rl_net_init(arena, &t->critic[net.which - 1], &net, err);
  if (status) return status;
  t->multi_states = states_at_a_time(chunk, asked_n(t));
  t->few_states = states_at_a_time(chunk, 1 + t->backward);
  const struct px_adam_options alpha = PX_ADAM_DEFAULTS((float)rl_option(spec, "temperature_lr"));
  px_adam_init_in(arena, &t->spread_adam, 2, PX_ADAM_DEFAULTS((float)actor_lr));
  px_adam_init_in(arena, &t->alpha_adam, 1, alpha);
  if (px_multi_action_new(arena, &critic, a, t->multi_states, asked_n(t), &t->multi) ||
      (t->backward &&
       px_multi_action_new(arena, &critic, a, t->few_states, 1 + t->backward, &t->few)))
    return rl_arena_check(arena, "cql", err);
  return PX_OK;
}

enum px_status cql_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                       uint32_t act_dim, struct cql **out, struct px_err *err) {
  const uint32_t batch = rl_whole(spec, "batch"), chunk = rl_rows(batch, 0);
  struct cql *t = px_arena_take(arena, 1, sizeof *t);
  if (!t) return rl_arena_check(arena, "cql", err);
  t->seed = spec->seed;
  t->bc_updates = rl_whole(spec, "bc_updates");
  t->times = rl_whole(spec, "n_action_samples");
  t->backward = min_u32(rl_whole(spec, "backward_actions"), sampled_n(t));
  t->gamma = (float)rl_option(spec, "gamma");
  t->tau = (float)rl_option(spec, "tau");
  t->weight = (float)rl_option(spec, "conservative_weight");
  t->temperature = (float)rl_option(spec, "cql_temperature");
  t->target_entropy = (float)rl_option(spec, "target_entropy") * (float)act_dim;
  t->backup_entropy = rl_option(spec, "backup_entropy") != 0;
  t->spread[0] = 1, t->spread[1] = -1;
  enum px_status status = take_nets(arena, t, spec, obs_dim, act_dim, chunk, err);
  if (status) return status;
  take_scratch(arena, t, batch, chunk, obs_dim, act_dim);
  rl_batch_init(arena, &t->batch, batch, obs_dim, act_dim);
  if ((status = rl_arena_check(arena, "cql", err))) return status;
  for (size_t i = 0; i < (size_t)chunk * sampled_n(t); i++)
    t->log_density[i] = -(float)act_dim * logf(2);
  *out = t;
  return PX_OK;
}

/* ---- one chunk of n states, from row on */

static struct gaussian dist(const struct cql *t) {
  return (struct gaussian){ t->batch.act_dim, t->spread[0], t->spread[1] };
}

/* The N actions of each state in actions [n, N, A] become those from place `at` of its list. */
static void place(struct cql *t, uint32_t n, uint32_t at, const float *actions) {
  const size_t a = t->batch.act_dim, all = t->times * a;
  for (size_t i = 0; i < n; i++)
    memcpy(t->actions + (i * asked_n(t) + at) * a, actions + i * all, all * sizeof *actions);
}

/* The actor's output y for n states: one action each, and N more from place `at` of their lists. */
static void sample(struct cql *t, uint32_t n, const float *y, const float *one_noise, float *one,
                   float *log_one, const float *noise, uint32_t at) {
  const struct gaussian g = dist(t);
  gaussian_sample(&g, n, 1, y, one_noise, one, log_one);
  gaussian_sample(&g, n, t->times, y, noise, t->drawn, t->log_drawn);
  place(t, n, at, t->drawn);
  for (size_t i = 0; i < n; i++)
    memcpy(t->log_density + i * sampled_n(t) + at - 1, t->log_drawn + i * t->times,
           t->times * sizeof(float));
}

/* All actions that this chunk needs. Leaves the actor's activations for s in its work; gives its
 * output. */
static const float *propose(struct cql *t, uint32_t row, uint32_t n) {
  const struct rl_batch *b = &t->batch;
  const size_t o = b->obs_dim, a = b->act_dim, many = t->times * a;
  for (size_t i = 0; i < n; i++)
    memcpy(t->actions + i * asked_n(t) * a, b->action + (row + i) * a, a * sizeof(float));
  place(t, n, 1, t->noise.uniform + row * many);
  const float *y = px_mlp_forward(t->actor.net, t->actor.work, b->s2 + row * o, n, NULL);
  sample(t, n, y, t->noise.next + row * a, t->next, t->log_next, t->noise.there + row * many,
         1 + 2 * t->times);
  y = px_mlp_forward(t->actor.net, t->actor.work, b->s + row * o, n, NULL);
  sample(t, n, y, t->noise.pi + row * a, t->pi, t->log_pi, t->noise.here + row * many,
         1 + t->times);
  return y;
}

/* t->da = dL_pi/da~, the least critic deciding in each row; gives sum w min Q. The critics are
 * frozen here. */
static double ask_critics(struct cql *t, uint32_t row, uint32_t n) {
  const struct rl_batch *b = &t->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim;
  const float *q[2], *weight = b->weight + row;
  double sum = 0;
  rl_net_join(n, o, a, b->s + (size_t)row * o, t->pi, t->sa);
  for (int i = 0; i < 2; i++)
    q[i] = px_mlp_forward(t->critic[i].net, t->critic[i].work, t->sa, n, NULL);
  memset(t->da, 0, sizeof(float) * n * a);
  for (int i = 0; i < 2; i++) {
    for (uint32_t r = 0; r < n; r++) {
      const bool least = i == (q[1][r] < q[0][r]);
      t->dq[r] = least ? -weight[r] / (float)b->n : 0;
      if (least) sum += (double)weight[r] * (double)q[i][r];
    }
    px_mlp_backward(t->critic[i].net, t->critic[i].work, t->sa, n, t->dq, NULL, false, t->dsa);
    for (uint32_t r = 0; r < n; r++)
      for (uint32_t j = 0; j < a; j++) t->da[r * a + j] += t->dsa[r * (o + a) + o + j];
  }
  return sum;
}

/* Adds the chunk's part to the gradients of actor, spread and alpha, and to the losses. y: what
 * propose gave. */
static void improve_actor(struct cql *t, uint64_t step, uint32_t row, uint32_t n, const float *y,
                          double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &t->batch;
  const struct gaussian g = dist(t);
  const bool cloning = step < t->bc_updates;
  const float alpha = expf(t->log_alpha), scale = 1 / (float)b->n, *w = b->weight + row;
  const float *action = b->action + (size_t)row * b->act_dim;
  double log_pi = 0, value = 0, excess = 0, dspread[2] = { 0 };
  if (!cloning) value = ask_critics(t, row, n);
  for (uint32_t i = 0; i < n; i++) {
    log_pi += (double)w[i] * (double)t->log_pi[i];
    excess += (double)w[i] * (double)(t->log_pi[i] + t->target_entropy);
    t->dq[i] = alpha * w[i] * scale;
  }
  gaussian_sample_back(&g, n, y, t->noise.pi + (size_t)row * b->act_dim, t->pi,
                       cloning ? NULL : t->da, t->dq, false, t->dy, dspread);
  if (cloning) {
    gaussian_log_pi(&g, n, y, action, t->log_drawn);
    for (uint32_t i = 0; i < n; i++) {
      value += (double)w[i] * (double)t->log_drawn[i];
      t->dq[i] = -w[i] * scale;
    }
    gaussian_log_pi_back(&g, n, y, action, t->dq, true, t->dy, dspread);
  }
  px_mlp_backward(t->actor.net, t->actor.work, b->s + (size_t)row * b->obs_dim, n, t->dy,
                  t->actor.grads, row > 0, NULL);
  for (int k = 0; k < 2; k++) t->spread_grads[k] += (float)dspread[k];
  t->log_alpha_grad -= (float)(excess / b->n);
  losses[CQL_LOSS_ACTOR] += ((double)alpha * log_pi - value) / b->n;
  losses[CQL_LOSS_ENTROPY] -= log_pi / b->n;
}

/* t->q_target */
static void target_values(struct cql *t, uint32_t row, uint32_t n) {
  const struct rl_batch *b = &t->batch;
  const float alpha = t->backup_entropy ? expf(t->log_alpha) : 0, *q[2];
  rl_net_join(n, b->obs_dim, b->act_dim, b->s2 + (size_t)row * b->obs_dim, t->next, t->sa);
  for (int i = 0; i < 2; i++)
    q[i] = px_mlp_forward(t->critic[i].target, t->critic[i].work, t->sa, n, NULL);
  for (uint32_t i = 0; i < n; i++)
    t->q_target[i] = b->reward[row + i] + t->gamma * b->not_done[row + i] *
                                            (fminf(q[0][i], q[1][i]) - alpha * t->log_next[i]);
}

/* One state's part of a critic's loss: q [1 + 3 N] -> dq. log_density [3 N]. */
static void state_gradient(const struct cql *t, const float *q, const float *log_density,
                           float target, float weight, float *dq, double losses[RL_LOSSES_MAX]) {
  const uint32_t k = sampled_n(t);
  const float scale = weight / (float)t->batch.n, pressure = t->weight * scale,
              inv_t = 1 / t->temperature;
  float most = -INFINITY, sum = 0;
  for (uint32_t i = 0; i < k; i++) {
    dq[1 + i] = (q[1 + i] - log_density[i]) * inv_t;
    most = fmaxf(most, dq[1 + i]);
  }
  for (uint32_t i = 0; i < k; i++) sum += dq[1 + i] = expf(dq[1 + i] - most);
  for (uint32_t i = 0; i < k; i++) dq[1 + i] *= pressure / sum;
  const float off = q[0] - target;
  dq[0] = 2 * scale * off - pressure;
  losses[CQL_LOSS_CRITIC] += (double)scale * (double)off * (double)off;
  losses[CQL_LOSS_CQL] +=
    (double)scale * ((double)t->temperature * (double)(most + logf(sum)) - (double)q[0]);
}

/* A state's action of the data and `backward` of its others, drawn by their shares in the gradient:
 * evenly spaced places from a random first one (systematic resampling), so that the sum's mean is
 * that of all. */
static void draw_few(const struct cql *t, const float *dq, const float *actions, float first,
                     float *few_dq, float *few) {
  const uint32_t k = sampled_n(t), m = t->backward;
  const size_t a = t->batch.act_dim;
  float total = 0, reached = 0;
  for (uint32_t i = 1; i <= k; i++) total += dq[i];
  few_dq[0] = dq[0];
  memcpy(few, actions, a * sizeof *few);
  for (uint32_t j = 0, i = 0; j < m; j++) {
    while (i < k && reached <= total * ((float)j + first) / (float)m) reached += dq[++i];
    few_dq[1 + j] = total / (float)m;
    memcpy(few + (1 + j) * a, actions + i * a, a * sizeof *few);
  }
}

/* t->dfan for `states` from the chunk's at-th on, by critic i. */
static void states_gradients(struct cql *t, int i, uint32_t row, uint32_t at, uint32_t states,
                             double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &t->batch;
  const size_t k = asked_n(t), a = b->act_dim;
  const float *actions = t->actions + at * k * a;
  const float *q = px_multi_action_forward(t->critic[i].net, t->multi,
                                           b->s + (size_t)(row + at) * b->obs_dim, actions, states);
  for (size_t j = 0; j < states; j++) {
    float *dq = t->dfan + j * k;
    state_gradient(t, q + j * k, t->log_density + (at + j) * (k - 1), t->q_target[at + j],
                   b->weight[row + at + j], dq, losses);
    if (i == 0) losses[CQL_LOSS_Q] += (double)q[j * k] / b->n;
    if (t->backward)
      draw_few(t, dq, actions + j * k * a, t->noise.pick[(size_t)i * b->n + row + at + j],
               t->few_dq + (at + j) * (1 + t->backward),
               t->few_actions + (at + j) * (1 + t->backward) * a);
  }
}

/* Adds the chunk's part to a critic's gradients. */
static void improve_critic(struct cql *t, int i, uint32_t row, uint32_t n,
                           double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &t->batch;
  const size_t o = b->obs_dim, a = b->act_dim, few = 1 + t->backward;
  struct rl_net *c = &t->critic[i];
  for (uint32_t at = 0, states; at < n; at += states) {
    states = min_u32(t->multi_states, n - at);
    states_gradients(t, i, row, at, states, losses);
    if (!t->backward)
      px_multi_action_backward(c->net, t->multi, b->s + (row + at) * o,
                               t->actions + at * asked_n(t) * a, states, t->dfan, c->grads,
                               row + at > 0);
  }
  for (uint32_t at = 0, states; t->backward && at < n; at += states) {
    states = min_u32(t->few_states, n - at);
    const float *s = b->s + (row + at) * o, *actions = t->few_actions + at * few * a;
    px_multi_action_forward(c->net, t->few, s, actions, states);
    px_multi_action_backward(c->net, t->few, s, actions, states, t->few_dq + at * few, c->grads,
                             row + at > 0);
  }
}

void cql_update(struct cql *t, uint64_t step, double losses[RL_LOSSES_MAX]) {
  for (int i = 0; i < RL_LOSSES_MAX; i++) losses[i] = 0;
  t->spread_grads[0] = t->spread_grads[1] = t->log_alpha_grad = 0;
  losses[CQL_LOSS_ALPHA] = (double)expf(t->log_alpha);
  for (uint32_t row = 0, n; row < t->batch.n; row += n) {
    n = rl_rows(t->batch.n, row);
    const float *y = propose(t, row, n);
    improve_actor(t, step, row, n, y, losses);
    target_values(t, row, n);
    for (int i = 0; i < 2; i++) improve_critic(t, i, row, n, losses);
  }
  rl_net_step(&t->actor);
  px_adam_step(&t->spread_adam, t->spread, t->spread_grads);
  px_adam_step(&t->alpha_adam, &t->log_alpha, &t->log_alpha_grad);
  for (int i = 0; i < 2; i++) {
    rl_net_step(&t->critic[i]);
    rl_net_follow(&t->critic[i], t->tau);
  }
}

/* m and b go into the last layer, so that the actor's outputs are mu and log sigma for whoever
 * reads them. */
static void fold_spread(struct cql *t) {
  const size_t a = t->batch.act_dim;
  const struct px_mlp_layer last = px_mlp_layer(t->actor.net, t->actor.net->shape.layers);
  float *weight = t->actor.net->params + last.weight, *bias = t->actor.net->params + last.bias;
  for (size_t i = a * last.in; i < 2 * a * last.in; i++) weight[i] *= t->spread[0];
  for (size_t j = a; j < 2 * a; j++) bias[j] = t->spread[0] * bias[j] + t->spread[1];
}

static void draw_noise(struct cql *t, uint64_t at) {
  const size_t one = (size_t)t->batch.n * t->batch.act_dim, many = one * t->times;
  struct px_rng rng = px_rng_at(t->seed, px_rng_stream("noise", at), 0);
  px_rng_normal(&rng, t->noise.pi, one);
  px_rng_normal(&rng, t->noise.next, one);
  px_rng_normal(&rng, t->noise.here, many);
  px_rng_normal(&rng, t->noise.there, many);
  for (size_t i = 0; i < many; i++) t->noise.uniform[i] = 2 * px_rng_float(&rng) - 1;
  for (size_t i = 0; i < 2 * (size_t)t->batch.n; i++) t->noise.pick[i] = px_rng_float(&rng);
}

/* ---- behind the table: one of the two, by the dataset's actions */

struct either {
  struct cql *continuous;
  struct cql_discrete *discrete;
};

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct either *e = px_arena_take(arena, 1, sizeof *e);
  if (!e) return rl_arena_check(arena, "cql", err);
  const enum px_status status =
    data->act_count
      ? cql_discrete_new(arena, spec, data->obs_dim, data->act_count, &e->discrete, err)
      : cql_new(arena, spec, data->obs_dim, data->act_dim, &e->continuous, err);
  if (status) return status;
  if (e->discrete) e->discrete->data = data;
  else e->continuous->data = data;
  *state = e;
  return PX_OK;
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct cql *t = ((struct either *)state)->continuous;
  struct cql_discrete *d = ((struct either *)state)->discrete;
  if (d) {
    rl_batch_draw(&d->batch, d->data, d->seed, at);
    cql_discrete_update(d, losses);
    return;
  }
  rl_batch_draw(&t->batch, t->data, t->seed, at);
  draw_noise(t, at);
  cql_update(t, at, losses);
}

static void list_state(void *state, struct px_state *list) {
  struct cql *t = ((struct either *)state)->continuous;
  struct cql_discrete *d = ((struct either *)state)->discrete;
  if (d) {
    rl_net_state(&d->critic, "critic", list);
    return;
  }
  rl_net_state(&t->actor, "actor", list);
  rl_net_state(&t->critic[0], "critic0", list);
  rl_net_state(&t->critic[1], "critic1", list);
  px_state_floats(list, "spread", "params", t->spread, 2);
  px_state_adam(list, "spread", &t->spread_adam);
  px_state_floats(list, "log_alpha", "params", &t->log_alpha, 1);
  px_state_adam(list, "log_alpha", &t->alpha_adam);
}

static struct rl_weights acting(void *state) {
  const struct either *e = state;
  const struct px_mlp *net = e->discrete ? e->discrete->critic.net : e->continuous->actor.net;
  return (struct rl_weights){ net->params, net->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct cql *t = ((struct either *)state)->continuous;
  struct cql_discrete *d = ((struct either *)state)->discrete;
  if (d) {
    cql_discrete_finish(d, nets);
    return;
  }
  fold_spread(t);
  *nets = (struct rl_nets){ .kind = RL_TANH, .actor = t->actor.net, .critic = t->critic[0].net };
}

const struct rl_algo cql_algo = { { "critic_loss", "cql_loss", "q_mean", "actor_loss",
                                    "temperature", "entropy" },
                                  init,
                                  step,
                                  list_state,
                                  acting,
                                  finish };
