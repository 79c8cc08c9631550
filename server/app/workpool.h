/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work pool: long work of requests (reading an upload, an export, a report)
 * runs here while the connection sleeps. Used by service.c. Thread safe.
 *
 * Each kind of work has a lane with threads of its own, so that none waits for
 * another: a submission is not behind uploads that are being read. Within a lane
 * tokens take turns (fair queueing by start tags), and where there are several
 * threads one token never has all of them: whatever one token has asked for,
 * another's first request waits for none of it.
 */
#ifndef PX_SERVER_APP_WORKPOOL_H
#define PX_SERVER_APP_WORKPOOL_H

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct http_request;
struct workpool;
enum { DEFER_QUEUE_MAX = 64 };
/* `threads` for each lane. */
enum px_status workpool_new(int threads, struct workpool **out, struct px_err *err) PX_MUST_CHECK;
/* Only when nothing is queued or running. */
void workpool_free(struct workpool *pool);
/* Into the lane req->lane. RATE_LIMITED when DEFER_QUEUE_MAX of its token wait there; one whose
 * body was received (`begun`) is taken all the same, for its client would have to send all of it
 * again, and there are never more of them than connections. */
enum px_status workpool_put(struct workpool *pool, struct http_request *req, bool begun,
                            struct px_err *err) PX_MUST_CHECK;
/* How many requests wait in a lane, and how many are worked on. */
struct workpool_load {
  int waiting, running;
};
struct workpool_load workpool_load(struct workpool *pool, int lane);

#endif
