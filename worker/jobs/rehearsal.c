/* SPDX-License-Identifier: Apache-2.0 */
/* Trying labels among the labelled trajectories: see rehearsal.h. */
#include "worker/jobs/rehearsal.h"

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"

#include <stdlib.h>
#include <string.h>

const char *const rehearsal_labels[REHEARSAL_LABELS_N] = { "all", "confident", "true_only" };

enum { MEMBERS = 2 };
enum part { UNLABELLED, KEPT, HIDDEN, JUDGED };

struct work {
  struct px_dataset *ds;
  const struct px_progress *progress;
  uint64_t updates, seed;
  uint8_t *part;     /* [traj_n] enum part */
  uint8_t *labelled; /* [steps_n] before hiding */
  float *actions;    /* [steps_n, A] likewise */
};

struct ranked {
  double value;
  uint32_t traj;
};
static int by_return(const void *left, const void *right) {
  const struct ranked *a = left, *b = right;
  if (a->value != b->value) return a->value < b->value ? -1 : 1;
  return a->traj < b->traj ? -1 : a->traj > b->traj;
}

static enum px_status divide(struct work *w, struct rehearsal *out, struct px_err *err) {
  const struct px_dataset *ds = w->ds;
  struct ranked *ranked = px_mem_calloc(ds->traj_n, sizeof *ranked);
  if (!ranked) return px_fail(err, PX_E_NO_MEMORY, "no memory to rank trajectories");
  uint32_t n = 0;
  for (uint32_t i = 0; i < ds->traj_n; i++)
    if (memchr(ds->labelled + ds->step_start[i], 1, ds->step_start[i + 1] - ds->step_start[i]))
      ranked[n++] = (struct ranked){ px_dataset_has_returns(ds) ? px_dataset_return(ds, i) : 0, i };
  qsort(ranked, n, sizeof *ranked, by_return);
  const uint32_t kept = (n + 1) / 2;
  for (uint32_t i = 0; n >= REHEARSAL_LEAST && i < n; i++) /* the best one is judged by */
    w->part[ranked[i].traj] = i < kept ? KEPT : (n - i) % 2 ? JUDGED : HIDDEN;
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    out->kept_n += w->part[i] == KEPT;
    out->hidden_n += w->part[i] == HIDDEN;
    out->judged_n += w->part[i] == JUDGED;
  }
  free(ranked);
  return PX_OK;
}

/* Copies the truth, then hides all of it but what the lower half has. */
static enum px_status hide(struct work *w, struct px_err *err) {
  struct px_dataset *ds = w->ds;
  const size_t numbers = ds->steps_n * ds->spaces.act_dim;
  uint8_t *keep = px_mem_calloc(ds->traj_n, 1);
  w->actions = px_mem_calloc(numbers, sizeof *w->actions);
  w->labelled = px_mem_calloc(ds->steps_n, 1);
  if (keep && w->actions && w->labelled) {
    memcpy(w->actions, ds->actions, numbers * sizeof *w->actions);
    memcpy(w->labelled, ds->labelled, ds->steps_n);
    for (uint32_t i = 0; i < ds->traj_n; i++) keep[i] = w->part[i] == KEPT;
    px_dataset_hide(ds, keep);
  }
  free(keep);
  return w->labelled && w->actions
           ? PX_OK
           : px_fail(err, PX_E_NO_MEMORY, "no memory for a copy of the actions");
}

static enum px_status label(const struct work *w, const struct idm_spec *given,
                            struct px_actions_merged **out, struct px_err *err) {
  struct idm_spec spec = *given;
  struct idm_model *models[MEMBERS] = { NULL };
  struct idm_labels *labels = NULL;
  struct idm_metrics *metrics = px_mem_calloc(1, sizeof *metrics);
  struct px_actions_merged *u = NULL;
  enum px_status status = metrics ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory to rehearse");
  spec.members = MEMBERS;
  for (uint32_t i = 0; i < MEMBERS && !status; i++)
    status = idm_train_member(w->ds, &spec, i, w->progress, NULL, &models[i], metrics, err);
  if (!status)
    status = idm_label(models, MEMBERS, w->ds, 0, w->ds->traj_n, w->progress, &labels, err);
  if (!status) status = px_actions_merged_new(w->ds, &u, err);
  if (!status) {
    const struct px_label_rows rows = { .steps_n = labels->steps_n,
                                        .actions = labels->actions,
                                        .std = labels->std,
                                        .epistemic = labels->epistemic,
                                        .score = labels->score,
                                        .known = labels->known };
    px_actions_merged_add_rows(u, 0, &rows);
    for (uint32_t i = 0; i < w->ds->traj_n; i++)
      if (w->part[i] == JUDGED) px_actions_merged_leave_out(u, i);
    *out = u;
  }
  for (uint32_t i = 0; i < MEMBERS; i++) idm_model_free(models[i]);
  idm_labels_free(labels);
  free(metrics);
  return status;
}

