/* SPDX-License-Identifier: Apache-2.0 */
/* What follows what: see plan.h. */
#include "lib/flow/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/check.h"
#include "lib/flow/labellers.h"
#include "lib/flow/plan_parts.h"

static enum px_status add_members(struct planner *p, const json_t *spec, json_t *models,
                                  struct px_err *err) {
  const json_t *idm = json_object_get(spec, "idm");
  const int members = (int)json_integer_value(json_object_get(idm, "members"));
  enum px_status status = PX_OK;
  for (int m = 0; !status && m < members; m++) {
    json_t *one = plan_base(spec, true);
    if (!one || json_object_set(one, "idm", (json_t *)(uintptr_t)idm) < 0 ||
        json_object_set_new(one, "member", json_integer(m)) < 0) {
      json_decref(one);
      return plan_no_memory(err);
    }
    size_t at;
    status = plan_add(p, FLOW_TRAIN_IDM, one, PLAN_FIRST, &at, err, "idm/%d", m);
    char id[FLOW_ID_MAX];
    if (!status) plan_result_id("mdl", p->plan->jobs[at].id, id);
    if (!status && json_array_append_new(models, json_string(id)) < 0) status = plan_no_memory(err);
  }
  return status;
}

/* Numbers that would be ignored, since the protocol that a mask has by default hides nothing. */
static enum px_status check_protocol_given(const json_t *given, struct px_err *err) {
  const json_t *mask = json_object_get(given, "mask");
  if (!json_is_object(mask) || json_object_get(mask, "protocol")) return PX_OK;
  if (!json_object_get(mask, "p") && !json_object_get(mask, "q") && !json_object_get(mask, "seed"))
    return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/mask/protocol",
             "the mask has numbers and no protocol, so it would hide nothing");
  px_fail_hint(err, "Add \"protocol\": \"coupled\", or leave the mask out.");
  return PX_E_BAD_FIELD;
}

static enum px_status check_mask(const json_t *spec, struct px_err *err) {
  const json_t *mask = json_object_get(spec, "mask");
  const double p = json_number_value(json_object_get(mask, "p")),
               q = json_number_value(json_object_get(mask, "q"));
  if (!plan_hides(spec) || p <= q) return PX_OK;
  px_fail_at(err, PX_E_BAD_FIELD, "/spec/mask/p",
             "p is %g and q is %g: %g%% of the labelled trajectories cannot be drawn "
             "from the lowest %g%%",
             p, q, p, q);
  px_fail_hint(err, "Give p at most q; q 100 draws from all of them.");
  return PX_E_BAD_FIELD;
}

/* What else can be done without any true action. */
static const char *without_labels(enum flow_kind kind, const json_t *spec) {
  if (kind == FLOW_CHECK_SIMULATOR)
    return "A simulator can only be checked against true actions: upload a few trajectories that "
           "have them. It labels without "
           "any, and nothing then tells whether it is the right one.";
  if (kind == FLOW_TRAIN_POLICY)
    return "Name the label_set whose proxy actions it should learn from; where the robot's "
           "simulator is known, "
           "\"labeller\": \"simulator\" makes one without true actions.";
  if (kind == FLOW_PIPELINE && flow_labeller_is_simulator(spec))
    return "A simulator labels without true actions where the labeller's fallback is none and "
           "there are no baselines.";
  return "Upload some trajectories with actions. Where the robot's simulator is known, a label job "
         "or pipeline with "
         "\"labeller\": \"simulator\" needs none.";
}

/* NO_LABELS, or an oracle without truth, before anything starts. */
static enum px_status check_learnable(enum flow_kind kind, const json_t *spec,
                                      const struct flow_snapshot *snapshot, struct px_err *err) {
  if (snapshot->labelled_trajectories_n == 0) {
    px_fail_at(err, PX_E_NO_LABELS, "/spec/dataset",
               "none of the dataset's %llu trajectories has true actions",
               (unsigned long long)snapshot->trajectories_n);
    px_fail_hint(err, "%s", without_labels(kind, spec));
    return PX_E_NO_LABELS;
  }
  size_t i;
  json_t *baseline;
  json_array_foreach(json_object_get(spec, "baselines"), i,
                     baseline) if (strcmp(json_string_value(baseline), "oracle") == 0 &&
                                   !plan_hides(spec) &&
                                   snapshot->whole_trajectories_n < snapshot->trajectories_n) {
    px_fail_at(
      err, PX_E_BAD_FIELD, "/spec/baselines",
      "an oracle needs all true actions; %llu of %llu trajectories have them at every step",
      (unsigned long long)snapshot->whole_trajectories_n,
      (unsigned long long)snapshot->trajectories_n);
    px_fail_hint(err, "Leave the oracle out, or use a mask: then the actions that are known are "
                      "the whole experiment's truth.");
    return PX_E_BAD_FIELD;
  }
  return PX_OK;
}

