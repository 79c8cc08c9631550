/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors file of a policy; rl.h says what is in it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/nn/mat.h"
#include "lib/rl/rl_policy.h"

static const char format_name[] = "proxact.policy.v1", clip_key[] = "obs_clip";

/* by enum rl_policy_kind */
static const char *const kind_names[] = { "tanh", "argmax", "transformer" };
enum { KINDS_N = sizeof kind_names / sizeof *kind_names };

static const char *const net_names[RL_NETS_N] = { "actor", "critic" };

enum {
  LAYERS_MAX = PX_MLP_HIDDEN_LAYERS_MAX + 1,
  STATISTICS_N = 4, /* obs_mean, obs_scale, act_low, act_high */
  TENSORS_MAX = STATISTICS_N + RL_NETS_N * 4 * LAYERS_MAX + DT_TENSORS_MAX,
  NAME_MAX_BYTES = 16 + PX_TENSOR_NAME_MAX,
  HIDDEN_MAX = 4096
};

struct tensor_list {
  struct px_safetensors_tensor tensors[TENSORS_MAX];
  char names[TENSORS_MAX][NAME_MAX_BYTES];
  size_t n;
};

static void layer_name(int net, uint32_t l, const char *part, char name[NAME_MAX_BYTES]) {
  snprintf(name, NAME_MAX_BYTES, "%s.%u.%s", net_names[net], l, part);
}

/* cols 0: a vector. The name is in names[n] already. */
static void list_tensor(struct tensor_list *list, const float *data, uint32_t rows, uint32_t cols) {
  list->tensors[list->n] = (struct px_safetensors_tensor){ .name = list->names[list->n],
                                                           .dtype = PX_DTYPE_F32,
                                                           .rank = cols ? 2 : 1,
                                                           .dims = { rows, cols },
                                                           .data = data };
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
    if (layer.gain == layer.shift) continue;
    layer_name(net, l, "gain", list->names[list->n]);
    list_tensor(list, mlp->params + layer.gain, layer.out, 0);
    layer_name(net, l, "shift", list->names[list->n]);
    list_tensor(list, mlp->params + layer.shift, layer.out, 0);
  }
}

static const char sequence_prefix[] = "transformer.";

static void list_sequence(struct tensor_list *list, const struct dt_net *net) {
  for (size_t i = 0; net && i < net->tensors_n; i++) {
    const struct px_tensor *t = &net->tensors[i];
    snprintf(list->names[list->n], NAME_MAX_BYTES, "%s%s", sequence_prefix, t->name);
    list_tensor(list, net->params + t->at, t->rows, t->cols);
  }
}

/* What a transformer's tensors do not say, as metadata. */
enum {
  SEQUENCE_HEADS,
  SEQUENCE_CONTEXT,
  SEQUENCE_RETURN_SCALE,
  SEQUENCE_TARGET_RETURN,
  SEQUENCE_META
};
static const char *const sequence_keys[SEQUENCE_META] = { "transformer_heads",
                                                          "transformer_context",
                                                          "transformer_return_scale",
                                                          "transformer_target_return" };
struct sequence_text {
  char value[SEQUENCE_META][32];
};

static size_t sequence_meta(const struct rl_sequence *q, struct sequence_text *text,
                            struct px_safetensors_meta *meta) {
  if (!q->net) return 0;
  const struct dt_shape *s = &q->net->shape;
  const double values[SEQUENCE_META] = { s->heads, s->context, q->return_scale, q->target_return };
  for (size_t i = 0; i < SEQUENCE_META; i++) {
    snprintf(text->value[i], sizeof text->value[i], "%.17g", values[i]);
    meta[i] = (struct px_safetensors_meta){ sequence_keys[i], text->value[i] };
  }
  return SEQUENCE_META;
}

