/* SPDX-License-Identifier: Apache-2.0 */
/* lib/flow: spec tables and the expansion of pipelines. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/algos.h"
#include "lib/flow/envs.h"
#include "lib/flow/names.h"
#include "lib/flow/plan.h"
#include "lib/flow/simulators.h"
#include "tests/support/cu.h"

static int next_id;
static void numbered_id(char id[FLOW_ID_MAX]) { snprintf(id, FLOW_ID_MAX, "job_%05d", next_id++); }

static struct flow_snapshot snapshot(void) {
  next_id = 0;
  return (struct flow_snapshot){ .segments_n = 10,
                                 .trajectories_n = 100,
                                 .labelled_trajectories_n = 100,
                                 .whole_trajectories_n = 100,
                                 .env = "hopper",
                                 .obs_dim = 11,
                                 .act_dim = 3,
                                 .new_id = numbered_id };
}

static enum px_status plan_of(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                              struct flow_plan *plan, struct px_err *err) {
  json_t *json = json_loads(spec, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  const enum px_status status = flow_plan(kind, json, s, plan, err);
  json_decref(json);
  return status;
}

static int count(const struct flow_plan *plan, enum flow_kind kind) {
  int n = 0;
  for (size_t i = 0; i < plan->n; i++) n += plan->jobs[i].kind == kind;
  return n;
}

static const struct flow_job *named(const struct flow_plan *plan, const char *name) {
  for (size_t i = 0; i < plan->n; i++)
    if (strcmp(plan->jobs[i].name, name) == 0) return &plan->jobs[i];
  return NULL;
}

static bool needs(const struct flow_job *job, const struct flow_job *other) {
  for (size_t i = 0; i < job->needs_n; i++)
    if (strcmp(job->needs[i], other->id) == 0) return true;
  return false;
}

#define DS "\"dataset\": \"ds_00000000000000000001\""

static void names_are_what_can_be_seen(void) {
  static const char *const GOOD[] = { "a",
                                      "hopper medium v2",
                                      "\xc3\xa9t\xc3\xa9",
                                      "\xe6\x95\xb0\xe6\x8d\xae",
                                      "10%bc",
                                      "\xf0\x9f\xa4\x96",
                                      "..a" };
  static const char *const BAD[] = { "",
                                     " ",
                                     "a ",
                                     " a",
                                     "a\nb",
                                     "\x1b[2J",
                                     "a\x7f",
                                     "\xc2\x85",
                                     ("\xe2\x80\xae"
                                      "gpj.exe"),
                                     "a\xe2\x80\x8b",
                                     ("\xef\xbb\xbf"
                                      "a"),
                                     "\xc2\xa0",
                                     "\xff",
                                     "\xc0\xaf",
                                     "\xed\xa0\x80",
                                     "\xf5\x80\x80\x80",
                                     "\xc3" };
  for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
    CU_ASSERT_PTR_NULL(flow_name_fault(GOOD[i], 200));
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_PTR_NOT_NULL(flow_name_fault(BAD[i], 200));
  CU_ASSERT_EQUAL(flow_name_length("\xf0\x9f\xa4\x96\xc3\xa9"), 2);
  CU_ASSERT_PTR_NULL(flow_name_fault("\xc3\xa9\xc3\xa9", 2));
  CU_ASSERT_PTR_NOT_NULL(flow_name_fault("\xc3\xa9\xc3\xa9", 1));
}

static void datasets_are_not_named_like_paths_or_ids(void) {
  static const char *const BAD[] = {
    ".", "..", "a/b", "/", "ds_0123456789abcdef0123", "ds_a", "\t"
  };
  static const char *const GOOD[] = { "...", "ds_", "ds", "DS_1", "ds_A", "ds_0123-a", "a.b" };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
    CU_ASSERT_PTR_NOT_NULL(flow_name_dataset_fault(BAD[i], 200));
  for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
    CU_ASSERT_PTR_NULL(flow_name_dataset_fault(GOOD[i], 200));
}

static void every_default_satisfies_its_own_bounds(void) {
  for (int kind = 0; kind < FLOW_KIND_N; kind++)
    for (const struct flow_field *f = flow_kind_info((enum flow_kind)kind)->fields; f->name; f++) {
      if (!f->initial || strcmp(f->initial, "!") == 0) continue;
      struct flow_field alone[2] = { *f, { .name = NULL } };
      json_t *empty = json_object(), *out = NULL;
      struct px_err err;
      CU_OK(flow_fields_check(alone, empty, "", &out, &err), err);
      CU_ASSERT_PTR_NOT_NULL(json_object_get(out, f->name));
      json_decref(out);
      json_decref(empty);
    }
}

/* What a spec may hold: names, types and words. Defaults are filled in at submission, and bounds
 * and help change nothing. Revisions count environments and algorithms, whose options are looked at
 * one by one. */
static void describe(const struct flow_field *fields, struct px_buf *out) {
  for (const struct flow_field *f = fields; f && f->name; f++) {
    char line[64];
    snprintf(line, sizeof line, " %d ", (int)f->type);
    CU_ASSERT_EQUAL(px_buf_put(out, f->name, strlen(f->name)) ||
                      px_buf_put(out, line, strlen(line)),
                    0);
    if (f->words && f->words != FLOW_ENVS)
      CU_ASSERT_EQUAL(px_buf_put(out, f->words, strlen(f->words)), 0);
    CU_ASSERT_EQUAL(px_buf_put(out, "{", 1), 0);
    if (f->sub != flow_algos) describe(f->sub, out);
    CU_ASSERT_EQUAL(px_buf_put(out, "}", 1), 0);
  }
}

static void fingerprint(const struct flow_field *fields, char hex[PX_SHA256_HEX]) {
  struct px_buf text = PX_BUF(1 << 20);
  uint8_t digest[PX_SHA256_BYTES];
  describe(fields, &text);
  px_digest_sha256(text.data, text.len, digest);
  px_text_hex(digest, 8, hex);
  px_buf_free(&text);
}

