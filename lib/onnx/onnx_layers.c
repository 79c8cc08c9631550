/* SPDX-License-Identifier: Apache-2.0 */
/* Layers: see onnx_parts.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/onnx/onnx_parts.h"

enum { NAME_MAX_BYTES = 96, LAYERS_MAX = 16, WIDTH_MAX = 65536 };

/* As in the nets: lib/nn/layer_norm.c. */
static const float norm_epsilon = 1e-5F;

const void *px_onnx_data(struct px_onnx *o, const char *name, enum px_dtype dtype, uint32_t rank,
                         const uint64_t *dims) {
  const void *data = NULL;
  if (!o->status) o->status = px_safetensors_take(o->file, name, dtype, rank, dims, &data, o->err);
  return o->status ? NULL : data;
}

uint32_t px_onnx_rows(const struct px_onnx *o, const char *name) {
  const struct px_safetensors_tensor *t = px_safetensors_find(o->file, name);
  return t && (t->rank == 1 || t->rank == 2) && t->dims[0] <= WIDTH_MAX ? (uint32_t)t->dims[0] : 0;
}

const char *px_onnx_word(const struct px_onnx *o, const char *key) {
  const char *word = px_safetensors_meta(o->file, key);
  return word ? word : "";
}

double px_onnx_real(struct px_onnx *o, const char *key) {
  const char *text = px_onnx_word(o, key);
  char *end;
  const double value = strtod(text, &end);
  if (end != text && !*end && isfinite(value)) return value;
  if (!o->status)
    o->status = px_fail(o->err, PX_E_BAD_DATA, "the model's %s is '%.32s'", key, text);
  return 0;
}

uint32_t px_onnx_count(struct px_onnx *o, const char *key, uint32_t low, uint32_t high) {
  const double value = px_onnx_real(o, key);
  if (value >= low && value <= high && value == floor(value)) return (uint32_t)value;
  if (!o->status)
    o->status =
      px_fail(o->err, PX_E_BAD_DATA, "the model's %s is not from %u to %u", key, low, high);
  return low;
}

/* Rows [first, first + rows) of a tensor as a constant; cols 0: a vector. */
static const char *put_rows(struct px_onnx *o, const char *name, uint32_t all, uint32_t cols,
                            uint32_t first, uint32_t rows) {
  const uint64_t dims[] = { all, cols };
  const float *data = px_onnx_data(o, name, PX_DTYPE_F32, cols ? 2 : 1, dims);
  if (!data) return NULL;
  char full[NAME_MAX_BYTES];
  snprintf(full, sizeof full, rows < all ? "%s%s.%u" : "%s%s", o->prefix, name, first);
  const int64_t shape[] = { rows, cols };
  return px_graph_tensor(o->graph, full, PX_DTYPE_F32, cols ? 2 : 1, shape,
                         data + (size_t)first * (cols ? cols : 1));
}

static const char *put_vector(struct px_onnx *o, const char *name, uint32_t n) {
  return put_rows(o, name, n, 0, 0, n);
}

const char *px_onnx_linear(struct px_onnx *o, const char *x, const struct px_onnx_layer *l) {
  char weight[NAME_MAX_BYTES], bias[NAME_MAX_BYTES];
  snprintf(weight, sizeof weight, "%s.weight", l->name);
  snprintf(bias, sizeof bias, "%s.bias", l->name);
  const uint32_t all = px_onnx_rows(o, weight), rows = l->rows ? l->rows : all;
  if (!o->status && (!all || rows > all || l->first > all - rows))
    o->status = px_fail(o->err, PX_E_BAD_DATA, "the tensor %s is missing or malformed", weight);
  const char *w = put_rows(o, weight, all, l->in, l->first, rows),
             *b = put_rows(o, bias, all, 0, l->first, rows);
  struct px_graph *g = o->graph;
  if (!l->sequences)
    return px_graph_node(g, "Gemm", (const char *const[]){ x, w, b }, 3,
                         &(struct px_graph_attr){ .name = "transB", .number = 1 }, 1);
  const int64_t turned[] = { 1, 0 };
  const char *columns =
    px_graph_node(g, "Transpose", &w, 1,
                  &(struct px_graph_attr){ .name = "perm", .list = turned, .n = 2 }, 1);
  return px_graph_binary(g, "Add", px_graph_binary(g, "MatMul", x, columns), b);
}

