/* SPDX-License-Identifier: Apache-2.0 */
/* Real workers give the same bytes: staged labels, any number of workers, and whatever threads the
 * environment asks for. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
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

static void open_store(void) { store = workers_store("test_repeatable"); }

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

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
    workers_model_digest(store, job, one);
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

CU_MAIN("repeatable", T(a_label_shard_keeps_what_its_earlier_attempt_staged_on_such_a_machine),
        T(a_worker_set_up_by_flags_alone_runs_jobs), T(bytes_depend_on_neither_workers_nor_threads),
        T(a_training_computes_on_one_thread_whatever_the_environment_asks_for))
