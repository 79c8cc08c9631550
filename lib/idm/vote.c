/* SPDX-License-Identifier: Apache-2.0 */
/* Members' weights: see vote.h. */
#include "lib/idm/vote.h"

#include <stdlib.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/vote.h"
#include "lib/idm/norm.h"
#include "lib/idm/pass.h"
#include "lib/idm/window.h"

/* ---- probes */

enum px_status idm_vote_probes_new(struct idm_model *model, uint64_t probes_n, struct px_err *err) {
  if (probes_n > IDM_PROBES_MAX || (probes_n && model->act_count))
    return px_fail(err, PX_E_BAD_DATA, "the model's probes_n is out of bounds");
  if (!probes_n) return PX_OK;
  model->probes = px_mem_calloc(probes_n * model->act_dim, sizeof *model->probes);
  if (!model->probes) return px_fail(err, PX_E_NO_MEMORY, "no memory for a member's probes");
  model->probes_n = probes_n;
  return PX_OK;
}

/* The beginning of the places' SHA-256; 0 for none. */
static uint64_t places_of(const struct idm_step *steps, uint32_t n) {
  uint8_t digest[PX_SHA256_BYTES];
  uint64_t of = 0;
  if (n) px_digest_sha256(steps, n * sizeof *steps, digest);
  for (size_t i = 0; n && i < sizeof of; i++) of = of << 8 | digest[i];
  return of;
}

enum px_status idm_vote_probes_take(struct idm_model *model, const struct px_dataset *ds,
                                    struct idm_pass *pass, struct px_err *err) {
  if (model->spec.voting != IDM_AGREEMENT || model->act_count) return PX_OK;
  struct idm_step *steps = NULL;
  uint32_t n = 0;
  enum px_status status = idm_window_steps_unlabelled(ds, &model->spec, IDM_PROBES_MAX, &steps, &n);
  if (status) return px_fail(err, status, "no memory for a member's probes");
  status = idm_vote_probes_new(model, n, err);
  model->probes_of = places_of(steps, n);
  for (uint32_t at = 0, rows; at < n && !status; at += rows) {
    rows = n - at < PX_MLP_CHUNK ? n - at : PX_MLP_CHUNK;
    idm_window_gather(model->norm, &model->spec, ds, steps + at, rows, pass->x);
    const float *mu = idm_model_mu(model, pass->mu_work, pass->x, rows, NULL);
    idm_model_label(model, rows, mu, model->probes + (size_t)at * model->act_dim);
  }
  free(steps);
  return status;
}

/* ---- weights */

/* How many probes can be compared: 0 where they do not decide. */
static size_t comparable(struct idm_model *const *models, uint32_t n) {
  const size_t cells = (size_t)models[0]->probes_n * models[0]->act_dim;
  for (uint32_t i = 1; i < n; i++)
    if (models[i]->probes_n != models[0]->probes_n || models[i]->probes_of != models[0]->probes_of)
      return 0;
  return cells;
}

void idm_vote(struct idm_model *const *models, uint32_t n, double *weight) {
  const float *probes[IDM_MEMBERS_MAX];
  for (uint32_t i = 0; i < n; i++) probes[i] = models[i]->probes;
  px_vote_weights(probes, n, comparable(models, n), weight);
}
