/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers share: see api.h. */
#include "server/api/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/files.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "server/api/upload_params.h"
#include "server/app/idempotency.h"

enum px_status api_store(struct http_request *req, struct store **out, struct px_err *err) {
  const enum px_status status = service_store(req->service, req->pooled, out, err);
  if (!status)
    store_set_submitter(*out, req->token ? req->token_digest : NULL,
                        service_options(req->service)->jobs_per_token);
  return status;
}

enum px_status api_query_int(const struct http_request *req, const char *name, int64_t min,
                             int64_t max, int64_t fallback, int64_t *out, struct px_err *err) {
  const char *text = http_query(req, name);
  if (!text) {
    *out = fallback;
    return PX_OK;
  }
  char *end;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end || value < min || value > max)
    return px_fail_at(err, PX_E_BAD_FIELD, name, "%s must be a whole number from %lld to %lld",
                      name, (long long)min, (long long)max);
  *out = value;
  return PX_OK;
}

enum px_status api_path_number(const struct http_request *req, const char *what, int64_t *out,
                               struct px_err *err) {
  const char *text = req->params[1];
  const size_t digits = strspn(text, "0123456789");
  if (digits == 0 || text[digits] || digits > 9)
    return px_fail(err, PX_E_NOT_FOUND, "there is no %s %.32s; they are numbered from 0", what,
                   text);
  *out = strtoll(text, NULL, 10);
  return PX_OK;
}

enum px_status api_query_flag(const struct http_request *req, const char *name, bool *out,
                              struct px_err *err) {
  return upload_params_flag(name, http_query(req, name), out, err);
}

enum px_status api_filter_dataset(struct http_request *req, const char **id, struct px_err *err) {
  const char *asked = http_query(req, "dataset");
  struct store *store = NULL;
  *id = NULL;
  if (!asked) return PX_OK;
  struct store_dataset *ds = px_arena_take(req->arena, 1, sizeof *ds);
  enum px_status status =
    ds ? api_store(req, &store, err) : px_fail(err, PX_E_NO_MEMORY, "dataset");
  if (!status) status = store_dataset_get(store, asked, ds, err);
  if (status == PX_E_NOT_FOUND) snprintf(err->pointer, sizeof err->pointer, "dataset");
  if (!status) *id = ds->id;
  return status;
}

enum px_status api_cursor(const struct http_request *req, const char *prefix, const char **out,
                          struct px_err *err) {
  const char *text = *out = http_query(req, "before");
  if (!text) return PX_OK;
  const size_t digits = strspn(text, "0123456789"), n = strlen(prefix);
  if (digits > 0 && digits <= 18 && text[digits] == '.' &&
      strncmp(text + digits + 1, prefix, n) == 0)
    return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "before", "'%.64s' is no cursor of this list", text);
  px_fail_hint(err, "Give the `next` of the page before, or leave it out to begin.");
  return PX_E_BAD_FIELD;
}

enum px_status api_if_match(struct http_request *req, int64_t version, bool *only,
                            struct px_err *err) {
  const char *list = http_header(req, "If-Match"), *etag = api_etag(req, version);
  *only = list && !strchr(list, '*');
  if (!list) return PX_OK;
  if (!etag) return px_fail(err, PX_E_NO_MEMORY, "version");
  if (http_etag_listed(list, etag, false)) return PX_OK;
  return px_fail(err, PX_E_PRECONDITION_FAILED,
                 "the present version is %s, and If-Match names %.100s", etag, list);
}

enum px_status api_check_id(const char *id, const char *prefix, const char *what,
                            struct px_err *err) {
  const size_t n = strlen(prefix);
  if (strncmp(id, prefix, n) == 0 && id[n] && strlen(id) < STORE_ID_MAX &&
      strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(id))
    return PX_OK;
  px_fail(err, PX_E_NOT_FOUND, "there is no %s %.64s", what, id);
  px_fail_hint(err, "Ids of this kind begin with %s.", prefix);
  return PX_E_NOT_FOUND;
}

enum px_status api_done(const struct http_request *req, enum px_status status, const char *what,
                        const char *id, struct px_err *err) {
  if (!status || idempotency_asked(req)) return status;
  char why[256];
  snprintf(why, sizeof why, "%.200s", err->message);
  px_fail(err, PX_E_UNSETTLED, "%s %s was made, but cannot be read back: %s", what, id, why);
  px_fail_hint(err, "It is there: GET it by its id.");
  return PX_E_UNSETTLED;
}

const char *api_etag(struct http_request *req, int64_t version) {
  return px_arena_fmt(req->arena, "\"%lld\"", (long long)version);
}

void api_reply_file_name(struct http_request *req, struct http_reply *reply, const char *name) {
  char *safe = px_arena_str(req->arena, name);
  if (!safe) return;
  for (char *c = safe; *c; c++)
    if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\' || *c == '/') *c = '_';
  http_reply_header(reply, "Content-Disposition",
                    px_arena_fmt(req->arena, "attachment; filename=\"%s\"", safe));
}

struct spooled {
  struct diskspace *room;
  struct diskspace_claim claim;
  int fd;
};

static enum px_status write_chunk(void *ctx, const void *bytes, size_t n, struct px_err *err) {
  struct spooled *to = ctx;
  const enum px_status status = diskspace_use(to->room, &to->claim, DISKSPACE_SPOOL, n, err);
  return status ? status : files_write(to->fd, bytes, n, err);
}

enum px_status api_reply_blob(struct http_request *req, struct http_reply *reply, int64_t blob_id,
                              const char *media_type, const char *file_name, struct px_err *err) {
  struct store *store = NULL;
  struct spooled to = { .room = service_diskspace(req->service), .fd = -1 };
  enum px_status status = api_store(req, &store, err);
  if (!status) status = service_spool(req->service, &to.fd, err);
  if (!status) status = store_blob_get(store, blob_id, write_chunk, &to, err);
  diskspace_end(to.room, &to.claim);
  uint64_t bytes;
  if (!status) status = files_size(to.fd, &bytes, err);
  if (status) {
    if (to.fd >= 0) close(to.fd);
    return status;
  }
  reply->fd = to.fd;
  reply->fd_bytes = bytes;
  reply->media_type = media_type;
  api_reply_file_name(req, reply, file_name);
  return PX_OK;
}
