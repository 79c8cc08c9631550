/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models/{model}/weights: a model as it was stored, or as ONNX. */
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/onnx/onnx.h"
#include "lib/store/blob.h"
#include "lib/store/models.h"
#include "lib/store/store.h"
#include "server/api/api.h"

struct loaded {
  uint32_t n;
  struct px_buf bytes[STORE_MEMBERS_MAX];
  struct px_safetensors *file[STORE_MEMBERS_MAX];
};

static enum px_status load(struct store *store, const struct store_members *members,
                           struct loaded *out, struct px_err *err) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < members->n; i++) total += members->at[i].size_bytes;
  if (total > PX_ONNX_BYTES_MAX)
    return px_fail(err, PX_E_TOO_LARGE, "%u models of %llu bytes; ONNX files are made of up to %zu",
                   members->n, (unsigned long long)total, PX_ONNX_BYTES_MAX);
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < members->n && !status; i++) {
    out->bytes[i] = PX_BUF(PX_ONNX_BYTES_MAX);
    out->n = i + 1;
    status = store_blob_read(store, members->at[i].blob, &out->bytes[i], err);
    if (!status)
      status = px_safetensors_parse(out->bytes[i].data, out->bytes[i].len, &out->file[i], err);
  }
  return status;
}

static void unload(struct loaded *loaded) {
  for (uint32_t i = 0; i < loaded->n; i++) {
    px_safetensors_free(loaded->file[i]);
    px_buf_free(&loaded->bytes[i]);
  }
}

static enum px_status write_onnx(struct store *store, const char *id, struct px_buf *out,
                                 struct px_err *err) {
  struct store_members members;
  struct loaded loaded = { .n = 0 };
  enum px_status status = store_model_members(store, id, &members, err);
  if (!status) status = load(store, &members, &loaded, err);
  if (!status)
    status = px_onnx_write((const struct px_safetensors *const *)loaded.file, loaded.n, out, err);
  unload(&loaded);
  return status;
}

API_HANDLER(api_model_weights) {
  struct store *store = NULL;
  const char *format = http_query(req, "format");
  const bool onnx = format && strcmp(format, "onnx") == 0;
  if (format && !onnx && strcmp(format, "safetensors") != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "format", "format must be safetensors or onnx");
  enum px_status status = api_check_id(req->params[0], "mdl_", "model", err);
  if (!status) status = api_store(req, &store, err);
  if (!status)
    status = onnx ? write_onnx(store, req->params[0], &reply->body, err)
                  : store_model_read(store, req->params[0], &reply->body, err);
  if (status) return status;
  reply->media_type = onnx ? "application/octet-stream" : "application/x-safetensors";
  api_reply_file_name(req, reply,
                      px_arena_fmt(req->arena, "%s.%s", req->params[0],
                                   onnx ? "onnx" : "safetensors"));
  return PX_OK;
}
