/* SPDX-License-Identifier: Apache-2.0 */
/* The report's part on labels: see report_labels.h. */
#include "worker/jobs/report_labels.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/data/mask.h"
#include "lib/store/labels.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/idm/judge.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"
#include "worker/jobs/report_bias.h"
#include "worker/jobs/report_certificate.h"

enum { RESULT_MAX = 1 << 20, TRAJ_AT_ONCE = 64 };

/* A set that a simulator took part in is judged by parts too: its own labels, and those of them
 * that it verified. */
enum part_of_set { WHOLE, SIMULATED, VERIFIED, PARTS_N };
struct judging {
  const struct px_dataset *truth;
  struct idm_quality *quality[PARTS_N];
  struct idm_bias *bias; /* of the whole; NULL: actions are discrete */
  uint8_t *chosen;       /* [chosen_n] steps of one segment */
  uint64_t chosen_n;
  bool simulated;
};

static void judging_free(struct judging *j) {
  for (int i = 0; i < PARTS_N; i++) idm_quality_free(j->quality[i]);
  idm_bias_free(j->bias);
  free(j->chosen);
  *j = (struct judging){ .truth = NULL };
}

static enum px_status judging_new(const struct px_dataset *truth, const struct px_dataset *visible,
                                  struct judging *out, struct px_err *err) {
  struct judging j = { .truth = truth };
  enum px_status status = PX_OK;
  for (int i = 0; i < PARTS_N && !status; i++)
    status = idm_quality_new(truth, visible, &j.quality[i], err);
  if (!status && !truth->spaces.act_count) status = idm_bias_new(truth, visible, &j.bias, err);
  if (status) judging_free(&j);
  else *out = j;
  return status;
}

/* Judges the steps of which `which` is 1 as a part. */
static enum px_status judge_part(struct judging *j, enum part_of_set part, uint32_t from,
                                 uint32_t to, const struct px_label_rows *rows,
                                 const uint8_t *which, struct px_err *err) {
  if (rows->steps_n > j->chosen_n) {
    uint8_t *more = px_mem_realloc(j->chosen, rows->steps_n, 1);
    if (!more) return px_fail(err, PX_E_NO_MEMORY, "no memory to judge labels");
    j->chosen = more;
    j->chosen_n = rows->steps_n;
  }
  for (uint64_t t = 0; t < rows->steps_n; t++) j->chosen[t] = rows->known[t] && which[t];
  idm_quality_add(j->quality[part], from, to, rows->actions, rows->std, rows->epistemic, j->chosen);
  return PX_OK;
}

static enum px_status judge_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                    struct px_err *err) {
  struct judging *j = ctx;
  const struct px_dataset *ds = j->truth;
  if (seq >= ds->segments_n)
    return px_fail(err, PX_E_BAD_DATA, "labels of segment %u, which the snapshot lacks", seq);
  const uint32_t from = ds->segment_traj[seq], to = ds->segment_traj[seq + 1];
  struct px_label_view view;
  enum px_status status =
    px_label_open(bytes, n, &ds->spaces, ds->step_start[to] - ds->step_start[from], &view, err);
  if (status) return status;
  const struct px_label_rows *rows = &view.rows;
  idm_quality_add(j->quality[WHOLE], from, to, rows->actions, rows->std, rows->epistemic,
                  rows->known);
  if (j->bias) idm_bias_add(j->bias, from, to, rows->actions, rows->known);
  if (rows->origin) {
    j->simulated = true;
    status = judge_part(j, SIMULATED, from, to, rows, rows->origin, err);
    if (!status) status = judge_part(j, VERIFIED, from, to, rows, rows->verified, err);
  }
  px_label_close(&view);
  return status;
}

