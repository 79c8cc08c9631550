/* SPDX-License-Identifier: Apache-2.0 */
/* Doubts about members and labels: see judge.h. */
#include "lib/idm/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/idm/fold.h"
#include "lib/idm/model.h"
#include "lib/idm/norm.h"
#include "lib/idm/window.h"

enum {
  JUDGED_STEPS = 5000,
  JUDGED_TRAJS = 500,
  LAG_STEPS = 8000,
  LAG_OBS_MAX = 256,
  LAG_ROWS_MIN = 15,
  LAG_ROWS_FEW = 200
};
/* A lag is named when the change tells something of that action, and leaves at most this part of
 * what it leaves of the action at its own step. On D4RL's hopper and halfcheetah, whose actions are
 * smooth, actions moved by a step leave 0.5 to 0.7; data of human hands, which no lag explains
 * better, 0.96. Few transitions have to show it more clearly. */
static const double least_share = 0.2, most_left = 0.75, most_left_of_few = 0.5;

static uint64_t count(const uint8_t *marks, uint64_t n) {
  uint64_t marked = 0;
  for (uint64_t i = 0; i < n; i++) marked += marks[i];
  return marked;
}

/* Which trajectories are looked at: evenly spaced ones of those marked, with about `steps` marked
 * steps in all. */
static void thin_out(uint8_t *marked, const struct px_dataset *ds, const uint8_t *steps_marked,
                     uint64_t steps) {
  const uint64_t by_steps = (count(steps_marked, ds->steps_n) + steps - 1) / steps;
  const uint64_t by_trajs = (count(marked, ds->traj_n) + JUDGED_TRAJS - 1) / JUDGED_TRAJS;
  const uint64_t stride = by_steps > by_trajs ? by_steps : by_trajs;
  uint64_t seen = 0;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    if (marked[traj] && seen++ % stride) marked[traj] = 0;
}

static bool any_marked(const struct px_dataset *ds, uint32_t traj, const uint8_t *steps_marked) {
  const uint64_t from = ds->step_start[traj];
  return memchr(steps_marked + from, 1, ds->step_start[traj + 1] - from) != NULL;
}

/* ---- members */

struct member_judging {
  struct idm_model *model;
  const struct px_dataset *ds, *rest; /* with all labels, and without the member's fold */
  const struct idm_baselines *baselines;
  const uint8_t *trajs; /* [traj_n] those looked at */
  const struct px_progress *progress;
};

/* Labels of one baseline, or of the member where `which` is IDM_BASELINES_N, against the fold. */
static enum px_status judge_one(const struct member_judging *j, int which,
                                struct idm_quality_figures *out, struct px_err *err) {
  struct idm_quality *q = NULL;
  enum px_status status = idm_quality_new(j->ds, j->rest, &q, err);
  for (uint32_t traj = 0; !status && traj < j->ds->traj_n; traj++) {
    struct idm_labels *labels = NULL;
    if (!j->trajs[traj]) continue;
    status = which == IDM_BASELINES_N
               ? idm_label(&j->model, 1, j->ds, traj, traj + 1, NULL, &labels, err)
               : idm_baselines_label(j->baselines, (enum idm_baseline)which, j->ds, traj, traj + 1,
                                     NULL, &labels, err);
    if (!status)
      idm_quality_add(q, traj, traj + 1, labels->actions, labels->std, labels->epistemic,
                      labels->known);
    if (!status) status = px_progress_report(j->progress, "judge", traj, j->ds->traj_n, NULL, 0);
    idm_labels_free(labels);
  }
  if (!status) idm_quality_figures(q, IDM_ALL, out);
  idm_quality_free(q);
  return status;
}

static enum px_status judge_all(struct member_judging *j, struct idm_judged *out,
                                struct px_err *err) {
  const struct idm_spec *spec = idm_model_spec(j->model);
  struct idm_baselines *baselines = NULL;
  enum px_status status =
    idm_baselines_fit(j->rest, spec->k, spec->f, j->progress, &baselines, err);
  j->baselines = baselines;
  for (int which = 0; !status && which <= IDM_BASELINES_N; which++)
    status =
      judge_one(j, which, which == IDM_BASELINES_N ? &out->idm : &out->baselines[which], err);
  idm_baselines_free(baselines);
  return status;
}