/* A kind's revision without the rows that it counts. */
static int own_revision(enum flow_kind kind) {
  int algos = 0, envs = 0;
  size_t len;
  while (flow_algos[algos].name) algos++;
  while (flow_field_word_at(FLOW_ENVS, (size_t)envs, &len)) envs++;
  const bool plays = kind == FLOW_EVALUATE || kind == FLOW_REPORT;
  return flow_kind_info(kind)->revision - (kind == FLOW_TRAIN_POLICY ? algos : plays ? envs : 0);
}

/* Builds of before leave a job of a later revision alone; one whose fields changed under the same
 * revision they would run, and not see what is new in it. */
static void a_spec_that_changes_gets_a_revision_of_its_own(void) {
  static const struct {
    int revision;
    const char *fields;
  } KNOWN[FLOW_KIND_N] = {
    [FLOW_INGEST] = { 0, "581329b7003824f4" },
    [FLOW_TRAIN_IDM] = { 0, "8d08ec39385d02be" },
    [FLOW_LABEL_SHARD] = { 0, "c54d2d80cfa2794a" },
    [FLOW_SIMULATE_SHARD] = { 0, "7048003e109972b9" },
    [FLOW_CHECK_SIMULATOR] = { 0, "2541b0a32d12d42f" },
    [FLOW_TRAIN_INVERSE] = { 0, "302fffd753938297" },
    [FLOW_LABEL] = { 0, "b33f96561feb0407" },
    [FLOW_TRAIN_POLICY] = { 2, "dad49c5db438ce31" },
    [FLOW_EVALUATE] = { 0, "dbeada474f0e3909" },
    [FLOW_OPE] = { 0, "dfa37655217fb1cb" },
    [FLOW_REHEARSE] = { 0, "ba91be5a3acf362a" },
    [FLOW_REPORT] = { 0, "ebd61b825cff8340" },
    [FLOW_EXPORT] = { 1, "962ed2fae2572c52" },
  };
  for (int kind = 0; kind < FLOW_KIND_N; kind++) {
    const struct flow_kind_info *info = flow_kind_info((enum flow_kind)kind);
    if (kind == FLOW_PIPELINE) continue; /* no worker runs it */
    char hex[PX_SHA256_HEX];
    fingerprint(info->fields, hex);
    const char *known = KNOWN[kind].fields ? KNOWN[kind].fields : "";
    const bool same =
      strcmp(known, hex) == 0 && KNOWN[kind].revision == own_revision((enum flow_kind)kind);
    CU_ASSERT(same);
    if (!same)
      printf("\n  The spec of %s changed: raise its revision in schema/kinds.def, and put { %d, "
             "\"%s\" } here.\n",
             info->name, own_revision((enum flow_kind)kind), hex);
  }
}

static void options_that_change_raise_the_revision_of_trainings(void) {
  static const struct {
    const char *algo, *options;
  } KNOWN[] = {
    { "td3bc", "f700275afd58438d" }, { "cql", "ee7193f1a47c89ce" },
    { "bc", "717e03c56ad16965" },    { "10%bc", "717e03c56ad16965" },
    { "iql", "1045c5d35eb8268d" },   { "rebrac", "01db818aa8bf8df7" },
    { "awac", "0beb8c9149cf1ef7" },  { "dt", "57fd1c0142321a89" },
  };
  for (const struct flow_field *algo = flow_algos; algo->name; algo++) {
    char hex[PX_SHA256_HEX];
    size_t i = 0;
    fingerprint(algo->sub, hex);
    while (i < sizeof KNOWN / sizeof *KNOWN && strcmp(KNOWN[i].algo, algo->name) != 0) i++;
    const bool same = i < sizeof KNOWN / sizeof *KNOWN && strcmp(KNOWN[i].options, hex) == 0;
    CU_ASSERT(same);
    if (!same)
      printf("\n  The options of %s changed: raise the revision of train_policy in "
             "schema/kinds.def, unless it is new, and put { \"%s\", \"%s\" } here.\n",
             algo->name, algo->name, hex);
  }
}

static void pipeline_expands_into_every_stage(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plan_of(FLOW_PIPELINE,
            "{" DS ", \"mask\": {\"protocol\": \"coupled\", \"p\": 10, \"q\": 50},"
            " \"policies\": [\"td3bc\", {\"algo\": \"bc\", \"updates\": 5}], \"seeds\": [0, 1, 2],"
            " \"baselines\": [\"labelled_only\", \"oracle\"]}",
            &s, &plan, &err),
    err);
  CU_ASSERT_EQUAL(plan.jobs[0].kind, FLOW_PIPELINE);
  CU_ASSERT_EQUAL(plan.jobs[0].needs_n, plan.n - 1);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_IDM), 5);
  CU_ASSERT_EQUAL(count(&plan, FLOW_LABEL_SHARD), 8);
  CU_ASSERT_EQUAL(count(&plan, FLOW_LABEL), 1);
  /* Of both, with each seed: all, confident and true actions alone (which is the baseline), and the
   * oracle. */
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_POLICY), 24);
  CU_ASSERT_EQUAL(count(&plan, FLOW_EVALUATE), 24 + 18); /* three choose between the labels */
  CU_ASSERT_EQUAL(count(&plan, FLOW_REPORT), 1);
  const struct flow_job *label = named(&plan, "label"), *ss = named(&plan, "train/ss/bc/2");
  CU_ASSERT(needs(label, named(&plan, "label/7")) && needs(label, named(&plan, "idm/4")));
  CU_ASSERT(needs(ss, label) && !needs(named(&plan, "train/oracle/bc/2"), label));
  CU_ASSERT(needs(named(&plan, "report"), named(&plan, "evaluate/oracle/td3bc/1")));
  flow_plan_free(&plan);
}

/* Where no simulator tells which labels are better, a rehearsal among the labelled trajectories
 * does. */
