/* SPDX-License-Identifier: Apache-2.0 */
/* What needs rewards: see check_rewards.h. */
#include "lib/flow/check_rewards.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/algos.h"
#include "lib/flow/plan_parts.h"

enum { AT_MAX = 96 };

static double number(const json_t *object, const char *name) {
  return json_number_value(json_object_get(object, name));
}

/* `what` needs rewards. */
static enum px_status fail(const struct flow_snapshot *snapshot, const char *at, const char *what,
                           struct px_err *err) {
  return px_fail_at(err, PX_E_NO_REWARDS, at, "%s, and %llu of the %llu trajectories have none",
                    what, (unsigned long long)snapshot->unrewarded_trajectories_n,
                    (unsigned long long)snapshot->trajectories_n);
}

static enum px_status check_mask(const json_t *spec, const struct flow_snapshot *snapshot,
                                 struct px_err *err) {
  const json_t *mask = json_object_get(spec, "mask");
  if (!plan_hides(spec) || number(mask, "q") >= 100) return PX_OK;
  fail(snapshot, "/spec/mask/q", "q below 100 chooses by returns, which need rewards", err);
  px_fail_hint(err, "Give q 100: then the mask draws from all labelled trajectories.");
  return PX_E_NO_REWARDS;
}

static enum px_status check_policy(const json_t *policy, const char *at,
                                   const struct flow_snapshot *snapshot, struct px_err *err) {
  const char *algo = json_string_value(json_object_get(policy, "algo"));
  char place[AT_MAX], what[AT_MAX];
  if (!flow_algo_learns_unrewarded(algo)) {
    snprintf(place, sizeof place, "%s/algo", at);
    snprintf(what, sizeof what, "%s learns from rewards", algo);
    fail(snapshot, place, what, err);
    px_fail_hint(err, "bc with top_percent 100 needs no rewards.");
    return PX_E_NO_REWARDS;
  }
  if (number(policy, "top_percent") >= 100) return PX_OK;
  snprintf(place, sizeof place, "%s/top_percent", at);
  snprintf(what, sizeof what, "top_percent %g chooses by returns, which need rewards",
           number(policy, "top_percent"));
  fail(snapshot, place, what, err);
  px_fail_hint(err, "Give top_percent 100.");
  return PX_E_NO_REWARDS;
}

/* An option of fitted Q evaluation says that it is wanted; without any, the job measures the
 * agreement of actions alone. */
static enum px_status check_fqe(const json_t *given, const char *at,
                                const struct flow_snapshot *snapshot, struct px_err *err) {
  for (const struct flow_field *field = flow_kind_fqe_fields; field->name; field++) {
    const json_t *value = json_object_get(given, field->name);
    if (!value || flow_fields_is_default(field, value)) continue;
    char place[AT_MAX];
    snprintf(place, sizeof place, "%s/%s", at, field->name);
    fail(snapshot, place, "it is an option of fitted Q evaluation, which needs rewards", err);
    px_fail_hint(err, "Leave %s out: the evaluation then measures action agreement alone.",
                 field->name);
    return PX_E_NO_REWARDS;
  }
  return PX_OK;
}

enum px_status flow_check_rewards(enum flow_kind kind, const json_t *given, const json_t *spec,
                                  const struct flow_snapshot *snapshot, struct px_err *err) {
  if (!snapshot->unrewarded_trajectories_n) return PX_OK;
  const json_t *one = json_object_get(spec, "policy"), *policy;
  enum px_status status = check_mask(spec, snapshot, err);
  if (!status && one) status = check_policy(one, "/spec/policy", snapshot, err);
  size_t i;
  json_array_foreach(json_object_get(spec, "policies"), i, policy) {
    char at[64];
    snprintf(at, sizeof at, "/spec/policies/%zu", i);
    if (!status) status = check_policy(policy, at, snapshot, err);
  }
  if (!status && kind == FLOW_OPE) status = check_fqe(given, "/spec", snapshot, err);
  if (!status && kind == FLOW_PIPELINE)
    status = check_fqe(json_object_get(given, "ope"), "/spec/ope", snapshot, err);
  return status;
}