/* rest->labelled without the member's fold, and the fold's trajectories that are looked at. */
static enum px_status hold_fold(const struct px_dataset *ds, const struct idm_model *model,
                                const struct idm_step *steps, uint32_t n, uint8_t *labelled,
                                uint8_t *trajs) {
  struct idm_fold fold = { .held_n = 0 };
  uint8_t *held = px_mem_calloc(ds->steps_n, 1);
  enum px_status status =
    held ? idm_fold_split(idm_model_spec(model), idm_model_member(model), steps, n, &fold)
         : PX_E_NO_MEMORY;
  if (!status) {
    memcpy(labelled, ds->labelled, ds->steps_n);
    for (uint32_t i = 0; i < fold.held_n; i++) {
      const uint64_t step = ds->step_start[fold.held[i].traj] + fold.held[i].t;
      held[step] = 1;
      labelled[step] = 0;
      trajs[fold.held[i].traj] = 1;
    }
    thin_out(trajs, ds, held, JUDGED_STEPS);
    idm_fold_free(&fold);
  }
  free(held);
  return status;
}

enum px_status idm_judge_member(struct idm_model *model, const struct px_dataset *ds,
                                const struct px_progress *progress, struct idm_judged *out,
                                struct px_err *err) {
  struct px_dataset rest = *ds;
  struct idm_judged judged = { .idm = { .n = 0 } };
  struct idm_step *steps = NULL;
  uint32_t n = 0;
  uint8_t *trajs = px_mem_calloc(ds->traj_n, 1);
  rest.labelled = px_mem_calloc(ds->steps_n, 1);
  enum px_status status = trajs && rest.labelled
                            ? idm_window_steps_labelled(ds, idm_model_spec(model), &steps, &n)
                            : PX_E_NO_MEMORY;
  if (!status && n > 1) status = hold_fold(ds, model, steps, n, rest.labelled, trajs);
  if (status) status = px_fail(err, status, "no memory to judge the member");
  struct member_judging j = {
    .model = model, .ds = ds, .rest = &rest, .trajs = trajs, .progress = progress
  };
  if (!status && n > 1) status = judge_all(&j, &judged, err);
  free(steps);
  free(rest.labelled);
  free(trajs);
  if (!status) *out = judged;
  return status;
}

enum idm_baseline idm_judge_best(const struct idm_quality_figures baselines[IDM_BASELINES_N],
                                 bool discrete) {
  int best = 0;
  for (int i = 1; i < IDM_BASELINES_N; i++)
    if (discrete ? baselines[i].accuracy > baselines[best].accuracy
                 : baselines[i].mse < baselines[best].mse)
      best = i;
  return (enum idm_baseline)best;
}

bool idm_judge_no_better(const struct idm_quality_figures *idm,
                         const struct idm_quality_figures *best, bool discrete) {
  if (idm->n == 0 || best->n == 0) return false;
  if (discrete) return idm->accuracy < 0.99 && idm->accuracy <= best->accuracy;
  return !(idm->r2 >= 0.99) && idm->mse > 1e-6 && idm->mse >= 0.99 * best->mse;
}

/* ---- the lag of labels */

struct lag_judging {
  const struct px_dataset *ds;
  uint8_t *trajs; /* [traj_n] 1: fitted to, 2: judged on, 3: by halves, as the only one */
  /* actions of d steps on, and those without the judged trajectories' */
  struct px_dataset truth, rest;
  const struct px_progress *progress;
  uint64_t judged_n; /* transitions that d = 0 is judged on */
};

enum { FITTED = 1, JUDGED, HALVED };

/* Every other labelled trajectory is judged on; of the only one its second half. */
static enum px_status choose_trajectories(struct lag_judging *j) {
  const struct px_dataset *ds = j->ds;
  j->trajs = px_mem_calloc(ds->traj_n, 1);
  if (!j->trajs) return PX_E_NO_MEMORY;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    j->trajs[traj] = any_marked(ds, traj, ds->labelled);
  thin_out(j->trajs, ds, ds->labelled, LAG_STEPS);
  const bool lone = count(j->trajs, ds->traj_n) == 1;
  for (uint32_t traj = 0, n = 0; traj < ds->traj_n; traj++)
    if (j->trajs[traj]) j->trajs[traj] = lone ? HALVED : n++ % 2 ? JUDGED : FITTED;
  return PX_OK;
}

/* truth: a_{t+d} in the place of a_t; gives the steps that can be fitted to and judged on. */
static void shift(struct lag_judging *j, int d, uint64_t rows[2]) {
  const struct px_dataset *ds = j->ds;
  const size_t a = ds->spaces.act_dim;
  memset(j->truth.labelled, 0, ds->steps_n);
  memset(j->rest.labelled, 0, ds->steps_n);
  rows[0] = rows[1] = 0;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++) {
    const uint64_t from = ds->step_start[traj], to = ds->step_start[traj + 1];
    for (uint64_t step = from; j->trajs[traj] && step < to; step++) {
      const int64_t source = (int64_t)step + d;
      if (source < (int64_t)from || source >= (int64_t)to || !ds->labelled[source]) continue;
      memcpy(j->truth.actions + step * a, ds->actions + (size_t)source * a, a * sizeof(float));
      j->truth.labelled[step] = 1;
      const bool fitted =
        j->trajs[traj] == FITTED || (j->trajs[traj] == HALVED && step - from < (to - from) / 2);
      j->rest.labelled[step] = fitted;
      rows[fitted ? 0 : 1] += px_dataset_next_known(ds, traj, step - from);
    }
  }
}

