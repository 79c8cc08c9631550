/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/rebrac.h"

#include <math.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/nn/loss.h"
#include "lib/rl/rl_returns.h"

static float clamp(float x, float bound) { return fminf(fmaxf(x, -bound), bound); }

static void read_options(struct rebrac *r, const struct rl_spec *spec) {
  r->seed = spec->seed;
  r->pretrain = (uint64_t)(rl_option(spec, "pretrain") * rl_option(spec, "updates"));
  r->policy_freq = rl_whole(spec, "policy_freq");
  r->actor_bc_coef = rl_option(spec, "actor_bc_coef");
  r->critic_bc_coef = (float)rl_option(spec, "critic_bc_coef");
  r->gamma = (float)rl_option(spec, "gamma");
  r->tau = (float)rl_option(spec, "tau");
  r->policy_noise = (float)rl_option(spec, "policy_noise");
  r->noise_clip = (float)rl_option(spec, "noise_clip");
  r->reward_scale = 1;
}

/* As the authors start their nets: hidden biases 0.1, the last layer in +-last. */
static void start_small(struct rl_net *n, float last) {
  struct px_mlp *net = n->net;
  for (uint32_t l = 0; l < net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    for (size_t i = 0; i < layer.out; i++) net->params[layer.bias + i] = 0.1F;
  }
  rl_net_scale_output(net, last * sqrtf((float)net->shape.hidden));
  memcpy(n->target->params, net->params, net->params_n * sizeof *net->params);
}

static enum px_status init_nets(struct px_arena *arena, struct rebrac *r,
                                const struct rl_spec *spec, uint32_t o, uint32_t a, uint32_t chunk,
                                struct px_err *err) {
  struct rl_net_spec net = { .shape = { .in = o,
                                        .out = a,
                                        .hidden = rl_whole(spec, "hidden"),
                                        .layers = rl_whole(spec, "layers") },
                             .seed = spec->seed,
                             .lr = rl_option(spec, "lr"),
                             .rows = chunk,
                             .target = true };
  enum px_status status = rl_net_init(arena, &r->actor, &net, err);
  if (!status) start_small(&r->actor, 1e-3F);
  net.shape.in = o + a, net.shape.out = 1, net.shape.layer_norm = rl_option(spec, "layer_norm") > 0;
  for (uint64_t i = 0; i < 2 && !status; i++) {
    net.which = 1 + i;
    status = rl_net_init(arena, &r->critic[i], &net, err);
    if (!status) start_small(&r->critic[i], 3e-3F);
  }
  return status;
}

enum px_status rebrac_new(struct px_arena *arena, const struct rl_spec *spec, uint32_t obs_dim,
                          uint32_t act_dim, struct rebrac **out, struct px_err *err) {
  const uint32_t both = obs_dim + act_dim, batch = rl_whole(spec, "batch"),
                 chunk = rl_rows(batch, 0);
  struct rebrac *r = px_arena_take(arena, 1, sizeof *r);
  if (!r) return rl_arena_check(arena, "rebrac", err);
  read_options(r, spec);
  const enum px_status status = init_nets(arena, r, spec, obs_dim, act_dim, chunk, err);
  if (status) return status;
  r->noise = px_arena_floats(arena, batch, act_dim);
  r->pi = px_arena_floats(arena, batch, act_dim);
  r->da = px_arena_floats(arena, batch, act_dim);
  r->sa = px_arena_floats(arena, chunk, both);
  r->dsa = px_arena_floats(arena, chunk, both);
  r->target = px_arena_floats(arena, chunk, 1);
  r->q = px_arena_floats(arena, chunk, 1);
  r->dq = px_arena_floats(arena, 2, chunk);
  rl_batch_init(arena, &r->batch, batch, obs_dim, act_dim);
  rl_batch_want_next(arena, &r->batch);
  *out = r;
  return rl_arena_check(arena, "rebrac", err);
}

/* ---- critics */

/* next [n, A] is what the target actor does: a' in place, and its weighted distance from the data's
 * next action in r->target. Gives the sum of these. */
