/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1: what handlers see of a request, and what they answer.
 *
 * server/http/http*.c are the only users of libmicrohttpd. Everything the server
 * answers is in one route table (routes.c): what is not in it is 404, and what
 * is not marked open needs a token. A handler fills a reply or fails with a
 * px_err, which becomes a problem document (RFC 9457).
 *
 * Threads: a handler runs on one of the HTTP threads, or, when its route has a
 * lane, on a thread of the work pool while the connection sleeps. A request
 * belongs to one thread at a time.
 */
#ifndef PX_SERVER_HTTP_HTTP_H
#define PX_SERVER_HTTP_HTTP_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"

struct service;
struct http_request;
struct http_reply;

typedef enum px_status (*http_handler)(struct http_request *req, struct http_reply *reply,
                                       struct px_err *err);

/* A body that is taken piece by piece. begin sees the headers (the token was
 * checked) and sets req->stream; free gets it back in every case. feed may set
 * req->full: then flush runs in the work pool, while the connection sleeps,
 * before the next feed. ready, when the body is complete, is for long work before
 * the handler, which should be short: it may run within a transaction. */
struct http_stream {
  enum px_status (*begin)(struct http_request *req, struct px_err *err);
  enum px_status (*feed)(struct http_request *req, const void *bytes, size_t n, struct px_err *err);
  /* or NULL, when never full */
  enum px_status (*flush)(struct http_request *req, struct px_err *err);
  enum px_status (*ready)(struct http_request *req, struct px_err *err); /* or NULL */
  /* done: the request succeeded */
  void (*free)(void *stream, bool done);
  bool if_match; /* begin compares If-Match; other POST and PATCH routes refuse it */
};

/* Content-Security-Policy of every answer: none is a page that may load or run anything, or stand
 * in another's frame. */
#define HTTP_CONTENT_POLICY \
  "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

enum http_access { HTTP_TOKEN = 0, HTTP_OPEN };
/* Where the work of a complete request is done: at once on its HTTP thread, or in a lane of the
 * work pool (workpool.h). */
enum http_lane {
  HTTP_AT_ONCE = -1,
  HTTP_READ,
  HTTP_STORE,
  HTTP_SUBMIT,
  HTTP_SEND,
  HTTP_PREDICT,
  HTTP_LANES_N
};
enum http_body { HTTP_NO_BODY = 0, HTTP_JSON, HTTP_OPTIONAL_JSON, HTTP_STREAM };
enum {
  HTTP_PARAMS_MAX = 2,
  HTTP_QUERY_MAX = 16,
  HTTP_HEADERS_MAX_BYTES = 16 << 10,
  HTTP_URI_MAX_BYTES = 8 << 10,
  HTTP_JSON_MAX_BYTES = 1 << 20,
  HTTP_JSON_MAX_DEPTH = 32,
  HTTP_REPLY_HEADERS_MAX = 12,
  HTTP_ROUTE_HEADERS_MAX = 4
};

struct http_pair {
  const char *name, *value;
};

struct http_route {
  /* "/v1/jobs/{id}:cancel": a parameter is a whole segment, or stands before :verb */
  const char *method, *path;
  /* operationId in schema/openapi.yaml, and the label in /metrics */
  const char *operation;
  /* names of the query parameters it takes, separated by spaces, or NULL */
  const char *query;
  enum http_access access;
  enum http_body body;
  /* READ: uploads into segments; STORE: bytes of uploads; SUBMIT: what changes a few rows; SEND:
   * files; PREDICT: actions */
  enum http_lane lane;
  http_handler handle;
  const struct http_stream *stream; /* HTTP_STREAM only */
  /* in every answer, problems too; ended by a NULL name; or NULL */
  const struct http_pair *headers;
};

struct http_request {
  struct service *service; /* borrowed */
  const struct http_route *route;
  struct px_arena *arena;              /* dies with the request */
  const char *method;                  /* as sent, or as X-HTTP-Method-Override says */
  const char *path, *query_text;       /* raw */
  char id[65];                         /* X-Request-Id, taken from the client or made here */
  const char *params[HTTP_PARAMS_MAX]; /* decoded path parameters, in order */
  struct http_pair query[HTTP_QUERY_MAX];
  size_t query_n;
  /* the body of a JSON route, an object; NULL if optional and absent */
  json_t *json;
  void *stream;
  bool full;           /* set by a stream's feed */
  enum http_lane lane; /* its route's, unless a stream's begin chooses another */
  /* of a token that is known to be good; zeros where there is none */
  uint8_t token_digest[PX_SHA256_BYTES];
  uint64_t token;                     /* of whom it is: the beginning of that digest */
  bool pooled;                        /* a thread of the work pool has it: it may take its time */
  bool waited;                        /* the handler runs again, after the wait it asked for */
  void *exchange;                     /* of http.c */
  struct http_request *next_deferred; /* of workpool.c, as turn */
  uint64_t turn;
};

/* NULL when absent; a query parameter without a value is "". */
const char *http_query(const struct http_request *req, const char *name);
const char *http_header(const struct http_request *req, const char *name);
/* Whether the value of an If-None-Match or If-Match header (may be NULL) names the ETag, or any
 * (*). The first compares weakly: W/ does not count; in the second what begins with W/ never
 * matches (RFC 9110 sections 13.1.2 and 13.1.1). */
bool http_etag_listed(const char *list, const char *etag, bool weak);
/* Whether the client has closed its side; for a request whose connection sleeps. */
bool http_client_gone(const struct http_request *req);
const struct http_route *http_routes(const struct http_request *req);
int http_requests_in_flight(const struct http_request *req);
bool http_draining(const struct http_request *req); /* the server is about to end */
/* SHA-256 of the body as it came, once, for a request with an Idempotency-Key; zeros otherwise. */
void http_body_digest(const struct http_request *req, uint8_t digest[PX_SHA256_BYTES]);
/* The declared length of the body; UINT64_MAX when it is not known before. */
uint64_t http_body_bytes(const struct http_request *req);

