/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trajectories for tests: made up from a seed, collected from a reader, and
 * compared; and segments collected from a builder. Everything returned is owned
 * by the list that holds it.
 */
#ifndef PX_TESTS_SUPPORT_TRAJS_H
#define PX_TESTS_SUPPORT_TRAJS_H

#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

/* Action range [-1, 1] (of dimension j: [-1 - j, 1 + j]). */
struct px_spaces trajs_spaces(uint32_t obs_dim, uint32_t act_dim);
/* That many discrete actions. */
struct px_spaces trajs_discrete(uint32_t obs_dim, uint32_t act_count);

/* A growing list of owned copies. */
struct trajs {
  struct px_spaces spaces;
  struct px_traj *items;
  size_t n;
};
/* A sink that copies into the list. */
struct px_traj_sink trajs_sink(struct trajs *list);
void trajs_free(struct trajs *list);

enum trajs_labels { TRAJS_NONE, TRAJS_ALL, TRAJS_PART };
/* Adds one of `steps` steps; how it ends and whether its final state is known follow from the
 * seed. */
void trajs_add(struct trajs *list, uint32_t steps, enum trajs_labels labels, uint64_t seed);
/* n trajectories of 1 to `longest` steps, of all three kinds. */
void trajs_fill(struct trajs *list, uint32_t n, uint32_t longest, uint64_t seed);

/* "" if equal bit for bit (labels compared by meaning, actions where labelled); else what
 * differs. */
const char *trajs_differ(const struct trajs *a, const struct trajs *b);

struct sealed {
  char *bytes;
  size_t size;
  /* rows, moments and digest are copies owned here; bytes as above */
  struct px_segment info;
};
struct segments {
  struct px_spaces spaces;
  struct sealed *items;
  size_t n;
};
/* Packs the list. Prints and returns a failure. */
enum px_status segments_pack(struct segments *out, const struct trajs *list);
/* Unpacks again through px_segment_open. */
enum px_status segments_unpack(const struct segments *segments, struct trajs *out);
void segments_free(struct segments *segments);

#endif
