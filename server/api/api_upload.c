/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/datasets/{dataset}/trajectories: the body goes to an unlinked file as
 * it arrives, decoded on the way; then a thread of the work pool reads it into
 * segments, or hands it to an ingest job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/files.h"
#include "lib/base/text.h"
#include "lib/read/decode.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "lib/transfer/transfer.h"
#include "server/api/api.h"
#include "server/api/upload_params.h"
#include "server/app/metrics.h"

enum { DIGEST_TEXT_MAX = 64 };

struct upload {
  int fd;
  struct px_decoder *decoder;
  /* of the bytes received; NULL unless a digest was announced */
  struct px_digest *sha256;
  char digest[DIGEST_TEXT_MAX]; /* base64, as announced */
  const char *digest_header;
  struct store_dataset *dataset; /* in the request's arena */
  struct upload_params what;
  bool async;
  struct service *service;
  struct store_ingesting *ingesting; /* read; its segments are not the dataset's yet */
  struct store_blob blob;            /* or, async, the file as it is */
  double began_s;
  struct diskspace_claim claim;
};

static void upload_free(void *stream, bool done) {
  struct upload *u = stream;
  struct store *store = NULL;
  struct px_err unused_err;
  px_digest_free(u->sha256);
  /* What a failed upload has stored goes at once: it may have been a full disk. */
  if (u->ingesting && !done && service_store(u->service, true, &store, &unused_err)) store = NULL;
  transfer_ingest_free(u->ingesting, store);
  px_decoder_free(u->decoder);
  if (u->fd >= 0) close(u->fd);
  diskspace_end(service_diskspace(u->service), &u->claim);
  free(u);
}

/* RFC 9530: sha-256=:base64: among others, of the body as it is sent. */
static enum px_status read_digest(const struct http_request *req, struct upload *u,
                                  struct px_err *err) {
  u->digest_header = "Content-Digest";
  const char *value = http_header(req, "Content-Digest");
  if (!value) {
    u->digest_header = "Repr-Digest";
    value = http_header(req, "Repr-Digest");
  }
  const char *at = value ? strstr(value, "sha-256=") : NULL;
  if (!at) return PX_OK;
  at += strlen("sha-256=");
  const size_t n = *at == ':' ? strcspn(at + 1, ":") : 0;
  if (n != 44 || at[1 + n] != ':')
    return px_fail(err, PX_E_BAD_REQUEST,
                   "%s must be sha-256=:BASE64: with 44 characters of base64", u->digest_header);
  memcpy(u->digest, at + 1, n);
  u->sha256 = px_digest_new(PX_DIGEST_SHA256);
  return u->sha256 ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "digest");
}

/* What is declared, in the spool folder and in the database; there twice when a job will make
 * segments of what is stored. A length that is not told is claimed as it comes. */
static enum px_status claim_room(struct http_request *req, struct upload *u, struct px_err *err) {
  struct store *store = NULL;
  const uint64_t declared = http_body_bytes(req), bytes = declared == UINT64_MAX ? 0 : declared;
  const enum px_status status = api_store(req, &store, err);
  return status ? status
                : service_claim(req->service, store, &u->claim, bytes, u->async ? 2 * bytes : bytes,
                                err);
}

static enum px_status read_headers(struct http_request *req, struct upload *u, struct px_err *err) {
  enum px_encoding encoding;
  const char *name = http_query(req, "filename");
  const struct upload_params_words words = { .file_name =
                                               name ? name : http_header(req, "X-Filename"),
                                             .format = http_query(req, "format"),
                                             .media_type = http_header(req, "Content-Type"),
                                             .ignore_actions = http_query(req, "ignore_actions"),
                                             .obs_keys = http_query(req, "obs_keys"),
                                             .split = http_query(req, "split"),
                                             .on_duplicate = http_query(req, "on_duplicate") };
  enum px_status status = upload_params_read(&words, &u->what, err);
  if (!status) status = read_digest(req, u, err);
  if (!status) status = api_query_flag(req, "async", &u->async, err);
  if (!status)
    status = px_decoder_parse_encoding(http_header(req, "Content-Encoding"), &encoding, err);
  if (!status) status = api_dataset(req, &u->dataset, err);
  if (!status) status = service_spool(req->service, &u->fd, err);
  if (status) return status;
  const char *prefer = http_header(req, "Prefer");
  if (prefer && strstr(prefer, "respond-async")) u->async = true;
  if (u->async) req->lane = HTTP_STORE;
  status = claim_room(req, u, err);
  if (status) return status;
  u->what.options.max_logical_bytes = service_options(req->service)->max_upload_bytes;
  u->decoder = px_decoder_new(encoding, u->fd, service_options(req->service)->max_upload_bytes, 0);
  return u->decoder ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "decoder");
}

