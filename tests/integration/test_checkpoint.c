/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints and real workers: a training that is killed, drained or finds its last state damaged
 * goes on and ends with the bytes of a quiet one. */
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/safetensors.h"
#include "lib/store/checkpoints.h"
#include "lib/store/jobs.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

static struct store *store;

static void open_store(void) { store = workers_store("test_checkpoint"); }

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define POLICY \
  "{\"policy\": {\"algo\": \"td3bc\", \"updates\": %lld, \"hidden\": 64, \"batch\": 64}, " \
  "\"seed\": 3}"

#define MEMBER \
  "{\"idm\": {\"members\": 2, \"steps\": %lld, \"validate_every\": 100, \"hidden\": 64, " \
  "\"batch\": 128, \"patience\": 0," \
  " \"dropout\": 0.1, \"seed\": 3}, \"member\": 1}"

/* What the job published, without the seconds it took. */
static void metrics_of(const char *job, char text[4096]) {
  snprintf(text, 4096, "%s",
           db_sql("select (result - 'seconds')::text from jobs where id = '%s'", job));
}

static void end_alike(const char *job, const char *quiet) {
  char a[PX_SHA256_HEX], b[PX_SHA256_HEX], one[4096], two[4096];
  workers_model_digest(store, job, a);
  workers_model_digest(store, quiet, b);
  CU_ASSERT_STRING_EQUAL(a, b);
  metrics_of(job, one);
  metrics_of(quiet, two);
  CU_ASSERT_STRING_EQUAL(one, two);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_checkpoints where job_id = '%s'", job),
                         "0");
}

/* ---- trainings that are disturbed

 * A disturbance has to come in the middle of a training, on any machine and beside any load. So the
 * disturbance says whether the training had ended before it was through; if so, all begins again
 * with twice the steps. */

static long long training_steps = 5000;

#define TRAINING_STEPS_MAX 20000000

static bool ended(const char *job) {
  return *db_sql("select state = 'succeeded' from jobs where id = '%s'", job) == 't';
}

/* Waits for what the statement asks. False: the job ended first. */
static bool PX_PRINTF(2, 3) met(const char *job, const char *format, ...) {
  char sql[512];
  va_list args;
  va_start(args, format);
  vsnprintf(sql, sizeof sql, format, args);
  va_end(args);
  workers_await("t", 60,
                "select (%s) or exists (select from jobs where id = '%s' and state = 'succeeded')",
                sql, job);
  return !ended(job);
}

/* Works on the job of *worker, which may be replaced by another. False: too late, the job ended. */
typedef bool disturbance(pid_t *worker, const char *job);

/* Trains disturbed, and the same once more in peace: both end with the same bytes. `format` takes
 * the number of steps. Answers the worker, which still runs. */
static pid_t disturbed(const char *name, enum flow_kind kind, const char *format,
                       disturbance *disturb, char job[STORE_ID_MAX]) {
  char dataset[STORE_ID_MAX], quiet[STORE_ID_MAX], spec[512];
  pid_t worker;
  for (;; training_steps *= 2) {
    CU_ASSERT_FATAL(training_steps < TRAINING_STEPS_MAX);
    open_store();
    snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, name, 20, 0, 1));
    snprintf(spec, sizeof spec, format, training_steps);
    worker = workers_start(OPTIONS("--checkpoint-ms=100"));
    workers_submit(store, dataset, kind, spec, job);
    if (disturb(&worker, job)) break;
  }
  workers_await("succeeded", 300, "select state from jobs where id = '%s'", job);
  workers_submit(store, dataset, kind, spec, quiet);
  workers_await("succeeded", 300, "select state from jobs where id = '%s'", quiet);
  end_alike(job, quiet);
  CU_ASSERT_STRING_EQUAL(db_sql("select resumed_from is null from jobs where id = '%s'", quiet),
                         "t");
  return worker;
}

