/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: submit, follow, cancel, retry, and what they leave. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/aliases.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "lib/store/checkpoints.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "server/api/api.h"
#include "server/app/longpoll.h"

API_HANDLER(api_job_create) {
  char kinds[FLOW_KIND_NAMES_MAX];
  flow_kind_names(true, "|", kinds);
  const struct flow_field fields[] = { { "kind", FLOW_ENUM, 0, 0, "!", kinds, flow_kind_aliases,
                                         "what is to be done" },
                                       { .name = NULL } };
  struct api_submission s = { .spec = json_object_get(req->json, "spec"), .pointer = "/spec" };
  json_t *plain = json_copy(req->json), *present = NULL, *checked = NULL;
  if (plain) json_object_del(plain, "spec"); /* its own table depends on the kind */
  s.notes = json_object();
  enum px_status status = plain && s.notes ? api_query_flag(req, "dry_run", &s.dry_run, err)
                                           : px_fail(err, PX_E_NO_MEMORY, "job");
  if (!status) status = flow_aliases_replace(fields, plain, "", s.notes, &present, err);
  if (!status) status = flow_fields_check_beside(fields, "spec", present, "", &checked, err);
  if (!status)
    status = flow_kind_from(json_string_value(json_object_get(checked, "kind")), &s.kind, err);
  if (!status && !json_is_object(s.spec))
    status = px_fail_at(err, PX_E_BAD_FIELD, "/spec", "spec must be an object");
  if (!status) status = api_submit(req, reply, &s, err);
  json_decref(checked);
  json_decref(present);
  json_decref(plain);
  json_decref(s.notes);
  return status;
}

/* NULL, or the names that jobs of a kind are stored under; a name of before is taken too. */
static enum px_status filter_kind(const struct http_request *req, const char **out,
                                  struct px_err *err) {
  char names[FLOW_KIND_NAMES_MAX];
  const char *text = http_query(req, "kind");
  enum flow_kind kind;
  *out = NULL;
  if (!text) return PX_OK;
  if (flow_kind_from(text, &kind, NULL)) {
    flow_kind_names(false, " ", names);
    return px_fail_at(err, PX_E_BAD_FIELD, "kind", "kind must be one of: %s", names);
  }
  flow_kind_stored_names(kind, names);
  *out = px_arena_str(req->arena, names);
  return *out ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "kind");
}

/* NULL, or one of the words. */
static enum px_status check_word(const struct http_request *req, const char *name,
                                 const char *words, struct px_err *err) {
  const char *text = http_query(req, name);
  if (!text) return PX_OK;
  const size_t n = strlen(text);
  for (const char *at = words; *at;) {
    const size_t len = strcspn(at, " ");
    if (len == n && memcmp(at, text, n) == 0) return PX_OK;
    at += len + (at[len] == ' ');
  }
  return px_fail_at(err, PX_E_BAD_FIELD, name, "%s must be one of: %s", name, words);
}

/* NULL, or a pipeline that is there. */
static enum px_status filter_parent(struct http_request *req, struct store *store,
                                    const char **parent, struct px_err *err) {
  int64_t version;
  bool final;
  *parent = http_query(req, "parent");
  if (!*parent) return PX_OK;
  enum px_status status = store_job_versions(store, parent, 1, &version, &final, err);
  return status || version >= 0
           ? status
           : px_fail_at(err, PX_E_NOT_FOUND, "parent", "there is no job %.64s", *parent);
}

