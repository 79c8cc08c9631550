/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads in parts, tus 1.0.0: /v1/uploads.
 *
 * A part goes to an unlinked file as it arrives. After every FLUSH_BYTES, or
 * FLUSH_MS on a slow line, what is there is stored and the offset moved, in one
 * transaction, while the connection sleeps; so a cut costs at most that much. A
 * part with a checksum is stored only when all of it is there and right. The last
 * byte makes the ingest job, as an asynchronous plain upload does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/files.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "lib/transfer/transfer.h"
#include "server/api/api.h"
#include "server/api/tus.h"
#include "server/api/upload_params.h"

enum { FLUSH_BYTES = 8 << 20, FLUSH_MS = 2000, CHECKED_MAX_BYTES = 64 << 20 };

const struct http_pair API_TUS_HEADERS[] = { { "Tus-Resumable", TUS_VERSION },
                                             { "Tus-Version", TUS_VERSION },
                                             { NULL, NULL } };

/* What a creation announces, for the time when its row is made. */
struct announced {
  struct store_dataset *dataset;
  struct upload_params what;
  const char *metadata;
};

struct part {
  char id[STORE_ID_MAX];             /* "" until the upload's row is made */
  struct announced *announced;       /* creation only; in the arena */
  uint64_t offset, held, size_bytes; /* held: bytes in fd, which belong at offset */
  int fd;                            /* -1: no body */
  int64_t flushed_ms;
  struct px_digest *digest; /* of the body; NULL unless a checksum was given */
  struct tus_checksum checksum;
  struct service *service;
  /* of the spool folder's volume; the database's is the upload's row */
  struct diskspace_claim claim;
};

static void part_free(void *stream, bool done) {
  (void)done;
  struct part *part = stream;
  diskspace_end(service_diskspace(part->service), &part->claim);
  px_digest_free(part->digest);
  if (part->fd >= 0) close(part->fd);
  free(part);
}

static enum px_status part_new(struct http_request *req, struct part **out, struct px_err *err) {
  struct part *part = calloc(1, sizeof *part);
  if (!part) return px_fail(err, PX_E_NO_MEMORY, "upload");
  part->fd = -1;
  part->service = req->service;
  part->flushed_ms = px_clock_ms();
  *out = req->stream = part;
  return tus_version(http_header(req, "Tus-Resumable"), err);
}

/* --- a body, of either method --- */

static enum px_status read_checksum(const struct http_request *req, struct part *part,
                                    struct px_err *err) {
  const char *value = http_header(req, "Upload-Checksum");
  if (!value) return PX_OK;
  const enum px_status status = tus_checksum_read(value, &part->checksum, err);
  if (status) return status;
  part->digest = px_digest_new(part->checksum.kind);
  return part->digest ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "digest");
}

static enum px_status fits(const struct part *part, uint64_t bytes, struct px_err *err) {
  if (bytes > part->size_bytes - part->offset)
    return px_fail(err, PX_E_TOO_LARGE, "the part has %llu bytes; the upload needs %llu more",
                   (unsigned long long)bytes,
                   (unsigned long long)(part->size_bytes - part->offset));
  if (!part->digest || bytes <= CHECKED_MAX_BYTES) return PX_OK;
  px_fail(err, PX_E_TOO_LARGE, "a part with a checksum has at most %d bytes", CHECKED_MAX_BYTES);
  px_fail_hint(err, "Send it in smaller parts, or without Upload-Checksum.");
  return PX_E_TOO_LARGE;
}

/* Bytes that the upload's row has room for: only what is free now can be against them. */
static enum px_status has_room_for(struct part *part, uint64_t bytes, struct px_err *err) {
  struct diskspace_claim claim = { 0 };
  const enum px_status status =
    diskspace_use(service_diskspace(part->service), &claim, DISKSPACE_DB, bytes, err);
  diskspace_end(service_diskspace(part->service), &claim);
  return status;
}

