/* SPDX-License-Identifier: Apache-2.0 */
/* How libmicrohttpd reads: see http_recv.h. */
#include "server/http/http_recv.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

enum { FDS_MAX = 1 << 16 };

static _Atomic(struct conn *) watched[FDS_MAX];

bool http_recv_watch(int fd, struct conn *conn) {
  if (fd < 0 || fd >= FDS_MAX) return false;
  atomic_store(&watched[fd], conn);
  return true;
}

void http_recv_forget(int fd) {
  if (fd >= 0 && fd < FDS_MAX) atomic_store(&watched[fd], NULL);
}

/* The next one in order is libc's, or that of a library loaded in front of it, as tests and
 * sanitizers do. */
static ssize_t (*next)(int, void *, size_t, int);
static pthread_once_t found = PTHREAD_ONCE_INIT;
static void find_next(void) {
  void *symbol = dlsym(RTLD_NEXT, "recv");
  memcpy(&next, &symbol, sizeof next);
}
static ssize_t recv_next(int fd, void *bytes, size_t n, int flags) {
  pthread_once(&found, find_next);
  return next(fd, bytes, n, flags);
}

static bool has_ended(int fd) {
  struct pollfd end = { .fd = fd, .events = POLLRDHUP };
  return poll(&end, 1, 0) > 0;
}

/* Looks at what has come. 1: some of it may pass; 0: the client has ended; -1: not yet, or an
 * error, with errno. *all: nothing is left behind it. */
static ssize_t peek_units(struct http_recv *in, struct conn *conn, int fd, bool *all) {
  char bytes[HTTP_WIRE_UNIT_MAX_BYTES];
  const ssize_t n = recv_next(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (n <= 0) return n;
  in->pass = http_wire_judge(&in->wire, bytes, (size_t)n, &in->closing);
  *all = in->pass == (size_t)n && (size_t)n < sizeof bytes;
  if (in->pass > 0 || in->closing) return 1;
  if (in->wire.at == HTTP_WIRE_HEAD) http_conn_hearing(conn);
  if (has_ended(fd)) return 0; /* in the middle of a unit */
  errno = EAGAIN;
  return -1;
}

static size_t close_with(struct http_recv *in, char *out, size_t room) {
  const size_t n = strnlen(in->closing, room);
  memcpy(out, in->closing, n);
  in->closing += n;
  if (!*in->closing) in->closing = NULL;
  return n;
}

/* Body bytes that have still to come need not be looked at. */
static uint64_t may_pass(struct http_recv *in) {
  const bool body = in->wire.at == HTTP_WIRE_BODY || in->wire.at == HTTP_WIRE_CHUNK_BODY;
  return in->pass ? in->pass : body ? in->wire.left : 0;
}

static ssize_t pass(struct http_recv *in, int fd, char *out, size_t room, uint64_t may) {
  const ssize_t n = recv_next(fd, out, may < room ? (size_t)may : room, 0);
  if (n > 0 && in->pass) in->pass -= (uint64_t)n;
  else if (n > 0) http_wire_skip(&in->wire, (uint64_t)n);
  return n;
}

/* The library takes a short read for the last until something new comes: so it gets all that there
 * is. */
static ssize_t read_judged(struct http_recv *in, struct conn *conn, int fd, char *out,
                           size_t room) {
  size_t got = 0;
  ssize_t n = 1;
  for (bool all = false; got < room && n > 0;) {
    const uint64_t may = may_pass(in);
    const size_t wanted = may < room - got ? (size_t)may : room - got;
    if (may > 0) n = pass(in, fd, out + got, room - got, may);
    else if (in->closing) n = (ssize_t)close_with(in, out + got, room - got);
    else if (all) break;
    /* nothing is read any more */
    else if (in->wire.at == HTTP_WIRE_REFUSED) return got > 0 ? (ssize_t)got : (errno = EAGAIN, -1);
    else if ((n = peek_units(in, conn, fd, &all)) > 0) continue;
    if (n > 0) got += (size_t)n;
    if (may > 0 && n < (ssize_t)wanted) break;
  }
  return got > 0 ? (ssize_t)got : n;
}

/* A name of its own in C, so that <sys/socket.h> may do with recv what it likes. */
__attribute__((visibility("default"))) ssize_t http_recv_instead(int fd, void *bytes, size_t n,
                                                                 int flags) __asm__("recv");
ssize_t http_recv_instead(int fd, void *bytes, size_t n, int flags) {
  struct conn *conn = fd >= 0 && fd < FDS_MAX ? atomic_load(&watched[fd]) : NULL;
  return conn && flags == 0 ? read_judged(http_conn_recv(conn), conn, fd, bytes, n)
                            : recv_next(fd, bytes, n, flags);
}
