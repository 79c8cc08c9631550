/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes two trajectories the same one: a digest of everything a segment
 * keeps of it, so that the format, the packing and the order of files do not
 * matter. And a set of digests. Used by ingest; one thread at a time.
 */
#ifndef PX_DATA_TRAJ_DIGEST_H
#define PX_DATA_TRAJ_DIGEST_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

/* The first half of a SHA-256: two different trajectories will not have the same. */
struct px_traj_digest {
  uint8_t bytes[16];
};

/* Of observations, rewards, ends, and the actions of labelled steps as a segment holds them
 * (clamped into the range). The trajectory must have passed px_traj_check. */
enum px_status px_traj_digest(const struct px_spaces *spaces, const struct px_traj *traj,
                              struct px_traj_digest *out, struct px_err *err) PX_MUST_CHECK;

/* Each digest with a number; owns its table. All zero is an empty set. */
struct px_digest_slot {
  struct px_traj_digest digest;
  uint64_t number;
  bool used;
};
struct px_traj_digest_set {
  struct px_digest_slot *slots;
  size_t n, cap;
};
/* The number it was put in with, or NULL. */
const uint64_t *px_traj_digest_set_find(const struct px_traj_digest_set *set,
                                        const struct px_traj_digest *digest);
/* One that is there keeps its first number. */
enum px_status px_traj_digest_set_put(struct px_traj_digest_set *set,
                                      const struct px_traj_digest *digest, uint64_t number,
                                      struct px_err *err) PX_MUST_CHECK;
void px_traj_digest_set_free(struct px_traj_digest_set *set);

#endif
