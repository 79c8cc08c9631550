/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of jobs on real workers: memory, time, and who dies first. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/flow/algos.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

static struct store *store;
static const char *dataset;

static void open_store(void) {
  static char id[STORE_ID_MAX];
  if (!store) store = db_test_open("worker_limits");
  workers_end_all();
  db_sql("delete from jobs; delete from workers");
  if (!dataset) {
    snprintf(id, sizeof id, "%s", workers_dataset(store, "worker_limits", 20, 0, 1));
    dataset = id;
  }
}

#define ENDLESS "{\"policy\": {\"algo\": \"bc\", \"updates\": 10000000, \"hidden\": 16}}"
#define LARGE \
  "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000, \"hidden\": 2048, \"layers\": 4}}"

static void a_job_that_takes_too_much_memory_is_ended_and_tried_once_more(void) {
  char id[STORE_ID_MAX];
  open_store();
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, LARGE, id);
  /* as if the estimate were far too low */
  db_sql("update jobs set memory_bytes = 0 where id = '%s'", id);
  const pid_t worker = workers_start((const char *const[]){ "--memory-mb=200", NULL });
  workers_await("failed oom 2", 120,
                "select concat_ws(' ', state, reason, attempt) from jobs where id = '%s'", id);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(db_sql("select error ->> 'detail' from jobs where id = '%s'", id), "200 MiB"));
  CU_ASSERT_EQUAL(workers_end(worker, SIGTERM), 0);
}

static void a_kill_from_outside_is_not_called_want_of_memory(void) {
  char id[STORE_ID_MAX];
  open_store();
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, ENDLESS, id);
  const pid_t worker = workers_start(NULL);
  workers_await("t", 60, "select state = 'running' and step > 0 from jobs where id = '%s'", id);
  kill(workers_child(worker), SIGKILL);
  workers_await("1", 60,
                "select count(*) from job_events where job_id = '%s' and reason = 'child_crashed'",
                id);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) from job_events where job_id = '%s' and reason = 'oom'", id), "0");
  workers_end(worker, SIGKILL);
}

static void an_attempt_beyond_its_time_fails_for_good(void) {
  char id[STORE_ID_MAX];
  open_store();
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, ENDLESS, id);
  db_sql("update jobs set limit_s = 1 where id = '%s'", id);
  const pid_t worker = workers_start(NULL);
  workers_await("failed time_limit 1", 60,
                "select concat_ws(' ', state, reason, attempt) from jobs where id = '%s'", id);
  CU_ASSERT_EQUAL(workers_end(worker, SIGTERM), 0);
}

static void the_kernel_would_kill_a_job_before_its_worker(void) {
  char id[STORE_ID_MAX], path[64], ours[16] = "", theirs[16] = "";
  open_store();
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, ENDLESS, id);
  const pid_t worker = workers_start(NULL);
  workers_await("t", 60, "select state = 'running' and step > 0 from jobs where id = '%s'", id);
  const pid_t pids[] = { worker, workers_child(worker) };
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pids[i]);
    FILE *f = fopen(path, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NOT_NULL(fgets(i ? theirs : ours, 16, f));
    fclose(f);
  }
  CU_ASSERT_TRUE(strtol(theirs, NULL, 10) >= 900);
  CU_ASSERT_TRUE(strtol(theirs, NULL, 10) > strtol(ours, NULL, 10));
  workers_end(worker, SIGKILL);
}

static void a_worker_tells_its_memory_and_leaves_what_does_not_fit(void) {
  char id[STORE_ID_MAX];
  open_store();
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, ENDLESS, id);
  db_sql("update jobs set memory_bytes = 201 << 20 where id = '%s'", id);
  const pid_t small = workers_start((const char *const[]){ "--memory-mb=200", NULL });
  workers_await("209715200", 60, "select memory_bytes from workers");
  const pid_t machine = workers_start(NULL);
  workers_await("running", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select w.memory_bytes > 201 << 20 from workers w join jobs j on j.lease_owner = w.id"),
    "t");
  workers_end(machine, SIGKILL);
  workers_end(small, SIGKILL);
}

/* A worker that gives a job just what it is estimated to take. */
static void within_its_estimate(enum flow_kind kind, const char *spec, const char *what) {
  char id[STORE_ID_MAX], option[48];
  workers_submit(store, dataset, kind, spec, id);
  const long bytes =
    strtol(db_sql("select max(memory_bytes) from jobs where state <> 'succeeded'"), NULL, 10);
  snprintf(option, sizeof option, "--memory-mb=%ld", (bytes >> 20) + 1);
  const pid_t worker = workers_start((const char *const[]){ option, NULL });
  workers_await("t", 120, "select job_is_final(state) from jobs where id = '%s'", id);
  const char *how =
    db_sql("select concat_ws(' ', state, reason, error ->> 'detail') from jobs where id = '%s'",
           id);
  if (strcmp(how, "succeeded") != 0) printf("\n  %s with %s: %s\n", what, option, how);
  CU_ASSERT_STRING_EQUAL(how, "succeeded");
  CU_ASSERT_EQUAL(workers_end(worker, SIGTERM), 0);
}

static void jobs_stay_within_their_estimates(void) {
  if (PX_SANITIZED) return; /* estimates do not count what sanitizers take */
  open_store();
  for (const struct flow_field *algo = flow_algos; algo->name; algo++) {
    if (!flow_algo_learns(algo->name, false)) continue;
    char spec[160];
    snprintf(spec, sizeof spec,
             "{\"policy\": {\"algo\": \"%s\", \"updates\": 6, \"hidden\": 512, \"batch\": %d}}",
             algo->name, strcmp(algo->name, "dt") == 0 ? 32 : 1024);
    within_its_estimate(FLOW_TRAIN_POLICY, spec, algo->name);
  }
  within_its_estimate(FLOW_TRAIN_IDM, "{\"idm\": {\"hidden\": 1024, \"steps\": 6}}", "idm");
  within_its_estimate(
    FLOW_TRAIN_IDM, "{\"idm\": {\"profile\": \"paper\", \"hidden\": 1024, \"steps\": 6, \"k\": 8}}",
    "idm, paper");
  within_its_estimate(FLOW_PIPELINE,
                      "{\"idm\": {\"steps\": 60, \"members\": 2, \"hidden\": 64}, \"policies\": "
                      "[{\"algo\": \"bc\", \"updates\": 20}],"
                      " \"ope\": {\"updates\": 20}}",
                      "pipeline");
}

static void a_worker_removes_what_is_too_old(void) {
  char id[STORE_ID_MAX];
  open_store();
  for (int i = 0; i < 3; i++) {
    struct px_err err;
    db_submit(store, "report", NULL, id);
    CU_OK(store_job_cancel(store, id, &err), err);
  }
  const pid_t worker = workers_start((const char *const[]){ "--keep-jobs=1", NULL });
  workers_await(id, 60, "select string_agg(id, ' ') from jobs");
  CU_ASSERT_EQUAL(workers_end(worker, SIGTERM), 0);
}

CU_MAIN("worker_limits", T(a_job_that_takes_too_much_memory_is_ended_and_tried_once_more),
        T(a_kill_from_outside_is_not_called_want_of_memory),
        T(an_attempt_beyond_its_time_fails_for_good),
        T(the_kernel_would_kill_a_job_before_its_worker),
        T(a_worker_tells_its_memory_and_leaves_what_does_not_fit),
        T(jobs_stay_within_their_estimates), T(a_worker_removes_what_is_too_old))
