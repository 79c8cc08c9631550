/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/td3bc.h"

#include <math.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/nn/loss.h"

static float clamp(float x, float bound) { return fminf(fmaxf(x, -bound), bound); }

static void read_options(struct td3bc *t, const struct rl_spec *spec) {
  t->seed = spec->seed;
  t->policy_freq = rl_whole(spec, "policy_freq");
  t->alpha = rl_option(spec, "alpha");
  t->gamma = (float)rl_option(spec, "gamma");
  t->tau = (float)rl_option(spec, "tau");
  t->policy_noise = (float)rl_option(spec, "policy_noise");
  t->noise_clip = (float)rl_option(spec, "noise_clip");
}

enum px_status td3bc_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                         uint32_t act_dim, struct td3bc **out, struct px_err *err) {
  const uint32_t both = obs_dim + act_dim, batch = rl_whole(spec, "batch"),
                 chunk = rl_rows(batch, 0);
  struct rl_net_spec net = { .shape = { .in = obs_dim,
                                        .out = act_dim,
                                        .hidden = rl_whole(spec, "hidden"),
                                        .layers = rl_whole(spec, "layers") },
                             .seed = spec->seed,
                             .lr = rl_option(spec, "lr"),
                             .rows = chunk,
                             .target = true };
  struct td3bc *t = px_arena_take(arena, 1, sizeof *t);
  if (!t) return rl_arena_check(arena, "td3bc", err);
  read_options(t, spec);
  enum px_status status = rl_net_init(arena, &t->actor, &net, err);
  net.shape.in = both, net.shape.out = 1, net.shape.layer_norm = rl_option(spec, "layer_norm") > 0;
  for (uint64_t i = 0; i < 2 && !status; i++) {
    net.which = 1 + i;
    status = rl_net_init(arena, &t->critic[i], &net, err);
  }
  if (status) return status;
  t->noise = px_arena_floats(arena, batch, act_dim);
  t->pi = px_arena_floats(arena, batch, act_dim);
  t->da = px_arena_floats(arena, batch, act_dim);
  t->sa = px_arena_floats(arena, chunk, both);
  t->dsa = px_arena_floats(arena, chunk, both);
  t->q_target = px_arena_floats(arena, chunk, 1);
  t->dq = px_arena_floats(arena, chunk, 1);
  rl_batch_init(arena, &t->batch, batch, obs_dim, act_dim);
  *out = t;
  return rl_arena_check(arena, "td3bc", err);
}

/* t->q_target for rows row .. row + n. */
static void target_values(struct td3bc *t, uint32_t row, uint32_t n) {
  const struct rl_batch *b = &t->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim;
  const float *s2 = b->s2 + (size_t)row * o, *noise = t->noise + (size_t)row * a;
  float *next = px_mlp_forward(t->actor.target, t->actor.work, s2, n, NULL);
  for (uint32_t i = 0; i < n * a; i++)
    next[i] = clamp(tanhf(next[i]) + clamp(t->policy_noise * noise[i], t->noise_clip), 1);
  rl_net_join(n, o, a, s2, next, t->sa);
  const float *q[2];
  for (int i = 0; i < 2; i++)
    q[i] = px_mlp_forward(t->critic[i].target, t->critic[i].work, t->sa, n, NULL);
  for (uint32_t i = 0; i < n; i++)
    t->q_target[i] = b->reward[row + i] + t->gamma * b->not_done[row + i] * fminf(q[0][i], q[1][i]);
}

static double update_critics(struct td3bc *t) {
  const struct rl_batch *b = &t->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim;
  double loss = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    target_values(t, row, n);
    rl_net_join(n, o, a, b->s + (size_t)row * o, b->action + (size_t)row * a, t->sa);
    for (int i = 0; i < 2; i++) {
      struct rl_net *c = &t->critic[i];
      const float *q = px_mlp_forward(c->net, c->work, t->sa, n, NULL);
      loss += px_loss_mse(n, 1, q, t->q_target, b->weight + row, 1.0 / b->n, t->dq);
      px_mlp_backward(c->net, c->work, t->sa, n, t->dq, c->grads, row > 0, NULL);
    }
  }
  for (int i = 0; i < 2; i++) rl_net_step(&t->critic[i]);
  return loss;
}

/* t->pi and t->da for the batch; gives sum Q_1 and sum |Q_1|. The critic is
 * frozen here: only its input's gradient is computed. */
