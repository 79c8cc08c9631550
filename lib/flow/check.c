/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a spec before any work: see check.h. */
#include "lib/flow/check.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/algos.h"
#include "lib/flow/check_rewards.h"
#include "lib/flow/estimate.h"
#include "lib/flow/idm.h"
#include "lib/flow/labellers.h"

enum { AT_MAX = 96 };

static const char *word(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}
static uint32_t whole(const json_t *object, const char *name) {
  return (uint32_t)json_integer_value(json_object_get(object, name));
}
static struct flow_dims dims_of(const struct flow_snapshot *s) {
  return (struct flow_dims){ s->obs_dim, s->act_dim, s->act_count };
}

const char *flow_check_policy_name(const json_t *policy) {
  const char *given = word(policy, "name");
  return given ? given : word(policy, "algo");
}

bool flow_check_evaluated_by(const json_t *spec, const char *how) {
  const char *evaluation = word(spec, "evaluation");
  const char *automatic = json_object_get(spec, "env") ? "evaluate" : "ope";
  return strcmp(evaluation, how) == 0 || strcmp(evaluation, "both") == 0 ||
         (strcmp(evaluation, "auto") == 0 && strcmp(automatic, how) == 0);
}

/* ---- policies */

/* A policy that cannot learn the dataset's kind of actions. */
static enum px_status check_actions(const char *algo, const char *at, bool discrete,
                                    struct px_err *err) {
  char place[AT_MAX], names[128] = "";
  if (flow_algo_learns(algo, discrete)) return PX_OK;
  for (const struct flow_field *one = flow_algos; one->name; one++) {
    const size_t used = strlen(names);
    if (flow_algo_learns(one->name, discrete))
      snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", one->name);
  }
  snprintf(place, sizeof place, "%s/algo", at);
  px_fail_at(err, PX_E_BAD_FIELD, place, "%s cannot learn %s actions, which this dataset has", algo,
             discrete ? "discrete" : "continuous");
  px_fail_hint(err, "These can: %s.", names);
  return PX_E_BAD_FIELD;
}

/* An option that would be ignored, because it is for the other kind of actions. */
static enum px_status check_options(const json_t *given, const char *algo, const char *at,
                                    bool discrete, struct px_err *err) {
  for (const struct flow_field *field = flow_algo_options(algo); field->name; field++) {
    const json_t *value = json_object_get(given, field->name);
    if (!value || field->type == FLOW_ALIAS || flow_algo_option_fits(algo, field->name, discrete) ||
        flow_fields_is_default(field, value))
      continue;
    char place[AT_MAX];
    snprintf(place, sizeof place, "%s/%s", at, field->name);
    px_fail_at(err, PX_E_BAD_FIELD, place,
               "%s of %s is for continuous actions; the dataset's are discrete", field->name, algo);
    px_fail_hint(err, "Leave %s out.", field->name);
    return PX_E_BAD_FIELD;
  }
  return PX_OK;
}

/* The kernels work on lanes of FLOW_LANES numbers. */
static enum px_status check_width(const json_t *policy, const char *algo, const char *at,
                                  struct px_err *err) {
  const bool sequence = strcmp(algo, "dt") == 0;
  if (!sequence && !json_is_true(json_object_get(policy, "layer_norm"))) return PX_OK;
  const uint32_t heads = sequence ? whole(policy, "heads") : 1, hidden = whole(policy, "hidden"),
                 unit = heads * FLOW_LANES;
  if (hidden % unit == 0) return PX_OK;
  char place[AT_MAX];
  const uint32_t below = hidden / unit * unit;
  snprintf(place, sizeof place, "%s/hidden", at);
  if (sequence)
    px_fail_at(err, PX_E_BAD_FIELD, place,
               "hidden is %u; with %u heads it must be a multiple of %u", hidden, heads, unit);
  else
    px_fail_at(err, PX_E_BAD_FIELD, place,
               "hidden is %u; with layer norms it must be a multiple of %u", hidden, unit);
  if (below) px_fail_hint(err, "Such as %u or %u.", below, below + unit);
  else px_fail_hint(err, "Such as %u.", unit);
  return PX_E_BAD_FIELD;
}

