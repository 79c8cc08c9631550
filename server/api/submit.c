/* SPDX-License-Identifier: Apache-2.0 */
/* From a spec to submitted jobs: api_submit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/data/mask.h"
#include "lib/flow/aliases.h"
#include "lib/flow/plan.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/results.h"
#include "lib/store/simulators.h"
#include "lib/store/store.h"
#include "lib/store/versions.h"
#include "lib/store/workers.h"
#include "server/api/api.h"

enum { DEDUPE_KEY_MAX = 200 };

/* What is known of the dataset, for the plan. */
struct plan_context {
  struct store_dataset ds; /* data_version and segments_n: of the version to work on */
  struct store_returns of;
};

static void new_id(char id[FLOW_ID_MAX]) { store_job_new_id(id); }

/* What a spec names, for the plan's checks. */
static enum px_status find_result(void *ctx, const char *id, struct flow_result *out,
                                  struct px_err *err) {
  static const struct {
    const char *role;
    enum flow_role is;
  } ROLES[] = { { "idm", FLOW_ROLE_IDM },       { "policy", FLOW_ROLE_POLICY },
                { "labels", FLOW_ROLE_LABELS }, { "evaluate", FLOW_ROLE_EVALUATION },
                { "ope", FLOW_ROLE_OPE },       { "rehearse", FLOW_ROLE_REHEARSAL } };
  struct store_about about;
  if (strncmp(id, "sim_", 4) == 0) {
    *out = (struct flow_result){ .role = FLOW_ROLE_SIMULATOR };
    return store_simulator_dims(ctx, id, &out->dims.obs_dim, &out->dims.act_dim, err);
  }
  const enum px_status status = store_result_about(ctx, id, &about, err);
  if (status) return status;
  if (strcmp(about.state, "failed") == 0 || strcmp(about.state, "cancelled") == 0)
    return px_fail(err, PX_E_DEPENDENCY_FAILED, "the job that would make %s is %s", id,
                   about.state);
  *out = (struct flow_result){ .role = FLOW_ROLE_OTHER,
                               .dims = { about.obs_dim, about.act_dim, about.act_count },
                               .segments_n = about.segments_n };
  for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++)
    if (strcmp(ROLES[i].role, flow_kind_present_name(about.role)) == 0) out->role = ROLES[i].is;
  snprintf(out->algo, sizeof out->algo, "%s", about.algo);
  snprintf(out->dataset, sizeof out->dataset, "%s", about.dataset);
  return PX_OK;
}

/* The dataset that the spec names by id or by name; of an evaluation, its model's. */
static enum px_status find_dataset(struct store *store, json_t *spec, struct store_dataset *out,
                                   struct px_err *err) {
  const char *dataset = json_string_value(json_object_get(spec, "dataset"));
  const char *model = json_string_value(json_object_get(spec, "model"));
  struct store_about about = { .role = "" };
  enum px_status status = PX_OK;
  if (!dataset && !model) return PX_OK; /* the field table will say what is missing */
  if (!dataset) status = store_result_about(store, model, &about, err);
  if (!status) status = store_dataset_get(store, dataset ? dataset : about.dataset, out, err);
  if (status == PX_E_NOT_FOUND)
    snprintf(err->pointer, sizeof err->pointer, dataset ? "/spec/dataset" : "/spec/model");
  if (!status && dataset && json_object_set_new(spec, "dataset", json_string(out->id)) < 0)
    status = px_fail(err, PX_E_NO_MEMORY, "spec");
  return status;
}

/* An earlier version of the dataset, where the spec names one. */
static enum px_status go_back(struct store *store, const json_t *spec, struct store_dataset *ds,
                              struct px_err *err) {
  const json_t *given = json_object_get(spec, "dataset_version");
  if (!json_is_integer(given)) return PX_OK; /* absent, or the field table will refuse it */
  const int64_t version = json_integer_value(given);
  const enum px_status status =
    store_versions_segments(store, ds->id, version, &ds->segments_n, err);
  if (status == PX_E_NOT_FOUND)
    return px_fail_at(err, PX_E_BAD_FIELD, "/spec/dataset_version",
                      "the dataset has no version %lld; its present one is %lld",
                      (long long)version, (long long)ds->version);
  if (version < ds->data_version) ds->data_version = version;
  return status;
}

