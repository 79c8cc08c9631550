/* SPDX-License-Identifier: Apache-2.0 */
/* lib/flow: what does not go together is refused before any work, at the place of the field. */
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/algos.h"
#include "lib/flow/idm.h"
#include "lib/flow/plan.h"
#include "lib/idm/idm.h"
#include "lib/nn/simd.h"
#include "lib/rl/rl.h"
#include "tests/support/cu.h"
#include "worker/env/env.h"

#define DS "\"dataset\": \"ds_00000000000000000001\""

static void some_id(char id[FLOW_ID_MAX]) { snprintf(id, FLOW_ID_MAX, "job_new"); }

/* The results that specs of these tests name; all of dataset ...1, 11 observation and 3 action
 * dimensions, but where said. */
static enum px_status find(void *ctx, const char *id, struct flow_result *out, struct px_err *err) {
  (void)ctx;
  static const struct {
    const char *id;
    struct flow_result is;
  } KNOWN[] = {
    { "mdl_td3bc", { .role = FLOW_ROLE_POLICY, .algo = "td3bc", .dims = { 11, 3, 0 } } },
    { "mdl_dt", { .role = FLOW_ROLE_POLICY, .algo = "dt", .dims = { 11, 3, 0 } } },
    { "mdl_wide", { .role = FLOW_ROLE_POLICY, .algo = "bc", .dims = { 12, 3, 0 } } },
    { "mdl_idm", { .role = FLOW_ROLE_IDM, .dims = { 11, 3, 0 } } },
    { "mdl_wide_idm", { .role = FLOW_ROLE_IDM, .dims = { 12, 3, 0 } } },
    { "ls_own",
      { .role = FLOW_ROLE_LABELS, .dataset = "ds_00000000000000000001", .segments_n = 8 } },
    { "ls_other",
      { .role = FLOW_ROLE_LABELS, .dataset = "ds_00000000000000000002", .segments_n = 10 } },
    { "ls_simulated",
      { .role = FLOW_ROLE_LABELS,
        .algo = "simulator",
        .dataset = "ds_00000000000000000001",
        .segments_n = 10 } },
    { "sim_own", { .role = FLOW_ROLE_SIMULATOR, .dims = { 11, 3, 0 } } },
    { "sim_wide", { .role = FLOW_ROLE_SIMULATOR, .dims = { 12, 3, 0 } } },
    { "job_evaluate", { .role = FLOW_ROLE_EVALUATION } },
    { "job_other", { .role = FLOW_ROLE_OTHER } },
  };
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
    if (strcmp(KNOWN[i].id, id) == 0) return *out = KNOWN[i].is, PX_OK;
  return px_fail(err, PX_E_NOT_FOUND, "there is no %s", id);
}

static struct flow_snapshot snapshot(void) {
  return (struct flow_snapshot){ .segments_n = 10,
                                 .trajectories_n = 100,
                                 .labelled_trajectories_n = 100,
                                 .whole_trajectories_n = 100,
                                 .env = "",
                                 .obs_dim = 11,
                                 .act_dim = 3,
                                 .new_id = some_id,
                                 .find = find,
                                 .size = { 100000, 100, 6e6, 10 } };
}
static struct flow_snapshot discrete(void) {
  struct flow_snapshot s = snapshot();
  s.obs_dim = 4, s.act_dim = 1, s.act_count = 2;
  return s;
}

