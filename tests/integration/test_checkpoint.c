/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints in the store and real workers: a training that is killed, drained or finds its last
 * state damaged goes on and ends with the bytes of a quiet one. */
#include <dirent.h>
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
#include "lib/base/text.h"
#include "lib/data/safetensors.h"
#include "lib/flow/algos.h"
#include "lib/store/checkpoints.h"
#include "lib/store/jobs.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

static struct store *store;

static void open_store(void) {
  workers_end_all();
  if (!store) store = db_test_open("test_checkpoint");
  db_sql("delete from jobs");
  db_sql("delete from datasets");
}

/* ---- the store */

static enum px_status keep(const struct store_lease *hold, int64_t step, const char *text) {
  struct px_err err;
  const enum px_status status =
    store_checkpoint_keep(store, hold, step, "profile a", text, strlen(text), &err);
  if (status && status != PX_E_FENCED) printf("\n  %s\n", err.message);
  return status;
}

static size_t listed(const char *job, struct store_checkpoint list[STORE_CHECKPOINTS_MAX]) {
  struct px_err err;
  size_t n = 99;
  CU_OK(store_checkpoint_list(store, job, list, &n, &err), err);
  return n;
}

static struct store_lease claimed(char id[STORE_ID_MAX]) {
  open_store();
  db_submit(store, "train_policy", NULL, id);
  return db_claim(store, "train_policy");
}

static void the_last_two_are_kept_newest_first(void) {
  char id[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  const struct store_lease hold = claimed(id);
  const char *const states[] = { "one", "two", "three" };
  CU_ASSERT_EQUAL(listed(id, list), 0);
  for (int i = 0; i < 3; i++) {
    CU_ASSERT_EQUAL(keep(&hold, 10 * (i + 1), states[i]), PX_OK);
    CU_ASSERT_EQUAL(listed(id, list), i ? 2 : 1);
    CU_ASSERT_EQUAL(list[0].step, 10 * (i + 1));
    CU_ASSERT_STRING_EQUAL(list[0].profile, "profile a");
  }
  struct px_buf bytes = PX_BUF(1 << 20);
  struct px_err err;
  for (int i = 0; i < 2; i++) {
    bytes.len = 0;
    CU_OK(store_checkpoint_read(store, &list[i], &bytes, &err), err);
    CU_ASSERT_STRING_EQUAL(bytes.data, states[2 - i]);
  }
  /* Nothing is left of the first one, bytes included. */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs where attached and size_bytes < 10"),
                         "2");
  db_sql("update blob_chunks set bytes = 'thrEe' where blob_id = %lld", (long long)list[0].blob.id);
  CU_ASSERT_EQUAL(store_checkpoint_read(store, &list[0], &bytes, &err), PX_E_BAD_DATA);
  px_buf_free(&bytes);
  size_t n;
  CU_ASSERT_EQUAL(store_checkpoint_list(store, "job_0", list, &n, &err), PX_E_NOT_FOUND);
}

static void whoever_lost_the_job_keeps_nothing(void) {
  char id[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  struct px_err err;
  const struct store_lease hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "first"), PX_OK);
  CU_OK(store_job_give_back(store, &hold, &err), err);
  CU_ASSERT_EQUAL(keep(&hold, 6, "given back"), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_checkpoint_resumed(store, &hold, 5, &err), PX_E_FENCED);
  const struct store_lease next = db_claim(store, "train_policy");
  CU_ASSERT_EQUAL(keep(&hold, 7, "an older attempt"), PX_E_FENCED);
  CU_OK(store_checkpoint_resumed(store, &next, 5, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select resumed_from || ' ' || step from jobs where id = '%s'", id),
                         "5 5");
  CU_ASSERT_EQUAL(keep(&next, 6, "second"), PX_OK);
  CU_ASSERT_EQUAL(listed(id, list), 2);
  CU_ASSERT_TRUE(list[0].epoch == 2 && list[0].step == 6 && list[1].epoch == 1 &&
                 list[1].step == 5);
  /* Of what was refused, not even bytes are left. */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs where size_bytes = %d",
                                (int)strlen("an older attempt")),
                         "0");
}

