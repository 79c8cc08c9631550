/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for one trajectory, as a reader fills it. It belongs to one thread.
 */
#ifndef PX_READ_TRAJ_BUFFER_H
#define PX_READ_TRAJ_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/data/spaces.h"

/* A trajectory may take this much, so that no file decides how much memory is used. */
enum { PX_TRAJ_MAX_BYTES = 256 << 20 };

/* Room for a trajectory, grown on demand; owns its arrays. */
struct px_traj_buffer {
  uint32_t obs_dim, act_dim;
  size_t cap;          /* steps */
  float *observations; /* [cap + 1, O] */
  float *actions;      /* [cap, A] */
  float *rewards;      /* [cap] */
  uint8_t *labelled;   /* [cap] */
};
void px_traj_buffer_init(struct px_traj_buffer *room, const struct px_spaces *spaces);
/* At least `steps`; what is there stays. TOO_LARGE beyond PX_TRAJ_MAX_BYTES. */
enum px_status px_traj_buffer_steps(struct px_traj_buffer *room, size_t steps,
                                    struct px_err *err) PX_MUST_CHECK;
void px_traj_buffer_free(struct px_traj_buffer *room);

#endif
