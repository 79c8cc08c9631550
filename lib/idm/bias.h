/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How systematic the errors of labels are, where the truth is known. Errors of
 * random signs cost a policy little; errors that the state decides move it every
 * time it comes by, and R2 tells nothing of the difference. Used by the report
 * and the bench, beside quality.h. One thread; the maker frees a struct idm_bias.
 *
 * With e = label - a over the judged steps, in actions mapped to (-1, 1):
 *   bias_share  1 - sum |e - g|^2 / sum |e|^2, at least 0: the share of the squared
 *               error that a smooth function g of (s, s' - s) gives, fitted to the
 *               errors of other trajectories (smooth.h; mean errors are in it).
 *   lean        sum e (p - a) / sum (p - a)^2, with p the action that a clone of
 *               the labelled steps takes at s (smooth.h, clipped to the range): how
 *               far labels lean from the true action to the labelled policy's own.
 *               0: not at all; 1: the label is the habit.
 * States are normalised over all trajectories and clipped to +-10, changes too.
 *
 * Judged are the steps that quality.h judges: all, or IDM_BIAS_ROWS_MAX evenly
 * spaced ones. For continuous actions alone.
 */
#ifndef PX_IDM_BIAS_H
#define PX_IDM_BIAS_H

#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/idm/quality.h"

enum { IDM_BIAS_ROWS_MAX = 20000, IDM_BIAS_ROWS_MIN = 50, IDM_BIAS_OBS_MAX = 2048 };

struct idm_bias_figures {
  double bias_share, lean;
}; /* NAN: see idm_bias_measure */

struct idm_bias;
enum px_status idm_bias_new(const struct px_dataset *truth, const struct px_dataset *masked,
                            struct idm_bias **out, struct px_err *err) PX_MUST_CHECK;
void idm_bias_free(struct idm_bias *b);
/* As idm_quality_add; ranges in order. */
void idm_bias_add(struct idm_bias *b, uint32_t traj_from, uint32_t traj_to, const float *actions,
                  const uint8_t *known);
/* All parts as q divides them. Both are NAN in a part of fewer than IDM_BIAS_ROWS_MIN steps, and
 * where observations have more than IDM_BIAS_OBS_MAX dims; bias_share where nothing errs, lean
 * where the labelled policy does what was done. Phase "bias", rows of all. */
enum px_status idm_bias_measure(struct idm_bias *b, const struct idm_quality *q,
                                const struct px_progress *progress,
                                struct idm_bias_figures out[IDM_QUALITY_PARTS_N],
                                struct px_err *err) PX_MUST_CHECK;

#endif