static void states_go_with_success_and_stay_a_week_with_failure(void) {
  char id[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  struct px_err err;
  int removed;
  struct store_lease hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "state"), PX_OK);
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 0);
  hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "state"), PX_OK);
  CU_OK(store_job_cancel(store, id, &err), err);
  CU_OK(store_job_fail(store, &hold, &(struct px_err){ .code = PX_E_CANCELLED }, &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 0);
  hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "state"), PX_OK);
  CU_OK(store_job_fail(store, &hold, &(struct px_err){ .code = PX_E_NAN_LOSS, .message = "nan" },
                       &err),
        err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 1);
  db_sql("set session_replication_role = replica;"
         "update jobs set finished_at = finished_at - interval '8 days' where id = '%s'; reset "
         "session_replication_role",
         id);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 0);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
}

static void an_attempt_that_comes_further_has_earlier_failures_forgotten(void) {
  char id[STORE_ID_MAX];
  struct px_err err;
  struct store_lease hold = claimed(id);
  for (int64_t i = 0; i < 12; i++) { /* five attempts and three lost leases are allowed */
    CU_ASSERT_EQUAL(keep(&hold, 10 + i, "state"), PX_OK);
    CU_ASSERT_STRING_EQUAL(db_sql("select attempt || ' ' || lost_leases from jobs where id = '%s'",
                                  id),
                           "1 0");
    db_sql("update jobs set lease_expires_at = clock_timestamp() - interval '1 s' where id = '%s'",
           id);
    struct store_reaped reaped;
    CU_OK(store_jobs_reap(store, &reaped, &err), err);
    CU_ASSERT_STRING_EQUAL_FATAL(db_state(id), "ready");
    hold = db_claim(store, "train_policy");
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select attempt || ' ' || lost_leases from jobs where id = '%s'",
                                id),
                         "2 1");
  CU_ASSERT_EQUAL(keep(&hold, 21, "no further than the last"), PX_OK);
  CU_ASSERT_STRING_EQUAL(db_sql("select attempt || ' ' || lost_leases from jobs where id = '%s'",
                                id),
                         "2 1");
}

/* ---- workers */

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define POLICY \
  "{\"policy\": {\"algo\": \"td3bc\", \"updates\": %lld, \"hidden\": 64, \"batch\": 64}, " \
  "\"seed\": 3}"
#define MEMBER \
  "{\"idm\": {\"members\": 2, \"steps\": %lld, \"validate_every\": 100, \"hidden\": 64, " \
  "\"batch\": 128, \"patience\": 0," \
  " \"dropout\": 0.1, \"seed\": 3}, \"member\": 1}"
/* Never at its end. */
#define ENDLESS \
  "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000, \"hidden\": 64, \"batch\": 64}, " \
  "\"seed\": 3}"

/* A digest over a model's tensors: its metadata names dataset and job. */
static void digest_of(const char *job, char hex[PX_SHA256_HEX]) {
  char model[STORE_ID_MAX];
  struct px_buf bytes = PX_BUF(64 << 20);
  struct px_safetensors *st;
  struct px_err err;
  uint8_t digest[PX_SHA256_BYTES];
  store_result_id("mdl", job, model);
  CU_OK(store_model_read(store, model, &bytes, &err), err);
  CU_OK(px_safetensors_parse(bytes.data, bytes.len, &st, &err), err);
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  CU_ASSERT_PTR_NOT_NULL_FATAL(hash);
  for (size_t i = 0; i < px_safetensors_tensors_n(st); i++) {
    const struct px_safetensors_tensor *t = px_safetensors_at(st, i);
    px_digest_put(hash, t->name, strlen(t->name));
    px_digest_put(hash, t->data, t->bytes);
  }
  px_digest_end(hash, digest);
  px_text_hex(digest, sizeof digest, hex);
  px_safetensors_free(st);
  px_buf_free(&bytes);
}

