/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label segments, label sets: staged by shards, published as one set: see results.h.
 */
#ifndef PX_STORE_LABELS_H
#define PX_STORE_LABELS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/results.h"
#include "lib/store/store.h"

/* One label segment on its way to the store; all borrowed. */
struct store_label_segment {
  const char *label_job; /* that will publish it */
  uint32_t seq;
  const void *bytes;
  size_t n;
  uint64_t steps_n, known_n;
  double score_sum;
  const char *profile; /* what the bits depend on */
  bool simulated;      /* a simulator took part: the rest counts */
  uint64_t verified_n, simulated_n;
  double residual_sum;
};
/* Stages one under the shard's hold. Writing the same (segment, epoch) again is harmless. */
enum px_status store_label_stage(struct store *store, const struct store_lease *shard,
                                 const struct store_label_segment *segment,
                                 struct px_err *err) PX_MUST_CHECK;
/* Takes over what earlier attempts of the shard have staged under the same profile: staged[seq -
 * first] = 1 for those of first .. first + count - 1. */
enum px_status store_label_adopt(struct store *store, const struct store_lease *shard,
                                 const char *label_job, const char *profile, uint32_t first,
                                 uint32_t count, uint8_t *staged, struct px_err *err) PX_MUST_CHECK;
/* What is published: labels of the first segments_n segments of the dataset at that version. */
struct store_labelling {
  const char *dataset_id;
  uint32_t segments_n;
  int64_t version;
};
/* One transaction: fence, check that segments 0..segments_n-1 are all there from
 * shards that succeeded, with the steps of the dataset's segments; digest; insert the label set;
 * drop dead-epoch rows; flip the dataset's current label set; end the job with
 * `result_json`. CONFLICT names a missing segment. */
enum px_status store_label_publish(struct store *store, const struct store_lease *hold,
                                   const struct store_labelling *labelling, const char *result_json,
                                   struct px_err *err) PX_MUST_CHECK;
enum px_status store_label_set_document(struct store *store, const char *id, struct px_buf *out,
                                        struct px_err *err) PX_MUST_CHECK;
enum px_status store_label_set_list(struct store *store, const struct store_page *page,
                                    struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
typedef enum px_status (*store_label_sink)(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                           struct px_err *err);
/* Label segments first .. first + count - 1 of a published set, in order; no bytes (NULL, 0) for
 * one that had been taken out of the dataset. The sink may use the same store. NOT_FOUND unless the
 * set has them all, BAD_DATA naming a segment whose bytes do not have the digest recorded with
 * it. */
enum px_status store_label_read(struct store *store, const char *label_set, uint32_t first,
                                uint32_t count, store_label_sink sink, void *ctx,
                                struct px_err *err) PX_MUST_CHECK;

#endif
