/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that label by a simulator: what they publish, what they refuse, and what the report says. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/simulators.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

#define IDM \
  "\"idm\": {\"steps\": 60, \"hidden\": 32, \"layers\": 1, \"members\": 2, \"validate_every\": " \
  "20}"
#define POLICY \
  "\"policies\": [{\"algo\": \"bc\", \"updates\": 20, \"hidden\": 16}], \"evaluation\": \"none\""

static struct store *store;

static void open_store(void) {
  workers_end_all();
  if (!store) store = db_test_open("test_simulator");
  db_sql("delete from datasets");
}

static bool nothing_known(int trajectory, int t) {
  (void)trajectory, (void)t;
  return false;
}

static void hopper_dataset(const char *name, const struct workers_world *world,
                           char id[STORE_ID_MAX]) {
  snprintf(id, STORE_ID_MAX, "%s", workers_dataset_of(store, name, world));
}

static void run(const char *job, const char *state) {
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  workers_await(state, 60, "select state from jobs where id = '%s'", job);
  CU_ASSERT_EQUAL(workers_end(one, SIGTERM), 0);
  CU_ASSERT_EQUAL(workers_end(two, SIGTERM), 0);
}

static double number_at(const json_t *from, const char *a, const char *b) {
  const json_t *found = json_object_get(json_object_get(from, a), b);
  CU_ASSERT(json_is_number(found));
  return json_number_value(found);
}

static const json_t *warning_of(const json_t *document, const char *code) {
  size_t i;
  const json_t *one;
  json_array_foreach(json_object_get(document, "warnings"), i,
                     one) if (strcmp(json_string_value(json_object_get(one, "code")), code) ==
                              0) return one;
  return NULL;
}

static bool every_third(int trajectory, int t) {
  (void)t;
  return trajectory % 3 == 0;
}

/* No true action is needed, and there is none to check the simulator with. */
static void a_dataset_without_any_action_is_labelled(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  open_store();
  const struct workers_world world = {
    .trajectories = 10, .reward_scale = 1, .hopper = true, .known = nothing_known
  };
  hopper_dataset("bare", &world, dataset);
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" IDM ", " POLICY ", \"labeller\": \"simulator\"}", id);
  run(id, "succeeded");
  CU_ASSERT_STRING_EQUAL(db_sql("select verified_n >= 0.95 * known_n and simulated_n = known_n and "
                                "known_n = steps_n from label_sets"),
                         "t");
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) from jobs where kind in ('check_simulator', 'train_idm')"), "0");
  json_t *report = workers_result(store, id), *label = json_object_get(report, "label");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(label, "basis")), "known");
  CU_ASSERT_TRUE(json_is_null(json_object_get(label, "mse")));
  CU_ASSERT(number_at(label, "certificate", "verified_share") >= 0.95);
  CU_ASSERT(number_at(label, "certificate", "mean_residual") < 0.01);
  CU_ASSERT_EQUAL(number_at(label, "certificate", "threshold"), 1e-4);
  CU_ASSERT_PTR_NULL(warning_of(report, "few_transitions_judged"));
  /* Nothing could tell whether the simulator is the right one. */
  const json_t *told = warning_of(report, "simulator_unchecked");
  const char *job = db_sql("select id from jobs where kind = 'label'");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(told, "job")), job);
  CU_ASSERT_EQUAL(number_at(told, "figures", "trajectories"), 10);
  json_decref(report);
  json_t *labelled = workers_result(store, job);
  CU_ASSERT_PTR_NOT_NULL(warning_of(labelled, "simulator_unchecked"));
  json_decref(labelled);
}

