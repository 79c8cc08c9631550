/* SPDX-License-Identifier: Apache-2.0 */
/* Real workers on a real database: a whole pipeline, and what happens when they
 * are killed, stopped, drained or told to cancel. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/scratch.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

#define QUICK_IDM \
  "\"idm\": {\"members\": 2, \"steps\": 400, \"validate_every\": 50, \"hidden\": 32, \"layers\": " \
  "1, \"batch\": 64}"
#define QUICK "\"mask\": {\"protocol\": \"coupled\", \"p\": 30, \"q\": 60}, " QUICK_IDM
#define POLICY \
  "\"ope\": {\"updates\": 60, \"hidden\": 16}, \"policies\": [{\"algo\": \"td3bc\", " \
  "\"updates\": 60, \"hidden\": 16, \"batch\": 32}]"
/* Long enough to be in the middle of whatever a test does to it. */
#define LONG_POLICY "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000, \"hidden\": 64}}"

static struct store *store;
/* Each test begins without workers and without open jobs of the one before. */
static void open_store(void) {
  workers_end_all();
  if (!store) store = db_test_open("test_worker");
  db_sql("delete from datasets");
}

/* A worker in the middle of a training that does not end by itself. */
static pid_t training(const char *name, const char *const *options, char id[STORE_ID_MAX]) {
  char dataset[STORE_ID_MAX];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, name, 10, 0, 1));
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, LONG_POLICY, id);
  const pid_t worker = workers_start(options);
  workers_await("t", 20, "select step > 0 from jobs where id = '%s'", id);
  return worker;
}

/* Stores a job as an older server did, whose spec and kind had other names. */
static void submit_before(const char *kind, const char *dataset, const char *spec,
                          char id[STORE_ID_MAX]) {
  struct px_err err;
  store_job_new_id(id);
  const struct store_job_draft draft = {
    .id = id, .kind = kind, .name = kind, .spec_json = spec, .dataset_id = dataset
  };
  CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
}

/* What a training found, but for its time. */
static json_t *found_by(const char *job) {
  workers_await("succeeded", 30, "select state from jobs where id = '%s'", job);
  json_t *result = workers_result(store, job);
  CU_ASSERT_EQUAL(json_object_del(result, "seconds"), 0);
  return result;
}

static void jobs_of_an_older_server_are_carried_out(void) {
  char dataset[STORE_ID_MAX], now[STORE_ID_MAX], before[STORE_ID_MAX], usual[STORE_ID_MAX];
  char spec[4096];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "before", 10, 0, 1));
  workers_submit(store, dataset, FLOW_TRAIN_POLICY,
                 "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 60, \"hidden\": 16, "
                 "\"policy_freq\": 5}}",
                 now);
  workers_submit(store, dataset, FLOW_TRAIN_POLICY,
                 "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 60, \"hidden\": 16}}", usual);
  snprintf(spec, sizeof spec, "%s",
           db_sql("select jsonb_set(spec, '{policy}', (spec -> 'policy') - 'policy_freq' || "
                  "'{\"policy_every\": 5}') from jobs where id = '%s'",
                  now));
  submit_before("train_policy", dataset, spec, before);
  workers_start(NULL);
  json_t *of_now = found_by(now), *of_before = found_by(before), *of_usual = found_by(usual);
  CU_ASSERT(json_equal(of_now, of_before));
  CU_ASSERT_FALSE(json_equal(of_now, of_usual));
  json_decref(of_now);
  json_decref(of_before);
  json_decref(of_usual);
  snprintf(spec, sizeof spec, "{\"model\": \"mdl_%s\", \"updates\": 20, \"hidden\": 16}",
           now + strlen("job_"));
  workers_submit(store, dataset, FLOW_OPE, spec, usual);
  snprintf(spec, sizeof spec, "%s", db_sql("select spec from jobs where id = '%s'", usual));
  submit_before("assess", dataset, spec, before);
  workers_await("succeeded", 30, "select state from jobs where id = '%s'", before);
}

static void cancel(const char *id) {
  struct px_err err;
  CU_OK(store_job_cancel(store, id, &err), err);
  workers_await("cancelled", 20, "select state from jobs where id = '%s'", id);
}

/* The worker is stopped until another has its job, and wakes up. */
static pid_t lose_to_another(pid_t worker, const char *id) {
  kill(worker, SIGSTOP);
  const pid_t other = workers_start(NULL);
  workers_await("2", 10, "select epoch from jobs where id = '%s'", id);
  kill(worker, SIGCONT);
  return other;
}