const char *px_onnx_norm(struct px_onnx *o, const char *x, uint32_t width, const char *gain,
                         const char *shift) {
  const char *const inputs[] = { x, put_vector(o, gain, width), put_vector(o, shift, width) };
  const struct px_graph_attr attrs[] = { { .name = "axis", .number = -1 },
                                         { .name = "epsilon", .real = norm_epsilon } };
  return px_graph_node(o->graph, "LayerNormalization", inputs, 3, attrs, 2);
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
const char *px_onnx_gelu(struct px_onnx *o, const char *x) {
  struct px_graph *g = o->graph;
  const char *one = px_graph_number(g, 1);
  const char *cube =
    px_graph_binary(g, "Mul", px_graph_binary(g, "Mul", x, x), px_graph_number(g, 0.044715F));
  const char *bent = px_graph_binary(g, "Mul", x, px_graph_binary(g, "Add", cube, one));
  const char *gate =
    px_graph_unary(g, "Tanh", px_graph_binary(g, "Mul", bent, px_graph_number(g, 0.7978845608F)));
  return px_graph_binary(g, "Mul", px_graph_binary(g, "Mul", x, px_graph_number(g, 0.5F)),
                         px_graph_binary(g, "Add", gate, one));
}

static bool has(const struct px_onnx *o, const char *net, uint32_t l, const char *part,
                char *name) {
  snprintf(name, NAME_MAX_BYTES, "%s.%u%s", net, l, part);
  return px_safetensors_find(o->file, name) != NULL;
}

const char *px_onnx_net(struct px_onnx *o, const char *x, const struct px_onnx_net *net) {
  char name[NAME_MAX_BYTES], gain[NAME_MAX_BYTES], shift[NAME_MAX_BYTES];
  uint32_t in = net->in;
  for (uint32_t l = 0; !o->status; l++) {
    const bool last = !has(o, net->name, l + 1, ".weight", name);
    if (l == LAYERS_MAX)
      o->status = px_fail(o->err, PX_E_BAD_DATA, "%s has more than %u layers", net->name, l);
    snprintf(name, sizeof name, "%s.%u", net->name, l);
    x = px_onnx_linear(o, x,
                       &(struct px_onnx_layer){
                         .name = name, .in = in, .rows = last ? net->outputs : 0 });
    if (last) return x;
    x = net->gelu ? px_onnx_gelu(o, x) : px_graph_unary(o->graph, "Relu", x);
    (void)has(o, net->name, l, ".bias", name);
    in = px_onnx_rows(o, name);
    if (!has(o, net->name, l, ".gain", gain)) continue;
    (void)has(o, net->name, l, ".shift", shift);
    x = px_onnx_norm(o, x, in, gain, shift);
  }
  return NULL;
}

const char *px_onnx_ranged(struct px_onnx *o, const char *x, uint32_t act_dim, const float *low,
                           const float *high) {
  const int64_t n = act_dim;
  float *middle, *half;
  const char *add = px_graph_floats(o->graph, 1, &n, &middle),
             *scale = px_graph_floats(o->graph, 1, &n, &half);
  for (uint32_t j = 0; middle && half && j < act_dim; j++) {
    middle[j] = 0.5F * (low[j] + high[j]);
    half[j] = 0.5F * (high[j] - low[j]);
  }
  return px_graph_binary(o->graph, "Add", px_graph_binary(o->graph, "Mul", x, scale), add);
}

/* A dimension that is left out has an infinite scale: its factor is 0. */
const char *px_onnx_normalised(struct px_onnx *o, const char *observations, uint32_t obs_dim) {
  struct px_graph *g = o->graph;
  const uint64_t dims[] = { obs_dim };
  const int64_t n = obs_dim;
  const float *mean = px_onnx_data(o, "obs_mean", PX_DTYPE_F32, 1, dims),
              *scale = px_onnx_data(o, "obs_scale", PX_DTYPE_F32, 1, dims);
  float *inverse;
  const char *away = px_graph_binary(g, "Sub", observations,
                                     px_graph_tensor(g, "obs_mean", PX_DTYPE_F32, 1, &n, mean)),
             *x = px_graph_binary(g, "Mul", away, px_graph_floats(g, 1, &n, &inverse));
  for (uint32_t j = 0; scale && inverse && j < obs_dim; j++) inverse[j] = 1 / scale[j];
  if (!*px_onnx_word(o, "obs_clip")) return x; /* files of older versions are not clipped */
  const float clip = (float)px_onnx_real(o, "obs_clip");
  const char *const inputs[] = { x, px_graph_number(g, -clip), px_graph_number(g, clip) };
  return px_graph_node(g, "Clip", inputs, 3, NULL, 0);
}

void px_onnx_decide(struct px_onnx *o, const char *y, const struct px_onnx_spaces *s) {
  struct px_graph *g = o->graph;
  if (!s->act_count) {
    const char *actions =
      px_onnx_ranged(o, px_graph_unary(g, "Tanh", y), s->act_dim, s->low, s->high);
    px_graph_output(
      g, actions,
      &(struct px_graph_door){
        "actions", "In the dataset's units.", PX_DTYPE_F32, 2, { PX_GRAPH_BATCH, s->act_dim } });
    return;
  }
  const struct px_graph_attr attrs[] = { { .name = "axis", .number = -1 },
                                         { .name = "keepdims", .number = 0 } };
  px_graph_output(g, px_graph_node(g, "ArgMax", &y, 1, attrs, 2),
                  &(struct px_graph_door){
                    "actions", "The action's index.", PX_DTYPE_I64, 1, { PX_GRAPH_BATCH } });
}