API_HANDLER(api_job_list) {
  int64_t limit;
  struct store *store = NULL;
  struct store_job_filter filter = { .state = http_query(req, "state") };
  enum px_status status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = filter_kind(req, &filter.kind, err);
  if (!status)
    status = check_word(req, "state", "blocked queued running succeeded failed cancelled", err);
  if (!status) status = api_cursor(req, "job_", &filter.before, err);
  if (!status) status = api_filter_dataset(req, &filter.dataset, err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = filter_parent(req, store, &filter.parent, err);
  filter.limit = (int)limit;
  return status ? status : store_job_list(store, &filter, &reply->body, err);
}

/* "30s", "500ms" or "30". */
static enum px_status read_wait(const struct http_request *req, int *ms, struct px_err *err) {
  const char *text = http_query(req, "wait");
  *ms = 0;
  if (!text) return PX_OK;
  char *end;
  errno = 0;
  const long value = strtol(text, &end, 10);
  const long unit = strcmp(end, "ms") == 0 ? 1 : strcmp(end, "s") == 0 || !*end ? 1000 : 0;
  if (errno || end == text || !unit || value < 0 || value > WAIT_LONGEST_MS / unit)
    return px_fail_at(err, PX_E_BAD_FIELD, "wait",
                      "wait must be a time of at most 60s, such as 30s or 500ms");
  *ms = (int)(value * unit);
  return PX_OK;
}

/* A running job's phase and progress are as old as its last heartbeat in the database; Redis, when
 * it is there, has newer ones. False when it has none that make sense. */
static bool read_live(struct http_request *req, struct px_buf *text) {
  if (!service_job_progress(req->service, req->params[0], text)) return false;
  json_t *live = px_json_parse(text->data, text->len, 0, NULL);
  const bool good = json_is_object(json_object_get(live, "progress")) &&
                    json_is_string(json_object_get(live, "phase"));
  json_decref(live);
  return good;
}

static enum px_status reply_job(struct http_request *req, struct http_reply *reply,
                                struct store *store, struct px_err *err) {
  struct px_buf live = PX_BUF(1024);
  struct store_job_seen seen;
  const bool lives = read_live(req, &live);
  const enum px_status status =
    store_job_show(store, req->params[0], lives ? live.data : NULL, &reply->body, &seen, err);
  px_buf_free(&live);
  if (status) return status;
  reply->etag = api_etag(req, seen.version);
  if (!seen.final) http_reply_header(reply, "Retry-After", "1");
  return PX_OK;
}

/* What needs no document, which costs several times as much as a look at the version: a long poll
 * before its wait, and an answer to a client that has the document already. True when that is all
 * there is to do. */
static enum px_status answer_before_waiting(struct http_request *req, struct http_reply *reply,
                                            struct store *store, int wait_ms, bool *all,
                                            struct px_err *err) {
  const char *known = http_header(req, "If-None-Match");
  const bool waits = wait_ms > 0 && !req->waited;
  *all = false;
  if (!known && !waits) return PX_OK;
  struct store_job_seen seen;
  const enum px_status status = store_job_versions(store, (const char *const[]){ req->params[0] },
                                                   1, &seen.version, &seen.final, err);
  /* the document's query says that there is no such job */
  if (status || seen.version < 0) return status;
  const char *etag = api_etag(req, seen.version);
  if (!etag) return px_fail(err, PX_E_NO_MEMORY, "job");
  /* Whoever knows another version than this one is told at once. */
  if (known && !http_etag_listed(known, etag, true)) return PX_OK;
  if (waits && !seen.final) {
    snprintf(reply->park_key, sizeof reply->park_key, "%s", req->params[0]);
    reply->park_version = seen.version;
    reply->park_ms = wait_ms;
    *all = true;
  } else if (known) {
    reply->etag = etag; /* becomes 304 */
    if (!seen.final) http_reply_header(reply, "Retry-After", "1");
    *all = true;
  }
  return PX_OK;
}

API_HANDLER(api_job_get) {
  int wait_ms;
  bool all;
  struct store *store = NULL;
  enum px_status status = read_wait(req, &wait_ms, err);
  if (!status) status = api_check_id(req->params[0], "job_", "job", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = answer_before_waiting(req, reply, store, wait_ms, &all, err);
  if (status || all) return status;
  return reply_job(req, reply, store, err);
}

static enum px_status job_store(struct http_request *req, struct store **store,
                                struct px_err *err) {
  const enum px_status status = api_check_id(req->params[0], "job_", "job", err);
  return status ? status : api_store(req, store, err);
}

API_HANDLER(api_job_events) {
  struct store *store = NULL;
  const enum px_status status = job_store(req, &store, err);
  return status ? status : store_job_events(store, req->params[0], &reply->body, err);
}

API_HANDLER(api_job_metrics) {
  struct store *store = NULL;
  const enum px_status status = job_store(req, &store, err);
  return status ? status : store_job_metrics(store, req->params[0], &reply->body, err);
}

API_HANDLER(api_job_artifacts) {
  struct store *store = NULL;
  const enum px_status status = job_store(req, &store, err);
  return status ? status : store_artifact_list(store, req->params[0], &reply->body, err);
}

API_HANDLER(api_job_artifact) {
  struct store *store = NULL;
  struct store_blob blob;
  char *type = px_arena_take(req->arena, 128, 1);
  enum px_status status =
    type ? job_store(req, &store, err) : px_fail(err, PX_E_NO_MEMORY, "artifact");
  if (!status)
    status = store_artifact_find(store, req->params[0], req->params[1], type, &blob, err);
  return status ? status : api_reply_blob(req, reply, blob.id, type, req->params[1], err);
}

static enum px_status last_checkpoint(struct store *store, const char *job,
                                      struct store_checkpoint *last, struct px_err *err) {
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  size_t n = 0;
  const enum px_status status = store_checkpoint_list(store, job, list, &n, err);
  if (status) return status;
  if (n == 0) {
    px_fail(err, PX_E_NOT_FOUND, "job %s has no checkpoint", job);
    px_fail_hint(err, "A training has one while it runs, from about 5 seconds on, and for a week "
                      "after it has failed; one that"
                      " succeeded has its model instead.");
    return PX_E_NOT_FOUND;
  }
  *last = list[0];
  return PX_OK;
}

/* The last kept state of a training. One that the training replaces while it is read is followed by
 * the next. */
API_HANDLER(api_job_checkpoint) {
  const int tries = 10;
  struct store *store = NULL;
  struct store_checkpoint last = { 0 };
  const char *const job = req->params[0];
  enum px_status status = job_store(req, &store, err);
  if (!status) status = last_checkpoint(store, job, &last, err);
  for (int i = 0; !status && i < tries; i++) {
    struct px_err why = { 0 };
    const int64_t was = last.blob.id;
    const char *name =
      px_arena_fmt(req->arena, "%s-step-%lld.safetensors", job, (long long)last.step);
    const enum px_status sent =
      api_reply_blob(req, reply, was, "application/x-safetensors", name, &why);
    if (!sent) return PX_OK;
    status = last_checkpoint(store, job, &last, err);
    if (!status && (last.blob.id == was || i + 1 == tries)) {
      *err = why;
      return sent;
    }
  }
  return status;
}

API_HANDLER(api_job_cancel) {
  struct store *store = NULL;
  int64_t version;
  enum px_status status = job_store(req, &store, err);
  if (!status) status = store_job_cancel(store, req->params[0], err);
  reply->changed = req->params[0];
  if (!status)
    status = api_done(req, store_job_document(store, req->params[0], &reply->body, &version, err),
                      "the cancellation of", req->params[0], err);
  if (!status) reply->etag = api_etag(req, version);
  return status;
}

API_HANDLER(api_job_delete) {
  struct store *store = NULL;
  int64_t version;
  bool final, only;
  const char *const job = req->params[0];
  enum px_status status = job_store(req, &store, err);
  if (!status) status = store_job_versions(store, &job, 1, &version, &final, err);
  /* what has ended does not change any more */
  if (!status && version >= 0) status = api_if_match(req, version, &only, err);
  if (!status) status = store_job_delete(store, job, err);
  if (!status) {
    reply->changed = job;
    reply->status = 204;
  }
  return status;
}

/* A fresh copy of the job, or of the whole pipeline. */
API_HANDLER(api_job_retry) {
  struct store *store = NULL;
  struct px_buf text = PX_BUF(64 << 20);
  int64_t version;
  enum flow_kind kind = FLOW_INGEST;
  enum px_status status = job_store(req, &store, err);
  if (!status) status = store_job_document(store, req->params[0], &text, &version, err);
  json_t *document = status ? NULL : px_json_parse(text.data, text.len, 0, NULL);
  if (!status && !document) status = px_fail(err, PX_E_INTERNAL, "the job's document is broken");
  if (!status)
    status = flow_kind_from(json_string_value(json_object_get(document, "kind")), &kind, err);
  if (!status && !json_is_string(json_object_get(document, "finished_at")))
    status = px_fail(err, PX_E_CONFLICT, "the job has not ended yet");
  if (!status && kind != FLOW_PIPELINE && !flow_kind_info(kind)->submittable) {
    status = px_fail(err, PX_E_CONFLICT, "a job of kind %s cannot be retried by itself",
                     flow_kind_info(kind)->name);
    px_fail_hint(err, kind == FLOW_INGEST ? "Send the file again."
                                          : "Retry the job or the pipeline that made it.");
  }
  if (!status)
    status =
      api_submit(req, reply,
                 &(struct api_submission){
                   .kind = kind, .spec = json_object_get(document, "spec"), .pointer = "/spec" },
                 err);
  json_decref(document);
  px_buf_free(&text);
  return status;
}
