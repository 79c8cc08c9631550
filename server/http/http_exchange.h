/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer on libmicrohttpd: shared by http.c (its begin and end), http_admit.c
 * (its head), http_work.c (its handler) and http_answer.c (what is sent). */
#ifndef PX_SERVER_HTTP_HTTP_EXCHANGE_H
#define PX_SERVER_HTTP_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "server/http/http.h"
#include "server/http/http_accept.h"
#include "server/http/http_conn.h"
#include "server/http/http_recv.h"
#include "server/http/http_replies.h"
#include "server/http/http_route.h"

enum { HTTP_REPLY_MAX_BYTES = 256 << 20, HTTP_EARLY_MAX_BYTES = 16 << 10 };

struct http {
  struct http_options options;
  struct http_loop *loops; /* options.threads of them */
  struct acceptor *acceptor;
  struct conn_watch *watch;
  struct lingerer *linger;
  struct replies replies;
  atomic_int in_flight;
  atomic_bool draining;
};

/* FLUSHING: in the work pool, in the middle of the body. AWAY: there with all of it. AGAIN: after a
 * wait. */
enum stage {
  STAGE_HEADERS,
  STAGE_BODY,
  STAGE_FLUSHING,
  STAGE_AWAY,
  STAGE_AGAIN,
  STAGE_READY,
  STAGE_SENT
};

struct exchange {
  struct http_request req;
  struct http_reply reply;
  struct http *http;
  struct MHD_Connection *connection;
  struct conn *conn;
  char *uri, method[16]; /* uri: raw, owned; cut before the query */
  /* atomic: the next chunk may be offered while the stream is flushed */
  _Atomic enum stage stage;
  enum px_status failed; /* then err says why */
  struct px_err err;
  struct http_match match;
  struct px_buf json;
  /* of the body received; NULL unless it will be asked for */
  struct px_digest *digest;
  uint64_t number;     /* of the request on its connection, from 1 */
  uint64_t body_bytes; /* declared; UINT64_MAX when chunked */
  uint64_t received, sent;
  uint64_t kept, kept_memory; /* of the answer, as counted by http_replies.c */
  int64_t began_ms;
  bool close_after, early; /* early: answered in the middle of the body */
};

/* The descriptor of a connection; -1 if there is none. */
int http_socket(struct MHD_Connection *connection);
/* Queues the answer: the reply, or the problem document of x->err. */
enum MHD_Result http_answer(struct exchange *x);
/* Sends the problem document of x->err while the body still comes. Then nothing more of the
 * connection may be read. */
void http_answer_early(struct exchange *x);

#endif