static json_t *part_document(const struct idm_quality *q, enum idm_quality_part which,
                             bool discrete) {
  struct idm_quality_figures f;
  idm_quality_figures(q, which, &f);
  if (f.n == 0) return json_null();
  if (discrete)
    return json_pack("{s:I, s:f}", "transitions", (json_int_t)f.n, "accuracy", f.accuracy);
  return json_pack("{s:I, s:f, s:o}", "transitions", (json_int_t)f.n, "mse", f.mse, "r2",
                   px_json_number(f.r2));
}

static json_t *coverage(const struct idm_quality_figures *f) {
  json_t *out = json_object();
  for (int i = 0; i < IDM_INTERVALS_N; i++) {
    char level[16];
    snprintf(level, sizeof level, "%.0f", 100 * idm_quality_interval_levels[i]);
    json_object_set_new(out, level, json_real(f->coverage[i]));
  }
  return out;
}

static void add_coverage(const struct idm_quality *q, enum idm_quality_part which, json_t *found) {
  struct idm_quality_figures f;
  idm_quality_figures(q, which, &f);
  if (f.n) json_object_set_new(found, "coverage", coverage(&f));
}

static json_t *classes_document(const struct idm_quality *q, uint32_t classes, double cross_entropy,
                                const char *label_set) {
  struct idm_quality_figures f;
  idm_quality_figures(q, IDM_ALL, &f);
  double *recall = px_mem_calloc(classes, sizeof *recall);
  json_t *each = json_array();
  if (recall) idm_quality_recall(q, recall);
  for (uint32_t j = 0; recall && j < classes; j++)
    json_array_append_new(each, isnan(recall[j]) ? json_null() : json_real(recall[j]));
  free(recall);
  return json_pack("{s:s, s:s, s:I, s:f, s:o, s:f, s:f, s:f, s:o, s:o}", "label_set", label_set,
                   "basis", "hidden", "transitions", (json_int_t)f.n, "accuracy", f.accuracy,
                   "accuracy_per_class", each, "cross_entropy", cross_entropy, "score_right",
                   f.score_right, "score_wrong", f.score_wrong, "inside",
                   part_document(q, IDM_INSIDE, true), "outside",
                   part_document(q, IDM_OUTSIDE, true));
}

static json_t *hidden_document(const struct idm_quality *q, uint32_t act_dim,
                               const char *label_set) {
  struct idm_quality_figures f;
  idm_quality_figures(q, IDM_ALL, &f);
  double *r2 = px_mem_calloc(act_dim, sizeof *r2);
  json_t *dims = json_array();
  if (r2) idm_quality_r2_dims(q, r2);
  for (uint32_t j = 0; r2 && j < act_dim; j++) json_array_append_new(dims, px_json_number(r2[j]));
  free(r2);
  json_t *inside = part_document(q, IDM_INSIDE, false),
         *outside = part_document(q, IDM_OUTSIDE, false);
  add_coverage(q, IDM_INSIDE, inside);
  add_coverage(q, IDM_OUTSIDE, outside);
  return json_pack("{s:s, s:s, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "label_set", label_set,
                   "basis", "hidden", "transitions", (json_int_t)f.n, "mse", f.mse, "r2",
                   px_json_number(f.r2), "r2_per_dim", dims, "nll", px_json_number(f.nll),
                   "coverage", coverage(&f), "inside", inside, "outside", outside);
}

/* ---- labels of a simulator, and the model's own beside them */

static json_t *share_of(const struct judging *j, enum part_of_set which) {
  struct idm_quality_figures all, some;
  idm_quality_figures(j->quality[WHOLE], IDM_ALL, &all);
  idm_quality_figures(j->quality[which], IDM_ALL, &some);
  json_t *found = part_document(j->quality[which], IDM_ALL, false);
  if (json_is_object(found))
    json_object_set_new(found, "share", json_real((double)some.n / (double)all.n));
  return found;
}

