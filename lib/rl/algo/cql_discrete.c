/* SPDX-License-Identifier: Apache-2.0 */
/* Conservative Q-learning, discrete actions: see cql_discrete.h. */
#include "lib/rl/algo/cql_discrete.h"

#include <math.h>

#include "lib/base/fail.h"
#include "lib/rl/algo/cql.h"

enum px_status cql_discrete_new(struct px_arena *arena, const struct rl_spec *spec,
                                uint32_t obs_dim, uint32_t act_count, struct cql_discrete **out,
                                struct px_err *err) {
  const uint32_t batch = rl_whole(spec, "batch"), chunk = rl_rows(batch, 0);
  const struct rl_net_spec critic = { .shape = { .in = obs_dim,
                                                 .out = act_count,
                                                 .hidden = rl_whole(spec, "hidden"),
                                                 .layers = rl_whole(spec, "layers") },
                                      .seed = spec->seed,
                                      .lr = rl_option(spec, "lr"),
                                      .rows = chunk,
                                      .target = true };
  struct cql_discrete *t = px_arena_take(arena, 1, sizeof *t);
  if (!t) return rl_arena_check(arena, "cql", err);
  t->seed = spec->seed;
  t->act_count = act_count;
  t->gamma = (float)rl_option(spec, "gamma");
  t->tau = (float)rl_option(spec, "tau");
  t->weight = (float)rl_option(spec, "conservative_weight");
  t->temperature = (float)rl_option(spec, "cql_temperature");
  const enum px_status status = rl_net_init(arena, &t->critic, &critic, err);
  if (status) return status;
  t->best = px_arena_take(arena, chunk, sizeof *t->best);
  t->q_target = px_arena_floats(arena, chunk, 1);
  t->dq = px_arena_floats(arena, chunk, act_count);
  rl_batch_init(arena, &t->batch, batch, obs_dim, 1);
  *out = t;
  return rl_arena_check(arena, "cql", err);
}

/* t->q_target for n rows from row on: the net chooses the action, its target says what it is
 * worth. */
static void target_values(struct cql_discrete *t, uint32_t row, uint32_t n) {
  const struct rl_batch *b = &t->batch;
  const size_t count = t->act_count;
  const float *s2 = b->s2 + (size_t)row * b->obs_dim;
  const float *q = px_mlp_forward(t->critic.net, t->critic.work, s2, n, NULL);
  for (size_t i = 0; i < n; i++) {
    t->best[i] = 0;
    for (uint32_t k = 1; k < count; k++)
      if (q[i * count + k] > q[i * count + t->best[i]]) t->best[i] = k;
  }
  q = px_mlp_forward(t->critic.target, t->critic.work, s2, n, NULL);
  for (size_t i = 0; i < n; i++)
    t->q_target[i] =
      b->reward[row + i] + t->gamma * b->not_done[row + i] * q[i * count + t->best[i]];
}

/* One state's part of the loss: q [act_count] -> dq. */
static void state_gradient(const struct cql_discrete *t, const float *q, uint32_t action,
                           float target, float weight, float *dq, double losses[RL_LOSSES_MAX]) {
  const float scale = weight / (float)t->batch.n, pressure = t->weight * scale,
              inv_t = 1 / t->temperature;
  const float off = q[action] - target;
  float most = -INFINITY, sum = 0;
  for (uint32_t k = 0; k < t->act_count; k++) most = fmaxf(most, q[k]);
  for (uint32_t k = 0; k < t->act_count; k++) sum += dq[k] = expf((q[k] - most) * inv_t);
  for (uint32_t k = 0; k < t->act_count; k++) dq[k] *= pressure / sum;
  dq[action] += 2 * scale * off - pressure;
  losses[CQL_LOSS_CRITIC] += (double)scale * (double)off * (double)off;
  losses[CQL_LOSS_CQL] +=
    (double)scale * ((double)most + (double)t->temperature * (double)logf(sum) - (double)q[action]);
  losses[CQL_LOSS_Q] += (double)q[action] / t->batch.n;
}

void cql_discrete_update(struct cql_discrete *t, double losses[RL_LOSSES_MAX]) {
  const struct rl_batch *b = &t->batch;
  struct rl_net *c = &t->critic;
  losses[CQL_LOSS_CRITIC] = losses[CQL_LOSS_CQL] = losses[CQL_LOSS_Q] = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = rl_rows(b->n, row);
    target_values(t, row, n);
    const float *s = b->s + (size_t)row * b->obs_dim,
                *q = px_mlp_forward(c->net, c->work, s, n, NULL);
    for (size_t i = 0; i < n; i++)
      state_gradient(t, q + i * t->act_count, (uint32_t)b->action[row + i], t->q_target[i],
                     b->weight[row + i], t->dq + i * t->act_count, losses);
    px_mlp_backward(c->net, c->work, s, n, t->dq, c->grads, row > 0, NULL);
  }
  rl_net_step(c);
  rl_net_follow(c, t->tau);
}

void cql_discrete_finish(struct cql_discrete *t, struct rl_nets *nets) {
  *nets = (struct rl_nets){ .kind = RL_ARGMAX, .actor = t->critic.net, .critic = t->critic.net };
}
