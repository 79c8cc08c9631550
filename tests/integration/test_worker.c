/* Real workers on a real database: a whole pipeline, and what happens when they
 * are killed, stopped, drained or told to cancel. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/scratch.h"
#include "lib/flow/algos.h"
#include "lib/store/results.h"
#include "tests/support/workers.h"

#define QUICK_IDM "\"idm\": {\"members\": 2, \"steps\": 400, \"validate_every\": 50, \"hidden\": 32, \"layers\": 1, \"batch\": 64}"
#define QUICK "\"mask\": {\"protocol\": \"coupled\", \"p\": 30, \"q\": 60}, " QUICK_IDM
#define POLICY "\"assess\": {\"updates\": 60, \"hidden\": 16}, \"policies\": [{\"algo\": \"td3bc\", \"updates\": 60, \"hidden\": 16, \"batch\": 32}]"
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

static json_t *result_of(const char *job) {
  struct px_buf text = PX_BUF(4 << 20);
  struct px_err err;
  CU_OK(store_job_result(store, job, &text, &err), err);
  json_t *json = json_loads(text.data, 0, NULL);
  px_buf_free(&text);
  return json;
}

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
  workers_submit(store, dataset, FLOW_PIPELINE, "{" QUICK ", " POLICY ", \"baselines\": [\"labelled_only\", \"oracle\"]}", id);
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_EQUAL(workers_end(one, SIGTERM), 0);
  CU_ASSERT_EQUAL(workers_end(two, SIGTERM), 0);
  json_t *report = result_of(id);
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_object_get(report, "label"), "basis")), "hidden");
  CU_ASSERT(number_at(report, "label", "r2", NULL) > 0.8);
  const json_t *yardsticks = json_object_get(json_object_get(report, "label"), "yardsticks");
  CU_ASSERT(number_at(report, "label", "mse", NULL) < number_at(yardsticks, "mean", "mse", NULL));
  CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "runs")), 3);
  json_decref(report);
  CU_ASSERT_STRING_EQUAL(db_sql("select label_set_id is not null from datasets where id = '%s'", dataset), "t");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs where parent_id = '%s' and attempt <> 1", id), "0");
}

/* ---- what hidden actions reach */

/* {"policies": [...]}: every algorithm for this kind of actions, with a few updates. */
static void every_algorithm(bool discrete, char out[1024]) {
  size_t used = (size_t)snprintf(out, 1024, "\"policies\": [");
  for (const struct flow_field *one = flow_algos; one->name; one++)
    if (flow_algo_learns(one->name, discrete))
      used += (size_t)snprintf(out + used, 1024 - used, "%s{\"algo\": \"%s\", \"updates\": 20, \"batch\": 16}",
                               out[used - 1] == '[' ? "" : ", ", one->name);
  snprintf(out + used, 1024 - used, "]");
}

/* Appends the bytes without their ids, which no two jobs share. */
static void put_without_ids(struct px_buf *out, const char *bytes, size_t n) {
  static const char *const PREFIXES[] = { "job_", "mdl_", "ds_", "ls_" };
  for (size_t i = 0; i < n;) {
    size_t skip = 0;
    for (size_t k = 0; k < sizeof PREFIXES / sizeof *PREFIXES && !skip; k++) {
      const size_t length = strlen(PREFIXES[k]);
      if (n - i > length && memcmp(bytes + i, PREFIXES[k], length) == 0) skip = length;
    }
    if (skip) while (i + skip < n && isalnum((unsigned char)bytes[i + skip])) skip++;
    if (!skip) CU_ASSERT_EQUAL_FATAL(px_buf_put(out, bytes + i, 1), PX_OK);
    i += skip ? skip : 1;
  }
}

/* Appends one model: its header without ids, and all of its tensors. */
static void put_model(struct px_buf *out, const char *id) {
  struct px_buf bytes = PX_BUF(64 << 20);
  struct px_err err;
  uint64_t header;
  CU_OK(store_model_read(store, id, &bytes, &err), err);
  memcpy(&header, bytes.data, sizeof header);
  put_without_ids(out, bytes.data, 8 + header);
  CU_ASSERT_EQUAL(px_buf_put(out, bytes.data + 8 + header, bytes.len - 8 - header), PX_OK);
  px_buf_free(&bytes);
}

static enum px_status put_labels(void *ctx, uint32_t seq, const void *bytes, size_t n, struct px_err *err) {
  (void)seq, (void)err;
  return px_buf_put(ctx, bytes, n);
}

