/* SPDX-License-Identifier: Apache-2.0 */
/* What members found on their own folds: see report_held_out.h. */
#include "worker/jobs/report_held_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/warn.h"
#include "lib/data/labels.h"
#include "lib/data/mask.h"
#include "lib/idm/baseline.h"
#include "lib/idm/judge.h"
#include "lib/store/labels.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/report_bias.h"
#include "worker/jobs/report_certificate.h"

enum { RESULT_MAX = 1 << 20 };

static enum px_status read_members(struct job *job, json_t **out, struct px_err *err) {
  json_t *members = json_array(), *model;
  enum px_status status = members ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  size_t i;
  json_array_foreach(json_object_get(job->spec, "models"), i, model) {
    char id[STORE_ID_MAX];
    struct px_buf text = PX_BUF(RESULT_MAX);
    store_result_id("job", json_string_value(model), id);
    status = store_job_result(job->store, id, &text, err);
    json_t *result = status ? NULL : px_json_parse(text.data, text.len, 0, NULL);
    px_buf_free(&text);
    if (!status && json_array_append_new(members, result) < 0)
      status = px_fail(err, PX_E_INTERNAL, "the result of %s does not parse", id);
    if (status) break;
    json_object_set_new(result, "job", json_string(id));
  }
  if (status) json_decref(members);
  else *out = members;
  return status;
}

static bool says(const json_t *entry, enum px_warning warning) {
  const char *code = json_string_value(json_object_get(entry, "code"));
  return code && strcmp(code, px_warn_code(warning)) == 0;
}

/* Folds are about equally large: one member's word on their size is enough. */
static void add_member_warnings(const json_t *members, json_t *report) {
  bool few_said = false;
  size_t i, k;
  json_t *member, *one;
  json_array_foreach(members, i, member) {
    json_t *kept = json_object(), *list = json_array();
    json_array_foreach(json_object_get(member, "warnings"), k, one) {
      if (says(one, PX_W_IDM_NO_BETTER) || (says(one, PX_W_FEW_VALIDATION) && few_said)) continue;
      few_said = few_said || says(one, PX_W_FEW_VALIDATION);
      json_array_append(list, one);
    }
    json_object_set_new(kept, "warnings", list);
    px_warn_add_all(report, kept, job_spec_text(member, "job"));
    json_decref(kept);
  }
}

enum px_status report_held_out_members(struct job *job, json_t *report, json_t **out,
                                       struct px_err *err) {
  const enum px_status status = read_members(job, out, err);
  if (!status) add_member_warnings(*out, report);
  return status;
}

/* The mean over members of one of their figures, weighted by the transitions it is over; NaN if a
 * member lacks it. */
static double pooled(const json_t *members, const char *part, const char *name, const char *size,
                     double *n) {
  double sum = 0;
  size_t i;
  json_t *member;
  *n = 0;
  json_array_foreach(members, i, member) {
    const json_t *from = part ? json_object_get(member, part) : member,
                 *value = json_object_get(from, name);
    const double weight = job_spec_number(from, size, 0);
    if (weight > 0)
      sum += weight * (json_is_number(value) ? json_number_value(value) : (double)NAN);
    *n += weight;
  }
  return *n > 0 ? sum / *n : (double)NAN;
}

/* The baselines on the members' folds, and a warning where the members are no better. */
static json_t *held_out_baselines(const json_t *members, bool discrete, double r2, json_t *report) {
  struct idm_quality_figures idm = { .r2 = r2 }, baselines[IDM_BASELINES_N] = { { 0 } };
  json_t *out = json_object();
  double n;
  const double ours = pooled(members, "val_yardsticks", "idm", "transitions", &n);
  for (int i = 0; n > 0 && i < IDM_BASELINES_N; i++) {
    const char *name = idm_baseline_name((enum idm_baseline)i, discrete);
    const double value = pooled(members, "val_yardsticks", name, "transitions", &n);
    baselines[i] =
      (struct idm_quality_figures){ .n = (uint64_t)n, .mse = value, .accuracy = value };
    json_object_set_new(out, name,
                        json_pack("{s:I, s:o}", "transitions", (json_int_t)n,
                                  discrete ? "accuracy" : "mse", px_json_number(value)));
  }
  idm.n = (uint64_t)n, idm.mse = idm.accuracy = ours;
  const enum idm_baseline best = idm_judge_best(baselines, discrete);
  if (idm_judge_no_better(&idm, &baselines[best], discrete))
    figures_warn_no_better(&idm, &baselines[best], idm_baseline_name(best, discrete), discrete,
                           report);
  return out;
}

enum px_status report_held_out_document(const struct report_judging *j, const json_t *members,
                                        json_t **out, struct px_err *err) {
  const bool discrete = j->truth->spaces.act_count > 0;
  static const char *const SOURCES[2][2] = { { "val_mse", "val_r2" },
                                             { "val_accuracy", "val_cross_entropy" } };
  static const char *const NAMES[2][2] = { { "mse", "r2" }, { "accuracy", "cross_entropy" } };
  double figures[2], n = 0;
  for (int f = 0; f < 2; f++)
    figures[f] = pooled(members, NULL, SOURCES[discrete][f], "val_transitions", &n);
  *out = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "label_set", j->label_set, "basis", "held_out",
                   "transitions", (json_int_t)n, NAMES[discrete][0], px_json_number(figures[0]),
                   NAMES[discrete][1], px_json_number(figures[1]), "yardsticks",
                   held_out_baselines(members, discrete, figures[1], j->report));
  if (n < FIGURES_FEW_TRANSITIONS)
    px_warn_figure(px_warn(j->report, PX_W_FEW_JUDGED,
                           "the labels' figures are over %.0f held-out transition%s", n,
                           n == 1 ? "" : "s"),
                   "transitions", n);
  return *out ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "writing the report");
}
