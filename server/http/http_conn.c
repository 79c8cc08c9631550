/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of connections: see http_conn.h. */
#include "server/http/http_conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "server/http/http_health.h"
#include "server/http/http_recv.h"

/* HEAD_MS: how long a head may take from its first byte. YOUNG_MS: how long a stranger has its
 * place in any case, while there are places: its token may be on its way. FULL_MS: the same when
 * there are none. FRESH_MS: how long a client that has just connected may take to ask, when the
 * server is about to end. ENDED_MS: how long libmicrohttpd may take to find in what it has read
 * that a request of a client that is gone is whole. */
enum {
  HEAD_MS = 20000,
  YOUNG_MS = 1000,
  FULL_MS = 250,
  FRESH_MS = 1000,
  IDLE_AT_LEAST_MS = 1000,
  ENDED_MS = 2000,
  LATE_MS = 1000,
  ADDRESSES = 4096
};

/* HEARING: of a request not all has come yet. */
enum state { FRESH, HEARING, BUSY, WAITING, SHUT };

struct conn {
  struct conn *prev, *next;
  int fd;
  unsigned address;      /* where it is counted */
  _Atomic bool stranger; /* counted as one; changed under the lock */
  int64_t opened_ms;
  _Atomic int64_t *held_since_ms; /* of its thread */
  /* since it was opened, or its last request ended */
  _Atomic int64_t deadline_ms, idle_since_ms;
  _Atomic int state, pace;
  /* bytes that had gone through when the present time of its pace began */
  _Atomic uint64_t marked;
  bool lingers; /* of the thread that serves it */
  struct http_recv recv;
};

struct conn_watch {
  struct conn_limits limits;
  uint64_t seed; /* so that nobody can choose addresses that are counted together */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t thread;
  bool stopping;
  struct conn *first, *last; /* the newest first */
  int strangers, strangers_from[ADDRESSES];
};

/* ---- pace: what the kernel says has gone through, so that neither its buffers nor ours count for
 * the client */

static const uint64_t UNMARKED = UINT64_MAX; /* the watch finds out within a second */

static uint64_t gone_through(const struct conn *c, int pace) {
  struct tcp_info info = { 0 };
  socklen_t n = sizeof info;
  if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0) return 0;
  return pace == CONN_SENDS ? info.tcpi_bytes_received : info.tcpi_bytes_acked;
}

/* Whether the client waits for us: what it has sent is not read, or all that was written it has. */
static bool waits_for_us(const struct conn *c, int pace) {
  int n = 0;
  if (pace == CONN_SENDS) return ioctl(c->fd, SIOCINQ, &n) == 0 && n > HTTP_WIRE_UNIT_MAX_BYTES;
  return ioctl(c->fd, SIOCOUTQ, &n) == 0 && n == 0;
}

/* Its time is over: another one begins when enough has gone through in it. */
static bool keeps_pace(const struct conn_watch *watch, struct conn *c, int64_t now) {
  const int pace = atomic_load(&c->pace);
  if (pace == CONN_NO_PACE) return false;
  const uint64_t bytes = gone_through(c, pace), marked = atomic_load(&c->marked);
  const bool enough =
    marked == UNMARKED || bytes - marked >= watch->limits.pace_bytes || waits_for_us(c, pace);
  int64_t deadline = atomic_load(&c->deadline_ms);
  if (!enough) return false;
  if (deadline <= now)
    atomic_compare_exchange_strong(&c->deadline_ms, &deadline,
                                   now + (int64_t)watch->limits.pace_s * 1000);
  atomic_store(&c->marked, bytes);
  return true;
}

static void mark(struct conn *c) {
  const int pace = atomic_load(&c->pace);
  uint64_t unmarked = UNMARKED;
  if (pace != CONN_NO_PACE && atomic_load(&c->marked) == UNMARKED)
    atomic_compare_exchange_strong(&c->marked, &unmarked, gone_through(c, pace));
}

