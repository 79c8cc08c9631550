/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis: wake-ups and live progress, hints only. Nothing here is ever the
 * truth: a missed wake-up costs one poll of at most a second, and with Redis
 * gone everything still completes. The only user of hiredis.
 *
 * Every call is bounded (100 ms for an answer, 300 ms to find a master, the given
 * time to wait). After a failure a circuit breaker keeps quiet for a second, after
 * more of them for up to four, before one call tries again.
 * A struct queue belongs to one thread. The process must ignore SIGPIPE, as
 * px_stop_setup does.
 */
#ifndef PX_REDIS_QUEUE_H
#define PX_REDIS_QUEUE_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/status.h"

struct queue;
/* url: redis://[user:password@]host:port/db, unix:///path?db=n (also redis+unix://), or
 * redis+sentinel://[user:password@]host:port[,host:port...]/master[/db], where sentinels say who is
 * the master now (user and password are Redis's); "" for none. Never fails because Redis is
 * away. */
enum px_status queue_open(const char *url, struct queue **out, struct px_err *err) PX_MUST_CHECK;
void queue_close(struct queue *q);
bool queue_up(const struct queue *q);
/* Asks Redis now, whatever the breaker says; true if it answered. */
bool queue_ping(struct queue *q);
/* Of all queues of this process: failures, calls that were not tried because a breaker was open,
 * breakers open now. Any thread. */
struct queue_counts {
  uint64_t failures, skipped;
  int open;
};
void queue_counts(struct queue_counts *out);

/* Tells waiting workers that n jobs may have become ready. */
void queue_wake(struct queue *q, int n);
/* Waits for a wake-up, at most timeout_ms; true if one came. Without Redis it
 * sleeps that long (at most a second) and answers false. stop_fd (or -1)
 * readable ends the wait at once. */
bool queue_wait(struct queue *q, int timeout_ms, int stop_fd);

/* Live progress of a job between heartbeats, and that a job changed at all. */
void queue_progress(struct queue *q, const char *job, const char *json);
bool queue_progress_get(struct queue *q, const char *job, struct px_buf *json);
void queue_changed(struct queue *q, const char *job);
/* Waits until any job changed; as queue_wait otherwise. The first call begins to
 * listen, so a change before it is not heard. */
bool queue_wait_changed(struct queue *q, int timeout_ms, int stop_fd);

#endif