enum px_status rl_policy_save(const struct rl_policy *p, const struct px_safetensors_meta *lineage,
                              size_t lineage_n, struct px_buf *out, struct px_err *err) {
  struct rl_spec_text text;
  struct sequence_text sequence;
  char profile[PX_MAT_PROFILE_MAX], count[16], clip[32];
  struct tensor_list *list = px_mem_calloc(1, sizeof *list);
  struct px_safetensors_meta *meta =
    px_mem_calloc(5 + RL_SPEC_META_MAX + SEQUENCE_META + lineage_n, sizeof *meta);
  enum px_status status = PX_E_NO_MEMORY;
  if (!list || !meta) {
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to write a policy");
    goto out;
  }
  list_vector(list, "obs_mean", p->mean, p->obs_dim);
  list_vector(list, "obs_scale", p->scale, p->obs_dim);
  list_vector(list, "act_low", p->low, p->act_dim);
  list_vector(list, "act_high", p->high, p->act_dim);
  for (int i = 0; i < RL_NETS_N; i++) list_net(list, i, p->nets[i]);
  list_sequence(list, p->sequence.net);
  px_mat_profile(profile);
  size_t n = 0;
  meta[n++] = (struct px_safetensors_meta){ "format", format_name };
  meta[n++] = (struct px_safetensors_meta){ "kind", kind_names[p->kind] };
  meta[n++] = (struct px_safetensors_meta){ "numeric_profile", profile };
  snprintf(clip, sizeof clip, "%.9g", (double)p->clip);
  if (isfinite(p->clip)) meta[n++] = (struct px_safetensors_meta){ clip_key, clip };
  snprintf(count, sizeof count, "%u", p->act_count);
  if (p->act_count) meta[n++] = (struct px_safetensors_meta){ "act_count", count };
  n += sequence_meta(&p->sequence, &sequence, meta + n);
  if (p->has_spec) n += rl_spec_meta(&p->spec, &text, meta + n);
  for (size_t i = 0; i < lineage_n; i++) meta[n++] = lineage[i];
  status = px_safetensors_write(list->tensors, list->n, meta, n, out, err);
out:
  free(meta);
  free(list);
  return status;
}

static enum px_status take_vector(const struct px_safetensors *st, const char *name, uint32_t n,
                                  float *out, struct px_err *err) {
  const void *data;
  const uint64_t dims[] = { n };
  const enum px_status status = px_safetensors_take(st, name, PX_DTYPE_F32, 1, dims, &data, err);
  if (!status) memcpy(out, data, n * sizeof *out);
  return status;
}

static enum px_status take_layer(const struct px_safetensors *st, int net, uint32_t l,
                                 struct px_mlp *mlp, struct px_err *err) {
  const struct px_mlp_layer layer = px_mlp_layer(mlp, l);
  const uint64_t dims[] = { layer.out, layer.in };
  const void *data;
  char name[NAME_MAX_BYTES];
  layer_name(net, l, "weight", name);
  enum px_status status = px_safetensors_take(st, name, PX_DTYPE_F32, 2, dims, &data, err);
  if (status) return status;
  memcpy(mlp->params + layer.weight, data, sizeof(float) * layer.out * layer.in);
  layer_name(net, l, "bias", name);
  status = take_vector(st, name, layer.out, mlp->params + layer.bias, err);
  if (status || layer.gain == layer.shift) return status;
  layer_name(net, l, "gain", name);
  if ((status = take_vector(st, name, layer.out, mlp->params + layer.gain, err))) return status;
  layer_name(net, l, "shift", name);
  return take_vector(st, name, layer.out, mlp->params + layer.shift, err);
}

/* A layer's width, from its bias. */
static enum px_status take_width(const struct px_safetensors *st, int net, uint32_t l,
                                 uint32_t *width, struct px_err *err) {
  char name[NAME_MAX_BYTES];
  layer_name(net, l, "bias", name);
  const struct px_safetensors_tensor *bias = px_safetensors_find(st, name);
  if (!bias || bias->rank != 1 || bias->dims[0] > HIDDEN_MAX)
    return px_fail(err, PX_E_BAD_DATA, "the tensor %s is missing or malformed", name);
  *width = (uint32_t)bias->dims[0];
  return PX_OK;
}

/* The layers' number and widths follow from the tensors' names and shapes; nets with layer norms
 * have their gains. */
static enum px_status take_net(const struct px_safetensors *st, int net, uint32_t in,
                               struct px_mlp **out, struct px_err *err) {
  char name[NAME_MAX_BYTES];
  uint32_t layers = 0;
  for (layer_name(net, 0, "weight", name); layers <= LAYERS_MAX && px_safetensors_find(st, name);)
    layer_name(net, ++layers, "weight", name);
  if (layers < 2 || layers > LAYERS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "%u layers of the %s were found", layers, net_names[net]);
  uint32_t hidden = 0, width = 0;
  enum px_status status = take_width(st, net, 0, &hidden, err);
  if (!status) status = take_width(st, net, layers - 1, &width, err);
  if (status) return status;
  layer_name(net, 0, "gain", name);
  const struct px_mlp_shape shape = { .in = in,
                                      .out = width,
                                      .hidden = hidden,
                                      .layers = layers - 1,
                                      .layer_norm = px_safetensors_find(st, name) != NULL };
  struct px_mlp *mlp;
  if (px_mlp_new(&shape, &mlp, err))
    return px_fail(err, PX_E_BAD_DATA, "the %s has an impossible shape", net_names[net]);
  for (uint32_t l = 0; l < layers; l++) {
    if (!(status = take_layer(st, net, l, mlp, err))) continue;
    px_mlp_free(mlp);
    return status;
  }
  *out = mlp;
  return PX_OK;
}

/* ---- transformers */