static void a_rehearsal_chooses_labels_without_a_simulator(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.env = "", s.whole_trajectories_n = 50;
  CU_OK(
    plan_of(
      FLOW_PIPELINE,
      "{" DS
      ", \"idm\": {\"k\": 2}, \"policies\": [\"bc\", {\"algo\": \"td3bc\", \"labels\": \"all\"}],"
      " \"baselines\": [\"labelled_only\"]}",
      &s, &plan, &err),
    err);
  const struct flow_job *rehearse = named(&plan, "rehearse");
  CU_ASSERT_EQUAL(count(&plan, FLOW_REHEARSE), 1);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_POLICY), 4);
  CU_ASSERT_PTR_NOT_NULL(strstr(rehearse->spec_json, "\"k\":2"));
  CU_ASSERT_EQUAL(rehearse->needs_n, 0);
  CU_ASSERT(needs(named(&plan, "train/ss/bc/0"), rehearse) &&
            needs(named(&plan, "report"), rehearse));
  CU_ASSERT(!needs(named(&plan, "train/ss/td3bc/0"), rehearse) &&
            !needs(named(&plan, "train/labelled_only/bc/0"), rehearse));
  flow_plan_free(&plan);
  CU_OK(plan_of(FLOW_PIPELINE, "{" DS ", \"policies\": [{\"algo\": \"bc\", \"labels\": \"all\"}]}",
                &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_REHEARSE), 0);
  flow_plan_free(&plan);
}

static json_t *run_of(const json_t *runs, const char *variant, const char *labels) {
  size_t i;
  json_t *run;
  json_array_foreach(runs, i, run) {
    const char *its = json_string_value(json_object_get(run, "labels"));
    if (strcmp(json_string_value(json_object_get(run, "variant")), variant) == 0 &&
        (labels ? its && strcmp(its, labels) == 0 : !its))
      return run;
  }
  return NULL;
}

static void labels_are_compared_where_a_simulator_can_tell(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plan_of(FLOW_PIPELINE,
                "{" DS ", \"mask\": \"coupled\", \"policies\": [\"bc\"], \"seeds\": [7],"
                " \"baselines\": [\"labelled_only\"]}",
                &s, &plan, &err),
        err);
  json_t *report = json_loads(named(&plan, "report")->spec_json, 0, NULL);
  const json_t *runs = json_object_get(report, "runs");
  CU_ASSERT_EQUAL(json_array_size(runs), 4);
  json_t *all = run_of(runs, "ss", "all"), *alone = run_of(runs, "ss", "true_only"),
         *base = run_of(runs, "labelled_only", NULL);
  CU_ASSERT_FATAL(all && alone && base && run_of(runs, "ss", "confident"));
  CU_ASSERT_TRUE(json_equal(json_object_get(alone, "model"), json_object_get(base, "model")));
  CU_ASSERT_TRUE(
    json_equal(json_object_get(alone, "evaluation"), json_object_get(base, "evaluation")));
  CU_ASSERT_PTR_NULL(json_object_get(base, "selection"));
  CU_ASSERT_PTR_NULL(strstr(named(&plan, "train/labelled_only/bc/7")->spec_json, "label_set"));
  CU_ASSERT_PTR_NOT_NULL(
    strstr(named(&plan, "train/ss/bc/7/confident")->spec_json, "\"labels\":\"confident\""));
  const struct flow_job *select = named(&plan, "select/ss/bc/7");
  /* other episodes than the final ones */
  CU_ASSERT_PTR_NOT_NULL(strstr(select->spec_json, "\"seed\":4503599627370503"));
  CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "evaluate/ss/bc/7")->spec_json, "\"seed\":7"));
  CU_ASSERT(needs(named(&plan, "report"), select));
  json_decref(report);
  flow_plan_free(&plan);
}

static void labels_of_a_simulator_are_compared_by_what_it_verified(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  CU_OK(
    plan_of(
      FLOW_PIPELINE,
      "{" DS
      ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"none\"}, \"policies\": [\"bc\"]}",
      &s, &plan, &err),
    err);
  /* there are no true actions to learn from alone */
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_POLICY), 2);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(named(&plan, "train/ss/bc/0/verified")->spec_json, "\"labels\":\"prefer_verified\""));
  flow_plan_free(&plan);
  s.env = "", s.labelled_trajectories_n = 50;
  CU_OK(plan_of(FLOW_PIPELINE,
                "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"hopper\"}, "
                "\"policies\": [\"bc\"]}",
                &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_REHEARSE), 0);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(named(&plan, "train/ss/bc/0/verified")->spec_json, "\"labels\":\"verified\""));
  flow_plan_free(&plan);
}

/* Labels that the user names, and data where nothing has to be chosen, are one run. */
static void labels_are_not_compared_without_need(void) {
  static const struct {
    const char *spec;
    uint64_t whole;
    const char *env, *says;
  } cases[] = {
    { "{" DS ", \"policies\": [{\"algo\": \"bc\", \"labels\": \"true_only\"}]}", 50, "hopper",
      "\"labels\":\"true_only\"" },
    { "{" DS ", \"policies\": [\"bc\"]}", 100, "hopper", "\"labels\":\"all\"" },
    { "{" DS ", \"policies\": [\"bc\"], \"evaluation\": \"none\"}", 100, "hopper",
      "\"labels\":\"all\"" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct flow_snapshot s = snapshot();
    struct flow_plan plan;
    struct px_err err;
    s.whole_trajectories_n = cases[i].whole, s.env = cases[i].env;
    CU_OK(plan_of(FLOW_PIPELINE, cases[i].spec, &s, &plan, &err), err);
    CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_POLICY), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "train/ss/bc/0")->spec_json, cases[i].says));
    flow_plan_free(&plan);
  }
}

static void a_model_without_a_profile_is_a_fast_one_and_says_all_it_uses(void) {
  static const struct {
    const char *given;
    int members;
    const char *says;
  } cases[] = {
    { ", \"idm\": {\"k\": 2}", 5, "\"k\":2" },
    { "", 5, "\"profile\":\"fast\"" },
    { ", \"idm\": \"paper\"", 1, "\"hidden\":1024" },
    { ", \"idm\": {\"profile\": \"paper\", \"members\": 3}", 3, "\"steps\":100000" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct flow_snapshot s = snapshot();
    struct flow_plan plan;
    struct px_err err;
    char text[200];
    snprintf(text, sizeof text, "{" DS "%s}", cases[i].given);
    CU_OK(plan_of(FLOW_PIPELINE, text, &s, &plan, &err), err);
    CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_IDM), cases[i].members);
    CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "idm/0")->spec_json, cases[i].says));
    flow_plan_free(&plan);
  }
}

