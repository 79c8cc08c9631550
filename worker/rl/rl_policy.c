/* Policies: acting on raw observations, and their safetensors file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/nn/mat.h"
#include "worker/rl/rl.h"

static const char format_name[] = "proxact.policy.v1";

static const char *const kind_names[] = { "tanh", "argmax" }; /* by enum rl_policy_kind */
enum { KINDS_N = sizeof kind_names / sizeof *kind_names };

enum { NET_ACTOR, NET_CRITIC, NETS_N };
static const char *const net_names[NETS_N] = { "actor", "critic" };

struct rl_policy {
  struct rl_spec spec;
  bool has_spec;               /* a loaded policy keeps no spec: its metadata has it */
  enum rl_policy_kind kind;
  uint32_t obs_dim, act_dim;
  uint32_t act_count;          /* of discrete actions; 0: they are continuous */
  float *mean, *scale;         /* [O] */
  float *low, *high;           /* [A] */
  struct px_mlp *nets[NETS_N]; /* the critic may be NULL */
  struct px_mlp_work *works[NETS_N];
  float *s, *sa;               /* [PX_MLP_CHUNK, O], [PX_MLP_CHUNK, O + A] */
};

void rl_policy_free(struct rl_policy *p) {
  if (!p) return;
  for (int i = 0; i < NETS_N; i++) {
    px_mlp_free(p->nets[i]);
    px_mlp_work_free(p->works[i]);
  }
  free(p->mean);
  free(p->scale);
  free(p->low);
  free(p->high);
  free(p->s);
  free(p->sa);
  free(p);
}

static struct rl_policy *policy_alloc(uint32_t obs_dim, uint32_t act_dim) {
  struct rl_policy *p = px_calloc(1, sizeof *p);
  if (!p) return NULL;
  p->obs_dim = obs_dim;
  p->act_dim = act_dim;
  p->mean = px_calloc(obs_dim, sizeof(float));
  p->scale = px_calloc(obs_dim, sizeof(float));
  p->low = px_calloc(act_dim, sizeof(float));
  p->high = px_calloc(act_dim, sizeof(float));
  p->s = px_calloc(PX_MLP_CHUNK, sizeof(float) * obs_dim);
  p->sa = px_calloc(PX_MLP_CHUNK, sizeof(float) * (obs_dim + act_dim));
  if (p->mean && p->scale && p->low && p->high && p->s && p->sa) return p;
  rl_policy_free(p);
  return NULL;
}

static enum px_status add_works(struct rl_policy *p, struct px_err *err) {
  for (int i = 0; i < NETS_N; i++)
    if (p->nets[i] && px_mlp_work_new(&p->nets[i]->shape, PX_MLP_CHUNK, &p->works[i]))
      return px_fail(err, PX_E_NO_MEMORY, "no memory for a policy");
  return PX_OK;
}

enum px_status rl_policy_new(const struct rl_spec *spec, const struct rl_data *data, const struct rl_nets *nets,
                             struct rl_policy **out, struct px_err *err) {
  struct rl_policy *p = policy_alloc(data->obs_dim, data->act_dim);
  if (!p) {
    px_mlp_free(nets->actor);
    px_mlp_free(nets->critic);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a policy");
  }
  p->spec = *spec;
  p->has_spec = true;
  p->kind = nets->kind;
  p->act_count = data->act_count;
  p->nets[NET_ACTOR] = nets->actor;
  p->nets[NET_CRITIC] = nets->critic;
  memcpy(p->mean, data->mean, sizeof(float) * p->obs_dim);
  memcpy(p->scale, data->scale, sizeof(float) * p->obs_dim);
  memcpy(p->low, data->ds->spaces.act_low, sizeof(float) * p->act_dim);
  memcpy(p->high, data->ds->spaces.act_high, sizeof(float) * p->act_dim);
  const enum px_status status = add_works(p, err);
  if (status) rl_policy_free(p);
  else *out = p;
  return status;
}

uint32_t rl_policy_obs_dim(const struct rl_policy *p) { return p->obs_dim; }
uint32_t rl_policy_act_dim(const struct rl_policy *p) { return p->act_dim; }
uint32_t rl_policy_act_count(const struct rl_policy *p) { return p->act_count; }

/* The first of the largest. */
static float index_of_largest(const float *y, size_t n) {
  size_t best = 0;
  for (size_t j = 1; j < n; j++)
    if (y[j] > y[best]) best = j;
  return (float)best;
}

