/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chaosproxy: stands between a program and PostgreSQL, Redis or an HTTP server
 * and does to the bytes what networks do.
 *
 *   chaosproxy CONTROL            serves commands on the unix socket CONTROL until SIGTERM
 *   chaosproxy CONTROL COMMAND... sends one command and prints the answer
 *
 * Commands (LINK is a name of the caller's choice; an address is unix:PATH or tcp:HOST:PORT):
 *   link LINK LISTEN TARGET   begins to listen; the answer names the address (a port 0 becomes a
 *                             real one)
 *   target LINK TARGET        where new connections go from now on
 *   delay LINK MS             every byte arrives so much later
 *   throttle LINK BYTES_PER_S each connection, each way; 0: as fast as it goes
 *   hold LINK up|down|both|none   black hole: bytes of the client (up) or the server (down) stay
 *                                 here
 *   refuse LINK on|off        new connections are closed at once
 *   cut LINK | reset LINK     ends every connection, in order or with a reset
 *   trap LINK MATCH before|after [NTH [APPLICATION]]
 *       PostgreSQL only: the NTH time that a session (whose application_name begins so) sends the
 *       query MATCH, or runs the prepared statement MATCH, the client is cut off right before it
 *       was forwarded or right after. What was forwarded reaches the server whole.
 *   untrap LINK
 *   audit LINK FILE           PostgreSQL only: adds a line to FILE for each thing asked: time in
 *                             ms, connection, application, statement, two parameters, answer (none:
 *                             the connection ended first; cut before, cut after: a trap), with tabs
 *                             between them
 *   heal LINK                 all of the above off; connections stay
 *   stats LINK                connections=N cut=N trapped=N open=N
 *
 * One thread, one poll loop. No TLS. Memory is bounded: at most CONNS_MAX connections and QUEUE_MAX
 * bytes each way.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/stop.h"
#include "tests/fault/lib/pgwatch.h"
#include "tests/fault/lib/sock.h"

enum {
  LINKS_MAX = 8,
  CONNS_MAX = 512,
  QUEUE_MAX = 1 << 20,
  PIECE_MAX = 16384,
  NAME_MAX_BYTES = 32,
  COMMAND_MAX = 1024,
  LINGER_MS = 10000
};
enum way { UP, DOWN };

struct piece {
  struct piece *next;
  int64_t due_ms;
  size_t n, at;
  char bytes[];
};
/* Bytes on their way from one socket to the other. */
struct flow {
  struct piece *first, *last;
  size_t queued;
  bool ended, shut;
  double budget;
  int64_t budget_ms;
};

struct link {
  char name[NAME_MAX_BYTES], listen[SOCK_ADDRESS_MAX], target[SOCK_ADDRESS_MAX];
  int fd, delay_ms;
  double rate; /* bytes per second; 0: no bound */
  bool hold[2], refuse;
  struct pgtrap trap;
  FILE *audit;
  unsigned long connections, cut, trapped;
};

struct conn {
  struct link *link; /* NULL: this slot is free */
  int fd[2];         /* the client's (read for UP) and the server's */
  struct flow flow[2];
  struct pgwatch watch;
  unsigned long no; /* of the link's connections */
  int64_t asked_ms; /* when the watched call came */
  int64_t close_ms; /* the client is gone: the server's side only drains, until then */
};

static struct link links[LINKS_MAX];
static size_t links_n;
static struct conn conns[CONNS_MAX];

/* ---- connections */

static void flow_clear(struct flow *f) {
  while (f->first) {
    struct piece *next = f->first->next;
    free(f->first);
    f->first = next;
  }
  *f = (struct flow){ .ended = true };
}

static void audit(const struct conn *c, const char *answer) {
  const struct pgcall *call = &c->watch.call;
  if (c->link->audit)
    fprintf(c->link->audit, "%lld\t%lu\t%s\t%.60s\t%s\t%s\t%s\n", (long long)c->asked_ms, c->no,
            c->watch.application, call->statement, call->param[0], call->param[1], answer);
}

static void conn_close(struct conn *c, bool reset) {
  if (c->watch.call.open) audit(c, "none");
  for (int way = UP; way <= DOWN; way++) {
    if (c->fd[way] >= 0) sock_close(c->fd[way], reset);
    flow_clear(&c->flow[way]);
  }
  c->link = NULL;
}

static void conn_open(struct link *link) {
  const int client = sock_accept(link->fd);
  if (client < 0) return;
  size_t i = 0;
  while (i < CONNS_MAX && conns[i].link) i++;
  const int server = i < CONNS_MAX && !link->refuse ? sock_connect(link->target) : -1;
  if (server < 0) {
    sock_close(client, true);
    return;
  }
  conns[i] = (struct conn){ .link = link, .fd = { client, server }, .no = ++link->connections };
}

/* What the client said last goes to the server whole, and no answer comes back: the server's side
 * stays until it ends. */
static void spring(struct conn *c) {
  c->link->trapped++;
  audit(c, c->link->trap.before ? "cut before" : "cut after");
  c->watch.call.open = false;
  sock_close(c->fd[UP], true);
  c->fd[UP] = -1;
  flow_clear(&c->flow[DOWN]);
  c->flow[UP].ended = true;
  c->close_ms = px_clock_ms() + LINGER_MS;
}

static void flow_put(struct flow *f, const char *bytes, size_t n, int64_t due_ms) {
  struct piece *p = n ? malloc(sizeof *p + n) : NULL;
  if (!p) return;
  *p = (struct piece){ .due_ms = due_ms, .n = n };
  memcpy(p->bytes, bytes, n);
  if (f->first) f->last->next = p;
  else f->first = p;
  f->last = p;
  f->queued += n;
}

static void take(struct conn *c, enum way way) {
  char bytes[PIECE_MAX];
  const ssize_t n = recv(c->fd[way], bytes, sizeof bytes, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    c->flow[way].ended = true;
    return;
  }
  if (c->close_ms) return; /* an answer that nobody is to hear */
  size_t keep = (size_t)n;
  bool sprung = false;
  if (way == DOWN && pgwatch_answer(&c->watch, bytes, keep)) audit(c, c->watch.call.answer);
  if (way == UP) {
    sprung = pgwatch_put(&c->watch, &c->link->trap, bytes, &keep);
    c->asked_ms = px_clock_wall_ms();
  }
  flow_put(&c->flow[way], bytes, keep, px_clock_ms() + c->link->delay_ms);
  if (sprung) spring(c);
}

/* Bytes that may go now, by the link's rate. */
static size_t allowance(const struct link *link, struct flow *f, size_t n) {
  if (link->rate <= 0) return n;
  const int64_t now = px_clock_ms();
  f->budget += link->rate * (double)(now - f->budget_ms) / 1000;
  if (f->budget > link->rate / 10 + 1) f->budget = link->rate / 10 + 1;
  f->budget_ms = now;
  return f->budget < (double)n ? (size_t)f->budget : n;
}

/* Whether something of this flow could be sent at once. */
static bool is_due(const struct conn *c, enum way way) {
  const struct flow *f = &c->flow[way];
  return f->first && !(c->link->hold[way] && !c->close_ms) && f->first->due_ms <= px_clock_ms();
}

static void give(struct conn *c, enum way way) {
  struct flow *f = &c->flow[way];
  while (is_due(c, way)) {
    struct piece *p = f->first;
    const size_t may = allowance(c->link, f, p->n - p->at);
    const ssize_t n = may ? send(c->fd[!way], p->bytes + p->at, may, MSG_NOSIGNAL) : 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      flow_clear(f);
      c->flow[!way].ended = true;
      return;
    }
    if (n <= 0) return;
    f->queued -= (size_t)n;
    f->budget -= (double)n;
    p->at += (size_t)n;
    if (p->at < p->n) continue;
    f->first = p->next;
    free(p);
  }
}

