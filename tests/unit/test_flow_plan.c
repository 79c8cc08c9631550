/* SPDX-License-Identifier: Apache-2.0 */
/* lib/flow: what a spec expands into. */
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/plan.h"
#include "tests/support/cu.h"
#include "tests/support/plans.h"

static void pipeline_expands_into_every_stage(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plans_of(FLOW_PIPELINE,
             "{" PLANS_DS ", \"mask\": {\"protocol\": \"coupled\", \"p\": 10, \"q\": 50},"
             " \"policies\": [\"td3bc\", {\"algo\": \"bc\", \"updates\": 5}], \"seeds\": [0, 1, 2],"
             " \"baselines\": [\"labelled_only\", \"oracle\"]}",
             &s, &plan, &err),
    err);
  CU_ASSERT_EQUAL(plan.jobs[0].kind, FLOW_PIPELINE);
  CU_ASSERT_EQUAL(plan.jobs[0].needs_n, plan.n - 1);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_IDM), 5);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_LABEL_SHARD), 8);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_LABEL), 1);
  /* Of both, with each seed: all, confident and true actions alone (which is the baseline), and the
   * oracle. */
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_POLICY), 24);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_EVALUATE), 24 + 18); /* three choose between the labels */
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_REPORT), 1);
  const struct flow_job *label = plans_job(&plan, "label"), *ss = plans_job(&plan, "train/ss/bc/2");
  CU_ASSERT(plans_needs(label, plans_job(&plan, "label/7")) &&
            plans_needs(label, plans_job(&plan, "idm/4")));
  CU_ASSERT(plans_needs(ss, label) && !plans_needs(plans_job(&plan, "train/oracle/bc/2"), label));
  CU_ASSERT(plans_needs(plans_job(&plan, "report"), plans_job(&plan, "evaluate/oracle/td3bc/1")));
  flow_plan_free(&plan);
}

/* Where no simulator tells which labels are better, a rehearsal among the labelled trajectories
 * does. */
static void a_rehearsal_chooses_labels_without_a_simulator(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.env = "", s.whole_trajectories_n = 50;
  CU_OK(
    plans_of(
      FLOW_PIPELINE,
      "{" PLANS_DS
      ", \"idm\": {\"k\": 2}, \"policies\": [\"bc\", {\"algo\": \"td3bc\", \"labels\": \"all\"}],"
      " \"baselines\": [\"labelled_only\"]}",
      &s, &plan, &err),
    err);
  const struct flow_job *rehearse = plans_job(&plan, "rehearse");
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_REHEARSE), 1);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_POLICY), 4);
  CU_ASSERT_PTR_NOT_NULL(strstr(rehearse->spec_json, "\"k\":2"));
  CU_ASSERT_EQUAL(rehearse->needs_n, 0);
  CU_ASSERT(plans_needs(plans_job(&plan, "train/ss/bc/0"), rehearse) &&
            plans_needs(plans_job(&plan, "report"), rehearse));
  CU_ASSERT(!plans_needs(plans_job(&plan, "train/ss/td3bc/0"), rehearse) &&
            !plans_needs(plans_job(&plan, "train/labelled_only/bc/0"), rehearse));
  flow_plan_free(&plan);
  CU_OK(plans_of(FLOW_PIPELINE,
                 "{" PLANS_DS ", \"policies\": [{\"algo\": \"bc\", \"labels\": \"all\"}]}", &s,
                 &plan, &err),
        err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_REHEARSE), 0);
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
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(FLOW_PIPELINE,
                 "{" PLANS_DS ", \"mask\": \"coupled\", \"policies\": [\"bc\"], \"seeds\": [7],"
                 " \"baselines\": [\"labelled_only\"]}",
                 &s, &plan, &err),
        err);
  json_t *report = json_loads(plans_job(&plan, "report")->spec_json, 0, NULL);
  const json_t *runs = json_object_get(report, "runs");
  CU_ASSERT_EQUAL(json_array_size(runs), 4);
  json_t *all = run_of(runs, "ss", "all"), *alone = run_of(runs, "ss", "true_only"),
         *base = run_of(runs, "labelled_only", NULL);
  CU_ASSERT_FATAL(all && alone && base && run_of(runs, "ss", "confident"));
  CU_ASSERT_TRUE(json_equal(json_object_get(alone, "model"), json_object_get(base, "model")));
  CU_ASSERT_TRUE(
    json_equal(json_object_get(alone, "evaluation"), json_object_get(base, "evaluation")));
  CU_ASSERT_PTR_NULL(json_object_get(base, "selection"));
  CU_ASSERT_PTR_NULL(strstr(plans_job(&plan, "train/labelled_only/bc/7")->spec_json, "label_set"));
  CU_ASSERT_PTR_NOT_NULL(
    strstr(plans_job(&plan, "train/ss/bc/7/confident")->spec_json, "\"labels\":\"confident\""));
  const struct flow_job *select = plans_job(&plan, "select/ss/bc/7");
  /* other episodes than the final ones */
  CU_ASSERT_PTR_NOT_NULL(strstr(select->spec_json, "\"seed\":4503599627370503"));
  CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "evaluate/ss/bc/7")->spec_json, "\"seed\":7"));
  CU_ASSERT(plans_needs(plans_job(&plan, "report"), select));
  json_decref(report);
  flow_plan_free(&plan);
}

