/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes connections: see http_accept.h. */
#include "server/http/http_accept.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "server/http/http.h"
#include "server/http/http_health.h"

enum {
  TURN_MAX = 64, /* accepted before the thread looks round */
  /* a sixteenth of the connections is kept free while idle ones can give way */
  HEADROOM_PART = 16,
  LOG_MS = 1000,
  SHORT_MS = 50,
  FULL_MAX_BYTES = 2048,
  HELD_UP_MS = 20,
  /* for a request on a new connection, when every thread is held up */
  HEALTH_WAIT_MS = 20
};

struct acceptor {
  int listen_fd, stop_fd;
  pthread_t thread;
  struct http_loop *loops;
  int loops_n;
  struct conn_watch *watch;
  struct lingerer *linger;
  struct px_buf full; /* the answer to whoever finds no place */
  int64_t logged_ms;
};

static enum px_status write_full(struct px_buf *out, struct px_err *err) {
  struct px_err why = { .code = PX_E_UNAVAILABLE };
  struct px_buf body = PX_BUF(FULL_MAX_BYTES);
  (void)px_fail(&why, PX_E_UNAVAILABLE, "all connections that the server may have are busy");
  enum px_status status = http_problem(&why, "req_unread", &body);
  if (!status)
    status =
      px_buf_fmt(out,
                 "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
                 "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: " HTTP_CONTENT_POLICY
                 "\r\n"
                 "Content-Length: %zu\r\nRetry-After: 2\r\nConnection: close\r\n\r\n%s",
                 body.len, body.data);
  px_buf_free(&body);
  return status ? px_fail(err, status, "connections") : PX_OK;
}

static void refuse(struct acceptor *a, int fd) {
  const int64_t now = px_clock_ms();
  if (send(fd, a->full.data, a->full.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) shutdown(fd, SHUT_WR);
  http_linger_put(a->linger, fd);
  if (now - a->logged_ms < LOG_MS) return;
  a->logged_ms = now;
  px_log(PX_LOG_WARN, "connections_full", "connections",
         PX_I(a->loops_n * HTTP_LOOP_CONNECTIONS_MAX), NULL);
}

/* Its thread has been at one request for so long that the next one may have to wait. */
static bool is_held_up(const struct http_loop *loop) {
  const int64_t since_ms = atomic_load(&loop->held_since_ms);
  return since_ms != 0 && px_clock_ms() - since_ms >= HELD_UP_MS;
}

static bool is_better(const struct http_loop *a, const struct http_loop *b) {
  const bool a_full = a->connections >= HTTP_LOOP_CONNECTIONS_MAX,
             b_full = b->connections >= HTTP_LOOP_CONNECTIONS_MAX;
  if (a_full != b_full) return b_full;
  const bool a_held = is_held_up(a), b_held = is_held_up(b);
  return a_held != b_held ? b_held : a->connections < b->connections;
}

/* The loop with the fewest, of those whose thread is free; *free: how many more all of them could
 * take. */
static struct http_loop *emptiest(struct acceptor *a, int *free_n) {
  struct http_loop *best = &a->loops[0];
  *free_n = 0;
  for (int i = 0; i < a->loops_n; i++) {
    struct http_loop *loop = &a->loops[i];
    *free_n += HTTP_LOOP_CONNECTIONS_MAX - loop->connections;
    if (is_better(loop, best)) best = loop;
  }
  return best;
}

/* A loop with a place. One that is shut down now has left its place within milliseconds. NULL: all
 * are busy. */
static struct http_loop *find_place(struct acceptor *a) {
  int free_n;
  struct http_loop *loop = emptiest(a, &free_n);
  const bool left = free_n <= a->loops_n * HTTP_LOOP_CONNECTIONS_MAX / HEADROOM_PART &&
                    http_conn_make_room(a->watch);
  for (int i = 0; left && i < SHORT_MS && loop->connections >= HTTP_LOOP_CONNECTIONS_MAX; i++) {
    usleep(1000);
    loop = emptiest(a, &free_n);
  }
  return loop->connections < HTTP_LOOP_CONNECTIONS_MAX ? loop : NULL;
}

/* A loop whose thread is held up learns of a new connection only afterwards: so GET /healthz on one
 * is answered here. */
static bool answer_health(struct acceptor *a, int fd) {
  struct pollfd comes = { .fd = fd, .events = POLLIN };
  if (poll(&comes, 1, HEALTH_WAIT_MS) <= 0 || !http_health_asked(fd)) return false;
  http_health_answer(fd);
  http_linger_put(a->linger, fd);
  return true;
}

static void place(struct acceptor *a, int fd, const struct sockaddr *from, socklen_t from_n) {
  struct http_loop *loop = find_place(a);
  if (!loop) {
    refuse(a, fd);
    return;
  }
  if (is_held_up(loop) && answer_health(a, fd)) return; /* all of them are held up */
  loop->connections++;
  /* it has closed it */
  if (MHD_add_connection(loop->daemon, fd, from, from_n) != MHD_YES) loop->connections--;
}

/* False when descriptors or memory have run out. */
static bool accept_waiting(struct acceptor *a) {
  for (int i = 0; i < TURN_MAX; i++) {
    struct sockaddr_storage from;
    socklen_t from_n = sizeof from;
    const int fd =
      accept4(a->listen_fd, (struct sockaddr *)&from, &from_n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    place(a, fd, (const struct sockaddr *)&from, from_n);
  }
  return true;
}

static void *accept_main(void *arg) {
  struct acceptor *a = arg;
  struct pollfd fds[2] = { { .fd = a->stop_fd, .events = POLLIN },
                           { .fd = a->listen_fd, .events = POLLIN } };
  for (;;) {
    const int n = poll(fds, 2, -1);
    if (n > 0 && fds[0].revents) break;
    if (n > 0 && fds[1].revents && !accept_waiting(a)) {
      http_conn_make_room(a->watch);
      px_log(PX_LOG_WARN, "accept_failed", NULL);
      if (poll(fds, 1, SHORT_MS) > 0) break;
    }
  }
  return NULL;
}

static void acceptor_free(struct acceptor *a) {
  if (a->stop_fd >= 0) close(a->stop_fd);
  px_buf_free(&a->full);
  free(a);
}

enum px_status http_accept_start(int listen_fd, struct http_loop *loops, int n,
                                 struct conn_watch *watch, struct lingerer *linger,
                                 struct acceptor **out, struct px_err *err) {
  struct acceptor *a = calloc(1, sizeof *a);
  if (!a) return px_fail(err, PX_E_NO_MEMORY, "connections");
  a->listen_fd = listen_fd;
  a->loops = loops;
  a->loops_n = n;
  a->watch = watch;
  a->linger = linger;
  a->full = PX_BUF(FULL_MAX_BYTES);
  a->stop_fd = eventfd(0, EFD_CLOEXEC);
  enum px_status status =
    a->stop_fd < 0 ? px_fail_errno(err, "eventfd") : write_full(&a->full, err);
  if (!status && pthread_create(&a->thread, NULL, accept_main, a) != 0)
    status = px_fail(err, PX_E_NO_MEMORY, "starting a thread");
  if (status) {
    acceptor_free(a);
    return status;
  }
  *out = a;
  return PX_OK;
}

void http_accept_stop(struct acceptor *a) {
  if (!a) return;
  const uint64_t one = 1;
  if (write(a->stop_fd, &one, sizeof one) < 0) px_log(PX_LOG_WARN, "acceptor_stop_failed", NULL);
  pthread_join(a->thread, NULL);
  close(a->listen_fd);
  acceptor_free(a);
}
