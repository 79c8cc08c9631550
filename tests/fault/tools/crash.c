/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash: dies at every crash point (lib/base/crash.h), once at each, and looks whether all ends as
 * it would have.
 *
 *   crash [--sample=N] [--seed=N] [--lanes=N] [--only=WORK[/POINT]] [--part=K/N]
 *
 * It runs inside tests/support/stack.sh.
 *
 * First every work (workloads.h) runs quietly and tells which points its processes pass. Then it
 * runs once for each of them, and the process that passes it dies there (SIGKILL), once; where a
 * process surely passes it again, another time at the second pass (`POINT#2`). The work must end by
 * itself with the rows, states and digests of the quiet run, with at most one claim and one attempt
 * more; none, when no worker died. Lanes are databases side by side, each with a server and a
 * worker. --sample takes N of the cases, chosen by the seed; --part takes every Nth, beginning with
 * the Kth: where time is short, all of them in N runs.
 *
 * The last line: `N points x kinds, all recovered (seed=S)`, or how many did not. Ends with 0 if
 * all did.
 */
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/store/store.h"
#include "server/app/service.h"
#include "tests/fault/lib/db_diff.h"
#include "tests/fault/lib/workloads.h"

enum { CASES_MAX = 2048, POINT_BYTES = 96, LANES_MAX = 8, PATH_BYTES = 512 };

/* passes: in the quiet run */
struct one {
  unsigned work, nth, passes;
  char point[POINT_BYTES];
};
static struct one cases[CASES_MAX];
static size_t cases_n;

/* What the lanes, processes of their own, tell. */
struct outcome {
  int ms;
  char why[400];
};
static struct {
  atomic_uint next;
  atomic_int broken;
  struct outcome of[CASES_MAX];
} * shared;

static struct {
  char var[256], token[SERVICE_TOKEN_MAX];
  const char *url, *only;
  struct workloads_base base;
  int lanes;
  unsigned part[2];
  uint64_t seed;
} c;

/* ---- databases */

/* `url` with another database's name. */
static void url_of(const char *name, char out[PATH_BYTES]) {
  const char *slash = strchr(c.url, '@'), *options = strchr(c.url, '?');
  snprintf(out, PATH_BYTES, "%.*s/%s%s", (int)(slash + 1 - c.url), c.url, name,
           options ? options : "");
}

static bool admin(const char *fmt, const char *a, const char *b) {
  char sql[256];
  snprintf(sql, sizeof sql, fmt, a, b); /* NOLINT: the formats are literals below */
  PGconn *db = PQconnectdb(c.url);
  PQclear(PQexec(db, "set client_min_messages to warning"));
  PGresult *r = PQexec(db, sql);
  const bool done = PQresultStatus(r) == PGRES_COMMAND_OK;
  if (!done) fprintf(stderr, "crash: %s: %s\n", sql, PQerrorMessage(db));
  PQclear(r);
  PQfinish(db);
  return done;
}

/* The database and files that all lanes copy. */
static bool prepare(void) {
  char url[PATH_BYTES], folder[PATH_BYTES];
  struct store *store = NULL;
  struct px_err err;
  struct testbed testbed;
  url_of("crash_base", url);
  snprintf(folder, sizeof folder, "%s/base", c.var);
  if (!admin("drop database if exists %s%s", "crash_base", " with (force)") ||
      !admin("create database %s%s", "crash_base", " template template0"))
    return false;
  if (store_open(url, "crash", &store, &err) || store_migrate(store, NULL, &err) ||
      service_token_create(store, "crash", c.token, &err)) {
    fprintf(stderr, "crash: %s\n", err.message);
    return false;
  }
  store_close(store);
  testbed_open(&testbed, url, folder, c.token);
  const bool done = workloads_prepare(&testbed, &c.base);
  if (!done) fprintf(stderr, "crash: the base: %s\n", testbed.why);
  testbed_close(&testbed);
  return done;
}

static void lane_name(int lane, char name[32]) { snprintf(name, 32, "crash_lane_%d", lane); }

static bool open_lane(int lane, struct testbed *testbed) {
  char name[32], url[PATH_BYTES], folder[PATH_BYTES];
  lane_name(lane, name);
  url_of(name, url);
  snprintf(folder, sizeof folder, "%s/lane-%d", c.var, lane);
  testbed_open(testbed, url, folder, c.token);
  return !*testbed->why;
}