/* Labels that are all missing. */
static enum px_status check_truth(const json_t *policy, const char *at,
                                  const struct flow_snapshot *snapshot, struct px_err *err) {
  if (strcmp(word(policy, "labels"), "true_only") != 0 || snapshot->labelled_trajectories_n ||
      !snapshot->trajectories_n)
    return PX_OK;
  char place[AT_MAX];
  snprintf(place, sizeof place, "%s/labels", at);
  px_fail_at(err, PX_E_NO_LABELS, place,
             "labels true_only learns from true actions alone, and none of the dataset's %llu "
             "trajectories has any",
             (unsigned long long)snapshot->trajectories_n);
  px_fail_hint(err, "Choose all or verified, which learn from proxies, such as those of "
                    "\"labeller\": \"simulator\".");
  return PX_E_NO_LABELS;
}

static enum px_status check_policy(const json_t *given, const json_t *policy, const char *at,
                                   const struct flow_snapshot *snapshot, struct px_err *err) {
  const char *algo = word(policy, "algo");
  const bool discrete = snapshot->act_count > 0;
  enum px_status status = check_actions(algo, at, discrete, err);
  if (!status) status = check_options(given, algo, at, discrete, err);
  if (!status) status = check_width(policy, algo, at, err);
  if (!status) status = check_truth(policy, at, snapshot, err);
  const struct flow_dims dims = dims_of(snapshot);
  return status ? status : flow_estimate_check_policy(policy, &dims, at, err);
}

static enum px_status check_policies(const json_t *given, const json_t *spec,
                                     const struct flow_snapshot *snapshot, struct px_err *err) {
  const json_t *one = json_object_get(spec, "policy"), *policy;
  enum px_status status =
    one ? check_policy(json_object_get(given, "policy"), one, "/spec/policy", snapshot, err)
        : PX_OK;
  size_t i;
  json_array_foreach(json_object_get(spec, "policies"), i, policy) {
    char at[64];
    snprintf(at, sizeof at, "/spec/policies/%zu", i);
    if (!status)
      status = check_policy(json_array_get(json_object_get(given, "policies"), i), policy, at,
                            snapshot, err);
  }
  return status;
}

/* ---- inverse dynamics models */

static enum px_status check_idm(const json_t *spec, const struct flow_snapshot *snapshot,
                                struct px_err *err) {
  const json_t *idm = json_object_get(spec, "idm"), *member = json_object_get(spec, "member");
  if (!idm) return PX_OK;
  const char *head = word(idm, "head");
  if ((strcmp(head, "softmax") == 0) != (snapshot->act_count > 0)) {
    px_fail_at(err, PX_E_BAD_FIELD, "/spec/idm/head", "head %s is not for the dataset's %s actions",
               head, snapshot->act_count ? "discrete" : "continuous");
    px_fail_hint(err, "Discrete actions take head softmax, continuous ones any other; leave head "
                      "out for the usual one.");
    return PX_E_BAD_FIELD;
  }
  const struct flow_idm_pairs pairs = { .head = head,
                                        .mean_loss = word(idm, "mean_loss"),
                                        .compat = word(idm, "compat"),
                                        .inputs = word(idm, "inputs"),
                                        .rounds = whole(idm, "rounds"),
                                        .f = whole(idm, "f") };
  const enum px_status status = flow_idm_check_pairs(&pairs, "/spec/idm", err);
  if (status) return status;
  if (member && whole(spec, "member") >= whole(idm, "members"))
    return px_fail_at(err, PX_E_BAD_FIELD, "/spec/member",
                      "member %u of an ensemble of %u; the first is 0", whole(spec, "member"),
                      whole(idm, "members"));
  const struct flow_dims dims = dims_of(snapshot);
  return flow_estimate_check_idm(idm, &dims, "/spec/idm", err);
}

/* ---- what a pipeline lists */

