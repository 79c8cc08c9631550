/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: acting on raw observations; their insides are in rl_policy.h. */
#include "lib/rl/rl_policy.h"

#include "lib/base/fail.h"
#include "lib/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void rl_policy_free(struct rl_policy *p) {
  if (!p) return;
  for (int i = 0; i < RL_NETS_N; i++) {
    px_mlp_free(p->nets[i]);
    px_mlp_work_free(p->works[i]);
  }
  dt_net_free(p->sequence.net);
  dt_actor_free(p->newcomer);
  free(p->mean);
  free(p->scale);
  free(p->inv_scale);
  free(p->low);
  free(p->high);
  free(p->s);
  free(p->sa);
  free(p->y);
  free(p);
}

struct rl_policy *rl_policy_alloc(uint32_t obs_dim, uint32_t act_dim) {
  struct rl_policy *p = px_mem_calloc(1, sizeof *p);
  if (!p) return NULL;
  p->obs_dim = obs_dim;
  p->act_dim = act_dim;
  p->mean = px_mem_calloc(obs_dim, sizeof(float));
  p->scale = px_mem_calloc(obs_dim, sizeof(float));
  p->inv_scale = px_mem_calloc(obs_dim, sizeof(float));
  p->low = px_mem_calloc(act_dim, sizeof(float));
  p->high = px_mem_calloc(act_dim, sizeof(float));
  p->s = px_mem_calloc(PX_MLP_CHUNK, sizeof(float) * obs_dim);
  p->sa = px_mem_calloc(PX_MLP_CHUNK, sizeof(float) * (obs_dim + act_dim));
  p->y = px_mem_calloc(PX_MLP_CHUNK, sizeof(float) * act_dim);
  if (p->mean && p->scale && p->inv_scale && p->low && p->high && p->s && p->sa && p->y) return p;
  rl_policy_free(p);
  return NULL;
}

enum px_status rl_policy_ready(struct rl_policy *p, struct px_err *err) {
  const struct rl_sequence *q = &p->sequence;
  bool complete = true;
  for (uint32_t j = 0; j < p->obs_dim; j++) p->inv_scale[j] = 1 / p->scale[j];
  for (int i = 0; i < RL_NETS_N; i++)
    if (p->nets[i])
      complete =
        px_mlp_work_new(&p->nets[i]->shape, PX_MLP_CHUNK, &p->works[i]) == PX_OK && complete;
  if (q->net)
    complete = complete && !dt_actor_new(q->net, PX_MLP_CHUNK, 1, q->target_return, q->return_scale,
                                         &p->newcomer);
  return complete ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for a policy");
}

static enum px_status copy_nets(struct rl_policy *p, const struct rl_nets *nets) {
  enum px_status status = PX_OK;
  if (nets->actor) status = px_mlp_copy(nets->actor, &p->nets[RL_ACTOR]);
  if (!status && nets->critic) status = px_mlp_copy(nets->critic, &p->nets[RL_CRITIC]);
  if (status || !nets->sequence.net) return status;
  p->sequence = nets->sequence;
  p->sequence.net = NULL;
  return dt_net_copy(nets->sequence.net, &p->sequence.net);
}

enum px_status rl_policy_new(const struct rl_spec *spec, const struct rl_data *data,
                             const struct rl_nets *nets, struct rl_policy **out,
                             struct px_err *err) {
  struct rl_policy *p = rl_policy_alloc(data->obs_dim, data->act_dim);
  if (!p || copy_nets(p, nets)) {
    rl_policy_free(p);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a policy");
  }
  p->spec = *spec;
  p->has_spec = true;
  p->gamma = rl_has(spec, "gamma") ? rl_option(spec, "gamma") : 1;
  p->kind = nets->kind;
  p->clip = RL_CLIP;
  p->act_count = data->act_count;
  memcpy(p->mean, data->mean, sizeof(float) * p->obs_dim);
  memcpy(p->scale, data->scale, sizeof(float) * p->obs_dim);
  memcpy(p->low, data->ds->spaces.act_low, sizeof(float) * p->act_dim);
  memcpy(p->high, data->ds->spaces.act_high, sizeof(float) * p->act_dim);
  const enum px_status status = rl_policy_ready(p, err);
  if (status) rl_policy_free(p);
  else *out = p;
  return status;
}

uint32_t rl_policy_obs_dim(const struct rl_policy *p) { return p->obs_dim; }
uint32_t rl_policy_act_dim(const struct rl_policy *p) { return p->act_dim; }
uint32_t rl_policy_act_count(const struct rl_policy *p) { return p->act_count; }