static enum px_status load_context(struct store *store, enum flow_kind kind, json_t *spec,
                                   struct plan_context *context, struct px_err *err) {
  struct store_dataset *ds = &context->ds;
  enum px_status status = find_dataset(store, spec, ds, err);
  if (!status && *ds->id) status = go_back(store, spec, ds, err);
  const bool needs_labels =
    kind == FLOW_PIPELINE || kind == FLOW_TRAIN_IDM || kind == FLOW_CHECK_SIMULATOR ||
    kind == FLOW_TRAIN_POLICY || kind == FLOW_OPE ||
    (kind == FLOW_LABEL && json_object_get(spec, "labeller")) || json_object_get(spec, "mask");
  if (status || !needs_labels || ds->segments_n == 0) return status;
  const json_t *given = json_object_get(spec, "segments");
  uint32_t segments = ds->segments_n;
  if (json_is_integer(given) && json_integer_value(given) > 0 &&
      json_integer_value(given) < segments)
    segments = (uint32_t)json_integer_value(given);
  return store_dataset_returns(store, ds, segments, ds->data_version, &context->of, err);
}

/* A mask that leaves nothing to learn from is refused before anything starts. One that hides
 * nothing, since a single trajectory has true actions, is carried out: the report then warns. */
static enum px_status check_mask(const struct plan_context *context, const char *spec_json,
                                 struct px_err *err) {
  json_t *spec = px_json_parse(spec_json, strlen(spec_json), 0, NULL);
  const struct px_mask mask = px_mask_from_json(json_object_get(spec, "mask"));
  json_decref(spec);
  if (mask.protocol == PX_MASK_NONE) return PX_OK;
  uint8_t *keep = px_mem_calloc(context->of.n, 1), *known = px_mem_calloc(context->of.n, 1);
  enum px_status status = keep && known ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "mask");
  for (uint32_t i = 0; !status && i < context->of.n; i++)
    known[i] = context->of.labelled[i] != STORE_LABELLED_NONE;
  if (!status) status = px_mask_choose(&mask, context->of.returns, known, context->of.n, keep, err);
  if (status && err && !err->pointer[0]) snprintf(err->pointer, sizeof err->pointer, "/spec/mask");
  free(known);
  free(keep);
  return status;
}

/* What no worker could take would wait for ever. Without any worker it is taken: one may come. */
static enum px_status check_memory(struct store *store, const struct flow_plan *plan,
                                   struct px_err *err) {
  int64_t most;
  const enum px_status status = store_worker_memory(store, &most, err);
  const struct flow_job *job = &plan->jobs[0];
  for (size_t i = 1; i < plan->n; i++)
    if (plan->jobs[i].cost.memory_bytes > job->cost.memory_bytes) job = &plan->jobs[i];
  if (status || job->cost.memory_bytes <= most) return status;
  char takes[FLOW_BYTES_TEXT], gives[FLOW_BYTES_TEXT];
  flow_estimate_bytes_text((double)job->cost.memory_bytes, takes);
  flow_estimate_bytes_text((double)most, gives);
  return px_fail_at(
    err, PX_E_NEEDS_MEMORY, "/spec",
    "the job '%s' would take about %s of memory, and no worker gives a job more than %s", job->name,
    takes, gives);
}

static const char *name_of(const struct flow_plan *plan, const char *id) {
  for (size_t i = 0; i < plan->n; i++)
    if (strcmp(plan->jobs[i].id, id) == 0) return plan->jobs[i].name;
  return id; /* an older job */
}