/* What the job published, without the seconds it took. */
static void metrics_of(const char *job, char text[4096]) {
  snprintf(text, 4096, "%s",
           db_sql("select (result - 'seconds')::text from jobs where id = '%s'", job));
}

static void end_alike(const char *job, const char *quiet) {
  char a[PX_SHA256_HEX], b[PX_SHA256_HEX], one[4096], two[4096];
  digest_of(job, a);
  digest_of(quiet, b);
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
  CU_ASSERT_EQUAL_FATAL(listed(job, list), 2);
  char step[64];
  snprintf(step, sizeof step, "after step %lld, was kept", (long long)list[0].step);
  const char *error = db_sql("select error::text from jobs where id = '%s'", job);
  CU_ASSERT_PTR_NOT_NULL(strstr(error, step));
  CU_ASSERT_PTR_NOT_NULL(strstr(error, "at update "));
  CU_ASSERT_PTR_NOT_NULL(strstr(error, "lr below 1"));
  CU_ASSERT_PTR_NOT_NULL(strstr(error, "/checkpoint"));
  workers_end(worker, SIGTERM);
}

/* ---- labels */

static enum px_status first_bytes(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                  struct px_err *err) {
  (void)seq, (void)err;
  return px_buf_put(ctx, bytes, n);
}

/* Labels the dataset, whose only segment an earlier attempt of the shard has staged as `bytes`
 * under `profile`. */
static struct px_buf labels_after(const char *dataset, const char *models, const char *bytes,
                                  const char *profile) {
  char job[STORE_ID_MAX], set[STORE_ID_MAX], spec[256];
  struct px_err err;
  struct px_buf found = PX_BUF(64 << 20);
  snprintf(spec, sizeof spec, "{\"models\": %s}", models);
  workers_submit(store, dataset, FLOW_LABEL, spec, job);
  const struct store_lease shard = db_claim(store, "label_shard");
  const uint64_t steps =
    strtoull(db_sql("select steps_n from segments where dataset_id = '%s'", dataset), NULL, 10);
  const struct store_label_segment staged = { .label_job = job,
                                              .bytes = bytes,
                                              .n = strlen(bytes),
                                              .steps_n = steps,
                                              .known_n = steps,
                                              .profile = profile };
  CU_OK(store_label_stage(store, &shard, &staged, &err), err);
  CU_OK(store_job_give_back(store, &shard, &err), err);
  const pid_t worker = workers_start(NULL);
  workers_await("succeeded", 30, "select state from jobs where id = '%s'", job);
  workers_end(worker, SIGTERM);
  store_result_id("ls", job, set);
  CU_OK(store_label_read(store, set, 0, 1, first_bytes, &found, &err), err);
  return found;
}

static void a_label_shard_keeps_what_its_earlier_attempt_staged_on_such_a_machine(void) {
  char dataset[STORE_ID_MAX], job[STORE_ID_MAX], models[128], profile[256];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "shards", 10, 0, 1));
  workers_submit(
    store, dataset, FLOW_PIPELINE,
    "{\"idm\": {\"members\": 1, \"steps\": 20, \"hidden\": 16}, \"evaluation\": \"none\", "
    "\"policies\": [{\"algo\": \"bc\", \"updates\": 5}]}",
    job);
  const pid_t worker = workers_start(NULL);
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", job);
  workers_end(worker, SIGTERM);
  snprintf(models, sizeof models, "%s",
           db_sql("select json_agg(id) from models where role = 'idm'"));
  snprintf(profile, sizeof profile, "%s", db_sql("select profile from label_segments"));
  struct px_buf kept = labels_after(dataset, models, "as it was staged", profile);
  CU_ASSERT_STRING_EQUAL(kept.data, "as it was staged");
  struct px_buf done_again = labels_after(dataset, models, "as it was staged", "abacus");
  CU_ASSERT_TRUE(done_again.len > 1000);
  px_buf_free(&kept), px_buf_free(&done_again);
}