struct http_reply {
  int status;             /* 200 when the handler sets nothing */
  const char *media_type; /* application/json when NULL */
  struct px_buf body;
  /* or -1; the whole file is sent from its beginning, then the body, and closed */
  int fd;
  uint64_t fd_bytes;
  bool no_space;     /* the body could not go to a file */
  const char *still; /* or a body that lives as long as the process */
  size_t still_n;
  struct http_pair headers[HTTP_REPLY_HEADERS_MAX];
  size_t headers_n;
  bool lacking;      /* there was no memory for one of them */
  const char *etag;  /* with its quotes; If-None-Match is answered from it */
  const char *cache; /* Cache-Control; no-cache when NULL */
  int wake;          /* so much work may be ready now: for hooks.committed */
  /* the key of what changed, for those that are parked on it; or NULL */
  const char *changed;
  /* A long poll: instead of an answer now, run the handler again when the key's
   * version is no longer this one, or the time has passed. */
  char park_key[40];
  int64_t park_version;
  int park_ms;
};
/* Both strings must live as long as the request (arena). A NULL value stands for one that there was
 * no memory for. */
void http_reply_header(struct http_reply *reply, const char *name, const char *value);
/* JSON text into the body. Takes over `json`, and fails when it is NULL. */
enum px_status http_reply_json(struct http_reply *reply, json_t *json,
                               struct px_err *err) PX_MUST_CHECK;
/* For a body that is made piece by piece: when it holds much, that goes to a file. Other bodies are
 * looked after later. */
enum px_status http_reply_spill(struct http_request *req, struct http_reply *reply,
                                struct px_err *err) PX_MUST_CHECK;
/* The problem document (RFC 9457) of an error. */
enum px_status http_problem(const struct px_err *why, const char *request_id,
                            struct px_buf *out) PX_MUST_CHECK;

/*
 * What http asks of the server around it. `service` is the server's own: http hands it on and never
 * looks into it. Every hook may be called by several threads at once.
 */
struct http_hooks {
  /* The digest of the token in an Authorization header (may be NULL), if it is a good one.
   * `address`: a hash of the client's. UNAUTHORIZED, RATE_LIMITED. */
  enum px_status (*authorize)(struct service *service, const char *authorization, uint64_t address,
                              uint8_t digest[PX_SHA256_BYTES], struct px_err *err);
  /* Whether `handle` will ask for the body's digest. */
  bool (*wants_digest)(const struct http_request *req);
  /* Carries out a complete request: http_handle, or less where it was carried out before. */
  enum px_status (*handle)(struct http_request *req, struct http_reply *reply, struct px_err *err);
  /* After the success of that: reply->wake and reply->changed. */
  void (*committed)(struct service *service, const struct http_reply *reply);
  /* Calls http_run_deferred on another thread. `begun`: a part of the body was taken. */
  enum px_status (*run_later)(struct service *service, struct http_request *req, bool begun,
                              struct px_err *err);
  /* Calls http_resume when the key's version is no longer this one, or after the time. */
  enum px_status (*park)(struct service *service, struct http_request *req, const char *key,
                         int64_t version, int ms, struct px_err *err);
  /* Space for so many bytes more in a temporary file, which is opened where *fd is -1. NO_SPACE. */
  enum px_status (*spool)(struct service *service, uint64_t bytes, int *fd, struct px_err *err);
  /* Counts an answered request; route: its index in the table, or -1. */
  void (*answered)(int route, int status, double seconds, uint64_t received_bytes,
                   uint64_t sent_bytes);
};

struct http_options {
  int listen_fd; /* owned by http from now on */
  int threads;
  int idle_s; /* a connection without a request is closed after this time */
  int body_s; /* over which the pace of a body or an answer is averaged */
  /* a second, that the client must send of a body or read of an answer; 0: any */
  uint64_t min_rate_bytes;
  /* of large answers on their way, beyond which no other is begun */
  uint64_t replies_max_bytes;
  /* that clients may have before they show a valid token; 0: half of all */
  int unauth_connections;
  int unauth_per_address; /* the same from one address; 0: no limit of its own */
  uint64_t max_upload_bytes;
  struct service *service;
  const struct http_hooks *hooks;
  const struct http_route *routes;
  size_t routes_n;
};
struct http;
enum px_status http_start(const struct http_options *options, struct http **out,
                          struct px_err *err) PX_MUST_CHECK;
/* Begins to end: answers say so (Connection: close, /readyz 503), and for listen_ms more new
 * connections are taken. */
void http_drain(struct http *http, int listen_ms);
/* Then none is, and those that have nothing to ask are shut. True when all requests were answered
 * within drain_ms. */
bool http_drained(struct http *http, int64_t drain_ms) PX_MUST_CHECK;
/* Requests that are not answered yet. */
int http_in_flight(const struct http *http);
/* Only when none is in flight. */
void http_stop(struct http *http);
/* The long work of a complete request before its handler; and both. */
enum px_status http_ready(struct http_request *req, struct px_err *err) PX_MUST_CHECK;
enum px_status http_handle(struct http_request *req, struct http_reply *reply,
                           struct px_err *err) PX_MUST_CHECK;
/* For the work pool and the waiter: the request goes on, on its HTTP thread. */
void http_resume(struct http_request *req);
/* Flushes the stream or runs the handler on this thread, then resumes (work pool). */
void http_run_deferred(struct http_request *req);

#endif