/* Takes out of a document what was compared with the truth, what an oracle came to, and how long it took. */
static void blind(json_t *document) {
  static const char *const COMPARED[] = { "seconds", "held_out", "held_out_action_mse", "held_out_action_accuracy", "oracle", "gap" };
  static const char *const OF_LABELS[] = { "mse", "r2", "r2_per_dim", "nll", "coverage", "inside", "outside", "yardsticks",
                                           "accuracy", "accuracy_per_class", "cross_entropy", "score_right", "score_wrong" };
  const char *key;
  json_t *part, *label = json_object_get(document, "label");
  void *next;
  size_t i;
  for (size_t k = 0; k < sizeof COMPARED / sizeof *COMPARED; k++) json_object_del(document, COMPARED[k]);
  for (size_t k = 0; label && k < sizeof OF_LABELS / sizeof *OF_LABELS; k++) json_object_del(label, OF_LABELS[k]);
  if (label) json_object_del(document, "warnings"); /* some are of that comparison */
  json_object_foreach_safe(document, next, key, part) blind(part);
  json_array_foreach(document, i, part) {
    const char *variant = json_string_value(json_object_get(part, "variant"));
    if (variant && strcmp(variant, "oracle") == 0) json_array_remove(document, i--);
    else blind(part);
  }
}

/* Appends all that the pipeline's job of this name gave: its result, its model, its labels. */
static void put_job(struct px_buf *out, const char *pipeline, const char *name) {
  char job[STORE_ID_MAX], id[STORE_ID_MAX];
  struct px_err err;
  snprintf(job, sizeof job, "%s", db_sql("select id from jobs where parent_id = '%s' and name = '%s'", pipeline, name));
  json_t *result = result_of(job);
  blind(result);
  char *text = json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS);
  put_without_ids(out, text, strlen(text));
  free(text);
  json_decref(result);
  if (strncmp(name, "idm/", 4) == 0 || strncmp(name, "train/", 6) == 0) {
    store_result_id("mdl", job, id);
    put_model(out, id);
  } else if (strcmp(name, "label") == 0) {
    store_result_id("ls", job, id);
    CU_OK(store_label_read(store, id, 0, 1, put_labels, out, &err), err);
  }
}

/* The names of the pipeline's jobs, one a line. */
static char *names_of(const char *pipeline) {
  return strdup(db_sql("select string_agg(name, e'\n' order by name) from jobs where parent_id = '%s'", pipeline));
}

/* Both pipelines gave the same bytes, but for what was compared with the truth; oracles saw it and differ. */
static void expect_the_same(char id[2][STORE_ID_MAX]) {
  char *names = names_of(id[0]), *rest = names;
  int same = 0, other = 0;
  for (const char *name; (name = strsep(&rest, "\n"));) {
    struct px_buf found[2] = { PX_BUF(128 << 20), PX_BUF(128 << 20) };
    const bool oracle = strstr(name, "/oracle/") != NULL;
    for (int i = 0; i < 2; i++) put_job(&found[i], id[i], name);
    const bool equal = found[0].len == found[1].len && memcmp(found[0].data, found[1].data, found[0].len) == 0;
    if (!oracle && !equal) printf("\n  hidden actions reach %s\n", name);
    if (!oracle) CU_ASSERT_TRUE(equal);
    if (!oracle) same++;
    else if (strncmp(name, "train/", 6) == 0) other += !equal;
    for (int i = 0; i < 2; i++) px_buf_free(&found[i]);
  }
  CU_ASSERT_TRUE(same > 20);
  CU_ASSERT_TRUE(other >= 5); /* so that the comparison is known to see a difference */
  free(names);
}

/* Two steps of five, another two in every trajectory; every third trajectory has all. */
static bool known_partly(int trajectory, int t) { return trajectory % 3 == 0 || (t + trajectory) % 5 < 2; }

static void hidden_actions_reach_nothing(bool discrete, bool (*known)(int, int), const char *judge) {
  open_store();
  char id[2][STORE_ID_MAX], policies[1024], spec[2048], name[32];
  every_algorithm(discrete, policies);
  /* The bottom half keeps its labels; what flips is above. Self-training is among what may not see it. */
  snprintf(spec, sizeof spec, "{\"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 50}, \"idm\": {\"members\": 2, \"steps\": 60,"
           " \"validate_every\": 20, \"hidden\": 16, \"layers\": 1, \"batch\": 32, \"rounds\": 1}, \"assess\": {\"updates\": 20,"
           " \"hidden\": 16}, %s, \"judge\": \"%s\", \"episodes\": 2, \"baselines\": [\"labelled_only\", \"oracle\"]}", policies, judge);
  for (int flip = 0; flip < 2; flip++) {
    const struct workers_world world = { .trajectories = 40, .flip = flip, .reward_scale = 1, .discrete = discrete, .known = known };
    char dataset[STORE_ID_MAX];
    snprintf(name, sizeof name, "hidden %d", flip);
    snprintf(dataset, sizeof dataset, "%s", workers_dataset_of(store, name, &world));
    workers_submit(store, dataset, FLOW_PIPELINE, spec, id[flip]);
  }
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  for (int i = 0; i < 2; i++) workers_await("succeeded", 300, "select state from jobs where id = '%s'", id[i]);
  workers_end(one, SIGTERM);
  workers_end(two, SIGTERM);
  expect_the_same(id);
}

