/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of a plan, and which needs which: see plan_parts.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/flow/plan_parts.h"

enum px_status plan_no_memory(struct px_err *err) {
  return px_fail(err, PX_E_NO_MEMORY, "planning jobs");
}

enum px_status plan_need(struct flow_job *job, const char *id, struct px_err *err) {
  for (size_t i = 0; i < job->needs_n; i++)
    if (strcmp(job->needs[i], id) == 0) return PX_OK;
  void *grown = px_mem_realloc(job->needs, job->needs_n + 1, sizeof *job->needs);
  if (!grown) return plan_no_memory(err);
  job->needs = grown;
  snprintf(job->needs[job->needs_n++], FLOW_ID_MAX, "%s", id);
  return PX_OK;
}

/* The job that makes a result: mdl_x and ls_x come from job_x. */
static enum px_status need_maker(struct flow_job *job, const char *result, struct px_err *err) {
  char id[FLOW_ID_MAX];
  snprintf(id, sizeof id, "job_%s", strchr(result, '_') + 1);
  return plan_need(job, id, err);
}

static enum px_status need_references(struct flow_job *job, const json_t *spec,
                                      struct px_err *err) {
  enum px_status status = PX_OK;
  size_t i;
  json_t *item;
  json_array_foreach(json_object_get(spec, "models"), i, item) if (!status) status =
    need_maker(job, json_string_value(item), err);
  json_array_foreach(json_object_get(spec, "runs"), i, item) {
    if (!status) status = need_maker(job, json_string_value(json_object_get(item, "model")), err);
    static const char *const JUDGES[] = { "selection", "evaluation", "assessment" };
    for (size_t k = 0; k < sizeof JUDGES / sizeof *JUDGES; k++) {
      const char *id = json_string_value(json_object_get(item, JUDGES[k]));
      if (!status && id) status = plan_need(job, id, err);
    }
  }
  const char *one = json_string_value(json_object_get(spec, "model"));
  if (!status && one) status = need_maker(job, one, err);
  one = json_string_value(json_object_get(spec, "rehearsal"));
  if (!status && one) status = plan_need(job, one, err);
  one = json_string_value(json_object_get(spec, "label_set"));
  if (!status && one) status = need_maker(job, one, err);
  one = json_string_value(json_object_get(spec, "inverse"));
  if (!status && one) status = need_maker(job, one, err);
  one = json_string_value(json_object_get(spec, "check"));
  if (!status && one) status = plan_need(job, one, err);
  return status;
}

enum px_status plan_add(struct planner *p, enum flow_kind kind, json_t *spec, int urgency,
                        size_t *at, struct px_err *err, const char *name, ...) {
  if (!spec) return plan_no_memory(err);
  struct flow_plan *plan = p->plan;
  json_t *whole = NULL;
  enum px_status status =
    flow_fields_check(flow_kind_info(kind)->fields, spec, "/spec", &whole, err);
  json_decref(spec);
  if (status) return status;
  struct flow_job *jobs =
    plan->n < FLOW_PLAN_MAX ? px_mem_realloc(plan->jobs, plan->n + 1, sizeof *jobs) : NULL;
  if (!jobs) {
    json_decref(whole);
    return plan->n < FLOW_PLAN_MAX
             ? plan_no_memory(err)
             : px_fail(err, PX_E_TOO_LARGE, "this would be more than %d jobs", FLOW_PLAN_MAX);
  }
  plan->jobs = jobs;
  struct flow_job *job = &jobs[plan->n++];
  *job = (struct flow_job){ .kind = kind, .priority = p->snapshot->priority + urgency };
  p->snapshot->new_id(job->id);
  snprintf(job->parent, sizeof job->parent, "%s", p->parent);
  va_list args;
  va_start(args, name);
  vsnprintf(job->name, sizeof job->name, name, args);
  va_end(args);
  job->spec_json = px_json_dumps(whole, JSON_COMPACT);
  status = job->spec_json ? need_references(job, whole, err) : plan_no_memory(err);
  const struct flow_snapshot *s = p->snapshot;
  const struct flow_dims dims = { s->obs_dim, s->act_dim, s->act_count };
  job->cost = flow_estimate(kind, whole, &dims, &s->size);
  json_decref(whole);
  *at = plan->n - 1;
  return status;
}

void plan_result_id(const char *prefix, const char *job_id, char out[FLOW_ID_MAX]) {
  snprintf(out, FLOW_ID_MAX, "%s%s", prefix, strchr(job_id, '_'));
}

json_t *plan_base(const json_t *from, bool masked) {
  json_t *spec = json_pack("{s:O, s:O, s:O}", "dataset", json_object_get(from, "dataset"),
                           "segments", json_object_get(from, "segments"), "dataset_version",
                           json_object_get(from, "dataset_version"));
  if (spec && masked && json_object_set(spec, "mask", json_object_get(from, "mask")) < 0) {
    json_decref(spec);
    return NULL;
  }
  return spec;
}

enum px_status plan_need_job(struct planner *p, size_t at, size_t needed, struct px_err *err) {
  char id[FLOW_ID_MAX];
  snprintf(id, sizeof id, "%s", p->plan->jobs[needed].id);
  return plan_need(&p->plan->jobs[at], id, err);
}

bool plan_hides(const json_t *spec) {
  const char *protocol =
    json_string_value(json_object_get(json_object_get(spec, "mask"), "protocol"));
  return protocol && strcmp(protocol, "none") != 0;
}
