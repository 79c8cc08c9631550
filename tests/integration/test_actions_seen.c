/* SPDX-License-Identifier: Apache-2.0 */
/* Which actions reach what, by real workers on a real database: hidden ones nothing but the
 * comparison with them, known ones model and policies, in trajectories that have only some too. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/flow/algos.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

static struct store *store;
static void open_store(void) {
  workers_end_all();
  if (!store) store = db_test_open("test_actions_seen");
  db_sql("delete from datasets");
}

/* ---- what hidden actions reach */

/* {"policies": [...]}: every algorithm for this kind of actions, with a few updates; with bc labels
 * are compared too. */
static void every_algorithm(bool discrete, char out[1024]) {
  size_t used = (size_t)snprintf(out, 1024, "\"policies\": [");
  for (const struct flow_field *one = flow_algos; one->name; one++)
    if (flow_algo_learns(one->name, discrete))
      used += (size_t)snprintf(out + used, 1024 - used,
                               "%s{\"algo\": \"%s\", \"updates\": 20, \"batch\": 16%s}",
                               out[used - 1] == '[' ? "" : ", ", one->name,
                               strcmp(one->name, "bc") == 0 ? "" : ", \"labels\": \"all\"");
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
    if (skip)
      while (i + skip < n && isalnum((unsigned char)bytes[i + skip])) skip++;
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

static enum px_status put_labels(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                 struct px_err *err) {
  (void)seq, (void)err;
  return px_buf_put(ctx, bytes, n);
}

/* Takes out of a document what was compared with the truth, what an oracle came to, and how long it
 * took. */
static void blind(json_t *document) {
  static const char *const COMPARED[] = {
    "seconds", "held_out", "held_out_action_mse", "held_out_action_accuracy", "oracle", "gap"
  };
  static const char *const OF_LABELS[] = { "mse",           "r2",          "r2_per_dim",
                                           "nll",           "coverage",    "inside",
                                           "outside",       "yardsticks",  "bias_share",
                                           "lean",          "accuracy",    "accuracy_per_class",
                                           "cross_entropy", "score_right", "score_wrong" };
  const char *key;
  json_t *part, *label = json_object_get(document, "label");
  void *next;
  size_t i;
  for (size_t k = 0; k < sizeof COMPARED / sizeof *COMPARED; k++)
    json_object_del(document, COMPARED[k]);
  for (size_t k = 0; label && k < sizeof OF_LABELS / sizeof *OF_LABELS; k++)
    json_object_del(label, OF_LABELS[k]);
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
  snprintf(job, sizeof job, "%s",
           db_sql("select id from jobs where parent_id = '%s' and name = '%s'", pipeline, name));
  json_t *result = workers_result(store, job);
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
  return strdup(
    db_sql("select string_agg(name, e'\n' order by name) from jobs where parent_id = '%s'",
           pipeline));
}

/* Both pipelines gave the same bytes, but for what was compared with the truth; oracles saw it and
 * differ. */
static void expect_the_same(char id[2][STORE_ID_MAX]) {
  char *names = names_of(id[0]), *rest = names;
  int same = 0, other = 0;
  for (const char *name; (name = strsep(&rest, "\n"));) {
    struct px_buf found[2] = { PX_BUF(128 << 20), PX_BUF(128 << 20) };
    const bool oracle = strstr(name, "/oracle/") != NULL;
    for (int i = 0; i < 2; i++) put_job(&found[i], id[i], name);
    const bool equal =
      found[0].len == found[1].len && memcmp(found[0].data, found[1].data, found[0].len) == 0;
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
static bool known_partly(int trajectory, int t) {
  return trajectory % 3 == 0 || (t + trajectory) % 5 < 2;
}

static void hidden_actions_reach_nothing(bool discrete, bool (*known)(int, int),
                                         const char *judge) {
  open_store();
  char id[2][STORE_ID_MAX], policies[1024], spec[2048], name[32];
  every_algorithm(discrete, policies);
  /* The bottom half keeps its labels; what flips is above. Self-training is among what may not see
   * it. */
  snprintf(spec, sizeof spec,
           "{\"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 50}, \"idm\": {\"members\": "
           "2, \"steps\": 60,"
           " \"validate_every\": 20, \"hidden\": 16, \"layers\": 1, \"batch\": 32, \"rounds\": 1}, "
           "\"ope\": {\"updates\": 20,"
           " \"hidden\": 16}, %s, \"evaluation\": \"%s\", \"episodes\": 2, \"baselines\": "
           "[\"labelled_only\", \"oracle\"]}",
           policies, judge);
  for (int flip = 0; flip < 2; flip++) {
    const struct workers_world world = {
      .trajectories = 40, .flip = flip, .reward_scale = 1, .discrete = discrete, .known = known
    };
    char dataset[STORE_ID_MAX];
    snprintf(name, sizeof name, "hidden %d", flip);
    snprintf(dataset, sizeof dataset, "%s", workers_dataset_of(store, name, &world));
    workers_submit(store, dataset, FLOW_PIPELINE, spec, id[flip]);
  }
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  for (int i = 0; i < 2; i++)
    workers_await("succeeded", 800, "select state from jobs where id = '%s'", id[i]);
  workers_end(one, SIGTERM);
  workers_end(two, SIGTERM);
  expect_the_same(id);
}

static void hidden_actions_reach_nothing_of_continuous_ones(void) {
  hidden_actions_reach_nothing(false, known_partly, "ope");
}
static void hidden_actions_reach_nothing_of_discrete_ones(void) {
  hidden_actions_reach_nothing(true, NULL, "both");
}

/* ---- true actions of partly labelled trajectories */

static bool all_but_one(int trajectory, int t) {
  (void)trajectory;
  return t != 7;
}
static bool all_but_the_last(int trajectory, int t) {
  (void)trajectory;
  return t + 1 < WORKERS_STEPS;
}
static bool every_tenth(int trajectory, int t) {
  (void)trajectory;
  return t % 10 == 3;
}
static bool stretches(int trajectory, int t) { return t / 10 % 2 == trajectory % 2; }
static bool one_in_some(int trajectory, int t) {
  return trajectory < 2 || (trajectory < 6 && t == 20);
}

/* The numbers of known actions, `learnable` of which have a known next state, are what IDM and
 * policies learned from. */
static void expect_all_learned_by(const char *policies, const struct workers_world *world,
                                  const char *mask, long long learnable, long long hidden) {
  char dataset[STORE_ID_MAX], id[STORE_ID_MAX], spec[2048];
  open_store();
  snprintf(dataset, sizeof dataset, "%s", workers_dataset_of(store, "partly", world));
  snprintf(spec, sizeof spec,
           "{%s \"idm\": {\"members\": 2, \"steps\": 40, \"validate_every\": 20, \"hidden\": 16, "
           "\"layers\": 1,"
           " \"batch\": 32}, \"evaluation\": \"none\", \"baselines\": [\"labelled_only\"], %s}",
           mask, policies);
  workers_submit(store, dataset, FLOW_PIPELINE, spec, id);
  const pid_t one = workers_start(NULL), two = workers_start(NULL);
  workers_await("succeeded", 800, "select state from jobs where id = '%s'", id);
  workers_end(one, SIGTERM);
  workers_end(two, SIGTERM);
#define OF(kind, number, like) \
  "select min((result->>'" number "')::bigint) || ' ' || max((result->>'" number "')::bigint)" \
  " from jobs where parent_id = '%s' and kind = '" kind "' and name like '" like "'"
  char expected[64];
  snprintf(expected, sizeof expected, "%lld %lld", learnable, learnable);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select min(n) || ' ' || max(n) from (select (result->>'train_transitions')::bigint"
           " + (result->>'val_transitions')::bigint n from jobs where parent_id = '%s' and kind = "
           "'train_idm') m",
           id),
    expected);
  CU_ASSERT_STRING_EQUAL(db_sql(OF("train_policy", "true_transitions", "train/%%"), id), expected);
  CU_ASSERT_STRING_EQUAL(db_sql(OF("train_policy", "proxy_transitions", "train/labelled_only/%%"),
                                id),
                         "0 0");
  const long long transitions =
    (long long)world->trajectories * (WORKERS_STEPS - (world->without_final ? 1 : 0));
  snprintf(expected, sizeof expected, "%lld %lld", transitions - learnable,
           transitions - learnable);
  CU_ASSERT_STRING_EQUAL(db_sql(OF("train_policy", "proxy_transitions", "train/ss/%%"), id),
                         expected);
#undef OF
  json_t *report = workers_result(store, id), *label = json_object_get(report, "label");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(label, "basis")),
                         hidden ? "hidden" : "held_out");
  /* each in one fold */
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(label, "transitions")),
                  hidden ? hidden : learnable);
  const json_t *run;
  size_t i;
  json_array_foreach(json_object_get(report, "runs"), i, run) {
    const bool ss = strcmp(json_string_value(json_object_get(run, "variant")), "ss") == 0;
    const double all = (double)(ss ? transitions : learnable);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(run, "true_transitions")), learnable);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(run, "proxy_transitions")),
                    ss ? transitions - learnable : 0);
    CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(run, "true_share")),
                           (double)learnable / all, 1e-12);
  }
  CU_ASSERT_TRUE(i > 0);
  json_decref(report);
}