static void discrete_actions_have_defaults_of_their_own(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.act_count = 4, s.act_dim = 1, s.env = "";
  static const char *const GIVEN[] = { "", ", \"idm\": \"paper\"",
                                       ", \"idm\": {\"k\": 2, \"head\": \"softmax\"}" };
  for (size_t i = 0; i < sizeof GIVEN / sizeof *GIVEN; i++) {
    char text[200];
    snprintf(text, sizeof text, "{" DS "%s}", GIVEN[i]);
    CU_OK(plan_of(FLOW_PIPELINE, text, &s, &plan, &err), err);
    const char *idm = named(&plan, "idm/0")->spec_json;
    CU_ASSERT_TRUE(strstr(idm, "\"head\":\"softmax\"") && strstr(idm, "\"mean_loss\":\"nll\""));
    CU_ASSERT_TRUE(strstr(idm, i == 1 ? "\"profile\":\"paper\"" : "\"profile\":\"fast\"") != NULL);
    CU_ASSERT_PTR_NOT_NULL(named(&plan, "train/ss/bc/0")); /* td3bc does not learn them */
    flow_plan_free(&plan);
  }
  CU_OK(plan_of(FLOW_TRAIN_IDM, "{" DS "}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"head\":\"softmax\""));
  flow_plan_free(&plan);
  CU_OK(plan_of(FLOW_TRAIN_POLICY, "{" DS "}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"algo\":\"bc\""));
  flow_plan_free(&plan);
  CU_OK(plan_of(FLOW_PIPELINE, "{" DS ", \"policies\": [\"iql\"]}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(named(&plan, "train/ss/iql/0"));
  flow_plan_free(&plan);
}

/* Hidden actions reach nothing but the oracle and the report. */
static void only_oracle_and_labels_go_without_the_mask(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plan_of(
      FLOW_PIPELINE,
      "{" DS
      ", \"mask\": {\"protocol\": \"coupled\"}, \"baselines\": [\"labelled_only\", \"oracle\"]}",
      &s, &plan, &err),
    err);
  CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "idm/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "train/ss/td3bc/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "train/labelled_only/td3bc/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NULL(strstr(named(&plan, "train/oracle/td3bc/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NULL(strstr(named(&plan, "train/oracle/td3bc/0")->spec_json, "label_set"));
  CU_ASSERT_PTR_NULL(strstr(named(&plan, "train/labelled_only/td3bc/0")->spec_json, "label_set"));
  flow_plan_free(&plan);
}

static void shards_cover_every_segment_once(void) {
  struct flow_snapshot s = snapshot();
  s.segments_n = 11;
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plan_of(FLOW_LABEL, "{" DS ", \"models\": [\"mdl_a\"], \"shards\": 4}", &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(plan.n, 5);
  int next = 0;
  for (size_t i = 1; i < plan.n; i++) {
    json_t *spec = json_loads(plan.jobs[i].spec_json, 0, NULL);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(spec, "first")), next);
    next += (int)json_integer_value(json_object_get(spec, "count"));
    json_decref(spec);
  }
  CU_ASSERT_EQUAL(next, 11);
  CU_ASSERT_STRING_EQUAL(plan.jobs[1].needs[0], "job_a");
  flow_plan_free(&plan);
}

static void a_simulator_labels_in_shards_of_its_own_after_a_check(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plan_of(FLOW_PIPELINE,
                "{" DS ", \"mask\": \"coupled\", \"labeller\": \"simulator\", \"shards\": 3}", &s,
                &plan, &err),
        err);
  const struct flow_job *check = named(&plan, "label/check"), *label = named(&plan, "label"),
                        *shard = named(&plan, "label/2");
  CU_ASSERT_EQUAL(count(&plan, FLOW_SIMULATE_SHARD), 3);
  CU_ASSERT_EQUAL(count(&plan, FLOW_LABEL_SHARD), 0);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_IDM), 5);
  CU_ASSERT(needs(shard, check) && needs(shard, named(&plan, "idm/4")) && needs(label, check) &&
            needs(label, shard));
  CU_ASSERT_PTR_NOT_NULL(strstr(check->spec_json, "coupled")); /* it sees no hidden action */
  CU_ASSERT_PTR_NOT_NULL(strstr(check->spec_json, "\"simulator\":\"hopper\""));
  CU_ASSERT_PTR_NULL(strstr(shard->spec_json, "coupled"));
  CU_ASSERT_PTR_NOT_NULL(strstr(shard->spec_json, "\"fallback\":\"idm\""));
  CU_ASSERT_PTR_NOT_NULL(strstr(shard->spec_json, "\"threshold\":0.0001"));
  flow_plan_free(&plan);
  CU_OK(plan_of(FLOW_LABEL, "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"restarts\": 2}}",
                &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(plan.jobs[0].kind, FLOW_LABEL);
  CU_ASSERT(needs(&plan.jobs[0], named(&plan, "label/check")) &&
            needs(named(&plan, "label/0"), named(&plan, "label/check")));
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"fallback\":\"none\""));
  flow_plan_free(&plan);
}