/* A lane whose work did not end well begins anew. */
static bool renew_lane(int lane, struct testbed *testbed) {
  char name[32];
  lane_name(lane, name);
  const int serial = testbed->serial;
  testbed_close(testbed);
  if (!admin("drop database %s%s", name, " with (force)") ||
      !admin("create database %s template %s", name, "crash_base"))
    return false;
  const bool opened = open_lane(lane, testbed);
  testbed->serial = serial;
  return opened;
}

/* ---- a work */

static void expected_path(unsigned work, const char *what, char out[PATH_BYTES]) {
  snprintf(out, PATH_BYTES, "%s/quiet-%s.%s", c.var, WORKLOADS[work].name, what);
}

/* Runs it; what it left, or NULL (why: testbed->why). */
static json_t *run_work(struct testbed *testbed, unsigned work, const char *crash, json_t **tries) {
  struct found_mark mark;
  testbed_begin(testbed, crash);
  found_begin(testbed, &mark);
  WORKLOADS[work].run(testbed, &c.base);
  testbed_end(testbed);
  json_t *found = found_since(testbed, &mark);
  *tries = found_tries(testbed, &mark);
  if (!*testbed->why) return found;
  json_decref(found);
  json_decref(*tries);
  return *tries = NULL;
}

static void run_quiet(struct testbed *testbed, unsigned work, struct outcome *out) {
  char crash[PATH_BYTES + 32], path[PATH_BYTES];
  json_t *tries;
  expected_path(work, "trace", path);
  unlink(path);
  snprintf(crash, sizeof crash, "PROXACT_CRASH_TRACE=%s", path);
  json_t *found = run_work(testbed, work, crash, &tries);
  expected_path(work, "json", path);
  if (!found || json_dump_file(json_pack("{s:o, s:o}", "found", found, "tries", tries), path,
                               JSON_INDENT(1)) < 0)
    snprintf(out->why, sizeof out->why, "%s",
             *testbed->why ? testbed->why : "cannot be written down");
}

static json_int_t more(const json_t *quiet, const json_t *tries, const char *what) {
  return json_integer_value(json_object_get(tries, what)) -
         json_integer_value(json_object_get(quiet, what));
}

/* Whoever died with a job costs it one claim, and one attempt at most. The server holds none. */
static void judge_tries(const json_t *quiet, const json_t *tries, const char *point,
                        struct outcome *out) {
  const json_int_t allowed = strncmp(point, "server/", 7) != 0;
  if (more(quiet, tries, "claims") > allowed || more(quiet, tries, "attempts") > allowed ||
      more(quiet, tries, "lost") > allowed)
    snprintf(out->why, sizeof out->why,
             "%lld claims, %lld attempts, %lld lost leases more than in the quiet run",
             (long long)more(quiet, tries, "claims"), (long long)more(quiet, tries, "attempts"),
             (long long)more(quiet, tries, "lost"));
}

/* False when all is well, but nobody came to the point: the work was over before. That happens
 * behind the commit that ends a job, when the supervisor ends the process first, and in a drain
 * that comes late. */
static bool run_case(struct testbed *testbed, const struct one *one, struct outcome *out) {
  char crash[PATH_BYTES + POINT_BYTES], path[PATH_BYTES], died[PATH_BYTES];
  json_t *tries;
  snprintf(died, sizeof died, "%s/died", testbed->folder);
  unlink(died);
  snprintf(crash, sizeof crash, "PROXACT_CRASH_AT=%s:%u:%s", one->point, one->nth, died);
  json_t *found = run_work(testbed, one->work, crash, &tries);
  expected_path(one->work, "json", path);
  json_t *quiet = json_load_file(path, 0, NULL);
  if (!found) snprintf(out->why, sizeof out->why, "%s", testbed->why);
  else if (found_same(json_object_get(quiet, "found"), found, out->why, sizeof out->why))
    judge_tries(json_object_get(quiet, "tries"), tries, one->point, out);
  json_decref(quiet);
  json_decref(found);
  json_decref(tries);
  if (*out->why || access(died, F_OK) == 0) return true;
  snprintf(out->why, sizeof out->why, "the point was not passed");
  return false;
}

/* ---- lanes */