static double squared_error(const struct px_spaces *spaces, const float *a, const float *b) {
  double sum = 0;
  if (spaces->act_count) return a[0] != b[0];
  for (uint32_t j = 0; j < spaces->act_dim; j++) {
    const double half = 0.5 * ((double)spaces->act_high[j] - (double)spaces->act_low[j]);
    const double difference = ((double)a[j] - (double)b[j]) / half;
    sum += difference * difference;
  }
  return sum / spaces->act_dim;
}

/* `acted` [obs_n, A] beside the true actions of the trajectories set aside. */
static double action_error(const struct work *w, const float *acted, uint64_t *transitions_n) {
  const struct px_dataset *ds = w->ds;
  const size_t a = ds->spaces.act_dim;
  double sum = 0;
  uint64_t n = 0;
  for (uint32_t i = 0; i < ds->traj_n; i++)
    for (uint64_t step = ds->step_start[i]; w->part[i] == JUDGED && step < ds->step_start[i + 1];
         step++) {
      if (!w->labelled[step]) continue;
      const uint64_t row = ds->obs_start[i] + step - ds->step_start[i];
      sum += squared_error(&ds->spaces, acted + row * a, w->actions + step * a);
      n++;
    }
  *transitions_n = n;
  return sum / (double)n;
}

static enum px_status try_labels(const struct work *w, const struct px_actions_merged *u,
                                 uint32_t which, struct rehearsal *out, struct px_err *err) {
  struct rl_spec spec;
  struct rl_metrics metrics;
  struct rl_policy *policy = NULL;
  float *acted = px_mem_calloc(w->ds->obs_n * w->ds->spaces.act_dim, sizeof *acted);
  enum px_status status = acted ? rl_spec_defaults("bc", &spec, err)
                                : px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  if (!status) status = rl_spec_set(&spec, "updates", (double)w->updates, err);
  if (!status) status = rl_spec_say(&spec, "labels", rehearsal_labels[which], err);
  spec.seed = w->seed;
  if (!status) status = rl_train(&spec, u, w->progress, NULL, &policy, &metrics, err);
  if (!status) status = rl_policy_along(policy, w->ds, w->progress, acted, err);
  if (!status) out->error[which] = action_error(w, acted, &out->transitions_n);
  if (!status && out->error[which] < out->error[out->chosen]) out->chosen = which;
  rl_policy_free(policy);
  free(acted);
  return status;
}

enum px_status rehearse(struct px_dataset *ds, const struct idm_spec *idm, uint64_t updates,
                        uint64_t seed, const struct px_progress *progress, struct rehearsal *out,
                        struct px_err *err) {
  struct work w = { .ds = ds,
                    .progress = progress,
                    .updates = updates,
                    .seed = seed,
                    .part = px_mem_calloc(ds->traj_n, 1) };
  struct px_actions_merged *u = NULL;
  *out = (struct rehearsal){ .tried = false };
  enum px_status status =
    w.part ? divide(&w, out, err) : px_fail(err, PX_E_NO_MEMORY, "no memory to rehearse");
  out->tried = !status && out->judged_n > 0;
  if (out->tried) {
    status = hide(&w, err);
    if (!status) status = label(&w, idm, &u, err);
    for (uint32_t i = 0; i < REHEARSAL_LABELS_N && !status; i++)
      status = try_labels(&w, u, i, out, err);
  }
  px_actions_merged_free(u);
  free(w.part);
  free(w.labelled);
  free(w.actions);
  return status;
}
