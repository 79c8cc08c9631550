/* SPDX-License-Identifier: Apache-2.0 */
/* lib/flow: specs that are refused, and what is said about them. */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/flow/plan.h"
#include "tests/support/cu.h"
#include "tests/support/plans.h"

static void refused(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                    enum px_status code, const char *pointer, const char *word) {
  struct flow_plan plan;
  struct px_err err = { .code = PX_OK };
  CU_ASSERT_EQUAL(plans_of(kind, spec, s, &plan, &err), code);
  CU_ASSERT_STRING_EQUAL(err.pointer, pointer);
  if (!strstr(err.message, word)) printf("\n  '%s' lacks '%s'\n", err.message, word);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, word));
}

static void bad_specs_name_the_field(void) {
  struct flow_snapshot s = plans_snapshot();
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"polices\": []}", &s, PX_E_BAD_FIELD, "/spec/polices",
          "no field 'polices'");
  refused(FLOW_PIPELINE, "{}", &s, PX_E_BAD_FIELD, "/spec/dataset", "missing");
  refused(FLOW_PIPELINE, "{\"dataset\": \"x'; drop table jobs\"}", &s, PX_E_BAD_FIELD,
          "/spec/dataset", "id");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"policies\": [\"td3bc\", \"ppo\"]}", &s, PX_E_BAD_FIELD,
          "/spec/policies/1/algo", "one of");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": {\"k\": 9}}", &s, PX_E_BAD_FIELD, "/spec/idm/k",
          "0 to 8");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": {\"k\": 1.5}}", &s, PX_E_BAD_FIELD, "/spec/idm/k",
          "whole number");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": \"slow\"}", &s, PX_E_BAD_FIELD,
          "/spec/idm/profile", "fast, paper");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"mask\": {\"p\": 0}}", &s, PX_E_BAD_FIELD, "/spec/mask/p",
          "0.01 to 100");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"seeds\": []}", &s, PX_E_BAD_FIELD, "/spec/seeds",
          "1 to 50");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"segments\": 11}", &s, PX_E_BAD_FIELD, "/spec/segments",
          "10 segments");
  refused(FLOW_TRAIN_IDM, "{" PLANS_DS ", \"member\": true}", &s, PX_E_BAD_FIELD, "/spec/member",
          "whole number");
}

static void heads_that_do_not_fit_the_actions_are_refused(void) {
  struct flow_snapshot s = plans_snapshot();
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": {\"head\": \"softmax\"}}", &s, PX_E_BAD_FIELD,
          "/spec/idm/head", "continuous");
  s.act_count = 4, s.act_dim = 1, s.env = "";
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": {\"head\": \"squashed\"}}", &s, PX_E_BAD_FIELD,
          "/spec/idm/head", "discrete");
  refused(FLOW_TRAIN_IDM, "{" PLANS_DS ", \"idm\": {\"head\": \"gaussian\"}}", &s, PX_E_BAD_FIELD,
          "/spec/idm/head", "discrete");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": 3}", &s, PX_E_BAD_FIELD, "/spec/idm", "");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"idm\": \"slow\"}", &s, PX_E_BAD_FIELD,
          "/spec/idm/profile", "fast, paper");
}

static void empty_labelled_subset_is_told_before_the_start(void) {
  struct flow_snapshot s = plans_snapshot();
  s.labelled_trajectories_n = 0;
  refused(FLOW_PIPELINE, "{" PLANS_DS "}", &s, PX_E_NO_LABELS, "/spec/dataset",
          "none of the dataset's 100");
  refused(FLOW_TRAIN_IDM, "{" PLANS_DS "}", &s, PX_E_NO_LABELS, "/spec/dataset", "none");
  /* the others have some actions */
  s.labelled_trajectories_n = 100, s.whole_trajectories_n = 40;
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"baselines\": [\"oracle\"]}", &s, PX_E_BAD_FIELD,
          "/spec/baselines", "40 of 100");
  s.segments_n = 0;
  refused(FLOW_PIPELINE, "{" PLANS_DS "}", &s, PX_E_NO_LABELS, "/spec/dataset", "empty");
}

/* What else can be done is told. */
static void hinted(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                   const char *pointer, const char *says) {
  struct flow_plan plan = { NULL, 0 };
  struct px_err err = { .code = PX_OK };
  CU_ASSERT_EQUAL(plans_of(kind, spec, s, &plan, &err), PX_E_NO_LABELS);
  CU_ASSERT_STRING_EQUAL(err.pointer, pointer);
  if (!strstr(err.hint, says)) printf("\n  '%s' lacks '%s'\n", err.hint, says);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, says));
}

