/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs as protocol buffers: see graph.h. */
#include "lib/onnx/graph.h"

#include <onnx/onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"

/* An ensemble of 16 members has some 700 nodes, a transformer of 12 layers some 500. */
enum { NODES_MAX = 8192, TENSORS_MAX = 8192, DOORS_MAX = 8, PROPERTIES_MAX = 1024 };
enum { IR_VERSION = 8, OPERATOR_SET = 17 };
/* Of all but the borrowed data. */
#define ARENA_BYTES_MAX ((size_t)64 << 20)

struct px_graph {
  struct px_arena *arena; /* holds all of it */
  Onnx__GraphProto proto;
  Onnx__StringStringEntryProto **properties;
  size_t properties_n;
  uint32_t values_n; /* that were given a name */
  bool failed;
};

/* The generated structs have no const; nothing writes through what is passed here. */
static char *plain(const char *text) { return (char *)(uintptr_t)text; }

struct px_graph *px_graph_new(void) {
  struct px_arena *arena = px_arena_new(ARENA_BYTES_MAX);
  struct px_graph *g = arena ? px_arena_take(arena, 1, sizeof *g) : NULL;
  if (g) {
    g->arena = arena;
    onnx__graph_proto__init(&g->proto);
    g->proto.node = px_arena_take(arena, NODES_MAX, sizeof *g->proto.node);
    g->proto.initializer = px_arena_take(arena, TENSORS_MAX, sizeof *g->proto.initializer);
    g->proto.input = px_arena_take(arena, DOORS_MAX, sizeof *g->proto.input);
    g->proto.output = px_arena_take(arena, DOORS_MAX, sizeof *g->proto.output);
    g->properties = px_arena_take(arena, PROPERTIES_MAX, sizeof *g->properties);
    if (!px_arena_ran_out(arena)) return g;
  }
  px_arena_free(arena);
  return NULL;
}

void px_graph_free(struct px_graph *g) {
  if (g) px_arena_free(g->arena);
}

/* Room for a piece; NULL, and the graph has failed, where there is none or the list is full. */
static void *take(struct px_graph *g, size_t n, size_t size) {
  void *piece = g->failed ? NULL : px_arena_take(g->arena, n, size);
  if (!piece) g->failed = true;
  return piece;
}

static char *copied(struct px_graph *g, const char *text) {
  char *copy = px_arena_str(g->arena, text);
  if (!copy) g->failed = true;
  return copy;
}

static char *next_name(struct px_graph *g) {
  char *name = px_arena_fmt(g->arena, "v%u", g->values_n++);
  if (!name) g->failed = true;
  return name;
}

static bool full(struct px_graph *g, size_t n, size_t max) {
  if (n >= max) g->failed = true;
  return g->failed;
}

static int32_t type_of(enum px_dtype dtype) {
  switch (dtype) {
    case PX_DTYPE_F64: return ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    case PX_DTYPE_I64: return ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    case PX_DTYPE_BOOL: return ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    default: return ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
  }
}

/* ---- inputs and outputs */

