/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets: create, list, document, delete. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/flow/envs.h"
#include "lib/flow/names.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "server/api/api.h"

static const struct flow_field FIELDS[] = {
  { "name", FLOW_TEXT, 1, STORE_DATASET_NAME_MAX, "!", NULL, NULL,
    "a name of your choice; unique" },
  { "obs_dim", FLOW_INT, 1, PX_OBS_MAX, "!", NULL, NULL, "numbers in an observation" },
  { "act_dim", FLOW_INT, 1, PX_ACT_MAX, NULL, NULL, NULL,
    "numbers in an action, where actions are continuous" },
  { "act_count", FLOW_INT, 2, PX_ACT_COUNT_MAX, NULL, NULL, NULL,
    "how many discrete actions there are" },
  { "env", FLOW_ENUM, 0, 0, NULL, FLOW_ENVS, NULL,
    "simulator in which policies can be evaluated, if the data came from one" },
  { NULL, FLOW_INT, 0, 0, NULL, NULL, NULL, NULL }
};

/* A bound is one number for all dimensions, or a list with one for each. */
static enum px_status read_bound(const json_t *body, const char *name, double initial,
                                 uint32_t dims, float *out, struct px_err *err) {
  char pointer[32];
  snprintf(pointer, sizeof pointer, "/%s", name);
  const json_t *given = json_object_get(body, name);
  if (given && !json_is_number(given) && (!json_is_array(given) || json_array_size(given) != dims))
    return px_fail_at(err, PX_E_BAD_FIELD, pointer,
                      "%s must be a number, or a list of act_dim = %u numbers", name, dims);
  for (uint32_t j = 0; j < dims; j++) {
    const json_t *item = json_is_array(given) ? json_array_get(given, j) : given;
    if (item && !json_is_number(item))
      return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s[%u] must be a number", name, j);
    const double value = item ? json_number_value(item) : initial;
    if (!(fabs(value) <= 1e30))
      return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s[%u] is too large", name, j);
    out[j] = (float)value;
  }
  return PX_OK;
}

/* What has no meaning beside act_count is refused, so that nobody believes that it does
 * something. */
static enum px_status read_count(const json_t *body, const json_t *checked,
                                 struct px_spaces *spaces, struct px_err *err) {
  static const char *const bounds[] = { "act_low", "act_high" };
  px_spaces_set_discrete(spaces,
                         (uint32_t)json_integer_value(json_object_get(checked, "act_count")));
  const json_t *dim = json_object_get(checked, "act_dim");
  if (dim && json_integer_value(dim) != 1)
    return px_fail_at(err, PX_E_BAD_FIELD, "/act_dim",
                      "act_dim is 1 where act_count is given: an action is its index");
  for (int i = 0; i < 2; i++)
    if (json_object_get(body, bounds[i]))
      return px_fail_at(err, PX_E_BAD_FIELD, i ? "/act_high" : "/act_low",
                        "%s goes with continuous actions; act_count declares the indices 0 to %u",
                        bounds[i], spaces->act_count - 1);
  return PX_OK;
}

static enum px_status read_spaces(const json_t *body, const json_t *checked,
                                  struct px_spaces *spaces, struct px_err *err) {
  spaces->obs_dim = (uint32_t)json_integer_value(json_object_get(checked, "obs_dim"));
  if (json_object_get(checked, "act_count")) return read_count(body, checked, spaces, err);
  spaces->act_dim = (uint32_t)json_integer_value(json_object_get(checked, "act_dim"));
  if (!spaces->act_dim) {
    (void)px_fail_at(err, PX_E_BAD_FIELD, "/act_dim", "act_dim is required");
    px_fail_hint(
      err,
      "Give act_dim, the numbers in an action, or act_count, how many discrete actions there are.");
    return PX_E_BAD_FIELD;
  }
  enum px_status status = read_bound(body, "act_low", -1, spaces->act_dim, spaces->act_low, err);
  if (!status) status = read_bound(body, "act_high", 1, spaces->act_dim, spaces->act_high, err);
  for (uint32_t j = 0; !status && j < spaces->act_dim; j++)
    if (!(spaces->act_low[j] < spaces->act_high[j]))
      status = px_fail_at(err, PX_E_BAD_FIELD, "/act_low",
                          "act_low[%u] = %g is not below act_high[%u] = %g", j,
                          (double)spaces->act_low[j], j, (double)spaces->act_high[j]);
  return status;
}

/* A simulator of other dimensions could never roll out a policy of this data. */
static enum px_status check_env(const char *env, const struct px_spaces *spaces,
                                struct px_err *err) {
  const struct flow_dims dims = { spaces->obs_dim, spaces->act_dim, spaces->act_count };
  return env ? flow_env_check(env, &dims, "the dataset", "/env", err) : PX_OK;
}