/* Everything that can be said against a body before it comes. */
static enum px_status open_body(struct http_request *req, struct part *part, struct px_err *err) {
  const uint64_t declared = http_body_bytes(req), bytes = declared == UINT64_MAX ? 0 : declared;
  const char *type = http_header(req, "Content-Type");
  if (!type || strcasecmp(type, "application/offset+octet-stream") != 0) {
    px_fail(err, PX_E_UNSUPPORTED_MEDIA,
            "the bytes of an upload come as application/offset+octet-stream");
    px_fail_hint(err, "Send the header 'Content-Type: application/offset+octet-stream'.");
    return PX_E_UNSUPPORTED_MEDIA;
  }
  enum px_status status = read_checksum(req, part, err);
  if (!status) status = fits(part, bytes, err);
  const uint64_t spool = part->digest ? bytes : bytes < FLUSH_BYTES ? bytes : FLUSH_BYTES;
  if (!status)
    status = diskspace_claim(service_diskspace(req->service), &part->claim, spool, 0, 0, err);
  if (!status) status = has_room_for(part, bytes, err);
  return status ? status : service_spool(req->service, &part->fd, err);
}

static enum px_status part_feed(struct http_request *req, const void *bytes, size_t n,
                                struct px_err *err) {
  struct part *part = req->stream;
  enum px_status status = fits(part, part->held + n, err);
  if (!status)
    status = diskspace_use(service_diskspace(part->service), &part->claim, DISKSPACE_SPOOL, n, err);
  if (!status) status = files_write(part->fd, bytes, n, err);
  if (status) return status;
  part->held += n;
  if (part->digest) px_digest_put(part->digest, bytes, n);
  else req->full = part->held >= FLUSH_BYTES || px_clock_ms() - part->flushed_ms >= FLUSH_MS;
  return PX_OK;
}

/* As a draft says it: 0 is any number. */
static uint64_t room_for_parts(struct diskspace *room) {
  const uint64_t left = diskspace_sees_db(room) ? diskspace_db_left(room) : 0;
  return left || !diskspace_sees_db(room) ? left : 1;
}

/* Makes the row of a new upload. */
static enum px_status make_row(struct http_request *req, struct store *store, struct part *part,
                               struct store_upload_state *state, struct px_err *err) {
  char *options = transfer_options_json(&part->announced->what.options);
  if (!options) return px_fail(err, PX_E_NO_MEMORY, "upload");
  const struct store_upload_draft draft = {
    .dataset_id = part->announced->dataset->id,
    .file_name = part->announced->what.name,
    .format = px_read_format_name(part->announced->what.format),
    .options_json = options,
    .metadata = part->announced->metadata,
    .size_bytes = part->size_bytes,
    .expires_s = service_options(req->service)->upload_expires_s,
    .room_bytes = room_for_parts(service_diskspace(req->service))
  };
  const enum px_status status = store_upload_create(store, &draft, state, err);
  free(options);
  if (!status) memcpy(part->id, state->id, sizeof part->id);
  return status;
}

/* Stores what is held, which is then the upload's. */
static enum px_status store_part(struct http_request *req, struct part *part,
                                 struct store_upload_state *state, struct px_err *err) {
  struct store *store = NULL;
  enum px_status status = api_store(req, &store, err);
  if (!status && !*part->id) status = make_row(req, store, part, state, err);
  else if (!status && part->held == 0)
    status = store_upload_append(store, part->id, part->offset, -1, 0, 0, state, err);
  if (!status && part->held)
    status = store_upload_append(store, part->id, part->offset, part->fd, part->held,
                                 service_options(req->service)->upload_expires_s, state, err);
  return status;
}

static enum px_status part_flush(struct http_request *req, struct px_err *err) {
  struct part *part = req->stream;
  struct store_upload_state *state = px_arena_take(req->arena, 1, sizeof *state);
  if (!state) return px_fail(err, PX_E_NO_MEMORY, "upload");
  enum px_status status = has_room_for(part, part->held, err);
  if (!status) status = store_part(req, part, state, err);
  if (status) return status;
  part->offset += part->held;
  part->held = 0;
  part->flushed_ms = px_clock_ms();
  return files_empty(part->fd, err);
}

static enum px_status part_ready(struct http_request *req, struct px_err *err) {
  struct part *part = req->stream;
  if (!part->digest) return PX_OK;
  uint8_t digest[PX_DIGEST_MAX_BYTES];
  const size_t n = px_digest_end(part->digest, digest);
  part->digest = NULL;
  return n == part->checksum.n && memcmp(digest, part->checksum.digest, n) == 0
           ? PX_OK
           : px_fail(err, PX_E_CHECKSUM_MISMATCH, "the digest of the %llu bytes is another one",
                     (unsigned long long)part->held);
}

/* --- answers --- */