static enum px_status take_number(const struct px_safetensors *st, int which, double low,
                                  double high, double *out, struct px_err *err) {
  const char *text = px_safetensors_meta(st, sequence_keys[which]);
  char *end = NULL;
  const double value = text ? strtod(text, &end) : 0;
  if (!text || end == text || *end || !(value >= low && value <= high))
    return px_fail(err, PX_E_BAD_DATA, "%s is '%.32s'", sequence_keys[which], text ? text : "");
  *out = value;
  return PX_OK;
}

/* Rows of a tensor of that name; 0 if there is none. */
static uint32_t rows_of(const struct px_safetensors *st, const char *name) {
  char full[NAME_MAX_BYTES];
  snprintf(full, sizeof full, "%s%s", sequence_prefix, name);
  const struct px_safetensors_tensor *tensor = px_safetensors_find(st, full);
  return tensor && tensor->rank && tensor->dims[0] <= UINT32_MAX ? (uint32_t)tensor->dims[0] : 0;
}

static uint32_t count_layers(const struct px_safetensors *st) {
  char name[PX_TENSOR_NAME_MAX];
  uint32_t n = 0;
  for (; n <= PX_TRANSFORMER_LAYERS_MAX; n++) {
    snprintf(name, sizeof name, "layer%u.norm1.bias", n);
    if (!rows_of(st, name)) break;
  }
  return n;
}

static enum px_status take_tensors(const struct px_safetensors *st, struct dt_net *net,
                                   struct px_err *err) {
  if (px_safetensors_tensors_n(st) != STATISTICS_N + net->tensors_n)
    return px_fail(err, PX_E_BAD_DATA,
                   "%zu tensors of a policy, where a transformer of %u layers has %zu",
                   px_safetensors_tensors_n(st), net->shape.layers, STATISTICS_N + net->tensors_n);
  for (size_t i = 0; i < net->tensors_n; i++) {
    const struct px_tensor *t = &net->tensors[i];
    const uint64_t dims[] = { t->rows, t->cols };
    char name[NAME_MAX_BYTES];
    const void *data;
    snprintf(name, sizeof name, "%s%s", sequence_prefix, t->name);
    const enum px_status status =
      px_safetensors_take(st, name, PX_DTYPE_F32, t->cols ? 2 : 1, dims, &data, err);
    if (status) return status;
    memcpy(net->params + t->at, data, px_tensor_n(t) * sizeof(float));
  }
  return PX_OK;
}

static enum px_status take_sequence(const struct px_safetensors *st, struct rl_policy *p,
                                    struct px_err *err) {
  struct rl_sequence *q = &p->sequence;
  double heads = 0, context = 0;
  enum px_status status = take_number(st, SEQUENCE_HEADS, 1, HIDDEN_MAX, &heads, err);
  if (!status)
    status = take_number(st, SEQUENCE_CONTEXT, 1, PX_TRANSFORMER_TOKENS_MAX, &context, err);
  if (!status)
    status = take_number(st, SEQUENCE_RETURN_SCALE, -HUGE_VAL, HUGE_VAL, &q->return_scale, err);
  if (!status)
    status = take_number(st, SEQUENCE_TARGET_RETURN, -HUGE_VAL, HUGE_VAL, &q->target_return, err);
  if (status) return status;
  const struct dt_shape shape = {
    .obs_dim = p->obs_dim,
    .act_dim = p->act_count ? p->act_count : p->act_dim,
    .discrete = p->act_count > 0,
    .context = (uint32_t)context,
    .timesteps = rows_of(st, "time.weight"),
    .width = rows_of(st, "embedding_norm.bias"),
    .layers = count_layers(st),
    .heads = (uint32_t)heads,
  };
  if (dt_net_new(&shape, &q->net, err))
    return px_fail(err, PX_E_BAD_DATA, "the transformer has an impossible shape");
  return take_tensors(st, q->net, err);
}

/* ---- policies */

static enum px_status take_kind(const struct px_safetensors *st, enum rl_policy_kind *kind,
                                struct px_err *err) {
  const char *name = px_safetensors_meta(st, "kind");
  for (int i = 0; name && i < KINDS_N; i++) {
    if (strcmp(name, kind_names[i]) != 0) continue;
    *kind = (enum rl_policy_kind)i;
    return PX_OK;
  }
  return px_fail(err, PX_E_BAD_DATA, "this build cannot act with a policy of kind '%.32s'",
                 name ? name : "");
}