/* As it comes, in one write: lanes print side by side. */
static void tell(const struct one *one, const struct outcome *out) {
  printf("%s %s %s%s %d ms%s%s\n", *out->why ? "NOT RECOVERED" : "recovered",
         WORKLOADS[one->work].name, one->point, one->nth > 1 ? "#2" : "", out->ms,
         *out->why ? ": " : "", out->why);
}

static bool is_wanted(unsigned work) {
  return !c.only || strncmp(WORKLOADS[work].name, c.only, strcspn(c.only, "/")) == 0;
}

static int lane_main(int lane, bool quiet, size_t n) {
  struct testbed testbed;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!open_lane(lane, &testbed)) return 1;
  if (!quiet) testbed.serial = CASES_MAX; /* the quiet runs were in the same databases */
  for (unsigned i; (i = atomic_fetch_add(&shared->next, 1)) < n;) {
    if (quiet && !is_wanted(i)) continue;
    const int64_t start = px_clock_ms();
    struct outcome *out = &shared->of[i];
    if (quiet) run_quiet(&testbed, i, out);
    else
      for (int tries = 3; !run_case(&testbed, &cases[i], out) && tries > 1; tries--)
        out->why[0] = '\0';
    out->ms = (int)(px_clock_ms() - start);
    if (!quiet) tell(&cases[i], out);
    if (*out->why && !renew_lane(lane, &testbed)) return 1;
  }
  testbed_close(&testbed);
  return 0;
}

/* Runs all workloads, or all cases, in lanes of their own; false when a lane itself broke. */
static bool run_lanes(bool quiet, size_t n) {
  pid_t pids[LANES_MAX];
  bool good = true;
  memset(shared, 0, sizeof *shared);
  fflush(NULL);
  for (int i = 0; i < c.lanes; i++)
    if ((pids[i] = fork()) == 0) _exit(lane_main(i, quiet, n));
  for (int i = 0; i < c.lanes; i++) {
    int how = 1;
    if (pids[i] < 0 || waitpid(pids[i], &how, 0) < 0 || how != 0) good = false;
  }
  return good;
}

static bool make_lanes(void) {
  bool good = true;
  for (int i = 0; i < c.lanes && good; i++) {
    char name[32];
    lane_name(i, name);
    good = admin("drop database if exists %s%s", name, " with (force)") &&
           admin("create database %s template %s", name, "crash_base");
  }
  return good;
}

/* ---- cases */

/* What every worker does again and again beside its job is no part of a kind. */
static bool is_house(const char *point) {
  static const char *const HOUSE[] = { "worker/worker_", "worker/jobs_reap", "worker/orphans",
                                       "worker/janitor_", "worker/job_heartbeat" };
  for (size_t i = 0; i < sizeof HOUSE / sizeof *HOUSE; i++)
    if (strncmp(point, HOUSE[i], strlen(HOUSE[i])) == 0) return true;
  return false;
}

static void add_case(unsigned work, unsigned nth, const char *point) {
  char name[POINT_BYTES + 32];
  snprintf(name, sizeof name, "%s/%s", WORKLOADS[work].name, point);
  if (cases_n == CASES_MAX || strlen(point) >= POINT_BYTES ||
      (c.only && strncmp(name, c.only, strlen(c.only)) != 0))
    return;
  cases[cases_n] = (struct one){ .work = work, .nth = nth, .passes = 1 };
  snprintf(cases[cases_n++].point, POINT_BYTES, "%s", point);
}

/* A point that one process passes twice, whatever the speed: the server, and a child where there is
 * only one of its kind. */
static bool is_passed_again(const struct one *one) {
  static const char *const CHANCE[] = { "/job_metrics_put.", "/spool_write." };
  for (size_t i = 0; i < sizeof CHANCE / sizeof *CHANCE; i++)
    if (strstr(one->point, CHANCE[i])) return false;
  return one->passes > 1 && !WORKLOADS[one->work].many && strncmp(one->point, "worker/", 7) != 0;
}

