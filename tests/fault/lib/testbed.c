/* SPDX-License-Identifier: Apache-2.0 */
/* A server and a worker that are kept running: see testbed.h. */
#include "tests/fault/lib/testbed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"

enum {
  PATIENCE_MS = 600000,
  START_MS = 300000,
  TICK_MS = 15,
  SWEEP_MS = 500,
  PATH_BYTES = 600,
  SQL_BYTES = 4096
};

bool testbed_fail(struct testbed *s, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  if (!*s->why) vsnprintf(s->why, sizeof s->why, fmt, args);
  va_end(args);
  return false;
}

static const char *path_of(const struct testbed *s, const char *name) {
  static char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", s->folder, name);
  return path;
}

/* ---- the database */

static PGresult *query(struct testbed *s, const char *fmt, va_list args) {
  char sql[SQL_BYTES];
  vsnprintf(sql, sizeof sql, fmt, args);
  PGresult *rows = PQexec(s->db, sql);
  const ExecStatusType type = PQresultStatus(rows);
  if (type != PGRES_TUPLES_OK && type != PGRES_COMMAND_OK)
    testbed_fail(s, "%.200s: %.150s", PQresultErrorMessage(rows), sql);
  return rows;
}

static const char *first_value(struct testbed *s, const char *fmt, va_list args) {
  static char value[4096];
  PGresult *rows = query(s, fmt, args);
  snprintf(value, sizeof value, "%s", PQntuples(rows) ? PQgetvalue(rows, 0, 0) : "");
  PQclear(rows);
  return value;
}

const char *testbed_sql(struct testbed *s, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  const char *value = first_value(s, fmt, args);
  va_end(args);
  return value;
}

void testbed_await(struct testbed *s, const char *expected, const char *fmt, ...) {
  const char *value = "";
  while (testbed_tick(s)) {
    /* A pause before another try is no matter of this test. */
    testbed_sql(s, "update jobs set run_after = clock_timestamp() where state = 'ready' and "
                   "run_after > clock_timestamp()");
    va_list args;
    va_start(args, fmt);
    value = first_value(s, fmt, args);
    va_end(args);
    if (strcmp(value, expected) == 0) return;
    proc_sleep_ms(TICK_MS);
  }
  const size_t n = strlen(s->why);
  snprintf(s->why + n, sizeof s->why - n, " (waiting for '%s', there is '%.60s': %.120s)", expected,
           value, fmt);
}

/* ---- the processes */

static pid_t start(struct testbed *s, const char *name, const char *const *argv) {
  static char db[600], spool[PATH_BYTES + 32], tmp[PATH_BYTES + 16];
  char log[PATH_BYTES];
  snprintf(db, sizeof db, "PROXACT_DB_URL=%s", s->db_url);
  snprintf(spool, sizeof spool, "PROXACT_SPOOL_DIR=%s", path_of(s, "tmp"));
  snprintf(tmp, sizeof tmp, "TMPDIR=%s", path_of(s, "tmp"));
  snprintf(log, sizeof log, "%s", path_of(s, name));
  const pid_t pid = proc_start(argv, (const char *const[]){ db, spool, tmp, s->crash, NULL }, log);
  if (!pid) testbed_fail(s, "%s cannot be started", name);
  return pid;
}

static const char *program(const char *name) {
  static char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", proc_build_dir(), name);
  return path;
}

/* The address that the server has chosen, once it listens. */
static bool read_address(struct testbed *s) {
  char line[1024], *at = NULL;
  FILE *f = fopen(path_of(s, "server.log"), "re");
  while (f && !at && fgets(line, sizeof line, f)) at = strstr(line, "event=listening address=");
  if (f) fclose(f);
  if (!at) return false;
  at += strlen("event=listening address=");
  at[strcspn(at, " \n")] = '\0';
  snprintf(s->api.address, sizeof s->api.address, "tcp:%.100s", at);
  return true;
}

/* Until it listens, however often it dies of a crash point before. */
static void start_server(struct testbed *s) {
  const int64_t until = px_clock_ms() + START_MS;
  int how = 0;
  do {
    unlink(path_of(s, "server.log"));
    s->server.pid =
      start(s, "server.log",
            (const char *const[]){ program("proxact-server"), "serve", "--listen=127.0.0.1:0",
                                   "--threads=2", "--work-threads=2", NULL });
    s->server.wanted = waitpid(s->server.pid, &how, WNOHANG) == 0;
    while (s->server.wanted && !*s->why && !read_address(s)) {
      s->server.wanted = waitpid(s->server.pid, &how, WNOHANG) == 0;
      if (px_clock_ms() > until) testbed_fail(s, "the server does not listen");
      proc_sleep_ms(TICK_MS);
    }
    if (!s->server.wanted && !(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL))
      testbed_fail(s, "the server does not start");
  } while (!s->server.wanted && !*s->why);
}

void testbed_worker(struct testbed *s) {
  if (*s->why) return;
  s->worker.pid =
    start(s, "worker.log",
          (const char *const[]){ program("proxact-worker"), "--lease-ms=600000",
                                 "--heartbeat-ms=100", "--reap-ms=100", "--poll-ms=50",
                                 "--drain-ms=0", "--checkpoint-ms=0", NULL });
  s->worker.wanted = true;
  s->worker.may_end = false;
}

void testbed_drain(struct testbed *s) {
  if (*s->why) return;
  s->worker.may_end = true;
  /* A job that runs waits meanwhile: it cannot end before the worker is told. */
  const pid_t child = proc_child(s->worker.pid);
  if (child) kill(child, SIGSTOP);
  kill(s->worker.pid, SIGTERM);
  if (child) kill(child, SIGCONT);
}