/* Normalises n <= PX_MLP_CHUNK rows into p->s and gives the actions [n, A], in (-1, 1) or class indices. */
static const float *act_chunk(struct rl_policy *p, const float *obs, uint32_t n) {
  const size_t a = p->act_dim, out = p->nets[NET_ACTOR]->shape.out;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < p->obs_dim; j++)
      p->s[i * p->obs_dim + j] = (obs[i * p->obs_dim + j] - p->mean[j]) * (1 / p->scale[j]);
  float *y = px_mlp_forward(p->nets[NET_ACTOR], p->works[NET_ACTOR], p->s, n, NULL);
  for (size_t i = 0; i < n; i++) { /* in place: row i is read at i * out >= i * a */
    if (p->kind == RL_ARGMAX) y[i] = index_of_largest(y + i * out, out);
    else
      for (size_t j = 0; j < a; j++) y[i * a + j] = tanhf(y[i * out + j]);
  }
  return y;
}

void rl_policy_act(struct rl_policy *p, const float *obs, uint32_t n, float *actions) {
  const size_t a = p->act_dim;
  for (uint32_t row = 0; row < n; row += PX_MLP_CHUNK) {
    const uint32_t rows = n - row < PX_MLP_CHUNK ? n - row : PX_MLP_CHUNK;
    const float *y = act_chunk(p, obs + (size_t)row * p->obs_dim, rows);
    float *out = actions + row * a;
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < a; j++)
        out[i * a + j] = p->kind == RL_ARGMAX ? y[i] : 0.5F * (p->low[j] + p->high[j]) + 0.5F * (p->high[j] - p->low[j]) * y[i * a + j];
  }
}

/* Q [rows] of p->s and the actions y given. */
static void value_chunk(struct rl_policy *p, const float *y, uint32_t rows, float *values) {
  const size_t o = p->obs_dim, a = p->act_dim;
  struct px_mlp *critic = p->nets[NET_CRITIC];
  if (p->kind == RL_ARGMAX) {
    const float *q = px_mlp_forward(critic, p->works[NET_CRITIC], p->s, rows, NULL);
    for (size_t i = 0; i < rows; i++) values[i] = q[i * p->act_count + (size_t)y[i]];
    return;
  }
  for (size_t i = 0; i < rows; i++) {
    memcpy(p->sa + i * (o + a), p->s + i * o, o * sizeof(float));
    memcpy(p->sa + i * (o + a) + o, y + i * a, a * sizeof(float));
  }
  memcpy(values, px_mlp_forward(critic, p->works[NET_CRITIC], p->sa, rows, NULL), rows * sizeof(float));
}

bool rl_policy_value(struct rl_policy *p, const float *obs, uint32_t n, float *values) {
  if (!p->nets[NET_CRITIC]) return false;
  for (uint32_t row = 0; row < n; row += PX_MLP_CHUNK) {
    const uint32_t rows = n - row < PX_MLP_CHUNK ? n - row : PX_MLP_CHUNK;
    value_chunk(p, act_chunk(p, obs + (size_t)row * p->obs_dim, rows), rows, values + row);
  }
  return true;
}

/* ---- files */

enum { LAYERS_MAX = PX_MLP_HIDDEN_LAYERS_MAX + 1, TENSORS_MAX = 4 + NETS_N * 2 * LAYERS_MAX, NAME_MAX_BYTES = 32, HIDDEN_MAX = 4096 };

struct tensor_list { struct px_st_tensor tensors[TENSORS_MAX]; char names[TENSORS_MAX][NAME_MAX_BYTES]; size_t n; };

static void layer_name(int net, uint32_t l, const char *part, char name[NAME_MAX_BYTES]) {
  snprintf(name, NAME_MAX_BYTES, "%s.%u.%s", net_names[net], l, part);
}

/* cols 0: a vector. The name is in names[n] already. */
static void list_tensor(struct tensor_list *list, const float *data, uint32_t rows, uint32_t cols) {
  list->tensors[list->n] = (struct px_st_tensor){ .name = list->names[list->n], .dtype = PX_DTYPE_F32,
                                                  .rank = cols ? 2 : 1, .dims = { rows, cols }, .data = data };
  list->n++;
}

static void list_vector(struct tensor_list *list, const char *name, const float *data, uint32_t n) {
  snprintf(list->names[list->n], NAME_MAX_BYTES, "%s", name);
  list_tensor(list, data, n, 0);
}

static void list_net(struct tensor_list *list, int net, const struct px_mlp *mlp) {
  for (uint32_t l = 0; mlp && l <= mlp->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(mlp, l);
    layer_name(net, l, "weight", list->names[list->n]);
    list_tensor(list, mlp->params + layer.weight, layer.out, layer.in);
    layer_name(net, l, "bias", list->names[list->n]);
    list_tensor(list, mlp->params + layer.bias, layer.out, 0);
  }
}