static void labels_of_a_simulator_are_compared_by_what_it_verified(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  CU_OK(
    plans_of(
      FLOW_PIPELINE,
      "{" PLANS_DS
      ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"none\"}, \"policies\": [\"bc\"]}",
      &s, &plan, &err),
    err);
  /* there are no true actions to learn from alone */
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_POLICY), 2);
  CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "train/ss/bc/0/verified")->spec_json,
                                "\"labels\":\"prefer_verified\""));
  flow_plan_free(&plan);
  s.env = "", s.labelled_trajectories_n = 50;
  CU_OK(plans_of(FLOW_PIPELINE,
                 "{" PLANS_DS
                 ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"hopper\"}, "
                 "\"policies\": [\"bc\"]}",
                 &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_REHEARSE), 0);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(plans_job(&plan, "train/ss/bc/0/verified")->spec_json, "\"labels\":\"verified\""));
  flow_plan_free(&plan);
}

/* Labels that the user names, and data where nothing has to be chosen, are one run. */
static void labels_are_not_compared_without_need(void) {
  static const struct {
    const char *spec;
    uint64_t whole;
    const char *env, *says;
  } cases[] = {
    { "{" PLANS_DS ", \"policies\": [{\"algo\": \"bc\", \"labels\": \"true_only\"}]}", 50, "hopper",
      "\"labels\":\"true_only\"" },
    { "{" PLANS_DS ", \"policies\": [\"bc\"]}", 100, "hopper", "\"labels\":\"all\"" },
    { "{" PLANS_DS ", \"policies\": [\"bc\"], \"evaluation\": \"none\"}", 100, "hopper",
      "\"labels\":\"all\"" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct flow_snapshot s = plans_snapshot();
    struct flow_plan plan;
    struct px_err err;
    s.whole_trajectories_n = cases[i].whole, s.env = cases[i].env;
    CU_OK(plans_of(FLOW_PIPELINE, cases[i].spec, &s, &plan, &err), err);
    CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_POLICY), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "train/ss/bc/0")->spec_json, cases[i].says));
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
    struct flow_snapshot s = plans_snapshot();
    struct flow_plan plan;
    struct px_err err;
    char text[200];
    snprintf(text, sizeof text, "{" PLANS_DS "%s}", cases[i].given);
    CU_OK(plans_of(FLOW_PIPELINE, text, &s, &plan, &err), err);
    CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_IDM), cases[i].members);
    CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "idm/0")->spec_json, cases[i].says));
    flow_plan_free(&plan);
  }
}