static enum px_status judge_shifted(struct lag_judging *j, const struct idm_baselines *baselines,
                                    enum idm_baseline which, struct idm_quality_figures *out,
                                    struct px_err *err) {
  struct idm_quality *q = NULL;
  enum px_status status = idm_quality_new(&j->truth, &j->rest, &q, err);
  for (uint32_t traj = 0; !status && traj < j->ds->traj_n; traj++) {
    struct idm_labels *labels = NULL;
    if (j->trajs[traj] < JUDGED) continue;
    status = idm_baselines_label(baselines, which, &j->truth, traj, traj + 1, NULL, &labels, err);
    if (!status)
      idm_quality_add(q, traj, traj + 1, labels->actions, labels->std, labels->epistemic,
                      labels->known);
    idm_labels_free(labels);
  }
  if (!status) idm_quality_figures(q, IDM_ALL, out);
  idm_quality_free(q);
  return status;
}

/* How much of a_{t+d} the change tells; NaN where there is too little to say. */
static enum px_status share_of(struct lag_judging *j, int d, double *share, struct px_err *err) {
  const bool discrete = j->ds->spaces.act_count > 0;
  struct idm_baselines *baselines = NULL;
  struct idm_quality_figures figures[IDM_BASELINES_N] = { { .n = 0 } };
  uint64_t rows[2];
  shift(j, d, rows);
  if (d == 0) j->judged_n = rows[1];
  *share = (double)NAN;
  if (rows[0] < LAG_ROWS_MIN || rows[1] < LAG_ROWS_MIN) return PX_OK;
  enum px_status status = idm_baselines_fit(&j->rest, 0, 0, j->progress, &baselines, err);
  for (int which = 0; !status && which < IDM_BASELINES_N; which++)
    status = judge_shifted(j, baselines, (enum idm_baseline)which, &figures[which], err);
  idm_baselines_free(baselines);
  if (status) return status;
  const struct idm_quality_figures *linear = &figures[IDM_RIDGE], *near = &figures[IDM_NEAREST];
  const double most = figures[IDM_MEAN].accuracy, right = fmax(linear->accuracy, near->accuracy);
  if (!discrete) *share = fmax(linear->r2, near->r2);
  else if (most < 1) *share = (right - most) / (1 - most);
  return PX_OK;
}

static void name_lag(struct idm_lag *lag, bool few) {
  const double own = fmax(lag->share[IDM_LAG_MAX], 0);
  int best = 0;
  for (int d = -IDM_LAG_MAX; d <= IDM_LAG_MAX; d++)
    if (lag->share[d + IDM_LAG_MAX] > lag->share[best + IDM_LAG_MAX]) best = d;
  const double share = lag->share[best + IDM_LAG_MAX];
  if (share >= least_share && 1 - share <= (few ? most_left_of_few : most_left) * (1 - own))
    lag->found = best;
}

enum px_status idm_judge_lag(const struct px_dataset *ds, const struct px_progress *progress,
                             struct idm_lag *out, struct px_err *err) {
  struct idm_lag lag = { .known = false };
  struct lag_judging j = { .ds = ds, .truth = *ds, .rest = *ds, .progress = progress };
  enum px_status status = choose_trajectories(&j);
  j.truth.actions = px_mem_calloc(ds->steps_n, sizeof(float) * ds->spaces.act_dim);
  j.truth.labelled = px_mem_calloc(ds->steps_n, 1);
  j.rest.labelled = px_mem_calloc(ds->steps_n, 1);
  j.rest.actions = j.truth.actions;
  if (status || !j.truth.actions || !j.truth.labelled || !j.rest.labelled)
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to judge the labels' lag");
  const bool cheap = ds->spaces.obs_dim <= LAG_OBS_MAX;
  for (int d = -IDM_LAG_MAX; !status && cheap && d <= IDM_LAG_MAX; d++)
    status = share_of(&j, d, &lag.share[d + IDM_LAG_MAX], err);
  free(j.truth.actions);
  free(j.truth.labelled);
  free(j.rest.labelled);
  free(j.trajs);
  if (status) return status;
  lag.known = cheap && isfinite(lag.share[IDM_LAG_MAX]);
  if (lag.known) name_lag(&lag, j.judged_n < LAG_ROWS_FEW);
  *out = lag;
  return PX_OK;
}