static enum px_status plan_of(enum flow_kind kind, const char *spec, const struct flow_snapshot *s,
                              struct px_err *err) {
  json_t *json = json_loads(spec, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  struct flow_plan plan = { NULL, 0 };
  const enum px_status status = flow_plan(kind, json, s, &plan, err);
  if (!status) flow_plan_free(&plan);
  json_decref(json);
  return status;
}

static void refused(enum flow_kind kind, const char *spec, struct flow_snapshot s,
                    const char *pointer, const char *says) {
  struct px_err err = { .code = PX_OK };
  const enum px_status status = plan_of(kind, spec, &s, &err);
  const bool good = status != PX_OK && px_status_http(status) < 500 &&
                    strcmp(err.pointer, pointer) == 0 && strstr(err.message, says);
  if (!good)
    printf("\n  %s\n  status %d at '%s' and not '%s': %s\n", spec, status, err.pointer, pointer,
           err.message);
  CU_ASSERT_TRUE(good);
}
static void taken(enum flow_kind kind, const char *spec, struct flow_snapshot s) {
  struct px_err err = { .code = PX_OK };
  const enum px_status status = plan_of(kind, spec, &s, &err);
  if (status) printf("\n  %s\n  refused at '%s': %s\n", spec, err.pointer, err.message);
  CU_ASSERT_EQUAL(status, PX_OK);
}

static void simulators_that_label_have_the_dataset_s_dimensions(void) {
#define BY(id) "{" DS ", \"labeller\": {\"kind\": \"simulator\", \"simulator\": \"" id "\"}}"
  taken(FLOW_LABEL, BY("sim_own"), snapshot());
  taken(FLOW_PIPELINE, BY("sim_own"), snapshot());
  refused(FLOW_LABEL, BY("sim_wide"), snapshot(), "/spec/labeller/simulator", "12 observation");
  refused(FLOW_LABEL, BY("sim_none"), snapshot(), "/spec/labeller/simulator", "there is no");
  taken(FLOW_CHECK_SIMULATOR, "{" DS ", \"simulator\": \"sim_own\"}", snapshot());
  refused(FLOW_CHECK_SIMULATOR, "{" DS ", \"simulator\": \"sim_wide\"}", snapshot(),
          "/spec/simulator", "12 observation");
  taken(FLOW_REPORT, "{" DS ", \"label_set\": \"ls_simulated\"}", snapshot());
  refused(FLOW_REPORT, "{" DS ", \"label_set\": \"ls_own\"}", snapshot(), "/spec/models",
          "missing");
}

static void simulators_are_those_of_the_workers(void) {
  size_t n = 0, len;
  const struct px_env_info *info;
  for (; (info = px_env_at(n)) != NULL; n++) {
    const struct flow_env *env = flow_env(info->name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(env);
    CU_ASSERT_EQUAL(env->dims.obs_dim, info->obs_dim);
    CU_ASSERT_EQUAL(env->dims.act_dim, info->act_dim);
    CU_ASSERT_EQUAL(env->dims.act_count, info->act_count);
    CU_ASSERT_TRUE(flow_field_word_place(FLOW_ENVS, info->name) >= 0);
  }
  CU_ASSERT_PTR_NULL(flow_field_word_at(FLOW_ENVS, n, &len));
}

static void a_simulator_of_other_dimensions_is_refused(void) {
  struct flow_snapshot s = snapshot();
  taken(FLOW_PIPELINE, "{" DS ", \"env\": \"hopper\"}", s);
  refused(FLOW_PIPELINE, "{" DS ", \"env\": \"walker2d\"}", s, "/spec/env", "walker2d has 17");
  refused(FLOW_PIPELINE, "{" DS ", \"env\": \"cartpole\"}", s, "/spec/env", "2 discrete");
  s.obs_dim = 12;
  refused(FLOW_PIPELINE, "{" DS ", \"env\": \"hopper\"}", s, "/spec/env", "the dataset 12");
  refused(FLOW_PIPELINE, "{" DS ", \"env\": \"hopper\", \"evaluation\": \"both\"}", s, "/spec/env",
          "12");
  taken(FLOW_PIPELINE, "{" DS ", \"env\": \"hopper\", \"evaluation\": \"ope\"}", s);
  s.env = "hopper"; /* what the dataset says of itself */
  refused(FLOW_PIPELINE, "{" DS "}", s, "/spec/env", "12");
  taken(FLOW_PIPELINE, "{" DS ", \"policies\": []}", s);
  taken(FLOW_PIPELINE, "{" DS ", \"env\": \"cartpole\", \"policies\": [\"bc\"]}", discrete());
  s = snapshot();
  taken(FLOW_EVALUATE, "{\"model\": \"mdl_td3bc\", \"env\": \"hopper\"}", s);
  refused(FLOW_EVALUATE, "{\"model\": \"mdl_td3bc\", \"env\": \"halfcheetah\"}", s, "/spec/env",
          "the policy 11");
  refused(FLOW_EVALUATE, "{\"model\": \"mdl_td3bc\"}", s, "/spec/env", "missing");
  taken(FLOW_EVALUATE, "{\"model\": \"mdl_td3bc\", \"env\": \"hopper\", \"sensitivity\": true}", s);
  taken(FLOW_PIPELINE, "{" DS ", \"env\": \"hopper\", \"sensitivity\": true}", s);
  refused(FLOW_PIPELINE,
          "{" DS ", \"env\": \"cartpole\", \"policies\": [\"bc\"], \"sensitivity\": true}",
          discrete(), "/spec/sensitivity", "discrete");
}

static void widths_are_those_that_the_kernels_take(void) {
  struct flow_snapshot s = snapshot();
  static const char *const POLICY[] = {
    "{\"algo\": \"rebrac\", \"hidden\": 100}", "{\"algo\": \"dt\", \"heads\": 3}",
    "{\"algo\": \"dt\", \"hidden\": 65}", "{\"algo\": \"dt\", \"hidden\": 96, \"heads\": 4}",
    "{\"algo\": \"iql\", \"hidden\": 100, \"layer_norm\": true}"
  };
  for (size_t i = 0; i < sizeof POLICY / sizeof *POLICY; i++) {
    char spec[200];
    snprintf(spec, sizeof spec, "{" DS ", \"policies\": [\"bc\", %s]}", POLICY[i]);
    refused(FLOW_PIPELINE, spec, s, "/spec/policies/1/hidden", "multiple of");
    snprintf(spec, sizeof spec, "{" DS ", \"policy\": %s}", POLICY[i]);
    refused(FLOW_TRAIN_POLICY, spec, s, "/spec/policy/hidden", "multiple of");
  }
  taken(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": {\"algo\": \"rebrac\", \"hidden\": 112}}", s);
  taken(FLOW_TRAIN_POLICY,
        "{" DS ", \"policy\": {\"algo\": \"rebrac\", \"hidden\": 100, \"layer_norm\": false}}", s);
  taken(FLOW_TRAIN_POLICY,
        "{" DS ", \"policy\": {\"algo\": \"dt\", \"hidden\": 144, \"heads\": 3}}", s);
  taken(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": {\"algo\": \"td3bc\", \"hidden\": 100}}", s);
  CU_ASSERT_EQUAL((int)FLOW_LANES, (int)PX_LANES);
}

static void options_for_continuous_actions_are_refused_for_discrete_ones(void) {
  struct flow_snapshot s = discrete();
  refused(FLOW_PIPELINE, "{" DS ", \"policies\": [{\"algo\": \"cql\", \"n_action_samples\": 10}]}",
          s, "/spec/policies/0/n_action_samples", "continuous");
  refused(FLOW_TRAIN_POLICY,
          "{" DS ", \"policy\": {\"algo\": \"iql\", \"actor\": \"deterministic\"}}", s,
          "/spec/policy/actor", "continuous");
  refused(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": {\"algo\": \"dt\", \"temperature\": 0.5}}", s,
          "/spec/policy/temperature", "continuous");
  refused(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": \"td3bc\"}", s, "/spec/policy/algo", "discrete");
  /* A retry repeats every default. */
  taken(FLOW_TRAIN_POLICY,
        "{" DS
        ", \"policy\": {\"algo\": \"cql\", \"n_action_samples\": 4, \"backup_entropy\": false}}",
        s);
  taken(FLOW_TRAIN_POLICY, "{" DS ", \"policy\": {\"algo\": \"cql\", \"n_action_samples\": 10}}",
        snapshot());
  refused(FLOW_TRAIN_IDM, "{" DS ", \"idm\": {\"head\": \"softmax\"}}", snapshot(),
          "/spec/idm/head", "continuous");
}

static void a_plan_s_own_specs_are_taken_again(void) {
  const struct flow_snapshot s = discrete();
  for (const struct flow_field *algo = flow_algos; algo->name; algo++) {
    if (!flow_algo_learns(algo->name, true)) continue;
    struct flow_plan plan;
    struct px_err err;
    json_t *json =
      json_pack("{s:s, s:[s]}", "dataset", "ds_00000000000000000001", "policies", algo->name);
    CU_OK(flow_plan(FLOW_PIPELINE, json, &s, &plan, &err), err);
    taken(FLOW_PIPELINE, plan.jobs[0].spec_json, s);
    flow_plan_free(&plan);
    json_decref(json);
  }
}

static void options_of_a_model_that_do_not_go_together_are_refused(void) {
  static const struct {
    const char *idm, *at;
  } CASES[] = {
    { "{\"head\": \"deterministic\", \"mean_loss\": \"nll\"}", "/spec/idm/mean_loss" },
    { "{\"head\": \"deterministic\", \"rounds\": 1}", "/spec/idm/rounds" },
    { "{\"compat\": \"reference\"}", "/spec/idm/inputs" },
    { "{\"profile\": \"paper\", \"compat\": \"reference\", \"head\": \"gaussian\"}",
      "/spec/idm/head" },
    { "{\"profile\": \"paper\", \"compat\": \"reference\", \"f\": 1}", "/spec/idm/f" },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    char spec[200];
    snprintf(spec, sizeof spec, "{" DS ", \"idm\": %s}", CASES[i].idm);
    refused(FLOW_PIPELINE, spec, snapshot(), CASES[i].at, "");
    refused(FLOW_TRAIN_IDM, spec, snapshot(), CASES[i].at, "");
  }
  refused(FLOW_PIPELINE, "{" DS ", \"idm\": {\"head\": \"softmax\", \"mean_loss\": \"squared\"}}",
          discrete(), "/spec/idm/mean_loss", "");
  refused(FLOW_TRAIN_IDM, "{" DS ", \"member\": 5}", snapshot(), "/spec/member", "ensemble of 5");
  taken(FLOW_TRAIN_IDM, "{" DS ", \"member\": 4}", snapshot());
}

static void a_model_that_could_not_be_kept_is_refused(void) {
  struct flow_snapshot s = snapshot();
  refused(FLOW_TRAIN_POLICY,
          "{" DS ", \"policy\": {\"algo\": \"dt\", \"hidden\": 1024, \"layers\": 12}}", s,
          "/spec/policy/hidden", "MiB");
  s.obs_dim = 4096;
  refused(FLOW_TRAIN_IDM, "{" DS ", \"idm\": {\"hidden\": 2048, \"k\": 8, \"f\": 4}}", s,
          "/spec/idm/hidden", "MiB");
  CU_ASSERT_EQUAL((size_t)FLOW_MODEL_BYTES_MAX, IDM_MODEL_BYTES_MAX);
}

static void results_that_a_spec_names_have_to_fit(void) {
  const struct flow_snapshot s = snapshot();
#define RL "\"policy\": \"bc\", \"label_set\": "
  refused(FLOW_TRAIN_POLICY, "{" DS ", " RL "\"ls_none\"}", s, "/spec/label_set", "no ls_none");
  refused(FLOW_TRAIN_POLICY, "{" DS ", " RL "\"ls_other\"}", s, "/spec/label_set", "of dataset");
  refused(FLOW_TRAIN_POLICY, "{" DS ", " RL "\"ls_own\"}", s, "/spec/label_set", "covers 8");
  taken(FLOW_TRAIN_POLICY, "{" DS ", \"segments\": 8, " RL "\"ls_own\"}", s);
  /* of what came later there are no labels yet */
  taken(FLOW_EXPORT, "{" DS ", \"label_set\": \"ls_own\"}", s);
  refused(FLOW_EXPORT, "{" DS ", \"label_set\": \"ls_other\"}", s, "/spec/label_set", "of dataset");
  refused(FLOW_EXPORT, "{" DS ", \"actions\": \"proxy\"}", s, "/spec/actions", "no proxy actions");
  refused(FLOW_LABEL, "{" DS ", \"models\": [\"mdl_idm\", \"mdl_td3bc\"]}", s, "/spec/models/1",
          "a policy");
  refused(FLOW_LABEL, "{" DS ", \"models\": [\"mdl_wide_idm\"]}", s, "/spec/models/0",
          "12 observation");
  refused(FLOW_LABEL, "{" DS ", \"models\": [\"mdl_idm\", \"mdl_idm\"]}", s, "/spec/models/1",
          "the same");
  refused(FLOW_OPE, "{" DS ", \"model\": \"mdl_idm\"}", s, "/spec/model", "inverse dynamics");
  refused(FLOW_OPE, "{" DS ", \"model\": \"mdl_wide\"}", s, "/spec/model", "12 observation");
  refused(FLOW_EVALUATE, "{\"model\": \"mdl_idm\", \"env\": \"hopper\"}", s, "/spec/model",
          "not a policy");
  refused(FLOW_EVALUATE, "{\"model\": \"mdl_td3bc\", \"env\": \"hopper\", \"target_return\": 9}", s,
          "/spec/target_return", "td3bc");
  taken(FLOW_EVALUATE, "{\"model\": \"mdl_dt\", \"env\": \"hopper\", \"target_return\": 9}", s);
#define RUN(model, rest) \
  "{" DS ", \"segments\": 8, \"label_set\": \"ls_own\", \"models\": [\"mdl_idm\"], \"runs\": " \
  "[{\"variant\": \"ss\", " \
  "\"policy\": \"bc\", \"seed\": 0, \"model\": \"" model "\"" rest "}]}"
  taken(FLOW_REPORT, RUN("mdl_td3bc", ", \"evaluation\": \"job_evaluate\""), s);
  refused(FLOW_REPORT, RUN("mdl_idm", ""), s, "/spec/runs/0/model", "not a policy");
  refused(FLOW_REPORT, RUN("mdl_td3bc", ", \"evaluation\": \"job_other\""), s,
          "/spec/runs/0/evaluation", "not an evaluate job");
}

/* ---- fields */

static void values_are_judged_as_json_schema_judges_them(void) {
  taken(FLOW_PIPELINE,
        "{" DS ", \"policies\": [{\"algo\": \"bc\", \"updates\": 10000.0}], \"mask\": \"none\"}",
        snapshot());
  refused(FLOW_PIPELINE, "{" DS ", \"policies\": [{\"algo\": \"bc\", \"updates\": 10000.5}]}",
          snapshot(), "/spec/policies/0/updates", "whole");
  refused(FLOW_PIPELINE, "{" DS ", \"env\": null}", snapshot(), "/spec/env", "one of");
  refused(FLOW_PIPELINE, "{\"dataset\": null}", snapshot(), "/spec/dataset", "an id");
  refused(FLOW_PIPELINE, "{" DS ", \"mask\": \"x\"}", snapshot(), "/spec/mask/protocol", "one of");
  refused(FLOW_PIPELINE, "{" DS ", \"ope\": \"x\"}", snapshot(), "/spec/ope", "an object");
  refused(FLOW_PIPELINE, "{" DS ", \"seeds\": []}", snapshot(), "/spec/seeds", "1 to 50");
  char spec[400], name[161] = "";
  /* 40 characters, 160 bytes */
  for (int i = 0; i < 40; i++) memcpy(name + 4 * i, "\xf0\x9f\xa4\x96", 5);
  snprintf(spec, sizeof spec, "{" DS ", \"policies\": [{\"algo\": \"bc\", \"name\": \"%s\"}]}",
           name);
  taken(FLOW_PIPELINE, spec, snapshot());
  snprintf(spec, sizeof spec, "{" DS ", \"policies\": [{\"algo\": \"bc\", \"name\": \"%sx\"}]}",
           name);
  refused(FLOW_PIPELINE, spec, snapshot(), "/spec/policies/0/name", "40 characters");
}

static void lists_all(const struct flow_field *fields, const char *beside, const char *hint) {
  char known[512];
  snprintf(known, sizeof known, "Known fields: %s", beside);
  for (const struct flow_field *f = fields; f->name; f++) {
    const size_t used = strlen(known);
    if (f->type == FLOW_ALIAS) continue;
    snprintf(known + used, sizeof known - used, "%s%s", f == fields && !*beside ? "" : ", ",
             f->name);
  }
  const size_t used = strlen(known);
  snprintf(known + used, sizeof known - used, ".");
  CU_ASSERT_STRING_EQUAL(hint, known);
}

static void errors_list_every_known_field(void) {
  struct px_err err;
  for (int kind = 0; kind < FLOW_KIND_N; kind++) {
    json_t *json = json_pack("{s:i}", "speed", 9), *out = NULL;
    CU_ASSERT_EQUAL(flow_fields_check(flow_kind_info((enum flow_kind)kind)->fields, json, "", &out,
                                      &err),
                    PX_E_BAD_FIELD);
    lists_all(flow_kind_info((enum flow_kind)kind)->fields, "", err.hint);
    json_decref(json);
  }
  struct flow_snapshot s = snapshot();
  for (const struct flow_field *algo = flow_algos; algo->name; algo++) {
    char spec[200];
    snprintf(spec, sizeof spec, "{" DS ", \"policies\": [{\"algo\": \"%s\", \"speed\": 9}]}",
             algo->name);
    CU_ASSERT_EQUAL(plan_of(FLOW_PIPELINE, spec, &s, &err), PX_E_BAD_FIELD);
    lists_all(algo->sub, "algo", err.hint);
  }
  CU_ASSERT_EQUAL(plan_of(FLOW_PIPELINE, "{" DS ", \"idm\": {\"speed\": 9}}", &s, &err),
                  PX_E_BAD_FIELD);
  lists_all(flow_idm_profiles[0].sub, "profile", err.hint);
}

CU_MAIN("check", T(simulators_are_those_of_the_workers),
        T(simulators_that_label_have_the_dataset_s_dimensions),
        T(a_simulator_of_other_dimensions_is_refused), T(widths_are_those_that_the_kernels_take),
        T(options_for_continuous_actions_are_refused_for_discrete_ones),
        T(a_plan_s_own_specs_are_taken_again),
        T(options_of_a_model_that_do_not_go_together_are_refused),
        T(a_model_that_could_not_be_kept_is_refused), T(results_that_a_spec_names_have_to_fit),
        T(values_are_judged_as_json_schema_judges_them), T(errors_list_every_known_field))
