/* SPDX-License-Identifier: Apache-2.0 */
/* Labels against true actions: see report_judging.h. */
#include "worker/jobs/report_judging.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/warn.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/data/mask.h"
#include "lib/idm/baseline.h"
#include "lib/idm/judge.h"
#include "lib/store/labels.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "worker/jobs/figures.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/report_bias.h"
#include "worker/jobs/report_certificate.h"
#include "worker/jobs/report_sources.h"

enum { TRAJ_AT_ONCE = 64 };

void report_judging_free(struct report_judging *j) {
  for (int i = 0; i < REPORT_JUDGING_PARTS_N; i++) idm_quality_free(j->quality[i]);
  idm_bias_free(j->bias);
  report_sources_free(j->sources);
  free(j->chosen);
}

static enum px_status start(struct report_judging *j, struct px_err *err) {
  enum px_status status = PX_OK;
  for (int i = 0; i < REPORT_JUDGING_PARTS_N && !status; i++)
    status = idm_quality_new(j->truth, j->visible, &j->quality[i], err);
  if (!status && !j->truth->spaces.act_count)
    status = idm_bias_new(j->truth, j->visible, &j->bias, err);
  return status ? status : report_sources_new(j->job, j->truth, j->visible, &j->sources, err);
}

/* Rows of the labels of trajectories [from, to). */
struct stretch {
  uint32_t from, to;
  const struct px_label_rows *rows;
};

static void add_rows(struct idm_quality *q, const struct stretch *s, const uint8_t *known) {
  idm_quality_add(q, s->from, s->to, s->rows->actions, s->rows->std, s->rows->epistemic, known);
}

/* Judges the steps of which `which` is 1 as a part. */
static enum px_status judge_part(struct report_judging *j, enum report_judging_part part,
                                 const struct stretch *s, const uint8_t *which,
                                 struct px_err *err) {
  const struct px_label_rows *rows = s->rows;
  if (rows->steps_n > j->chosen_n) {
    uint8_t *more = px_mem_realloc(j->chosen, rows->steps_n, 1);
    if (!more) return px_fail(err, PX_E_NO_MEMORY, "no memory to judge labels");
    j->chosen = more;
    j->chosen_n = rows->steps_n;
  }
  for (uint64_t t = 0; t < rows->steps_n; t++) j->chosen[t] = rows->known[t] && which[t];
  add_rows(j->quality[part], s, j->chosen);
  return PX_OK;
}

static enum px_status judge_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                    struct px_err *err) {
  struct report_judging *j = ctx;
  const struct px_dataset *ds = j->truth;
  if (seq >= ds->segments_n)
    return px_fail(err, PX_E_BAD_DATA, "labels of segment %u, which the snapshot lacks", seq);
  const uint32_t from = ds->segment_traj[seq], to = ds->segment_traj[seq + 1];
  struct px_label_view view;
  if (!n || from == to) return PX_OK; /* the segment was taken out */
  enum px_status status =
    px_label_open(bytes, n, &ds->spaces, ds->step_start[to] - ds->step_start[from], &view, err);
  if (status) return status;
  const struct px_label_rows *rows = &view.rows;
  const struct stretch s = { from, to, rows };
  add_rows(j->quality[REPORT_JUDGING_WHOLE], &s, rows->known);
  if (j->bias) idm_bias_add(j->bias, from, to, rows->actions, rows->known);
  if (j->sources) report_sources_add(j->sources, from, to, rows);
  if (rows->origin) {
    j->simulated = true;
    status = judge_part(j, REPORT_JUDGING_SIMULATED, &s, rows->origin, err);
    if (!status) status = judge_part(j, REPORT_JUDGING_VERIFIED, &s, rows->verified, err);
  }
  px_label_close(&view);
  return status;
}

enum px_status report_judging_read(struct report_judging *j, struct px_err *err) {
  enum px_status status = start(j, err);
  if (!status)
    status =
      store_label_read(j->job->store, j->label_set, 0, j->truth->segments_n, judge_segment, j, err);
  if (!status) idm_quality_figures(j->quality[REPORT_JUDGING_WHOLE], IDM_ALL, &j->all);
  return status;
}

/* ---- documents */

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

static json_t *share_of(const struct report_judging *j, enum report_judging_part which) {
  struct idm_quality_figures some;
  idm_quality_figures(j->quality[which], IDM_ALL, &some);
  json_t *found = part_document(j->quality[which], IDM_ALL, false);
  if (json_is_object(found))
    json_object_set_new(found, "share", json_real((double)some.n / (double)j->all.n));
  return found;
}

/* ---- the models and baselines on the same steps */

/* Labels of trajectories [from, to) by the models, or by one baseline. */
struct labeller {
  const char *name;
  const struct job_inputs_idm *idm; /* NULL: the baseline */
  const struct idm_baselines *baselines;
  enum idm_baseline which;
};

static enum px_status label(const struct labeller *l, const struct px_dataset *visible,
                            uint32_t from, uint32_t to, struct idm_labels **out,
                            struct px_err *err) {
  return l->idm ? idm_label(l->idm->models, l->idm->n, visible, from, to, NULL, out, err)
                : idm_baselines_label(l->baselines, l->which, visible, from, to, NULL, out, err);
}

