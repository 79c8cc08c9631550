/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as graphs: see onnx.h. */
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/onnx/onnx_parts.h"

static void reactive(struct px_onnx *o, const struct px_onnx_spaces *s) {
  struct px_graph *g = o->graph;
  const bool discrete = s->act_count > 0;
  const char *observations = px_graph_input(
    g, &(struct px_graph_door){
         "observations", "As in the dataset.", PX_DTYPE_F32, 2, { PX_GRAPH_BATCH, s->obs_dim } });
  const struct px_onnx_net net = { .name = "actor",
                                   .in = s->obs_dim,
                                   .outputs = discrete ? s->act_count : s->act_dim };
  const char *y = px_onnx_net(o, px_onnx_normalised(o, observations, s->obs_dim), &net);
  px_onnx_decide(o, y, s);
}

void px_onnx_policy(struct px_onnx *o) {
  const char *kind = px_onnx_word(o, "kind");
  struct px_onnx_spaces s = { .obs_dim = px_onnx_rows(o, "obs_mean"),
                              .act_dim = px_onnx_rows(o, "act_low") };
  if (*px_onnx_word(o, "act_count"))
    s.act_count = px_onnx_count(o, "act_count", 2, PX_ACT_COUNT_MAX);
  const uint64_t dims[] = { s.act_dim };
  s.low = px_onnx_data(o, "act_low", PX_DTYPE_F32, 1, dims);
  s.high = px_onnx_data(o, "act_high", PX_DTYPE_F32, 1, dims);
  if (o->status) return;
  if (!s.obs_dim || s.obs_dim > PX_OBS_MAX || s.act_dim > PX_ACT_MAX)
    o->status = px_fail(o->err, PX_E_BAD_DATA, "the policy's dimensions are out of bounds");
  else if (strcmp(kind, "transformer") == 0) px_onnx_transformer(o, &s);
  else if (strcmp(kind, s.act_count ? "argmax" : "tanh") == 0) reactive(o, &s);
  else
    o->status = px_fail_at(o->err, PX_E_BAD_FIELD, "format",
                           "a policy of kind '%.32s' has no ONNX form here", kind);
}
