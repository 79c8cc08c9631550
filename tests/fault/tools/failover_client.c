/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow: clients of several servers, such as are behind a balancer, that keep their connections
 * and follow where they are taken. Each makes datasets, lists them, and uploads into them, until
 * SIGTERM or for a while.
 *
 *   follow --addresses=HOST:PORT[,HOST:PORT] --token=TOKEN [--threads=N] [--seconds=N]
 *   [--acked=FILE]
 *
 * Moving on is no failure: a server that does not take the connection, or that closes a used one
 * without a word, has not carried the request out, so it goes to the next server (RFC 9112 section
 * 9.3.1). No request has a key: one that was carried out all the same shows, as its dataset is
 * there already (409). All else but the expected status is a failure. Names of datasets that were
 * acknowledged go to FILE. The last line counts; the status is 0 when nothing failed.
 *
 * Each client makes at most a turn of three requests every TURN_MS, however fast the machine is, so
 * that all together stay below the rate that a token has (rate_per_s).
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/fault/lib/proc.h"
#include "tests/fault/lib/sock.h"

enum {
  SERVERS_MAX = 4,
  THREADS_MAX = 32,
  ANSWER_MAX = 1 << 20,
  TIMEOUT_MS = 70000,
  TURNS_MAX = 400,
  PAUSE_MS = 25,
  TURN_MS = 50
};

static struct {
  char address[SERVERS_MAX][SOCK_ADDRESS_MAX];
  const char *token;
  int servers, threads;
  int64_t until_ms;
  FILE *acked;
  pthread_mutex_t lock;
  atomic_int requests, failed, moved;
} f = { .threads = 4, .until_ms = INT64_MAX, .lock = PTHREAD_MUTEX_INITIALIZER };
static atomic_bool stopping;

struct client {
  int no, server, fd;
  char answer[ANSWER_MAX];
};

static void on_term(int signal) {
  (void)signal;
  stopping = true;
}

