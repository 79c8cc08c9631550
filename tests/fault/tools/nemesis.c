/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis: runs a real service (a server, workers, the private PostgreSQL and Redis of
 * tests/support/stack.sh, all reached through chaosproxy), runs COMMAND against it, and does harm
 * meanwhile.
 *
 *   nemesis [--seed=N] [--faults=N] [--workers=N] [--start-ms=N] -- COMMAND...
 *   nemesis --print [--seed=N] [--faults=N]      the schedule, without doing anything
 *
 * The schedule is a pure function of the seed (schedule.c); --faults=0 is a quiet run. A process
 * that ended is started again as a service manager would. After the last fault everything is
 * healed; when COMMAND ends the service is stopped and nemesis ends with COMMAND's status. COMMAND
 * sees PROXACT_URL (through the proxy), PROXACT_TOKEN, PROXACT_DB_URL (the database itself) and
 * PROXACT_WORKER_DB_URL (as workers reach it). $PROXACT_VAR/faults.log has a line per fault: time
 * in ms, kind, target, pid, duration, and whether it did anything; $PROXACT_VAR/asked.log has what
 * workers asked of the database (chaosproxy's audit).
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/stop.h"
#include "tests/fault/lib/proc.h"
#include "tests/fault/lib/schedule.h"
#include "tests/fault/lib/sock.h"

enum {
  WORKERS_MAX = 16,
  RESTART_MS = 150,
  TICK_MS = 10,
  START_S = 150,
  PATH_BYTES = 512,
  DRAIN_S = 60
};

/* A process that is kept running. */
struct unit {
  char name[16], log[PATH_BYTES];
  const char *argv[24];
  pid_t pid, stopped_child;
  int64_t restart_ms, cont_ms; /* when to start it again; when to let it go on; 0: not */
  unsigned starts;
};

static struct {
  char var[256], proxy[PATH_BYTES], db_url[PATH_BYTES], url[280], redis[PATH_BYTES];
  char worker_db[PATH_BYTES], server_db[PATH_BYTES], redis_env[PATH_BYTES], listen[64],
    spool[PATH_BYTES];
  struct unit server, worker[WORKERS_MAX];
  int workers_n, stop_fd;
  pid_t proxy_pid, command, stack;
  /* when they come back; 0: they are there */
  int64_t postgres_ms, redis_ms, link_ms[FAULT_LINKS_N];
  /* of LINK_WORKER_DB and LINK_SERVER_DB */
  struct {
    struct fault fault;
    int64_t until_ms;
    long trapped;
  } trap[2];
  bool link_reset[FAULT_LINKS_N], ending;
  FILE *log;
  unsigned faults, idle_faults;
} n;

static bool fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool fail(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fputs("nemesis: ", stderr);
  vfprintf(stderr, fmt, args);
  fputc('\n', stderr);
  va_end(args);
  return false;
}

/* ---- the proxy */

static bool proxy(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool proxy(const char *fmt, ...) {
  char line[512], answer[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  return (sock_ask(n.proxy, line, answer, sizeof answer) && strncmp(answer, "ok", 2) == 0) ||
         fail("proxy: %s: %s", line, answer);
}

static bool proxy_up(void) {
  char answer[64];
  return sock_ask(n.proxy, "stats none", answer, sizeof answer);
}

/* URL of a folder's socket in place of the real one's. */
static void through(char *out, size_t size, const char *name, const char *url, const char *folder) {
  const char *host = strstr(url, "host=");
  snprintf(out, size, "%s=%.*shost=%s/%s", name, (int)(host - url), url, n.var, folder);
}

static bool start_proxy(const char *redis_url) {
  char program[PATH_BYTES], log[PATH_BYTES], folder[PATH_BYTES];
  snprintf(program, sizeof program, "%s/tests/fault/tools/chaosproxy", proc_build_dir());
  snprintf(log, sizeof log, "%s/log/chaosproxy.log", n.var);
  snprintf(n.proxy, sizeof n.proxy, "unix:%s/chaos.sock", n.var);
  n.proxy_pid = proc_start((const char *const[]){ program, n.proxy + 5, NULL }, NULL, log);
  for (int i = 0; i < START_S * 100 && !proxy_up(); i++) proc_sleep_ms(TICK_MS);
  const char *run = strstr(n.db_url, "host=");
  if (!run || strncmp(redis_url, "unix://", 7) != 0)
    return fail("the stack is not one of tests/support/stack.sh");
  for (int i = 0; i < 2; i++) {
    snprintf(folder, sizeof folder, "%s/%s", n.var, fault_link_name((enum fault_link)i));
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return fail("%s: %s", folder, strerror(errno));
    if (!proxy("link %s unix:%s/.s.PGSQL.5432 unix:%s/.s.PGSQL.5432",
               fault_link_name((enum fault_link)i), folder, run + 5))
      return false;
  }
  if (!proxy("audit worker_db %s/asked.log", n.var)) return false;
  through(n.worker_db, sizeof n.worker_db, "PROXACT_DB_URL", n.db_url, "worker_db");
  through(n.server_db, sizeof n.server_db, "PROXACT_DB_URL", n.db_url, "server_db");
  setenv("PROXACT_WORKER_DB_URL", strchr(n.worker_db, '=') + 1, 1);
  snprintf(n.redis_env, sizeof n.redis_env, "PROXACT_REDIS_URL=unix://%s/redis.sock", n.var);
  snprintf(n.redis, sizeof n.redis, "unix:%s", redis_url + 7);
  return proxy("link redis unix:%s/redis.sock %s", n.var, n.redis);
}

/* ---- units */

static void unit_start(struct unit *u) {
  const bool server = u == &n.server;
  const char *const env[] = { server ? n.server_db : n.worker_db, n.redis_env, n.spool,
                              "OMP_NUM_THREADS=1", NULL };
  u->pid = proc_start(u->argv, env, u->log);
  u->restart_ms = 0;
  u->starts++;
}

static void unit_new(struct unit *u, const char *program, const char *name, int number) {
  static char paths[2][PATH_BYTES];
  char *path = paths[strcmp(program, "proxact-server") == 0];
  snprintf(path, PATH_BYTES, "%s/%s", proc_build_dir(), program);
  snprintf(u->name, sizeof u->name, "%s", name);
  /* A log for each run of nemesis: the address is read out of this one's. */
  snprintf(u->log, sizeof u->log, "%s/log/%s-%d.%d.log", n.var, name, number, (int)getpid());
  u->argv[0] = path;
}

/* The address that the server chose: it is asked for again when the server is started again. */
static bool learn_address(void) {
  for (int i = 0; i < START_S * 100; i++, proc_sleep_ms(TICK_MS)) {
    char line[1024], *at = NULL;
    FILE *f = fopen(n.server.log, "re");
    while (f && !at && fgets(line, sizeof line, f)) at = strstr(line, "event=listening address=");
    if (f) fclose(f);
    if (!at) continue;
    at += strlen("event=listening address=");
    at[strcspn(at, " \n")] = '\0';
    snprintf(n.listen, sizeof n.listen, "--listen=%s", at);
    return true;
  }
  return fail("the server did not start; see %s", n.server.log);
}

static bool start_http(void) {
  char answer[256], line[256];
  snprintf(line, sizeof line, "link http tcp:127.0.0.1:0 tcp:%s", strchr(n.listen, '=') + 1);
  if (!sock_ask(n.proxy, line, answer, sizeof answer) || strncmp(answer, "ok tcp:", 7) != 0)
    return fail("proxy: %s", answer);
  snprintf(n.url, sizeof n.url, "http://%s", answer + 7);
  return setenv("PROXACT_URL", n.url, 1) == 0;
}

static bool start_service(void) {
  unit_new(&n.server, "proxact-server", "server", 1);
  snprintf(n.listen, sizeof n.listen, "--listen=127.0.0.1:0");
  snprintf(n.spool, sizeof n.spool, "PROXACT_SPOOL_DIR=%s/spool", n.var);
  mkdir(strchr(n.spool, '=') + 1, 0700);
  n.server.argv[1] = "serve";
  n.server.argv[2] = n.listen;
  n.server.argv[3] = "--drain-s=3";
  unit_start(&n.server);
  if (!learn_address() || !start_http()) return false;
  for (int i = 0; i < n.workers_n; i++) {
    struct unit *u = &n.worker[i];
    unit_new(u, "proxact-worker", "worker", i + 1);
    static const char *const PROFILE[] = { "--lease-ms=2000", "--heartbeat-ms=400", "--reap-ms=200",
                                           "--poll-ms=200", "--drain-ms=500" };
    for (size_t k = 0; k < sizeof PROFILE / sizeof *PROFILE; k++) u->argv[1 + k] = PROFILE[k];
    unit_start(u);
  }
  return true;
}

static struct unit *unit_of(pid_t pid) {
  if (n.server.pid == pid) return &n.server;
  for (int i = 0; i < n.workers_n; i++)
    if (n.worker[i].pid == pid) return &n.worker[i];
  return NULL;
}

static void let_go(struct unit *u) {
  if (u->stopped_child && kill(u->stopped_child, SIGCONT) < 0 && errno != ESRCH)
    fail("SIGCONT: %s", strerror(errno));
  if (u->pid) kill(u->pid, SIGCONT);
  u->cont_ms = 0;
  u->stopped_child = 0;
}

/* ---- faults */

/* What it hit: the pid, or 1 for something without one; 0 when there was nothing to hit. */
static pid_t hit_worker(const struct fault *f, int64_t now) {
  if (n.workers_n == 0) return 0;
  struct unit *u = &n.worker[f->target % (uint32_t)n.workers_n];
  const pid_t child = proc_child(u->pid);
  const bool needs_child = f->kind == FAULT_CHILD_KILL || f->kind == FAULT_CHILD_STOP;
  if (!u->pid || u->cont_ms || (needs_child && !child)) return 0;
  switch (f->kind) {
    case FAULT_WORKER_KILL: kill(u->pid, SIGKILL); break;
    case FAULT_WORKER_TERM: kill(u->pid, SIGTERM); break;
    case FAULT_CHILD_KILL: kill(child, SIGKILL); break;
    case FAULT_WORKER_STOP:
      kill(u->pid, SIGSTOP);
      if (child) kill(child, SIGSTOP);
      break;
    case FAULT_SUPERVISOR_STOP: kill(u->pid, SIGSTOP); break;
    default: kill(child, SIGSTOP); break;
  }
  if (f->duration_ms) {
    u->cont_ms = now + f->duration_ms;
    u->stopped_child = f->kind == FAULT_SUPERVISOR_STOP ? 0 : child;
  }
  return u->pid;
}

static pid_t hit_server(const struct fault *f, int64_t now) {
  struct unit *u = &n.server;
  if (!u->pid || u->cont_ms) return 0;
  kill(u->pid, f->kind == FAULT_SERVER_KILL   ? SIGKILL
               : f->kind == FAULT_SERVER_TERM ? SIGTERM
                                              : SIGSTOP);
  if (f->duration_ms) u->cont_ms = now + f->duration_ms;
  return u->pid;
}

/* PostgreSQL's immediate shutdown is a crash without the power cut. */
static pid_t hit_stack(const char *file, int signal, int64_t *back_ms, int64_t until) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", n.var, file);
  const pid_t pid = *back_ms || n.stack ? 0 : proc_from_file(path);
  if (!pid) return 0;
  kill(pid, signal);
  *back_ms = until;
  return pid;
}

static pid_t flush_redis(void) {
  char answer[64];
  return sock_ask(n.redis, "FLUSHALL", answer, sizeof answer) && answer[0] == '+';
}

static pid_t hit_link(const struct fault *f, int64_t now) {
  const enum fault_link link = (enum fault_link)(f->target % FAULT_LINKS_N);
  const char *name = fault_link_name(link);
  static const char *const WAYS[] = { "up", "down", "both" };
  if (f->kind == FAULT_LINK_CUT) return proxy("cut %s", name);
  if (f->kind == FAULT_LINK_RESET) return proxy("reset %s", name);
  if (n.link_ms[link]) return 0;
  n.link_ms[link] = now + f->duration_ms;
  n.link_reset[link] = f->kind == FAULT_LINK_HOLD && f->hard;
  if (f->kind == FAULT_LINK_DELAY) return proxy("delay %s %u", name, f->amount);
  if (f->kind == FAULT_LINK_THROTTLE) return proxy("throttle %s %u", name, f->amount);
  if (f->kind == FAULT_LINK_HOLD) return proxy("hold %s %s", name, WAYS[f->amount]);
  return proxy("refuse %s on", name);
}

static long trapped(enum fault_link link) {
  char line[64], answer[128];
  snprintf(line, sizeof line, "stats %s", fault_link_name(link));
  const char *at =
    sock_ask(n.proxy, line, answer, sizeof answer) ? strstr(answer, "trapped=") : NULL;
  return at ? strtol(at + strlen("trapped="), NULL, 10) : 0;
}

static void tell(const struct fault *f, pid_t hit) {
  if (hit) n.faults++;
  else n.idle_faults++;
  fprintf(n.log, "%lld %s %u %d %d %s\n", (long long)px_clock_wall_ms(), fault_name(f->kind),
          f->target % 1000, (int)hit, f->duration_ms, hit ? "hit" : "idle");
  fflush(n.log);
}

/* Whether it did anything is known when its time is over. */
static void set_trap(const struct fault *f, int64_t now) {
  const enum fault_link link = f->kind == FAULT_SUBMIT_CUT ? LINK_SERVER_DB : LINK_WORKER_DB;
  if (n.trap[link].until_ms) {
    tell(f, 0);
    return;
  }
  n.trap[link].fault = *f;
  n.trap[link].until_ms = now + f->duration_ms;
  n.trap[link].trapped = trapped(link);
  proxy("trap %s %s %s %u %s", fault_link_name(link),
        f->kind == FAULT_CLAIM_CUT ? "job_claim" : "commit", f->hard ? "before" : "after",
        f->amount, f->kind == FAULT_PUBLISH_CUT ? "px" : "");
}

static void open_traps(int64_t now) {
  for (int link = 0; link < 2; link++) {
    const bool sprung =
      n.trap[link].until_ms && trapped((enum fault_link)link) > n.trap[link].trapped;
    if (!n.trap[link].until_ms || (now < n.trap[link].until_ms && !sprung)) continue;
    proxy("untrap %s", fault_link_name((enum fault_link)link));
    tell(&n.trap[link].fault, sprung);
    n.trap[link].until_ms = 0;
  }
}

static void strike(const struct fault *f) {
  const int64_t now = px_clock_ms();
  pid_t hit = 0;
  if (f->kind <= FAULT_WORKER_TERM) hit = hit_worker(f, now);
  else if (f->kind <= FAULT_SERVER_TERM) hit = hit_server(f, now);
  else if (f->kind == FAULT_POSTGRES_STOP)
    hit = hit_stack("postgres.pid", SIGQUIT, &n.postgres_ms, now + f->duration_ms);
  else if (f->kind == FAULT_REDIS_KILL)
    hit = hit_stack("redis.pid", SIGKILL, &n.redis_ms, now + f->duration_ms);
  else if (f->kind == FAULT_REDIS_FLUSH) hit = flush_redis();
  else if (f->kind <= FAULT_LINK_REFUSE) hit = hit_link(f, now);
  else {
    set_trap(f, now);
    return;
  }
  tell(f, hit);
}

/* ---- coming back */

static bool due(int64_t *at, int64_t now) {
  if (!*at || now < *at) return false;
  *at = 0;
  return true;
}

static void start_stack(void) {
  char log[PATH_BYTES];
  snprintf(log, sizeof log, "%s/log/stack.log", n.var);
  n.stack =
    proc_start((const char *const[]){ "/bin/bash", "deploy/stack.sh", "start", NULL }, NULL, log);
}

static void come_back(int64_t now) {
  open_traps(now);
  if (!n.stack && (n.postgres_ms || n.redis_ms)) {
    const bool postgres = due(&n.postgres_ms, now), redis = due(&n.redis_ms, now);
    if (postgres || redis) start_stack();
  }
  for (int i = 0; i < FAULT_LINKS_N; i++)
    if (due(&n.link_ms[i], now)) {
      proxy("heal %s", fault_link_name((enum fault_link)i));
      if (n.link_reset[i]) proxy("reset %s", fault_link_name((enum fault_link)i));
    }
  for (int i = -1; i < n.workers_n; i++) {
    struct unit *u = i < 0 ? &n.server : &n.worker[i];
    if (u->cont_ms && now >= u->cont_ms) let_go(u);
    if (due(&u->restart_ms, now) && !n.ending) unit_start(u);
  }
}

/* Takes note of every process that ended. True when COMMAND has; *how gets its status. */
static bool reap(int64_t now, int *how) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    struct unit *u = unit_of(pid);
    if (pid == n.command) {
      n.command = 0;
      *how = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (pid == n.stack) {
      n.stack = 0;
      if (status) start_stack(); /* until the old processes are gone, new ones may not start */
    }
    if (!u) continue;
    u->pid = 0;
    u->cont_ms = 0;
    u->restart_ms = now + RESTART_MS;
  }
  return n.command == 0;
}

/* ---- main */

static bool start_command(char **argv) {
  fflush(NULL);
  n.command = fork();
  if (n.command == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    _exit(127);
  }
  return n.command > 0;
}

static int storm(uint64_t seed, uint32_t faults, int start_ms) {
  int how = 1;
  uint32_t i = 0;
  const int64_t begun = px_clock_ms() + start_ms;
  struct fault next = fault_at(seed, 0, 0);
  for (;;) {
    const int64_t now = px_clock_ms();
    if (reap(now, &how)) return how;
    if (px_stop_wait(n.stop_fd, TICK_MS)) {
      kill(n.command, SIGTERM);
      return 130;
    }
    for (; i < faults && now >= begun + next.at_ms; next = fault_at(seed, ++i, next.at_ms))
      strike(&next);
    come_back(now);
  }
}

/* Everything goes on as if nothing had been, and the service ends in order. */
static bool end_service(void) {
  n.ending = true;
  bool ok = true;
  for (int i = 0; i < FAULT_LINKS_N; i++) proxy("heal %s", fault_link_name((enum fault_link)i));
  for (int i = -1; i < n.workers_n; i++) let_go(i < 0 ? &n.server : &n.worker[i]);
  for (int i = 0; i < n.workers_n; i++)
    if (n.worker[i].pid) kill(n.worker[i].pid, SIGTERM);
  for (int i = -1; i < n.workers_n; i++) {
    struct unit *u = i < 0 ? &n.server : &n.worker[i];
    const int how = proc_end(u->pid, SIGTERM);
    if (how) ok = fail("%s ended with %d; see %s", u->name, how, u->log);
  }
  proc_end(n.proxy_pid, SIGTERM);
  return ok;
}

static void print_schedule(uint64_t seed, uint32_t faults) {
  int64_t at = 0;
  for (uint32_t i = 0; i < faults; i++) {
    const struct fault f = fault_at(seed, i, at);
    at = f.at_ms;
    printf("%u %lld %s target=%u duration_ms=%d amount=%u hard=%d\n", i, (long long)at,
           fault_name(f.kind), f.target % 1000, f.duration_ms, f.amount, f.hard);
  }
}

static bool set_up(void) {
  const char *var = getenv("PROXACT_VAR"), *db = getenv("PROXACT_DB_URL"),
             *redis = getenv("PROXACT_REDIS_URL");
  char path[PATH_BYTES];
  struct px_err err;
  if (!var || !db || !redis)
    return fail(
      "it runs inside tests/support/stack.sh (PROXACT_VAR, PROXACT_DB_URL, PROXACT_REDIS_URL)");
  if (px_stop_setup(&n.stop_fd, &err)) return fail("%s", err.message);
  snprintf(n.var, sizeof n.var, "%s", var);
  snprintf(n.db_url, sizeof n.db_url, "%s", db);
  snprintf(path, sizeof path, "%s/faults.log", var);
  n.log = fopen(path, "ae");
  return n.log ? start_proxy(redis) && start_service() : fail("%s: %s", path, strerror(errno));
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = {
    { "seed", 1, NULL, 's' },     { "faults", 1, NULL, 'f' }, { "workers", 1, NULL, 'w' },
    { "start-ms", 1, NULL, 'b' }, { "print", 0, NULL, 'p' },  { NULL, 0, NULL, 0 }
  };
  uint64_t seed = 1;
  uint32_t faults = 0;
  int start_ms = 500, c;
  bool print = false;
  n.workers_n = 3;
  while ((c = getopt_long(argc, argv, "+", OPTIONS, NULL)) != -1) {
    if (c == 's') seed = strtoull(optarg, NULL, 10);
    else if (c == 'f') faults = (uint32_t)strtoul(optarg, NULL, 10);
    else if (c == 'w') n.workers_n = (int)strtol(optarg, NULL, 10);
    else if (c == 'b') start_ms = (int)strtol(optarg, NULL, 10);
    else if (c == 'p') print = true;
    else return 2;
  }
  if (print) return print_schedule(seed, faults), 0;
  if (optind == argc || n.workers_n < 0 || n.workers_n > WORKERS_MAX)
    return fail("usage: nemesis [OPTIONS] -- COMMAND..."), 2;
  if (!set_up() || !start_command(argv + optind)) return 1;
  const int how = storm(seed, faults, start_ms);
  const bool ended_well = end_service();
  printf("nemesis: seed=%llu faults=%u found_nothing_to_hit=%u status=%d\n",
         (unsigned long long)seed, n.faults, n.idle_faults, how);
  fclose(n.log);
  return how ? how : !ended_well;
}
