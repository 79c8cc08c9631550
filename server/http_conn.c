/* Deadlines of connections: see http_conn.h. */
#include "server/http_conn.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

/* FRESH_MS: how long a client that has just connected may take to ask, when the server is about to end.
 * ENDED_MS: how long libmicrohttpd may take to find in what it has read that a request of a client that is gone is whole. */
enum { FRESH_MS = 1000, IDLE_AT_LEAST_MS = 1000, ENDED_MS = 2000 };

/* HEARING: of a request not all has come yet. */
enum state { FRESH, HEARING, BUSY, WAITING, SHUT };

struct conn {
  struct conn *prev, *next;
  int fd;
  _Atomic int64_t deadline_ms, idle_since_ms; /* since it was opened, or its last request ended */
  _Atomic int state;
};

struct conn_watch {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t thread;
  bool stopping;
  struct conn *first;
};

/* Bytes that have come and were not read: 1 for any number, 0 none and no more to come, -1 with errno. */
static ssize_t look(const struct conn *c) {
  char byte;
  return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

/* Nothing more comes: the client has closed it, and what it sent before has been read. */
static bool has_ended(const struct conn *c) {
  const ssize_t n = look(c);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/*
 * libmicrohttpd waits for edges, and takes a short read for the last: it misses an end that came together with the bytes
 * before it. A client may close its side and still wait for the answer to a whole request; while part of one is missing its
 * end is the request's.
 */
static void hurry_ended(struct conn *c, int64_t now) {
  int64_t deadline = atomic_load(&c->deadline_ms);
  const int state = atomic_load(&c->state);
  if (state != BUSY && state != SHUT && deadline != INT64_MAX && deadline > now + ENDED_MS && has_ended(c))
    atomic_compare_exchange_strong(&c->deadline_ms, &deadline, now + ENDED_MS); /* or a new stage has begun */
}

/* The socket is only shut down here; libmicrohttpd sees its end and closes it. */
static void shut_late(struct conn_watch *watch, int64_t now) {
  for (struct conn *c = watch->first; c; c = c->next) {
    hurry_ended(c, now);
    if (atomic_load(&c->deadline_ms) <= now) {
      const int state = atomic_load(&c->state);
      px_log(PX_LOG_INFO, "connection_late", "idle", state == FRESH || state == WAITING ? "true" : "false", NULL);
      shutdown(c->fd, SHUT_RDWR);
      atomic_store(&c->deadline_ms, INT64_MAX);
    }
  }
}

static void *watch_main(void *arg) {
  struct conn_watch *watch = arg;
  pthread_mutex_lock(&watch->lock);
  while (!watch->stopping) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
    shut_late(watch, px_clock_ms());
  }
  pthread_mutex_unlock(&watch->lock);
  return NULL;
}

enum px_status http_conn_watch_new(struct conn_watch **out, struct px_err *err) {
  struct conn_watch *watch = calloc(1, sizeof *watch);
  if (!watch) return px_fail(err, PX_E_NO_MEMORY, "connections");
  pthread_mutex_init(&watch->lock, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&watch->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  if (pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
    return px_fail(err, PX_E_NO_MEMORY, "starting a thread");
  }
  *out = watch;
  return PX_OK;
}

void http_conn_watch_free(struct conn_watch *watch) {
  if (!watch) return;
  pthread_mutex_lock(&watch->lock);
  watch->stopping = true;
  pthread_cond_signal(&watch->changed);
  pthread_mutex_unlock(&watch->lock);
  pthread_join(watch->thread, NULL);
  pthread_cond_destroy(&watch->changed);
  pthread_mutex_destroy(&watch->lock);
  free(watch);
}

struct conn *http_conn_open(struct conn_watch *watch, int socket_fd, int64_t deadline_ms) {
  struct conn *conn = calloc(1, sizeof *conn);
  if (!conn) return NULL;
  conn->fd = socket_fd;
  conn->deadline_ms = deadline_ms;
  conn->idle_since_ms = px_clock_ms();
  pthread_mutex_lock(&watch->lock);
  conn->next = watch->first;
  if (watch->first) watch->first->prev = conn;
  watch->first = conn;
  pthread_mutex_unlock(&watch->lock);
  return conn;
}

void http_conn_close(struct conn_watch *watch, struct conn *conn) {
  if (!conn) return;
  pthread_mutex_lock(&watch->lock);
  if (conn->prev) conn->prev->next = conn->next;
  else watch->first = conn->next;
  if (conn->next) conn->next->prev = conn->prev;
  pthread_mutex_unlock(&watch->lock);
  free(conn);
}

void http_conn_deadline(struct conn *conn, int64_t deadline_ms) {
  if (conn) atomic_store(&conn->deadline_ms, deadline_ms);
}

bool http_conn_begin(struct conn *conn) {
  int fresh = FRESH, waiting = WAITING;
  return !conn || atomic_compare_exchange_strong(&conn->state, &fresh, HEARING) ||
         atomic_compare_exchange_strong(&conn->state, &waiting, HEARING);
}

void http_conn_heard(struct conn *conn) {
  int hearing = HEARING;
  if (conn) atomic_compare_exchange_strong(&conn->state, &hearing, BUSY);
}

void http_conn_end(struct conn *conn) {
  if (!conn) return;
  atomic_store(&conn->idle_since_ms, px_clock_ms());
  atomic_store(&conn->state, WAITING);
}

/* A request that is there already is answered, and its connection closed after that. */
static bool has_nothing_to_say(const struct conn *c) { return look(c) <= 0; }

int http_conn_drain(struct conn_watch *watch) {
  const int64_t now = px_clock_ms();
  int left = 0;
  pthread_mutex_lock(&watch->lock);
  for (struct conn *c = watch->first; c; c = c->next) {
    int state = atomic_load(&c->state);
    const bool idle = state == WAITING || (state == FRESH && now - atomic_load(&c->idle_since_ms) > FRESH_MS);
    /* libmicrohttpd sees the end, and closes it. */
    if (idle && has_nothing_to_say(c) && atomic_compare_exchange_strong(&c->state, &state, SHUT)) shutdown(c->fd, SHUT_RDWR);
    left += state != SHUT;
  }
  pthread_mutex_unlock(&watch->lock);
  return left;
}

void http_conn_shut_oldest_idle(struct conn_watch *watch) {
  struct conn *oldest = NULL;
  int64_t since_ms = px_clock_ms() - IDLE_AT_LEAST_MS;
  pthread_mutex_lock(&watch->lock);
  for (struct conn *c = watch->first; c; c = c->next) {
    const int state = atomic_load(&c->state);
    if ((state != FRESH && state != WAITING) || atomic_load(&c->idle_since_ms) > since_ms || !has_nothing_to_say(c)) continue;
    oldest = c;
    since_ms = atomic_load(&c->idle_since_ms);
  }
  int state = oldest ? atomic_load(&oldest->state) : BUSY;
  if ((state == FRESH || state == WAITING) && atomic_compare_exchange_strong(&oldest->state, &state, SHUT)) shutdown(oldest->fd, SHUT_RDWR);
  pthread_mutex_unlock(&watch->lock);
}