/* The report pools what has one name over the seeds; a model given twice would count twice. */
static enum px_status check_distinct(const json_t *spec, struct px_err *err) {
  static const char *const LISTS[] = { "policies", "seeds", "baselines", "models" };
  for (size_t l = 0; l < sizeof LISTS / sizeof *LISTS; l++) {
    const json_t *list = json_object_get(spec, LISTS[l]);
    for (size_t i = 0; i < json_array_size(list); i++)
      for (size_t k = 0; k < i; k++) {
        const json_t *a = json_array_get(list, i), *b = json_array_get(list, k);
        if (json_is_object(a) ? strcmp(flow_check_policy_name(a), flow_check_policy_name(b)) != 0
                              : !json_equal(a, b))
          continue;
        char at[64];
        snprintf(at, sizeof at, "/spec/%s/%zu", LISTS[l], i);
        px_fail_at(err, PX_E_BAD_FIELD, at, "%s %zu and %zu are the same", LISTS[l], k, i);
        if (json_is_object(a))
          px_fail_hint(err, "Give one of the policies called '%s' another name.",
                       flow_check_policy_name(a));
        return PX_E_BAD_FIELD;
      }
  }
  return PX_OK;
}

/* A class cannot be changed a little. */
static enum px_status check_sensitivity(const json_t *spec, uint32_t act_count,
                                        struct px_err *err) {
  if (!json_is_true(json_object_get(spec, "sensitivity")) || !act_count) return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/sensitivity",
             "the actions are discrete: they cannot be offset, scaled or made noisy");
  px_fail_hint(err, "Leave sensitivity out.");
  return PX_E_BAD_FIELD;
}

static enum px_status check_evaluation(const json_t *spec, const struct flow_snapshot *snapshot,
                                       struct px_err *err) {
  if (!flow_check_evaluated_by(spec, "evaluate")) return PX_OK;
  const char *env = word(spec, "env");
  if (!env) {
    px_fail_at(err, PX_E_BAD_FIELD, "/spec/evaluation",
               "evaluating needs a simulator, and the dataset names none");
    px_fail_hint(err, "Give env, or choose ope, which judges policies from data.");
    return PX_E_BAD_FIELD;
  }
  const struct flow_dims dims = dims_of(snapshot);
  return json_array_size(json_object_get(spec, "policies"))
           ? flow_env_check(env, &dims, "the dataset", "/spec/env", err)
           : PX_OK;
}

/* ---- results that a spec names */

/* Looks one up; `role` says what it has to be. */
static enum px_status find(const struct flow_snapshot *snapshot, const char *id,
                           enum flow_role role, const char *at, struct flow_result *out,
                           struct px_err *err) {
  static const char *const ROLE[] = { [FLOW_ROLE_IDM] = "an inverse dynamics model",
                                      [FLOW_ROLE_POLICY] = "a policy",
                                      [FLOW_ROLE_LABELS] = "a label set",
                                      [FLOW_ROLE_EVALUATION] = "an evaluate job",
                                      [FLOW_ROLE_OPE] = "an ope job",
                                      [FLOW_ROLE_SIMULATOR] = "a simulator",
                                      [FLOW_ROLE_REHEARSAL] = "a rehearse job",
                                      [FLOW_ROLE_OTHER] = "another job" };
  const enum px_status status = snapshot->find(snapshot->find_ctx, id, out, err);
  if (status && err) snprintf(err->pointer, sizeof err->pointer, "%s", at);
  if (status || out->role == role) return status;
  return px_fail_at(err, PX_E_BAD_FIELD, at, "%s is %s, not %s", id, ROLE[out->role], ROLE[role]);
}

static enum px_status check_model(const struct flow_snapshot *snapshot, const char *id,
                                  enum flow_role role, const char *at, struct flow_result *found,
                                  struct px_err *err) {
  const struct flow_dims dims = dims_of(snapshot);
  const enum px_status status = find(snapshot, id, role, at, found, err);
  if (status || flow_env_dims_equal(&found->dims, &dims)) return status;
  char theirs[FLOW_DIMS_TEXT], ours[FLOW_DIMS_TEXT];
  flow_env_dims_text(&found->dims, theirs);
  flow_env_dims_text(&dims, ours);
  px_fail_at(err, PX_E_BAD_FIELD, at, "model %s takes %s, the dataset has %s", id, theirs, ours);
  px_fail_hint(err,
               "Name a model that was trained on this dataset, or on one of the same dimensions.");
  return PX_E_BAD_FIELD;
}

/* ---- simulators that label */

