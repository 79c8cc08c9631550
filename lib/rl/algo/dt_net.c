/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rl/algo/dt_net.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/nn/layer_norm.h"
#include "lib/nn/mat.h"
#include "lib/nn/simd.h"

/* ---- parameters */

/* The tensors' places in the table: those before the transformer's, then, behind these, the
 * head's. */
enum {
  RETURN_W,
  RETURN_B,
  STATE_W,
  STATE_B,
  ACTION_W,
  ACTION_B,
  TIME_W,
  NORM_W,
  NORM_B,
  BODY,
  FIRST_W = 0,
  FIRST_B,
  SECOND_W,
  SECOND_B,
  HEAD_MAX
};

static size_t head(const struct dt_net *net, size_t which) {
  return net->tensors[net->tensors_n - (net->shape.discrete ? 2 : 4) + which].at;
}

static void add(struct dt_net *net, const char *name, uint32_t rows, uint32_t cols) {
  struct px_tensor *t = &net->tensors[net->tensors_n++];
  snprintf(t->name, sizeof t->name, "%s", name);
  t->at = net->params_n, t->rows = rows, t->cols = cols;
  net->params_n += px_tensor_n(t);
}

static void add_tensors(struct dt_net *net) {
  const struct dt_shape *s = &net->shape;
  const uint32_t d = s->width;
  add(net, "return.weight", d, 1), add(net, "return.bias", d, 0);
  add(net, "state.weight", d, s->obs_dim), add(net, "state.bias", d, 0);
  add(net, "action.weight", d, s->act_dim), add(net, "action.bias", d, 0);
  add(net, "time.weight", s->timesteps, d);
  add(net, "embedding_norm.weight", d, 0), add(net, "embedding_norm.bias", d, 0);
  net->tensors_n += px_transformer_tensors(&net->body, net->params_n, net->tensors + BODY);
  net->params_n += px_transformer_params_n(&net->body);
  add(net, s->discrete ? "logits.weight" : "mu.weight", s->act_dim, d);
  add(net, s->discrete ? "logits.bias" : "mu.bias", s->act_dim, 0);
  if (s->discrete) return;
  add(net, "log_sigma.weight", s->act_dim, d), add(net, "log_sigma.bias", s->act_dim, 0);
}

static enum px_status check_shape(const struct dt_shape *s, struct px_transformer_shape *body,
                                  struct px_err *err) {
  *body = (struct px_transformer_shape){ s->width, s->layers, s->heads, DT_TOKENS * s->context,
                                         s->dropout };
  if (!s->obs_dim || !s->act_dim || !s->timesteps || s->timesteps > DT_TIMESTEPS_MAX || !s->context)
    return px_fail(
      err, PX_E_BAD_FIELD,
      "a transformer of %u observations, %u actions, %u timesteps, context %u is out of bounds",
      s->obs_dim, s->act_dim, s->timesteps, s->context);
  return px_transformer_check(body, err);
}

static void set_shape(struct dt_net *net, const struct dt_shape *shape,
                      const struct px_transformer_shape *body) {
  net->shape = *shape;
  net->body = *body;
  add_tensors(net);
}

enum px_status dt_net_new(const struct dt_shape *shape, struct dt_net **out, struct px_err *err) {
  struct px_transformer_shape body;
  const enum px_status status = check_shape(shape, &body, err);
  if (status) return status;
  struct dt_net *net = px_mem_calloc(1, sizeof *net);
  if (!net) return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  set_shape(net, shape, &body);
  net->params = px_mem_calloc(net->params_n, sizeof *net->params);
  if (!net->params) {
    dt_net_free(net);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  }
  *out = net;
  return PX_OK;
}

enum px_status dt_net_new_in(struct px_arena *arena, const struct dt_shape *shape,
                             struct dt_net **out, struct px_err *err) {
  struct px_transformer_shape body;
  const enum px_status status = check_shape(shape, &body, err);
  if (status) return status;
  struct dt_net *net = px_arena_take(arena, 1, sizeof *net);
  if (net) {
    set_shape(net, shape, &body);
    net->params = px_arena_floats(arena, net->params_n, 1);
  }
  if (!net || !net->params) return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  *out = net;
  return PX_OK;
}