static void hidden_actions_reach_nothing_of_continuous_ones(void) { hidden_actions_reach_nothing(false, known_partly, "assess"); }
static void hidden_actions_reach_nothing_of_discrete_ones(void) { hidden_actions_reach_nothing(true, NULL, "both"); }

/* ---- true actions of partly labelled trajectories */

static bool all_but_one(int trajectory, int t) { (void)trajectory; return t != 7; }
static bool all_but_the_last(int trajectory, int t) { (void)trajectory; return t + 1 < WORKERS_STEPS; }
static bool every_tenth(int trajectory, int t) { (void)trajectory; return t % 10 == 3; }
static bool stretches(int trajectory, int t) { return t / 10 % 2 == trajectory % 2; }
static bool one_in_some(int trajectory, int t) { return trajectory < 2 || (trajectory < 6 && t == 20); }

/* The numbers of known actions, `learnable` of which have a known next state, are what IDM and policies learned from. */
static void expect_all_learned_by(const char *policies, const struct workers_world *world, const char *mask, long long learnable,
                                  long long hidden) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX], spec[2048];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset_of(store, "partly", world));
  snprintf(spec, sizeof spec, "{%s \"idm\": {\"members\": 2, \"steps\": 40, \"validate_every\": 20, \"hidden\": 16, \"layers\": 1,"
           " \"batch\": 32}, \"judge\": \"none\", \"baselines\": [\"labelled_only\"], %s}", mask, policies);
  workers_submit(store, dataset, FLOW_PIPELINE, spec, id);
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  workers_await("succeeded", 300, "select state from jobs where id = '%s'", id);
  workers_end(one, SIGTERM);
  workers_end(two, SIGTERM);
#define OF(kind, number, like) "select min((result->>'" number "')::bigint) || ' ' || max((result->>'" number "')::bigint)" \
  " from jobs where parent_id = '%s' and kind = '" kind "' and name like '" like "'"
  char expected[64];
  snprintf(expected, sizeof expected, "%lld %lld", learnable, learnable);
  CU_ASSERT_STRING_EQUAL(db_sql("select min(n) || ' ' || max(n) from (select (result->>'train_transitions')::bigint"
                                " + (result->>'val_transitions')::bigint n from jobs where parent_id = '%s' and kind = 'train_idm') m", id),
                         expected);
  CU_ASSERT_STRING_EQUAL(db_sql(OF("train_policy", "true_transitions", "train/%%"), id), expected);
  CU_ASSERT_STRING_EQUAL(db_sql(OF("train_policy", "proxy_transitions", "train/labelled_only/%%"), id), "0 0");
  const long long transitions = (long long)world->trajectories * (WORKERS_STEPS - (world->without_final ? 1 : 0));
  snprintf(expected, sizeof expected, "%lld %lld", transitions - learnable, transitions - learnable);
  CU_ASSERT_STRING_EQUAL(db_sql(OF("train_policy", "proxy_transitions", "train/ss/%%"), id), expected);
#undef OF
  json_t *report = result_of(id), *label = json_object_get(report, "label");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(label, "basis")), hidden ? "hidden" : "held_out");
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(label, "transitions")), hidden ? hidden : learnable); /* each in one fold */
  json_decref(report);
}

static void expect_all_learned(const struct workers_world *world, const char *mask, long long learnable, long long hidden) {
  expect_all_learned_by("\"policies\": [{\"algo\": \"bc\", \"updates\": 10}, {\"algo\": \"dt\", \"updates\": 10, \"batch\": 8},"
                        " {\"algo\": \"rebrac\", \"updates\": 10, \"batch\": 16}]", world, mask, learnable, hidden);
}