/* A child knows its configuration from its supervisor, not from the environment alone. */
static void a_worker_set_up_by_flags_alone_runs_jobs(void) {
  char dataset[STORE_ID_MAX], job[STORE_ID_MAX], url[1024], flag[1100];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "flags", 10, 0, 1));
  workers_submit(store, dataset, FLOW_TRAIN_POLICY,
                 "{\"policy\": {\"algo\": \"bc\", \"updates\": 5}}", job);
  snprintf(url, sizeof url, "%s", db_test_url());
  snprintf(flag, sizeof flag, "--db-url=%s", url);
  unsetenv("PROXACT_DB_URL");
  const pid_t worker = workers_start(OPTIONS(flag));
  setenv("PROXACT_DB_URL", url, 1);
  workers_await("succeeded", 20, "select state from jobs where id = '%s'", job);
  workers_end(worker, SIGTERM);
}

/* ---- a whole pipeline, by any number of workers and whatever threads the environment asks for */

/* A small policy of every algorithm that learns continuous actions. */
static json_t *all_algorithms(void) {
  static const struct {
    const char *option;
    int value;
  } SMALL[] = { { "updates", 60 }, { "hidden", 32 }, { "batch", 32 }, { "layers", 2 } };
  json_t *policies = json_array();
  for (const struct flow_field *algo = flow_algos; algo->name; algo++) {
    if (!flow_algo_learns(algo->name, false)) continue;
    json_t *policy = json_pack("{s:s}", "algo", algo->name);
    for (const struct flow_field *f = flow_algo_options(algo->name); f->name; f++)
      for (size_t i = 0; i < sizeof SMALL / sizeof *SMALL; i++)
        if (strcmp(f->name, SMALL[i].option) == 0)
          json_object_set_new(policy, f->name, json_integer(SMALL[i].value));
    json_array_append_new(policies, policy);
  }
  return policies;
}

static size_t submit_all(const char *dataset, char pipeline[STORE_ID_MAX]) {
  json_t *policies = all_algorithms();
  const size_t n = json_array_size(policies);
  json_t *spec =
    json_pack("{s:{s:s, s:i, s:i}, s:{s:i, s:i, s:i, s:i, s:i}, s:i, s:{s:i, s:i}, s:o}", "mask",
              "protocol", "coupled", "p", 40, "q", 60, "idm", "members", 2, "steps", 200,
              "validate_every", 50, "hidden", 64, "batch", 128, "shards", 2, "ope", "updates", 60,
              "hidden", 16, "policies", policies);
  char *text = json_dumps(spec, 0);
  CU_ASSERT_PTR_NOT_NULL_FATAL(text);
  workers_submit(store, dataset, FLOW_PIPELINE, text, pipeline);
  free(text);
  json_decref(spec);
  return n;
}

/* Digest over the digests of all models by their jobs' names, and of the labels. */
static void pipeline_digest(const char *pipeline, size_t expected, char hex[PX_SHA256_HEX],
                            char labels[PX_SHA256_HEX]) {
  char names[8192], job[STORE_ID_MAX], one[PX_SHA256_HEX];
  uint8_t digest[PX_SHA256_BYTES];
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  CU_ASSERT_PTR_NOT_NULL_FATAL(hash);
  snprintf(names, sizeof names, "%s",
           db_sql("select string_agg(name || '=' || id, ' ' order by name) from jobs"
                  " where parent_id = '%s' and kind in ('train_idm', 'train_policy')",
                  pipeline));
  size_t models = 0;
  for (char *rest = NULL, *at = strtok_r(names, " ", &rest); at;
       at = strtok_r(NULL, " ", &rest), models++) {
    char *id = strrchr(at, '=');
    snprintf(job, sizeof job, "%s", id + 1);
    *id = '\0';
    digest_of(job, one);
    px_digest_put(hash, at, strlen(at));
    px_digest_put(hash, one, strlen(one));
  }
  CU_ASSERT_EQUAL(models, expected);
  px_digest_end(hash, digest);
  px_text_hex(digest, sizeof digest, hex);
  snprintf(labels, PX_SHA256_HEX, "%s",
           db_sql("select encode(s.sha256, 'hex') from label_sets s join jobs j on j.id = s.job_id"
                  " where j.parent_id = '%s'",
                  pipeline));
}