static enum px_status reply_document(struct http_request *req, struct http_reply *reply,
                                     const char *id, int64_t state, struct px_err *err) {
  struct store *store = NULL;
  int64_t version;
  struct px_buf known = PX_BUF(RECENT_TEXT_MAX);
  struct store_spread spread = { .state = -1 };
  if (cache_get(service_cache(req->service), id, state, &known) && known.len < sizeof spread.json) {
    memcpy(spread.json, known.data, known.len + 1);
    spread.state = state;
  }
  px_buf_free(&known);
  enum px_status status = api_store(req, &store, err);
  if (!status) status = store_dataset_show(store, id, &spread, &reply->body, &version, err);
  if (status) return status;
  cache_put(service_cache(req->service), id, spread.state, spread.json);
  reply->etag = api_etag(req, version);
  return PX_OK;
}

static enum px_status check_name(const char *name, struct px_err *err) {
  const char *fault = flow_name_dataset_fault(name, STORE_DATASET_NAME_MAX);
  return fault ? px_fail_at(err, PX_E_BAD_FIELD, "/name", "name must be %s", fault) : PX_OK;
}

/* Sizes of arrays are counts: 3.0 is a slip, of a program that computed them in floating point,
 * say. */
static enum px_status check_counts(const json_t *body, struct px_err *err) {
  static const char *const COUNTS[] = { "obs_dim", "act_dim", "act_count" };
  for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++) {
    char pointer[16];
    snprintf(pointer, sizeof pointer, "/%s", COUNTS[i]);
    if (json_is_real(json_object_get(body, COUNTS[i])))
      return px_fail_at(err, PX_E_BAD_FIELD, pointer,
                        "%s must be a whole number, written without a fraction", COUNTS[i]);
  }
  return PX_OK;
}

API_HANDLER(api_dataset_create) {
  /* The two bounds are a number or a list, which a field table cannot say. */
  json_t *plain = json_copy(req->json), *checked = NULL;
  struct px_spaces *spaces = px_arena_take(req->arena, 1, sizeof *spaces);
  if (!plain || !spaces) {
    json_decref(plain);
    return px_fail(err, PX_E_NO_MEMORY, "dataset");
  }
  json_object_del(plain, "act_low");
  json_object_del(plain, "act_high");
  enum px_status status = check_counts(req->json, err);
  if (!status)
    status = flow_fields_check_beside(FIELDS, "act_low, act_high", plain, "", &checked, err);
  if (!status) status = check_name(json_string_value(json_object_get(checked, "name")), err);
  if (!status) status = read_spaces(req->json, checked, spaces, err);
  if (!status) status = check_env(json_string_value(json_object_get(checked, "env")), spaces, err);
  struct store *store = NULL;
  char id[STORE_ID_MAX];
  if (!status) status = api_store(req, &store, err);
  if (!status)
    status =
      store_dataset_create(store, json_string_value(json_object_get(checked, "name")), spaces,
                           json_string_value(json_object_get(checked, "env")), id, err);
  if (!status) status = api_done(req, reply_document(req, reply, id, 0, err), "dataset", id, err);
  if (!status) {
    reply->status = 201;
    http_reply_header(reply, "Location", px_arena_fmt(req->arena, "/v1/datasets/%s", id));
  }
  json_decref(checked);
  json_decref(plain);
  return status;
}

API_HANDLER(api_dataset_list) {
  int64_t limit;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_store(req, &store, err);
  return status
           ? status
           : store_dataset_list(store, http_query(req, "after"), (int)limit, &reply->body, err);
}

enum px_status api_dataset(struct http_request *req, struct store_dataset **out,
                           struct px_err *err) {
  struct store_dataset *ds = px_arena_take(req->arena, 1, sizeof *ds);
  struct store *store = NULL;
  if (!ds) return px_fail(err, PX_E_NO_MEMORY, "dataset");
  enum px_status status = api_store(req, &store, err);
  if (!status) status = store_dataset_get(store, req->params[0], ds, err);
  if (!status) *out = ds;
  return status;
}

API_HANDLER(api_dataset_get) {
  struct store_dataset *ds = NULL;
  const enum px_status status = api_dataset(req, &ds, err);
  return status ? status : reply_document(req, reply, ds->id, store_dataset_state(ds), err);
}

API_HANDLER(api_dataset_delete) {
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  bool only = false;
  enum px_status status = api_dataset(req, &ds, err);
  if (!status) status = api_if_match(req, ds->version, &only, err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_dataset_delete(store, ds->id, only ? ds->version : 0, err);
  if (!status) reply->status = 204;
  return status;
}
