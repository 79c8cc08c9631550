/* What jobs leave: label sets and models; and the workers. */
#include <string.h>

#include "lib/store/jobs.h"
#include "lib/store/results.h"
#include "server/api.h"

API_HANDLER(api_label_set_list) {
  int64_t limit;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_label_set_list(store, http_query(req, "dataset"), (int)limit, &reply->body, err);
}

API_HANDLER(api_label_set_get) {
  struct store *store = NULL;
  enum px_status status = api_check_id(req->params[0], "ls_", "label set", err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_label_set_document(store, req->params[0], &reply->body, err);
}

API_HANDLER(api_model_list) {
  int64_t limit;
  struct store *store = NULL;
  const char *role = http_query(req, "role");
  if (role && strcmp(role, "idm") != 0 && strcmp(role, "policy") != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "role", "role must be idm or policy");
  enum px_status status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_model_list(store, http_query(req, "dataset"), role, (int)limit, &reply->body, err);
}

API_HANDLER(api_model_get) {
  struct store *store = NULL;
  enum px_status status = api_check_id(req->params[0], "mdl_", "model", err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_model_document(store, req->params[0], &reply->body, err);
}

API_HANDLER(api_model_weights) {
  struct store *store = NULL;
  const char *format = http_query(req, "format");
  if (format && strcmp(format, "safetensors") != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "format", "format must be safetensors");
  enum px_status status = api_check_id(req->params[0], "mdl_", "model", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_model_read(store, req->params[0], &reply->body, err);
  if (status) return status;
  reply->media_type = "application/x-safetensors";
  api_reply_file_name(req, reply, px_arena_fmt(req->arena, "%s.safetensors", req->params[0]));
  return PX_OK;
}

API_HANDLER(api_worker_list) {
  struct store *store = NULL;
  const enum px_status status = api_store(req, &store, err);
  return status ? status : store_worker_list(store, &reply->body, err);
}
