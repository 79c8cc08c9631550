/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of a dataset and its versions: true actions that come later, segments taken out, what
 * changed. Each edit names the version that it changes in If-Match.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "lib/store/versions.h"
#include "lib/transfer/edit.h"
#include "server/api/api.h"
#include "server/api/spool.h"
#include "server/api/upload_params.h"

/* The dataset at the version that If-Match names. */
static enum px_status read_version(struct http_request *req, struct store_dataset **ds,
                                   struct px_err *err) {
  bool only;
  if (!http_header(req, "If-Match"))
    return px_fail(err, PX_E_PRECONDITION_REQUIRED, "an edit needs the header If-Match");
  const enum px_status status = api_dataset(req, ds, err);
  return status ? status : api_if_match(req, (*ds)->version, &only, err);
}

static enum px_status reply_edited(struct http_request *req, struct http_reply *reply,
                                   const struct store_dataset *ds, int64_t version, json_t *about,
                                   struct px_err *err) {
  json_t *json = json_pack("{s:s s:I}", "dataset_id", ds->id, "version", (json_int_t)version);
  if (json && about) json_object_update(json, about);
  json_decref(about);
  reply->etag = api_etag(req, version);
  return api_done(req, http_reply_json(reply, json, err), "edit of", ds->id, err);
}

/* ---- actions */

struct actions {
  struct spool body;
  struct store_dataset *dataset; /* in the request's arena */
  struct transfer_edit what;
  char name[UPLOAD_PARAMS_NAME_MAX];
  struct transfer_editing *editing;
  struct service *service;
};

static void actions_free(void *stream, bool done) {
  struct actions *a = stream;
  struct store *store = NULL;
  struct px_err unused_err;
  if (a->editing && !done && service_store(a->service, true, &store, &unused_err)) store = NULL;
  transfer_edit_free(a->editing, store);
  spool_free(&a->body);
  free(a);
}

/* Which trajectory the path names, where it names one. */
static enum px_status read_place(struct http_request *req, struct actions *a, struct px_err *err) {
  int64_t n = 0;
  struct store *store = NULL;
  struct store_place place;
  if (!req->params[1]) return PX_OK;
  enum px_status status = api_path_number(req, "trajectory", &n, err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_dataset_trajectory_find(store, a->dataset->id, n, &place, err);
  if (status) return status;
  a->what.file.trajectory = (uint64_t)n;
  a->what.file.steps = place.length;
  return PX_OK;
}

static enum px_status actions_begin(struct http_request *req, struct px_err *err) {
  struct actions *a = calloc(1, sizeof *a);
  if (!a) return px_fail(err, PX_E_NO_MEMORY, "actions");
  a->body.fd = -1;
  a->service = req->service;
  req->stream = a;
  if (http_body_bytes(req) == 0) return px_fail(err, PX_E_BAD_REQUEST, "the body is empty");
  const char *name = http_query(req, "filename");
  struct px_actions_file *file = &a->what.file;
  upload_params_name(name ? name : http_header(req, "X-Filename"), "the actions", a->name);
  enum px_status status =
    px_actions_format(http_header(req, "Content-Type"), name, &file->format, err);
  if (!status) status = api_query_flag(req, "replace", &a->what.replace, err);
  if (!status) status = read_version(req, &a->dataset, err);
  if (!status) status = read_place(req, a, err);
  file->name = a->name;
  file->max_bytes = service_options(req->service)->max_upload_bytes;
  return status ? status : spool_begin(req, &a->body, 1, err);
}

static enum px_status actions_feed(struct http_request *req, const void *bytes, size_t n,
                                   struct px_err *err) {
  return spool_feed(&((struct actions *)req->stream)->body, bytes, n, err);
}

static enum px_status may_store(void *ctx, uint64_t bytes, struct px_err *err) {
  return spool_may_store(ctx, bytes, err);
}

static enum px_status actions_ready(struct http_request *req, struct px_err *err) {
  struct actions *a = req->stream;
  enum px_status status = spool_end(&a->body, err);
  if (!status) status = api_store(req, &a->what.store, err);
  if (status) return status;
  a->what.dataset = a->dataset;
  a->what.file.fd = a->body.fd;
  a->what.may_store = may_store;
  a->what.may_store_ctx = &a->body;
  return transfer_edit_read(&a->what, &a->editing, err);
}

const struct http_stream API_ACTIONS_STREAM = { actions_begin, actions_feed, NULL,
                                                actions_ready, actions_free, true };

API_HANDLER(api_actions) {
  struct actions *a = req->stream;
  struct transfer_edited done;
  const enum px_status status = transfer_edit_commit(a->editing, &done, err);
  if (status) return status;
  return reply_edited(req, reply, a->dataset, done.version,
                      json_pack("{s:I s:I s:I}", "trajectories", (json_int_t)done.trajectories_n,
                                "steps", (json_int_t)done.steps_n, "replaced",
                                (json_int_t)done.replaced_n),
                      err);
}

/* ---- segments */

API_HANDLER(api_segment_delete) {
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  int64_t seq = 0, version = 0;
  enum px_status status = read_version(req, &ds, err);
  if (!status) status = api_path_number(req, "segment", &seq, err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = transfer_edit_take_out(store, ds, (uint32_t)seq, &version, err);
  return status ? status : reply_edited(req, reply, ds, version, NULL, err);
}

API_HANDLER(api_segment_list) {
  int64_t from, limit;
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "from", 0, INT32_MAX, 0, &from, err);
  if (!status) status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_dataset(req, &ds, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status
                : store_versions_segment_list(store, ds->id, from, (int)limit, &reply->body, err);
}

/* ---- versions */

API_HANDLER(api_version_list) {
  int64_t before, limit;
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "before", 1, INT64_MAX, 0, &before, err);
  if (!status) status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_dataset(req, &ds, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status
                : store_versions_list(store, ds->id, before, (int)limit, &reply->body, err);
}

API_HANDLER(api_version_diff) {
  int64_t from, to;
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  enum px_status status = api_dataset(req, &ds, err);
  if (!status && !http_query(req, "from"))
    status = px_fail_at(err, PX_E_BAD_FIELD, "from", "from is required: a version of the dataset");
  if (!status) status = api_query_int(req, "from", 0, ds->version, 0, &from, err);
  if (!status) status = api_query_int(req, "to", 0, ds->version, ds->version, &to, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status : store_versions_diff(store, ds->id, from, to, &reply->body, err);
}