static void discrete_actions_have_defaults_of_their_own(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.act_count = 4, s.act_dim = 1, s.env = "";
  static const char *const GIVEN[] = { "", ", \"idm\": \"paper\"",
                                       ", \"idm\": {\"k\": 2, \"head\": \"softmax\"}" };
  for (size_t i = 0; i < sizeof GIVEN / sizeof *GIVEN; i++) {
    char text[200];
    snprintf(text, sizeof text, "{" PLANS_DS "%s}", GIVEN[i]);
    CU_OK(plans_of(FLOW_PIPELINE, text, &s, &plan, &err), err);
    const char *idm = plans_job(&plan, "idm/0")->spec_json;
    CU_ASSERT_TRUE(strstr(idm, "\"head\":\"softmax\"") && strstr(idm, "\"mean_loss\":\"nll\""));
    CU_ASSERT_TRUE(strstr(idm, i == 1 ? "\"profile\":\"paper\"" : "\"profile\":\"fast\"") != NULL);
    CU_ASSERT_PTR_NOT_NULL(plans_job(&plan, "train/ss/bc/0")); /* td3bc does not learn them */
    flow_plan_free(&plan);
  }
  CU_OK(plans_of(FLOW_TRAIN_IDM, "{" PLANS_DS "}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"head\":\"softmax\""));
  flow_plan_free(&plan);
  CU_OK(plans_of(FLOW_TRAIN_POLICY, "{" PLANS_DS "}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"algo\":\"bc\""));
  flow_plan_free(&plan);
  CU_OK(plans_of(FLOW_PIPELINE, "{" PLANS_DS ", \"policies\": [\"iql\"]}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(plans_job(&plan, "train/ss/iql/0"));
  flow_plan_free(&plan);
}

/* Hidden actions reach nothing but the oracle and the report. */
static void only_oracle_and_labels_go_without_the_mask(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plans_of(
      FLOW_PIPELINE,
      "{" PLANS_DS
      ", \"mask\": {\"protocol\": \"coupled\"}, \"baselines\": [\"labelled_only\", \"oracle\"]}",
      &s, &plan, &err),
    err);
  CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "idm/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "train/ss/td3bc/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NOT_NULL(
    strstr(plans_job(&plan, "train/labelled_only/td3bc/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NULL(strstr(plans_job(&plan, "train/oracle/td3bc/0")->spec_json, "coupled"));
  CU_ASSERT_PTR_NULL(strstr(plans_job(&plan, "train/oracle/td3bc/0")->spec_json, "label_set"));
  CU_ASSERT_PTR_NULL(
    strstr(plans_job(&plan, "train/labelled_only/td3bc/0")->spec_json, "label_set"));
  flow_plan_free(&plan);
}

static void shards_cover_every_segment_once(void) {
  struct flow_snapshot s = plans_snapshot();
  s.segments_n = 11;
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(FLOW_LABEL, "{" PLANS_DS ", \"models\": [\"mdl_a\"], \"shards\": 4}", &s, &plan,
                 &err),
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
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(FLOW_PIPELINE,
                 "{" PLANS_DS
                 ", \"mask\": \"coupled\", \"labeller\": \"simulator\", \"shards\": 3}",
                 &s, &plan, &err),
        err);
  const struct flow_job *check = plans_job(&plan, "label/check"),
                        *label = plans_job(&plan, "label"), *shard = plans_job(&plan, "label/2");
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_SIMULATE_SHARD), 3);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_LABEL_SHARD), 0);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_IDM), 5);
  CU_ASSERT(plans_needs(shard, check) && plans_needs(shard, plans_job(&plan, "idm/4")) &&
            plans_needs(label, check) && plans_needs(label, shard));
  CU_ASSERT_PTR_NOT_NULL(strstr(check->spec_json, "coupled")); /* it sees no hidden action */
  CU_ASSERT_PTR_NOT_NULL(strstr(check->spec_json, "\"simulator\":\"hopper\""));
  CU_ASSERT_PTR_NULL(strstr(shard->spec_json, "coupled"));
  CU_ASSERT_PTR_NOT_NULL(strstr(shard->spec_json, "\"fallback\":\"idm\""));
  CU_ASSERT_PTR_NOT_NULL(strstr(shard->spec_json, "\"threshold\":0.0001"));
  flow_plan_free(&plan);
  CU_OK(plans_of(FLOW_LABEL,
                 "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"restarts\": 2}}", &s,
                 &plan, &err),
        err);
  CU_ASSERT_EQUAL(plan.jobs[0].kind, FLOW_LABEL);
  CU_ASSERT(plans_needs(&plan.jobs[0], plans_job(&plan, "label/check")) &&
            plans_needs(plans_job(&plan, "label/0"), plans_job(&plan, "label/check")));
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"fallback\":\"none\""));
  flow_plan_free(&plan);
}