static void a_net_that_inverts_the_simulator_is_trained_once_between_check_and_shards(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plan_of(FLOW_PIPELINE,
                "{" DS ", \"mask\": \"coupled\", \"labeller\": {\"kind\": \"simulator\", \"net\": "
                "{\"pairs\": 1000}, \"seed\": 7},"
                " \"shards\": 3}",
                &s, &plan, &err),
        err);
  const struct flow_job *net = named(&plan, "label/net"), *check = named(&plan, "label/check");
  char id[64];
  snprintf(id, sizeof id, "\"inverse\":\"mdl_%s\"", strchr(net->id, '_') + 1);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_INVERSE), 1);
  CU_ASSERT_EQUAL(net->needs_n, 1);
  CU_ASSERT(needs(net, check));
  CU_ASSERT_PTR_NULL(strstr(net->spec_json, "mask")); /* it sees no action at all */
  CU_ASSERT_PTR_NOT_NULL(strstr(net->spec_json, "\"pairs\":1000,\"steps\":9000"));
  CU_ASSERT_PTR_NOT_NULL(strstr(net->spec_json, "\"seed\":7"));
  CU_ASSERT(net->cost.memory_bytes > check->cost.memory_bytes);
  for (int i = 0; i < 3; i++) {
    char name[16];
    snprintf(name, sizeof name, "label/%d", i);
    CU_ASSERT(needs(named(&plan, name), net));
    CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, name)->spec_json, id));
  }
  flow_plan_free(&plan);
  CU_OK(plan_of(FLOW_LABEL, "{" DS ", \"labeller\": \"simulator\"}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_INVERSE), 0); /* the solver needs none */
  flow_plan_free(&plan);
}

/* Nothing is solved, and no model is needed: the net labels. */
static void without_solving_a_net_labels(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  CU_OK(plan_of(FLOW_LABEL, "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"solve\": false}}",
                &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_INVERSE), 1);
  CU_ASSERT(needs(named(&plan, "label/0"), named(&plan, "label/net")));
  CU_ASSERT_EQUAL(named(&plan, "label/net")->needs_n, 0); /* nothing to check with */
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"pairs\":400000"));
  flow_plan_free(&plan);
  CU_OK(
    plan_of(FLOW_PIPELINE,
            "{" DS
            ", \"labeller\": {\"kind\": \"simulator\", \"solve\": false}, \"policies\": [\"bc\"]}",
            &s, &plan, &err),
    err);
  /* too few of its labels are verified */
  CU_ASSERT_PTR_NOT_NULL(named(&plan, "train/ss/bc/0/confident"));
  CU_ASSERT_PTR_NULL(named(&plan, "train/ss/bc/0/verified"));
  flow_plan_free(&plan);
}

static void a_simulator_needs_no_true_action(void) {
  struct flow_snapshot s = snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  CU_OK(plan_of(FLOW_PIPELINE, "{" DS ", \"labeller\": \"simulator\"}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_IDM), 0);
  CU_ASSERT_EQUAL(count(&plan, FLOW_CHECK_SIMULATOR), 0); /* nothing to check with */
  CU_ASSERT_EQUAL(count(&plan, FLOW_SIMULATE_SHARD), 8);
  CU_ASSERT_PTR_NULL(strstr(named(&plan, "report")->spec_json, "models"));
  flow_plan_free(&plan);
}

static void refused(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                    enum px_status code, const char *pointer, const char *word) {
  struct flow_plan plan;
  struct px_err err = { .code = PX_OK };
  CU_ASSERT_EQUAL(plan_of(kind, spec, s, &plan, &err), code);
  CU_ASSERT_STRING_EQUAL(err.pointer, pointer);
  if (!strstr(err.message, word)) printf("\n  '%s' lacks '%s'\n", err.message, word);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, word));
}

static void bad_specs_name_the_field(void) {
  struct flow_snapshot s = snapshot();
  refused(FLOW_PIPELINE, "{" DS ", \"polices\": []}", &s, PX_E_BAD_FIELD, "/spec/polices",
          "no field 'polices'");
  refused(FLOW_PIPELINE, "{}", &s, PX_E_BAD_FIELD, "/spec/dataset", "missing");
  refused(FLOW_PIPELINE, "{\"dataset\": \"x'; drop table jobs\"}", &s, PX_E_BAD_FIELD,
          "/spec/dataset", "id");
  refused(FLOW_PIPELINE, "{" DS ", \"policies\": [\"td3bc\", \"ppo\"]}", &s, PX_E_BAD_FIELD,
          "/spec/policies/1/algo", "one of");
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": {\"k\": 9}}", &s, PX_E_BAD_FIELD, "/spec/idm/k",
          "0 to 8");
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": {\"k\": 1.5}}", &s, PX_E_BAD_FIELD, "/spec/idm/k",
          "whole number");
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": \"slow\"}", &s, PX_E_BAD_FIELD, "/spec/idm/profile",
          "fast, paper");
  refused(FLOW_PIPELINE, "{" DS ", \"mask\": {\"p\": 0}}", &s, PX_E_BAD_FIELD, "/spec/mask/p",
          "0.01 to 100");
  refused(FLOW_PIPELINE, "{" DS ", \"seeds\": []}", &s, PX_E_BAD_FIELD, "/spec/seeds", "1 to 50");
  refused(FLOW_PIPELINE, "{" DS ", \"segments\": 11}", &s, PX_E_BAD_FIELD, "/spec/segments",
          "10 segments");
  refused(FLOW_TRAIN_IDM, "{" DS ", \"member\": true}", &s, PX_E_BAD_FIELD, "/spec/member",
          "whole number");
}

static void heads_that_do_not_fit_the_actions_are_refused(void) {
  struct flow_snapshot s = snapshot();
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": {\"head\": \"softmax\"}}", &s, PX_E_BAD_FIELD,
          "/spec/idm/head", "continuous");
  s.act_count = 4, s.act_dim = 1, s.env = "";
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": {\"head\": \"squashed\"}}", &s, PX_E_BAD_FIELD,
          "/spec/idm/head", "discrete");
  refused(FLOW_TRAIN_IDM, "{" DS ", \"idm\": {\"head\": \"gaussian\"}}", &s, PX_E_BAD_FIELD,
          "/spec/idm/head", "discrete");
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": 3}", &s, PX_E_BAD_FIELD, "/spec/idm", "");
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": \"slow\"}", &s, PX_E_BAD_FIELD, "/spec/idm/profile",
          "fast, paper");
}

static void empty_labelled_subset_is_told_before_the_start(void) {
  struct flow_snapshot s = snapshot();
  s.labelled_trajectories_n = 0;
  refused(FLOW_PIPELINE, "{" DS "}", &s, PX_E_NO_LABELS, "/spec/dataset",
          "none of the dataset's 100");
  refused(FLOW_TRAIN_IDM, "{" DS "}", &s, PX_E_NO_LABELS, "/spec/dataset", "none");
  /* the others have some actions */
  s.labelled_trajectories_n = 100, s.whole_trajectories_n = 40;
  refused(FLOW_PIPELINE, "{" DS ", \"baselines\": [\"oracle\"]}", &s, PX_E_BAD_FIELD,
          "/spec/baselines", "40 of 100");
  s.segments_n = 0;
  refused(FLOW_PIPELINE, "{" DS "}", &s, PX_E_NO_LABELS, "/spec/dataset", "empty");
}