enum px_status dt_net_copy(const struct dt_net *net, struct dt_net **out) {
  struct px_err err;
  const enum px_status status = dt_net_new(&net->shape, out, &err);
  if (!status) memcpy((*out)->params, net->params, net->params_n * sizeof *net->params);
  return status;
}

void dt_net_free(struct dt_net *net) {
  if (!net) return;
  free(net->params);
  free(net);
}

static void uniform(struct px_rng *rng, const struct px_tensor *t, float bound, float *params) {
  for (size_t i = 0; i < px_tensor_n(t); i++)
    params[t->at + i] = bound * (2 * px_rng_float(rng) - 1);
}

static void normal(struct px_rng *rng, const struct px_tensor *t, float deviation, float *params) {
  px_rng_normal(rng, params + t->at, px_tensor_n(t));
  for (size_t i = 0; i < px_tensor_n(t); i++) params[t->at + i] *= deviation;
}

void dt_net_init(struct dt_net *net, uint64_t seed) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("init", 0), 0);
  const struct px_tensor *t = net->tensors;
  for (int i = RETURN_W; i < TIME_W; i++)
    uniform(&rng, &t[i], 1 / sqrtf((float)t[i - i % 2].cols), net->params);
  normal(&rng, &t[TIME_W], 0.02F, net->params);
  for (uint32_t j = 0; j < net->shape.width; j++)
    net->params[t[NORM_W].at + j] = 1, net->params[t[NORM_B].at + j] = 0;
  px_transformer_init(&net->body, seed, px_rng_stream("init", 1), net->params + t[BODY].at);
  for (size_t i = net->tensors_n - (net->shape.discrete ? 2 : 4); i < net->tensors_n; i += 2) {
    normal(&rng, &t[i], 1 / sqrtf((float)net->shape.width), net->params);
    memset(net->params + t[i + 1].at, 0, px_tensor_n(&t[i + 1]) * sizeof(float));
  }
}

/* ---- activations */

struct dt_work {
  uint32_t seqs;
  uint32_t *start, *ask; /* the same sequences in tokens */
  /* [tokens, D]; inverse [tokens]: before and behind the embeddings' norm */
  float *sum, *normal, *inverse, *x;
  const float *y;        /* [asks, D] the transformer's output, in its work */
  float *first, *second; /* [asks, A] */
  float *dy, *dx, *dsum; /* [asks, D], [tokens, D] each */
  struct px_transformer_work *body;
};

enum px_status dt_work_new(struct px_arena *arena, const struct dt_net *net, uint32_t seqs,
                           struct dt_work **out) {
  const size_t d = net->shape.width, act_dim = net->shape.act_dim;
  const uint32_t steps = seqs * net->shape.context, tokens = DT_TOKENS * steps;
  struct dt_work *w = px_arena_take(arena, 1, sizeof *w);
  if (!w) return PX_E_NO_MEMORY;
  w->seqs = seqs;
  w->start = px_arena_take(arena, seqs + 1, sizeof *w->start);
  w->ask = px_arena_take(arena, steps, sizeof *w->ask);
  w->sum = px_arena_floats(arena, tokens, d);
  w->normal = px_arena_floats(arena, tokens, d);
  w->inverse = px_arena_floats(arena, tokens, 1);
  w->x = px_arena_floats(arena, tokens, d);
  w->first = px_arena_floats(arena, steps, act_dim);
  w->second = px_arena_floats(arena, steps, act_dim);
  w->dy = px_arena_floats(arena, steps, d);
  w->dx = px_arena_floats(arena, tokens, d);
  w->dsum = px_arena_floats(arena, tokens, d);
  *out = w;
  /* Once the arena has refused something, so does this. */
  return px_transformer_work_new(arena, &net->body, tokens, steps, &w->body);
}

/* ---- embeddings */

struct embedding {
  const float *return_w, *bias[DT_TOKENS], *time;
  size_t d, timesteps;
};