static bool is_gone(pid_t pid) { return kill(pid, 0) < 0 && errno == ESRCH; }

static double number_at(const json_t *json, const char *a, const char *b, const char *c) {
  const json_t *at = json_object_get(json_object_get(json, a), b);
  if (c) at = json_object_get(at, c);
  CU_ASSERT(json_is_number(at));
  return json_number_value(at);
}

static void pipeline_goes_from_trajectories_to_report(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "pipeline", 60, 0, 1));
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" QUICK ", " POLICY ", \"baselines\": [\"labelled_only\", \"oracle\"]}", id);
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_EQUAL(workers_end(one, SIGTERM), 0);
  CU_ASSERT_EQUAL(workers_end(two, SIGTERM), 0);
  json_t *report = workers_result(store, id);
  CU_ASSERT_STRING_EQUAL(json_string_value(
                           json_object_get(json_object_get(report, "label"), "basis")),
                         "hidden");
  CU_ASSERT(number_at(report, "label", "r2", NULL) > 0.8);
  const json_t *baselines = json_object_get(json_object_get(report, "label"), "yardsticks");
  const double share = number_at(report, "label", "bias_share", NULL);
  CU_ASSERT(share >= 0 && share <= 1);
  CU_ASSERT(isfinite(number_at(report, "label", "outside", "lean")) &&
            isfinite(number_at(report, "label", "lean", NULL)));
  CU_ASSERT(number_at(report, "label", "mse", NULL) < number_at(baselines, "mean", "mse", NULL));
  CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "runs")), 3);
  json_decref(report);
  CU_ASSERT_STRING_EQUAL(db_sql("select label_set_id is not null from datasets where id = '%s'",
                                dataset),
                         "t");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs where parent_id = '%s' and attempt <> 1",
                                id),
                         "0");
}

static void killed_worker_s_job_runs_elsewhere_and_the_pipeline_completes(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "killed", 30, 0, 1));
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" QUICK ", \"evaluation\": \"none\", \"policies\": [{\"algo\": \"td3bc\", "
                 "\"updates\": 6000, \"hidden\": 64}]}",
                 id);
  pid_t one = workers_start(NULL);
  workers_await(
    "t", 120,
    "select count(*) > 0 from jobs where parent_id = '%s' and kind = 'train_policy' and step > 0"
    " and state = 'running'",
    id);
  CU_ASSERT_EQUAL(workers_end(one, SIGKILL), -SIGKILL);
  const double killed = px_clock_s();
  one = workers_start(NULL);
  workers_await("2", 10, "select max(epoch) from jobs where parent_id = '%s'", id);
  /* Lease 1.5 s, reaper 0.2 s, and a second. */
  CU_ASSERT(px_clock_s() - killed < 2.7 * cu_patience());
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_STRING_EQUAL(
    db_sql(
      "select count(*) from job_events e join jobs j on j.id = e.job_id where j.parent_id = '%s'"
      " and e.reason = 'worker_lost' and e.to_state = 'ready'",
      id),
    "1");
  workers_end(one, SIGTERM);
}

static void stopped_worker_wakes_up_fenced(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("stopped", NULL, id);
  const pid_t two = lose_to_another(one, id);
  workers_await("0", 10, "select count(*) from pg_stat_activity where application_name = 'px %s 1'",
                id);
  /* The newer attempt goes on. */
  CU_ASSERT_STRING_EQUAL(db_sql("select state || epoch from jobs where id = '%s'", id), "running2");
  cancel(id);
  workers_end(one, SIGTERM);
  workers_end(two, SIGTERM);
}

/* A process that hangs writes nothing that could be refused: it is its supervisor who ends it. */
static void a_process_that_hangs_ends_when_its_job_is_lost(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("hanging", NULL, id);
  const pid_t child = workers_child(one);
  CU_ASSERT_FATAL(child > 0);
  kill(child, SIGSTOP);
  const pid_t two = lose_to_another(one, id);
  const double until_s = px_clock_s() + 10 * cu_patience();
  while (!is_gone(child) && px_clock_s() < until_s) usleep(20000);
  CU_ASSERT_TRUE(is_gone(child));
  CU_ASSERT_STRING_EQUAL(db_sql("select state || epoch from jobs where id = '%s'", id), "running2");
  cancel(id);
  workers_end(one, SIGTERM);
  workers_end(two, SIGTERM);
}

