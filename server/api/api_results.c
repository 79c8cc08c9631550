/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs leave: label sets and models; and the workers. */
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "lib/store/workers.h"
#include "server/api/api.h"

static enum px_status read_page(struct http_request *req, const char *prefix,
                                struct store_page *page, struct px_err *err) {
  int64_t limit;
  enum px_status status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_cursor(req, prefix, &page->before, err);
  if (!status) status = api_filter_dataset(req, &page->dataset, err);
  page->limit = (int)limit;
  return status;
}

/* A model never changes. */
enum { MODEL_VERSION = 1 };

API_HANDLER(api_label_set_list) {
  struct store_page page = { .limit = 0 };
  struct store *store = NULL;
  enum px_status status = read_page(req, "ls_", &page, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_label_set_list(store, &page, &reply->body, err);
}

API_HANDLER(api_label_set_get) {
  struct store *store = NULL;
  enum px_status status = api_check_id(req->params[0], "ls_", "label set", err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_label_set_document(store, req->params[0], &reply->body, err);
}

API_HANDLER(api_model_list) {
  struct store_page page = { .limit = 0 };
  struct store *store = NULL;
  const char *role = http_query(req, "role");
  if (role && strcmp(role, "idm") != 0 && strcmp(role, "policy") != 0 &&
      strcmp(role, "inverse") != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "role", "role must be idm, policy or inverse");
  enum px_status status = read_page(req, "mdl_", &page, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_model_list(store, &page, role, &reply->body, err);
}

API_HANDLER(api_model_get) {
  struct store *store = NULL;
  enum px_status status = api_check_id(req->params[0], "mdl_", "model", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_model_document(store, req->params[0], &reply->body, err);
  if (!status) reply->etag = api_etag(req, MODEL_VERSION);
  return status;
}

API_HANDLER(api_model_delete) {
  struct store *store = NULL;
  bool only;
  enum px_status status = api_check_id(req->params[0], "mdl_", "model", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = api_if_match(req, MODEL_VERSION, &only, err);
  if (!status) status = store_model_delete(store, req->params[0], err);
  if (!status) reply->status = 204;
  return status;
}

API_HANDLER(api_worker_list) {
  struct store *store = NULL;
  const enum px_status status = api_store(req, &store, err);
  return status ? status : store_worker_list(store, &reply->body, err);
}
