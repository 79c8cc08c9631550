/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets for the fault tests: see sock.h. */
#include "tests/fault/lib/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASK_MS = 10000, BACKLOG = 512 };

union any {
  struct sockaddr at;
  struct sockaddr_un un;
  struct sockaddr_in in;
};

static bool parse(const char *address, union any *out, socklen_t *n) {
  memset(out, 0, sizeof *out);
  if (strncmp(address, "unix:", 5) == 0) {
    out->un.sun_family = AF_UNIX;
    *n = sizeof out->un;
    return snprintf(out->un.sun_path, sizeof out->un.sun_path, "%s", address + 5) <
           (int)sizeof out->un.sun_path;
  }
  const char *port = strrchr(address, ':');
  if (strncmp(address, "tcp:", 4) != 0 || !port) return errno = EINVAL, false;
  out->in = (struct sockaddr_in){ .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  *n = sizeof out->in;
  return true;
}

static int new_socket(const union any *a, int flags) {
  const int fd = socket(a->at.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd >= 0 && a->at.sa_family == AF_INET)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
  return fd;
}

static int failed(int fd) {
  const int why = errno;
  if (fd >= 0) close(fd);
  errno = why;
  return -1;
}

int sock_listen(const char *address, char bound[SOCK_ADDRESS_MAX]) {
  union any a;
  socklen_t n;
  if (!parse(address, &a, &n)) return -1;
  const int fd = new_socket(&a, SOCK_NONBLOCK);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
  if (a.at.sa_family == AF_UNIX) unlink(a.un.sun_path);
  if (bind(fd, &a.at, n) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, &a.at, &n) < 0)
    return failed(fd);
  if (a.at.sa_family == AF_UNIX) snprintf(bound, SOCK_ADDRESS_MAX, "%s", address);
  else snprintf(bound, SOCK_ADDRESS_MAX, "tcp:127.0.0.1:%d", ntohs(a.in.sin_port));
  return fd;
}

int sock_accept(int listener) {
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  /* fails on a unix socket, which needs none */
  if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
  return fd;
}

int sock_accept_blocking(int listener) {
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  const struct timeval limit = { .tv_sec = 1 };
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

int sock_connect_timeout(const char *address, int timeout_ms) {
  union any a;
  socklen_t n;
  if (!parse(address, &a, &n)) return -1;
  const int fd = new_socket(&a, 0);
  if (fd < 0) return -1;
  const struct timeval limit = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return connect(fd, &a.at, n) < 0 ? failed(fd) : fd;
}

/* The target is on this machine: connecting either works at once or not at all. */
int sock_connect(const char *address) {
  const int fd = sock_connect_timeout(address, 1000);
  if (fd >= 0) fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

void sock_close(int fd, bool reset) {
  const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
  if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

bool sock_write_all(int fd, const void *bytes, size_t n) {
  for (const char *at = bytes; n > 0;) {
    const ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    n -= (size_t)done;
  }
  return true;
}

ssize_t sock_read_line(int fd, char *line, size_t size) {
  size_t n = 0;
  while (n + 1 < size) {
    const ssize_t got = recv(fd, line + n, 1, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && n == 0) return -1;
    if (got <= 0 || line[n] == '\n') break;
    n++;
  }
  line[n] = '\0';
  return (ssize_t)n;
}

bool sock_ask(const char *address, const char *question, char *answer, size_t size) {
  const int fd = sock_connect_timeout(address, ASK_MS);
  if (fd < 0) return false;
  const bool ok = sock_write_all(fd, question, strlen(question)) && sock_write_all(fd, "\n", 1) &&
                  sock_read_line(fd, answer, size) >= 0;
  close(fd);
  return ok;
}