static double next_actions(struct rebrac *r, uint32_t row, uint32_t n, float *next) {
  const size_t a = r->batch.act_dim;
  const float *noise = r->noise + row * a, *data = r->batch.next_action + row * a;
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    float distance = 0;
    for (size_t j = i * a; j < (i + 1) * a; j++) {
      next[j] = clamp(tanhf(next[j]) + clamp(r->policy_noise * noise[j], r->noise_clip), 1);
      distance += (next[j] - data[j]) * (next[j] - data[j]);
    }
    r->target[i] = r->batch.next_weight[row + i] * distance;
    sum += (double)r->target[i];
  }
  return sum;
}

/* r->target for rows row .. row + n. */
static void target_values(struct rebrac *r, uint32_t row, uint32_t n,
                          double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &r->batch;
  const float *s2 = b->s2 + (size_t)row * b->obs_dim, *q[2];
  float *next = px_mlp_forward(r->actor.target, r->actor.work, s2, n, NULL);
  losses[REBRAC_PENALTY] += next_actions(r, row, n, next) / b->n;
  rl_net_join(n, b->obs_dim, b->act_dim, s2, next, r->sa);
  for (int i = 0; i < 2; i++)
    q[i] = px_mlp_forward(r->critic[i].target, r->critic[i].work, r->sa, n, NULL);
  for (uint32_t i = 0; i < n; i++) {
    const float value =
      fminf(q[0][i], q[1][i]) - r->reward_scale * r->critic_bc_coef * r->target[i];
    r->target[i] = r->reward_scale * b->reward[row + i] + r->gamma * b->not_done[row + i] * value;
  }
}

/* The same while pretraining. */
static void earned_values(struct rebrac *r, uint32_t row, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    r->target[i] = r->reward_scale * r->to_go[r->batch.index[row + i]];
}

static void update_critics(struct rebrac *r, bool pretrains, double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &r->batch;
  const size_t o = b->obs_dim, a = b->act_dim;
  losses[REBRAC_LOSS_CRITIC] = losses[REBRAC_PENALTY] = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    if (pretrains) earned_values(r, row, n);
    else target_values(r, row, n, losses);
    rl_net_join(n, b->obs_dim, b->act_dim, b->s + row * o, b->action + row * a, r->sa);
    for (int i = 0; i < 2; i++) {
      struct rl_net *c = &r->critic[i];
      const float *q = px_mlp_forward(c->net, c->work, r->sa, n, NULL);
      losses[REBRAC_LOSS_CRITIC] +=
        px_loss_mse(n, 1, q, r->target, b->weight + row, 1.0 / b->n, r->dq);
      px_mlp_backward(c->net, c->work, r->sa, n, r->dq, c->grads, row > 0, NULL);
    }
  }
  for (int i = 0; i < 2; i++) rl_net_step(&r->critic[i]);
}

/* ---- actor */

/* r->da for n rows: where critic i gives the lesser value, its gradient. Adds to sum Q and sum |Q|.
 * The critics are frozen here. */
static void ask_critics(struct rebrac *r, uint32_t row, uint32_t n, double *sum, double *sum_abs) {
  const size_t o = r->batch.obs_dim, a = r->batch.act_dim;
  const float *q[2];
  float *dq[2] = { r->dq, r->dq + n }, *da = r->da + row * a;
  for (int i = 0; i < 2; i++)
    q[i] = px_mlp_forward(r->critic[i].net, r->critic[i].work, r->sa, n, NULL);
  for (uint32_t i = 0; i < n; i++) {
    const bool first = q[0][i] < q[1][i];
    const double least = (double)(first ? q[0][i] : q[1][i]);
    *sum += least, *sum_abs += fabs(least);
    dq[0][i] = first, dq[1][i] = !first;
  }
  for (int k = 0; k < 2; k++) {
    px_mlp_backward(r->critic[k].net, r->critic[k].work, r->sa, n, dq[k], NULL, false, r->dsa);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < a; j++)
        da[i * a + j] = (k ? da[i * a + j] : 0) + r->dsa[i * (o + a) + o + j];
  }
}