static void ask_critic(struct td3bc *t, double *sum, double *sum_abs) {
  const struct rl_batch *b = &t->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim;
  struct rl_net *c = &t->critic[0];
  *sum = *sum_abs = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    const float *s = b->s + (size_t)row * o,
                *y = px_mlp_forward(t->actor.net, t->actor.work, s, n, NULL);
    float *pi = t->pi + (size_t)row * a, *da = t->da + (size_t)row * a;
    for (uint32_t i = 0; i < n * a; i++) pi[i] = tanhf(y[i]);
    rl_net_join(n, o, a, s, pi, t->sa);
    const float *q = px_mlp_forward(c->net, c->work, t->sa, n, NULL);
    for (uint32_t i = 0; i < n; i++) {
      *sum += (double)q[i];
      *sum_abs += fabs((double)q[i]);
      t->dq[i] = 1;
    }
    px_mlp_backward(c->net, c->work, t->sa, n, t->dq, NULL, false, t->dsa);
    for (uint32_t i = 0; i < n; i++)
      memcpy(da + (size_t)i * a, t->dsa + (size_t)i * (o + a) + o, a * sizeof *da);
  }
}

static void update_actor(struct td3bc *t, double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &t->batch;
  const uint32_t o = b->obs_dim, a = b->act_dim;
  struct rl_net *actor = &t->actor;
  double sum, sum_abs, bc = 0;
  ask_critic(t, &sum, &sum_abs);
  const double lambda = t->alpha * b->n / fmax(sum_abs, 1e-12);
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    const float *s = b->s + (size_t)row * o, *pi = t->pi + (size_t)row * a,
                *da = t->da + (size_t)row * a;
    /* With one chunk the activations of ask_critic are still there. */
    if (b->n > PX_MLP_CHUNK) px_mlp_forward(actor->net, actor->work, s, n, NULL);
    float *dy = t->dsa; /* [n, A] fits into [n, O + A] */
    bc += px_loss_mse(n, a, pi, b->action + (size_t)row * a, b->weight + row,
                      1.0 / ((double)b->n * a), dy);
    const float pull = (float)(lambda / b->n);
    for (uint32_t i = 0; i < n * a; i++) dy[i] = (dy[i] - pull * da[i]) * (1 - pi[i] * pi[i]);
    px_mlp_backward(actor->net, actor->work, s, n, dy, actor->grads, row > 0, NULL);
  }
  rl_net_step(actor);
  losses[TD3BC_LOSS_ACTOR] = bc - lambda * sum / b->n;
  losses[TD3BC_LOSS_BC] = bc;
  losses[TD3BC_LOSS_Q] = sum / b->n;
}

void td3bc_update(struct td3bc *t, uint64_t step, double losses[RL_LOSSES_MAX]) {
  losses[TD3BC_LOSS_CRITIC] = update_critics(t);
  if ((step + 1) % t->policy_freq) return;
  update_actor(t, losses);
  rl_net_follow(&t->actor, t->tau);
  for (int i = 0; i < 2; i++) rl_net_follow(&t->critic[i], t->tau);
}

/* ---- behind the table */

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct td3bc *t;
  const enum px_status status = td3bc_new(arena, spec, data->obs_dim, data->act_dim, &t, err);
  if (status) return status;
  t->data = data;
  *state = t;
  return PX_OK;
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct td3bc *t = state;
  rl_batch_draw(&t->batch, t->data, t->seed, at);
  struct px_rng rng = px_rng_at(t->seed, px_rng_stream("noise", at), 0);
  px_rng_normal(&rng, t->noise, (size_t)t->batch.n * t->batch.act_dim);
  td3bc_update(t, at, losses);
}

static void list_state(void *state, struct px_state *list) {
  struct td3bc *t = state;
  rl_net_state(&t->actor, "actor", list);
  rl_net_state(&t->critic[0], "critic0", list);
  rl_net_state(&t->critic[1], "critic1", list);
}

static struct rl_weights acting(void *state) {
  const struct px_mlp *actor = ((struct td3bc *)state)->actor.net;
  return (struct rl_weights){ actor->params, actor->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct td3bc *t = state;
  *nets = (struct rl_nets){ .kind = RL_TANH, .actor = t->actor.net, .critic = t->critic[0].net };
}

const struct rl_algo td3bc_algo = { { "critic_loss", "actor_loss", "bc_loss", "q_mean", NULL,
                                      NULL },
                                    init,
                                    step,
                                    list_state,
                                    acting,
                                    finish };