/* What the models alone would have said, on the same steps, a few trajectories at a time. */
static enum px_status judge_models(struct job *job, const struct job_inputs_idm *idm,
                                   const struct px_dataset *truth, const struct px_dataset *visible,
                                   json_t *labellers, struct px_err *err) {
  struct idm_quality *q = NULL;
  enum px_status status = idm_quality_new(truth, visible, &q, err);
  for (uint32_t from = 0; !status && from < truth->traj_n; from += TRAJ_AT_ONCE) {
    const uint32_t to = truth->traj_n - from < TRAJ_AT_ONCE ? truth->traj_n : from + TRAJ_AT_ONCE;
    struct idm_labels *labels = NULL;
    status = idm_label(idm->models, idm->n, visible, from, to, NULL, &labels, err);
    if (!status)
      idm_quality_add(q, from, to, labels->actions, labels->std, labels->epistemic, labels->known);
    if (!status) status = px_progress_report(&job->progress, "idm", to, truth->traj_n, NULL, 0);
    idm_labels_free(labels);
  }
  if (!status) {
    json_t *found = part_document(q, IDM_ALL, false);
    json_object_set_new(found, "inside", part_document(q, IDM_INSIDE, false));
    json_object_set_new(found, "outside", part_document(q, IDM_OUTSIDE, false));
    json_object_set_new(labellers, "idm", found);
  }
  idm_quality_free(q);
  return status;
}

static void add_labellers(const struct judging *j, json_t *label, json_t *labellers) {
  json_object_set_new(labellers, "simulator", share_of(j, SIMULATED));
  json_object_set_new(labellers, "verified", share_of(j, VERIFIED));
  json_object_set(label, "labellers", labellers);
}

/* One baseline's error on the same steps, a few trajectories at a time. */
static enum px_status judge_baseline(struct job *job, const struct idm_baselines *baselines,
                                     enum idm_baseline which, const struct px_dataset *truth,
                                     const struct px_dataset *visible, json_t *out,
                                     struct idm_quality_figures *figures, struct px_err *err) {
  struct idm_quality *q = NULL;
  const bool discrete = truth->spaces.act_count > 0;
  const char *name = idm_baseline_name(which, discrete);
  enum px_status status = idm_quality_new(truth, visible, &q, err);
  for (uint32_t from = 0; !status && from < truth->traj_n; from += TRAJ_AT_ONCE) {
    const uint32_t to = truth->traj_n - from < TRAJ_AT_ONCE ? truth->traj_n : from + TRAJ_AT_ONCE;
    struct idm_labels *labels = NULL;
    status = idm_baselines_label(baselines, which, visible, from, to, NULL, &labels, err);
    if (!status)
      idm_quality_add(q, from, to, labels->actions, labels->std, labels->epistemic, labels->known);
    if (!status) status = px_progress_report(&job->progress, name, to, truth->traj_n, NULL, 0);
    idm_labels_free(labels);
  }
  if (!status) {
    json_t *found = part_document(q, IDM_ALL, discrete);
    json_object_set_new(found, "inside", part_document(q, IDM_INSIDE, discrete));
    json_object_set_new(found, "outside", part_document(q, IDM_OUTSIDE, discrete));
    json_object_set_new(out, name, found);
    idm_quality_figures(q, IDM_ALL, figures);
  }
  idm_quality_free(q);
  return status;
}

static enum px_status judge_baselines(struct job *job, const struct job_inputs_idm *idm,
                                      const struct px_dataset *truth,
                                      const struct px_dataset *visible, json_t *label,
                                      struct idm_quality_figures figures[IDM_BASELINES_N],
                                      struct px_err *err) {
  struct idm_baselines *baselines = NULL;
  json_t *out = json_object();
  const struct idm_spec *spec = idm->n ? idm_model_spec(idm->models[0]) : NULL;
  enum px_status status = idm_baselines_fit(visible, spec ? spec->k : 1, spec ? spec->f : 0,
                                            &job->progress, &baselines, err);
  for (int which = 0; !status && which < IDM_BASELINES_N; which++)
    status = judge_baseline(job, baselines, (enum idm_baseline)which, truth, visible, out,
                            &figures[which], err);
  json_object_set_new(label, "yardsticks", out);
  idm_baselines_free(baselines);
  return status;
}

