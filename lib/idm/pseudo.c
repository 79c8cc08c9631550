/* SPDX-License-Identifier: Apache-2.0 */
/* Self-training's pseudo labels: see pseudo.h. */
#include "lib/idm/pseudo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/idm/norm.h"
#include "lib/idm/window.h"

static bool unlabelled(const struct px_dataset *ds, const struct idm_spec *spec, uint32_t traj,
                       uint64_t t) {
  return !ds->labelled[ds->step_start[traj] + t] && idm_window_step_has(ds, spec, traj, t);
}

enum px_status idm_pseudo_init(struct idm_pseudo *pseudo, const struct px_dataset *ds,
                               const struct idm_spec *spec) {
  uint64_t free_n = 0;
  *pseudo = (struct idm_pseudo){ 0 };
  if (!spec->rounds) return PX_OK;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    for (uint64_t t = 0; t < ds->step_start[traj + 1] - ds->step_start[traj]; t++)
      free_n += unlabelled(ds, spec, traj, t);
  pseudo->share = (uint64_t)ceil((double)free_n * spec->add_percent / 100);
  pseudo->max = pseudo->share * spec->rounds < free_n ? pseudo->share * spec->rounds : free_n;
  if (!pseudo->max) return PX_OK;
  pseudo->rows = px_mem_calloc(pseudo->max, sizeof *pseudo->rows);
  pseudo->actions = px_mem_calloc(pseudo->max, sizeof(float) * ds->spaces.act_dim);
  if (pseudo->rows && pseudo->actions) return PX_OK;
  idm_pseudo_free(pseudo);
  return PX_E_NO_MEMORY;
}

void idm_pseudo_free(struct idm_pseudo *pseudo) {
  free(pseudo->rows);
  free(pseudo->actions);
  *pseudo = (struct idm_pseudo){ 0 };
}

struct idm_step idm_pseudo_step(const struct idm_pseudo *pseudo, uint64_t i) {
  return (struct idm_step){ (uint32_t)(pseudo->rows[i] >> 32), (uint32_t)pseudo->rows[i] };
}

struct candidate {
  float score;
  uint64_t row;
};

static int more_certain(const void *left, const void *right) {
  const struct candidate *a = left, *b = right;
  if (a->score != b->score) return a->score < b->score ? -1 : 1;
  return a->row < b->row ? -1 : 1;
}

/* Those that may join; taken[steps_n] marks the ones in here. */
static uint64_t list_candidates(const struct px_dataset *ds, const struct idm_spec *spec,
                                const struct idm_labels *labels, const uint8_t *taken,
                                struct candidate *list) {
  uint64_t n = 0;
  for (uint32_t traj = 0; traj < ds->traj_n; traj++)
    for (uint64_t t = 0; t < ds->step_start[traj + 1] - ds->step_start[traj]; t++) {
      const uint64_t at = ds->step_start[traj] + t;
      if (unlabelled(ds, spec, traj, t) && !taken[at])
        list[n++] = (struct candidate){ labels->score[at], (uint64_t)traj << 32 | t };
    }
  return n;
}

static void append(struct idm_pseudo *pseudo, const struct px_dataset *ds,
                   const struct idm_labels *labels, uint64_t row) {
  const uint32_t dims = ds->spaces.act_dim;
  pseudo->rows[pseudo->n] = row;
  const struct idm_step step = idm_pseudo_step(pseudo, pseudo->n);
  memcpy(pseudo->actions + pseudo->n++ * dims,
         labels->actions + (ds->step_start[step.traj] + step.t) * dims, sizeof(float) * dims);
}

enum px_status idm_pseudo_add(struct idm_pseudo *pseudo, const struct px_dataset *ds,
                              struct idm_model *model, const struct px_progress *progress,
                              struct px_err *err) {
  struct idm_labels *labels = NULL;
  uint8_t *taken = px_mem_calloc(ds->steps_n, 1);
  struct candidate *list = px_mem_calloc(ds->steps_n, sizeof *list);
  enum px_status status =
    taken && list ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for self-training");
  if (!status) status = idm_label(&model, 1, ds, 0, ds->traj_n, progress, &labels, err);
  if (status) goto out;
  for (uint64_t i = 0; i < pseudo->n; i++) {
    const struct idm_step step = idm_pseudo_step(pseudo, i);
    taken[ds->step_start[step.traj] + step.t] = 1;
  }
  const uint64_t n = list_candidates(ds, idm_model_spec(model), labels, taken, list),
                 before = pseudo->n;
  qsort(list, n, sizeof *list, more_certain);
  for (uint64_t i = 0; i < n && pseudo->n < before + pseudo->share && pseudo->n < pseudo->max; i++)
    append(pseudo, ds, labels, list[i].row);
out:
  idm_labels_free(labels);
  free(list);
  free(taken);
  return status;
}