static bool kill_at_random(pid_t *worker, const char *job) {
  struct px_rng rng = px_rng_at(8, px_rng_stream("kills", 0), 0);
  long long step = 0;
  /* So that there is a part of the curves to be gone on from. */
  if (!met(job,
           "exists (select from job_checkpoints c where job_id = '%s'"
           " and step > (select min(step) from job_metrics m where m.job_id = c.job_id))",
           job))
    return false;
  for (int i = 0; i < 3; i++) {
    /* A state beyond the last kill's, and then at any time. */
    if (!met(job,
             "exists (select from job_checkpoints where job_id = '%s' and epoch = %d and step > "
             "%lld)",
             job, i + 1, step))
      return false;
    workers_await("t", 1, "select pg_sleep(%g) is not null", 0.15 * px_rng_double(&rng));
    const pid_t child = workers_child(*worker);
    if (child <= 0 && ended(job)) return false;
    CU_ASSERT_FATAL(child > 0);
    kill(child, SIGKILL);
    if (!met(
          job,
          "exists (select from jobs where id = '%s' and epoch = %d and resumed_from is not null)",
          job, i + 2))
      return false;
    step = strtoll(db_sql("select resumed_from from jobs where id = '%s'", job), NULL, 10);
    CU_ASSERT_TRUE(step > 0);
  }
  return true;
}

/* From before the last attempt to the end, and no point twice. */
static void curves_are_whole(const char *job, long long resumed_from, long long last) {
  struct px_buf text = PX_BUF(4 << 20);
  struct px_err err;
  CU_OK(store_job_metrics(store, job, &text, &err), err);
  json_t *document = json_loads(text.data, 0, NULL), *item;
  size_t i, curves = 0;
  long long step = last;
  const char *name = "";
  json_array_foreach(json_object_get(document, "items"), i, item) {
    const char *of = json_string_value(json_object_get(item, "name"));
    const long long at = json_integer_value(json_object_get(item, "step"));
    if (strcmp(of, name) == 0) {
      CU_ASSERT_TRUE(at > step);
    } else {
      CU_ASSERT_EQUAL(step, last);
      CU_ASSERT_TRUE(at < resumed_from);
      curves++;
    }
    name = of, step = at;
  }
  CU_ASSERT_EQUAL(step, last);
  CU_ASSERT_EQUAL(curves, 4);
  json_decref(document);
  px_buf_free(&text);
}

static void killed_often_a_policy_ends_with_the_same_bytes(void) {
  char job[STORE_ID_MAX];
  const pid_t worker = disturbed("policy", FLOW_TRAIN_POLICY, POLICY, kill_at_random, job);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select epoch || ' ' || (resumed_from > 0) from jobs where id = '%s'", job), "4 true");
  curves_are_whole(job,
                   strtoll(db_sql("select resumed_from from jobs where id = '%s'", job), NULL, 10),
                   training_steps);
  workers_end(worker, SIGTERM);
}

static void killed_often_a_member_ends_with_the_same_bytes(void) {
  char job[STORE_ID_MAX];
  workers_end(disturbed("member", FLOW_TRAIN_IDM, MEMBER, kill_at_random, job), SIGTERM);
}

static bool drain_twice(pid_t *worker, const char *job) {
  workers_end(*worker, SIGTERM);
  for (int i = 0; i < 2; i++) {
    /* The only state is that of the drain: the next one would be due in an hour. */
    *worker = workers_start(OPTIONS("--drain-ms=0", "--checkpoint-ms=3600000"));
    if (!met(job,
             "exists (select from jobs where id = '%s' and epoch = %d and step > "
             "coalesce(resumed_from, 0))",
             job, i + 1))
      return false;
    CU_ASSERT_EQUAL(workers_end(*worker, SIGTERM), 0);
    if (ended(job)) return false;
    CU_ASSERT_STRING_EQUAL(
      db_sql("select state || attempt || lost_leases || reason from jobs where id = '%s'", job),
      "ready00drained");
    CU_ASSERT_STRING_EQUAL(
      db_sql("select max(c.step) >= j.step from job_checkpoints c join jobs j on j.id = c.job_id"
             " where j.id = '%s' group by j.step",
             job),
      "t");
  }
  *worker = workers_start(NULL);
  return true;
}