/* Without a mask all known actions judge the labels: the simulator looked at none. */
static void known_actions_judge_what_saw_none_of_them(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX], spec[512];
  open_store();
  const struct workers_world world = {
    .trajectories = 30, .reward_scale = 1, .hopper = true, .known = every_third
  };
  hopper_dataset("known", &world, dataset);
  snprintf(spec, sizeof spec,
           "{" IDM ", " POLICY ", \"labeller\": {\"kind\": \"simulator\", \"restarts\": 2}}");
  workers_submit(store, dataset, FLOW_PIPELINE, spec, id);
  run(id, "succeeded");
  json_t *report = workers_result(store, id), *label = json_object_get(report, "label");
  const json_t *labellers = json_object_get(label, "labellers");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(label, "basis")), "known");
  CU_ASSERT(number_at(report, "label", "mse") < 1e-2);
  CU_ASSERT(number_at(labellers, "verified", "mse") < 1e-3);
  CU_ASSERT(number_at(labellers, "verified", "share") > 0.95);
  CU_ASSERT_STRING_EQUAL(json_string_value(
                           json_object_get(json_object_get(labellers, "idm"), "basis")),
                         "held_out");
  CU_ASSERT(number_at(label, "certificate", "verified_share") > 0.95);
  CU_ASSERT_PTR_NULL(warning_of(report, "simulator_unchecked"));
  CU_ASSERT_PTR_NULL(warning_of(report, "few_verified"));
  json_decref(report);
}

/* A policy of verified labels uses none then, and says why; what its runs learned from is told. */
static void a_policy_of_labels_that_nothing_verified_says_so(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  open_store();
  const struct workers_world world = {
    .trajectories = 12, .reward_scale = 1, .hopper = true, .known = every_third
  };
  hopper_dataset("strict", &world, dataset);
  workers_submit(
    store, dataset, FLOW_PIPELINE,
    "{\"policies\": [{\"algo\": \"bc\", \"updates\": 20, \"hidden\": 16}],"
    " \"evaluation\": \"none\", \"baselines\": [\"labelled_only\"], \"labeller\": {\"kind\": "
    "\"simulator\","
    " \"fallback\": \"none\", \"threshold\": 1e-12, \"identify\": false, \"restarts\": 0}}",
    id);
  run(id, "succeeded");
  json_t *report = workers_result(store, id);
  const json_t *runs = json_object_get(report, "runs"),
               *unused = warning_of(report, "no_proxies_used");
  CU_ASSERT(number_at(json_object_get(report, "label"), "certificate", "verified_share") < 0.05);
  CU_ASSERT_PTR_NOT_NULL(warning_of(report, "few_verified"));
  CU_ASSERT_EQUAL(number_at(unused, "figures", "verified_share"), 0);
  CU_ASSERT_PTR_NOT_NULL(strstr(json_string_value(json_object_get(unused, "hint")), "threshold"));
  CU_ASSERT_EQUAL_FATAL(json_array_size(runs), 2);
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(runs, 0), "labels")),
                         "verified");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(runs, 1), "labels")),
                         "true_only");
  json_decref(report);
}

/* Nothing is true and nothing is verified. Who left the labels to `auto` gets policies of all
 * proxies and is told; who asked for verified ones alone gets an error. */
