/* SPDX-License-Identifier: Apache-2.0 */
/* The service whose calls torture fails: see flows.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "tests/fault/lib/flows.h"
#include "tests/fault/lib/proc.h"

enum { PATH_BYTES = 4096, UP_MS = 200000, WORDS_MAX = 16 };

static const char *var(void) { return getenv("PROXACT_VAR"); }

static pid_t start(const char *program, const char *log_name, const char *const *options) {
  char path[PATH_BYTES], log[PATH_BYTES], preload[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", proc_build_dir(), program);
  snprintf(log, sizeof log, "%s/log/%s", var(), log_name);
  snprintf(preload, sizeof preload, "LD_PRELOAD=%s/tests/fault/failing.so", proc_build_dir());
  /* The sanitizer's runtime comes behind the preloaded library, which hands on to it. */
  const char *const env[] = { preload, "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
                              getenv("PX_TORTURE_ASAN"), NULL };
  const char *argv[WORDS_MAX] = { path };
  for (int n = 0; options[n] && n + 2 < WORDS_MAX; n++) argv[n + 1] = options[n];
  return proc_start(argv, env, log);
}

static bool is_up(struct torture *t) {
  char log[PATH_BYTES], line[1024];
  snprintf(log, sizeof log, "%s/log/torture-server.log", var());
  FILE *f = fopen(log, "re");
  *t->api.address = '\0';
  /* the last one counts: it may have been started again */
  while (f && fgets(line, sizeof line, f)) {
    char *at = strstr(line, "event=listening address=");
    if (at)
      snprintf(t->api.address, sizeof t->api.address, "tcp:%.*s", (int)strcspn(at + 24, " \n"),
               at + 24);
  }
  if (f) fclose(f);
  struct api_answer answer = { 0 };
  const bool up = *t->api.address &&
                  api_call(&t->api, "GET", "/readyz", "", NULL, NULL, 0, &answer) == API_ANSWERED &&
                  answer.http == 200;
  px_buf_free(&answer.body);
  return up;
}

int torture_start_server(struct torture *t) {
  static char spool[PATH_BYTES];
  snprintf(spool, sizeof spool, "--spool-dir=%s/spool", var());
  const char *const options[] = { "serve",       "--listen=127.0.0.1:0", spool,
                                  "--threads=1", "--work-threads=1",     NULL };
  const int how = proc_end(t->server, SIGKILL);
  t->server = start("proxact-server", "torture-server.log", options);
  for (const int64_t until = px_clock_ms() + UP_MS; px_clock_ms() < until && !is_up(t);)
    proc_sleep_ms(50);
  char url[160];
  snprintf(url, sizeof url, "http://%s", t->api.address + strlen("tcp:"));
  setenv("PROXACT_URL", url, 1);
  return how;
}

int torture_start_worker(struct torture *t) {
  static const char *const OPTIONS[] = { "--lease-ms=1500", "--heartbeat-ms=200", "--reap-ms=200",
                                         "--poll-ms=100",   "--checkpoint-ms=50", NULL };
  const int how = proc_end(t->worker, SIGKILL);
  t->worker = start("proxact-worker", "torture-worker.log", OPTIONS);
  return how;
}

void torture_cut_connections(struct torture *t) {
  PQclear(torture_query(t, "select pg_terminate_backend(pid, 5000) from pg_stat_activity where "
                           "application_name = 'proxact-server'"));
}

PGresult *torture_query(struct torture *t, const char *sql) {
  PGresult *rows = PQexec(t->db, sql);
  if (PQresultStatus(rows) == PGRES_TUPLES_OK || PQresultStatus(rows) == PGRES_COMMAND_OK)
    return rows;
  fprintf(stderr, "torture: %s\n%s\n", PQerrorMessage(t->db), sql);
  exit(2);
}

long torture_number(struct torture *t, const char *sql) {
  PGresult *rows = torture_query(t, sql);
  const long n = PQntuples(rows) ? strtol(PQgetvalue(rows, 0, 0), NULL, 10) : 0;
  PQclear(rows);
  return n;
}

/* ---- what flows refer to */

/* Runs a flow of the table by its name; the job it made is then in t->job. */
static bool make(struct torture *t, const char *name, char job[TORTURE_ID]) {
  for (size_t i = 0; i < FLOWS_N; i++) {
    if (strcmp(FLOWS[i].name, name) != 0) continue;
    if (FLOWS[i].prepare) FLOWS[i].prepare(t, &FLOWS[i]);
    const struct flow_end end = FLOWS[i].run(t, &FLOWS[i]);
    if (end.how != FLOW_DONE) fprintf(stderr, "torture: %s: %s\n", name, end.text);
    if (job) memcpy(job, t->job, TORTURE_ID);
    return end.how == FLOW_DONE;
  }
  return false;
}

static bool make_world(struct torture *t) {
  static const char BODY[] = "{\"name\":\"base\",\"obs_dim\":3,\"act_dim\":2}",
                    SINK[] = "{\"name\":\"sink\",\"obs_dim\":3,\"act_dim\":2}";
  struct api_answer answer = { 0 };
  if (api_call(&t->api, "POST", "/v1/datasets", "", NULL, SINK, sizeof SINK - 1, &answer) !=
      API_ANSWERED)
    return false;
  px_buf_free(&answer.body);
  if (api_call(&t->api, "POST", "/v1/datasets", "", NULL, BODY, sizeof BODY - 1, &answer) !=
      API_ANSWERED)
    return false;
  json_t *json = answer.body.data ? json_loadb(answer.body.data, answer.body.len, 0, NULL) : NULL;
  const char *id = json_string_value(json_object_get(json, "id"));
  snprintf(t->dataset, sizeof t->dataset, "%s", id ? id : "");
  json_decref(json);
  px_buf_free(&answer.body);
  return id && FIRST_UPLOAD.run(t, &FIRST_UPLOAD).how == FLOW_DONE &&
         make(t, "job train_idm", t->idm) && make(t, "job label", t->label) &&
         make(t, "job train_policy", t->policy) && make(t, "job export", t->export);
}

bool torture_begin(struct torture *t) {
  char path[PATH_BYTES];
  const char *token = getenv("PROXACT_TOKEN"), *db = getenv("PROXACT_DB_URL");
  if (!var() || !token || !db)
    return fprintf(stderr, "torture: it runs inside test_torture.sh\n"), false;
  memset(t, 0, sizeof *t);
  snprintf(path, sizeof path, "%s/failing", var());
  t->failing = fault_inject_open(path);
  t->db = PQconnectdb(db);
  t->api.timeout_ms = 20000;
  snprintf(t->api.token, sizeof t->api.token, "%s", token);
  PQclear(torture_query(t, "set client_min_messages to warning; set timezone to 'UTC'"));
  if (!t->failing) return false;
  torture_start_server(t);
  torture_start_worker(t);
  return make_world(t);
}

int torture_end(struct torture *t) {
  const int worker = proc_end(t->worker, SIGTERM), server = proc_end(t->server, SIGTERM);
  if (worker) printf("FOUND the worker ended with %d; see its log\n", worker);
  if (server) printf("FOUND the server ended with %d; see its log\n", server);
  PQfinish(t->db);
  return (worker != 0) + (server != 0);
}