static void every_known_action_trains_model_and_policies(void) {
  enum { N = 20, ALL = N * WORKERS_STEPS };
  const struct workers_world one_missing = { .trajectories = N, .reward_scale = 1, .known = all_but_one };
  expect_all_learned(&one_missing, "", ALL - N, 0);
  const struct workers_world last_missing = { .trajectories = N, .reward_scale = 1, .known = all_but_the_last };
  expect_all_learned(&last_missing, "", ALL - N, 0);
  /* As many states as actions, the last of which is missing: a robot's log. */
  const struct workers_world logged = { .trajectories = N, .reward_scale = 1, .known = all_but_the_last, .without_final = true };
  expect_all_learned(&logged, "", ALL - N, 0);
  const struct workers_world few = { .trajectories = N, .reward_scale = 1, .known = one_in_some };
  expect_all_learned(&few, "", 2 * WORKERS_STEPS + 4, 0);
  const struct workers_world alone = { .trajectories = 1, .reward_scale = 1, .known = every_tenth };
  expect_all_learned(&alone, "", WORKERS_STEPS / 10, 0);
  const struct workers_world classes = { .trajectories = N, .reward_scale = 1, .known = stretches, .discrete = true };
  expect_all_learned_by("\"policies\": [{\"algo\": \"bc\", \"updates\": 10}, {\"algo\": \"dt\", \"updates\": 10, \"batch\": 8},"
                        " {\"algo\": \"cql\", \"updates\": 10, \"batch\": 16}]", &classes, "", ALL / 2, 0);
}

/* A mask takes whole trajectories of those with any known action; nothing else is called hidden. */
static void a_mask_hides_known_actions_of_whole_trajectories(void) {
  enum { N = 20 };
  const struct workers_world sparse = { .trajectories = N, .reward_scale = 1, .known = every_tenth };
  expect_all_learned(&sparse, "\"mask\": {\"protocol\": \"coupled\", \"p\": 25, \"q\": 50},", 5 * 4, 15 * 4);
  const struct workers_world cut = { .trajectories = N, .reward_scale = 1, .known = stretches };
  expect_all_learned(&cut, "\"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 100},", 10 * 20, 10 * 20);
}

static void killed_worker_s_job_runs_elsewhere_and_the_pipeline_completes(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "killed", 30, 0, 1));
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" QUICK ", \"judge\": \"none\", \"policies\": [{\"algo\": \"td3bc\", \"updates\": 6000, \"hidden\": 64}]}", id);
  pid_t one = workers_start(NULL);
  workers_await("t", 30, "select count(*) > 0 from jobs where parent_id = '%s' and kind = 'train_policy' and step > 0"
                " and state = 'running'", id);
  CU_ASSERT_EQUAL(workers_end(one, SIGKILL), -SIGKILL);
  const double killed = px_clock_s();
  one = workers_start(NULL);
  workers_await("2", 10, "select max(epoch) from jobs where parent_id = '%s'", id);
  /* Lease 1.5 s, reaper 0.2 s, and a second. */
  CU_ASSERT(px_clock_s() - killed < 2.7);
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events e join jobs j on j.id = e.job_id where j.parent_id = '%s'"
                                " and e.reason = 'worker_lost' and e.to_state = 'ready'", id), "1");
  workers_end(one, SIGTERM);
}

static void stopped_worker_wakes_up_fenced(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("stopped", NULL, id);
  const pid_t two = lose_to_another(one, id);
  workers_await("0", 10, "select count(*) from pg_stat_activity where application_name = 'px %s 1'", id);
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
  CU_ASSERT_STRING_EQUAL(db_sql("select state || attempt || lost_leases from jobs where id = '%s'", id), "ready00");
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
  workers_await("child_crashed", 1, "select reason from job_events where job_id = '%s' and to_state = 'ready'"
                " and reason is not null", id);
  workers_await("t", 10, "select state = 'running' and epoch = 2 and lost_leases = 0 from jobs where id = '%s'", id);
  cancel(id);
  workers_end(one, SIGTERM);
}

static void child_without_progress_is_stopped_and_its_job_tried_again(void) {
  char id[STORE_ID_MAX];
  const pid_t one = training("hanging", (const char *const[]){ "--stall-ms=1000", "--lease-ms=600000", NULL }, id);
  /* Heartbeats go on meanwhile: only its silence tells. */
  kill(workers_child(one), SIGSTOP);
  workers_await("timeout", 30, "select reason from job_events where job_id = '%s' and to_state = 'ready' and reason is not null", id);
  workers_await("t", 20, "select state = 'running' and epoch > 1 and lost_leases = 0 from jobs where id = '%s'", id);
  cancel(id);
  workers_end(one, SIGTERM);
}