static void drained_worker_gives_its_job_back_unspent(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("drained", (const char *const[]){ "--drain-ms=300", NULL }, id);
  CU_ASSERT_EQUAL(workers_end(one, SIGTERM), 0);
  CU_ASSERT_STRING_EQUAL(db_sql("select state || attempt || lost_leases from jobs where id = '%s'",
                                id),
                         "ready00");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from workers where pid = %d", (int)one), "0");
  cancel(id);
}

static void cancel_reaches_a_running_job(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("cancelled", NULL, id);
  cancel(id);
  CU_ASSERT_STRING_EQUAL(db_sql("select reason from jobs where id = '%s'", id), "cancelled");
  CU_ASSERT_EQUAL(workers_end(one, SIGTERM), 0);
}

/* A busy machine may keep a supervisor from renewing a short one in time. */
#define LONG_LEASE ((const char *const[]){ "--lease-ms=600000", NULL })

static void crashed_child_is_reported_at_once_and_tried_again(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("crashed", LONG_LEASE, id);
  kill(workers_child(one), SIGSEGV);
  workers_await("child_crashed", 30,
                "select reason from job_events where job_id = '%s' and to_state = 'ready'"
                " and reason is not null",
                id);
  workers_await(
    "t", 10, "select state = 'running' and epoch = 2 and lost_leases = 0 from jobs where id = '%s'",
    id);
  cancel(id);
  workers_end(one, SIGTERM);
}

static void child_without_progress_is_stopped_and_its_job_tried_again(void) {
  char id[STORE_ID_MAX];
  /* Long enough for the first step, also of a child that starts slowly. */
  const pid_t one =
    training("hanging", (const char *const[]){ "--stall-ms=5000", "--lease-ms=600000", NULL }, id);
  /* Heartbeats go on meanwhile: only its silence tells. */
  kill(workers_child(one), SIGSTOP);
  workers_await("timeout", 30,
                "select reason from job_events where job_id = '%s' and to_state = 'ready' and "
                "reason is not null",
                id);
  workers_await(
    "t", 20, "select state = 'running' and epoch > 1 and lost_leases = 0 from jobs where id = '%s'",
    id);
  cancel(id);
  workers_end(one, SIGTERM);
}

/* A wake-up may be lost (Redis was restarted, say): the database is asked anyhow, from time to
 * time. */
static void a_job_that_woke_nobody_is_found(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "unheard", 10, 0, 1));
  const pid_t one = workers_start((const char *const[]){ "--reap-ms=600000", NULL });
  /* It has asked once and sleeps. */
  workers_await("1", 20,
                "select count(*) from pg_stat_activity where application_name like '%%:%d:%%' and "
                "state = 'idle'"
                " and query like '%%skip locked%%' and query like '%%known.kind = jobs.kind%%'",
                (int)one);
  workers_submit(store, dataset, FLOW_EXPORT, "{\"format\": \"jsonl\"}", id);
  workers_await("succeeded", 30, "select state from jobs where id = '%s'", id);
  workers_end(one, SIGTERM);
}

static void bad_input_is_never_retried_and_names_its_place(void) {
  open_store();
  char dataset[STORE_ID_MAX], train[STORE_ID_MAX], evaluate[STORE_ID_MAX], model[STORE_ID_MAX],
    spec[128];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "bad", 10, 0, 1));
  workers_submit(store, dataset, FLOW_TRAIN_POLICY,
                 "{\"policy\": {\"algo\": \"bc\", \"updates\": 5}}", train);
  store_result_id("mdl", train, model);
  snprintf(spec, sizeof spec, "{\"model\": \"%s\", \"env\": \"hopper\"}", model);
  workers_submit(store, dataset, FLOW_EVALUATE, spec, evaluate);
  const pid_t one = workers_start(NULL);
  workers_await("failed", 20, "select state from jobs where id = '%s'", evaluate);
  CU_ASSERT_STRING_EQUAL(db_sql("select attempt || reason from jobs where id = '%s'", evaluate),
                         "1bad_field");
  CU_ASSERT_PTR_NOT_NULL(
    strstr(db_sql("select error::text from jobs where id = '%s'", evaluate), "11 observation"));
  workers_end(one, SIGTERM);
}

