/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client of the Proxact API, on libcurl: requests in JSON, files in both
 * directions, problem documents (RFC 9457) turned into struct px_err.
 *
 * Used by the command line client; fit for other programs. A struct client
 * belongs to one thread. Call client_global_setup once before any.
 */
#ifndef PX_CLIENTS_C_CLIENT_H
#define PX_CLIENTS_C_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct client;

enum px_status client_global_setup(struct px_err *err) PX_MUST_CHECK;
void client_global_end(void);

/* url: "http://host:port" or with a path in front of /v1; token may be "". Both
 * are copied. */
enum px_status client_open(const char *url, const char *token, struct client **out,
                           struct px_err *err) PX_MUST_CHECK;
void client_close(struct client *client);
/* A server may be silent for so many seconds; a quarter of an hour unless set. */
void client_set_stall(struct client *client, long seconds);
/* Whether anything has answered at this address yet: if so, it may again. */
bool client_reached(const struct client *client);

/* Builds a path: every "{}" in the pattern becomes the next argument, percent-
 * encoded (RFC 3986); the arguments end with NULL. BAD_FIELD when an argument is
 * empty, TOO_LARGE when it does not fit. */
enum px_status client_path(char *out, size_t out_bytes, struct px_err *err, const char *pattern,
                           ...) PX_MUST_CHECK __attribute__((sentinel));

/* What came beside the body. */
struct client_reply {
  long http;
  char etag[96], location[256];
  long retry_after_s;    /* 0 if not said */
  int64_t upload_offset; /* -1 if not said */
  int64_t date_s;        /* the server's clock, since 1970; 0 if not said */
};

/* A status of 400 or more is a failure: its problem document fills *err. *out is
 * NULL when the answer has no body (204, 304); the caller owns it. `reply` may be
 * NULL. An `etag` that is not "" asks for a body only if it changed. */
enum px_status client_get(struct client *client, const char *path, const char *etag, json_t **out,
                          struct client_reply *reply, struct px_err *err) PX_MUST_CHECK;
/* Removes what the path names. */
enum px_status client_delete(struct client *client, const char *path,
                             struct px_err *err) PX_MUST_CHECK;
/* With an Idempotency-Key: when no answer comes, or "later", it is sent again a few times, and done
 * once. */
enum px_status client_post(struct client *client, const char *path, const json_t *body,
                           json_t **out, struct client_reply *reply,
                           struct px_err *err) PX_MUST_CHECK;

/* Told the bytes so far and in all (0 while unknown), many times a second. */
typedef void (*client_meter)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);

/* Streams a file as the body of a POST; again from its beginning when the line is cut. */
enum px_status client_upload(struct client *client, const char *path, const char *file,
                             const char *media_type, client_meter meter, void *ctx, json_t **out,
                             struct client_reply *reply, struct px_err *err) PX_MUST_CHECK;
/* An edit of a dataset at the version whose ETag is given: a file is PUT or POSTed, or what the
 * path names is deleted. */
enum client_edit_method { CLIENT_EDIT_PUT, CLIENT_EDIT_POST, CLIENT_EDIT_DELETE };
struct client_edit {
  enum client_edit_method method;
  const char *path, *etag;
  const char *file, *media_type; /* NULL for a deletion */
};
enum px_status client_edit(struct client *client, const struct client_edit *edit, json_t **out,
                           struct px_err *err) PX_MUST_CHECK;
/* Sends a file in parts (tus 1.0.0) into a dataset: after a cut it goes on where it
 * was, with growing pauses, until nothing got through for five minutes. *job (of
 * size job_n) is the ingest job. */
struct client_parts {
  const char *dataset, *file, *file_name;
  /* Parameters of the upload, or NULL; ignore_actions: whether it is not NULL. */
  const char *on_duplicate, *format, *obs_keys, *split, *ignore_actions, *source;
};
enum px_status client_upload_parts(struct client *client, const struct client_parts *what,
                                   client_meter meter, void *ctx, char *job, size_t job_n,
                                   struct px_err *err) PX_MUST_CHECK;
/* Streams the answer into a new file beside `file`, renamed when complete, so
 * that `file` is whole or untouched; "-" is standard output. */
enum px_status client_download(struct client *client, const char *path, const char *file,
                               client_meter meter, void *ctx, struct px_err *err) PX_MUST_CHECK;

/* The media type for a file's name (schema/uploads.def),
 * or NULL. */
const char *client_media_type(const char *file);

/* Turns a problem document into an error; `http` decides where it says nothing. */
enum px_status client_problem(long http, const json_t *problem, struct px_err *err) PX_MUST_CHECK;

#endif
