/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups and live progress over Redis: see queue.h. */
#include "lib/redis/queue.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/redis/redis_conn.h"
#include "lib/redis/redis_url.h"

enum {
  BREAKER_MS = 1000,
  BREAKER_MAX_MS = 4000,
  WAKE_MAX = 1000,
  WAIT_GRACE_MS = 100,
  PROGRESS_S = 60
};
#define WAKE_KEY "proxact:wake"
#define PROGRESS_KEY "proxact:progress:%s"
#define CHANGED_CHANNEL "proxact:changed"

/* One for commands, one that only listens: a subscriber may send nothing else. */
struct line {
  redisContext *context;
};
struct queue {
  bool configured;
  struct redis_url at;
  struct line command, listen;
  int64_t quiet_until_ms; /* the circuit breaker: nothing is tried before */
  int quiet_ms;           /* how long it keeps quiet, more each time; 0: closed, all is well */
};

static struct {
  _Atomic uint64_t failures, skipped;
  atomic_int open;
} counted;

void queue_counts(struct queue_counts *out) {
  *out = (struct queue_counts){ .failures = counted.failures,
                                .skipped = counted.skipped,
                                .open = counted.open };
}

enum px_status queue_open(const char *url, struct queue **out, struct px_err *err) {
  struct queue *q = calloc(1, sizeof *q);
  if (!q) return px_fail(err, PX_E_NO_MEMORY, "no memory for a connection to Redis");
  q->configured = url && *url;
  if (q->configured && !redis_url_parse(url, &q->at)) {
    free(q);
    px_fail(err, PX_E_BAD_FIELD, "redis_url is not understood");
    px_fail_hint(err, "redis://[user:password@]host:port/db, unix:///path?db=n, or "
                      "redis+sentinel://host:port,host:port/master/db");
    return PX_E_BAD_FIELD;
  }
  *out = q;
  return PX_OK;
}

static void drop(struct line *line) {
  if (line->context) redisFree(line->context);
  line->context = NULL;
}

void queue_close(struct queue *q) {
  if (!q) return;
  drop(&q->command);
  drop(&q->listen);
  counted.open -= q->quiet_ms > 0;
  free(q);
}

bool queue_up(const struct queue *q) { return q->configured && px_clock_ms() >= q->quiet_until_ms; }

static void trip(struct queue *q, struct line *line) {
  drop(line);
  counted.failures++;
  counted.open += q->quiet_ms == 0;
  q->quiet_ms = q->quiet_ms == 0               ? BREAKER_MS
                : q->quiet_ms < BREAKER_MAX_MS ? 2 * q->quiet_ms
                                               : BREAKER_MAX_MS;
  q->quiet_until_ms = px_clock_ms() + q->quiet_ms;
}

/* Redis has answered. */
static void mend(struct queue *q) {
  counted.open -= q->quiet_ms > 0;
  q->quiet_ms = 0;
}

/* --- connection --- */

/* The line, connected; false while the breaker keeps quiet. */
static bool ready(struct queue *q, struct line *line) {
  if (!queue_up(q)) {
    counted.skipped += q->configured;
    return false;
  }
  if (line->context) return true;
  line->context = redis_url_connect(&q->at);
  if (line->context) mend(q);
  else trip(q, line);
  return line->context != NULL;
}

/* The reply to a command; NULL when Redis is away. */
PX_PRINTF(2, 3) static redisReply *command(struct queue *q, const char *format, ...) {
  if (!ready(q, &q->command)) return NULL;
  va_list args;
  va_start(args, format);
  redisReply *reply = redis_conn_vask(q->command.context, format, args);
  va_end(args);
  if (reply && reply->type != REDIS_REPLY_ERROR) return reply;
  if (reply) freeReplyObject(reply); /* such as a master that has become a replica */
  trip(q, &q->command);
  return NULL;
}

bool queue_ping(struct queue *q) {
  q->quiet_until_ms = 0;
  return redis_conn_fine(command(q, "PING"));
}

/* --- waiting --- */

/* Waits until fd or stop_fd is readable; true if it was fd. A descriptor of -1 is ignored. */
static bool wait_for(int fd, int timeout_ms, int stop_fd) {
  struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };
  const int64_t until = px_clock_ms() + timeout_ms;
  for (;;) {
    const int64_t left = until - px_clock_ms();
    const int n = poll(fds, 2, left > 0 ? (int)left : 0);
    if (n >= 0) return n > 0 && fds[0].revents && !fds[1].revents;
    if (errno != EINTR) return false;
  }
}

