/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dataset's segments beside the labels that a label set gives them, one pair
 * at a time. Used by exports and single trajectories.
 */
#ifndef PX_SERVER_API_LABELLED_SEGMENT_H
#define PX_SERVER_API_LABELLED_SEGMENT_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/segment.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"

/* id "": none; it covers the first segments_n */
struct labelled_segment_labels {
  char id[STORE_ID_MAX];
  uint32_t segments_n;
};
/* `asked`: an id, or NULL for the dataset's current label set, if it has one.
 * NOT_FOUND when it is not one of this dataset. */
enum px_status labelled_segment_labels(struct store *store, const struct store_dataset *ds,
                                       const char *asked, struct labelled_segment_labels *out,
                                       struct px_err *err) PX_MUST_CHECK;

/* The bytes of one segment and of its labels (empty when there are none). */
struct labelled_segment_pair {
  struct px_buf segment, labels;
};
#define SNAPSHOT_PAIR \
  { PX_BUF(PX_SEGMENT_MAX_BYTES + (1 << 20)), PX_BUF((size_t)2 * PX_SEGMENT_MAX_BYTES) }
/* Replaces what the pair held. */
enum px_status labelled_segment_read(struct store *store, const struct store_dataset *ds,
                                     const struct labelled_segment_labels *labels, uint32_t seq,
                                     struct labelled_segment_pair *pair,
                                     struct px_err *err) PX_MUST_CHECK;
void labelled_segment_pair_free(struct labelled_segment_pair *pair);

#endif
