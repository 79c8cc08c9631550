/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Baselines: what simple models make of the same labels, fitted beside every
 * inverse dynamics model so that its figures mean something. Used by the report
 * job and the bench. The caller owns what fit and predict give; after fitting,
 * struct idm_baselines is read-only.
 *
 *   mean     the mean labelled action; of discrete ones `majority`, the most frequent
 *   ridge    linear on the window of normalised states s_{t-k} .. s_{t+1+f},
 *            clipped to the range; lambda by cross-validation over trajectories
 *            (of discrete actions: linear in the classes' indicators, and the largest)
 *   nearest  the action of the nearest labelled transition in (s_t, s_{t+1}),
 *            both normalised, among at most IDM_NEAREST_MAX evenly spaced ones (fewer
 *            where rows are wide: 64 MiB of them)
 */
#ifndef PX_IDM_BASELINE_H
#define PX_IDM_BASELINE_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/idm.h"

enum idm_baseline { IDM_MEAN, IDM_RIDGE, IDM_NEAREST, IDM_BASELINES_N };
enum { IDM_NEAREST_MAX = 20000 };
/* "mean", or "majority" where actions are discrete; "ridge"; "nearest". */
const char *idm_baseline_name(enum idm_baseline which, bool discrete);

struct idm_baselines;
/* Fits all three on the labelled transitions of ds; k and f are the window's.
 * NO_LABELS when there are none. */
enum px_status idm_baselines_fit(const struct px_dataset *ds, uint32_t k, uint32_t f,
                                 const struct px_progress *progress, struct idm_baselines **out,
                                 struct px_err *err) PX_MUST_CHECK;
void idm_baselines_free(struct idm_baselines *y);

/* Predictions of one of them for trajectories [traj_from, traj_to) of a dataset
 * with the same spaces, as idm_label gives them; std, epistemic and score are 0. */
enum px_status idm_baselines_label(const struct idm_baselines *y, enum idm_baseline which,
                                   const struct px_dataset *ds, uint32_t traj_from,
                                   uint32_t traj_to, const struct px_progress *progress,
                                   struct idm_labels **out, struct px_err *err) PX_MUST_CHECK;

#endif