static struct embedding embedding(const struct dt_net *net, const float *array) {
  const struct px_tensor *t = net->tensors;
  return (
    struct embedding){ array + t[RETURN_W].at,
                       { array + t[RETURN_B].at, array + t[STATE_B].at, array + t[ACTION_B].at },
                       array + t[TIME_W].at,
                       net->shape.width,
                       net->shape.timesteps };
}

static inline size_t row_of(const struct embedding *e, uint32_t time) {
  return (time < e->timesteps ? time : e->timesteps - 1) * e->d;
}

/* x [3 steps, D] has the products of states and actions; the rest is added. */
PX_CLONES static void add_embeddings(size_t n, const struct embedding *e, const float *to_go,
                                     const uint32_t *time, float *restrict x) {
  for (size_t i = 0; i < n; i++, x += DT_TOKENS * e->d) {
    const float *at = e->time + row_of(e, time[i]);
    for (size_t j = 0; j < e->d; j += PX_LANES) {
      const px_vec t = px_vec_load(at + j);
      px_vec_store(x + j,
                   px_vec_load(e->return_w + j) * to_go[i] + px_vec_load(e->bias[0] + j) + t);
      for (size_t k = 1; k < DT_TOKENS; k++)
        px_vec_store(x + k * e->d + j,
                     px_vec_load(x + k * e->d + j) + px_vec_load(e->bias[k] + j) + t);
    }
  }
}

/* The gradients of what add_embeddings added, which add up in `into`. */
struct embedding_grads {
  float *return_w, *bias[DT_TOKENS], *time;
};

PX_CLONES static void embeddings_back(size_t n, const struct embedding *e, const float *to_go,
                                      const uint32_t *time, const float *d,
                                      const struct embedding_grads *into) {
  for (size_t i = 0; i < n; i++, d += DT_TOKENS * e->d) {
    float *at = into->time + row_of(e, time[i]);
    for (size_t j = 0; j < e->d; j += PX_LANES) {
      px_vec sum = { 0 };
      px_vec_store(into->return_w + j,
                   px_vec_load(into->return_w + j) + px_vec_load(d + j) * to_go[i]);
      for (size_t k = 0; k < DT_TOKENS; k++) {
        const px_vec x = px_vec_load(d + k * e->d + j);
        px_vec_store(into->bias[k] + j, px_vec_load(into->bias[k] + j) + x);
        sum += x;
      }
      px_vec_store(at + j, px_vec_load(at + j) + sum);
    }
  }
}

/* ---- forward and backward */

static uint32_t steps_n(const struct dt_steps *s) { return s->start[s->seqs] - s->start[0]; }

/* The steps' sequences in tokens; the state tokens ask. */
static struct px_sequences sequences(struct dt_work *w, const struct dt_steps *s) {
  for (uint32_t i = 0; i <= s->seqs; i++) w->start[i] = DT_TOKENS * (s->start[i] - s->start[0]);
  const uint32_t n = s->last_only ? s->seqs : steps_n(s);
  for (uint32_t i = 0; i < n; i++)
    w->ask[i] = s->last_only ? w->start[i + 1] - 2 : DT_TOKENS * i + 1;
  return (struct px_sequences){ s->seqs, w->start, n, w->ask };
}

