/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a server: no request fails because of it. Until the last moment new connections are
 * taken, for a balancer, or a client, that has not noticed yet; none that was taken is cut before
 * its request was answered. See http.h.
 */
#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "server/http/http_exchange.h"

enum { POLL_US = 10000, ACCEPT_MS = 1000, TCP_FLAGS_AT = 13, TCP_SYN = 0x02, TCP_ACK = 0x10 };

/* Connections that the kernel has accepted are reset when their listening socket is closed, so
 * first no more are begun: a SYN is dropped as if it had been lost. Whoever sent it tries again
 * after a second, and then learns that nobody listens. */
static void refuse_new(int fd) {
  struct sock_filter no_syn[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_AT),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  const struct sock_fprog program = { sizeof no_syn / sizeof *no_syn, no_syn };
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
    px_log(PX_LOG_WARN, "filter_refused", NULL);
}

/* Whether a connection waits to be accepted. */
static bool somebody_waits(int fd) {
  struct pollfd queue = { .fd = fd, .events = POLLIN };
  return poll(&queue, 1, 0) > 0;
}

void http_drain(struct http *http, int listen_ms) {
  http->draining = true;
  const int64_t until_ms = px_clock_ms() + listen_ms;
  while (px_clock_ms() < until_ms) usleep(POLL_US);
}

/* Those too that were handed to a loop and that it has not seen yet. */
static bool any_connection(const struct http *http) {
  for (int i = 0; i < http->options.threads; i++)
    if (http->loops[i].connections > 0) return true;
  return false;
}

bool http_drained(struct http *http, int64_t drain_ms) {
  const int listener = http->options.listen_fd;
  const int64_t now = px_clock_ms(), accepted_ms = now + ACCEPT_MS, until_ms = now + drain_ms;
  refuse_new(listener);
  do usleep(POLL_US); /* handshakes that have begun come to their end */
  while (somebody_waits(listener) && px_clock_ms() < accepted_ms);
  http_accept_stop(http->acceptor);
  http->acceptor = NULL;
  while ((http_conn_drain(http->watch) > 0 || any_connection(http)) && px_clock_ms() < until_ms)
    usleep(POLL_US);
  return http_in_flight(http) == 0;
}
