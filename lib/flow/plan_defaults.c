/* SPDX-License-Identifier: Apache-2.0 */
/* What a spec leaves open and the dataset decides: see plan_parts.h. */
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/flow/labellers.h"
#include "lib/flow/plan_parts.h"

/* Where nothing is solved a net labels: its options with their defaults. */
static enum px_status complete_net(json_t *labeller, struct px_err *err) {
  if (json_object_get(labeller, "net") || !json_is_false(json_object_get(labeller, "solve")))
    return PX_OK;
  json_t *none = json_object(), *net = NULL;
  enum px_status status =
    none ? flow_fields_check(flow_labeller_inverse_fields, none, "/spec/labeller/net", &net, err)
         : plan_no_memory(err);
  json_decref(none);
  return !status && json_object_set_new(labeller, "net", net) < 0 ? plan_no_memory(err) : status;
}

/* Where no simulator is named, the dataset's; where nothing is said of a fallback, models if there
 * are or can be any. */
static enum px_status complete_simulator(enum flow_kind kind, json_t *spec,
                                         const struct flow_snapshot *snapshot, struct px_err *err) {
  const bool check = kind == FLOW_CHECK_SIMULATOR;
  json_t *labeller = check ? spec : json_object_get(spec, "labeller");
  if (!check && !flow_labeller_is_simulator(spec)) return PX_OK;
  if (!json_object_get(labeller, "simulator") && *snapshot->env &&
      json_object_set_new(labeller, "simulator", json_string(snapshot->env)) < 0)
    return plan_no_memory(err);
  const enum px_status status = check ? PX_OK : complete_net(labeller, err);
  if (status || check || json_object_get(labeller, "fallback")) return status;
  const bool models = kind == FLOW_PIPELINE ? snapshot->labelled_trajectories_n > 0
                                            : json_object_get(spec, "models") != NULL;
  return json_object_set_new(labeller, "fallback", json_string(models ? "idm" : "none")) < 0
           ? plan_no_memory(err)
           : PX_OK;
}

enum px_status plan_complete(enum flow_kind kind, json_t *spec,
                             const struct flow_snapshot *snapshot, struct px_err *err) {
  if (kind == FLOW_EVALUATE || kind == FLOW_INGEST) return PX_OK;
  const json_t *given = json_object_get(spec, "segments");
  if (given && json_integer_value(given) > snapshot->segments_n)
    return px_fail_at(err, PX_E_BAD_FIELD, "/spec/segments", "the dataset has %u segments only",
                      snapshot->segments_n);
  if (snapshot->segments_n == 0 || snapshot->size.trajectories_n == 0) {
    px_fail_at(err, PX_E_NO_LABELS, "/spec/dataset", "the dataset is empty");
    px_fail_hint(err, "POST trajectories to /v1/datasets/{id}/trajectories first.");
    return PX_E_NO_LABELS;
  }
  if ((!given && json_object_set_new(spec, "segments", json_integer(snapshot->segments_n)) < 0) ||
      json_object_set_new(spec, "dataset_version", json_integer(snapshot->version)) < 0)
    return plan_no_memory(err);
  if (kind == FLOW_PIPELINE && !json_object_get(spec, "env") && *snapshot->env &&
      json_object_set_new(spec, "env", json_string(snapshot->env)) < 0)
    return plan_no_memory(err);
  return complete_simulator(kind, spec, snapshot, err);
}

static bool trains_idm(enum flow_kind kind) {
  return kind == FLOW_PIPELINE || kind == FLOW_TRAIN_IDM;
}

/* The model's options with the head of discrete actions and the loss that trains
 * it, where the user left them open; NULL for what is no model. */
static json_t *discrete_idm(const json_t *given) {
  if (given && !json_is_string(given) && !json_is_object(given)) return NULL;
  json_t *out =
    json_is_string(given) ? json_pack("{s:s}", "profile", json_string_value(given)) : json_object();
  if (json_is_object(given)) json_object_update(out, (json_t *)(uintptr_t)given);
  if (!json_object_get(out, "head")) json_object_set_new(out, "head", json_string("softmax"));
  if (!json_object_get(out, "mean_loss")) json_object_set_new(out, "mean_loss", json_string("nll"));
  return out;
}

json_t *plan_defaults(enum flow_kind kind, const json_t *given,
                      const struct flow_snapshot *snapshot) {
  json_t *out = json_copy((json_t *)(uintptr_t)given);
  json_t *idm =
    snapshot->act_count && trains_idm(kind) ? discrete_idm(json_object_get(given, "idm")) : NULL;
  if (idm) json_object_set_new(out, "idm", idm);
  if (kind == FLOW_PIPELINE && !json_object_get(given, "policies"))
    json_object_set_new(out, "policies", json_pack("[s]", "bc"));
  if (kind == FLOW_TRAIN_POLICY && !json_object_get(given, "policy"))
    json_object_set_new(out, "policy", json_string("bc"));
  return out;
}