/* Far fewer true actions within the intervals than they promise. */
static void warn_coverage(const struct idm_quality_figures *f, json_t *report) {
  const double least = 0.85, covered = f->coverage[IDM_INTERVALS_N - 1];
  if (f->n < FIGURES_FEW_TRANSITIONS || covered >= least) return;
  json_t *found =
    px_warn(report, PX_W_COVERAGE_OFF,
            "%.0f%% of the hidden true actions lie within 1.96 action_std of their label, not 95%%",
            100 * covered);
  px_warn_figure(found, "covered", covered);
}

static void warn_few(const struct idm_quality_figures *all, const char *what, json_t *report) {
  if (all->n >= FIGURES_FEW_TRANSITIONS) return;
  px_warn_figure(px_warn(report, PX_W_FEW_JUDGED,
                         "the labels' figures are over %llu %s transition%s",
                         (unsigned long long)all->n, what, all->n == 1 ? "" : "s"),
                 "transitions", (double)all->n);
}

static void warn_hidden(const struct idm_quality *q,
                        const struct idm_quality_figures baselines[IDM_BASELINES_N], bool discrete,
                        json_t *report) {
  struct idm_quality_figures all;
  idm_quality_figures(q, IDM_ALL, &all);
  const enum idm_baseline best = idm_judge_best(baselines, discrete);
  if (idm_judge_no_better(&all, &baselines[best], discrete))
    figures_warn_no_better(&all, &baselines[best], idm_baseline_name(best, discrete), discrete,
                           report);
  if (!discrete) warn_coverage(&all, report);
  warn_few(&all, "hidden", report);
}

/* What was hidden is known: labels and baselines against it. */
static enum px_status judge_hidden(struct job *job, const struct judging *j,
                                   const struct px_dataset *visible, const char *label_set,
                                   json_t *report, json_t **out, struct px_err *err) {
  const struct px_dataset *truth = j->truth;
  struct idm_quality_figures baselines[IDM_BASELINES_N];
  const uint32_t classes = truth->spaces.act_count;
  const struct idm_quality *q = j->quality[WHOLE];
  struct job_inputs_idm idm = { .n = 0 };
  double cross_entropy = 0;
  enum px_status status = job_inputs_idm(job, &idm, err);
  if (!status && classes)
    status =
      idm_cross_entropy(idm.models, idm.n, truth, visible, &job->progress, &cross_entropy, err);
  if (!status) {
    *out = classes ? classes_document(q, classes, cross_entropy, label_set)
                   : hidden_document(q, truth->spaces.act_dim, label_set);
    status = *out ? judge_baselines(job, &idm, truth, visible, *out, baselines, err)
                  : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  }
  if (!status && j->simulated) {
    json_t *labellers = json_object();
    if (idm.n) status = judge_models(job, &idm, truth, visible, labellers, err);
    add_labellers(j, *out, labellers);
    json_decref(labellers);
  } else if (!status) {
    warn_hidden(q, baselines, classes > 0, report);
  }
  if (!status && j->bias) status = report_bias(job, j->bias, q, *out, report, err);
  job_inputs_idm_free(&idm);
  return status;
}

/* ---- the members' own findings */

/* What each member's training found: its warnings are the report's, but for those that the report
 * judges itself. */
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

