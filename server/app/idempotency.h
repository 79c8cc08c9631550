/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency-Key: a POST that carries one is carried out once, however often it
 * is sent (draft-ietf-httpapi-idempotency-key-header-07). The answer is stored
 * together with what the request did (lib/store/idempotency.h), and a repeat gets it
 * again with `Idempotent-Replayed: true`. Only successes are remembered: a
 * request that failed did nothing, and its repeat tries again.
 *
 * A hook of http (hooks_service). One request belongs to one thread at a time.
 */
#ifndef PX_SERVER_APP_IDEMPOTENCY_H
#define PX_SERVER_APP_IDEMPOTENCY_H

#include "lib/base/fail.h"
#include "server/http/http.h"

/* Whether the request has such a key. */
bool idempotency_asked(const struct http_request *req);
/* http_handle, or the stored answer where the key was seen before. BAD_REQUEST for a key that is
 * none. */
enum px_status idempotency_handle(struct http_request *req, struct http_reply *reply,
                                  struct px_err *err) PX_MUST_CHECK;

#endif