static enum px_status check_uploaded(const char *id, const char *at,
                                     const struct flow_snapshot *snapshot, struct px_err *err) {
  const struct flow_dims dims = dims_of(snapshot);
  struct flow_result found;
  if (!snapshot->find) return PX_OK;
  const enum px_status status = find(snapshot, id, FLOW_ROLE_SIMULATOR, at, &found, err);
  if (status || flow_env_dims_equal(&found.dims, &dims)) return status;
  char theirs[FLOW_DIMS_TEXT], ours[FLOW_DIMS_TEXT];
  flow_env_dims_text(&found.dims, theirs);
  flow_env_dims_text(&dims, ours);
  return px_fail_at(err, PX_E_BAD_FIELD, at, "simulator %s has %s, the dataset %s", id, theirs,
                    ours);
}

/* The simulator that labels or is checked: there, of the dataset's dimensions, and for actions that
 * can be solved for. */
static enum px_status check_simulator(const json_t *from, const char *at,
                                      const struct flow_snapshot *snapshot, struct px_err *err) {
  const char *name = word(from, "simulator");
  if (snapshot->act_count) {
    px_fail_at(err, PX_E_BAD_FIELD, at,
               "a simulator labels continuous actions; the dataset's are discrete");
    px_fail_hint(err, "Use labeller idm, whose head softmax learns discrete actions.");
    return PX_E_BAD_FIELD;
  }
  if (!name) {
    px_fail_at(err, PX_E_BAD_FIELD, at, "no simulator is named, and the dataset names none");
    char names[FLOW_ENV_NAMES_MAX];
    flow_env_names(true, ", ", names);
    px_fail_hint(
      err, "Name one of %s, or what POST /v1/simulators gave, or create the dataset with env.",
      names);
    return PX_E_BAD_FIELD;
  }
  const struct flow_dims dims = dims_of(snapshot);
  return strncmp(name, "sim_", 4) == 0 ? check_uploaded(name, at, snapshot, err)
                                       : flow_env_check(name, &dims, "the dataset", at, err);
}

/* With or without inverse dynamics models beside it, as its fallback says. */
static enum px_status check_labeller(enum flow_kind kind, const json_t *spec,
                                     const struct flow_snapshot *snapshot, struct px_err *err) {
  const json_t *labeller = json_object_get(spec, "labeller");
  const bool models =
    kind == FLOW_PIPELINE ? flow_labeller_uses_idm(spec) : json_object_get(spec, "models") != NULL;
  if (kind == FLOW_CHECK_SIMULATOR) return check_simulator(spec, "/spec/simulator", snapshot, err);
  if (!labeller) return PX_OK;
  if (flow_labeller_is_simulator(spec)) {
    const enum px_status status =
      check_simulator(labeller, "/spec/labeller/simulator", snapshot, err);
    if (status) return status;
    if (models && !flow_labeller_uses_idm(spec))
      return px_fail_at(err, PX_E_BAD_FIELD, "/spec/labeller/fallback",
                        "fallback is none, and yet models are given");
  }
  if (models || !flow_labeller_uses_idm(spec)) return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/models", "models is missing");
  px_fail_hint(
    err, "Name the inverse dynamics models that label, or labeller simulator without a fallback.");
  return PX_E_BAD_FIELD;
}

/* Trainings read all of the snapshot's labels; an export takes what there is. */
static enum px_status check_label_set(enum flow_kind kind, const json_t *spec,
                                      const struct flow_snapshot *snapshot, struct px_err *err) {
  const char *id = word(spec, "label_set");
  struct flow_result found;
  if (!id) return PX_OK;
  const enum px_status status =
    find(snapshot, id, FLOW_ROLE_LABELS, "/spec/label_set", &found, err);
  if (status) return status;
  if (strcmp(found.dataset, word(spec, "dataset")) != 0)
    return px_fail_at(err, PX_E_BAD_FIELD, "/spec/label_set", "label set %s is of dataset %s", id,
                      found.dataset);
  if (kind == FLOW_REPORT && strcmp(found.algo, "simulator") != 0 &&
      !json_object_get(spec, "models"))
    return px_fail_at(err, PX_E_BAD_FIELD, "/spec/models",
                      "models is missing: %s is not a simulator's", id);
  if (kind == FLOW_EXPORT || found.segments_n >= whole(spec, "segments")) return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/label_set",
             "label set %s covers %u segments, and the snapshot has %u", id, found.segments_n,
             whole(spec, "segments"));
  px_fail_hint(err, "Set segments to %u, or label the dataset again.", found.segments_n);
  return PX_E_BAD_FIELD;
}