/* Nothing was hidden: the members' own held-out folds, weighted by size. */
static enum px_status held_out(const json_t *members, bool discrete, const char *label_set,
                               json_t *report, json_t **out, struct px_err *err) {
  static const char *const SOURCES[2][2] = { { "val_mse", "val_r2" },
                                             { "val_accuracy", "val_cross_entropy" } };
  static const char *const NAMES[2][2] = { { "mse", "r2" }, { "accuracy", "cross_entropy" } };
  double figures[2], n = 0;
  for (int f = 0; f < 2; f++)
    figures[f] = pooled(members, NULL, SOURCES[discrete][f], "val_transitions", &n);
  *out = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "label_set", label_set, "basis", "held_out",
                   "transitions", (json_int_t)n, NAMES[discrete][0], px_json_number(figures[0]),
                   NAMES[discrete][1], px_json_number(figures[1]), "yardsticks",
                   held_out_baselines(members, discrete, figures[1], report));
  if (n < FIGURES_FEW_TRANSITIONS)
    px_warn_figure(px_warn(report, PX_W_FEW_JUDGED,
                           "the labels' figures are over %.0f held-out transition%s", n,
                           n == 1 ? "" : "s"),
                   "transitions", n);
  return *out ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "writing the report");
}

/* Nothing was hidden, but a simulator looks at no true action: all known ones judge its labels.
 * `visible` loses them. */
static enum px_status judge_known(struct job *job, const struct px_dataset *truth,
                                  struct px_dataset *visible, json_t *held, const char *label_set,
                                  json_t *report, json_t **out, struct px_err *err) {
  struct judging j = { .truth = NULL };
  struct idm_quality_figures all = { .n = 0 };
  uint8_t *none = px_mem_calloc(truth->traj_n, 1);
  enum px_status status = none ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) px_dataset_hide(visible, none);
  if (!status) status = judging_new(truth, visible, &j, err);
  if (!status)
    status = store_label_read(job->store, label_set, 0, truth->segments_n, judge_segment, &j, err);
  if (!status) idm_quality_figures(j.quality[WHOLE], IDM_ALL, &all);
  if (!status) {
    json_t *labellers = json_object();
    *out =
      json_pack("{s:s, s:s, s:I, s:o, s:o}", "label_set", label_set, "basis", "known",
                "transitions", (json_int_t)all.n, "mse", all.n ? json_real(all.mse) : json_null(),
                "r2", all.n ? px_json_number(all.r2) : json_null());
    if (json_array_size(json_object_get(job->spec, "models")))
      json_object_set(labellers, "idm", held);
    if (all.n) add_labellers(&j, *out, labellers);
    json_decref(labellers);
    if (all.n) warn_few(&all, "known", report); /* without any the label job has warned */
  }
  judging_free(&j);
  free(none);
  return status;
}

/* ---- returns */

/* Where most of what had to be labelled lies outside the returns that are labelled, the labels
 * extrapolate. */
static void warn_returns(const struct job *job, const struct idm_quality *q,
                         const struct px_dataset *visible, json_t *report) {
  const struct px_mask mask = px_mask_from_json(json_object_get(job->spec, "mask"));
  const bool by_return = mask.protocol == PX_MASK_COUPLED && mask.q < 1;
  const double most = 0.5;
  uint64_t outside = 0, all = 0, labelled_n = 0;
  double low = HUGE_VAL, high = -HUGE_VAL, slack = 0;
  for (uint32_t i = 0; i < visible->traj_n; i++) {
    const uint64_t from = visible->step_start[i], n = visible->step_start[i + 1] - from;
    low = fmin(low, px_dataset_return(visible, i));
    high = fmax(high, px_dataset_return(visible, i));
    slack = fmax(slack, px_dataset_return_slack(visible, i));
    if (memchr(visible->labelled + from, 1, n)) {
      labelled_n++;
      continue;
    }
    all += n;
    if (!idm_quality_is_inside(q, i)) outside += n;
  }
  if (by_return && visible->traj_n > 1 && high - low <= slack)
    px_warn(
      report, PX_W_RETURNS_EQUAL,
      "the returns of all %u trajectories are equal up to rounding: which of them are the mask's"
      " lower part is chance",
      visible->traj_n);
  /* a simulator labels without any */
  if (!labelled_n || (double)outside <= most * (double)all) return;
  json_t *found =
    px_warn(report, PX_W_OUTSIDE_RETURNS,
            "%.0f%% of the unlabelled transitions lie in trajectories whose return is outside"
            " those of the labelled ones",
            100 * (double)outside / (double)all);
  px_warn_figure(found, "outside", (double)outside / (double)all);
}