static void a_net_that_inverts_the_simulator_is_trained_once_between_check_and_shards(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(FLOW_PIPELINE,
                 "{" PLANS_DS
                 ", \"mask\": \"coupled\", \"labeller\": {\"kind\": \"simulator\", \"net\": "
                 "{\"pairs\": 1000}, \"seed\": 7},"
                 " \"shards\": 3}",
                 &s, &plan, &err),
        err);
  const struct flow_job *net = plans_job(&plan, "label/net"),
                        *check = plans_job(&plan, "label/check");
  char id[64];
  snprintf(id, sizeof id, "\"inverse\":\"mdl_%s\"", strchr(net->id, '_') + 1);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_INVERSE), 1);
  CU_ASSERT_EQUAL(net->needs_n, 1);
  CU_ASSERT(plans_needs(net, check));
  CU_ASSERT_PTR_NULL(strstr(net->spec_json, "mask")); /* it sees no action at all */
  CU_ASSERT_PTR_NOT_NULL(strstr(net->spec_json, "\"pairs\":1000,\"steps\":9000"));
  CU_ASSERT_PTR_NOT_NULL(strstr(net->spec_json, "\"seed\":7"));
  CU_ASSERT(net->cost.memory_bytes > check->cost.memory_bytes);
  for (int i = 0; i < 3; i++) {
    char name[16];
    snprintf(name, sizeof name, "label/%d", i);
    CU_ASSERT(plans_needs(plans_job(&plan, name), net));
    CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, name)->spec_json, id));
  }
  flow_plan_free(&plan);
  CU_OK(plans_of(FLOW_LABEL, "{" PLANS_DS ", \"labeller\": \"simulator\"}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_INVERSE), 0); /* the solver needs none */
  flow_plan_free(&plan);
}

/* Nothing is solved, and no model is needed: the net labels. */
static void without_solving_a_net_labels(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  CU_OK(plans_of(FLOW_LABEL,
                 "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"solve\": false}}", &s,
                 &plan, &err),
        err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_INVERSE), 1);
  CU_ASSERT(plans_needs(plans_job(&plan, "label/0"), plans_job(&plan, "label/net")));
  CU_ASSERT_EQUAL(plans_job(&plan, "label/net")->needs_n, 0); /* nothing to check with */
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"pairs\":400000"));
  flow_plan_free(&plan);
  CU_OK(
    plans_of(FLOW_PIPELINE,
             "{" PLANS_DS
             ", \"labeller\": {\"kind\": \"simulator\", \"solve\": false}, \"policies\": [\"bc\"]}",
             &s, &plan, &err),
    err);
  /* too few of its labels are verified */
  CU_ASSERT_PTR_NOT_NULL(plans_job(&plan, "train/ss/bc/0/confident"));
  CU_ASSERT_PTR_NULL(plans_job(&plan, "train/ss/bc/0/verified"));
  flow_plan_free(&plan);
}

static void a_simulator_needs_no_true_action(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan;
  struct px_err err;
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  CU_OK(plans_of(FLOW_PIPELINE, "{" PLANS_DS ", \"labeller\": \"simulator\"}", &s, &plan, &err),
        err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_IDM), 0);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_CHECK_SIMULATOR), 0); /* nothing to check with */
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_SIMULATE_SHARD), 8);
  CU_ASSERT_PTR_NULL(strstr(plans_job(&plan, "report")->spec_json, "models"));
  flow_plan_free(&plan);
}

CU_MAIN("flow_plan", T(pipeline_expands_into_every_stage),
        T(labels_are_compared_where_a_simulator_can_tell),
        T(a_rehearsal_chooses_labels_without_a_simulator), T(labels_are_not_compared_without_need),
        T(labels_of_a_simulator_are_compared_by_what_it_verified),
        T(a_model_without_a_profile_is_a_fast_one_and_says_all_it_uses),
        T(only_oracle_and_labels_go_without_the_mask), T(shards_cover_every_segment_once),
        T(a_simulator_labels_in_shards_of_its_own_after_a_check),
        T(a_net_that_inverts_the_simulator_is_trained_once_between_check_and_shards),
        T(without_solving_a_net_labels), T(a_simulator_needs_no_true_action),
        T(discrete_actions_have_defaults_of_their_own))
