/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of observations that are in no dataset: what POST /v1/models/{model}:predict asks. The
 * forward pass is a label job's (idm_label). Borrows all.
 */
#ifndef PX_IDM_PREDICT_H
#define PX_IDM_PREDICT_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/idm/idm.h"
#include "lib/idm/label.h"

/* Stretches of consecutive observations, each an episode of its own: obs [n, length, O] -> labels
 * of n (length - 1) steps, in order. length is at least 2. */
struct idm_stretches {
  uint32_t n, length;
  const float *obs;
};
/* spaces: of the models, idm_predict_spaces. */
enum px_status idm_predict(struct idm_label_work *work, const struct px_spaces *spaces,
                           const struct idm_stretches *given, struct idm_labels **out,
                           struct px_err *err) PX_MUST_CHECK;
/* The spaces that the model was trained for. */
void idm_predict_spaces(const struct idm_model *model, struct px_spaces *out);

#endif