static void reply_state(struct http_request *req, struct http_reply *reply,
                        const struct store_upload_state *state) {
  char *date = px_arena_take(req->arena, TUS_DATE_MAX, 1);
  if (date) tus_date(state->expires_at_s, date);
  http_reply_header(reply, "Upload-Offset",
                    px_arena_fmt(req->arena, "%llu", (unsigned long long)state->received_bytes));
  http_reply_header(reply, "Upload-Expires", date);
  if (*state->job_id)
    http_reply_header(reply, "Proxact-Job", px_arena_str(req->arena, state->job_id));
  reply->cache = "no-store";
}

/* Stores the rest. The part is copied: after a deadlock all of this runs again. */
static enum px_status finish(struct http_request *req, struct http_reply *reply,
                             struct store_upload_state **out, struct px_err *err) {
  struct part part = *(const struct part *)req->stream;
  struct store_upload_state *state = px_arena_take(req->arena, 1, sizeof *state);
  const enum px_status status =
    state ? store_part(req, &part, state, err) : px_fail(err, PX_E_NO_MEMORY, "upload");
  if (status) return status;
  reply->wake = *state->job_id && part.held ? 1 : 0;
  reply_state(req, reply, state);
  *out = state;
  return PX_OK;
}

/* --- POST /v1/uploads --- */

static enum px_status read_announced(struct http_request *req, struct announced *a,
                                     struct px_err *err) {
  a->metadata = http_header(req, "Upload-Metadata");
  if (!a->metadata) a->metadata = "";
  enum px_status status = tus_metadata_check(a->metadata, err);
  if (status) return status;
  char dataset[TUS_VALUE_MAX], name[TUS_VALUE_MAX], format[TUS_VALUE_MAX], type[TUS_VALUE_MAX],
    flag[TUS_VALUE_MAX], keys[TUS_VALUE_MAX], split[TUS_VALUE_MAX], duplicate[TUS_VALUE_MAX],
    source[TUS_VALUE_MAX];
  const struct upload_params_words words = {
    .file_name = tus_metadata_get(a->metadata, "filename", name),
    .format = tus_metadata_get(a->metadata, "format", format),
    .media_type = tus_metadata_get(a->metadata, "filetype", type),
    .ignore_actions = tus_metadata_get(a->metadata, "ignore_actions", flag),
    .obs_keys = tus_metadata_get(a->metadata, "obs_keys", keys),
    .split = tus_metadata_get(a->metadata, "split", split),
    .on_duplicate = tus_metadata_get(a->metadata, "on_duplicate", duplicate),
    .source = tus_metadata_get(a->metadata, "source", source)
  };
  status = upload_params_read(&words, &a->what, err);
  if (status) return status;
  struct store *store = NULL;
  const char *id = tus_metadata_get(a->metadata, "dataset", dataset);
  if (!id || !*id) {
    px_fail_at(err, PX_E_BAD_FIELD, "dataset",
               "Upload-Metadata does not say which dataset the file is for");
    px_fail_hint(
      err,
      "Its value is base64 of the dataset's id or name, as in: dataset $(printf hopper | base64).");
    return PX_E_BAD_FIELD;
  }
  status = api_store(req, &store, err);
  return status ? status : store_dataset_get(store, id, a->dataset, err);
}

static enum px_status read_length(struct http_request *req, struct part *part, struct px_err *err) {
  static const char *const NOT_SPOKEN[] = { "Upload-Defer-Length", "Upload-Concat" };
  for (size_t i = 0; i < sizeof NOT_SPOKEN / sizeof *NOT_SPOKEN; i++)
    if (http_header(req, NOT_SPOKEN[i])) {
      px_fail(err, PX_E_BAD_REQUEST, "%s is of an extension that this server does not speak",
              NOT_SPOKEN[i]);
      px_fail_hint(err, "It speaks: " TUS_EXTENSIONS
                        ". Send Upload-Length, and one upload for each file.");
      return PX_E_BAD_REQUEST;
    }
  const uint64_t most = service_options(req->service)->max_upload_bytes;
  enum px_status status =
    tus_number("Upload-Length", http_header(req, "Upload-Length"), &part->size_bytes, err);
  if (!status && part->size_bytes == 0)
    status = px_fail(err, PX_E_BAD_REQUEST, "Upload-Length is 0: the file is empty");
  if (!status && part->size_bytes > most)
    status = px_fail(err, PX_E_TOO_LARGE, "the file has %llu bytes; at most %llu are accepted",
                     (unsigned long long)part->size_bytes, (unsigned long long)most);
  return status;
}