/* Its error on the same steps, a few trajectories at a time, as a member of `out`. */
static enum px_status judge_labeller(const struct report_judging *j, const struct labeller *l,
                                     json_t *out, struct idm_quality_figures *figures,
                                     struct px_err *err) {
  struct idm_quality *q = NULL;
  const bool discrete = j->truth->spaces.act_count > 0;
  const uint32_t n = j->truth->traj_n;
  enum px_status status = idm_quality_new(j->truth, j->visible, &q, err);
  for (uint32_t from = 0; !status && from < n; from += TRAJ_AT_ONCE) {
    const uint32_t to = n - from < TRAJ_AT_ONCE ? n : from + TRAJ_AT_ONCE;
    struct idm_labels *labels = NULL;
    status = label(l, j->visible, from, to, &labels, err);
    if (!status)
      idm_quality_add(q, from, to, labels->actions, labels->std, labels->epistemic, labels->known);
    if (!status) status = px_progress_report(&j->job->progress, l->name, to, n, NULL, 0);
    idm_labels_free(labels);
  }
  if (!status) {
    json_t *found = part_document(q, IDM_ALL, discrete);
    json_object_set_new(found, "inside", part_document(q, IDM_INSIDE, discrete));
    json_object_set_new(found, "outside", part_document(q, IDM_OUTSIDE, discrete));
    json_object_set_new(out, l->name, found);
    idm_quality_figures(q, IDM_ALL, figures);
  }
  idm_quality_free(q);
  return status;
}

static void add_labellers(const struct report_judging *j, json_t *label, json_t *labellers) {
  json_object_set_new(labellers, "simulator", share_of(j, REPORT_JUDGING_SIMULATED));
  json_object_set_new(labellers, "verified", share_of(j, REPORT_JUDGING_VERIFIED));
  json_object_set(label, "labellers", labellers);
}

static enum px_status judge_baselines(const struct report_judging *j,
                                      const struct job_inputs_idm *idm, json_t *label,
                                      struct idm_quality_figures figures[IDM_BASELINES_N],
                                      struct px_err *err) {
  struct idm_baselines *baselines = NULL;
  json_t *out = json_object();
  const struct idm_spec *spec = idm->n ? idm_model_spec(idm->models[0]) : NULL;
  enum px_status status = idm_baselines_fit(j->visible, spec ? spec->k : 1, spec ? spec->f : 0,
                                            &j->job->progress, &baselines, err);
  for (int i = 0; !status && i < IDM_BASELINES_N; i++) {
    const enum idm_baseline which = (enum idm_baseline)i;
    const struct labeller one = { .name = idm_baseline_name(which, j->truth->spaces.act_count > 0),
                                  .baselines = baselines,
                                  .which = which };
    status = judge_labeller(j, &one, out, &figures[i], err);
  }
  json_object_set_new(label, "yardsticks", out);
  idm_baselines_free(baselines);
  return status;
}

/* ---- what was hidden, and what is known */

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

/* Of what the models alone would have said, beside the simulator's labels. */
static enum px_status compare_models(const struct report_judging *j,
                                     const struct job_inputs_idm *idm, json_t *label,
                                     struct px_err *err) {
  json_t *labellers = json_object();
  struct idm_quality_figures figures;
  const struct labeller models = { .name = "idm", .idm = idm };
  enum px_status status = PX_OK;
  if (idm->n) status = judge_labeller(j, &models, labellers, &figures, err);
  add_labellers(j, label, labellers);
  json_decref(labellers);
  return status;
}

enum px_status report_judging_hidden(const struct report_judging *j, json_t **out,
                                     struct px_err *err) {
  const struct px_spaces *spaces = &j->truth->spaces;
  struct idm_quality_figures baselines[IDM_BASELINES_N];
  const struct idm_quality *q = j->quality[REPORT_JUDGING_WHOLE];
  struct job_inputs_idm idm = { .n = 0 };
  double cross_entropy = 0;
  enum px_status status = job_inputs_idm(j->job, &idm, err);
  if (!status && spaces->act_count)
    status = idm_cross_entropy(idm.models, idm.n, j->truth, j->visible, &j->job->progress,
                               &cross_entropy, err);
  if (!status) {
    *out = spaces->act_count ? classes_document(q, spaces->act_count, cross_entropy, j->label_set)
                             : hidden_document(q, spaces->act_dim, j->label_set);
    status = *out ? judge_baselines(j, &idm, *out, baselines, err)
                  : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  }
  if (!status && j->simulated) status = compare_models(j, &idm, *out, err);
  else if (!status) warn_hidden(q, baselines, spaces->act_count > 0, j->report);
  if (!status && j->bias) status = report_bias(j->job, j->bias, q, *out, j->report, err);
  job_inputs_idm_free(&idm);
  return status;
}

enum px_status report_judging_known(const struct report_judging *whole, json_t *held, json_t **out,
                                    struct px_err *err) {
  struct report_judging j = { .job = whole->job,
                              .truth = whole->truth,
                              .visible = whole->visible,
                              .label_set = whole->label_set,
                              .report = whole->report };
  uint8_t *none = px_mem_calloc(j.truth->traj_n, 1);
  enum px_status status = none ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "writing the report");
  if (!status) px_dataset_hide(j.visible, none);
  if (!status) status = report_judging_read(&j, err);
  if (!status) {
    json_t *labellers = json_object();
    const struct idm_quality_figures *all = &j.all;
    *out = json_pack("{s:s, s:s, s:I, s:o, s:o}", "label_set", j.label_set, "basis", "known",
                     "transitions", (json_int_t)all->n, "mse",
                     all->n ? json_real(all->mse) : json_null(), "r2",
                     all->n ? px_json_number(all->r2) : json_null());
    if (json_array_size(json_object_get(j.job->spec, "models")))
      json_object_set(labellers, "idm", held);
    if (all->n) add_labellers(&j, *out, labellers);
    json_decref(labellers);
    if (all->n) warn_few(all, "known", j.report); /* without any the label job has warned */
  }
  report_judging_free(&j);
  free(none);
  return status;
}