static void a_drained_training_loses_nothing(void) {
  char job[STORE_ID_MAX];
  const pid_t worker = disturbed("drained", FLOW_TRAIN_POLICY, POLICY, drain_twice, job);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select resumed_from > 0 and attempt = 1 and epoch = 3 from jobs where id = '%s'", job),
    "t");
  workers_end(worker, SIGTERM);
}

/* Stops the job with two states of it kept. */
static bool stop_with_two_states(pid_t worker, const char *job) {
  const bool running =
    met(job, "(select count(*) from job_checkpoints where job_id = '%s') = 2", job);
  workers_end(worker, SIGKILL);
  return running && !ended(job);
}

static bool damage_the_last_state(pid_t *worker, const char *job) {
  char before[32];
  if (!stop_with_two_states(*worker, job)) return false;
  db_sql("update blob_chunks set bytes = overlay(bytes placing '\\x01'::bytea from length(bytes) - "
         "9) where no = 0 and blob_id ="
         " (select blob_id from job_checkpoints where job_id = '%s' order by step desc limit 1)",
         job);
  snprintf(before, sizeof before, "%s",
           db_sql("select min(step) from job_checkpoints where job_id = '%s'", job));
  *worker = workers_start(NULL);
  workers_await(before, 20, "select resumed_from from jobs where id = '%s'", job);
  return true;
}

static void a_damaged_state_is_passed_over_for_the_one_before(void) {
  char job[STORE_ID_MAX];
  workers_end(disturbed("damaged", FLOW_TRAIN_POLICY, POLICY, damage_the_last_state, job), SIGTERM);
}

static bool make_states_foreign(pid_t *worker, const char *job) {
  if (!stop_with_two_states(*worker, job)) return false;
  db_sql("set session_replication_role = replica; update job_checkpoints set profile = 'abacus' "
         "where job_id = '%s';"
         " reset session_replication_role",
         job);
  *worker = workers_start(NULL);
  return true;
}

static void a_state_of_another_numeric_profile_is_not_used(void) {
  char job[STORE_ID_MAX];
  const pid_t worker = disturbed("foreign", FLOW_TRAIN_POLICY, POLICY, make_states_foreign, job);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select resumed_from is null and epoch = 2 from jobs where id = '%s'", job), "t");
  workers_end(worker, SIGTERM);
}

static void divergence_keeps_the_last_good_state_and_says_so(void) {
  char dataset[STORE_ID_MAX], job[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "diverging", 10, 0, 1));
  workers_submit(store, dataset, FLOW_TRAIN_POLICY,
                 "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 20000, \"hidden\": 32, "
                 "\"batch\": 16, \"lr\": 1, \"gamma\": 1, \"tau\": 1}}",
                 job);
  const pid_t worker = workers_start(OPTIONS("--checkpoint-ms=0"));
  workers_await("failed", 60, "select state from jobs where id = '%s'", job);
  CU_ASSERT_STRING_EQUAL(db_sql("select reason || attempt from jobs where id = '%s'", job),
                         "nan_loss1");
  struct px_err err;
  size_t listed_n = 0;
  CU_OK(store_checkpoint_list(store, job, list, &listed_n, &err), err);
  CU_ASSERT_EQUAL_FATAL(listed_n, 2);
  char step[64];
  snprintf(step, sizeof step, "after step %lld, was kept", (long long)list[0].step);
  const char *error = db_sql("select error::text from jobs where id = '%s'", job);
  CU_ASSERT_PTR_NOT_NULL(strstr(error, step));
  CU_ASSERT_PTR_NOT_NULL(strstr(error, "at update "));
  CU_ASSERT_PTR_NOT_NULL(strstr(error, "lr below 1"));
  CU_ASSERT_PTR_NOT_NULL(strstr(error, "/checkpoint"));
  workers_end(worker, SIGTERM);
}

CU_MAIN("checkpoint", T(killed_often_a_policy_ends_with_the_same_bytes),
        T(killed_often_a_member_ends_with_the_same_bytes), T(a_drained_training_loses_nothing),
        T(a_damaged_state_is_passed_over_for_the_one_before),
        T(a_state_of_another_numeric_profile_is_not_used),
        T(divergence_keeps_the_last_good_state_and_says_so))
