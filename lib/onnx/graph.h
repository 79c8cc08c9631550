/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ONNX graph under construction: constants, nodes, inputs and outputs, and at last its bytes.
 * Used by the files of this folder only.
 *
 * A value is known by its name, which the graph owns. What fails is told once, by px_graph_write:
 * until then a failed call gives NULL, which every call takes. Data of constants is borrowed and
 * not copied, but where it says so; it must outlive the graph. Belongs to one thread.
 *
 * The schema is onnx.proto as Debian packages it (libonnx-dev), IR version 8, operator set 17.
 */
#ifndef PX_ONNX_GRAPH_H
#define PX_ONNX_GRAPH_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"

/* Sizes that are known only when the graph runs: rows of a batch, steps of a sequence. */
enum { PX_GRAPH_BATCH = -1, PX_GRAPH_STEPS = -2 };
enum { PX_GRAPH_RANK_MAX = 4, PX_GRAPH_INPUTS_MAX = 32, PX_GRAPH_ATTRS_MAX = 3 };

struct px_graph;
/* NULL when out of memory. */
struct px_graph *px_graph_new(void);
void px_graph_free(struct px_graph *graph);

/* An input or an output of the whole. dims may have the sizes above; about says what it is. */
struct px_graph_door {
  const char *name, *about;
  enum px_dtype dtype;
  uint32_t rank;
  int64_t dims[PX_GRAPH_RANK_MAX];
};
const char *px_graph_input(struct px_graph *graph, const struct px_graph_door *door);
void px_graph_output(struct px_graph *graph, const char *value, const struct px_graph_door *door);

/* A constant [dims]; name must be like no other. */
const char *px_graph_tensor(struct px_graph *graph, const char *name, enum px_dtype dtype,
                            uint32_t rank, const int64_t *dims, const void *data);
/* Float32 [dims] in the graph's own memory, 0 until the caller fills it through *data, which is
 * NULL after a failure. */
const char *px_graph_floats(struct px_graph *graph, uint32_t rank, const int64_t *dims,
                            float **data);
/* A number, and whole numbers [n]; rank 0 for n 0, which takes one. Both are copied. */
const char *px_graph_number(struct px_graph *graph, float number);
const char *px_graph_whole(struct px_graph *graph, uint32_t n, const int64_t *numbers);

/* list NULL: the number; else list[n]. */
struct px_graph_attr {
  const char *name;
  int64_t number;
  const int64_t *list;
  uint32_t n;
  float real; /* where it is not 0, a real number */
};
/* One output; inputs_n of inputs, attrs_n of attributes. */
const char *px_graph_node(struct px_graph *graph, const char *op, const char *const *inputs,
                          uint32_t inputs_n, const struct px_graph_attr *attrs, uint32_t attrs_n);
/* Without attributes. */
const char *px_graph_unary(struct px_graph *graph, const char *op, const char *x);
const char *px_graph_binary(struct px_graph *graph, const char *op, const char *a, const char *b);
const char *px_graph_where(struct px_graph *graph, const char *which, const char *yes,
                           const char *no);
/* With one attribute: Softmax and Concat along an axis, a Cast to a type. */
const char *px_graph_softmax(struct px_graph *graph, const char *x);
const char *px_graph_concat(struct px_graph *graph, const char *const *inputs, uint32_t n,
                            int64_t axis);
const char *px_graph_cast(struct px_graph *graph, const char *x, enum px_dtype dtype);
/* x without `axis`, of which the number-th is taken. */
const char *px_graph_pick(struct px_graph *graph, const char *x, int64_t axis, int64_t number);

/* A property of the model; both are copied. */
void px_graph_property(struct px_graph *graph, const char *key, const char *value);

/* Appends the model. about: what it is, for people. TOO_LARGE over out's maximum. */
enum px_status px_graph_write(const struct px_graph *graph, const char *name, const char *about,
                              struct px_buf *out, struct px_err *err) PX_MUST_CHECK;

#endif
