/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients of the service in one thread.
 *
 *   bench_load reads --url=http://HOST:PORT --path=PATH [--clients=N] [--rate=PER_CLIENT]
 *   [--seconds=S] [--match] [--idle=N] bench_load waits --url=http://HOST:PORT --path=PATH?wait=30s
 *   [--clients=N]
 *
 * reads: each client has one connection and asks `rate` times a second, whatever became of its last
 * request: a latency counts from the moment a request was due, so a server that stalls does not
 * hide the requests it kept from being sent. --match sends the ETag it was told, so that an
 * unchanged document is 304. --idle opens that many more connections first, each with one request
 * at the beginning and one at the end, which must be answered.
 *
 * waits: each client polls until the job has ended; how long after finished_at the first and the
 * last were told.
 *
 * The token is PROXACT_TOKEN. Prints lines "NAME NUMBER". PATH may hold several paths with commas:
 * client i takes one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum {
  CLIENTS_MAX = 4096,
  PATHS_MAX = 64,
  IN_MAX = 64 << 10,
  OUT_MAX = 1024,
  STATUS_MAX = 600,
  TURNS_MAX = 64,
  GRACE_US = 30000000,
  IDLE_PATIENCE_US = 30000000
};

struct client {
  int fd;
  bool busy, idle_kind;
  int64_t turn;            /* which of its requests comes next */
  int64_t due_us, sent_us; /* of the one in flight */
  char etag[64], in[IN_MAX];
  size_t in_n;
};

static struct {
  const char *host, *token, *paths[PATHS_MAX];
  int port, clients, idle, paths_n, epoll_fd;
  double rate, seconds;
  bool match, waits;
} opt = { .clients = 200, .rate = 20, .seconds = 15 };

static struct {
  struct client *all;
  int64_t *latency_us, *late_us, begin_us, finished_n, sent_n, answered_n, cut_n, codes[STATUS_MAX];
} run;

static int64_t now_us(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- connections */

static void client_open(struct client *c) {
  const struct sockaddr_in at = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)opt.port),
                                  .sin_addr.s_addr = inet_addr(opt.host) };
  const int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (const void *)&at, sizeof at) < 0) bench_die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
  if (epoll_ctl(opt.epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) bench_die("epoll_ctl");
  c->in_n = 0;
  c->busy = false;
}

static void client_cut(struct client *c) {
  close(c->fd);
  run.cut_n++;
  client_open(c);
}

static void client_ask(struct client *c, int64_t due_us) {
  char out[OUT_MAX];
  const char *path = c->idle_kind ? "/healthz" : opt.paths[(c - run.all) % opt.paths_n];
  const int n = snprintf(out, sizeof out,
                         "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s%s%s\r\n",
                         path, opt.host, opt.token, *c->etag ? "If-None-Match: " : "", c->etag,
                         *c->etag ? "\r\n" : "");
  c->due_us = due_us;
  c->sent_us = now_us(CLOCK_MONOTONIC);
  c->busy = true;
  run.sent_n++;
  if (n >= OUT_MAX || send(c->fd, out, (size_t)n, MSG_NOSIGNAL) != n) client_cut(c);
}

/* ---- answers */

static bool header(const char *head, const char *name, char *out, size_t size) {
  const char *at = strcasestr(head, name);
  if (!at) return false;
  at += strlen(name) + strspn(at + strlen(name), " ");
  const size_t n = strcspn(at, "\r\n");
  snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), at);
  return true;
}

/* Bytes of a whole answer at the beginning of c->in, or 0. */
static size_t whole(struct client *c, int *status, const char **body) {
  char length[32] = "0";
  c->in[c->in_n] = '\0';
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end) return 0;
  *end = '\0';
  *status = c->in_n > 12 ? (int)strtol(c->in + 9, NULL, 10) : 0;
  if (*status != 304) header(c->in, "\r\ncontent-length:", length, sizeof length);
  if (opt.match || opt.waits) header(c->in, "\r\netag:", c->etag, sizeof c->etag);
  *end = '\r';
  *body = end + 4;
  const size_t n = (size_t)(*body - c->in) + (size_t)strtoull(length, NULL, 10);
  if (n >= IN_MAX) bench_die("an answer is too long");
  return c->in_n >= n ? n : 0;
}