/* What else can be done is told. */
static void hinted(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                   const char *pointer, const char *says) {
  struct flow_plan plan = { NULL, 0 };
  struct px_err err = { .code = PX_OK };
  CU_ASSERT_EQUAL(plan_of(kind, spec, s, &plan, &err), PX_E_NO_LABELS);
  CU_ASSERT_STRING_EQUAL(err.pointer, pointer);
  if (!strstr(err.hint, says)) printf("\n  '%s' lacks '%s'\n", err.hint, says);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, says));
}

static void without_any_true_action_what_needs_none_is_named(void) {
  struct flow_snapshot s = snapshot();
  const char *const simulator = "\"labeller\": \"simulator\"";
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  hinted(FLOW_PIPELINE, "{" DS "}", &s, "/spec/dataset", simulator);
  hinted(FLOW_TRAIN_IDM, "{" DS "}", &s, "/spec/dataset", simulator);
  hinted(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": \"bc\"}", &s, "/spec/dataset", "label_set");
  hinted(FLOW_CHECK_SIMULATOR, "{" DS "}", &s, "/spec/dataset",
         "only be checked against true actions");
  hinted(FLOW_PIPELINE, "{" DS ", \"labeller\": \"simulator\", \"baselines\": [\"labelled_only\"]}",
         &s, "/spec/dataset", "baselines");
  hinted(FLOW_PIPELINE,
         "{" DS ", \"labeller\": \"simulator\", \"policies\": [\"bc\", {\"algo\": \"td3bc\", "
         "\"labels\": \"true_only\"}]}",
         &s, "/spec/policies/1/labels", "all or verified");
  hinted(FLOW_TRAIN_POLICY,
         "{" DS
         ", \"label_set\": \"ls_a\", \"policy\": {\"algo\": \"bc\", \"labels\": \"true_only\"}}",
         &s, "/spec/policy/labels", "all or verified");
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plan_of(FLOW_TRAIN_POLICY,
            "{" DS
            ", \"label_set\": \"ls_a\", \"policy\": {\"algo\": \"bc\", \"labels\": \"verified\"}}",
            &s, &plan, &err),
    err);
  flow_plan_free(&plan);
}

/* It runs in a process of its own, which holds the data once more. */
static void an_uploaded_simulator_s_process_counts_in_the_estimate(void) {
  static const char *const SPECS[] = { "{" DS ", \"simulator\": \"hopper\"}",
                                       "{" DS ", \"simulator\": \"sim_a\"}" };
  struct flow_snapshot s = snapshot();
  int64_t bytes[2];
  s.size = (struct flow_size){
    .steps_n = 1e7, .trajectories_n = 1e4, .size_bytes = 1e9, .segments_n = s.segments_n
  };
  for (int i = 0; i < 2; i++) {
    struct flow_plan plan;
    struct px_err err;
    CU_OK(plan_of(FLOW_CHECK_SIMULATOR, SPECS[i], &s, &plan, &err), err);
    bytes[i] = plan.jobs[0].cost.memory_bytes;
    flow_plan_free(&plan);
  }
  CU_ASSERT(bytes[1] - bytes[0] > (int64_t)40000000 * (s.obs_dim + s.act_dim));
}

static void a_simulator_that_cannot_label_is_refused(void) {
  struct flow_snapshot s = snapshot();
  const char *const at = "/spec/labeller/simulator";
  refused(FLOW_LABEL, "{" DS "}", &s, PX_E_BAD_FIELD, "/spec/models", "missing");
  refused(FLOW_LABEL, "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"idm\"}}",
          &s, PX_E_BAD_FIELD, "/spec/models", "missing");
  refused(
    FLOW_LABEL,
    "{" DS
    ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"none\"}, \"models\": [\"mdl_a\"]}",
    &s, PX_E_BAD_FIELD, "/spec/labeller/fallback", "models are given");
  refused(FLOW_LABEL, "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"net\": {\"pairs\": 10}}}",
          &s, PX_E_BAD_FIELD, "/spec/labeller/net/pairs", "100");
  refused(FLOW_PIPELINE,
          "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"halfcheetah\"}}", &s,
          PX_E_BAD_FIELD, at, "17");
  refused(FLOW_PIPELINE,
          "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"ant\"}}", &s,
          PX_E_BAD_FIELD, at, "no simulator");
  refused(FLOW_PIPELINE, "{" DS ", \"labeller\": {\"kind\": \"oracle\"}}", &s, PX_E_BAD_FIELD,
          "/spec/labeller/kind", "idm, simulator");
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  refused(FLOW_PIPELINE, "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"idm\"}}",
          &s, PX_E_NO_LABELS, "/spec/dataset", "none");
  refused(FLOW_PIPELINE,
          "{" DS ", \"labeller\": \"simulator\", \"baselines\": [\"labelled_only\"]}", &s,
          PX_E_NO_LABELS, "/spec/dataset", "none");
  refused(FLOW_CHECK_SIMULATOR, "{" DS "}", &s, PX_E_NO_LABELS, "/spec/dataset", "none");
  s.env = "";
  refused(FLOW_PIPELINE, "{" DS ", \"labeller\": \"simulator\"}", &s, PX_E_BAD_FIELD, at,
          "names none");
  s.act_count = 4, s.act_dim = 1;
  refused(FLOW_PIPELINE, "{" DS ", \"labeller\": \"simulator\"}", &s, PX_E_BAD_FIELD, at,
          "discrete");
}

