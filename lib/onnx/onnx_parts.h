/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: layers of a model's file as nodes of a graph.
 *
 * A struct px_onnx belongs to one thread and borrows all that it names. The first failure stays in
 * it; after that everything gives NULL, which everything takes.
 */
#ifndef PX_ONNX_ONNX_PARTS_H
#define PX_ONNX_ONNX_PARTS_H

#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/onnx/graph.h"

struct px_onnx {
  struct px_graph *graph;
  const struct px_safetensors *file; /* the member in hand */
  /* before the names of its tensors, so that members differ; "" for a single file */
  const char *prefix;
  enum px_status status;
  struct px_err *err;
};

/* Data of a tensor of this type and shape; NULL, and a failure, where it has none such. */
const void *px_onnx_data(struct px_onnx *o, const char *name, enum px_dtype dtype, uint32_t rank,
                         const uint64_t *dims);
/* Rows of a tensor of one or two dimensions; 0 if there is none of that name. */
uint32_t px_onnx_rows(const struct px_onnx *o, const char *name);
/* Metadata: a word, "" if there is none; a whole number within the bounds, and a real one, which
 * are failures unless they are there. */
const char *px_onnx_word(const struct px_onnx *o, const char *key);
uint32_t px_onnx_count(struct px_onnx *o, const char *key, uint32_t low, uint32_t high);
double px_onnx_real(struct px_onnx *o, const char *key);

/* x [N, in] -> [N, out], or on [N, T, in]: NAME.weight [out, in] and NAME.bias [out]. Of them
 * `rows` from `first` on, if rows is not 0. */
struct px_onnx_layer {
  const char *name;
  uint32_t in, first, rows;
  bool sequences; /* x has three dimensions */
};
const char *px_onnx_linear(struct px_onnx *o, const char *x, const struct px_onnx_layer *layer);
/* Layer normalisation over the last dimension of `width`, with the tensors gain and shift. */
const char *px_onnx_norm(struct px_onnx *o, const char *x, uint32_t width, const char *gain,
                         const char *shift);
const char *px_onnx_gelu(struct px_onnx *o, const char *x);
/* NET.0, NET.1, ... of x [N, in] with ReLUs, or GELUs, between them, and layer norms where the file
 * has them. outputs: of the last layer's rows the first so many; 0: all. */
struct px_onnx_net {
  const char *name;
  uint32_t in, outputs;
  bool gelu;
};
const char *px_onnx_net(struct px_onnx *o, const char *x, const struct px_onnx_net *net);
/* x [..., A] in (-1, 1) -> the range [A]. */
const char *px_onnx_ranged(struct px_onnx *o, const char *x, uint32_t act_dim, const float *low,
                           const float *high);

/* The graph of one policy, and of an ensemble: inputs, nodes and outputs. */
void px_onnx_policy(struct px_onnx *o);
/* Its part for kind transformer; low, high [A]: the declared range; act_count 0: continuous. */
struct px_onnx_spaces {
  uint32_t obs_dim, act_dim, act_count;
  const float *low, *high;
};
void px_onnx_transformer(struct px_onnx *o, const struct px_onnx_spaces *spaces);
/* The output `actions` from a net's outputs y [N, A], or one for each discrete action. */
void px_onnx_decide(struct px_onnx *o, const char *y, const struct px_onnx_spaces *spaces);
/* observations, any rank, as a policy's net takes them. */
const char *px_onnx_normalised(struct px_onnx *o, const char *observations, uint32_t obs_dim);
void px_onnx_idm(struct px_onnx *o, const struct px_safetensors *const *members, uint32_t n);

#endif
