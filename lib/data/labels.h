/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label segments: the proxy actions of one dataset segment, as safetensors.
 * Truth and proxy never mix: uploaded actions stay in dataset segments.
 *
 *   actions   [steps, A] f32   proxy action, within the action range
 *   std       [steps, A] f32   aleatoric standard deviation, in the action's units
 *   epistemic [steps, A] f32   standard deviation of the label itself, by how the ensemble's
 *                              members differ, likewise
 *   score     [steps] f32      uncertainty, higher = less certain: see px_label_scores
 *   known     [steps] u8       0 where the next state is unknown, so that no label can be given;
 *             all else is 0 there
 *
 * Labels that a simulator took part in have three columns more; sets without them are an inverse
 * dynamics model's:
 *   residual  [steps] f32      how far the simulator's best step ends from the next state: the sum
 *             over observation
 *                              dimensions of ((f(s, a) - s') / std(s' - s))^2
 *   verified  [steps] u8       1 where that is at most the threshold: the simulator's step meets
 *             the data
 *   origin    [steps] u8       enum px_origin: whose label stands
 *
 * What is published is the total, px_label_totals: users ask how far the true
 * action may be from the label, and the aleatoric rest alone is often 0.
 *
 * Where actions are discrete, `actions` is the most probable class, and the
 * entropy of the predicted probabilities, as a share of log(act_count), is
 * split: `std` is the aleatoric part, the mean entropy of the members;
 * `epistemic` the mutual information, which is what averaging the members adds;
 * `score` their sum, from 0 (certain) to 1 (all classes alike).
 *
 * Written by the label job, read by RL and exports. Nothing is shared between threads.
 */
#ifndef PX_DATA_LABELS_H
#define PX_DATA_LABELS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"

enum px_origin { PX_ORIGIN_IDM = 0, PX_ORIGIN_SIMULATOR = 1 };

struct px_label_rows {
  uint64_t steps_n;
  const float *actions, *std, *epistemic; /* [steps_n, A] */
  const float *score;                     /* [steps_n] */
  const uint8_t *known;                   /* [steps_n] */
  /* [steps_n], and so the next two; all three or none (NULL) */
  const float *residual;
  const uint8_t *verified, *origin;
};

/* score = mean over j of sqrt(std_j^2 + epistemic_j^2) * 2 / (high_j - low_j): the
 * total standard deviation in units of an action range normalised to [-1, 1].
 * Discrete: std + epistemic, the total entropy. */
void px_label_scores(const struct px_spaces *spaces, const float *std, const float *epistemic,
                     const uint8_t *known, uint64_t steps_n, float *score);

/* The label's whole uncertainty, total [steps_n, A]: sqrt(std^2 + epistemic^2), the standard
 * deviation of the true action about the label in the action's units. Discrete: std + epistemic,
 * the total entropy as a share of log(act_count). */
void px_label_totals(const struct px_spaces *spaces, const float *std, const float *epistemic,
                     uint64_t steps_n, float *total);

/* Appends the file; the same rows give the same bytes. BAD_DATA if they break a rule above. */
enum px_status px_label_write(const struct px_spaces *spaces, const struct px_label_rows *rows,
                              struct px_buf *out, struct px_err *err) PX_MUST_CHECK;

/* An opened label segment; `rows` borrows the bytes given, which must outlive it. */
struct px_label_view {
  struct px_label_rows rows;
  void *file, *owned; /* the parsed header; a copy, when the bytes were not aligned */
};
/* BAD_DATA unless it labels exactly steps_n steps and keeps every rule above. */
enum px_status px_label_open(const void *bytes, size_t n, const struct px_spaces *spaces,
                             uint64_t steps_n, struct px_label_view *view,
                             struct px_err *err) PX_MUST_CHECK;
void px_label_close(struct px_label_view *view);

#endif
