/* SPDX-License-Identifier: Apache-2.0 */
/* The policies of a pipeline: see plan_parts.h. */
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/check.h"
#include "lib/flow/labellers.h"
#include "lib/flow/plan_parts.h"

/* Episodes that choose between labels begin elsewhere than those of the final figure: their seeds
 * differ by this. */
static const json_int_t SELECTION_SEED = (json_int_t)1 << 52;

struct pipeline {
  struct planner *planner;
  const json_t *spec;
  const char *label_set;
  char *rehearsal; /* the job that chooses the labels; "" for none */
  json_t *runs;
};

/* One policy with one seed. */
struct run {
  const char *variant; /* ss, labelled_only, oracle */
  const char *labels;  /* what `auto` became; NULL: the policy's own option stands */
  bool compared;       /* the report chooses between this and other labels */
  const json_t *policy, *seed;
};

static const char *labels_of(const json_t *policy) {
  return json_string_value(json_object_get(policy, "labels"));
}
static bool is_auto(const json_t *policy) { return strcmp(labels_of(policy), "auto") == 0; }
static bool uses_labels(const struct run *run) {
  return strcmp(run->variant, "ss") == 0 && !(run->labels && strcmp(run->labels, "true_only") == 0);
}

/* Names a job of the run, so that the report finds its result. */
static enum px_status remember(const struct pipeline *l, size_t at, const char *as, json_t *entry,
                               struct px_err *err) {
  const char *id = l->planner->plan->jobs[at].id;
  return json_object_set_new(entry, as, json_string(id)) < 0 ? plan_no_memory(err) : PX_OK;
}

static bool has_truth(const struct pipeline *l) {
  return l->planner->snapshot->labelled_trajectories_n > 0;
}

/* The run's labels as its training's option. Without any true action, a simulator that verifies
 * nothing leaves nothing to learn from; who chose `auto` did not ask for that. */
static const char *option_of(const struct pipeline *l, const struct run *run) {
  if (!uses_labels(run)) return "all";
  return strcmp(run->labels, "verified") == 0 && !has_truth(l) ? "prefer_verified" : run->labels;
}

/* The name of a run's jobs. A policy of true actions alone is the baseline's, whoever asks for
 * it. */
static void name_of(const struct run *run, char out[FLOW_NAME_MAX]) {
  const bool only_true = run->labels && strcmp(run->labels, "true_only") == 0;
  const char *variant = only_true ? "labelled_only" : run->variant;
  const char *labels =
    run->labels && !only_true && strcmp(run->labels, "all") != 0 ? run->labels : "";
  snprintf(out, FLOW_NAME_MAX, "%s/%s/%lld%s%s", variant, flow_check_policy_name(run->policy),
           (long long)json_integer_value(run->seed), *labels ? "/" : "", labels);
}

static enum px_status add_training(const struct pipeline *l, const struct run *run,
                                   char model[FLOW_ID_MAX], struct px_err *err) {
  char name[FLOW_NAME_MAX];
  const bool labels = uses_labels(run);
  json_t *policy = json_copy((json_t *)(uintptr_t)run->policy);
  json_t *train = plan_base(l->spec, strcmp(run->variant, "oracle") != 0);
  name_of(run, name);
  if (!policy || !train || json_object_set(train, "seed", (json_t *)(uintptr_t)run->seed) < 0 ||
      (run->labels && json_object_set_new(policy, "labels", json_string(option_of(l, run))) < 0) ||
      (labels && json_object_set_new(train, "label_set", json_string(l->label_set)) < 0) ||
      (labels && *l->rehearsal && is_auto(run->policy) &&
       json_object_set_new(train, "rehearsal", json_string(l->rehearsal)) < 0) ||
      json_object_set(train, "policy", policy) < 0) {
    json_decref(policy);
    json_decref(train);
    return plan_no_memory(err);
  }
  json_decref(policy);
  size_t at;
  const enum px_status status = plan_add(l->planner, FLOW_TRAIN_POLICY, train,
                                         labels ? PLAN_SECOND : 0, &at, err, "train/%s", name);
  if (!status) plan_result_id("mdl", l->planner->plan->jobs[at].id, model);
  return status;
}

