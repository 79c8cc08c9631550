/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which labelled transitions a member learns from, and which it is validated
 * on. Used by this folder only; the caller owns a struct idm_fold.
 *
 * The labelled trajectories are shuffled once for the whole ensemble and dealt
 * into folds; member m holds out fold m, so that no transition goes unused and
 * validation never sees its own trajectory. One member alone holds out a tenth.
 * A single labelled trajectory, or fewer than there are members, are cut into
 * short blocks of transitions, dealt likewise. With compat: reference all
 * members hold out the same tenth of the trajectories, rounded down, but at
 * least one.
 */
#ifndef PX_IDM_FOLD_H
#define PX_IDM_FOLD_H

#include "lib/idm/norm.h"

struct idm_fold {
  /* in order of the dataset; `held` lies behind `train` in one block */
  struct idm_step *train, *held;
  /* each at least 1; the same rows only where there is but one transition */
  uint32_t train_n, held_n;
  bool by_transition;
};

/* How many folds there are: every transition is held out in exactly one. */
uint32_t idm_folds_n(const struct idm_spec *spec, const struct idm_step *steps, uint32_t n);
/* steps[n], n > 0, in order (idm_window_steps_labelled). */
enum px_status idm_fold_split(const struct idm_spec *spec, uint32_t member,
                              const struct idm_step *steps, uint32_t n,
                              struct idm_fold *out) PX_MUST_CHECK;
void idm_fold_free(struct idm_fold *fold);

#endif