/* What would be done, without ids: nothing has been made. */
static enum px_status reply_plan(struct http_reply *reply, const struct flow_plan *plan,
                                 const json_t *notes, struct px_err *err) {
  json_t *jobs = json_array();
  for (size_t i = 0; jobs && i < plan->n; i++) {
    const struct flow_job *job = &plan->jobs[i];
    json_t *needs = json_array();
    for (size_t k = 0; needs && k < job->needs_n; k++)
      json_array_append_new(needs, json_string(name_of(plan, job->needs[k])));
    json_array_append_new(jobs,
                          json_pack("{s:s s:s s:o s:I s:I}", "kind",
                                    flow_kind_info(job->kind)->name, "name", job->name, "needs",
                                    needs, "memory_bytes", (json_int_t)job->cost.memory_bytes,
                                    "limit_s", (json_int_t)job->cost.limit_s));
  }
  json_t *spec = px_json_parse(plan->jobs[0].spec_json, strlen(plan->jobs[0].spec_json), 0, NULL);
  json_t *answer = json_pack("{s:b s:I s:o s:o}", "dry_run", 1, "count", (json_int_t)plan->n,
                             "spec", spec, "jobs", jobs);
  px_warn_add_all(answer, notes, NULL);
  return http_reply_json(reply, answer, err);
}

/* NULL, or what ?dedupe_key= says. */
static enum px_status read_dedupe_key(const struct http_request *req, const char **key,
                                      struct px_err *err) {
  *key = http_query(req, "dedupe_key");
  const size_t n = *key ? strlen(*key) : 1;
  return n >= 1 && n <= DEDUPE_KEY_MAX
           ? PX_OK
           : px_fail_at(err, PX_E_BAD_FIELD, "dedupe_key", "dedupe_key must have 1 to %d bytes",
                        DEDUPE_KEY_MAX);
}

/* `existing`: the unfinished job with the same key, instead of a new one; otherwise "". */
static enum px_status submit_plan(struct store *store, const struct flow_plan *plan,
                                  const char *dataset_id, const char *dedupe_key,
                                  char existing[STORE_ID_MAX], struct px_err *err) {
  struct store_job_draft *drafts = px_mem_calloc(plan->n, sizeof *drafts);
  size_t needs_n = 0, used = 0;
  for (size_t i = 0; i < plan->n; i++) needs_n += plan->jobs[i].needs_n;
  const char **needs = px_mem_calloc(needs_n + 1, sizeof *needs);
  enum px_status status =
    drafts && needs ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "submitting %zu jobs", plan->n);
  for (size_t i = 0; !status && i < plan->n; i++) {
    const struct flow_job *job = &plan->jobs[i];
    drafts[i] = (struct store_job_draft){ .id = job->id,
                                          .kind = flow_kind_info(job->kind)->name,
                                          .name = job->name,
                                          .spec_json = job->spec_json,
                                          .dataset_id = *dataset_id ? dataset_id : NULL,
                                          .parent_id = *job->parent ? job->parent : NULL,
                                          .needs = needs + used,
                                          .needs_n = job->needs_n,
                                          .priority = job->priority,
                                          .memory_bytes = job->cost.memory_bytes,
                                          .limit_s = job->cost.limit_s };
    for (size_t k = 0; k < job->needs_n; k++) needs[used++] = job->needs[k];
  }
  if (!status) drafts[0].dedupe_key = dedupe_key;
  if (!status) status = store_jobs_submit_once(store, drafts, plan->n, existing, err);
  free(needs);
  free(drafts);
  return status;
}

/* Puts the warnings into the document of a job, before its last brace. */
static enum px_status put_warnings(struct px_buf *body, const json_t *notes, struct px_err *err) {
  const json_t *list = json_object_get(notes, "warnings");
  if (!json_array_size(list)) return PX_OK;
  char *text = px_json_dumps(list, JSON_COMPACT);
  body->len--;
  const enum px_status status =
    text ? px_buf_fmt(body, ", \"warnings\": %s}", text) : PX_E_NO_MEMORY;
  free(text);
  return status ? px_fail(err, status, "the warnings of a job") : PX_OK;
}