static enum px_status check_target(const json_t *spec, const struct flow_result *policy,
                                   struct px_err *err) {
  if (!json_object_get(spec, "target_return") || strcmp(policy->algo, "dt") == 0) return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/target_return",
             "only a policy of dt aims at a return; this one is of %s", policy->algo);
  px_fail_hint(err, "Leave target_return out.");
  return PX_E_BAD_FIELD;
}

static enum px_status check_runs(const json_t *spec, const struct flow_snapshot *snapshot,
                                 struct px_err *err) {
  static const struct {
    const char *name;
    enum flow_role role;
  } PARTS[] = { { "model", FLOW_ROLE_POLICY },
                { "selection", FLOW_ROLE_EVALUATION },
                { "evaluation", FLOW_ROLE_EVALUATION },
                { "assessment", FLOW_ROLE_OPE } };
  enum px_status status = PX_OK;
  struct flow_result found;
  size_t i;
  json_t *run;
  json_array_foreach(json_object_get(spec, "runs"), i,
                     run) for (size_t k = 0; k < sizeof PARTS / sizeof *PARTS && !status; k++) {
    const char *id = word(run, PARTS[k].name);
    char at[64];
    snprintf(at, sizeof at, "/spec/runs/%zu/%s", i, PARTS[k].name);
    if (id) status = find(snapshot, id, PARTS[k].role, at, &found, err);
  }
  return status;
}

static enum px_status check_references(enum flow_kind kind, const json_t *spec,
                                       const struct flow_snapshot *snapshot, struct px_err *err) {
  const char *model = word(spec, "model");
  struct flow_result found;
  enum px_status status = PX_OK;
  size_t i;
  json_t *id;
  if (!snapshot->find) return PX_OK;
  if (model) status = check_model(snapshot, model, FLOW_ROLE_POLICY, "/spec/model", &found, err);
  if (!status && model && kind == FLOW_EVALUATE) {
    status = flow_env_check(word(spec, "env"), &found.dims, "the policy", "/spec/env", err);
    if (!status) status = check_target(spec, &found, err);
    if (!status) status = check_sensitivity(spec, found.dims.act_count, err);
  }
  json_array_foreach(json_object_get(spec, "models"), i, id) {
    char at[64];
    snprintf(at, sizeof at, "/spec/models/%zu", i);
    if (!status)
      status = check_model(snapshot, json_string_value(id), FLOW_ROLE_IDM, at, &found, err);
  }
  const char *rehearsal = word(spec, "rehearsal");
  if (!status && rehearsal)
    status = find(snapshot, rehearsal, FLOW_ROLE_REHEARSAL, "/spec/rehearsal", &found, err);
  if (!status) status = check_label_set(kind, spec, snapshot, err);
  return status ? status : check_runs(spec, snapshot, err);
}

static enum px_status check_export(const json_t *spec, const struct flow_snapshot *snapshot,
                                   struct px_err *err) {
  if (strcmp(word(spec, "actions"), "proxy") != 0 || json_object_get(spec, "label_set") ||
      snapshot->has_labels)
    return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/actions", "the dataset has no proxy actions yet");
  px_fail_hint(err, "POST /v1/pipelines makes them.");
  return PX_E_BAD_FIELD;
}

enum px_status flow_check(enum flow_kind kind, const json_t *given, const json_t *spec,
                          const struct flow_snapshot *snapshot, struct px_err *err) {
  enum px_status status = check_idm(spec, snapshot, err);
  if (!status) status = check_labeller(kind, spec, snapshot, err);
  if (!status) status = check_distinct(spec, err);
  if (!status) status = check_policies(given, spec, snapshot, err);
  if (!status) status = flow_check_rewards(kind, given, spec, snapshot, err);
  if (!status && kind == FLOW_PIPELINE) status = check_evaluation(spec, snapshot, err);
  if (!status && kind == FLOW_PIPELINE) status = check_sensitivity(spec, snapshot->act_count, err);
  if (!status && kind == FLOW_EXPORT) status = check_export(spec, snapshot, err);
  return status ? status : check_references(kind, spec, snapshot, err);
}