/* ---- deadlines */

/* Bytes that have come and were not read: 1 for any number, 0 none and no more to come, -1 with
 * errno. */
static ssize_t peek_bytes(const struct conn *c) {
  char byte;
  return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

/* Nothing more comes: the client has closed it, and what it sent before has been read. */
static bool has_ended(const struct conn *c) {
  const ssize_t n = peek_bytes(c);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* ---- strangers */

static void count(struct conn_watch *watch, struct conn *c, bool stranger) {
  if (c->stranger == stranger) return;
  c->stranger = stranger;
  watch->strangers += stranger ? 1 : -1;
  watch->strangers_from[c->address] += stranger ? 1 : -1;
}

/* Whether it may lose its place: not when what it has sent only waits for us to read it. */
static bool may_go(const struct conn *c, int64_t now, int64_t age_ms) {
  return c->stranger && now - c->opened_ms >= age_ms &&
         (atomic_load(&c->state) != FRESH || peek_bytes(c) <= 0);
}

static void evict(struct conn_watch *watch, struct conn *c) {
  int fresh = FRESH, waiting = WAITING;
  if (!atomic_compare_exchange_strong(&c->state, &fresh, SHUT))
    atomic_compare_exchange_strong(&c->state, &waiting, SHUT);
  count(watch, c, false);
  shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the end, and closes it */
}

/* Of those counted at the address, or of all when it is -1, that came at least so long ago. False:
 * there is none. The lock is held. */
static bool evict_oldest(struct conn_watch *watch, int address, int64_t age_ms) {
  const int64_t now = px_clock_ms();
  for (struct conn *c = watch->last; c && now - c->opened_ms >= age_ms; c = c->prev)
    if ((address < 0 || c->address == (unsigned)address) && may_go(c, now, age_ms)) {
      evict(watch, c);
      return true;
    }
  return false;
}

/* Those beyond the limits that were too young when they came. */
static void evict_beyond(struct conn_watch *watch, int64_t now) {
  const struct conn_limits *most = &watch->limits;
  for (struct conn *c = watch->last; c && now - c->opened_ms >= YOUNG_MS; c = c->prev)
    if ((watch->strangers > most->strangers ||
         watch->strangers_from[c->address] > most->strangers_per_address) &&
        may_go(c, now, YOUNG_MS))
      evict(watch, c);
}

/*
 * libmicrohttpd waits for edges, and takes a short read for the last: it misses an end that came
 * together with the bytes before it. A client may close its side and still wait for the answer to a
 * whole request; while part of one is missing its end is the request's.
 */
static void hurry_ended(struct conn *c, int64_t now) {
  int64_t deadline = atomic_load(&c->deadline_ms);
  const int state = atomic_load(&c->state);
  if (state != BUSY && state != SHUT && deadline != INT64_MAX && deadline > now + ENDED_MS &&
      has_ended(c))
    /* or a new stage has begun */
    atomic_compare_exchange_strong(&c->deadline_ms, &deadline, now + ENDED_MS);
}

void http_conn_hold_up(struct conn *conn, bool begins) {
  if (conn) atomic_store(conn->held_since_ms, begins ? px_clock_ms() : 0);
}

/* What a thread that is held up would answer at once is answered here. Its connection is over then:
 * when the thread comes to it, http_conn_begin refuses what it reads. */
static void answer_for_held_up(struct conn_watch *watch, int64_t now) {
  for (struct conn *c = watch->first; c; c = c->next) {
    const int64_t since_ms = atomic_load(c->held_since_ms);
    int state = atomic_load(&c->state);
    if (since_ms == 0 || now - since_ms < HTTP_HEALTH_HELD_UP_MS ||
        (state != FRESH && state != WAITING))
      continue;
    if (http_health_asked(c->fd) && atomic_compare_exchange_strong(&c->state, &state, SHUT))
      http_health_answer(c->fd);
  }
}

/* The socket is only shut down here; libmicrohttpd sees its end and closes it. */
static void shut_late(struct conn_watch *watch, int64_t now) {
  for (struct conn *c = watch->first; c; c = c->next) {
    hurry_ended(c, now);
    if (atomic_load(&c->deadline_ms) > now) {
      mark(c);
    } else if (!keeps_pace(watch, c, now)) {
      const int state = atomic_load(&c->state);
      px_log(PX_LOG_INFO, "connection_late", "idle",
             state == FRESH || state == WAITING ? "true" : "false", NULL);
      shutdown(c->fd, SHUT_RDWR);
      atomic_store(&c->deadline_ms, INT64_MAX);
    }
  }
}

static void *watch_main(void *arg) {
  struct conn_watch *watch = arg;
  int64_t next_ms = px_clock_ms() + LATE_MS;
  pthread_mutex_lock(&watch->lock);
  while (!watch->stopping) {
    px_clock_cond_wait(&watch->changed, &watch->lock, HTTP_HEALTH_HELD_UP_MS);
    const int64_t now = px_clock_ms();
    answer_for_held_up(watch, now);
    if (now < next_ms) continue;
    shut_late(watch, now);
    evict_beyond(watch, now);
    next_ms = now + LATE_MS;
  }
  pthread_mutex_unlock(&watch->lock);
  return NULL;
}

enum px_status http_conn_watch_new(const struct conn_limits *limits, struct conn_watch **out,
                                   struct px_err *err) {
  struct conn_watch *watch = calloc(1, sizeof *watch);
  if (!watch) return px_fail(err, PX_E_NO_MEMORY, "connections");
  watch->limits = *limits;
  if (px_secret_random(&watch->seed, sizeof watch->seed)) watch->seed = (uint64_t)px_clock_ms();
  pthread_mutex_init(&watch->lock, NULL);
  px_clock_cond_init(&watch->changed);
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

/* ---- strangers */

unsigned http_conn_address(const struct conn *conn) { return conn ? conn->address : 0; }

/* SplitMix64's last step. */
static unsigned address_of(const struct conn_watch *watch, const struct sockaddr *from) {
  uint64_t x = 0;
  if (from && from->sa_family == AF_INET)
    x = ((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr;
  if (from && from->sa_family == AF_INET6)
    memcpy(&x, ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr.s6_addr, 8);
  x += watch->seed;
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return (unsigned)(x ^ x >> 31) % ADDRESSES;
}

struct conn *http_conn_open(struct conn_watch *watch, int socket_fd, const struct sockaddr *from,
                            int64_t deadline_ms, _Atomic int64_t *held_since_ms) {
  struct conn *conn = calloc(1, sizeof *conn);
  if (!conn) return NULL;
  conn->fd = socket_fd;
  conn->held_since_ms = held_since_ms;
  conn->address = address_of(watch, from);
  conn->deadline_ms = deadline_ms;
  conn->idle_since_ms = conn->opened_ms = px_clock_ms();
  pthread_mutex_lock(&watch->lock);
  if (watch->strangers_from[conn->address] >= watch->limits.strangers_per_address)
    evict_oldest(watch, (int)conn->address, YOUNG_MS);
  else if (watch->strangers >= watch->limits.strangers) evict_oldest(watch, -1, YOUNG_MS);
  count(watch, conn, true);
  conn->next = watch->first;
  if (watch->first) watch->first->prev = conn;
  else watch->last = conn;
  watch->first = conn;
  pthread_mutex_unlock(&watch->lock);
  return conn;
}

void http_conn_close(struct conn_watch *watch, struct conn *conn) {
  if (!conn) return;
  pthread_mutex_lock(&watch->lock);
  count(watch, conn, false);
  if (conn->prev) conn->prev->next = conn->next;
  else watch->first = conn->next;
  if (conn->next) conn->next->prev = conn->prev;
  else watch->last = conn->prev;
  pthread_mutex_unlock(&watch->lock);
  free(conn);
}

struct http_recv *http_conn_recv(struct conn *conn) {
  return &conn->recv;
}

void http_conn_known(struct conn_watch *watch, struct conn *conn) {
  if (!conn->stranger) return;
  pthread_mutex_lock(&watch->lock);
  count(watch, conn, false);
  pthread_mutex_unlock(&watch->lock);
}

/* ---- stages */

void http_conn_linger(struct conn *conn) { conn->lingers = true; }
bool http_conn_lingers(const struct conn *conn) { return conn && conn->lingers; }

void http_conn_deadline(struct conn *conn, int64_t deadline_ms) {
  if (!conn) return;
  atomic_store(&conn->pace, CONN_NO_PACE);
  atomic_store(&conn->deadline_ms, deadline_ms);
}

void http_conn_pace(struct conn_watch *watch, struct conn *conn, enum conn_pace pace) {
  if (!conn) return;
  atomic_store(&conn->marked, UNMARKED);
  atomic_store(&conn->deadline_ms, watch->limits.pace_bytes
                                     ? px_clock_ms() + (int64_t)watch->limits.pace_s * 1000
                                     : INT64_MAX);
  atomic_store(&conn->pace, pace);
}

void http_conn_hearing(struct conn *conn) {
  int fresh = FRESH, waiting = WAITING;
  if (atomic_compare_exchange_strong(&conn->state, &fresh, HEARING) ||
      atomic_compare_exchange_strong(&conn->state, &waiting, HEARING))
    http_conn_deadline(conn, px_clock_ms() + HEAD_MS);
}

bool http_conn_begin(struct conn *conn) {
  int state = atomic_load(&conn->state);
  while (state == FRESH || state == WAITING)
    if (atomic_compare_exchange_strong(&conn->state, &state, HEARING)) return true;
  return state == HEARING; /* of its head, or it was shut */
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
static bool has_nothing_to_say(const struct conn *c) { return peek_bytes(c) <= 0; }

int http_conn_drain(struct conn_watch *watch) {
  const int64_t now = px_clock_ms();
  int left = 0;
  pthread_mutex_lock(&watch->lock);
  for (struct conn *c = watch->first; c; c = c->next) {
    int state = atomic_load(&c->state);
    const bool idle =
      state == WAITING || (state == FRESH && now - atomic_load(&c->idle_since_ms) > FRESH_MS);
    /* libmicrohttpd sees the end, and closes it. */
    if (idle && has_nothing_to_say(c) && atomic_compare_exchange_strong(&c->state, &state, SHUT))
      shutdown(c->fd, SHUT_RDWR);
    left += state != SHUT;
  }
  pthread_mutex_unlock(&watch->lock);
  return left;
}

static struct conn *oldest_idle(struct conn_watch *watch) {
  struct conn *oldest = NULL;
  int64_t since_ms = px_clock_ms() - IDLE_AT_LEAST_MS;
  for (struct conn *c = watch->first; c; c = c->next) {
    const int state = atomic_load(&c->state);
    if ((state != FRESH && state != WAITING) || atomic_load(&c->idle_since_ms) > since_ms ||
        !has_nothing_to_say(c))
      continue;
    oldest = c;
    since_ms = atomic_load(&c->idle_since_ms);
  }
  return oldest;
}

bool http_conn_make_room(struct conn_watch *watch) {
  pthread_mutex_lock(&watch->lock);
  struct conn *oldest = oldest_idle(watch);
  int state = oldest ? atomic_load(&oldest->state) : BUSY;
  bool any = (state == FRESH || state == WAITING) &&
             atomic_compare_exchange_strong(&oldest->state, &state, SHUT);
  if (any) shutdown(oldest->fd, SHUT_RDWR);
  else any = evict_oldest(watch, -1, FULL_MS);
  pthread_mutex_unlock(&watch->lock);
  return any;
}
