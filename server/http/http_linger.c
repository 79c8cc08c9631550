/* SPDX-License-Identifier: Apache-2.0 */
/* Closing with patience: see http_linger.h. */
#include "server/http/http_linger.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"

enum {
  SOCKETS_MAX = 256,
  ALL_MS = 10000,
  SILENT_MS = 2000,
  BYTES_MAX = 64 << 20,
  TURN_BYTES = 1 << 20,
  LOOK_MS = 250
};

struct waiting {
  int fd;
  int64_t began_ms, heard_ms;
  uint64_t bytes;
};

struct lingerer {
  pthread_mutex_t lock;
  pthread_t thread;
  int kick_fd;
  bool stopping;
  struct waiting waiting[SOCKETS_MAX];
  size_t n;
};

/* The lock is held. */
static void end(struct lingerer *l, size_t i) {
  close(l->waiting[i].fd);
  l->waiting[i] = l->waiting[--l->n];
}

/* The bytes of TCP are dropped where they are (MSG_TRUNC). False: nobody needs to wait for it any
 * longer. */
static bool drop(struct waiting *w, int64_t now) {
  const ssize_t n = recv(w->fd, NULL, TURN_BYTES, MSG_TRUNC | MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
  if (n > 0) {
    w->bytes += (uint64_t)n;
    w->heard_ms = now;
  }
  return now - w->began_ms < ALL_MS && now - w->heard_ms < SILENT_MS && w->bytes < BYTES_MAX;
}

/* Those that wait, for poll; how many. */
static nfds_t list(struct lingerer *l, struct pollfd fds[SOCKETS_MAX + 1]) {
  pthread_mutex_lock(&l->lock);
  const size_t n = l->n;
  fds[0] = (struct pollfd){ .fd = l->kick_fd, .events = POLLIN };
  for (size_t i = 0; i < n; i++)
    fds[i + 1] = (struct pollfd){ .fd = l->waiting[i].fd, .events = POLLIN };
  pthread_mutex_unlock(&l->lock);
  return (nfds_t)n + 1;
}

/* False: it has to stop. */
static bool look_round(struct lingerer *l) {
  const int64_t now = px_clock_ms();
  pthread_mutex_lock(&l->lock);
  for (size_t i = l->n; i-- > 0;)
    if (!drop(&l->waiting[i], now)) end(l, i);
  const bool on = !l->stopping;
  pthread_mutex_unlock(&l->lock);
  return on;
}

static void *linger_main(void *arg) {
  struct lingerer *l = arg;
  struct pollfd fds[SOCKETS_MAX + 1];
  do {
    const nfds_t n = list(l, fds);
    poll(fds, n, n > 1 ? LOOK_MS : -1);
    uint64_t kicks;
    if (fds[0].revents && read(l->kick_fd, &kicks, sizeof kicks) < 0) kicks = 0;
  } while (look_round(l));
  return NULL;
}

static void kick(struct lingerer *l) {
  const uint64_t one = 1;
  if (write(l->kick_fd, &one, sizeof one) < 0) { /* it is full: the thread will look anyway */
  }
}

void http_linger_put(struct lingerer *l, int fd) {
  const int64_t now = px_clock_ms();
  pthread_mutex_lock(&l->lock);
  size_t oldest = 0;
  for (size_t i = 1; i < l->n; i++)
    if (l->waiting[i].began_ms < l->waiting[oldest].began_ms) oldest = i;
  if (l->n == SOCKETS_MAX) end(l, oldest);
  l->waiting[l->n++] = (struct waiting){ .fd = fd, .began_ms = now, .heard_ms = now };
  pthread_mutex_unlock(&l->lock);
  kick(l);
}

enum px_status http_linger_new(struct lingerer **out, struct px_err *err) {
  struct lingerer *l = calloc(1, sizeof *l);
  if (!l) return px_fail(err, PX_E_NO_MEMORY, "connections");
  pthread_mutex_init(&l->lock, NULL);
  l->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  enum px_status status = l->kick_fd < 0 ? px_fail_errno(err, "eventfd") : PX_OK;
  if (!status && pthread_create(&l->thread, NULL, linger_main, l) != 0)
    status = px_fail(err, PX_E_NO_MEMORY, "starting a thread");
  if (status) {
    if (l->kick_fd >= 0) close(l->kick_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
    return status;
  }
  *out = l;
  return PX_OK;
}

void http_linger_free(struct lingerer *l) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  l->stopping = true;
  pthread_mutex_unlock(&l->lock);
  kick(l);
  pthread_join(l->thread, NULL);
  while (l->n > 0) end(l, 0);
  close(l->kick_fd);
  pthread_mutex_destroy(&l->lock);
  free(l);
}