/* One side's end is passed on when all it sent has arrived; both ended is the end. */
static void settle(struct conn *c) {
  for (int way = UP; way <= DOWN; way++) {
    struct flow *f = &c->flow[way];
    if (!f->ended || f->first || f->shut) continue;
    if (c->link->hold[way] && !c->close_ms) continue;
    f->shut = true;
    if (c->fd[!way] >= 0) shutdown(c->fd[!way], SHUT_WR);
  }
  const bool late = c->close_ms && px_clock_ms() > c->close_ms;
  if (late || (c->flow[UP].shut && c->flow[DOWN].shut)) conn_close(c, false);
}

/* ---- commands */

static struct link *find(const char *name) {
  for (size_t i = 0; i < links_n; i++)
    if (strcmp(links[i].name, name) == 0) return &links[i];
  return NULL;
}

static bool answer(char *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool answer(char *out, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(out, COMMAND_MAX, fmt, args);
  va_end(args);
  return true;
}

static bool new_link(const char *name, const char *listen_at, const char *target, char *out) {
  if (find(name) || links_n == LINKS_MAX) return false;
  struct link *l = &links[links_n];
  *l = (struct link){ .fd = -1 };
  snprintf(l->name, sizeof l->name, "%s", name);
  snprintf(l->target, sizeof l->target, "%s", target);
  l->fd = sock_listen(listen_at, l->listen);
  if (l->fd < 0) return answer(out, "error listening at %s: %s", listen_at, strerror(errno));
  links_n++;
  return answer(out, "ok %s", l->listen);
}

static bool set_hold(struct link *l, const char *which) {
  const bool both = strcmp(which, "both") == 0;
  l->hold[UP] = both || strcmp(which, "up") == 0;
  l->hold[DOWN] = both || strcmp(which, "down") == 0;
  return l->hold[UP] || l->hold[DOWN] || strcmp(which, "none") == 0;
}

static bool end_all(struct link *l, bool reset) {
  for (size_t i = 0; i < CONNS_MAX; i++)
    if (conns[i].link == l) {
      conn_close(&conns[i], reset);
      l->cut++;
    }
  return true;
}

static bool heal(struct link *l) {
  l->delay_ms = 0;
  l->rate = 0;
  l->hold[UP] = l->hold[DOWN] = l->refuse = false;
  l->trap.armed = false;
  return true;
}

static bool stats(const struct link *l, char *out) {
  int open = 0;
  for (size_t i = 0; i < CONNS_MAX; i++) open += conns[i].link == l;
  return answer(out, "ok connections=%lu cut=%lu trapped=%lu open=%d", l->connections, l->cut,
                l->trapped, open);
}

static bool set_trap(struct link *l, char *const word[], int n) {
  if (n < 4 || (strcmp(word[3], "before") != 0 && strcmp(word[3], "after") != 0)) return false;
  pgtrap_set(&l->trap, word[2], strcmp(word[3], "before") == 0,
             n > 4 ? strtol(word[4], NULL, 10) : 1, n > 5 ? word[5] : "");
  return true;
}

static bool set_audit(struct link *l, const char *path, char *out) {
  if (l->audit) fclose(l->audit);
  l->audit = fopen(path, "ae");
  return l->audit || answer(out, "error opening %s: %s", path, strerror(errno));
}

/* Words of a command; false when it is not understood. */
static bool obey(char *const word[], int n, char *out) {
  answer(out, "ok");
  if (n == 4 && strcmp(word[0], "link") == 0) return new_link(word[1], word[2], word[3], out);
  struct link *l = n >= 2 ? find(word[1]) : NULL;
  if (!l) return false;
  const char *verb = word[0];
  if (n == 2 && strcmp(verb, "cut") == 0) return end_all(l, false);
  if (n == 2 && strcmp(verb, "reset") == 0) return end_all(l, true);
  if (n == 2 && strcmp(verb, "heal") == 0) return heal(l);
  if (n == 2 && strcmp(verb, "stats") == 0) return stats(l, out);
  if (n == 2 && strcmp(verb, "untrap") == 0) return l->trap.armed = false, true;
  if (strcmp(verb, "trap") == 0) return set_trap(l, word, n);
  if (n != 3) return false;
  if (strcmp(verb, "audit") == 0) return set_audit(l, word[2], out);
  if (strcmp(verb, "target") == 0) return snprintf(l->target, sizeof l->target, "%s", word[2]) > 0;
  if (strcmp(verb, "delay") == 0) return l->delay_ms = (int)strtol(word[2], NULL, 10), true;
  if (strcmp(verb, "throttle") == 0) return l->rate = strtod(word[2], NULL), true;
  if (strcmp(verb, "refuse") == 0) return l->refuse = strcmp(word[2], "on") == 0, true;
  return strcmp(verb, "hold") == 0 && set_hold(l, word[2]);
}

/* A line in, a line out: whoever sends commands waits here, and is quick. */
static void serve_command(int control) {
  char line[COMMAND_MAX], out[COMMAND_MAX], *word[8];
  const int fd = sock_accept_blocking(control);
  if (fd < 0) return;
  const ssize_t got = sock_read_line(fd, line, sizeof line);
  int n = 0;
  char *rest = line;
  for (char *w; got > 0 && n < 8 && (w = strsep(&rest, " \n")) != NULL;)
    if (*w) word[n++] = w;
  if (!obey(word, n, out)) answer(out, "error not understood");
  if (!sock_write_all(fd, out, strlen(out)) || !sock_write_all(fd, "\n", 1))
    fprintf(stderr, "chaosproxy: nobody heard: %s\n", out);
  close(fd);
}

/* ---- the loop */

struct watched {
  struct pollfd fds[2 + LINKS_MAX + 2 * CONNS_MAX];
  size_t n;
  int wait_ms;
};

static void watch_way(struct watched *w, const struct conn *c, enum way way, short *events,
                      short *peer_events) {
  const struct flow *f = &c->flow[way];
  if (!f->ended && f->queued < QUEUE_MAX) *events |= POLLIN;
  if (!f->first) return;
  const int64_t left = f->first->due_ms - px_clock_ms();
  if (c->link->hold[way] && !c->close_ms) return;
  if (c->link->rate > 0) w->wait_ms = w->wait_ms < 10 ? w->wait_ms : 10;
  else if (left > 0) w->wait_ms = left < w->wait_ms ? (int)left : w->wait_ms;
  else *peer_events |= POLLOUT;
}

/* A slot for each side of each connection, so that places are the same when looked at again. */
static void watch_all(struct watched *w, int control, int stop_fd) {
  w->n = 0;
  w->wait_ms = 1000;
  w->fds[w->n++] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
  w->fds[w->n++] = (struct pollfd){ .fd = control, .events = POLLIN };
  for (size_t i = 0; i < LINKS_MAX; i++)
    w->fds[w->n++] = (struct pollfd){ .fd = i < links_n ? links[i].fd : -1, .events = POLLIN };
  for (size_t i = 0; i < CONNS_MAX; i++) {
    short events[2] = { 0, 0 };
    if (conns[i].link) {
      watch_way(w, &conns[i], UP, &events[UP], &events[DOWN]);
      watch_way(w, &conns[i], DOWN, &events[DOWN], &events[UP]);
      if (conns[i].close_ms && w->wait_ms > 100) w->wait_ms = 100;
    }
    /* Without an event asked for, poll would still tell of an error, again and again. */
    for (int way = UP; way <= DOWN; way++)
      w->fds[w->n++] = (struct pollfd){ .fd = conns[i].link && events[way] ? conns[i].fd[way] : -1,
                                        .events = events[way] };
  }
}

static void move(struct conn *c, const struct pollfd fds[2]) {
  for (int way = UP; way <= DOWN; way++)
    if (c->fd[way] >= 0 && !c->flow[way].ended && c->flow[way].queued < QUEUE_MAX &&
        fds[way].revents & (POLLIN | POLLHUP | POLLERR))
      take(c, (enum way)way);
  for (int way = UP; way <= DOWN; way++)
    if (c->fd[!way] >= 0) give(c, (enum way)way);
  settle(c);
}

static void run(int control, int stop_fd) {
  static struct watched w;
  for (;;) {
    watch_all(&w, control, stop_fd);
    if (poll(w.fds, w.n, w.wait_ms) < 0 && errno != EINTR) return;
    if (w.fds[0].revents) return;
    for (size_t i = 0; i < CONNS_MAX; i++)
      if (conns[i].link) move(&conns[i], &w.fds[2 + LINKS_MAX + 2 * i]);
    for (size_t i = 0; i < links_n; i++)
      if (w.fds[2 + i].revents) conn_open(&links[i]);
    if (w.fds[1].revents) serve_command(control);
  }
}

static int send_command(const char *control, int argc, char **argv) {
  char text[COMMAND_MAX];
  size_t n = 0;
  for (int i = 0; i < argc && n < sizeof text - 2; i++)
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "", argv[i]);
  if (!sock_ask(control, text, text, sizeof text))
    return fprintf(stderr, "chaosproxy: %s does not answer\n", control), 1;
  puts(text);
  return strncmp(text, "ok", 2) != 0;
}

int main(int argc, char **argv) {
  char at[SOCK_ADDRESS_MAX], bound[SOCK_ADDRESS_MAX];
  struct px_err err;
  int stop_fd;
  if (argc < 2) return fprintf(stderr, "usage: chaosproxy CONTROL [COMMAND...]\n"), 2;
  snprintf(at, sizeof at, "unix:%s", argv[1]);
  if (argc > 2) return send_command(at, argc - 2, argv + 2);
  if (px_stop_setup(&stop_fd, &err)) return fprintf(stderr, "chaosproxy: %s\n", err.message), 1;
  const int control = sock_listen(at, bound);
  if (control < 0) return fprintf(stderr, "chaosproxy: %s: %s\n", argv[1], strerror(errno)), 1;
  run(control, stop_fd);
  for (size_t i = 0; i < links_n; i++) {
    end_all(&links[i], false);
    if (links[i].audit) fclose(links[i].audit);
  }
  return 0;
}
