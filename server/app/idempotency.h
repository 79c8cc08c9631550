/*
 * Idempotency-Key: a POST that carries one is carried out once, however often it
 * is sent (draft-ietf-httpapi-idempotency-key-header-07). The answer is stored
 * together with what the request did (lib/store/idempotency.h), and a repeat gets it
 * again with `Idempotent-Replayed: true`. Only successes are remembered: a
 * request that failed did nothing, and its repeat tries again.
 *
 * Used by http.c. One request belongs to one thread at a time.
 */
#ifndef PX_SERVER_APP_IDEMPOTENCY_H
#define PX_SERVER_APP_IDEMPOTENCY_H

#include "server/http/http.h"

/* Whether the request is to be carried out by once_run. */
bool once_asked(const struct http_request *req);
/* http_ready and the route's handler, or the stored answer. BAD_REQUEST for a key that is none. */
enum px_status once_run(struct http_request *req, struct http_reply *reply, struct px_err *err) PX_MUST_CHECK;

#endif
