/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers, one file per resource, and what they share. The route table
 * (routes.c) is their only user.
 */
#ifndef PX_SERVER_API_API_H
#define PX_SERVER_API_API_H

#include "lib/base/fail.h"
#include "lib/flow/kinds.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "server/app/service.h"
#include "server/http/http.h"

extern const struct http_route API_ROUTES[];
extern const size_t API_ROUTES_N;

#define API_HANDLER(name) \
  enum px_status name(struct http_request *req, struct http_reply *reply, struct px_err *err)
API_HANDLER(api_dataset_create);
API_HANDLER(api_dataset_list);
API_HANDLER(api_dataset_get);
API_HANDLER(api_dataset_delete);
API_HANDLER(api_upload);
extern const struct http_stream API_UPLOAD_STREAM;
API_HANDLER(api_tus_options);
API_HANDLER(api_tus_create);
API_HANDLER(api_tus_append);
API_HANDLER(api_tus_get);
API_HANDLER(api_tus_delete);
extern const struct http_stream API_TUS_CREATE, API_TUS_APPEND;
extern const struct http_pair API_TUS_HEADERS[];
API_HANDLER(api_actions);
extern const struct http_stream API_ACTIONS_STREAM;
API_HANDLER(api_segment_list);
API_HANDLER(api_segment_delete);
API_HANDLER(api_version_list);
API_HANDLER(api_version_diff);
API_HANDLER(api_dataset_lint);
API_HANDLER(api_trajectory_list);
API_HANDLER(api_trajectory_get);
API_HANDLER(api_export);
API_HANDLER(api_job_create);
API_HANDLER(api_job_list);
API_HANDLER(api_job_get);
API_HANDLER(api_job_events);
API_HANDLER(api_job_metrics);
API_HANDLER(api_job_artifacts);
API_HANDLER(api_job_artifact);
API_HANDLER(api_job_checkpoint);
API_HANDLER(api_job_cancel);
API_HANDLER(api_job_retry);
API_HANDLER(api_job_delete);
API_HANDLER(api_pipeline_create);
API_HANDLER(api_label_set_list);
API_HANDLER(api_label_set_get);
API_HANDLER(api_simulator_create);
API_HANDLER(api_simulator_list);
API_HANDLER(api_simulator_get);
API_HANDLER(api_simulator_delete);
API_HANDLER(api_model_list);
API_HANDLER(api_model_get);
API_HANDLER(api_model_weights);
API_HANDLER(api_model_delete);
API_HANDLER(api_model_predict);
extern const struct http_stream API_PREDICT_STREAM;
API_HANDLER(api_worker_list);
API_HANDLER(api_index);
API_HANDLER(api_healthz);
API_HANDLER(api_readyz);
API_HANDLER(api_metrics);
API_HANDLER(api_version);
API_HANDLER(api_openapi);

/* The store of this thread, submitting in the name of the request's token. Only in the work pool
 * does it wait for a database that is away: an HTTP thread, which reads the beginnings of uploads
 * too, has other connections to serve. */
enum px_status api_store(struct http_request *req, struct store **out,
                         struct px_err *err) PX_MUST_CHECK;
/* A whole number from the query within bounds, or `fallback` when it is not given. */
enum px_status api_query_int(const struct http_request *req, const char *name, int64_t min,
                             int64_t max, int64_t fallback, int64_t *out,
                             struct px_err *err) PX_MUST_CHECK;
/* The second path parameter, which counts `what` from 0. NOT_FOUND for anything else. */
enum px_status api_path_number(const struct http_request *req, const char *what, int64_t *out,
                               struct px_err *err) PX_MUST_CHECK;
/* "true" or "false" (or nothing, as in ?async), false when it is not given. */
enum px_status api_query_flag(const struct http_request *req, const char *name, bool *out,
                              struct px_err *err) PX_MUST_CHECK;
/* The dataset that the first path parameter names by id or name, in the arena. */
enum px_status api_dataset(struct http_request *req, struct store_dataset **out,
                           struct px_err *err) PX_MUST_CHECK;
/* Ids have a prefix; anything else is answered NOT_FOUND without asking. */
enum px_status api_check_id(const char *id, const char *prefix, const char *what,
                            struct px_err *err) PX_MUST_CHECK;
/* What has been committed is not refused any more: a failure to read it back becomes UNSETTLED,
 * naming it. A request with an Idempotency-Key has not been committed yet. */
enum px_status api_done(const struct http_request *req, enum px_status status, const char *what,
                        const char *id, struct px_err *err) PX_MUST_CHECK;
/* Filters of lists: an id or name that is not there is NOT_FOUND at the parameter, rather than an
 * empty list. *id is NULL when it is not given; a dataset's name becomes its id. */
enum px_status api_filter_dataset(struct http_request *req, const char **id,
                                  struct px_err *err) PX_MUST_CHECK;
/* The cursor of a page: ?before= as it is, NULL if not given. BAD_FIELD unless a page's `next` has
 * this shape. */
enum px_status api_cursor(const struct http_request *req, const char *prefix, const char **out,
                          struct px_err *err) PX_MUST_CHECK;
/* PRECONDITION_FAILED unless If-Match, where it is given, names this version, or any (*). *only:
 * whether it names one. */
enum px_status api_if_match(struct http_request *req, int64_t version, bool *only,
                            struct px_err *err) PX_MUST_CHECK;
/* "version" in quotes, in the request's arena. */
const char *api_etag(struct http_request *req, int64_t version);
/* Sends a blob: through an unlinked file, so that memory stays bounded. */
enum px_status api_reply_blob(struct http_request *req, struct http_reply *reply, int64_t blob_id,
                              const char *media_type, const char *file_name,
                              struct px_err *err) PX_MUST_CHECK;
/* Content-Disposition with a name in which nothing can break the header. */
void api_reply_file_name(struct http_request *req, struct http_reply *reply, const char *name);

/* What is submitted; all of it borrowed. */
struct api_submission {
  enum flow_kind kind;
  const json_t *spec;
  const char *pointer; /* where the spec is in what the client sent: "/spec", "" */
  bool dry_run;
  json_t *notes; /* its `warnings` go into the answer; those of old names are added */
};
/* Jobs. Plans and submits; answers 202 with the first job's document, 200 with
 * that of an unfinished job with the same ?dedupe_key=, or the plan itself when
 * dry_run. */
enum px_status api_submit(struct http_request *req, struct http_reply *reply,
                          const struct api_submission *s, struct px_err *err) PX_MUST_CHECK;

#endif