static void masks_that_would_not_hide_what_they_say_are_refused(void) {
  static const enum flow_kind MASKED[] = { FLOW_PIPELINE, FLOW_TRAIN_IDM, FLOW_TRAIN_POLICY };
  static const char *const WITHOUT[] = { "\"p\": 10, \"q\": 50", "\"p\": 10", "\"q\": 50",
                                         "\"seed\": 1" };
  const struct flow_snapshot s = snapshot();
  for (size_t k = 0; k < sizeof MASKED / sizeof *MASKED; k++) {
    char spec[160];
    for (size_t i = 0; i < sizeof WITHOUT / sizeof *WITHOUT; i++) {
      snprintf(spec, sizeof spec, "{" DS ", \"mask\": {%s}}", WITHOUT[i]);
      refused(MASKED[k], spec, &s, PX_E_BAD_FIELD, "/spec/mask/protocol", "no protocol");
    }
    refused(MASKED[k], "{" DS ", \"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 10}}", &s,
            PX_E_BAD_FIELD, "/spec/mask/p", "p is 50 and q is 10");
    refused(MASKED[k], "{" DS ", \"mask\": {\"protocol\": \"coupled\", \"q\": 5}}", &s,
            PX_E_BAD_FIELD, "/spec/mask/p", "p is 10 and q is 5"); /* p by default */
  }
  static const char *const GOOD[] = {
    /* what a job's document shows may be sent again */
    "{}",
    "{\"protocol\": \"none\", \"p\": 10, \"q\": 50, \"seed\": 0}",
    "{\"protocol\": \"none\", \"p\": 50, \"q\": 10}",
    "{\"protocol\": \"coupled\"}",
    "\"coupled\"",
    "{\"protocol\": \"coupled\", \"p\": 50, \"q\": 50}",
    "{\"protocol\": \"coupled\", \"p\": 100, \"q\": 100, \"seed\": 7}",
  };
  for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
    struct flow_plan plan;
    struct px_err err;
    char spec[160];
    snprintf(spec, sizeof spec, "{" DS ", \"mask\": %s}", GOOD[i]);
    CU_OK(plan_of(FLOW_PIPELINE, spec, &s, &plan, &err), err);
    flow_plan_free(&plan);
  }
}

static void without_a_simulator_policies_are_judged_from_data(void) {
  struct flow_snapshot s = snapshot();
  s.env = "";
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plan_of(FLOW_PIPELINE, "{" DS "}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_EVALUATE), 0);
  CU_ASSERT_EQUAL(count(&plan, FLOW_OPE), 1);
  CU_ASSERT_EQUAL(count(&plan, FLOW_TRAIN_POLICY), 1);
  const struct flow_job *ope = named(&plan, "ope/ss/td3bc/0");
  CU_ASSERT(needs(ope, named(&plan, "label")) && needs(ope, named(&plan, "train/ss/td3bc/0")));
  CU_ASSERT(needs(named(&plan, "report"), ope));
  /* defaults are filled in */
  CU_ASSERT_PTR_NOT_NULL(strstr(ope->spec_json, "\"gamma\":0.99"));
  flow_plan_free(&plan);
  refused(FLOW_PIPELINE, "{" DS ", \"evaluation\": \"both\"}", &s, PX_E_BAD_FIELD,
          "/spec/evaluation", "simulator");
  CU_OK(plan_of(FLOW_PIPELINE, "{" DS ", \"evaluation\": \"none\"}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(count(&plan, FLOW_OPE), 0);
  flow_plan_free(&plan);
}

static void a_policy_must_be_able_to_learn_the_dataset_s_actions(void) {
  struct flow_snapshot s = snapshot();
  s.act_count = 4, s.act_dim = 1, s.env = "";
  refused(FLOW_PIPELINE, "{" DS ", \"policies\": [\"bc\", \"td3bc\"]}", &s, PX_E_BAD_FIELD,
          "/spec/policies/1/algo", "discrete");
  refused(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": \"awac\"}", &s, PX_E_BAD_FIELD,
          "/spec/policy/algo", "cannot learn");
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plan_of(FLOW_PIPELINE, "{" DS ", \"policies\": [\"bc\", \"cql\", \"dt\"]}", &s, &plan,
                &err),
        err);
  flow_plan_free(&plan);
}

/* The report pools by name over seeds: what is given twice would count as more evidence. */
static void what_is_given_twice_is_refused(void) {
  struct flow_snapshot s = snapshot();
  refused(FLOW_PIPELINE, "{" DS ", \"policies\": [\"bc\", {\"algo\": \"bc\", \"updates\": 9}]}", &s,
          PX_E_BAD_FIELD, "/spec/policies/1", "the same");
  refused(FLOW_PIPELINE, "{" DS ", \"seeds\": [3, 1, 3]}", &s, PX_E_BAD_FIELD, "/spec/seeds/2",
          "the same");
  refused(FLOW_PIPELINE, "{" DS ", \"baselines\": [\"oracle\", \"oracle\"]}", &s, PX_E_BAD_FIELD,
          "/spec/baselines/1", "the same");
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plan_of(FLOW_PIPELINE,
            "{" DS
            ", \"policies\": [\"bc\", {\"algo\": \"bc\", \"name\": \"short bc\", \"updates\": 9}]}",
            &s, &plan, &err),
    err);
  CU_ASSERT_PTR_NOT_NULL(named(&plan, "train/ss/short bc/0"));
  CU_ASSERT_PTR_NOT_NULL(strstr(named(&plan, "report")->spec_json, "short bc"));
  flow_plan_free(&plan);
}

static void plans_are_bounded(void) {
  struct flow_snapshot s = snapshot();
  struct px_buf spec = PX_BUF(8192);
  enum px_status built = px_buf_puts(&spec, "{" DS ", \"policies\": [");
  for (int i = 0; i < 20 && !built; i++)
    built = px_buf_fmt(&spec, "%s{\"algo\": \"bc\", \"name\": \"%d\"}", i ? "," : "", i);
  if (!built) built = px_buf_puts(&spec, "], \"seeds\": [");
  for (int i = 0; i < 50 && !built; i++) built = px_buf_fmt(&spec, "%s%d", i ? "," : "", i);
  if (!built) built = px_buf_puts(&spec, "], \"baselines\": [\"labelled_only\", \"oracle\"]}");
  CU_ASSERT_EQUAL_FATAL(built, PX_OK);
  struct flow_plan plan;
  struct px_err err;
  CU_ASSERT_EQUAL(plan_of(FLOW_PIPELINE, spec.data, &s, &plan, &err), PX_E_TOO_LARGE);
  px_buf_free(&spec);
}

/* ---- simulators that users bring */

static enum px_status layout_of(const char *body, struct flow_sim_layout *out, struct px_err *err) {
  json_t *json = json_loads(body, 0, NULL), *checked = NULL;
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  enum px_status status = flow_fields_check(flow_simulator_fields, json, "", &checked, err);
  const struct flow_sim_model hopper = { 6, 6, 3 };
  if (!status) status = flow_simulator_layout(checked, &hopper, out, err);
  json_decref(checked);
  json_decref(json);
  return status;
}

static void a_layout_is_laid_out_over_the_model(void) {
  static struct flow_sim_layout l;
  struct px_err err;
  CU_OK(layout_of("{\"name\": \"a\", \"observations\": [\"qpos[1:]\", {\"of\": \"qvel\", \"clip\": "
                  "[-10, 10]}], \"frame_skip\": 4}",
                  &l, &err),
        err);
  CU_ASSERT(l.obs_dim == 11 && l.act_dim == 3 && l.frame_skip == 4 && l.delay == 0 &&
            l.time_step == 0);
  CU_ASSERT(l.obs[0].source == FLOW_SIM_QPOS && l.obs[0].index == 1 && l.obs[4].index == 5 &&
            isinf(l.obs[4].clip_high));
  CU_ASSERT(l.obs[5].source == FLOW_SIM_QVEL && l.obs[5].index == 0 && l.obs[10].index == 5 &&
            l.obs[10].clip_low == -10);
  CU_ASSERT(l.act[2].source == FLOW_SIM_CTRL && l.act[2].index == 2 && l.act[2].scale == 1);
  CU_OK(
    layout_of("{\"name\": \"a\", \"observations\": [\"qvel[2]\", {\"of\": \"qpos[:2]\", \"scale\": "
              "57.3, \"offset\": 1}],"
              " \"actions\": [\"ctrl[1:3]\", {\"of\": \"ctrl[0]\", \"scale\": -2}], \"delay\": 1}",
              &l, &err),
    err);
  CU_ASSERT(l.obs_dim == 3 && l.obs[0].index == 2 && l.obs[2].index == 1 &&
            l.obs[2].scale == 57.3 && l.obs[2].offset == 1);
  CU_ASSERT(l.act_dim == 3 && l.act[0].index == 1 && l.act[2].index == 0 && l.act[2].scale == -2 &&
            l.delay == 1);
  CU_OK(
    layout_of(
      "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 1e-6, \"offset\": 0.01},"
      " {\"of\": \"qvel\", \"scale\": 1e9, \"offset\": -1e9}]}",
      &l, &err),
    err);
}

static void a_layout_that_the_model_lacks_is_refused(void) {
  static const struct {
    const char *body, *pointer;
  } CASES[] = {
    { "{\"name\": \"a\", \"observations\": [\"qpos[1:]\", \"qvel[6]\"]}", "/observations/1" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[1:7]\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[3:3]\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[-1]\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos[1:]x\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qacc\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"ctrl\"]}", "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\", \"qpos[2]\"]}", "/observations/1" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"clip\": [1, -1]}]}",
      "/observations/0" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 0}]}",
      "/observations/0/scale" },
    { "{\"name\": \"a\", \"observations\": [\"qvel\", {\"of\": \"qpos\", \"scale\": 1e-300}]}",
      "/observations/1/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": -1e-10}]}",
      "/observations/0/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 1e300}]}",
      "/observations/0/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"offset\": -2e7}]}",
      "/observations/0/offset" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"scale\": 1e-6, \"offset\": 20}]}",
      "/observations/0/offset" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"actions\": [{\"of\": \"ctrl\", \"scale\": "
      "1e-12}]}",
      "/actions/0/scale" },
    { "{\"name\": \"a\", \"observations\": [{\"of\": \"qpos\", \"clip\": [1]}]}",
      "/observations/0/clip" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"actions\": [\"ctrl[3]\"]}", "/actions/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"actions\": [\"qpos\"]}", "/actions/0" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"frame_skip\": 1000}", "/frame_skip" },
    { "{\"name\": \"a\", \"observations\": [\"qpos\"], \"time_step\": 1e-9}", "/time_step" },
    { "{\"name\": \"a\", \"observations\": []}", "/observations" },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    static struct flow_sim_layout l;
    struct px_err err = { .code = PX_OK };
    CU_ASSERT_EQUAL(layout_of(CASES[i].body, &l, &err), PX_E_BAD_FIELD);
    CU_ASSERT_STRING_EQUAL(err.pointer, CASES[i].pointer);
  }
}

