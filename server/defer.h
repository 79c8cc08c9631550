/*
 * The work pool: long work of requests (reading an upload, an export, a report)
 * runs here while the connection sleeps. Used by service.c. Thread safe.
 */
#ifndef PX_SERVER_DEFER_H
#define PX_SERVER_DEFER_H

#include "lib/base/status.h"

struct http_request;
struct defer;
enum { DEFER_QUEUE_MAX = 64 };
enum px_status defer_new(int threads, struct defer **out, struct px_err *err) PX_MUST_CHECK;
/* Only when nothing is queued or running. */
void defer_free(struct defer *defer);
/* RATE_LIMITED when DEFER_QUEUE_MAX wait; one whose body was received (`begun`) is taken all the same, for its client would
 * have to send all of it again, and there are never more of them than connections. */
enum px_status defer_put(struct defer *defer, struct http_request *req, bool begun, struct px_err *err) PX_MUST_CHECK;

#endif
