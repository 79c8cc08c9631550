/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merged actions: true ones where they are known, proxies elsewhere. One thread
 * fills it; then it is read-only, and its owner frees it.
 */
#ifndef PX_DATA_ACTIONS_MERGED_H
#define PX_DATA_ACTIONS_MERGED_H

#include "lib/data/dataset.h"
#include "lib/data/labels.h"

/* The union that offline RL learns from: true actions where the (masked)
 * dataset is labelled, proxy actions elsewhere. Borrows the dataset. */
enum px_source { PX_SOURCE_NONE = 0, PX_SOURCE_TRUE = 1, PX_SOURCE_PROXY = 2 };
/* In exports a proxy of the simulator is told apart; in a union it is a proxy. */
enum { PX_SOURCE_SIMULATOR = 3 };
struct px_actions_merged {
  const struct px_dataset *ds;
  float *actions;    /* [steps_n, A]; 0 where the source is none */
  uint8_t *source;   /* [steps_n] enum px_source */
  float *score;      /* [steps_n]; 0 unless proxy */
  uint8_t *verified; /* [steps_n] 1: a proxy that the simulator verified */
  uint64_t true_n, proxy_n;
  uint8_t *added; /* [segments_n] 1 where labels were added */
};
/* True actions only, so far. */
enum px_status px_actions_merged_new(const struct px_dataset *ds, struct px_actions_merged **out,
                                     struct px_err *err) PX_MUST_CHECK;
/* Adds the labels of dataset segment `segment` (0-based), once each. Without steps, or without
 * bytes, there is nothing to add: the segment was taken out. */
enum px_status px_actions_merged_add(struct px_actions_merged *u, uint32_t segment,
                                     const void *bytes, size_t n, struct px_err *err) PX_MUST_CHECK;
/* Adds labels that are in memory, from step `first` on, where nothing is known yet. */
void px_actions_merged_add_rows(struct px_actions_merged *u, uint64_t first,
                                const struct px_label_rows *rows);
/* Leaves a trajectory out: none of its steps has an action any more. */
void px_actions_merged_leave_out(struct px_actions_merged *u, uint32_t traj);
void px_actions_merged_free(struct px_actions_merged *u);

struct px_label_bytes {
  const void *bytes;
  size_t n;
};
/* All at once: one label segment per dataset segment, in order. */
enum px_status px_actions_merged_from_labels(const struct px_dataset *ds,
                                             const struct px_label_bytes *labels, uint32_t labels_n,
                                             struct px_actions_merged **out,
                                             struct px_err *err) PX_MUST_CHECK;

#endif