static void bytes_depend_on_neither_workers_nor_threads(void) {
  static const char *const threads[] = { "1", "2", "4" };
  char dataset[STORE_ID_MAX], models[3][PX_SHA256_HEX], labels[3][PX_SHA256_HEX],
    values[3][PX_SHA256_HEX];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "alike", 40, 0, 1));
  for (int run = 0; run < 3; run++) {
    char pipeline[STORE_ID_MAX];
    pid_t workers[3];
    const size_t algorithms_n = submit_all(dataset, pipeline);
    setenv("OMP_NUM_THREADS", threads[run], 1);
    for (int i = 0; i <= run; i++) workers[i] = workers_start(NULL);
    unsetenv("OMP_NUM_THREADS");
    workers_await("succeeded", 240, "select state from jobs where id = '%s'", pipeline);
    for (int i = 0; i <= run; i++) workers_end(workers[i], SIGTERM);
    pipeline_digest(pipeline, 2 + algorithms_n, models[run], labels[run]);
    snprintf(values[run], sizeof values[run], "%s",
             db_sql("select encode(sha256(convert_to(string_agg(name || result::text, ' ' order by "
                    "name), 'utf8')), 'hex')"
                    " from jobs where parent_id = '%s' and kind = 'ope'",
                    pipeline));
    CU_ASSERT_EQUAL(strlen(labels[run]), PX_SHA256_HEX - 1);
    CU_ASSERT_STRING_EQUAL(models[run], models[0]);
    CU_ASSERT_STRING_EQUAL(labels[run], labels[0]);
    CU_ASSERT_STRING_EQUAL(values[run], values[0]);
  }
}

/* Equal bytes alone would not show it: a product may be split over threads without changing a
 * bit. */
static void a_training_computes_on_one_thread_whatever_the_environment_asks_for(void) {
  char dataset[STORE_ID_MAX], job[STORE_ID_MAX], path[64];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "threads", 10, 0, 1));
  workers_submit(
    store, dataset, FLOW_TRAIN_POLICY,
    "{\"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000, \"hidden\": 256, \"batch\": 256}}",
    job);
  setenv("OMP_NUM_THREADS", "4", 1);
  const pid_t worker = workers_start(NULL);
  unsetenv("OMP_NUM_THREADS");
  workers_await("t", 30, "select step > 0 from jobs where id = '%s'", job);
  snprintf(path, sizeof path, "/proc/%d/task", (int)workers_child(worker));
  DIR *tasks = opendir(path);
  CU_ASSERT_PTR_NOT_NULL_FATAL(tasks);
  int threads = 0;
  for (const struct dirent *entry; (entry = readdir(tasks));) threads += entry->d_name[0] != '.';
  closedir(tasks);
  CU_ASSERT_EQUAL(threads, 1);
  struct px_err err;
  CU_OK(store_job_cancel(store, job, &err), err);
  workers_await("cancelled", 10, "select state from jobs where id = '%s'", job);
  workers_end(worker, SIGTERM);
}

CU_MAIN("checkpoint", T(the_last_two_are_kept_newest_first), T(whoever_lost_the_job_keeps_nothing),
        T(states_go_with_success_and_stay_a_week_with_failure),
        T(an_attempt_that_comes_further_has_earlier_failures_forgotten),
        T(killed_often_a_policy_ends_with_the_same_bytes),
        T(killed_often_a_member_ends_with_the_same_bytes), T(a_drained_training_loses_nothing),
        T(a_damaged_state_is_passed_over_for_the_one_before),
        T(a_state_of_another_numeric_profile_is_not_used),
        T(divergence_keeps_the_last_good_state_and_says_so),
        T(a_label_shard_keeps_what_its_earlier_attempt_staged_on_such_a_machine),
        T(a_worker_set_up_by_flags_alone_runs_jobs), T(bytes_depend_on_neither_workers_nor_threads),
        T(a_training_computes_on_one_thread_whatever_the_environment_asks_for))