static void without_any_true_action_what_needs_none_is_named(void) {
  struct flow_snapshot s = plans_snapshot();
  const char *const simulator = "\"labeller\": \"simulator\"";
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  hinted(FLOW_PIPELINE, "{" PLANS_DS "}", &s, "/spec/dataset", simulator);
  hinted(FLOW_TRAIN_IDM, "{" PLANS_DS "}", &s, "/spec/dataset", simulator);
  hinted(FLOW_TRAIN_POLICY, "{" PLANS_DS ", \"policy\": \"bc\"}", &s, "/spec/dataset", "label_set");
  hinted(FLOW_CHECK_SIMULATOR, "{" PLANS_DS "}", &s, "/spec/dataset",
         "only be checked against true actions");
  hinted(FLOW_PIPELINE,
         "{" PLANS_DS ", \"labeller\": \"simulator\", \"baselines\": [\"labelled_only\"]}", &s,
         "/spec/dataset", "baselines");
  hinted(FLOW_PIPELINE,
         "{" PLANS_DS ", \"labeller\": \"simulator\", \"policies\": [\"bc\", {\"algo\": \"td3bc\", "
         "\"labels\": \"true_only\"}]}",
         &s, "/spec/policies/1/labels", "all or verified");
  hinted(FLOW_TRAIN_POLICY,
         "{" PLANS_DS
         ", \"label_set\": \"ls_a\", \"policy\": {\"algo\": \"bc\", \"labels\": \"true_only\"}}",
         &s, "/spec/policy/labels", "all or verified");
  struct flow_plan plan;
  struct px_err err;
  CU_OK(
    plans_of(FLOW_TRAIN_POLICY,
             "{" PLANS_DS
             ", \"label_set\": \"ls_a\", \"policy\": {\"algo\": \"bc\", \"labels\": \"verified\"}}",
             &s, &plan, &err),
    err);
  flow_plan_free(&plan);
}

/* It runs in a process of its own, which holds the data once more. */
static void an_uploaded_simulator_s_process_counts_in_the_estimate(void) {
  static const char *const SPECS[] = { "{" PLANS_DS ", \"simulator\": \"hopper\"}",
                                       "{" PLANS_DS ", \"simulator\": \"sim_a\"}" };
  struct flow_snapshot s = plans_snapshot();
  int64_t bytes[2];
  s.size = (struct flow_size){
    .steps_n = 1e7, .trajectories_n = 1e4, .size_bytes = 1e9, .segments_n = s.segments_n
  };
  for (int i = 0; i < 2; i++) {
    struct flow_plan plan;
    struct px_err err;
    CU_OK(plans_of(FLOW_CHECK_SIMULATOR, SPECS[i], &s, &plan, &err), err);
    bytes[i] = plan.jobs[0].cost.memory_bytes;
    flow_plan_free(&plan);
  }
  CU_ASSERT(bytes[1] - bytes[0] > (int64_t)40000000 * (s.obs_dim + s.act_dim));
}

static void a_simulator_that_cannot_label_is_refused(void) {
  struct flow_snapshot s = plans_snapshot();
  const char *const at = "/spec/labeller/simulator";
  refused(FLOW_LABEL, "{" PLANS_DS "}", &s, PX_E_BAD_FIELD, "/spec/models", "missing");
  refused(FLOW_LABEL,
          "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"idm\"}}", &s,
          PX_E_BAD_FIELD, "/spec/models", "missing");
  refused(
    FLOW_LABEL,
    "{" PLANS_DS
    ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"none\"}, \"models\": [\"mdl_a\"]}",
    &s, PX_E_BAD_FIELD, "/spec/labeller/fallback", "models are given");
  refused(FLOW_LABEL,
          "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"net\": {\"pairs\": 10}}}", &s,
          PX_E_BAD_FIELD, "/spec/labeller/net/pairs", "100");
  refused(FLOW_PIPELINE,
          "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"halfcheetah\"}}",
          &s, PX_E_BAD_FIELD, at, "17");
  refused(FLOW_PIPELINE,
          "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"ant\"}}", &s,
          PX_E_BAD_FIELD, at, "no simulator");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"labeller\": {\"kind\": \"oracle\"}}", &s, PX_E_BAD_FIELD,
          "/spec/labeller/kind", "idm, simulator");
  s.labelled_trajectories_n = s.whole_trajectories_n = 0;
  refused(FLOW_PIPELINE,
          "{" PLANS_DS ", \"labeller\": {\"kind\": \"simulator\", \"fallback\": \"idm\"}}", &s,
          PX_E_NO_LABELS, "/spec/dataset", "none");
  refused(FLOW_PIPELINE,
          "{" PLANS_DS ", \"labeller\": \"simulator\", \"baselines\": [\"labelled_only\"]}", &s,
          PX_E_NO_LABELS, "/spec/dataset", "none");
  refused(FLOW_CHECK_SIMULATOR, "{" PLANS_DS "}", &s, PX_E_NO_LABELS, "/spec/dataset", "none");
  s.env = "";
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"labeller\": \"simulator\"}", &s, PX_E_BAD_FIELD, at,
          "names none");
  s.act_count = 4, s.act_dim = 1;
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"labeller\": \"simulator\"}", &s, PX_E_BAD_FIELD, at,
          "discrete");
}

