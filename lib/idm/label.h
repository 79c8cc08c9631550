/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ensemble that is ready to label, for those that do it again and again: what idm_label takes
 * anew each time is kept. Used by predict.c. Belongs to one thread at a time; borrows the models,
 * which do not change meanwhile.
 */
#ifndef PX_IDM_LABEL_H
#define PX_IDM_LABEL_H

#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"

struct idm_label_work;
/* BAD_DATA unless they are members of one ensemble. */
enum px_status idm_label_work_new(struct idm_model *const *models, uint32_t models_n,
                                  struct idm_label_work **out, struct px_err *err) PX_MUST_CHECK;
void idm_label_work_free(struct idm_label_work *l);
/* As idm_label. */
enum px_status idm_label_range(struct idm_label_work *l, const struct px_dataset *ds,
                               uint32_t traj_from, uint32_t traj_to,
                               const struct px_progress *progress, struct idm_labels **out,
                               struct px_err *err) PX_MUST_CHECK;

#endif