static enum px_status reply_submitted(struct http_request *req, struct http_reply *reply,
                                      struct store *store, const struct flow_plan *plan,
                                      const char *existing, const json_t *notes,
                                      struct px_err *err) {
  const char *id = *existing ? existing : plan->jobs[0].id;
  int64_t version;
  reply->wake = *existing ? 0 : (int)plan->n;
  reply->status = *existing ? 200 : 202;
  http_reply_header(reply, "Location", px_arena_fmt(req->arena, "/v1/jobs/%s", id));
  enum px_status status = store_job_document(store, id, &reply->body, &version, err);
  if (!status) status = put_warnings(&reply->body, notes, err);
  status = api_done(req, status, "job", id, err);
  if (!status) reply->etag = api_etag(req, version);
  return status;
}

/* The plan of a spec for the dataset as it is. */
static enum px_status make_plan(struct store *store, enum flow_kind kind, const json_t *spec,
                                const struct plan_context *context, struct flow_plan *plan,
                                struct px_err *err) {
  const struct store_dataset *ds = &context->ds;
  struct flow_snapshot snapshot = { .version = ds->data_version,
                                    .segments_n = ds->segments_n,
                                    .trajectories_n = context->of.n,
                                    .env = ds->env,
                                    .obs_dim = ds->spaces.obs_dim,
                                    .act_dim = ds->spaces.act_dim,
                                    .act_count = ds->spaces.act_count,
                                    .has_labels = *ds->label_set,
                                    .new_id = new_id,
                                    .find = find_result,
                                    .find_ctx = store,
                                    .size = { (double)ds->steps_n, (double)ds->trajectories_n,
                                              (double)ds->size_bytes, ds->segments_n } };
  for (uint32_t i = 0; i < context->of.n; i++) {
    snapshot.labelled_trajectories_n += context->of.labelled[i] != STORE_LABELLED_NONE;
    snapshot.unrewarded_trajectories_n += isnan(context->of.returns[i]);
    snapshot.whole_trajectories_n += context->of.labelled[i] == STORE_LABELLED_ALL;
  }
  return flow_plan(kind, spec, &snapshot, plan, err);
}

enum px_status api_submit(struct http_request *req, struct http_reply *reply,
                          const struct api_submission *s, struct px_err *err) {
  const enum flow_kind kind = s->kind;
  struct store *store = NULL;
  const char *dedupe_key;
  char existing[STORE_ID_MAX] = "";
  struct flow_plan plan = { NULL, 0 };
  struct plan_context *context = px_arena_take(req->arena, 1, sizeof *context);
  json_t *spec = NULL;
  enum px_status status = context ? flow_aliases_replace(flow_kind_info(kind)->fields, s->spec,
                                                         s->pointer, s->notes, &spec, err)
                                  : px_fail(err, PX_E_NO_MEMORY, "spec");
  if (!status) status = api_store(req, &store, err);
  if (!status) status = read_dedupe_key(req, &dedupe_key, err);
  if (!status) status = load_context(store, kind, spec, context, err);
  if (!status) status = make_plan(store, kind, spec, context, &plan, err);
  if (!status) status = check_mask(context, plan.jobs[0].spec_json, err);
  if (!status) status = check_memory(store, &plan, err);
  if (!status && s->dry_run) status = reply_plan(reply, &plan, s->notes, err);
  else if (!status) status = submit_plan(store, &plan, context->ds.id, dedupe_key, existing, err);
  if (!status && !s->dry_run)
    status = reply_submitted(req, reply, store, &plan, existing, s->notes, err);
  flow_plan_free(&plan);
  json_decref(spec);
  if (context) store_dataset_returns_free(&context->of);
  return status;
}