static enum px_status create_begin(struct http_request *req, struct px_err *err) {
  struct part *part = NULL;
  enum px_status status = part_new(req, &part, err);
  if (status) return status;
  part->announced = px_arena_take(req->arena, 1, sizeof *part->announced);
  if (part->announced)
    part->announced->dataset = px_arena_take(req->arena, 1, sizeof *part->announced->dataset);
  if (!part->announced || !part->announced->dataset) return px_fail(err, PX_E_NO_MEMORY, "upload");
  status = read_length(req, part, err);
  if (!status) status = read_announced(req, part->announced, err);
  if (!status) status = has_room_for(part, part->size_bytes, err);
  return status || http_body_bytes(req) == 0 ? status : open_body(req, part, err);
}

const struct http_stream API_TUS_CREATE = { create_begin, part_feed, part_flush,
                                            part_ready,   part_free, false };

API_HANDLER(api_tus_create) {
  struct store_upload_state *state = NULL;
  const enum px_status status = finish(req, reply, &state, err);
  if (status) return status;
  reply->status = 201;
  http_reply_header(reply, "Location", px_arena_fmt(req->arena, "/v1/uploads/%s", state->id));
  return PX_OK;
}

/* --- PATCH /v1/uploads/{upload} --- */

static enum px_status append_begin(struct http_request *req, struct px_err *err) {
  struct part *part = NULL;
  struct store *store = NULL;
  struct store_upload_state *state = px_arena_take(req->arena, 1, sizeof *state);
  enum px_status status = part_new(req, &part, err);
  if (!status && !state) status = px_fail(err, PX_E_NO_MEMORY, "upload");
  if (!status)
    status = tus_number("Upload-Offset", http_header(req, "Upload-Offset"), &part->offset, err);
  if (!status) status = api_check_id(req->params[0], "up_", "upload", err);
  if (!status) status = api_store(req, &store, err);
  /* It is compared again when the bytes are stored; here it saves sending them. */
  if (!status)
    status = store_upload_append(store, req->params[0], part->offset, -1, 0, 0, state, err);
  if (status) return status;
  memcpy(part->id, state->id, sizeof part->id);
  part->size_bytes = state->size_bytes;
  return open_body(req, part, err);
}

const struct http_stream API_TUS_APPEND = { append_begin, part_feed, part_flush,
                                            part_ready,   part_free, false };

API_HANDLER(api_tus_append) {
  struct store_upload_state *state = NULL;
  const enum px_status status = finish(req, reply, &state, err);
  if (!status) reply->status = 204;
  return status;
}

/* --- GET, HEAD, DELETE, OPTIONS --- */

API_HANDLER(api_tus_get) {
  struct store *store = NULL;
  struct store_upload_state *state = px_arena_take(req->arena, 1, sizeof *state);
  enum px_status status = state ? api_check_id(req->params[0], "up_", "upload", err)
                                : px_fail(err, PX_E_NO_MEMORY, "upload");
  /* A person with curl may GET the document without being a tus client. */
  if (!status && strcmp(req->method, "HEAD") == 0)
    status = tus_version(http_header(req, "Tus-Resumable"), err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_upload_state(store, req->params[0], state, err);
  if (!status) status = store_upload_document(store, req->params[0], &reply->body, err);
  if (status) return status;
  reply_state(req, reply, state);
  http_reply_header(reply, "Upload-Length",
                    px_arena_fmt(req->arena, "%llu", (unsigned long long)state->size_bytes));
  if (*state->metadata)
    http_reply_header(reply, "Upload-Metadata", px_arena_str(req->arena, state->metadata));
  return PX_OK;
}

API_HANDLER(api_tus_delete) {
  struct store *store = NULL;
  enum px_status status = tus_version(http_header(req, "Tus-Resumable"), err);
  if (!status && http_header(req, "If-Match"))
    status = px_fail(err, PX_E_PRECONDITION_FAILED, "an upload has no version to match");
  if (!status) status = api_check_id(req->params[0], "up_", "upload", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_upload_delete(store, req->params[0], err);
  if (!status) reply->status = 204;
  return status;
}

API_HANDLER(api_tus_options) {
  (void)err;
  reply->status = 204;
  http_reply_header(reply, "Tus-Extension", TUS_EXTENSIONS);
  http_reply_header(reply, "Tus-Checksum-Algorithm", TUS_CHECKSUMS);
  http_reply_header(
    reply, "Tus-Max-Size",
    px_arena_fmt(req->arena, "%llu",
                 (unsigned long long)service_options(req->service)->max_upload_bytes));
  return PX_OK;
}
