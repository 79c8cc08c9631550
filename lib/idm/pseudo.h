/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Self-training (Fralick 1967; the comparison of SS-ORL, arXiv 2210.06518): the
 * unlabelled transitions that a member has labelled itself. Used by the trainer.
 *
 * After each round but the last the member labels what is unlabelled, and the
 * most certain `add_percent` percent of all unlabelled transitions join its
 * training set with the label they then have, which they keep. A struct
 * idm_pseudo owns its arrays, which have their full size from the start, and
 * belongs to one thread; they are part of the training's state.
 */
#ifndef PX_IDM_PSEUDO_H
#define PX_IDM_PSEUDO_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/norm.h"

struct idm_pseudo {
  uint64_t *rows;      /* [max] trajectory << 32 | step, in the order they were added */
  float *actions;      /* [max, A] in the dataset's units */
  uint64_t n;          /* so far */
  uint64_t share, max; /* added a round, and by all rounds: at most all that is unlabelled */
};

enum px_status idm_pseudo_init(struct idm_pseudo *pseudo, const struct px_dataset *ds,
                               const struct idm_spec *spec) PX_MUST_CHECK;
void idm_pseudo_free(struct idm_pseudo *pseudo);
struct idm_step idm_pseudo_step(const struct idm_pseudo *pseudo, uint64_t i);
/* The model's most certain share of what is unlabelled and not yet in here: by
 * px_label_scores, the earlier transition first where they are equal. */
enum px_status idm_pseudo_add(struct idm_pseudo *pseudo, const struct px_dataset *ds,
                              struct idm_model *model, const struct px_progress *progress,
                              struct px_err *err) PX_MUST_CHECK;

#endif
