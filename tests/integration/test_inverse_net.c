/* SPDX-License-Identifier: Apache-2.0 */
/* Nets that invert a simulator, in jobs: trained without an action, the same bytes however often
 * they were cut off and wherever the model runs, and labels that say how far they are off. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/simulators.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

#define NET(steps) \
  "\"net\": {\"pairs\": 3000, \"steps\": " #steps ", \"batch\": 128, \"hidden\": 64, \"layers\": " \
  "2}"
#define BY_NET \
  "\"labeller\": {\"kind\": \"simulator\", \"solve\": false, \"seed\": 5, " NET(400) "}"
#define POLICY \
  "\"policies\": [{\"algo\": \"bc\", \"updates\": 20, \"hidden\": 16}], \"evaluation\": \"none\""

static struct store *store;

static void hopper_dataset(bool (*known)(int, int), char id[STORE_ID_MAX]) {
  workers_end_all();
  if (!store) store = db_test_open("test_inverse_net");
  db_sql("delete from datasets");
  const struct workers_world world = {
    .trajectories = 12, .reward_scale = 1, .hopper = true, .known = known
  };
  snprintf(id, STORE_ID_MAX, "%s", workers_dataset_of(store, "hops", &world));
}

static bool nothing(int trajectory, int t) {
  (void)trajectory, (void)t;
  return false;
}

static void run(const char *job) {
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", job);
  CU_ASSERT_EQUAL(workers_end(one, SIGTERM), 0);
  CU_ASSERT_EQUAL(workers_end(two, SIGTERM), 0);
}

static void digests_of(const char *label_job, char out[160]) {
  snprintf(
    out, 160, "%s",
    db_sql("select encode(m.sha256, 'hex') || encode(l.sha256, 'hex') from label_sets l"
           " join jobs i on i.kind = 'train_inverse' join jobs s on s.kind = 'simulate_shard'"
           " and s.spec ->> 'inverse' = 'mdl' || substr(i.id, 4) join models m on m.job_id = i.id"
           " where l.job_id = '%s' and s.spec ->> 'label_job' = l.job_id limit 1",
           label_job));
}

static void the_net_s_labels_are_the_simulator_s_with_their_residuals(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  hopper_dataset(nothing, dataset);
  workers_submit(store, dataset, FLOW_PIPELINE, "{" POLICY ", " BY_NET "}", id);
  run(id);
  CU_ASSERT_STRING_EQUAL(db_sql("select known_n = steps_n and simulated_n = known_n and verified_n "
                                "< known_n from label_sets"),
                         "t");
  CU_ASSERT_STRING_EQUAL(db_sql("select role || algo from models where role = 'inverse'"),
                         "inversenet");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs where kind = 'train_idm'"), "0");
}

/* What the net says of actions that it never saw. */
static void known_actions_judge_the_net(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  hopper_dataset(NULL, dataset);
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" POLICY ", " BY_NET
                 ", \"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 100},"
                 " \"idm\": {\"steps\": 60, \"hidden\": 32, \"layers\": 1, \"members\": 1, "
                 "\"validate_every\": 20}}",
                 id);
  run(id);
  json_t *report = workers_result(store, id);
  const json_t *labellers = json_object_get(json_object_get(report, "label"), "labellers");
  const double mse =
    json_number_value(json_object_get(json_object_get(labellers, "simulator"), "mse"));
  printf("(MSE %.3f) ", mse);
  /* nothing was solved; random actions have a variance of 0.33 */
  CU_ASSERT(mse > 1e-4 && mse < 0.2);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_deps n join jobs c on c.id = n.needs_id "
                                "and c.kind = 'check_simulator'"
                                " join jobs i on i.id = n.job_id and i.kind = 'train_inverse'"),
                         "1");
  json_decref(report);
}

static void a_training_that_was_killed_gives_the_same_bytes(void) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX], digests[2][160];
  hopper_dataset(nothing, dataset);
  for (int i = 0; i < 2; i++) {
    workers_submit(store, dataset, FLOW_LABEL,
                   "{\"labeller\": {\"kind\": \"simulator\", \"solve\": false, " NET(1500) "}}",
                   id);
    if (i) {
      const pid_t worker = workers_start((const char *const[]){ "--checkpoint-ms=0", NULL });
      workers_await("t", 60, "select exists (select from job_checkpoints where step > 100)");
      CU_ASSERT_EQUAL(workers_end(worker, SIGKILL), -SIGKILL);
    }
    run(id);
    digests_of(id, digests[i]);
  }
  CU_ASSERT_STRING_EQUAL(
    db_sql("select resumed_from > 0 from jobs where kind = 'train_inverse' and epoch > 1"), "t");
  CU_ASSERT_EQUAL(strlen(digests[0]), 128);
  CU_ASSERT_STRING_EQUAL(digests[0], digests[1]);
}

static char *hopper_text(void) {
  static char text[1 << 16];
  FILE *f = fopen("worker/env/mjcf/hopper.xml", "r");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  return text;
}

/* A user's model runs in a process of its own; the worker trains on what that simulates, and its
 * solver starts there. */
static void a_user_s_model_is_inverted_as_the_same_one_built_in(void) {
  const struct store_simulator_draft draft = {
    .name = "mine",
    .mjcf = hopper_text(),
    .obs_dim = 11,
    .act_dim = 3,
    .nq = 6,
    .nv = 6,
    .nu = 3,
    .time_step = 0.002,
    .layout_json = "{\"observations\": [{\"of\": \"qpos[1:]\", \"scale\": 1, \"offset\": 0}, "
                   "{\"of\": \"qvel\", \"clip\": [-10, 10],"
                   " \"scale\": 1, \"offset\": 0}], \"actions\": [{\"of\": \"ctrl\", \"scale\": 1, "
                   "\"offset\": 0}],"
                   " \"frame_skip\": 4, \"delay\": 0}"
  };
  char dataset[STORE_ID_MAX], sim[STORE_ID_MAX], id[STORE_ID_MAX], spec[512], digests[2][160];
  struct px_err err;
  hopper_dataset(NULL, dataset);
  CU_OK(store_simulator_create(store, &draft, NULL, sim, &err), err);
  for (int i = 0; i < 2; i++) {
    snprintf(
      spec, sizeof spec,
      "{\"labeller\": {\"kind\": \"simulator\", \"simulator\": \"%s\", \"restarts\": 2, " NET(
        400) "}}",
      i ? sim : "hopper");
    workers_submit(store, dataset, FLOW_LABEL, spec, id);
    run(id);
    CU_ASSERT_STRING_EQUAL(
      db_sql("select verified_n > 0.95 * known_n from label_sets where job_id = '%s'", id), "t");
    digests_of(id, digests[i]);
  }
  CU_ASSERT_EQUAL(strlen(digests[0]), 128);
  CU_ASSERT_STRING_EQUAL(digests[0], digests[1]);
}

CU_MAIN("inverse_net", T(the_net_s_labels_are_the_simulator_s_with_their_residuals),
        T(known_actions_judge_the_net), T(a_training_that_was_killed_gives_the_same_bytes),
        T(a_user_s_model_is_inverted_as_the_same_one_built_in))
