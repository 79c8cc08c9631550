/* SPDX-License-Identifier: Apache-2.0 */
/* Simulators that users bring: create, list, document, delete. */
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/simulators.h"
#include "lib/sim/mjcf.h"
#include "lib/store/simulators.h"
#include "lib/store/store.h"
#include "server/api/api.h"

enum { SIMULATOR_VERSION = 1 }; /* one never changes */

/* What a body comes to. */
struct request {
  json_t *checked;
  const char *mjcf;
  size_t mjcf_n;
  struct px_mjcf_model model;
  struct flow_sim_layout layout;
};

/* The text is no name, so the table leaves it out. */
static enum px_status read_body(const json_t *body, struct request *r, struct px_err *err) {
  const json_t *mjcf = json_object_get(body, "mjcf");
  json_t *rest = json_copy((json_t *)(uintptr_t)body);
  if (!rest) return px_fail(err, PX_E_NO_MEMORY, "simulator");
  json_object_del(rest, "mjcf");
  const enum px_status status =
    flow_fields_check_beside(flow_simulator_fields, "mjcf", rest, "", &r->checked, err);
  json_decref(rest);
  if (status) return status;
  if (!json_is_string(mjcf)) {
    px_fail_at(err, PX_E_BAD_FIELD, "/mjcf", "mjcf must be the text of a MuJoCo model");
    px_fail_hint(err, "With jq: jq -n --rawfile mjcf model.xml '{name: \"mine\", mjcf: $mjcf, "
                      "observations: [\"qpos\", \"qvel\"]}'.");
    return PX_E_BAD_FIELD;
  }
  r->mjcf = json_string_value(mjcf);
  r->mjcf_n = json_string_length(mjcf);
  return PX_OK;
}

/* Compiled and stepped in a process of its own; then the layout is held against what it turned out
 * to be. */
static enum px_status try_model(struct request *r, struct px_err *err) {
  const double time_step = json_number_value(json_object_get(r->checked, "time_step"));
  const uint32_t skip = (uint32_t)json_integer_value(json_object_get(r->checked, "frame_skip"));
  const enum px_status status = px_mjcf_check(r->mjcf, r->mjcf_n, time_step, skip, &r->model, err);
  const struct flow_sim_model model = { r->model.nq, r->model.nv, r->model.nu };
  return status ? status : flow_simulator_layout(r->checked, &model, &r->layout, err);
}

static enum px_status create(struct http_request *req, const struct request *r,
                             char id[STORE_ID_MAX], struct px_err *err) {
  struct store *store = NULL;
  json_t *layout = json_copy(r->checked);
  if (layout) json_object_del(layout, "name");
  char *text = layout ? px_json_dumps(layout, JSON_COMPACT) : NULL;
  json_decref(layout);
  if (!text) return px_fail(err, PX_E_NO_MEMORY, "simulator");
  const struct store_simulator_draft draft = { .name = json_string_value(
                                                 json_object_get(r->checked, "name")),
                                               .mjcf = r->mjcf,
                                               .layout_json = text,
                                               .obs_dim = r->layout.obs_dim,
                                               .act_dim = r->layout.act_dim,
                                               .nq = r->model.nq,
                                               .nv = r->model.nv,
                                               .nu = r->model.nu,
                                               .time_step = r->model.time_step,
                                               .step_s = r->model.step_s };
  const struct service_options *options = service_options(req->service);
  const struct store_simulator_bounds bounds = { options->simulators_per_token,
                                                 options->simulator_bytes_per_token };
  enum px_status status = api_store(req, &store, err);
  if (!status) status = store_simulator_create(store, &draft, &bounds, id, err);
  free(text);
  return status;
}

static enum px_status reply_document(struct http_request *req, struct http_reply *reply,
                                     const char *id, struct px_err *err) {
  struct store *store = NULL;
  enum px_status status = api_store(req, &store, err);
  if (!status) status = store_simulator_document(store, id, &reply->body, err);
  if (!status) reply->etag = api_etag(req, SIMULATOR_VERSION);
  return status;
}

API_HANDLER(api_simulator_create) {
  char id[STORE_ID_MAX];
  struct request *r = px_arena_take(req->arena, 1, sizeof *r);
  if (!r) return px_fail(err, PX_E_NO_MEMORY, "simulator");
  enum px_status status = read_body(req->json, r, err);
  if (!status) status = try_model(r, err);
  if (!status) status = create(req, r, id, err);
  if (!status) status = api_done(req, reply_document(req, reply, id, err), "simulator", id, err);
  if (!status) {
    reply->status = 201;
    http_reply_header(reply, "Location", px_arena_fmt(req->arena, "/v1/simulators/%s", id));
  }
  json_decref(r->checked);
  return status;
}

API_HANDLER(api_simulator_list) {
  int64_t limit;
  const char *before;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_cursor(req, "sim_", &before, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_simulator_list(store, before, (int)limit, &reply->body, err);
}

API_HANDLER(api_simulator_get) {
  const enum px_status status = api_check_id(req->params[0], "sim_", "simulator", err);
  return status ? status : reply_document(req, reply, req->params[0], err);
}

API_HANDLER(api_simulator_delete) {
  struct store *store = NULL;
  bool only;
  enum px_status status = api_check_id(req->params[0], "sim_", "simulator", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = api_if_match(req, SIMULATOR_VERSION, &only, err);
  if (!status) status = store_simulator_delete(store, req->params[0], err);
  if (!status) reply->status = 204;
  return status;
}