static void leave(struct client *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

static void move_on(struct client *c) {
  leave(c);
  c->server = (c->server + 1) % f.servers;
  f.moved++;
}

/* Bytes of the answer that came, or -1; whole when *http is its status. */
static ssize_t receive(struct client *c, int *http) {
  size_t n = 0;
  *http = 0;
  for (;;) {
    const ssize_t got = recv(c->fd, c->answer + n, ANSWER_MAX - 1 - n, 0);
    if (got < 0 && n == 0) return errno == ECONNRESET ? 0 : -1;
    if (got <= 0) return (ssize_t)n;
    n += (size_t)got;
    c->answer[n] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n"),
               *length = strcasestr(c->answer, "\r\nContent-Length:");
    if (!end || !length || length > end) continue;
    if (n < (size_t)(end + 4 - c->answer) + strtoul(length + 17, NULL, 10)) continue;
    *http = (int)strtol(c->answer + 9, NULL, 10);
    const char *closing = strcasestr(c->answer, "\r\nConnection: close");
    if (closing && closing < end) leave(c);
    return (ssize_t)n;
  }
}

/* One request, wherever it is taken. */
static int ask(struct client *c, const char *method, const char *path, const char *type,
               const char *body) {
  char text[16384];
  const int n = snprintf(text, sizeof text,
                         "%s %s HTTP/1.1\r\nHost: proxact\r\nAuthorization: Bearer "
                         "%s\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
                         method, path, f.token, *body ? "Content-Type: " : "", *body ? type : "",
                         *body ? "\r\n" : "", strlen(body), body);
  f.requests++;
  for (int turn = 0; turn < TURNS_MAX; turn++) {
    const bool used = c->fd >= 0;
    if (!used && (c->fd = sock_connect_timeout(f.address[c->server], TIMEOUT_MS)) < 0) {
      move_on(c);
      if (turn % f.servers == f.servers - 1) proc_sleep_ms(PAUSE_MS);
      continue;
    }
    int http;
    const bool sent = sock_write_all(c->fd, text, (size_t)n);
    const ssize_t got = receive(c, &http);
    if (http) return http;
    leave(c);
    if (used && (got == 0 || (got < 0 && !sent))) {
      move_on(c);
      continue;
    }
    printf("%s %s on a %s connection to %s: no whole answer (%zd bytes)\n", method, path,
           used ? "used" : "new", f.address[c->server], got);
    return 0;
  }
  printf("%s %s: nobody took it\n", method, path);
  return 0;
}

static bool expect(struct client *c, int expected, const char *method, const char *path,
                   const char *type, const char *body) {
  const int http = ask(c, method, path, type, body);
  if (http == expected) return true;
  f.failed++;
  if (http) {
    const char *why = strstr(c->answer, "\r\n\r\n");
    printf("%s %s answered %d%.300s\n", method, path, http, why ? why : "");
  }
  return false;
}

static void note(const char *name) {
  if (!f.acked) return;
  pthread_mutex_lock(&f.lock);
  fprintf(f.acked, "%s\n", name);
  fflush(f.acked);
  pthread_mutex_unlock(&f.lock);
}

static void *follow_main(void *arg) {
  struct client *c = arg;
  for (int i = 0; !stopping && px_clock_ms() < f.until_ms; i++) {
    char name[64], body[160], path[128];
    const int64_t begun_ms = px_clock_ms();
    snprintf(name, sizeof name, "f-%d-%d-%d", (int)getpid(), c->no, i);
    snprintf(body, sizeof body, "{\"name\": \"%s\", \"obs_dim\": 1, \"act_dim\": 1}", name);
    snprintf(path, sizeof path, "/v1/datasets/%s/trajectories", name);
    if (expect(c, 201, "POST", "/v1/datasets", "application/json", body)) {
      note(name);
      expect(c, 201, "POST", path, "application/jsonl",
             "{\"observations\": [[0], [1]], \"rewards\": [1], \"actions\": [[0.5]], "
             "\"terminated\": true, \"truncated\": false}\n");
    }
    expect(c, 200, "GET", "/v1/datasets?limit=2", "", "");
    const int64_t left_ms = begun_ms + TURN_MS + c->no % 3 - px_clock_ms();
    if (left_ms > 0) proc_sleep_ms((int)left_ms);
  }
  leave(c);
  return NULL;
}

static bool read_addresses(char *list) {
  char *save = NULL;
  for (char *at = strtok_r(list, ",", &save); at && f.servers < SERVERS_MAX;
       at = strtok_r(NULL, ",", &save))
    snprintf(f.address[f.servers++], SOCK_ADDRESS_MAX, "tcp:%s", at);
  return f.servers > 0;
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = {
    { "addresses", 1, NULL, 'a' }, { "token", 1, NULL, 't' }, { "threads", 1, NULL, 'j' },
    { "seconds", 1, NULL, 's' },   { "acked", 1, NULL, 'k' }, { NULL, 0, NULL, 0 }
  };
  int option;
  while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
    if (option == 'a' && !read_addresses(optarg)) return 2;
    if (option == 't') f.token = optarg;
    else if (option == 'j') f.threads = (int)strtol(optarg, NULL, 10);
    else if (option == 's') f.until_ms = px_clock_ms() + strtol(optarg, NULL, 10) * 1000;
    else if (option == 'k') f.acked = fopen(optarg, "ae");
    else if (option == '?') return 2;
  }
  if (!f.servers || !f.token || f.threads < 1 || f.threads > THREADS_MAX)
    return fprintf(stderr, "follow: see its source\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, on_term);
  pthread_t threads[THREADS_MAX];
  struct client *clients = calloc((size_t)f.threads, sizeof *clients);
  for (int i = 0; clients && i < f.threads; i++) {
    clients[i] = (struct client){ .no = i, .server = i % f.servers, .fd = -1 };
    if (pthread_create(&threads[i], NULL, follow_main, &clients[i]) != 0) return 2;
  }
  for (int i = 0; clients && i < f.threads; i++) pthread_join(threads[i], NULL);
  free(clients);
  if (f.acked) fclose(f.acked);
  printf("follow: requests=%d failed=%d moved=%d\n", f.requests, f.failed, f.moved);
  return f.failed > 0;
}