static void divergence_fails_with_nan_loss_and_fails_what_waits(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "diverging", 20, 0, 1e30f));
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" QUICK_IDM ", \"evaluation\": \"none\", \"policies\": [{\"algo\": \"td3bc\", "
                 "\"updates\": 20000, \"hidden\": 16}]}",
                 id);
  const pid_t one = workers_start(NULL);
  workers_await("failed", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select reason from jobs where parent_id = '%s' and kind = 'train_policy'", id),
    "nan_loss");
  CU_ASSERT_STRING_EQUAL(db_sql("select reason from jobs where id = '%s'", id),
                         "dependency_failed");
  CU_ASSERT_PTR_NOT_NULL(
    strstr(db_sql("select error::text from jobs where id = '%s'", id), "train_policy"));
  workers_end(one, SIGTERM);
}

static void everything_completes_without_redis(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "no redis", 20, 0, 1));
  workers_submit(store, dataset, FLOW_PIPELINE, "{" QUICK_IDM ", " POLICY "}", id);
  const pid_t one =
    workers_start((const char *const[]){ "--redis-url=unix:///nowhere/redis.sock", NULL });
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", id);
  json_t *report = workers_result(store, id);
  CU_ASSERT_STRING_EQUAL(json_string_value(
                           json_object_get(json_object_get(report, "label"), "basis")),
                         "held_out");
  json_decref(report);
  workers_end(one, SIGTERM);
}

static void exports_leave_an_artifact(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "exported", 10, 0, 1));
  workers_submit(store, dataset, FLOW_EXPORT, "{\"format\": \"jsonl\"}", id);
  const pid_t one = workers_start(NULL);
  workers_await("succeeded", 20, "select state from jobs where id = '%s'", id);
  char media_type[128];
  struct store_blob blob;
  struct px_buf bytes = PX_BUF(16 << 20);
  struct px_err err;
  CU_OK(store_artifact_find(store, id, "dataset.jsonl", media_type, &blob, &err), err);
  CU_OK(store_blob_read(store, blob.id, &bytes, &err), err);
  int lines = 0;
  for (size_t i = 0; i < bytes.len; i++) lines += bytes.data[i] == '\n';
  CU_ASSERT_EQUAL(lines, 10);
  px_buf_free(&bytes);
  workers_end(one, SIGTERM);
}

/* What a worker that is killed leaves in TMPDIR, the next one removes. */
static void files_of_a_killed_worker_are_removed(void) {
  open_store();
  char home[] = "/tmp/proxact-worker-XXXXXX", left[PX_SCRATCH_PATH_MAX];
  CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(home));
  const char *before = getenv("TMPDIR");
  char *kept = before ? strdup(before) : NULL;
  setenv("TMPDIR", home, 1);
  int pipe_fds[2];
  CU_ASSERT_EQUAL_FATAL(pipe(pipe_fds), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    struct px_scratch scratch;
    if (px_scratch_open(home, &scratch, NULL) ||
        write(pipe_fds[1], scratch.path, sizeof scratch.path) < 0)
      _exit(1);
    for (;;) pause();
  }
  CU_ASSERT_EQUAL(read(pipe_fds[0], left, sizeof left), sizeof left);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  CU_ASSERT_EQUAL(access(left, F_OK), 0);
  kill(owner, SIGKILL);
  waitpid(owner, NULL, 0);
  const pid_t one = workers_start(NULL);
  const double until_s = px_clock_s() + 20 * cu_patience();
  while (access(left, F_OK) == 0 && px_clock_s() < until_s) usleep(20000);
  CU_ASSERT_NOT_EQUAL(access(left, F_OK), 0);
  workers_end(one, SIGTERM);
  CU_ASSERT_EQUAL(rmdir(home), 0); /* nothing else is in it */
  if (kept) setenv("TMPDIR", kept, 1);
  else unsetenv("TMPDIR");
  free(kept);
}

CU_MAIN("worker", T(pipeline_goes_from_trajectories_to_report),
        T(jobs_of_an_older_server_are_carried_out),
        T(killed_worker_s_job_runs_elsewhere_and_the_pipeline_completes),
        T(stopped_worker_wakes_up_fenced), T(a_process_that_hangs_ends_when_its_job_is_lost),
        T(drained_worker_gives_its_job_back_unspent), T(cancel_reaches_a_running_job),
        T(crashed_child_is_reported_at_once_and_tried_again),
        T(child_without_progress_is_stopped_and_its_job_tried_again),
        T(a_job_that_woke_nobody_is_found), T(bad_input_is_never_retried_and_names_its_place),
        T(divergence_fails_with_nan_loss_and_fails_what_waits),
        T(everything_completes_without_redis), T(exports_leave_an_artifact),
        T(files_of_a_killed_worker_are_removed))