bool rl_policy_target(const struct rl_policy *p, double *target_return) {
  if (p->kind == RL_TRANSFORMER) *target_return = p->sequence.target_return;
  return p->kind == RL_TRANSFORMER;
}

/* The first of the largest. */
static float index_of_largest(const float *y, size_t n) {
  size_t best = 0;
  for (size_t j = 1; j < n; j++)
    if (y[j] > y[best]) best = j;
  return (float)best;
}

void rl_policy_normalise(struct rl_policy *p, const float *obs, uint32_t n) {
  const struct px_normal normal = { p->mean, p->inv_scale, p->clip };
  for (size_t i = 0; i < n; i++)
    px_normalise(&normal, p->obs_dim, obs + i * p->obs_dim, p->s + i * p->obs_dim);
}

void rl_policy_scale(const struct rl_policy *p, const float *y, uint32_t n, float *actions) {
  const size_t a = p->act_dim;
  for (size_t i = 0; i < n * a; i++) {
    const float low = p->low[i % a], high = p->high[i % a];
    actions[i] = p->act_count ? y[i] : 0.5F * (low + high) + 0.5F * (high - low) * y[i];
  }
}

/* What a policy with memory does at the first step of an episode. */
static void first_steps(struct rl_policy *p, uint32_t n) {
  static const uint32_t zeros[PX_MLP_CHUNK];
  uint32_t lanes[PX_MLP_CHUNK];
  for (uint32_t i = 0; i < n; i++) lanes[i] = i;
  dt_actor_act(p->newcomer, &(struct dt_sight){ n, p->s, lanes, zeros, NULL }, p->y);
}

/* Normalises n <= PX_MLP_CHUNK rows into p->s and gives the actions [n, A], in (-1, 1) or class
 * indices, in p->y. */
static const float *act_chunk(struct rl_policy *p, const float *obs, uint32_t n) {
  rl_policy_normalise(p, obs, n);
  if (p->kind == RL_TRANSFORMER) {
    first_steps(p, n);
    return p->y;
  }
  const size_t a = p->act_dim, out = p->nets[RL_ACTOR]->shape.out;
  const float *outputs = px_mlp_forward(p->nets[RL_ACTOR], p->works[RL_ACTOR], p->s, n, NULL);
  for (size_t i = 0; i < n; i++, outputs += out) {
    if (p->kind == RL_ARGMAX) p->y[i] = index_of_largest(outputs, out);
    else
      for (size_t j = 0; j < a; j++) p->y[i * a + j] = tanhf(outputs[j]);
  }
  return p->y;
}

void rl_policy_act(struct rl_policy *p, const float *obs, uint32_t n, float *actions) {
  for (uint32_t row = 0, rows; row < n; row += rows) {
    rows = n - row < PX_MLP_CHUNK ? n - row : PX_MLP_CHUNK;
    rl_policy_scale(p, act_chunk(p, obs + (size_t)row * p->obs_dim, rows), rows,
                    actions + (size_t)row * p->act_dim);
  }
}

/* Q [rows] of p->s and the actions y given. */
static void value_chunk(struct rl_policy *p, const float *y, uint32_t rows, float *values) {
  const size_t o = p->obs_dim, a = p->act_dim;
  struct px_mlp *critic = p->nets[RL_CRITIC];
  if (p->kind == RL_ARGMAX) {
    const float *q = px_mlp_forward(critic, p->works[RL_CRITIC], p->s, rows, NULL);
    for (size_t i = 0; i < rows; i++) values[i] = q[i * p->act_count + (size_t)y[i]];
    return;
  }
  for (size_t i = 0; i < rows; i++) {
    memcpy(p->sa + i * (o + a), p->s + i * o, o * sizeof(float));
    memcpy(p->sa + i * (o + a) + o, y + i * a, a * sizeof(float));
  }
  memcpy(values, px_mlp_forward(critic, p->works[RL_CRITIC], p->sa, rows, NULL),
         rows * sizeof(float));
}

double rl_policy_gamma(const struct rl_policy *p) { return p->gamma; }

bool rl_policy_value(struct rl_policy *p, const float *obs, uint32_t n, float *values) {
  if (!p->nets[RL_CRITIC]) return false;
  for (uint32_t row = 0; row < n; row += PX_MLP_CHUNK) {
    const uint32_t rows = n - row < PX_MLP_CHUNK ? n - row : PX_MLP_CHUNK;
    value_chunk(p, act_chunk(p, obs + (size_t)row * p->obs_dim, rows), rows, values + row);
  }
  return true;
}
