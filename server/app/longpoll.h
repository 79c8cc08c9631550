/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long polls: one thread holds them all. It sleeps until Redis says that some
 * job changed (or a second has passed), asks the database for the versions of
 * all jobs waited for in one query, and resumes the requests whose job moved on
 * or whose time is over. Used by service.c. Thread safe.
 */
#ifndef PX_SERVER_APP_LONGPOLL_H
#define PX_SERVER_APP_LONGPOLL_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct http_request;
/* Borrowed. `silent`: another thread knows that the database does not answer. */
struct longpoll_options {
  const char *db_url, *redis_url;
  const atomic_bool *silent;
};
struct longpoll;
/* More than there can be connections: whoever could not wait would ask again at once. */
enum { WAIT_MAX = 8192, WAIT_LONGEST_MS = 60000 };
/* The thread has connections of its own. */
enum px_status longpoll_new(const struct longpoll_options *options, struct longpoll **out,
                            struct px_err *err) PX_MUST_CHECK;
void longpoll_free(struct longpoll *waiter);
/* UNAVAILABLE when WAIT_MAX wait. From now on the request is the waiter's until it resumes it. */
enum px_status longpoll_put(struct longpoll *waiter, struct http_request *req, const char *job,
                            int64_t version, int wait_ms, struct px_err *err) PX_MUST_CHECK;
/* Resumes all, and every later one at once. */
void longpoll_end_all(struct longpoll *waiter);

#endif