static enum px_status add_evaluation(const struct pipeline *l, const struct run *run,
                                     bool selection, json_t *entry, struct px_err *err) {
  char name[FLOW_NAME_MAX];
  size_t at;
  const json_int_t seed = json_integer_value(run->seed);
  json_t *evaluate =
    json_pack("{s:O, s:O, s:O, s:I, s:O*}", "model", json_object_get(entry, "model"), "env",
              json_object_get(l->spec, "env"), "episodes", json_object_get(l->spec, "episodes"),
              "seed", selection ? seed ^ SELECTION_SEED : seed, "sensitivity",
              selection ? NULL : json_object_get(l->spec, "sensitivity"));
  name_of(run, name);
  const int urgency = PLAN_THIRD + (uses_labels(run) ? PLAN_SECOND : 0);
  const enum px_status status = plan_add(l->planner, FLOW_EVALUATE, evaluate, urgency, &at, err,
                                         "%s/%s", selection ? "select" : "evaluate", name);
  return status ? status : remember(l, at, selection ? "selection" : "evaluation", entry, err);
}

static enum px_status add_ope(const struct pipeline *l, const struct run *run, json_t *entry,
                              struct px_err *err) {
  char name[FLOW_NAME_MAX];
  size_t at;
  json_t *ope = plan_base(l->spec, strcmp(run->variant, "oracle") != 0);
  if (!ope || json_object_update(ope, json_object_get(l->spec, "ope")) < 0 ||
      json_object_set(ope, "model", json_object_get(entry, "model")) < 0 ||
      json_object_set(ope, "seed", (json_t *)(uintptr_t)run->seed) < 0 ||
      (uses_labels(run) && json_object_set_new(ope, "label_set", json_string(l->label_set)) < 0)) {
    json_decref(ope);
    return plan_no_memory(err);
  }
  name_of(run, name);
  const int urgency = PLAN_THIRD + (uses_labels(run) ? PLAN_SECOND : 0);
  const enum px_status status =
    plan_add(l->planner, FLOW_OPE, ope, urgency, &at, err, "ope/%s", name);
  return status ? status : remember(l, at, "assessment", entry, err);
}

/* Appends the run to the report's list. */
static json_t *entry_of(const struct pipeline *l, const struct run *run) {
  json_t *entry = json_pack("{s:s, s:s, s:O}", "variant", run->variant, "policy",
                            flow_check_policy_name(run->policy), "seed", run->seed);
  const bool incomplete =
    !entry || (run->compared && json_object_set_new(entry, "labels", json_string(run->labels)) < 0);
  if (incomplete) json_decref(entry);
  return incomplete || json_array_append_new(l->runs, entry) < 0 ? NULL : entry;
}

/* The baseline that a comparison of labels has trained already. */
static const json_t *trained_already(const struct pipeline *l, const struct run *run) {
  size_t i;
  const json_t *entry;
  if (strcmp(run->variant, "labelled_only") != 0) return NULL;
  json_array_foreach(l->runs, i, entry) {
    const char *labels = labels_of(entry),
               *policy = json_string_value(json_object_get(entry, "policy"));
    if (labels && strcmp(labels, "true_only") == 0 &&
        strcmp(policy, flow_check_policy_name(run->policy)) == 0 &&
        json_equal(json_object_get(entry, "seed"), run->seed))
      return entry;
  }
  return NULL;
}

static enum px_status share(const struct pipeline *l, const struct run *run, const json_t *trained,
                            struct px_err *err) {
  static const char *const SHARED[] = { "model", "evaluation", "assessment" };
  json_t *entry = entry_of(l, run);
  bool complete = entry != NULL;
  for (size_t i = 0; complete && i < sizeof SHARED / sizeof *SHARED; i++) {
    json_t *id = json_object_get(trained, SHARED[i]);
    complete = !id || json_object_set(entry, SHARED[i], id) == 0;
  }
  return complete ? PX_OK : plan_no_memory(err);
}