/* While pretraining r->da is still 0, as it came. */
static void update_actor(struct rebrac *r, bool pretrains, double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &r->batch;
  const size_t o = b->obs_dim, a = b->act_dim;
  struct rl_net *actor = &r->actor;
  double sum = 0, sum_abs = 0, bc = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    const float *y = px_mlp_forward(actor->net, actor->work, b->s + row * o, n, NULL);
    for (size_t i = 0; i < n * a; i++) r->pi[row * a + i] = tanhf(y[i]);
    if (pretrains) continue;
    rl_net_join(n, b->obs_dim, b->act_dim, b->s + row * o, r->pi + row * a, r->sa);
    ask_critics(r, row, n, &sum, &sum_abs);
  }
  const double pull = pretrains ? 0 : 1 / fmax(sum_abs, 1e-12);
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    const float *s = b->s + row * o, *pi = r->pi + row * a, *da = r->da + row * a;
    /* With one chunk the activations of the first pass are still there. */
    if (b->n > PX_MLP_CHUNK) px_mlp_forward(actor->net, actor->work, s, n, NULL);
    float *dy = r->dsa; /* [n, A] fits into [n, O + A] */
    bc += px_loss_mse(n, b->act_dim, pi, b->action + row * a, b->weight + row,
                      r->actor_bc_coef / b->n, dy);
    for (size_t i = 0; i < n * a; i++) dy[i] = (dy[i] - (float)pull * da[i]) * (1 - pi[i] * pi[i]);
    px_mlp_backward(actor->net, actor->work, s, n, dy, actor->grads, row > 0, NULL);
  }
  rl_net_step(actor);
  losses[REBRAC_LOSS_ACTOR] = bc - pull * sum;
  losses[REBRAC_LOSS_BC] = bc;
  losses[REBRAC_Q] = sum / b->n;
}

void rebrac_update(struct rebrac *r, uint64_t step, double losses[RL_LOSSES_MAX]) {
  const bool pretrains = step < r->pretrain;
  update_critics(r, pretrains, losses);
  if ((step + 1) % r->policy_freq) return;
  update_actor(r, pretrains, losses);
  rl_net_follow(&r->actor, r->tau);
  for (int i = 0; i < 2; i++) rl_net_follow(&r->critic[i], r->tau);
}

/* ---- behind the table */

static enum px_status init(struct px_arena *arena, const struct rl_spec *spec,
                           const struct rl_data *data, void **state, struct px_err *err) {
  struct rebrac *r;
  const enum px_status status = rebrac_new(arena, spec, data->obs_dim, data->act_dim, &r, err);
  if (status) return status;
  r->data = data;
  r->reward_scale = rl_reward_scale(spec, data);
  if (r->pretrain) r->to_go = rl_returns_new(arena, data, rl_option(spec, "gamma"));
  *state = r;
  return rl_arena_check(arena, "rebrac", err);
}

static void step(void *state, uint64_t at, double losses[RL_LOSSES_MAX]) {
  struct rebrac *r = state;
  rl_batch_draw(&r->batch, r->data, r->seed, at);
  struct px_rng rng = px_rng_at(r->seed, px_rng_stream("noise", at), 0);
  px_rng_normal(&rng, r->noise, (size_t)r->batch.n * r->batch.act_dim);
  rebrac_update(r, at, losses);
}

static void list_state(void *state, struct px_state *list) {
  struct rebrac *r = state;
  rl_net_state(&r->actor, "actor", list);
  rl_net_state(&r->critic[0], "critic0", list);
  rl_net_state(&r->critic[1], "critic1", list);
}

static struct rl_weights acting(void *state) {
  const struct px_mlp *actor = ((struct rebrac *)state)->actor.net;
  return (struct rl_weights){ actor->params, actor->params_n };
}

static void finish(void *state, struct rl_nets *nets) {
  struct rebrac *r = state;
  /* back to the rewards' own units */
  rl_net_scale_output(r->critic[0].net, 1 / r->reward_scale);
  *nets = (struct rl_nets){ .kind = RL_TANH, .actor = r->actor.net, .critic = r->critic[0].net };
}

const struct rl_algo rebrac_algo = { { "critic_loss", "actor_loss", "bc_loss", "q_mean",
                                       "penalty" },
                                     init,
                                     step,
                                     list_state,
                                     acting,
                                     finish };