static bool stopping(int stop_fd) {
  struct pollfd fd = { .fd = stop_fd, .events = POLLIN };
  return poll(&fd, 1, 0) > 0;
}

/* What is left of a wait when Redis is away. */
static bool sleep_out(int64_t until_ms, int stop_fd) {
  const int64_t left = until_ms - px_clock_ms();
  if (left > 0) wait_for(-1, left < BREAKER_MS ? (int)left : BREAKER_MS, stop_fd);
  return false;
}

void queue_wake(struct queue *q, int n) {
  if (n < 1 || !ready(q, &q->command)) return;
  redisContext *c = q->command.context;
  const int pushes = n < WAKE_MAX ? n : WAKE_MAX;
  bool well = true;
  for (int i = 0; i < pushes && well; i++) well = redis_conn_send(c, "LPUSH " WAKE_KEY " 1");
  /* Nobody may be listening: the list stays short. */
  well = well && redis_conn_send(c, "LTRIM " WAKE_KEY " 0 %d", WAKE_MAX - 1);
  for (int i = 0; i <= pushes && well; i++) well = redis_conn_fine(redis_conn_reply(c));
  if (!well) trip(q, &q->command);
}

bool queue_wait(struct queue *q, int timeout_ms, int stop_fd) {
  const int64_t until = px_clock_ms() + timeout_ms;
  if (stopping(stop_fd)) return false;
  if (!ready(q, &q->command)) return sleep_out(until, stop_fd);
  redisContext *c = q->command.context;
  char seconds[16];
  /* 0 would mean for ever. */
  snprintf(seconds, sizeof seconds, "%.3f", (timeout_ms > 0 ? timeout_ms : 1) / 1000.0);
  if (!redis_conn_send(c, "BRPOP " WAKE_KEY " %s", seconds)) {
    trip(q, &q->command);
    return sleep_out(until, stop_fd);
  }
  if (!wait_for(c->fd, timeout_ms + WAIT_GRACE_MS, stop_fd)) {
    /* The answer may still come, to a wait that is over: this connection is of no more use. Asked
     * to stop is no failure; silence past the time is. */
    if (stopping(stop_fd)) drop(&q->command);
    else trip(q, &q->command);
    return false;
  }
  redisReply *reply = redis_conn_reply(c);
  const bool woken = reply && reply->type == REDIS_REPLY_ARRAY;
  if (redis_conn_fine(reply)) return woken;
  trip(q, &q->command);
  return sleep_out(until, stop_fd);
}

/* --- progress and changes --- */

void queue_progress(struct queue *q, const char *job, const char *json) {
  redis_conn_fine(command(q, "SET " PROGRESS_KEY " %s EX %d", job, json, PROGRESS_S));
}

bool queue_progress_get(struct queue *q, const char *job, struct px_buf *json) {
  redisReply *reply = command(q, "GET " PROGRESS_KEY, job);
  const bool found =
    reply && reply->type == REDIS_REPLY_STRING && px_buf_put(json, reply->str, reply->len) == PX_OK;
  if (reply) freeReplyObject(reply);
  return found;
}

void queue_changed(struct queue *q, const char *job) {
  redis_conn_fine(command(q, "PUBLISH " CHANGED_CHANNEL " %s", job));
}

static bool subscribed(struct queue *q) {
  const bool fresh = !q->listen.context;
  if (!ready(q, &q->listen)) return false;
  if (!fresh || redis_conn_fine(redis_conn_ask(q->listen.context, "SUBSCRIBE " CHANGED_CHANNEL)))
    return true;
  trip(q, &q->listen);
  return false;
}

/* Takes every message that is there; counts them, or -1 when the line broke. */
static int take_messages(redisContext *c) {
  int n = 0;
  if (redisBufferRead(c) != REDIS_OK) return -1;
  for (;;) {
    redisReply *reply = NULL;
    if (redisGetReplyFromReader(c, (void **)&reply) != REDIS_OK) return -1;
    if (!reply) return n;
    freeReplyObject(reply);
    n++;
  }
}

bool queue_wait_changed(struct queue *q, int timeout_ms, int stop_fd) {
  const int64_t until = px_clock_ms() + timeout_ms;
  if (stopping(stop_fd)) return false;
  if (!subscribed(q)) return sleep_out(until, stop_fd);
  if (!wait_for(q->listen.context->fd, timeout_ms, stop_fd)) return false;
  const int messages = take_messages(q->listen.context);
  if (messages >= 0) return messages > 0;
  trip(q, &q->listen);
  return sleep_out(until, stop_fd);
}