/* The kind fits the nets' outputs. */
static enum px_status check_outputs(const struct rl_policy *p, struct px_err *err) {
  const struct px_mlp *actor = p->nets[RL_ACTOR], *critic = p->nets[RL_CRITIC];
  if (p->act_count && p->act_dim != 1)
    return px_fail(err, PX_E_BAD_DATA, "%u discrete actions in %u dimensions", p->act_count,
                   p->act_dim);
  /* its tensors were taken by the policy's dimensions */
  if (p->kind == RL_TRANSFORMER) return PX_OK;
  if (p->kind == RL_ARGMAX
        ? p->act_count >= 2 && actor->shape.out == p->act_count &&
            (!critic || critic->shape.out == p->act_count)
        : !p->act_count && actor->shape.out >= p->act_dim && (!critic || critic->shape.out == 1))
    return PX_OK;
  return px_fail(err, PX_E_BAD_DATA,
                 "the nets' outputs do not fit %u action dimensions, %u discrete actions",
                 p->act_dim, p->act_count);
}

static enum px_status take_count(const struct px_safetensors *st, uint32_t *count,
                                 struct px_err *err) {
  const char *text = px_safetensors_meta(st, "act_count");
  char *end;
  const unsigned long n = text ? strtoul(text, &end, 10) : 0;
  if (text && (*end || n < 2 || n > PX_ACT_COUNT_MAX))
    return px_fail(err, PX_E_BAD_DATA, "act_count is '%.32s'", text);
  *count = (uint32_t)n;
  return PX_OK;
}

/* Files of older versions have none, and are not clipped. */
static enum px_status take_clip(const struct px_safetensors *st, float *clip, struct px_err *err) {
  const char *text = px_safetensors_meta(st, clip_key);
  char *end;
  *clip = text ? strtof(text, &end) : HUGE_VALF;
  if (text && (end == text || *end || !(*clip > 0)))
    return px_fail(err, PX_E_BAD_DATA, "obs_clip is '%.32s'", text);
  return PX_OK;
}

static double gamma_of(const struct px_safetensors *st) {
  const char *text = px_safetensors_meta(st, "gamma");
  char *end;
  const double gamma = text ? strtod(text, &end) : 1;
  return text && end != text && !*end && gamma >= 0 && gamma <= 1 ? gamma : 1;
}

static enum px_status take_policy(const struct px_safetensors *st, struct rl_policy *p,
                                  struct px_err *err) {
  enum px_status status;
  p->gamma = gamma_of(st);
  if ((status = take_vector(st, "obs_mean", p->obs_dim, p->mean, err))) return status;
  if ((status = take_vector(st, "obs_scale", p->obs_dim, p->scale, err))) return status;
  if ((status = take_vector(st, "act_low", p->act_dim, p->low, err))) return status;
  if ((status = take_vector(st, "act_high", p->act_dim, p->high, err))) return status;
  for (uint32_t j = 0; j < p->obs_dim; j++)
    if (!(p->scale[j] > 0)) return px_fail(err, PX_E_BAD_DATA, "obs_scale[%u] is not above 0", j);
  if ((status = take_clip(st, &p->clip, err))) return status;
  if ((status = take_kind(st, &p->kind, err))) return status;
  if ((status = take_count(st, &p->act_count, err))) return status;
  if (p->kind == RL_TRANSFORMER) {
    status = take_sequence(st, p, err);
    if (!status) status = check_outputs(p, err);
    return status ? status : rl_policy_ready(p, err);
  }
  if ((status = take_net(st, RL_ACTOR, p->obs_dim, &p->nets[RL_ACTOR], err))) return status;
  const uint32_t critic_in = p->obs_dim + (p->kind == RL_ARGMAX ? 0 : p->act_dim);
  if (px_safetensors_find(st, "critic.0.weight") &&
      (status = take_net(st, RL_CRITIC, critic_in, &p->nets[RL_CRITIC], err)))
    return status;
  if ((status = check_outputs(p, err))) return status;
  return rl_policy_ready(p, err);
}

enum px_status rl_policy_load(const void *bytes, size_t n, struct rl_policy **out,
                              struct px_err *err) {
  struct px_safetensors *st;
  struct rl_policy *p = NULL;
  enum px_status status = px_safetensors_parse(bytes, n, &st, err);
  if (status) return status;
  const char *format = px_safetensors_meta(st, "format");
  const struct px_safetensors_tensor *mean = px_safetensors_find(st, "obs_mean"),
                                     *low = px_safetensors_find(st, "act_low");
  if (!format || strcmp(format, format_name) != 0 || !mean || mean->rank != 1 ||
      mean->dims[0] > PX_OBS_MAX || !low || low->rank != 1 || low->dims[0] > PX_ACT_MAX) {
    status = px_fail(err, PX_E_BAD_DATA, "this file is not a policy (%s)", format_name);
    goto out;
  }
  p = rl_policy_alloc((uint32_t)mean->dims[0], (uint32_t)low->dims[0]);
  status = p ? take_policy(st, p, err) : px_fail(err, PX_E_NO_MEMORY, "no memory for a policy");
  if (status) rl_policy_free(p);
  else *out = p;
out:
  px_safetensors_free(st);
  return status;
}