static enum px_status measure_labels(struct job *job, const struct px_dataset *truth,
                                     struct px_dataset *visible, const char *label_set,
                                     json_t *report, json_t **out, struct px_err *err) {
  struct judging j = { .truth = NULL };
  struct idm_quality_figures all = { .n = 0 };
  json_t *label = NULL, *members = NULL;
  enum px_status status = read_members(job, &members, err);
  add_member_warnings(members, report);
  if (!status) status = judging_new(truth, visible, &j, err);
  if (!status)
    status = store_label_read(job->store, label_set, 0, truth->segments_n, judge_segment, &j, err);
  if (!status) idm_quality_figures(j.quality[WHOLE], IDM_ALL, &all);
  if (!status && all.n) status = judge_hidden(job, &j, visible, label_set, report, &label, err);
  else if (!status && (!j.simulated || json_array_size(members)))
    status = held_out(members, truth->spaces.act_count > 0, label_set, report, &label, err);
  if (!status) warn_returns(job, j.quality[WHOLE], visible, report);
  if (!status && !all.n && j.simulated) {
    json_t *held = label;
    label = NULL;
    status = judge_known(job, truth, visible, held, label_set, report, &label, err);
    json_decref(held);
  }
  if (!status)
    json_object_set_new(label, "labeller", json_string(j.simulated ? "simulator" : "idm"));
  if (!status && j.simulated) status = report_certificate(job, label_set, label, report, err);
  json_decref(members);
  judging_free(&j);
  if (status) json_decref(label);
  else *out = label;
  return status;
}

/* Who asks for a mask and reads figures of held-out steps takes them for those of hidden
 * actions. */
static void warn_of_mask(const struct job *job, const struct px_dataset *truth,
                         const struct px_dataset *visible, json_t *report) {
  uint64_t known_n = 0, hidden_n = 0;
  if (px_mask_from_json(json_object_get(job->spec, "mask")).protocol == PX_MASK_NONE) return;
  if (strcmp(job_spec_text(json_object_get(report, "label"), "basis"), "held_out") != 0) return;
  for (uint64_t t = 0; t < truth->steps_n; t++) {
    known_n += truth->labelled[t];
    hidden_n += truth->labelled[t] && !visible->labelled[t];
  }
  json_t *found =
    px_warn(report, PX_W_HID_NOTHING,
            "the mask hid %" PRIu64 " of %" PRIu64 " known actions, and none that can "
            "be judged: the labels' figures are of held-out steps (basis held_out)",
            hidden_n, known_n);
  px_warn_figure(found, "hidden", (double)hidden_n);
  px_warn_figure(found, "known", (double)known_n);
  /* Beside the figures too, for who reads only those. */
  json_object_set_new(json_object_get(report, "label"), "note",
                      json_string(
                        "figures of held-out steps: the mask hid no action that can be judged"));
}

enum px_status report_labels(struct job *job, json_t *report, struct px_err *err) {
  struct px_dataset *truth = NULL, *visible = NULL;
  json_t *label = NULL;
  enum px_status status = job_inputs_truth(job, &truth, err);
  if (!status) status = job_inputs_visible(job, &visible, err);
  if (!status)
    status = measure_labels(job, truth, visible, job_spec_text(job->spec, "label_set"), report,
                            &label, err);
  if (!status && json_object_set_new(report, "label", label) < 0)
    status = px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) warn_of_mask(job, truth, visible, report);
  px_dataset_free(visible);
  px_dataset_free(truth);
  return status;
}