struct dt_outputs dt_net_forward(const struct dt_net *net, struct dt_work *w,
                                 const struct dt_steps *s, const struct px_transformer_drop *drop) {
  const struct px_sequences seqs = sequences(w, s);
  const uint32_t n = steps_n(s), d = net->shape.width, o = net->shape.obs_dim,
                 a = net->shape.act_dim;
  const float *p = net->params;
  const struct px_tensor *t = net->tensors;
  const struct embedding e = embedding(net, p);
  assert(s->seqs <= w->seqs && n <= w->seqs * net->shape.context);
  px_mat_mul_ld(PX_MAT_N, PX_MAT_T, n, d, o, s->state, o, p + t[STATE_W].at, o, 0, w->sum + d,
                DT_TOKENS * d);
  px_mat_mul_ld(PX_MAT_N, PX_MAT_T, n, d, a, s->action, a, p + t[ACTION_W].at, a, 0, w->sum + 2 * d,
                DT_TOKENS * d);
  add_embeddings(n, &e, s->to_go, s->time, w->sum);
  px_layer_norm(DT_TOKENS * n, d, w->sum, p + t[NORM_W].at, p + t[NORM_B].at, w->normal, w->inverse,
                w->x);
  w->y = px_transformer_forward(&net->body, p + t[BODY].at, w->body, w->x, &seqs, drop);
  px_mat_mul(PX_MAT_N, PX_MAT_T, seqs.asks_n, a, d, w->y, p + head(net, FIRST_W), 0, w->first);
  px_mat_bias(seqs.asks_n, a, p + head(net, FIRST_B), w->first);
  if (net->shape.discrete) return (struct dt_outputs){ w->first, NULL };
  px_mat_mul(PX_MAT_N, PX_MAT_T, seqs.asks_n, a, d, w->y, p + head(net, SECOND_W), 0, w->second);
  px_mat_bias(seqs.asks_n, a, p + head(net, SECOND_B), w->second);
  return (struct dt_outputs){ w->first, w->second };
}

/* w->dy (+)= the gradient through one of the heads. */
static void head_backward(const struct dt_net *net, struct dt_work *w, uint32_t asks, size_t which,
                          const float *dout, float *grads, bool add_grads) {
  const uint32_t d = net->shape.width, a = net->shape.act_dim;
  const size_t weight = head(net, which);
  px_mat_mul(PX_MAT_T, PX_MAT_N, a, d, asks, dout, w->y, add_grads ? 1 : 0, grads + weight);
  px_mat_col_sums(asks, a, dout, add_grads, grads + head(net, which + 1));
  px_mat_mul(PX_MAT_N, PX_MAT_N, asks, d, a, dout, net->params + weight, which == FIRST_W ? 0 : 1,
             w->dy);
}

void dt_net_backward(const struct dt_net *net, struct dt_work *w, const struct dt_steps *s,
                     const struct px_transformer_drop *drop, const float *dfirst,
                     const float *dsecond, float *grads, bool add_grads) {
  const struct px_sequences seqs = sequences(w, s);
  const uint32_t n = steps_n(s), d = net->shape.width, o = net->shape.obs_dim,
                 a = net->shape.act_dim;
  const struct px_tensor *t = net->tensors;
  const struct embedding e = embedding(net, net->params);
  head_backward(net, w, seqs.asks_n, FIRST_W, dfirst, grads, add_grads);
  if (dsecond) head_backward(net, w, seqs.asks_n, SECOND_W, dsecond, grads, add_grads);
  px_transformer_backward(&net->body, net->params + t[BODY].at, w->body, &seqs, drop, w->dy,
                          grads + t[BODY].at, add_grads, w->dx);
  memset(w->dsum, 0, (size_t)DT_TOKENS * n * d * sizeof *w->dsum);
  px_layer_norm_back(DT_TOKENS * n, d, w->normal, w->inverse, net->params + t[NORM_W].at, w->dx,
                     w->dsum, add_grads, grads + t[NORM_W].at, grads + t[NORM_B].at);
  if (!add_grads) memset(grads, 0, t[NORM_W].at * sizeof *grads); /* from here on all adds up */
  const struct embedding_grads into = { grads + t[RETURN_W].at,
                                        { grads + t[RETURN_B].at, grads + t[STATE_B].at,
                                          grads + t[ACTION_B].at },
                                        grads + t[TIME_W].at };
  embeddings_back(n, &e, s->to_go, s->time, w->dsum, &into);
  px_mat_mul_ld(PX_MAT_T, PX_MAT_N, d, o, n, w->dsum + d, DT_TOKENS * d, s->state, o, 1,
                grads + t[STATE_W].at, o);
  px_mat_mul_ld(PX_MAT_T, PX_MAT_N, d, a, n, w->dsum + 2 * d, DT_TOKENS * d, s->action, a, 1,
                grads + t[ACTION_W].at, a);
}
