/*
 * Long polls: one thread holds them all. It sleeps until Redis says that some
 * job changed (or a second has passed), asks the database for the versions of
 * all jobs waited for in one query, and resumes the requests whose job moved on
 * or whose time is over. Used by service.c. Thread safe.
 */
#ifndef PX_SERVER_WAIT_H
#define PX_SERVER_WAIT_H

#include <stdint.h>

#include "lib/base/status.h"

struct http_request;
struct service;
struct waiter;
/* More than there can be connections: whoever could not wait would ask again at once. */
enum { WAIT_MAX = 8192, WAIT_LONGEST_MS = 60000 };
/* The thread makes connections of its own from the service's options. */
enum px_status wait_new(struct service *service, struct waiter **out, struct px_err *err) PX_MUST_CHECK;
void wait_free(struct waiter *waiter);
/* UNAVAILABLE when WAIT_MAX wait. From now on the request is the waiter's until it resumes it. */
enum px_status wait_put(struct waiter *waiter, struct http_request *req, const char *job, int64_t version, int wait_ms,
                        struct px_err *err) PX_MUST_CHECK;
/* Resumes all, and every later one at once. */
void wait_end_all(struct waiter *waiter);

#endif