/* A wake-up may be lost (Redis was restarted, say): the database is asked anyhow, from time to time. */
static void a_job_that_woke_nobody_is_found(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "unheard", 10, 0, 1));
  const pid_t one = workers_start((const char *const[]){ "--reap-ms=600000", NULL });
  /* It has asked once and sleeps. */
  workers_await("1", 20, "select count(*) from pg_stat_activity where application_name like '%%:%d:%%' and state = 'idle'"
                " and query like '%%skip locked%%' and query like '%%kind = any%%'", (int)one);
  workers_submit(store, dataset, FLOW_EXPORT, "{\"format\": \"jsonl\"}", id);
  workers_await("succeeded", 30, "select state from jobs where id = '%s'", id);
  workers_end(one, SIGTERM);
}

static void bad_input_is_never_retried_and_names_its_place(void) {
  open_store();
  char dataset[STORE_ID_MAX], train[STORE_ID_MAX], evaluate[STORE_ID_MAX], model[STORE_ID_MAX], spec[128];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "bad", 10, 0, 1));
  workers_submit(store, dataset, FLOW_TRAIN_POLICY, "{\"policy\": {\"algo\": \"bc\", \"updates\": 5}}", train);
  store_result_id("mdl", train, model);
  snprintf(spec, sizeof spec, "{\"model\": \"%s\", \"env\": \"hopper\"}", model);
  workers_submit(store, dataset, FLOW_EVALUATE, spec, evaluate);
  const pid_t one = workers_start(NULL);
  workers_await("failed", 20, "select state from jobs where id = '%s'", evaluate);
  CU_ASSERT_STRING_EQUAL(db_sql("select attempt || reason from jobs where id = '%s'", evaluate), "1bad_field");
  CU_ASSERT_PTR_NOT_NULL(strstr(db_sql("select error::text from jobs where id = '%s'", evaluate), "11 observation"));
  workers_end(one, SIGTERM);
}

static void divergence_fails_with_nan_loss_and_fails_what_waits(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "diverging", 20, 0, 1e30f));
  workers_submit(store, dataset, FLOW_PIPELINE,
                 "{" QUICK_IDM ", \"judge\": \"none\", \"policies\": [{\"algo\": \"td3bc\", \"updates\": 20000, \"hidden\": 16}]}", id);
  const pid_t one = workers_start(NULL);
  workers_await("failed", 60, "select state from jobs where id = '%s'", id);
  CU_ASSERT_STRING_EQUAL(db_sql("select reason from jobs where parent_id = '%s' and kind = 'train_policy'", id), "nan_loss");
  CU_ASSERT_STRING_EQUAL(db_sql("select reason from jobs where id = '%s'", id), "dependency_failed");
  CU_ASSERT_PTR_NOT_NULL(strstr(db_sql("select error::text from jobs where id = '%s'", id), "train_policy"));
  workers_end(one, SIGTERM);
}

static void everything_completes_without_redis(void) {
  open_store();
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX];
  snprintf(dataset, sizeof dataset, "%s", workers_dataset(store, "no redis", 20, 0, 1));
  workers_submit(store, dataset, FLOW_PIPELINE, "{" QUICK_IDM ", " POLICY "}", id);
  const pid_t one = workers_start((const char *const[]){ "--redis-url=unix:///nowhere/redis.sock", NULL });
  workers_await("succeeded", 60, "select state from jobs where id = '%s'", id);
  json_t *report = result_of(id);
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_object_get(report, "label"), "basis")), "held_out");
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
    if (px_scratch_open(home, &scratch, NULL) || write(pipe_fds[1], scratch.path, sizeof scratch.path) < 0) _exit(1);
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

CU_MAIN("worker", T(pipeline_goes_from_trajectories_to_report), T(hidden_actions_reach_nothing_of_continuous_ones),
        T(hidden_actions_reach_nothing_of_discrete_ones), T(every_known_action_trains_model_and_policies),
        T(a_mask_hides_known_actions_of_whole_trajectories),
        T(killed_worker_s_job_runs_elsewhere_and_the_pipeline_completes), T(stopped_worker_wakes_up_fenced),
        T(a_process_that_hangs_ends_when_its_job_is_lost),
        T(drained_worker_gives_its_job_back_unspent), T(cancel_reaches_a_running_job),
        T(crashed_child_is_reported_at_once_and_tried_again), T(child_without_progress_is_stopped_and_its_job_tried_again),
        T(a_job_that_woke_nobody_is_found), T(bad_input_is_never_retried_and_names_its_place),
        T(divergence_fails_with_nan_loss_and_fails_what_waits), T(everything_completes_without_redis),
        T(exports_leave_an_artifact), T(files_of_a_killed_worker_are_removed))
