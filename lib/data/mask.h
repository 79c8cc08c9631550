/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks: which known actions are hidden, so that a pipeline can measure itself.
 */
#ifndef PX_DATA_MASK_H
#define PX_DATA_MASK_H

#include <stdint.h>

#include "lib/base/fail.h"

/* Hiding known actions, so that a pipeline can measure itself (the paper's
 * coupled protocol, section 5.1): sort the trajectories with labels by return,
 * take the bottom floor(n q), and keep the labels of min(floor(n q), floor(n p))
 * of them, at least 1, drawn uniformly with `seed`; it also orders equal returns.
 * keep: [traj_n] 1 where labels stay. n counts the trajectories with at least
 * one labelled step, which has_labels marks; a mask takes whole trajectories,
 * and steps without a label stay so. A return that is NAN is not known and comes first: where
 * some are so, only q 1 means something. With PX_MASK_NONE keep is has_labels.
 * BAD_FIELD unless p and q are in (0, 1]; NO_LABELS if n is 0. */
enum px_mask_protocol { PX_MASK_NONE, PX_MASK_COUPLED };
struct px_mask {
  enum px_mask_protocol protocol;
  double p, q;
  uint64_t seed;
};
enum px_status px_mask_choose(const struct px_mask *mask, const double *returns,
                              const uint8_t *has_labels, uint32_t traj_n, uint8_t *keep,
                              struct px_err *err) PX_MUST_CHECK;
/* The `mask` of a checked job spec: {protocol, p and q in percent, seed}; NULL is no mask. */
struct json_t;
struct px_mask px_mask_from_json(const struct json_t *mask);

#endif