static void masks_that_would_not_hide_what_they_say_are_refused(void) {
  static const enum flow_kind MASKED[] = { FLOW_PIPELINE, FLOW_TRAIN_IDM, FLOW_TRAIN_POLICY };
  static const char *const WITHOUT[] = { "\"p\": 10, \"q\": 50", "\"p\": 10", "\"q\": 50",
                                         "\"seed\": 1" };
  const struct flow_snapshot s = plans_snapshot();
  for (size_t k = 0; k < sizeof MASKED / sizeof *MASKED; k++) {
    char spec[160];
    for (size_t i = 0; i < sizeof WITHOUT / sizeof *WITHOUT; i++) {
      snprintf(spec, sizeof spec, "{" PLANS_DS ", \"mask\": {%s}}", WITHOUT[i]);
      refused(MASKED[k], spec, &s, PX_E_BAD_FIELD, "/spec/mask/protocol", "no protocol");
    }
    refused(MASKED[k],
            "{" PLANS_DS ", \"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 10}}", &s,
            PX_E_BAD_FIELD, "/spec/mask/p", "p is 50 and q is 10");
    refused(MASKED[k], "{" PLANS_DS ", \"mask\": {\"protocol\": \"coupled\", \"q\": 5}}", &s,
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
    snprintf(spec, sizeof spec, "{" PLANS_DS ", \"mask\": %s}", GOOD[i]);
    CU_OK(plans_of(FLOW_PIPELINE, spec, &s, &plan, &err), err);
    flow_plan_free(&plan);
  }
}

static void without_a_simulator_policies_are_judged_from_data(void) {
  struct flow_snapshot s = plans_snapshot();
  s.env = "";
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(FLOW_PIPELINE, "{" PLANS_DS "}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_EVALUATE), 0);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_OPE), 1);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_TRAIN_POLICY), 1);
  const struct flow_job *ope = plans_job(&plan, "ope/ss/td3bc/0");
  CU_ASSERT(plans_needs(ope, plans_job(&plan, "label")) &&
            plans_needs(ope, plans_job(&plan, "train/ss/td3bc/0")));
  CU_ASSERT(plans_needs(plans_job(&plan, "report"), ope));
  /* defaults are filled in */
  CU_ASSERT_PTR_NOT_NULL(strstr(ope->spec_json, "\"gamma\":0.99"));
  flow_plan_free(&plan);
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"evaluation\": \"both\"}", &s, PX_E_BAD_FIELD,
          "/spec/evaluation", "simulator");
  CU_OK(plans_of(FLOW_PIPELINE, "{" PLANS_DS ", \"evaluation\": \"none\"}", &s, &plan, &err), err);
  CU_ASSERT_EQUAL(plans_count(&plan, FLOW_OPE), 0);
  flow_plan_free(&plan);
}

static void a_policy_must_be_able_to_learn_the_dataset_s_actions(void) {
  struct flow_snapshot s = plans_snapshot();
  s.act_count = 4, s.act_dim = 1, s.env = "";
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"policies\": [\"bc\", \"td3bc\"]}", &s, PX_E_BAD_FIELD,
          "/spec/policies/1/algo", "discrete");
  refused(FLOW_TRAIN_POLICY, "{" PLANS_DS ", \"policy\": \"awac\"}", &s, PX_E_BAD_FIELD,
          "/spec/policy/algo", "cannot learn");
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(FLOW_PIPELINE, "{" PLANS_DS ", \"policies\": [\"bc\", \"cql\", \"dt\"]}", &s,
                 &plan, &err),
        err);
  flow_plan_free(&plan);
}

/* The report pools by name over seeds: what is given twice would count as more evidence. */
static void what_is_given_twice_is_refused(void) {
  struct flow_snapshot s = plans_snapshot();
  refused(FLOW_PIPELINE,
          "{" PLANS_DS ", \"policies\": [\"bc\", {\"algo\": \"bc\", \"updates\": 9}]}", &s,
          PX_E_BAD_FIELD, "/spec/policies/1", "the same");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"seeds\": [3, 1, 3]}", &s, PX_E_BAD_FIELD,
          "/spec/seeds/2", "the same");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"baselines\": [\"oracle\", \"oracle\"]}", &s,
          PX_E_BAD_FIELD, "/spec/baselines/1", "the same");
  struct flow_plan plan;
  struct px_err err;
  CU_OK(plans_of(
          FLOW_PIPELINE,
          "{" PLANS_DS
          ", \"policies\": [\"bc\", {\"algo\": \"bc\", \"name\": \"short bc\", \"updates\": 9}]}",
          &s, &plan, &err),
        err);
  CU_ASSERT_PTR_NOT_NULL(plans_job(&plan, "train/ss/short bc/0"));
  CU_ASSERT_PTR_NOT_NULL(strstr(plans_job(&plan, "report")->spec_json, "short bc"));
  flow_plan_free(&plan);
}