/* Milliseconds since 1970 of "finished_at":"2026-01-31T12:34:56.789Z"; 0 while there is none. */
static int64_t finished_ms(const char *body) {
  struct tm tm = { 0 };
  const char *at = strstr(body, "\"finished_at\"");
  at = at ? at + strlen("\"finished_at\"") + strspn(at + strlen("\"finished_at\""), ": ") : NULL;
  const char *rest = at && *at == '"' ? strptime(at + 1, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
  return rest ? (int64_t)timegm(&tm) * 1000 + strtol(rest + 1, NULL, 10) : 0;
}

static void take_wait(struct client *c, const char *body) {
  const int64_t ended_ms = finished_ms(body);
  if (!ended_ms) {
    client_ask(c, now_us(CLOCK_MONOTONIC));
    return;
  }
  run.latency_us[run.finished_n++] = now_us(CLOCK_REALTIME) - ended_ms * 1000;
}

static int64_t due_of(const struct client *c, int64_t turn) {
  const double gap_us = 1e6 / (opt.rate * opt.clients);
  return run.begin_us + (int64_t)(gap_us * (double)(turn * opt.clients + (c - run.all)));
}

static int64_t turns(void) { return (int64_t)(opt.rate * opt.seconds); }

/* Sends what is due and not sent yet: one at a time, as the connection is one. */
static void catch_up(struct client *c, int64_t now) {
  if (c->busy || c->turn >= turns()) return;
  const int64_t due = due_of(c, c->turn);
  if (due > now) return;
  c->turn++;
  client_ask(c, due);
}

static void take(struct client *c, int status, const char *body) {
  const int64_t now = now_us(CLOCK_MONOTONIC);
  c->busy = false;
  run.codes[status > 0 && status < STATUS_MAX ? status : 0]++;
  if (opt.waits) {
    take_wait(c, body);
  } else if (!c->idle_kind) {
    run.late_us[run.answered_n] = c->sent_us - c->due_us;
    run.latency_us[run.answered_n++] = now - c->due_us;
    catch_up(c, now);
  }
}

static void client_read(struct client *c) {
  const ssize_t n = recv(c->fd, c->in + c->in_n, IN_MAX - 1 - c->in_n, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    client_cut(c);
    return;
  }
  c->in_n += (size_t)n;
  int status;
  const char *body;
  for (size_t used; (used = whole(c, &status, &body)) > 0;) {
    const bool closing = strcasestr(c->in, "\r\nconnection: close") != NULL;
    take(c, status, body);
    if (c->in_n < used) return; /* it was cut and opened again meanwhile */
    memmove(c->in, c->in + used, c->in_n - used);
    c->in_n -= used;
    if (closing && !c->busy) {
      close(c->fd);
      client_open(c);
    }
  }
}

/* Takes what has come, waiting for it at most so long. */
static void listen_for(int64_t us) {
  struct epoll_event events[256];
  const struct timespec wait = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
  const int n = epoll_pwait2(opt.epoll_fd, events, 256, &wait, NULL);
  for (int i = 0; i < n; i++) client_read(events[i].data.ptr);
}

/* ---- the whole */

/* One request on each of these connections; returns how many were answered 200. */
static int64_t greet_all(struct client *idle) {
  const int64_t before = run.codes[200], until = now_us(CLOCK_MONOTONIC) + IDLE_PATIENCE_US;
  for (int i = 0; i < opt.idle; i++) {
    if (!idle[i].busy) client_ask(&idle[i], now_us(CLOCK_MONOTONIC));
    listen_for(0);
  }
  for (int left = opt.idle; left && now_us(CLOCK_MONOTONIC) < until;) {
    listen_for(10000);
    left = 0;
    for (int i = 0; i < opt.idle; i++) left += idle[i].busy;
  }
  return run.codes[200] - before;
}

static void reads(void) {
  const int64_t all = turns() * opt.clients;
  run.begin_us = now_us(CLOCK_MONOTONIC) + 100000;
  for (int64_t k = 0; k < all; k++) { /* in the order in which they are due */
    struct client *c = &run.all[k % opt.clients];
    for (int64_t due = due_of(c, k / opt.clients), now; (now = now_us(CLOCK_MONOTONIC)) < due;)
      listen_for(due - now);
    catch_up(c, now_us(CLOCK_MONOTONIC));
    if (k % TURNS_MAX == 0) listen_for(0); /* late already: still take what comes */
  }
  for (const int64_t until = now_us(CLOCK_MONOTONIC) + GRACE_US;
       run.answered_n < all && now_us(CLOCK_MONOTONIC) < until;) {
    listen_for(10000);
    for (int i = 0; i < opt.clients; i++) catch_up(&run.all[i], now_us(CLOCK_MONOTONIC));
  }
  printf("seconds %.3f\n", (double)(now_us(CLOCK_MONOTONIC) - run.begin_us) / 1e6);
}

static void waits(void) {
  for (int i = 0; i < opt.clients; i++) client_ask(&run.all[i], now_us(CLOCK_MONOTONIC));
  fprintf(stderr, "waiting\n");
  while (run.finished_n < opt.clients) listen_for(1000000);
}

static int by_size(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void print_times(const char *name, int64_t *us, int64_t n) {
  static const struct {
    const char *name;
    double part;
  } ROWS[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "p999", 0.999 }, { "max", 1 } };
  qsort(us, (size_t)n, sizeof *us, by_size);
  for (size_t i = 0; n > 0 && i < sizeof ROWS / sizeof *ROWS; i++)
    printf("%s_%s_ms %.3f\n", name, ROWS[i].name,
           (double)us[(int64_t)(ROWS[i].part * (double)(n - 1))] / 1e3);
}

static void print(void) {
  const int64_t n = opt.waits ? run.finished_n : run.answered_n;
  printf("sent %lld\nanswered %lld\ncut %lld\n", (long long)run.sent_n, (long long)n,
         (long long)run.cut_n);
  for (int i = 0; i < STATUS_MAX; i++)
    if (run.codes[i]) printf("code_%03d %lld\n", i, (long long)run.codes[i]);
  if (opt.waits && n) printf("first_ms %.3f\n", (double)run.latency_us[0] / 1e3);
  print_times(opt.waits ? "told" : "read", run.latency_us, n);
  if (!opt.waits) print_times("client", run.late_us, n);
}

static void read_options(int argc, char **argv) {
  static const struct option OPTIONS[] = { { "url", 1, 0, 'u' },     { "path", 1, 0, 'p' },
                                           { "clients", 1, 0, 'c' }, { "rate", 1, 0, 'r' },
                                           { "seconds", 1, 0, 's' }, { "match", 0, 0, 'm' },
                                           { "idle", 1, 0, 'i' },    { 0 } };
  char *save = NULL, *colon = NULL;
  for (int o; (o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
    switch (o) {
      case 'u':
        if (strncmp(optarg, "http://", 7) == 0 && (colon = strchr(optarg + 7, ':')))
          *colon = '\0', opt.host = optarg + 7, opt.port = (int)strtol(colon + 1, NULL, 10);
        break;
      case 'p':
        for (char *p = strtok_r(optarg, ",", &save); p && opt.paths_n < PATHS_MAX;
             p = strtok_r(NULL, ",", &save))
          opt.paths[opt.paths_n++] = p;
        break;
      case 'c': opt.clients = (int)strtol(optarg, NULL, 10); break;
      case 'r': opt.rate = strtod(optarg, NULL); break;
      case 's': opt.seconds = strtod(optarg, NULL); break;
      case 'm': opt.match = true; break;
      case 'i': opt.idle = (int)strtol(optarg, NULL, 10); break;
      default: exit(2);
    }
  }
  opt.waits = optind < argc && strcmp(argv[optind], "waits") == 0;
  opt.token = getenv("PROXACT_TOKEN");
  if (!opt.host || !opt.paths_n || !opt.token || opt.clients < 1 ||
      opt.clients + opt.idle > CLIENTS_MAX) {
    fprintf(stderr, "usage: bench_load reads|waits --url=http://HOST:PORT --path=PATH ...; the "
                    "token is PROXACT_TOKEN\n");
    exit(2);
  }
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  const size_t room = (size_t)opt.clients * (size_t)(opt.waits ? 1 : turns());
  opt.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  run.all = calloc((size_t)opt.clients + (size_t)opt.idle, sizeof *run.all);
  run.latency_us = calloc(room + 1, sizeof *run.latency_us);
  run.late_us = calloc(room + 1, sizeof *run.late_us);
  if (opt.epoll_fd < 0 || !run.all || !run.latency_us || !run.late_us) bench_die("setup");
  struct client *idle = run.all + opt.clients;
  for (int i = 0; i < opt.clients + opt.idle; i++) {
    run.all[i].idle_kind = i >= opt.clients;
    client_open(&run.all[i]);
  }
  if (opt.idle) printf("idle_greeted %lld\n", (long long)greet_all(idle));
  if (opt.waits) waits();
  else reads();
  if (opt.idle) printf("idle_kept %lld\n", (long long)greet_all(idle));
  print();
  return 0;
}
