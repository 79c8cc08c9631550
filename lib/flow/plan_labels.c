/* SPDX-License-Identifier: Apache-2.0 */
/* A label job with what it needs: see plan_parts.h. */
#include <stdio.h>

#include "lib/base/fail.h"
#include "lib/flow/labellers.h"
#include "lib/flow/plan_parts.h"

enum { SHARDS_DEFAULT = 8 };

/* A simulator is tried on the true actions that `mask` leaves, before any label is made. Gives the
 * job's id; "": none is known. */
static enum px_status add_check(struct planner *p, const json_t *spec, const json_t *mask,
                                int urgency, char id[FLOW_ID_MAX], struct px_err *err) {
  const json_t *labeller = json_object_get(spec, "labeller");
  *id = '\0';
  if (!flow_labeller_is_simulator(spec) || !p->snapshot->labelled_trajectories_n) return PX_OK;
  json_t *check = plan_base(spec, false);
  if (!check || (mask && json_object_set(check, "mask", (json_t *)(uintptr_t)mask) < 0) ||
      json_object_set(check, "simulator", json_object_get(labeller, "simulator")) < 0 ||
      json_object_set(check, "threshold", json_object_get(labeller, "threshold")) < 0 ||
      json_object_set(check, "identify", json_object_get(labeller, "identify")) < 0) {
    json_decref(check);
    return plan_no_memory(err);
  }
  size_t at;
  const enum px_status status =
    plan_add(p, FLOW_CHECK_SIMULATOR, check, urgency, &at, err, "label/check");
  if (!status) snprintf(id, FLOW_ID_MAX, "%s", p->plan->jobs[at].id);
  return status;
}

/* What the shards of a label job share: its id, the check's and the net's; "": there is none. */
struct labelling {
  char job[FLOW_ID_MAX], check[FLOW_ID_MAX], inverse[FLOW_ID_MAX];
};

/* The net that inverts the simulator as the check left it, where one is asked for. */
static enum px_status add_inverse(struct planner *p, const json_t *spec, int urgency,
                                  struct labelling *l, struct px_err *err) {
  const json_t *labeller = json_object_get(spec, "labeller");
  const json_t *net = json_object_get(labeller, "net");
  if (!flow_labeller_is_simulator(spec) || !net) return PX_OK;
  json_t *inverse = plan_base(spec, false);
  if (!inverse || json_object_set(inverse, "net", (json_t *)(uintptr_t)net) < 0 ||
      json_object_set(inverse, "simulator", json_object_get(labeller, "simulator")) < 0 ||
      json_object_set(inverse, "seed", json_object_get(labeller, "seed")) < 0 ||
      (*l->check && json_object_set_new(inverse, "check", json_string(l->check)) < 0)) {
    json_decref(inverse);
    return plan_no_memory(err);
  }
  size_t at;
  const enum px_status status =
    plan_add(p, FLOW_TRAIN_INVERSE, inverse, urgency, &at, err, "label/net");
  if (!status) plan_result_id("mdl", p->plan->jobs[at].id, l->inverse);
  return status;
}

/* One shard's spec: segments [first, after) of what the label job labels. */
static json_t *shard_spec(const json_t *spec, const struct labelling *l, uint32_t first,
                          uint32_t after) {
  json_t *part = plan_base(spec, false);
  const json_t *models = json_object_get(spec, "models");
  if (!part || (models && json_object_set(part, "models", (json_t *)(uintptr_t)models) < 0) ||
      json_object_set_new(part, "label_job", json_string(l->job)) < 0 ||
      json_object_set_new(part, "first", json_integer(first)) < 0 ||
      json_object_set_new(part, "count", json_integer(after - first)) < 0 ||
      (flow_labeller_is_simulator(spec) &&
       json_object_set(part, "labeller", json_object_get(spec, "labeller")) < 0) ||
      (*l->check && json_object_set_new(part, "check", json_string(l->check)) < 0) ||
      (*l->inverse && json_object_set_new(part, "inverse", json_string(l->inverse)) < 0)) {
    json_decref(part);
    return NULL;
  }
  return part;
}

enum px_status plan_add_label(struct planner *p, const json_t *spec, const json_t *mask,
                              int urgency, size_t *at, struct px_err *err) {
  const enum flow_kind kind =
    flow_labeller_is_simulator(spec) ? FLOW_SIMULATE_SHARD : FLOW_LABEL_SHARD;
  const uint32_t segments = (uint32_t)json_integer_value(json_object_get(spec, "segments"));
  const json_t *given = json_object_get(spec, "shards");
  uint32_t shards = given ? (uint32_t)json_integer_value(given) : SHARDS_DEFAULT;
  if (shards > segments) shards = segments;
  json_t *whole = json_deep_copy(spec);
  if (!whole || json_object_set_new(whole, "shards", json_integer(shards)) < 0) {
    json_decref(whole);
    return plan_no_memory(err);
  }
  struct labelling l = { "", "", "" };
  enum px_status status = plan_add(p, FLOW_LABEL, whole, urgency, at, err, "label");
  if (status) return status;
  snprintf(l.job, sizeof l.job, "%s", p->plan->jobs[*at].id);
  status = add_check(p, spec, mask, urgency, l.check, err);
  if (!status && *l.check) status = plan_need(&p->plan->jobs[*at], l.check, err);
  if (!status) status = add_inverse(p, spec, urgency, &l, err);
  for (uint32_t i = 0; !status && i < shards; i++) {
    const uint32_t first = (uint32_t)((uint64_t)segments * i / shards);
    const uint32_t after = (uint32_t)((uint64_t)segments * (i + 1) / shards);
    size_t shard;
    status =
      plan_add(p, kind, shard_spec(spec, &l, first, after), urgency, &shard, err, "label/%u", i);
    if (!status) status = plan_need_job(p, *at, shard, err);
  }
  return status;
}