static void plans_are_bounded(void) {
  struct flow_snapshot s = plans_snapshot();
  struct px_buf spec = PX_BUF(8192);
  enum px_status built = px_buf_puts(&spec, "{" PLANS_DS ", \"policies\": [");
  for (int i = 0; i < 20 && !built; i++)
    built = px_buf_fmt(&spec, "%s{\"algo\": \"bc\", \"name\": \"%d\"}", i ? "," : "", i);
  if (!built) built = px_buf_puts(&spec, "], \"seeds\": [");
  for (int i = 0; i < 50 && !built; i++) built = px_buf_fmt(&spec, "%s%d", i ? "," : "", i);
  if (!built) built = px_buf_puts(&spec, "], \"baselines\": [\"labelled_only\", \"oracle\"]}");
  CU_ASSERT_EQUAL_FATAL(built, PX_OK);
  struct flow_plan plan;
  struct px_err err;
  CU_ASSERT_EQUAL(plans_of(FLOW_PIPELINE, spec.data, &s, &plan, &err), PX_E_TOO_LARGE);
  px_buf_free(&spec);
}

/* Some trajectories have no rewards. */
static void what_needs_rewards_is_refused(void) {
  struct flow_snapshot s = plans_snapshot();
  struct flow_plan plan = { NULL, 0 };
  struct px_err err = { .code = PX_OK };
  s.unrewarded_trajectories_n = 3;
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"policies\": [\"bc\", \"iql\"]}", &s, PX_E_NO_REWARDS,
          "/spec/policies/1/algo", "iql learns from rewards, and 3 of the 100 trajectories");
  refused(FLOW_TRAIN_POLICY, "{" PLANS_DS ", \"policy\": \"dt\"}", &s, PX_E_NO_REWARDS,
          "/spec/policy/algo", "dt learns");
  refused(FLOW_TRAIN_POLICY, "{" PLANS_DS ", \"policy\": \"10%bc\"}", &s, PX_E_NO_REWARDS,
          "/spec/policy/top_percent", "top_percent 10 chooses by returns");
  refused(FLOW_PIPELINE,
          "{" PLANS_DS ", \"mask\": {\"protocol\": \"coupled\", \"p\": 10, \"q\": 50}}", &s,
          PX_E_NO_REWARDS, "/spec/mask/q", "q below 100");
  refused(FLOW_PIPELINE, "{" PLANS_DS ", \"ope\": {\"updates\": 500}}", &s, PX_E_NO_REWARDS,
          "/spec/ope/updates", "fitted Q evaluation");
  CU_ASSERT_PTR_NULL(plan.jobs);
  /* bc over all is what is made of such data unless asked for more, also when a retry repeats the
   * defaults */
  CU_OK(plans_of(FLOW_PIPELINE,
                 "{" PLANS_DS ", \"mask\": {\"protocol\": \"coupled\", \"p\": 10, \"q\": 100}, "
                 "\"ope\": {\"updates\": 10000}}",
                 &s, &plan, &err),
        err);
  CU_ASSERT(plans_job(&plan, "train/ss/bc/0/all") || plans_job(&plan, "train/ss/bc/0"));
  flow_plan_free(&plan);
  CU_OK(plans_of(FLOW_TRAIN_POLICY, "{" PLANS_DS "}", &s, &plan, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(plan.jobs[0].spec_json, "\"algo\":\"bc\""));
  flow_plan_free(&plan);
}

CU_MAIN("flow_refused", T(a_simulator_that_cannot_label_is_refused),
        T(without_any_true_action_what_needs_none_is_named),
        T(an_uploaded_simulator_s_process_counts_in_the_estimate), T(what_needs_rewards_is_refused),
        T(bad_specs_name_the_field), T(heads_that_do_not_fit_the_actions_are_refused),
        T(empty_labelled_subset_is_told_before_the_start),
        T(masks_that_would_not_hide_what_they_say_are_refused),
        T(without_a_simulator_policies_are_judged_from_data),
        T(a_policy_must_be_able_to_learn_the_dataset_s_actions), T(what_is_given_twice_is_refused),
        T(plans_are_bounded))