/* Whether it has ended as it may: killed by a crash point, or drained. */
static bool has_ended(struct testbed *s, struct testbed_process *p, const char *name) {
  int how = 0;
  if (!p->wanted || waitpid(p->pid, &how, WNOHANG) != p->pid) return false;
  p->wanted = false;
  if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) return true;
  if (p->may_end && WIFEXITED(how) && WEXITSTATUS(how) == 0) return true;
  return testbed_fail(s, "the %s ended by itself (status %x)", name, (unsigned)how);
}

bool testbed_tick(struct testbed *s) {
  if (!*s->why && px_clock_ms() > s->until_ms) testbed_fail(s, "it takes too long");
  const pid_t worker = s->worker.pid;
  if (has_ended(s, &s->server, "server")) start_server(s);
  if (has_ended(s, &s->worker, "worker")) {
    testbed_sql(s,
                "update jobs set lease_expires_at = clock_timestamp() where state = 'running' and "
                "lease_owner like '%%:%d:%%'",
                (int)worker);
    testbed_worker(s);
  }
  return !*s->why;
}

bool testbed_run(struct testbed *s, const char *const *argv, const char *const *env, char *said,
                 size_t size) {
  int rc = -SIGKILL;
  *said = '\0';
  while (rc == -SIGKILL && testbed_tick(s)) {
    const char *whole[16] = { program(argv[0]) }, *all[8] = { s->crash };
    for (int i = 1; i < 15 && argv[i]; i++) whole[i] = argv[i];
    for (int i = 0; i < 6 && env[i]; i++) all[i + 1] = env[i];
    unlink(path_of(s, "run.log"));
    rc = proc_end(proc_start(whole, all, path_of(s, "run.log")), 0);
  }
  FILE *f = fopen(path_of(s, "run.log"), "re");
  if (f && !fgets(said, (int)size, f)) *said = '\0';
  if (f) fclose(f);
  said[strcspn(said, "\n")] = '\0';
  return rc == 0 || testbed_fail(s, "%s %s ended with %d: %.150s", argv[0], argv[1], rc, said);
}

static bool is_empty(const char *folder) {
  DIR *dir = opendir(folder);
  int n = 0;
  while (dir && readdir(dir)) n++;
  if (dir) closedir(dir);
  return n == 2;
}

void testbed_end(struct testbed *s) {
  int64_t sweep_ms = px_clock_ms() + SWEEP_MS;
  while (testbed_tick(s) && (proc_child(s->worker.pid) || !is_empty(path_of(s, "tmp")))) {
    /* A folder whose process was still dying when the next worker swept is left to the one after
     * it. */
    if (!proc_child(s->worker.pid) && px_clock_ms() > sweep_ms) {
      if (s->worker.wanted) testbed_drain(s);
      else testbed_worker(s);
      sweep_ms = px_clock_ms() + SWEEP_MS;
    }
    proc_sleep_ms(TICK_MS);
  }
  if (s->worker.wanted) proc_end(s->worker.pid, SIGKILL);
  if (s->server.wanted) proc_end(s->server.pid, SIGKILL);
  s->worker = s->server = (struct testbed_process){ 0 };
}

void testbed_begin(struct testbed *s, const char *crash) {
  s->why[0] = '\0';
  s->serial++;
  s->until_ms = px_clock_ms() + PATIENCE_MS;
  snprintf(s->crash, sizeof s->crash, "%s", crash);
  start_server(s);
}

void testbed_open(struct testbed *s, const char *db_url, const char *folder, const char *token) {
  struct px_err err;
  *s = (struct testbed){ .api.timeout_ms = 30000 };
  snprintf(s->db_url, sizeof s->db_url, "%s", db_url);
  snprintf(s->folder, sizeof s->folder, "%s", folder);
  snprintf(s->api.token, sizeof s->api.token, "%s", token);
  mkdir(folder, 0700);
  mkdir(path_of(s, "tmp"), 0700);
  s->db = PQconnectdb(db_url);
  if (store_open(db_url, "crash", &s->store, &err)) testbed_fail(s, "%s", err.message);
  testbed_sql(s, "set client_min_messages to warning; set timezone to 'UTC'");
}

void testbed_close(struct testbed *s) {
  PQfinish(s->db);
  store_close(s->store);
  json_decref(s->answer);
}

/* ---- requests */

static void take_answer(struct testbed *s, const struct api_answer *answer) {
  json_decref(s->answer);
  s->answer = answer->body.data ? json_loadb(answer->body.data, answer->body.len, 0, NULL) : NULL;
  snprintf(s->location, sizeof s->location, "%s", answer->location);
}

/* The first with this key may not be known to be dead yet. */
static bool is_in_use(const struct testbed *s, int http) {
  const char *type = json_string_value(json_object_get(s->answer, "type"));
  return http == 409 && type && strstr(type, "key_in_use");
}

int testbed_ask(struct testbed *s, const struct testbed_request *r) {
  while (testbed_tick(s)) {
    struct api_answer answer = { 0 };
    const enum api_outcome outcome =
      api_call(&s->api, r->method, r->path, r->headers ? r->headers : "", r->type, r->body, r->n,
               &answer);
    if (outcome == API_ANSWERED) {
      take_answer(s, &answer);
      px_buf_free(&answer.body);
      if (answer.http < 300 || answer.http == r->also) return answer.http;
      if (answer.http < 500 && !is_in_use(s, answer.http)) {
        const char *detail = json_string_value(json_object_get(s->answer, "detail"));
        testbed_fail(s, "%s %.80s: %d %.200s", r->method, r->path, answer.http,
                     detail ? detail : "");
      }
    } else if (outcome == API_UNKNOWN && r->seen &&
               strcmp(testbed_sql(s, "%s", r->seen), "t") == 0) {
      return 0;
    }
    proc_sleep_ms(TICK_MS);
  }
  return 0;
}