enum px_status rl_policy_save(const struct rl_policy *p, const struct px_st_meta *lineage, size_t lineage_n,
                              struct px_buf *out, struct px_err *err) {
  struct rl_spec_text text;
  char profile[PX_MAT_PROFILE_MAX], count[16];
  struct tensor_list *list = px_calloc(1, sizeof *list);
  struct px_st_meta *meta = px_calloc(4 + RL_SPEC_META_MAX + lineage_n, sizeof *meta);
  enum px_status status = PX_E_NO_MEMORY;
  if (!list || !meta) {
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to write a policy");
    goto out;
  }
  list_vector(list, "obs_mean", p->mean, p->obs_dim);
  list_vector(list, "obs_scale", p->scale, p->obs_dim);
  list_vector(list, "act_low", p->low, p->act_dim);
  list_vector(list, "act_high", p->high, p->act_dim);
  for (int i = 0; i < NETS_N; i++) list_net(list, i, p->nets[i]);
  px_mat_profile(profile);
  size_t n = 0;
  meta[n++] = (struct px_st_meta){ "format", format_name };
  meta[n++] = (struct px_st_meta){ "kind", kind_names[p->kind] };
  meta[n++] = (struct px_st_meta){ "numeric_profile", profile };
  snprintf(count, sizeof count, "%u", p->act_count);
  if (p->act_count) meta[n++] = (struct px_st_meta){ "act_count", count };
  if (p->has_spec) n += rl_spec_meta(&p->spec, &text, meta + n);
  for (size_t i = 0; i < lineage_n; i++) meta[n++] = lineage[i];
  status = px_st_write(list->tensors, list->n, meta, n, out, err);
out:
  free(meta);
  free(list);
  return status;
}

static enum px_status take_vector(const struct px_st *st, const char *name, uint32_t n, float *out,
                                  struct px_err *err) {
  const void *data;
  const uint64_t dims[] = { n };
  const enum px_status status = px_st_take(st, name, PX_DTYPE_F32, 1, dims, &data, err);
  if (!status) memcpy(out, data, n * sizeof *out);
  return status;
}

static enum px_status take_layer(const struct px_st *st, int net, uint32_t l, struct px_mlp *mlp, struct px_err *err) {
  const struct px_mlp_layer layer = px_mlp_layer(mlp, l);
  const uint64_t dims[] = { layer.out, layer.in };
  const void *data;
  char name[NAME_MAX_BYTES];
  layer_name(net, l, "weight", name);
  const enum px_status status = px_st_take(st, name, PX_DTYPE_F32, 2, dims, &data, err);
  if (status) return status;
  memcpy(mlp->params + layer.weight, data, sizeof(float) * layer.out * layer.in);
  layer_name(net, l, "bias", name);
  return take_vector(st, name, layer.out, mlp->params + layer.bias, err);
}

/* A layer's width, from its bias. */
static enum px_status take_width(const struct px_st *st, int net, uint32_t l, uint32_t *width, struct px_err *err) {
  char name[NAME_MAX_BYTES];
  layer_name(net, l, "bias", name);
  const struct px_st_tensor *bias = px_st_find(st, name);
  if (!bias || bias->rank != 1 || bias->dims[0] > HIDDEN_MAX)
    return px_fail(err, PX_E_BAD_DATA, "the tensor %s is missing or malformed", name);
  *width = (uint32_t)bias->dims[0];
  return PX_OK;
}

/* The layers' number and widths follow from the tensors' names and shapes. */
static enum px_status take_net(const struct px_st *st, int net, uint32_t in, struct px_mlp **out, struct px_err *err) {
  char name[NAME_MAX_BYTES];
  uint32_t layers = 0;
  for (layer_name(net, 0, "weight", name); layers <= LAYERS_MAX && px_st_find(st, name); )
    layer_name(net, ++layers, "weight", name);
  if (layers < 2 || layers > LAYERS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "%u layers of the %s were found", layers, net_names[net]);
  uint32_t hidden = 0, width = 0;
  enum px_status status = take_width(st, net, 0, &hidden, err);
  if (!status) status = take_width(st, net, layers - 1, &width, err);
  if (status) return status;
  const struct px_mlp_shape shape = { in, width, hidden, layers - 1, 0 };
  struct px_mlp *mlp;
  if (px_mlp_new(&shape, &mlp, err)) return px_fail(err, PX_E_BAD_DATA, "the %s has an impossible shape", net_names[net]);
  for (uint32_t l = 0; l < layers; l++) {
    if (!(status = take_layer(st, net, l, mlp, err))) continue;
    px_mlp_free(mlp);
    return status;
  }
  *out = mlp;
  return PX_OK;
}

