/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/datasets/{dataset}/trajectories: the body goes to an unlinked file as
 * it arrives, decoded on the way; then a thread of the work pool reads it into
 * segments, or hands it to an ingest job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/read/decode.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "lib/transfer/transfer.h"
#include "server/api/api.h"
#include "server/api/spool.h"
#include "server/api/upload_params.h"
#include "server/app/metrics.h"

struct upload {
  struct spool body;
  struct store_dataset *dataset; /* in the request's arena */
  struct upload_params what;
  bool async;
  struct service *service;
  struct store_ingesting *ingesting; /* read; its segments are not the dataset's yet */
  struct store_blob blob;            /* or, async, the file as it is */
  double began_s;
};

static void upload_free(void *stream, bool done) {
  struct upload *u = stream;
  struct store *store = NULL;
  struct px_err unused_err;
  /* What a failed upload has stored goes at once: it may have been a full disk. */
  if (u->ingesting && !done && service_store(u->service, true, &store, &unused_err)) store = NULL;
  transfer_ingest_free(u->ingesting, store);
  spool_free(&u->body);
  free(u);
}

static enum px_status read_headers(struct http_request *req, struct upload *u, struct px_err *err) {
  const char *name = http_query(req, "filename");
  const struct upload_params_words words = { .file_name =
                                               name ? name : http_header(req, "X-Filename"),
                                             .format = http_query(req, "format"),
                                             .media_type = http_header(req, "Content-Type"),
                                             .ignore_actions = http_query(req, "ignore_actions"),
                                             .obs_keys = http_query(req, "obs_keys"),
                                             .split = http_query(req, "split"),
                                             .on_duplicate = http_query(req, "on_duplicate"),
                                             .source = http_query(req, "source") };
  enum px_status status = upload_params_read(&words, &u->what, err);
  if (!status) status = api_query_flag(req, "async", &u->async, err);
  if (!status) status = api_dataset(req, &u->dataset, err);
  if (status) return status;
  const char *prefer = http_header(req, "Prefer");
  if (prefer && strstr(prefer, "respond-async")) u->async = true;
  if (u->async) req->lane = HTTP_STORE;
  u->what.options.read.max_logical_bytes = service_options(req->service)->max_upload_bytes;
  /* twice in the database when a job will make segments of what is stored */
  return spool_begin(req, &u->body, u->async ? 2 : 1, err);
}

static enum px_status upload_begin(struct http_request *req, struct px_err *err) {
  struct upload *u = calloc(1, sizeof *u);
  if (!u) return px_fail(err, PX_E_NO_MEMORY, "upload");
  u->body.fd = -1;
  u->service = req->service;
  req->stream = u;
  if (http_body_bytes(req) == 0) return px_fail(err, PX_E_BAD_REQUEST, "the body is empty");
  return read_headers(req, u, err);
}

static enum px_status upload_feed(struct http_request *req, const void *bytes, size_t n,
                                  struct px_err *err) {
  return spool_feed(&((struct upload *)req->stream)->body, bytes, n, err);
}

static enum px_status answer_stored(struct http_request *req, struct http_reply *reply,
                                    const struct store_ingested *r, double seconds,
                                    struct px_err *err) {
  const struct upload *u = req->stream;
  reply->status = 201;
  http_reply_header(reply, "Location", px_arena_fmt(req->arena, "/v1/datasets/%s", u->dataset->id));
  json_t *json = transfer_ingested_json(r),
         *about = json_pack("{s:s s:s s:s s:I s:f}", "dataset_id", u->dataset->id, "file",
                            u->what.name, "format", px_read_format_name(u->what.format), "version",
                            (json_int_t)r->version, "seconds", seconds);
  if (json) json_object_update(json, about);
  json_decref(about);
  return api_done(req, http_reply_json(reply, json, err), "upload into", u->dataset->id, err);
}

static enum px_status may_store(void *ctx, uint64_t bytes, struct px_err *err) {
  return spool_may_store(ctx, bytes, err);
}

static enum px_status read_segments(struct http_request *req, struct upload *u, struct store *store,
                                    struct px_err *err) {
  const struct store_ingest what = { .store = store,
                                     .beside_url = service_options(req->service)->db_url,
                                     .dataset = u->dataset,
                                     .fd = u->body.fd,
                                     .format = u->what.format,
                                     .bytes = px_decoder_bytes(u->body.decoder),
                                     .name = u->what.name,
                                     .options = &u->what.options.read,
                                     .on_duplicate = u->what.options.on_duplicate,
                                     .source = u->what.options.source,
                                     .may_store = may_store,
                                     .may_store_ctx = &u->body };
  return transfer_ingest_read(&what, &u->ingesting, err);
}

/* All that takes long. Nothing refers to what it stores before the handler's transaction. */
static enum px_status upload_ready(struct http_request *req, struct px_err *err) {
  struct upload *u = req->stream;
  struct store *store = NULL;
  u->began_s = px_clock_s();
  enum px_status status = spool_end(&u->body, err);
  if (!status) status = api_store(req, &store, err);
  if (status) return status;
  if (!u->async) return read_segments(req, u, store, err);
  status = spool_may_store(&u->body, px_decoder_bytes(u->body.decoder), err);
  return status ? status : store_blob_put_fd(store, u->body.fd, &u->blob, err);
}

const struct http_stream API_UPLOAD_STREAM = { upload_begin, upload_feed, NULL,
                                               upload_ready, upload_free, false };

static enum px_status store_now(struct http_request *req, struct http_reply *reply,
                                struct px_err *err) {
  struct upload *u = req->stream;
  struct store_ingested *result = px_arena_take(req->arena, 1, sizeof *result);
  if (!result) return px_fail(err, PX_E_NO_MEMORY, "upload");
  const enum px_status status = transfer_ingest_commit(u->ingesting, result, err);
  if (status) return status;
  const double seconds = px_clock_s() - u->began_s;
  metrics_uploaded(px_decoder_bytes(u->body.decoder), result->steps_n, seconds);
  return answer_stored(req, reply, result, seconds, err);
}

static enum px_status store_later(struct http_request *req, struct http_reply *reply,
                                  struct px_err *err) {
  const struct upload *u = req->stream;
  struct store *store = NULL;
  char job[STORE_ID_MAX];
  int64_t version;
  char *options = transfer_options_json(&u->what.options);
  enum px_status status =
    options ? api_store(req, &store, err) : px_fail(err, PX_E_NO_MEMORY, "upload");
  if (!status)
    status = store_upload_submit(store, u->dataset->id, u->what.name,
                                 px_read_format_name(u->what.format), options, &u->blob, job, err);
  free(options);
  if (status) return status;
  reply->wake = 1;
  reply->status = 202;
  http_reply_header(reply, "Location", px_arena_fmt(req->arena, "/v1/jobs/%s", job));
  http_reply_header(reply, "Preference-Applied", "respond-async");
  return api_done(req, store_job_document(store, job, &reply->body, &version, err), "job", job,
                  err);
}

API_HANDLER(api_upload) {
  const struct upload *u = req->stream;
  return u->async ? store_later(req, reply, err) : store_now(req, reply, err);
}