CU_MAIN("flow", T(names_are_what_can_be_seen), T(datasets_are_not_named_like_paths_or_ids),
        T(every_default_satisfies_its_own_bounds),
        T(a_spec_that_changes_gets_a_revision_of_its_own),
        T(options_that_change_raise_the_revision_of_trainings),
        T(pipeline_expands_into_every_stage), T(labels_are_compared_where_a_simulator_can_tell),
        T(a_rehearsal_chooses_labels_without_a_simulator), T(labels_are_not_compared_without_need),
        T(labels_of_a_simulator_are_compared_by_what_it_verified),
        T(a_model_without_a_profile_is_a_fast_one_and_says_all_it_uses),
        T(only_oracle_and_labels_go_without_the_mask), T(shards_cover_every_segment_once),
        T(a_simulator_labels_in_shards_of_its_own_after_a_check),
        T(a_net_that_inverts_the_simulator_is_trained_once_between_check_and_shards),
        T(without_solving_a_net_labels), T(a_simulator_needs_no_true_action),
        T(a_simulator_that_cannot_label_is_refused),
        T(without_any_true_action_what_needs_none_is_named),
        T(an_uploaded_simulator_s_process_counts_in_the_estimate), T(bad_specs_name_the_field),
        T(discrete_actions_have_defaults_of_their_own),
        T(heads_that_do_not_fit_the_actions_are_refused),
        T(empty_labelled_subset_is_told_before_the_start),
        T(masks_that_would_not_hide_what_they_say_are_refused),
        T(without_a_simulator_policies_are_judged_from_data),
        T(a_policy_must_be_able_to_learn_the_dataset_s_actions), T(what_is_given_twice_is_refused),
        T(plans_are_bounded), T(a_layout_is_laid_out_over_the_model),
        T(a_layout_that_the_model_lacks_is_refused))
