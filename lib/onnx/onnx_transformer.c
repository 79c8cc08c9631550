/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies of kind transformer as graphs: see onnx.h. L = 3 T tokens of width D, H heads:
 *
 *   x [N, L, D]: returns, states and actions in turn, each embedded and with its step's embedding
 *   a layer: x += W_o softmax(q k' / sqrt(D / H) + later) v;  x += W_2 gelu(W_1 norm(x))
 *   the action: from the last state's token, the last but one
 */
#include <math.h>
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/onnx/onnx_parts.h"

enum { TOKENS = 3, CONTEXT_MAX = 341, HEADS_MAX = 4096, LAYERS_MAX = 12, NAME_MAX_BYTES = 64 };
/* Added to scores of later tokens; finite, so that runtimes of lesser precision take it too. */
static const float later_score = -1e30F;

struct transformer {
  struct px_onnx *o;
  const struct px_onnx_spaces *s;
  uint32_t width, heads, context, token; /* token: numbers of an action's token */
  const char *later;                     /* [L, L] */
};

static const char *linear(const struct transformer *t, const char *x, const char *name, uint32_t in,
                          uint32_t part) {
  char full[NAME_MAX_BYTES];
  snprintf(full, sizeof full, "transformer.%s", name);
  /* part of three: rows of the attention's queries, keys or values */
  const struct px_onnx_layer layer = { .name = full,
                                       .in = in,
                                       .first = part ? (part - 1) * t->width : 0,
                                       .rows = part ? t->width : 0,
                                       .sequences = true };
  return px_onnx_linear(t->o, x, &layer);
}

static const char *norm(const struct transformer *t, const char *x, const char *name) {
  char gain[NAME_MAX_BYTES], shift[NAME_MAX_BYTES];
  snprintf(gain, sizeof gain, "transformer.%s.weight", name);
  snprintf(shift, sizeof shift, "transformer.%s.bias", name);
  return px_onnx_norm(t->o, x, t->width, gain, shift);
}

static const char *reshape(struct px_graph *g, const char *x, uint32_t n, const int64_t *dims) {
  return px_graph_binary(g, "Reshape", x, px_graph_whole(g, n, dims));
}

static const char *unsqueeze(struct px_graph *g, const char *x, int64_t axis) {
  return px_graph_binary(g, "Unsqueeze", x, px_graph_whole(g, 1, &axis));
}

/* ---- tokens */

/* 0, 1, ... [n] */
static const char *classes(struct px_graph *g, uint32_t n) {
  const int64_t zero = 0, one = 1, end = n;
  const char *const inputs[] = { px_graph_whole(g, 0, &zero), px_graph_whole(g, 0, &end),
                                 px_graph_whole(g, 0, &one) };
  return px_graph_node(g, "Range", inputs, 3, NULL, 0);
}

/* Actions as the net remembers them: in (-1, 1), or one-hot; unknown ones 0. */
static const char *remembered(const struct transformer *t) {
  struct px_graph *g = t->o->graph;
  const uint32_t a = t->s->act_dim;
  struct px_graph_door door = {
    "past_actions",
    "In the dataset's units; the newest is not looked at. NaN: unknown.",
    PX_DTYPE_F32,
    3,
    { PX_GRAPH_BATCH, PX_GRAPH_STEPS, a }
  };
  if (t->s->act_count) {
    door.about = "Indices; the newest is not looked at. -1: unknown.";
    door.dtype = PX_DTYPE_I64;
    door.rank = 2;
    const char *index = classes(g, t->token);
    const char *given = unsqueeze(g, px_graph_input(g, &door), -1);
    return px_graph_cast(g, px_graph_binary(g, "Equal", given, index), PX_DTYPE_F32);
  }
  const int64_t n = a;
  float *middle, *inverse;
  const char *given = px_graph_input(g, &door);
  const char *away = px_graph_binary(g, "Sub", given, px_graph_floats(g, 1, &n, &middle)),
             *unit = px_graph_binary(g, "Mul", away, px_graph_floats(g, 1, &n, &inverse));
  for (uint32_t j = 0; middle && inverse && j < a; j++) {
    middle[j] = 0.5F * (t->s->low[j] + t->s->high[j]);
    inverse[j] = 2 / (t->s->high[j] - t->s->low[j]);
  }
  return px_graph_where(g, px_graph_unary(g, "IsNaN", given), px_graph_number(g, 0), unit);
}

/* The embedding of each step's number; later steps share the last one. */
static const char *step_embeddings(const struct transformer *t) {
  struct px_onnx *o = t->o;
  const char *steps =
    px_graph_input(o->graph, &(struct px_graph_door){ "timesteps",
                                                      "From an episode's 0 on.",
                                                      PX_DTYPE_I64,
                                                      2,
                                                      { PX_GRAPH_BATCH, PX_GRAPH_STEPS } });
  const uint32_t rows = px_onnx_rows(o, "transformer.time.weight");
  const uint64_t dims[] = { rows, t->width };
  const float *table = px_onnx_data(o, "transformer.time.weight", PX_DTYPE_F32, 2, dims);
  if (!table) return NULL;
  const int64_t shape[] = { rows, t->width }, last = (int64_t)rows - 1;
  const char *embeddings =
    px_graph_tensor(o->graph, "transformer.time.weight", PX_DTYPE_F32, 2, shape, table);
  const char *place = px_graph_binary(o->graph, "Min", steps, px_graph_whole(o->graph, 0, &last));
  return px_graph_binary(o->graph, "Gather", embeddings, place);
}

static const char *tokens(struct transformer *t, const char *returns) {
  struct px_graph *g = t->o->graph;
  const char *observations =
    px_graph_input(g, &(struct px_graph_door){ "observations",
                                               "As in the dataset.",
                                               PX_DTYPE_F32,
                                               3,
                                               { PX_GRAPH_BATCH, PX_GRAPH_STEPS, t->s->obs_dim } });
  const char *state = px_onnx_normalised(t->o, observations, t->s->obs_dim),
             *action = remembered(t), *time = step_embeddings(t);
  const float scale = (float)px_onnx_real(t->o, "transformer_return_scale");
  const char *to_go =
    unsqueeze(g, px_graph_binary(g, "Mul", returns, px_graph_number(g, scale)), -1);
  const char *const kinds[TOKENS] = { linear(t, to_go, "return", 1, 0),
                                      linear(t, state, "state", t->s->obs_dim, 0),
                                      linear(t, action, "action", t->token, 0) };
  const char *each[TOKENS];
  for (int i = 0; i < TOKENS; i++)
    each[i] = unsqueeze(g, px_graph_binary(g, "Add", kinds[i], time), 2);
  return reshape(g, px_graph_concat(g, each, TOKENS, 2), 3, (const int64_t[]){ 0, -1, t->width });
}

/* ---- layers */

/* What keeps a token from later ones, as large as the longest sequence, cut to [L, L]. */
static const char *mask(const struct transformer *t, const char *returns) {
  struct px_graph *g = t->o->graph;
  const int64_t n = TOKENS * (int64_t)t->context, three = TOKENS, zeros[] = { 0, 0 };
  float *whole;
  const char *longest = px_graph_floats(g, 2, (const int64_t[]){ n, n }, &whole);
  for (int64_t i = 0; whole && i < n; i++)
    for (int64_t j = i + 1; j < n; j++) whole[i * n + j] = later_score;
  const char *steps = px_graph_pick(g, px_graph_unary(g, "Shape", returns), 0, 1);
  const char *length = px_graph_binary(g, "Mul", steps, px_graph_whole(g, 1, &three));
  const char *const inputs[] = { longest, px_graph_whole(g, 2, zeros),
                                 px_graph_concat(g, (const char *const[]){ length, length }, 2,
                                                 0) };
  return px_graph_node(g, "Slice", inputs, 3, NULL, 0);
}

/* [N, L, D] -> [N, H, L, D / H], or with order 0, 2, 3, 1 of the dimensions. */
static const char *split(const struct transformer *t, const char *x, const int64_t *order) {
  struct px_graph *g = t->o->graph;
  const char *heads = reshape(g, x, 4, (const int64_t[]){ 0, 0, t->heads, t->width / t->heads });
  return px_graph_node(g, "Transpose", &heads, 1,
                       &(struct px_graph_attr){ .name = "perm", .list = order, .n = 4 }, 1);
}

static const char *attention(const struct transformer *t, const char *x, const char *name) {
  static const int64_t by_head[] = { 0, 2, 1, 3 }, keys[] = { 0, 2, 3, 1 };
  struct px_graph *g = t->o->graph;
  const float scale = 1 / sqrtf((float)t->width / (float)t->heads);
  const char *q = split(t, linear(t, x, name, t->width, 1), by_head),
             *k = split(t, linear(t, x, name, t->width, 2), keys),
             *v = split(t, linear(t, x, name, t->width, 3), by_head);
  const char *score =
    px_graph_binary(g, "Mul", px_graph_binary(g, "MatMul", q, k), px_graph_number(g, scale));
  const char *weight = px_graph_softmax(g, px_graph_binary(g, "Add", score, t->later));
  const char *seen = px_graph_binary(g, "MatMul", weight, v);
  const char *turned =
    px_graph_node(g, "Transpose", &seen, 1,
                  &(struct px_graph_attr){ .name = "perm", .list = by_head, .n = 4 }, 1);
  return reshape(g, turned, 3, (const int64_t[]){ 0, 0, t->width });
}

static const char *layer(const struct transformer *t, const char *x, uint32_t l) {
  struct px_graph *g = t->o->graph;
  char norm1[32], in[32], out[32], norm2[32], up[32], down[32];
  snprintf(norm1, sizeof norm1, "layer%u.norm1", l);
  snprintf(in, sizeof in, "layer%u.attention_in", l);
  snprintf(out, sizeof out, "layer%u.attention_out", l);
  snprintf(norm2, sizeof norm2, "layer%u.norm2", l);
  snprintf(up, sizeof up, "layer%u.mlp_in", l);
  snprintf(down, sizeof down, "layer%u.mlp_out", l);
  const char *seen = attention(t, norm(t, x, norm1), in);
  x = px_graph_binary(g, "Add", x, linear(t, seen, out, t->width, 0));
  const char *inner = px_onnx_gelu(t->o, linear(t, norm(t, x, norm2), up, t->width, 0));
  return px_graph_binary(g, "Add", x, linear(t, inner, down, 4 * t->width, 0));
}

/* ---- the whole */

static bool has_layer(const struct transformer *t, uint32_t l) {
  char name[NAME_MAX_BYTES];
  snprintf(name, sizeof name, "transformer.layer%u.norm1.weight", l);
  return px_onnx_rows(t->o, name) > 0;
}

static void read_shape(struct transformer *t) {
  struct px_onnx *o = t->o;
  t->width = px_onnx_rows(o, "transformer.embedding_norm.weight");
  t->heads = px_onnx_count(o, "transformer_heads", 1, HEADS_MAX);
  t->context = px_onnx_count(o, "transformer_context", 1, CONTEXT_MAX);
  if (!o->status && (!t->width || t->width % t->heads || has_layer(t, LAYERS_MAX)))
    o->status = px_fail(o->err, PX_E_BAD_DATA, "the transformer has an impossible shape");
}

void px_onnx_transformer(struct px_onnx *o, const struct px_onnx_spaces *s) {
  struct transformer t = { .o = o, .s = s, .token = s->act_count ? s->act_count : s->act_dim };
  read_shape(&t);
  if (o->status) return;
  struct px_graph *g = o->graph;
  const char *returns =
    px_graph_input(g, &(struct px_graph_door){ "returns_to_go",
                                               "In the rewards' units.",
                                               PX_DTYPE_F32,
                                               2,
                                               { PX_GRAPH_BATCH, PX_GRAPH_STEPS } });
  t.later = mask(&t, returns);
  const char *x = norm(&t, tokens(&t, returns), "embedding_norm");
  for (uint32_t l = 0; has_layer(&t, l); l++) x = layer(&t, x, l);
  /* the last state's token is behind all that it may see, and before its own action */
  x = norm(&t, px_graph_pick(g, x, 1, -2), "norm");
  px_onnx_decide(o, linear(&t, x, s->act_count ? "logits" : "mu", t.width, 0), s);
}