static void expect_all_learned(const struct workers_world *world, const char *mask,
                               long long learnable, long long hidden) {
  expect_all_learned_by(
    "\"policies\": [{\"algo\": \"bc\", \"updates\": 10}, {\"algo\": \"dt\", \"updates\": 10, "
    "\"batch\": 8},"
    " {\"algo\": \"rebrac\", \"updates\": 10, \"batch\": 16, \"top_percent\": 100}]",
    world, mask, learnable, hidden);
}

static void every_known_action_trains_model_and_policies(void) {
  enum { N = 20, ALL = N * WORKERS_STEPS };
  const struct workers_world one_missing = { .trajectories = N,
                                             .reward_scale = 1,
                                             .known = all_but_one };
  expect_all_learned(&one_missing, "", ALL - N, 0);
  const struct workers_world last_missing = { .trajectories = N,
                                              .reward_scale = 1,
                                              .known = all_but_the_last };
  expect_all_learned(&last_missing, "", ALL - N, 0);
  /* As many states as actions, the last of which is missing: a robot's log. */
  const struct workers_world logged = {
    .trajectories = N, .reward_scale = 1, .known = all_but_the_last, .without_final = true
  };
  expect_all_learned(&logged, "", ALL - N, 0);
  const struct workers_world few = { .trajectories = N, .reward_scale = 1, .known = one_in_some };
  expect_all_learned(&few, "", 2 * WORKERS_STEPS + 4, 0);
  const struct workers_world alone = { .trajectories = 1, .reward_scale = 1, .known = every_tenth };
  expect_all_learned(&alone, "", WORKERS_STEPS / 10, 0);
  const struct workers_world classes = {
    .trajectories = N, .reward_scale = 1, .known = stretches, .discrete = true
  };
  expect_all_learned_by("\"policies\": [{\"algo\": \"bc\", \"updates\": 10}, {\"algo\": \"dt\", "
                        "\"updates\": 10, \"batch\": 8},"
                        " {\"algo\": \"cql\", \"updates\": 10, \"batch\": 16}]",
                        &classes, "", ALL / 2, 0);
}

/* A mask takes whole trajectories of those with any known action; nothing else is called hidden. */
static void a_mask_hides_known_actions_of_whole_trajectories(void) {
  enum { N = 20 };
  const struct workers_world sparse = { .trajectories = N,
                                        .reward_scale = 1,
                                        .known = every_tenth };
  expect_all_learned(&sparse, "\"mask\": {\"protocol\": \"coupled\", \"p\": 25, \"q\": 50},", 5 * 4,
                     15 * 4);
  const struct workers_world cut = { .trajectories = N, .reward_scale = 1, .known = stretches };
  expect_all_learned(&cut, "\"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 100},", 10 * 20,
                     10 * 20);
}

CU_MAIN("actions_seen", T(hidden_actions_reach_nothing_of_continuous_ones),
        T(hidden_actions_reach_nothing_of_discrete_ones),
        T(every_known_action_trains_model_and_policies),
        T(a_mask_hides_known_actions_of_whole_trajectories))
