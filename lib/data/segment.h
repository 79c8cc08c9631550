/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments: the one unit of storage. A segment packs whole trajectories, up to
 * about 4 MiB, into one safetensors file:
 *
 *   length       [n] i64        steps T of each trajectory
 *   observations [sum(T + f), O] f32
 *   actions      [sum T, A] f32  absent when nothing in the segment is labelled; 0 where not
 *                labelled
 *   rewards      [sum T] f32     absent when they are not known: a segment's trajectories all have
 *                rewards, or none has
 *   labelled     [n] u8          0 nothing labelled, 1 something is
 *   label_mask   [sum T] u8      absent unless a trajectory is partly labelled; then 1 exactly at
 *                labelled steps
 *   terminated, truncated, has_final [n] u8   at least one of terminated and truncated is 1
 *
 * Metadata: "format", and "act_count" where actions are discrete.
 *
 * Readers push trajectories into a builder, which checks them, packs them and
 * hands over sealed segments. The dataset loader, the label job and the
 * exporter open them again. A builder belongs to one thread.
 */
#ifndef PX_DATA_SEGMENT_H
#define PX_DATA_SEGMENT_H

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/data/running_stats.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

/* A segment is sealed before it would pass PX_SEGMENT_BYTES; a longer
 * trajectory has one of its own, up to PX_SEGMENT_MAX_BYTES. */
enum { PX_SEGMENT_BYTES = 4 << 20, PX_SEGMENT_MAX_BYTES = 256 << 20 };

struct px_segment_row {
  uint32_t steps, labelled_n;
  /* undiscounted return, summed in float64 in order; NAN without rewards */
  double ret;
  bool has_final, terminated, truncated;
};

/* A sealed segment, borrowed for the time of the call. */
struct px_segment {
  const void *bytes;
  size_t size;
  uint8_t digest[PX_SHA256_BYTES];
  uint32_t traj_n;
  uint64_t steps_n, obs_n, labelled_n; /* labelled steps */
  const struct px_segment_row *rows;   /* [traj_n] */
  struct px_running_stats obs;         /* over all obs_n rows of this segment */
  /* labelled steps of each discrete action; 0 where they are continuous */
  uint64_t class_n[PX_ACT_COUNT_MAX];
};
struct px_segment_sink {
  void *ctx;
  enum px_status (*put)(void *ctx, const struct px_segment *segment, struct px_err *err);
};

struct px_segment_builder;
/* Copies `spaces`. NULL when out of memory. */
struct px_segment_builder *px_segment_builder_new(const struct px_spaces *spaces,
                                                  struct px_segment_sink sink);
/* All that comes goes into one segment, however large: for one that is packed again. */
void px_segment_builder_keep_whole(struct px_segment_builder *b);
/* Where readers push. Every trajectory is checked with px_traj_check, so readers
 * need not; actions within the tolerance are clamped; one that neither
 * terminated nor was truncated counts as truncated. After a failure only
 * px_segment_builder_free may follow. */
struct px_traj_sink px_segment_builder_traj_sink(struct px_segment_builder *b);
/* Seals what is left. */
enum px_status px_segment_builder_end(struct px_segment_builder *b,
                                      struct px_err *err) PX_MUST_CHECK;
void px_segment_builder_free(struct px_segment_builder *b);

/* An opened segment; borrows the bytes given, which must outlive it. */
struct px_segment_view {
  uint32_t traj_n;
  uint64_t steps_n, obs_n, labelled_n;
  const int64_t *length;
  const float *observations, *actions /* or NULL */, *rewards /* or NULL */;
  const uint8_t *labelled, *label_mask /* or NULL */, *terminated, *truncated, *has_final;
  void *file, *owned; /* the parsed header; a copy, when the bytes were not aligned */
};
/* BAD_DATA unless everything above holds, all numbers are finite, and discrete actions are class
 * indices. */
enum px_status px_segment_open(const void *bytes, size_t n, const struct px_spaces *spaces,
                               struct px_segment_view *view, struct px_err *err) PX_MUST_CHECK;
void px_segment_close(struct px_segment_view *view);
/* Trajectory i of the segment, whose first step and observation are given. */
struct px_traj px_segment_traj(const struct px_segment_view *view, uint32_t i, uint64_t first_step,
                               uint64_t first_obs, const struct px_spaces *spaces);

#endif
