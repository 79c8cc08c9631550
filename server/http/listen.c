/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket: see listen.h. */
#include "server/http/listen.h"

#include "lib/base/fail.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_MAX = 64 };

static bool is_loopback(const struct sockaddr_storage *at) {
  if (at->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const void *)at;
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const struct sockaddr_in6 *v6 = (const void *)at;
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static enum px_status split(const char *address, char host[HOST_MAX], const char **port,
                            struct px_err *err) {
  const char *colon = strrchr(address, ':');
  const bool bracketed = address[0] == '[' && colon && colon > address + 1 && colon[-1] == ']';
  const char *begin = bracketed ? address + 1 : address;
  const size_t n = colon ? (size_t)(colon - begin) - (bracketed ? 1 : 0) : 0;
  if (n == 0 || n >= HOST_MAX || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
    return px_fail_at(err, PX_E_BAD_FIELD, "listen",
                      "listen must be HOST:PORT, such as 127.0.0.1:8080, not '%.64s'", address);
  memcpy(host, begin, n);
  host[n] = '\0';
  *port = colon + 1;
  return PX_OK;
}

static enum px_status open_at(const struct addrinfo *info, const char *address,
                              struct listen_address *out, struct px_err *err) {
  const int one = 1;
  struct sockaddr_storage at = { 0 };
  socklen_t n = sizeof at;
  char host[HOST_MAX], port[8];
  const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return px_fail_errno(err, "opening a socket");
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
      bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
      getsockname(fd, (struct sockaddr *)&at, &n) < 0) {
    const enum px_status status = px_fail_errno(err, "listening on %s", address);
    px_fail_hint(err, "Another program may have that port: --listen=ADDRESS:PORT chooses another.");
    close(fd);
    return status;
  }
  if (getnameinfo((struct sockaddr *)&at, n, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    close(fd);
    return px_fail(err, PX_E_IO, "the address of %s is not known", address);
  }
  out->fd = fd;
  out->loopback = is_loopback(&at);
  snprintf(out->text, sizeof out->text, at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
  return PX_OK;
}

enum px_status listen_open(const char *address, struct listen_address *out, struct px_err *err) {
  char host[HOST_MAX];
  const char *port = "";
  enum px_status status = split(address, host, &port, err);
  if (status) return status;
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
  struct addrinfo *found = NULL;
  const int why = getaddrinfo(host, port, &hints, &found);
  if (why != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "listen", "the address %s is not known: %s", host,
                      gai_strerror(why));
  status = open_at(found, address, out, err);
  freeaddrinfo(found);
  return status;
}