static enum px_status upload_begin(struct http_request *req, struct px_err *err) {
  struct upload *u = calloc(1, sizeof *u);
  if (!u) return px_fail(err, PX_E_NO_MEMORY, "upload");
  u->fd = -1;
  u->service = req->service;
  req->stream = u;
  if (http_body_bytes(req) == 0) return px_fail(err, PX_E_BAD_REQUEST, "the body is empty");
  return read_headers(req, u, err);
}

static enum px_status upload_feed(struct http_request *req, const void *bytes, size_t n,
                                  struct px_err *err) {
  struct upload *u = req->stream;
  if (u->sha256) px_digest_put(u->sha256, bytes, n);
  const uint64_t before = px_decoder_bytes(u->decoder);
  const enum px_status status = px_decoder_feed(u->decoder, bytes, n, err);
  return status ? status
                : diskspace_use(service_diskspace(u->service), &u->claim, DISKSPACE_SPOOL,
                                px_decoder_bytes(u->decoder) - before, err);
}

static enum px_status check_whole(struct upload *u, struct px_err *err) {
  const enum px_status status = px_decoder_end(u->decoder, err);
  if (status || !u->sha256) return status;
  uint8_t digest[PX_SHA256_BYTES];
  char text[DIGEST_TEXT_MAX];
  px_digest_end(u->sha256, digest);
  u->sha256 = NULL;
  px_text_base64(digest, sizeof digest, text);
  if (strcmp(text, u->digest) == 0) return PX_OK;
  return px_fail_at(err, PX_E_CHECKSUM_MISMATCH, u->digest_header,
                    "the body's SHA-256 is not the one announced in %s", u->digest_header);
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
  struct upload *u = ctx;
  return diskspace_use(service_diskspace(u->service), &u->claim, DISKSPACE_DB, bytes, err);
}

static enum px_status read_segments(struct http_request *req, struct upload *u, struct store *store,
                                    struct px_err *err) {
  const struct store_ingest what = { .store = store,
                                     .beside_url = service_options(req->service)->db_url,
                                     .dataset = u->dataset,
                                     .fd = u->fd,
                                     .format = u->what.format,
                                     .bytes = px_decoder_bytes(u->decoder),
                                     .name = u->what.name,
                                     .options = &u->what.options,
                                     .on_duplicate = u->what.on_duplicate,
                                     .may_store = may_store,
                                     .may_store_ctx = u };
  return transfer_ingest_read(&what, &u->ingesting, err);
}

/* All that takes long. Nothing refers to what it stores before the handler's transaction. */
static enum px_status upload_ready(struct http_request *req, struct px_err *err) {
  struct upload *u = req->stream;
  struct store *store = NULL;
  u->began_s = px_clock_s();
  enum px_status status = check_whole(u, err);
  if (!status) status = api_store(req, &store, err);
  if (status) return status;
  if (!u->async) return read_segments(req, u, store, err);
  status = may_store(u, px_decoder_bytes(u->decoder), err);
  return status ? status : store_blob_put_fd(store, u->fd, &u->blob, err);
}

const struct http_stream API_UPLOAD_STREAM = { upload_begin, upload_feed, NULL, upload_ready,
                                               upload_free };

static enum px_status store_now(struct http_request *req, struct http_reply *reply,
                                struct px_err *err) {
  struct upload *u = req->stream;
  struct store_ingested *result = px_arena_take(req->arena, 1, sizeof *result);
  if (!result) return px_fail(err, PX_E_NO_MEMORY, "upload");
  const enum px_status status = transfer_ingest_commit(u->ingesting, result, err);
  if (status) return status;
  const double seconds = px_clock_s() - u->began_s;
  metrics_uploaded(px_decoder_bytes(u->decoder), result->steps_n, seconds);
  return answer_stored(req, reply, result, seconds, err);
}

static enum px_status store_later(struct http_request *req, struct http_reply *reply,
                                  struct px_err *err) {
  const struct upload *u = req->stream;
  struct store *store = NULL;
  char job[STORE_ID_MAX];
  int64_t version;
  char *options = transfer_options_json(&u->what.options, u->what.on_duplicate);
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