static void without_truth_and_certificates_auto_means_all(void) {
  static const struct {
    const char *labels, *evaluation, *state;
    int candidates;
  } CASES[] = {
    { "auto", "none", "succeeded", 0 },
    { "auto", "evaluate", "succeeded", 1 },
    { "verified", "none", "failed", 0 },
  };
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX], spec[512];
  open_store();
  const struct workers_world world = {
    .trajectories = 10, .reward_scale = 1, .hopper = true, .stretched = true, .known = nothing_known
  };
  hopper_dataset("nothing", &world, dataset);
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    snprintf(
      spec, sizeof spec,
      "{\"policies\": [{\"algo\": \"bc\", \"updates\": 20, \"hidden\": 16, \"labels\": \"%s\"}],"
      " \"evaluation\": \"%s\", \"episodes\": 2, \"labeller\": {\"kind\": \"simulator\", "
      "\"restarts\": "
      "0}}",
      CASES[i].labels, CASES[i].evaluation);
    workers_submit(store, dataset, FLOW_PIPELINE, spec, id);
    run(id, CASES[i].state);
    if (strcmp(CASES[i].state, "failed") == 0) {
      CU_ASSERT_STRING_EQUAL(db_sql("select error ->> 'cause' from jobs where id = '%s'", id),
                             "no_labels");
      continue;
    }
    json_t *report = workers_result(store, id);
    const json_t *run_of_all = json_array_get(json_object_get(report, "runs"), 0),
                 *candidates = json_object_get(report, "candidates"), *candidate;
    size_t k;
    CU_ASSERT_EQUAL_FATAL(json_array_size(json_object_get(report, "runs")), 1);
    CU_ASSERT_EQUAL(json_array_size(candidates), (size_t)CASES[i].candidates);
    CU_ASSERT_PTR_NOT_NULL(warning_of(report, "few_verified"));
    CU_ASSERT(json_number_value(json_object_get(run_of_all, "proxy_transitions")) > 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(run_of_all, "labels")), "all");
    json_array_foreach(candidates, k, candidate) {
      CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(candidate, "labels")), "verified");
      CU_ASSERT_TRUE(
        json_equal(json_object_get(candidate, "returns"), json_object_get(run_of_all, "returns")));
    }
    json_decref(report);
  }
}

/* With a mask: the simulator is checked on what is left, labels the rest, and stands beside the
 * model in the report. */
static void a_report_tells_the_simulator_s_labels_from_the_model_s(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  open_store();
  hopper_dataset("masked",
                 &(struct workers_world){ .trajectories = 30, .reward_scale = 1, .hopper = true },
                 dataset);
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" IDM ", " POLICY ", \"labeller\": \"simulator\","
                 " \"mask\": {\"protocol\": \"coupled\", \"p\": 20, \"q\": 50}}",
                 id);
  run(id, "succeeded");
  json_t *report = workers_result(store, id), *label = json_object_get(report, "label");
  const json_t *labellers = json_object_get(label, "labellers");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(label, "basis")), "hidden");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(label, "labeller")), "simulator");
  CU_ASSERT(number_at(labellers, "verified", "mse") < 1e-3);
  CU_ASSERT(number_at(labellers, "verified", "share") > 0.95);
  /* 60 steps of training */
  CU_ASSERT(number_at(labellers, "idm", "mse") > 10 * number_at(labellers, "verified", "mse"));
  CU_ASSERT(number_at(report, "label", "mse") <= number_at(labellers, "idm", "mse"));
  json_decref(report);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select result ->> 'verified_share' > '0.9' from jobs where kind = 'check_simulator'"),
    "t");
}

/* Actions of the wrong sign do not lead where the data went: nothing is labelled. */
static void a_simulator_that_does_not_fit_the_data_labels_nothing(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  open_store();
  hopper_dataset("flipped",
                 &(struct workers_world){
                   .trajectories = 10, .flip = 1, .reward_scale = 1, .hopper = true },
                 dataset);
  db_sql("update datasets set env = 'hopper' where id = '%s'", dataset);
  workers_submit(store, dataset, FLOW_LABEL, "{\"labeller\": \"simulator\"}", id);
  run(id, "failed");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from label_sets"), "0");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from label_segments"), "0");
  const char *why = db_sql("select error ->> 'detail' from jobs where kind = 'check_simulator'");
  CU_ASSERT_PTR_NOT_NULL(strstr(why, "median residual"));
}