/* Trains a policy and judges it. */
static enum px_status add_run(const struct pipeline *l, const struct run *run, struct px_err *err) {
  const json_t *trained = trained_already(l, run);
  if (trained) return share(l, run, trained, err);
  char model[FLOW_ID_MAX];
  enum px_status status = add_training(l, run, model, err);
  json_t *entry = status ? NULL : entry_of(l, run);
  if (!status && (!entry || json_object_set_new(entry, "model", json_string(model)) < 0))
    status = plan_no_memory(err);
  if (!status && run->compared) status = add_evaluation(l, run, true, entry, err);
  if (!status && flow_check_evaluated_by(l->spec, "evaluate"))
    status = add_evaluation(l, run, false, entry, err);
  if (!status && flow_check_evaluated_by(l->spec, "ope")) status = add_ope(l, run, entry, err);
  return status;
}

/* Whether there will be proxies at all: otherwise there is nothing to choose. */
static bool has_proxies(const struct pipeline *l) {
  const struct flow_snapshot *s = l->planner->snapshot;
  return plan_hides(l->spec) || s->whole_trajectories_n < s->trajectories_n;
}

static enum px_status add_semi_supervised(const struct pipeline *l, struct run run,
                                          struct px_err *err) {
  const char *const COMPARED[] = { "all", flow_labeller_solves(l->spec) ? "verified" : "confident",
                                   "true_only" };
  /* a simulator labels without any true action, too */
  const size_t compared_n = has_truth(l) ? 3 : 2;
  run.variant = "ss";
  if (!is_auto(run.policy)) return add_run(l, &run, err);
  run.compared = has_proxies(l) && flow_check_evaluated_by(l->spec, "evaluate");
  if (!run.compared) {
    run.labels = *l->rehearsal ? NULL : flow_labeller_solves(l->spec) ? "verified" : "all";
    return add_run(l, &run, err);
  }
  enum px_status status = PX_OK;
  for (size_t i = 0; !status && i < compared_n; i++) {
    run.labels = COMPARED[i];
    status = add_run(l, &run, err);
  }
  return status;
}

static enum px_status add_variant(const struct pipeline *l, const char *variant,
                                  struct px_err *err) {
  enum px_status status = PX_OK;
  size_t i, k;
  json_t *policy, *seed;
  json_array_foreach(json_object_get(l->spec, "policies"), i, policy)
    json_array_foreach(json_object_get(l->spec, "seeds"), k, seed) {
    const struct run run = { .variant = variant, .policy = policy, .seed = seed };
    if (!status)
      status =
        strcmp(variant, "ss") == 0 ? add_semi_supervised(l, run, err) : add_run(l, &run, err);
  }
  return status;
}

/* Whether a rehearsal chooses the labels of some policy. */
static bool rehearses(const struct pipeline *l) {
  size_t i;
  json_t *policy;
  bool any = false;
  json_array_foreach(json_object_get(l->spec, "policies"), i, policy) any = any || is_auto(policy);
  return any && has_proxies(l) && !flow_labeller_is_simulator(l->spec) &&
         !flow_check_evaluated_by(l->spec, "evaluate");
}

static enum px_status add_rehearsal(const struct pipeline *l, struct px_err *err) {
  size_t at;
  json_t *rehearse = plan_base(l->spec, true);
  if (rehearse && json_object_set(rehearse, "idm", json_object_get(l->spec, "idm")) < 0) {
    json_decref(rehearse);
    rehearse = NULL;
  }
  const enum px_status status =
    plan_add(l->planner, FLOW_REHEARSE, rehearse, PLAN_FIRST, &at, err, "rehearse");
  if (!status) snprintf(l->rehearsal, FLOW_ID_MAX, "%s", l->planner->plan->jobs[at].id);
  return status;
}

enum px_status plan_add_runs(struct planner *p, const json_t *spec, const char *label_set,
                             json_t *runs, char rehearsal[FLOW_ID_MAX], struct px_err *err) {
  struct pipeline l = {
    .planner = p, .spec = spec, .label_set = label_set, .rehearsal = rehearsal, .runs = runs
  };
  enum px_status status = rehearses(&l) ? add_rehearsal(&l, err) : PX_OK;
  if (!status) status = add_variant(&l, "ss", err);
  size_t i;
  json_t *baseline;
  json_array_foreach(json_object_get(spec, "baselines"), i, baseline) if (!status) status =
    add_variant(&l, json_string_value(baseline), err);
  return status;
}
