/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of given observations: see predict.h. */
#include "lib/idm/predict.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/idm/model.h"

void idm_predict_spaces(const struct idm_model *model, struct px_spaces *out) {
  *out = (struct px_spaces){ .obs_dim = model->obs_dim,
                             .act_dim = model->act_dim,
                             .act_count = model->act_count };
  memcpy(out->act_low, model->act_low, sizeof(float) * model->act_dim);
  memcpy(out->act_high, model->act_high, sizeof(float) * model->act_dim);
}

/* Its arrays; observations are the caller's. */
static bool lay_out(struct px_dataset *ds, const struct idm_stretches *given) {
  const uint64_t n = given->n;
  ds->traj_n = given->n;
  ds->obs_n = n * given->length;
  ds->steps_n = n * (given->length - 1);
  ds->observations = (float *)(uintptr_t)given->obs;
  ds->obs_start = px_mem_calloc(n + 1, sizeof *ds->obs_start);
  ds->step_start = px_mem_calloc(n + 1, sizeof *ds->step_start);
  ds->has_final = px_mem_calloc(n, 1);
  ds->terminated = px_mem_calloc(n, 1);
  ds->labelled = px_mem_calloc(ds->steps_n, 1);
  if (!ds->obs_start || !ds->step_start || !ds->has_final || !ds->terminated || !ds->labelled)
    return false;
  for (uint64_t i = 0; i <= n; i++) {
    ds->obs_start[i] = i * given->length;
    ds->step_start[i] = i * (given->length - 1);
  }
  memset(ds->has_final, 1, n);
  return true;
}

enum px_status idm_predict(struct idm_label_work *work, const struct px_spaces *spaces,
                           const struct idm_stretches *given, struct idm_labels **out,
                           struct px_err *err) {
  struct px_dataset *ds = px_mem_calloc(1, sizeof *ds);
  if (!ds) return px_fail(err, PX_E_NO_MEMORY, "no memory to predict");
  ds->spaces = *spaces;
  const enum px_status status = lay_out(ds, given)
                                  ? idm_label_range(work, ds, 0, ds->traj_n, NULL, out, err)
                                  : px_fail(err, PX_E_NO_MEMORY, "no memory to predict");
  free(ds->obs_start);
  free(ds->step_start);
  free(ds->has_final);
  free(ds->terminated);
  free(ds->labelled);
  free(ds);
  return status;
}