static enum px_status take_kind(const struct px_st *st, enum rl_policy_kind *kind, struct px_err *err) {
  const char *name = px_st_meta(st, "kind");
  for (int i = 0; name && i < KINDS_N; i++) {
    if (strcmp(name, kind_names[i]) != 0) continue;
    *kind = (enum rl_policy_kind)i;
    return PX_OK;
  }
  return px_fail(err, PX_E_BAD_DATA, "this build cannot act with a policy of kind '%.32s'", name ? name : "");
}

/* The kind fits the nets' outputs. */
static enum px_status check_outputs(const struct rl_policy *p, struct px_err *err) {
  const struct px_mlp *actor = p->nets[NET_ACTOR], *critic = p->nets[NET_CRITIC];
  if (p->kind == RL_ARGMAX
        ? p->act_dim == 1 && p->act_count >= 2 && actor->shape.out == p->act_count
            && (!critic || critic->shape.out == p->act_count)
        : !p->act_count && actor->shape.out >= p->act_dim && (!critic || critic->shape.out == 1))
    return PX_OK;
  return px_fail(err, PX_E_BAD_DATA, "the nets' outputs do not fit %u action dimensions, %u discrete actions", p->act_dim,
                 p->act_count);
}

static enum px_status take_count(const struct px_st *st, uint32_t *count, struct px_err *err) {
  const char *text = px_st_meta(st, "act_count");
  char *end;
  const unsigned long n = text ? strtoul(text, &end, 10) : 0;
  if (text && (*end || n < 2 || n > PX_ACT_COUNT_MAX))
    return px_fail(err, PX_E_BAD_DATA, "act_count is '%.32s'", text);
  *count = (uint32_t)n;
  return PX_OK;
}

static enum px_status take_policy(const struct px_st *st, struct rl_policy *p, struct px_err *err) {
  enum px_status status;
  if ((status = take_vector(st, "obs_mean", p->obs_dim, p->mean, err))) return status;
  if ((status = take_vector(st, "obs_scale", p->obs_dim, p->scale, err))) return status;
  if ((status = take_vector(st, "act_low", p->act_dim, p->low, err))) return status;
  if ((status = take_vector(st, "act_high", p->act_dim, p->high, err))) return status;
  for (uint32_t j = 0; j < p->obs_dim; j++)
    if (!(p->scale[j] > 0)) return px_fail(err, PX_E_BAD_DATA, "obs_scale[%u] is not above 0", j);
  if ((status = take_kind(st, &p->kind, err))) return status;
  if ((status = take_count(st, &p->act_count, err))) return status;
  if ((status = take_net(st, NET_ACTOR, p->obs_dim, &p->nets[NET_ACTOR], err))) return status;
  const uint32_t critic_in = p->obs_dim + (p->kind == RL_ARGMAX ? 0 : p->act_dim);
  if (px_st_find(st, "critic.0.weight") && (status = take_net(st, NET_CRITIC, critic_in, &p->nets[NET_CRITIC], err)))
    return status;
  if ((status = check_outputs(p, err))) return status;
  return add_works(p, err);
}

enum px_status rl_policy_load(const void *bytes, size_t n, struct rl_policy **out, struct px_err *err) {
  struct px_st *st;
  struct rl_policy *p = NULL;
  enum px_status status = px_st_parse(bytes, n, &st, err);
  if (status) return status;
  const char *format = px_st_meta(st, "format");
  const struct px_st_tensor *mean = px_st_find(st, "obs_mean"), *low = px_st_find(st, "act_low");
  if (!format || strcmp(format, format_name) != 0 || !mean || mean->rank != 1 || mean->dims[0] > PX_OBS_MAX || !low
      || low->rank != 1 || low->dims[0] > PX_ACT_MAX) {
    status = px_fail(err, PX_E_BAD_DATA, "this file is not a policy (%s)", format_name);
    goto out;
  }
  p = policy_alloc((uint32_t)mean->dims[0], (uint32_t)low->dims[0]);
  status = p ? take_policy(st, p, err) : px_fail(err, PX_E_NO_MEMORY, "no memory for a policy");
  if (status) rl_policy_free(p);
  else *out = p;
out:
  px_st_free(st);
  return status;
}