/* Hopper with a picture of 192 MB, as whoever wants a worker's memory would post it. */
static void a_large_hopper(char id[STORE_ID_MAX]) {
  static const char PICTURE[] = "<asset><texture name=\"large\" type=\"2d\" builtin=\"gradient\" "
                                "width=\"8000\" height=\"8000\"/></asset>";
  static char text[1 << 16], all[1 << 17];
  struct px_err err;
  FILE *f = fopen("worker/env/mjcf/hopper.xml", "r");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  char *end = strstr(text, "</mujoco>");
  CU_ASSERT_PTR_NOT_NULL_FATAL(end);
  snprintf(all, sizeof all, "%.*s%s</mujoco>", (int)(end - text), text, PICTURE);
  const struct store_simulator_draft draft = {
    .name = "large",
    .mjcf = all,
    .obs_dim = 11,
    .act_dim = 3,
    .nq = 6,
    .nv = 6,
    .nu = 3,
    .time_step = 0.002,
    .layout_json = "{\"observations\": [{\"of\": \"qpos[1:]\", \"scale\": 1, \"offset\": 0}, "
                   "{\"of\": \"qvel\", \"clip\": [-10, 10],"
                   " \"scale\": 1, \"offset\": 0}], \"actions\": [{\"of\": \"ctrl\", \"scale\": 1, "
                   "\"offset\": 0}], \"frame_skip\": 4, \"delay\": 0}"
  };
  db_sql("delete from simulators");
  CU_OK(store_simulator_create(store, &draft, NULL, id, &err), err);
}

/* What the simulator's own process takes counts as the job's. */
static void a_simulator_s_memory_is_the_job_s(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX], simulator[STORE_ID_MAX], spec[128];
  open_store();
  hopper_dataset("memory",
                 &(struct workers_world){ .trajectories = 30, .reward_scale = 1, .hopper = true },
                 dataset);
  a_large_hopper(simulator);
  snprintf(spec, sizeof spec, "{\"simulator\": \"%s\", \"threshold\": 1e-12}", simulator);
  workers_submit(store, dataset, FLOW_CHECK_SIMULATOR, spec, id);
  /* a picture is not in the estimate */
  db_sql("update jobs set memory_bytes = 0 where id = '%s'", id);
  const pid_t worker = workers_start((const char *const[]){ "--memory-mb=180", NULL });
  workers_await("t", 120, "select state in ('failed', 'succeeded') from jobs where id = '%s'", id);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select concat_ws(' ', state, reason, attempt) from jobs where id = '%s'", id),
    "failed oom 2");
  CU_ASSERT_PTR_NOT_NULL(
    strstr(db_sql("select error ->> 'detail' from jobs where id = '%s'", id), "180 MiB"));
  CU_ASSERT_EQUAL(workers_end(worker, SIGTERM), 0);
}

/* A shard that is cut off goes on behind what it had staged, and the set has the same bytes. */
static void a_label_job_that_was_killed_gives_the_same_bytes(void) {
  char dataset[STORE_ID_MAX], id[2][STORE_ID_MAX], digest[2][80];
  open_store();
  hopper_dataset("twice",
                 &(struct workers_world){ .trajectories = 30, .reward_scale = 1, .hopper = true },
                 dataset);
  for (int i = 0; i < 2; i++) {
    workers_submit(store, dataset, FLOW_LABEL, "{\"labeller\": \"simulator\"}", id[i]);
    if (i) {
      const pid_t worker = workers_start(NULL);
      workers_await(
        "1", 30, "select count(*) from jobs where kind = 'simulate_shard' and state = 'running'");
      CU_ASSERT_EQUAL(workers_end(worker, SIGKILL), -SIGKILL);
    }
    run(id[i], "succeeded");
    snprintf(digest[i], sizeof digest[i], "%s",
             db_sql("select encode(sha256, 'hex') from label_sets where job_id = '%s'", id[i]));
  }
  CU_ASSERT_EQUAL(strlen(digest[0]), 64);
  CU_ASSERT_STRING_EQUAL(digest[0], digest[1]);
}

CU_MAIN("simulator", T(a_dataset_without_any_action_is_labelled),
        T(known_actions_judge_what_saw_none_of_them),
        T(a_policy_of_labels_that_nothing_verified_says_so),
        T(without_truth_and_certificates_auto_means_all),
        T(a_report_tells_the_simulator_s_labels_from_the_model_s),
        T(a_simulator_s_memory_is_the_job_s),
        T(a_simulator_that_does_not_fit_the_data_labels_nothing),
        T(a_label_job_that_was_killed_gives_the_same_bytes))