/* Copies a field that may be left out. */
static int copy_given(json_t *to, const json_t *from, const char *name) {
  json_t *value = json_object_get(from, name);
  return value ? json_object_set(to, name, value) : 0;
}

static enum px_status expand_pipeline(struct planner *p, json_t *spec, struct px_err *err) {
  size_t top = 0, label = 0, report = 0;
  json_t *models = json_array(), *runs = json_array();
  enum px_status status =
    models && runs ? plan_add(p, FLOW_PIPELINE, json_incref(spec), 0, &top, err, "pipeline")
                   : plan_no_memory(err);
  char parent[FLOW_ID_MAX] = "", label_set[FLOW_ID_MAX] = "", rehearsal[FLOW_ID_MAX] = "";
  if (!status) {
    snprintf(parent, sizeof parent, "%s", p->plan->jobs[top].id);
    p->parent = parent;
    if (flow_labeller_uses_idm(spec)) status = add_members(p, spec, models, err);
  }
  json_t *labelling = status ? NULL : plan_base(spec, false);
  if (labelling &&
      (copy_given(labelling, spec, "shards") < 0 || copy_given(labelling, spec, "labeller") < 0 ||
       (json_array_size(models) && json_object_set(labelling, "models", models) < 0)))
    status = plan_no_memory(err);
  if (!status)
    status = labelling ? plan_add_label(p, labelling, json_object_get(spec, "mask"), PLAN_SECOND,
                                        &label, err)
                       : plan_no_memory(err);
  if (!status) plan_result_id("ls", p->plan->jobs[label].id, label_set);
  if (!status) status = plan_add_runs(p, spec, label_set, runs, rehearsal, err);
  json_t *summary = status ? NULL : plan_base(spec, true);
  if (summary &&
      (json_object_set_new(summary, "label_set", json_string(label_set)) < 0 ||
       (json_array_size(models) && json_object_set(summary, "models", models) < 0) ||
       (*rehearsal && json_object_set_new(summary, "rehearsal", json_string(rehearsal)) < 0) ||
       json_object_set(summary, "runs", runs) < 0 || copy_given(summary, spec, "env") < 0))
    status = plan_no_memory(err);
  if (!status)
    status = plan_add(p, FLOW_REPORT, json_incref(summary), PLAN_FIRST, &report, err, "report");
  for (size_t j = top + 1; !status && j < p->plan->n; j++) status = plan_need_job(p, top, j, err);
  json_decref(summary);
  json_decref(labelling);
  json_decref(runs);
  json_decref(models);
  return status;
}

/* A pipeline that a simulator labels alone needs true actions for its baselines only. */
static bool needs_truth(enum flow_kind kind, const json_t *spec) {
  if (kind == FLOW_CHECK_SIMULATOR || kind == FLOW_TRAIN_IDM) return true;
  if (kind == FLOW_TRAIN_POLICY) return !json_object_get(spec, "label_set");
  return kind == FLOW_PIPELINE &&
         (flow_labeller_uses_idm(spec) || json_array_size(json_object_get(spec, "baselines")) > 0);
}

enum px_status flow_plan(enum flow_kind kind, const json_t *given,
                         const struct flow_snapshot *snapshot, struct flow_plan *out,
                         struct px_err *err) {
  json_t *spec = NULL;
  const bool own_defaults = snapshot->act_count || snapshot->unrewarded_trajectories_n;
  json_t *fitted = own_defaults && json_is_object(given) ? plan_defaults(kind, given, snapshot)
                                                         : json_incref((json_t *)(uintptr_t)given);
  if (!fitted) return plan_no_memory(err);
  enum px_status status =
    flow_fields_check(flow_kind_info(kind)->fields, fitted, "/spec", &spec, err);
  json_decref(fitted);
  if (!status) status = check_protocol_given(given, err);
  if (!status) status = check_mask(spec, err);
  if (status) {
    json_decref(spec);
    return status;
  }
  struct flow_plan plan = { NULL, 0 };
  struct planner p = { snapshot, &plan, "" };
  size_t at;
  status = plan_complete(kind, spec, snapshot, err);
  if (!status) status = flow_check(kind, given, spec, snapshot, err);
  if (!status && needs_truth(kind, spec)) status = check_learnable(kind, spec, snapshot, err);
  if (!status && kind == FLOW_PIPELINE) status = expand_pipeline(&p, spec, err);
  else if (!status && kind == FLOW_LABEL) status = plan_add_label(&p, spec, NULL, 0, &at, err);
  else if (!status)
    status = plan_add(&p, kind, json_incref(spec), 0, &at, err, "%s", flow_kind_info(kind)->name);
  json_decref(spec);
  if (status) flow_plan_free(&plan);
  else *out = plan;
  return status;
}

void flow_plan_free(struct flow_plan *plan) {
  for (size_t i = 0; i < plan->n; i++) {
    free(plan->jobs[i].spec_json);
    free(plan->jobs[i].needs);
  }
  free(plan->jobs);
  *plan = (struct flow_plan){ NULL, 0 };
}