static size_t read_trace(unsigned work) {
  char path[PATH_BYTES], line[POINT_BYTES + 2];
  const size_t before = cases_n;
  expected_path(work, "trace", path);
  FILE *f = fopen(path, "re");
  while (f && fgets(line, sizeof line, f)) {
    size_t i = before;
    line[strcspn(line, "\n")] = '\0';
    while (i < cases_n && strcmp(cases[i].point, line) != 0) i++;
    if (i < cases_n) cases[i].passes++;
    else if (WORKLOADS[work].house || !is_house(line)) add_case(work, 1, line);
  }
  if (f) fclose(f);
  for (size_t i = before, n = cases_n; i < n; i++)
    if (is_passed_again(&cases[i])) add_case(work, 2, cases[i].point);
  return cases_n - before;
}

static int by_name(const void *a, const void *b) {
  const struct one *x = a, *y = b;
  if (x->work != y->work) return x->work < y->work ? -1 : 1;
  const int order = strcmp(x->point, y->point);
  return order ? order : (x->nth > y->nth) - (x->nth < y->nth);
}

/* Sorted, so that the choice does not depend on which process was faster. */
static void take_sample(size_t n) {
  struct px_rng rng = px_rng_at(c.seed, px_rng_stream("crash", 0), 0);
  qsort(cases, cases_n, sizeof *cases, by_name);
  if (!n || n >= cases_n) return;
  for (size_t i = 0; i < n; i++) {
    const size_t k = i + px_rng_below(&rng, (uint32_t)(cases_n - i));
    const struct one chosen = cases[k];
    cases[k] = cases[i];
    cases[i] = chosen;
  }
  cases_n = n;
}

static void take_part(unsigned k, unsigned n) {
  size_t kept = 0;
  for (size_t i = k - 1; i < cases_n; i += n) cases[kept++] = cases[i];
  cases_n = kept;
}

static int conclude(void) {
  size_t failed = 0;
  for (size_t i = 0; i < cases_n; i++) failed += *shared->of[i].why != '\0';
  if (failed)
    printf("%zu points x kinds, %zu not recovered (seed=%llu)\n", cases_n, failed,
           (unsigned long long)c.seed);
  else
    printf("%zu points x kinds, all recovered (seed=%llu)\n", cases_n, (unsigned long long)c.seed);
  return failed || !cases_n;
}

static int run(size_t sample) {
  if (!prepare() || !make_lanes() || !run_lanes(true, WORKLOADS_N)) return 2;
  for (unsigned i = 0; i < WORKLOADS_N; i++) {
    if (!is_wanted(i)) continue;
    const size_t points = read_trace(i);
    if (!*shared->of[i].why)
      printf("%-12s %3zu points, quiet run %d ms\n", WORKLOADS[i].name, points, shared->of[i].ms);
    else return printf("the quiet run of %s failed: %s\n", WORKLOADS[i].name, shared->of[i].why), 2;
  }
  take_sample(sample);
  take_part(c.part[0], c.part[1]);
  if (!run_lanes(false, cases_n)) return printf("a lane broke\n"), 2;
  return conclude();
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = { { "sample", 1, NULL, 'n' }, { "seed", 1, NULL, 's' },
                                           { "lanes", 1, NULL, 'l' },  { "only", 1, NULL, 'o' },
                                           { "part", 1, NULL, 'p' },   { NULL, 0, NULL, 0 } };
  const char *var = getenv("PROXACT_VAR");
  setvbuf(stdout, NULL, _IOLBF, 0);
  size_t sample = 0;
  int option;
  c.url = getenv("PROXACT_DB_URL");
  c.lanes = 4;
  c.seed = c.part[0] = c.part[1] = 1;
  while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
    if (option == 'n') sample = strtoul(optarg, NULL, 10);
    else if (option == 's') c.seed = strtoull(optarg, NULL, 10);
    else if (option == 'l') c.lanes = (int)strtol(optarg, NULL, 10);
    else if (option == 'o') c.only = optarg;
    else if (option == 'p' && sscanf(optarg, "%u/%u", &c.part[0], &c.part[1]) == 2 &&
             c.part[0] >= 1 && c.part[0] <= c.part[1])
      continue;
    else return 2;
  }
  if (!c.url || !strchr(c.url, '@') || !var || c.lanes < 1 || c.lanes > LANES_MAX)
    return fprintf(stderr, "usage: tests/support/stack.sh crash [--sample=N] [--seed=N] "
                           "[--lanes=N] [--only=WORK/POINT]\n"),
           2;
  snprintf(c.var, sizeof c.var, "%s/crash", var);
  mkdir(c.var, 0700);
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return shared == MAP_FAILED ? 2 : run(sample);
}