static Onnx__TensorShapeProto *shape_of(struct px_graph *g, const struct px_graph_door *door) {
  Onnx__TensorShapeProto *shape = take(g, 1, sizeof *shape);
  Onnx__TensorShapeProto__Dimension *dims = take(g, door->rank, sizeof *dims),
                                    **list = take(g, door->rank, sizeof *list);
  if (!list) return NULL;
  onnx__tensor_shape_proto__init(shape);
  shape->n_dim = door->rank;
  shape->dim = list;
  for (uint32_t i = 0; i < door->rank; i++) {
    list[i] = &dims[i];
    onnx__tensor_shape_proto__dimension__init(list[i]);
    if (door->dims[i] >= 0) {
      list[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
      list[i]->dim_value = door->dims[i];
    } else {
      list[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
      list[i]->dim_param = plain(door->dims[i] == PX_GRAPH_BATCH ? "batch" : "steps");
    }
  }
  return shape;
}

static Onnx__ValueInfoProto *door_of(struct px_graph *g, const struct px_graph_door *door) {
  Onnx__ValueInfoProto *info = take(g, 1, sizeof *info);
  Onnx__TypeProto *type = take(g, 1, sizeof *type);
  Onnx__TypeProto__Tensor *tensor = take(g, 1, sizeof *tensor);
  Onnx__TensorShapeProto *shape = shape_of(g, door);
  if (!shape) return NULL;
  onnx__type_proto__tensor__init(tensor);
  tensor->has_elem_type = 1;
  tensor->elem_type = type_of(door->dtype);
  tensor->shape = shape;
  onnx__type_proto__init(type);
  type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  type->tensor_type = tensor;
  onnx__value_info_proto__init(info);
  info->name = copied(g, door->name);
  info->doc_string = copied(g, door->about);
  info->type = type;
  return info;
}

const char *px_graph_input(struct px_graph *g, const struct px_graph_door *door) {
  if (full(g, g->proto.n_input, DOORS_MAX)) return NULL;
  Onnx__ValueInfoProto *info = door_of(g, door);
  if (!info) return NULL;
  g->proto.input[g->proto.n_input++] = info;
  return info->name;
}

/* ---- nodes */

static bool put_attr(struct px_graph *g, const struct px_graph_attr *attr,
                     Onnx__AttributeProto **out) {
  Onnx__AttributeProto *a = take(g, 1, sizeof *a);
  if (!a) return false;
  onnx__attribute_proto__init(a);
  a->name = plain(attr->name);
  a->has_type = 1;
  if (attr->list) {
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    a->n_ints = attr->n;
    a->ints = take(g, attr->n, sizeof *a->ints);
    if (a->ints) memcpy(a->ints, attr->list, attr->n * sizeof *a->ints);
  } else if (attr->real > 0) {
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    a->has_f = 1;
    a->f = attr->real;
  } else {
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    a->has_i = 1;
    a->i = attr->number;
  }
  *out = a;
  return true;
}

/* output NULL: a new name. */
static const char *put_node(struct px_graph *g, const char *op, const char *const *inputs,
                            uint32_t inputs_n, const struct px_graph_attr *attrs, uint32_t attrs_n,
                            char *output) {
  if (full(g, g->proto.n_node, NODES_MAX)) return NULL;
  Onnx__NodeProto *node = take(g, 1, sizeof *node);
  char **in = take(g, inputs_n, sizeof *in), **out = take(g, 1, sizeof *out);
  Onnx__AttributeProto **list = take(g, attrs_n, sizeof *list);
  if (!list) return NULL;
  onnx__node_proto__init(node);
  node->op_type = plain(op);
  node->n_input = inputs_n;
  node->input = in;
  for (uint32_t i = 0; i < inputs_n; i++)
    if (!(in[i] = plain(inputs[i]))) g->failed = true;
  for (uint32_t i = 0; i < attrs_n; i++)
    if (!put_attr(g, &attrs[i], &list[i])) return NULL;
  node->n_attribute = attrs_n;
  node->attribute = list;
  node->n_output = 1;
  node->output = out;
  out[0] = output ? output : next_name(g);
  node->name = out[0];
  g->proto.node[g->proto.n_node++] = node;
  return out[0];
}

const char *px_graph_node(struct px_graph *g, const char *op, const char *const *inputs,
                          uint32_t inputs_n, const struct px_graph_attr *attrs, uint32_t attrs_n) {
  return put_node(g, op, inputs, inputs_n, attrs, attrs_n, NULL);
}

void px_graph_output(struct px_graph *g, const char *value, const struct px_graph_door *door) {
  if (full(g, g->proto.n_output, DOORS_MAX)) return;
  Onnx__ValueInfoProto *info = door_of(g, door);
  if (!info || !put_node(g, "Identity", &value, 1, NULL, 0, info->name)) return;
  g->proto.output[g->proto.n_output++] = info;
}

const char *px_graph_unary(struct px_graph *g, const char *op, const char *x) {
  return px_graph_node(g, op, &x, 1, NULL, 0);
}

const char *px_graph_binary(struct px_graph *g, const char *op, const char *a, const char *b) {
  return px_graph_node(g, op, (const char *const[]){ a, b }, 2, NULL, 0);
}

const char *px_graph_where(struct px_graph *g, const char *which, const char *yes, const char *no) {
  return px_graph_node(g, "Where", (const char *const[]){ which, yes, no }, 3, NULL, 0);
}

const char *px_graph_softmax(struct px_graph *g, const char *x) {
  return px_graph_node(g, "Softmax", &x, 1, &(struct px_graph_attr){ .name = "axis", .number = -1 },
                       1);
}

const char *px_graph_concat(struct px_graph *g, const char *const *inputs, uint32_t n,
                            int64_t axis) {
  return px_graph_node(g, "Concat", inputs, n,
                       &(struct px_graph_attr){ .name = "axis", .number = axis }, 1);
}

const char *px_graph_cast(struct px_graph *g, const char *x, enum px_dtype dtype) {
  return px_graph_node(g, "Cast", &x, 1,
                       &(struct px_graph_attr){ .name = "to", .number = type_of(dtype) }, 1);
}

const char *px_graph_pick(struct px_graph *g, const char *x, int64_t axis, int64_t number) {
  return px_graph_node(g, "Gather", (const char *const[]){ x, px_graph_whole(g, 0, &number) }, 2,
                       &(struct px_graph_attr){ .name = "axis", .number = axis }, 1);
}

/* ---- constants */

/* Takes the name and the data as they are. */
static const char *put_tensor(struct px_graph *g, char *name, enum px_dtype dtype, uint32_t rank,
                              const int64_t *dims, const void *data) {
  if (full(g, g->proto.n_initializer, TENSORS_MAX) || !name || !data) return NULL;
  Onnx__TensorProto *t = take(g, 1, sizeof *t);
  int64_t *own = take(g, rank, sizeof *own);
  if (!own) return NULL;
  size_t bytes = px_safetensors_dtype_bytes(dtype);
  onnx__tensor_proto__init(t);
  for (uint32_t i = 0; i < rank; i++) {
    own[i] = dims[i];
    bytes *= (size_t)dims[i];
  }
  t->n_dims = rank;
  t->dims = own;
  t->has_data_type = 1;
  t->data_type = type_of(dtype);
  t->name = name;
  t->has_raw_data = 1;
  t->raw_data = (ProtobufCBinaryData){ bytes, (uint8_t *)(uintptr_t)data };
  g->proto.initializer[g->proto.n_initializer++] = t;
  return name;
}

const char *px_graph_tensor(struct px_graph *g, const char *name, enum px_dtype dtype,
                            uint32_t rank, const int64_t *dims, const void *data) {
  return put_tensor(g, copied(g, name), dtype, rank, dims, data);
}

static const char *put_copy(struct px_graph *g, enum px_dtype dtype, uint32_t rank, int64_t n,
                            const void *data) {
  const size_t bytes = (size_t)n * px_safetensors_dtype_bytes(dtype);
  void *own = take(g, bytes, 1);
  if (!own) return NULL;
  memcpy(own, data, bytes);
  return put_tensor(g, next_name(g), dtype, rank, &n, own);
}

const char *px_graph_floats(struct px_graph *g, uint32_t rank, const int64_t *dims, float **data) {
  size_t n = 1;
  for (uint32_t i = 0; i < rank; i++) n *= (size_t)dims[i];
  *data = take(g, n, sizeof **data);
  const char *name = put_tensor(g, next_name(g), PX_DTYPE_F32, rank, dims, *data);
  if (!name) *data = NULL;
  return name;
}

const char *px_graph_number(struct px_graph *g, float number) {
  return put_copy(g, PX_DTYPE_F32, 0, 1, &number);
}

const char *px_graph_whole(struct px_graph *g, uint32_t n, const int64_t *numbers) {
  return put_copy(g, PX_DTYPE_I64, n ? 1 : 0, n ? n : 1, numbers);
}

/* ---- the whole */

void px_graph_property(struct px_graph *g, const char *key, const char *value) {
  if (full(g, g->properties_n, PROPERTIES_MAX)) return;
  Onnx__StringStringEntryProto *entry = take(g, 1, sizeof *entry);
  if (!entry) return;
  onnx__string_string_entry_proto__init(entry);
  entry->key = copied(g, key);
  entry->value = copied(g, value);
  g->properties[g->properties_n++] = entry;
}

enum px_status px_graph_write(const struct px_graph *g, const char *name, const char *about,
                              struct px_buf *out, struct px_err *err) {
  if (g->failed) return px_fail(err, PX_E_NO_MEMORY, "no memory for an ONNX graph of this size");
  Onnx__GraphProto graph = g->proto;
  Onnx__OperatorSetIdProto set = ONNX__OPERATOR_SET_ID_PROTO__INIT, *sets[] = { &set };
  Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
  set.domain = plain("");
  set.has_version = 1;
  set.version = OPERATOR_SET;
  graph.name = plain(name);
  model.has_ir_version = 1;
  model.ir_version = IR_VERSION;
  model.n_opset_import = 1;
  model.opset_import = sets;
  model.producer_name = plain("proxact");
  model.producer_version = plain(PX_VERSION);
  model.doc_string = plain(about);
  model.graph = &graph;
  model.n_metadata_props = g->properties_n;
  model.metadata_props = g->properties;
  const size_t bytes = onnx__model_proto__get_packed_size(&model);
  const enum px_status status = px_buf_room(out, bytes);
  if (status) return px_fail(err, status, "an ONNX model of %zu bytes does not fit", bytes);
  out->len += onnx__model_proto__pack(&model, (uint8_t *)out->data + out->len);
  return PX_OK;
}
