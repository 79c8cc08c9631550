/* SPDX-License-Identifier: Apache-2.0 */
/* What file becomes what graph: see onnx.h. */
#include "lib/onnx/onnx.h"

#include <string.h>

#include "lib/base/fail.h"
#include "lib/onnx/graph.h"
#include "lib/onnx/onnx_parts.h"

/* Metadata in which members differ belong to none of them. */
static void put_properties(struct px_graph *g, const struct px_safetensors *const *files,
                           uint32_t n) {
  const char *key, *value;
  for (size_t i = 0; (key = px_safetensors_meta_at(files[0], i, &value)); i++) {
    bool alike = true;
    for (uint32_t k = 1; k < n; k++) {
      const char *other = px_safetensors_meta(files[k], key);
      alike = alike && other && strcmp(other, value) == 0;
    }
    if (alike) px_graph_property(g, key, value);
  }
}

static void put_graph(struct px_onnx *o, const struct px_safetensors *const *files, uint32_t n,
                      const char *format) {
  if (strcmp(format, "proxact.policy.v1") == 0 && n == 1) px_onnx_policy(o);
  else if (strcmp(format, "proxact-idm-1") == 0) px_onnx_idm(o, files, n);
  else {
    o->status = px_fail_at(o->err, PX_E_BAD_FIELD, "format",
                           "a model of format '%.64s' has no ONNX form here", format);
    px_fail_hint(o->err, "Policies and inverse dynamics models have one; take this one as "
                         "safetensors.");
  }
}

enum px_status px_onnx_write(const struct px_safetensors *const *files, uint32_t n,
                             struct px_buf *out, struct px_err *err) {
  if (n == 0 || n > PX_ONNX_MEMBERS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "an ensemble has 1 to %d members, not %u",
                   PX_ONNX_MEMBERS_MAX, n);
  struct px_graph *graph = px_graph_new();
  if (!graph) return px_fail(err, PX_E_NO_MEMORY, "no memory for an ONNX graph");
  struct px_onnx o = { .graph = graph, .file = files[0], .prefix = "", .err = err };
  const char *format = px_safetensors_meta(files[0], "format");
  put_graph(&o, files, n, format ? format : "");
  put_properties(graph, files, n);
  if (!o.status)
    o.status = px_graph_write(graph, n > 1 ? "ensemble" : "model",
                              "Observations as in the dataset in, actions in its units out. "
                              "Inputs and outputs say more of themselves.",
                              out, err);
  px_graph_free(graph);
  return o.status;
}
