/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows: the inputs of an inverse dynamics model, gathered from a dataset by
 * step, so that nothing of it is copied. Used by this folder only.  *
 * A window has W = k + 2 + f places, s_{t-k} .. s_{t+1+f}, oldest first, O
 * numbers each, and then f masks.
 *   states:     (s - mean) / std in every place
 *   difference: that in the place of s_t; before it the change to the next
 *               place's state, after it the change from the place before, each
 *               (change - mean) / std of changes; of a coordinate that has a
 *               residual, that (features.h), and then those before s_t are 0
 * Places before the episode's start are 0. Past its end the last state that is
 * known is repeated, and the place's mask, one of f, is 1.
 *
 * With compat: reference, a place without a state holds the state 0 as it is
 * before normalisation, and with k > 0 the window of an episode's last step is
 * one such place and s_{t-k} .. s_t: it never sees the final state.
 */
#ifndef PX_IDM_WINDOW_H
#define PX_IDM_WINDOW_H

#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/idm/idm.h"
#include "lib/idm/norm.h"

/* Whether a window can be made of it: its next state must be known. (With
 * compat: reference and k > 0 it need not be: see below.) */
bool idm_window_step_has(const struct px_dataset *ds, const struct idm_spec *spec, uint32_t traj,
                         uint64_t t);

uint32_t idm_window_inputs(const struct idm_spec *spec, uint32_t obs_dim);
/* x[n, inputs]. Every step must have a window. */
void idm_window_gather(const struct idm_norm *norm, const struct idm_spec *spec,
                       const struct px_dataset *ds, const struct idm_step *steps, uint32_t n,
                       float *x);
/* Numbers in a target: A, or one for each discrete action. */
static inline uint32_t idm_window_outputs(const struct px_spaces *spaces) {
  return spaces->act_count ? spaces->act_count : spaces->act_dim;
}
/* action[A] as a target[outputs]: mapped to (-1, 1); of discrete ones 1 in the class's place and 0
 * elsewhere. */
void idm_window_action_target(const struct px_spaces *spaces, const float *action, float *target);
/* a[n, outputs]: the steps' actions as targets. */
void idm_window_actions(const struct px_dataset *ds, const struct idm_step *steps, uint32_t n,
                        float *a);

/* All transitions that are labelled and have a window, in order. *out is the
 * caller's, NULL if there are none. */
enum px_status idm_window_steps_labelled(const struct px_dataset *ds, const struct idm_spec *spec,
                                         struct idm_step **out, uint32_t *n) PX_MUST_CHECK;
/* Likewise those that are not labelled, or of more than n_max so many or fewer evenly spaced
 * ones. */
enum px_status idm_window_steps_unlabelled(const struct px_dataset *ds, const struct idm_spec *spec,
                                           uint32_t n_max, struct idm_step **out,
                                           uint32_t *n) PX_MUST_CHECK;

#endif
