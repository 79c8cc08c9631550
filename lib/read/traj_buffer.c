/* SPDX-License-Identifier: Apache-2.0 */
/* Room for one trajectory: see traj_buffer.h. */
#include "lib/read/traj_buffer.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/data/spaces.h"

void px_traj_buffer_init(struct px_traj_buffer *room, const struct px_spaces *spaces) {
  *room = (struct px_traj_buffer){ .obs_dim = spaces->obs_dim, .act_dim = spaces->act_dim };
}

static bool grow(void *array, size_t n, size_t size) {
  void **p = array;
  void *bigger = px_mem_realloc(*p, n, size);
  if (bigger) *p = bigger;
  return bigger;
}

enum px_status px_traj_buffer_steps(struct px_traj_buffer *room, size_t steps, struct px_err *err) {
  if (steps <= room->cap) return PX_OK;
  const size_t step_bytes = sizeof(float) * ((size_t)room->obs_dim + room->act_dim + 1) + 1;
  const size_t max = PX_TRAJ_MAX_BYTES / step_bytes;
  if (steps > max)
    return px_fail(err, PX_E_TOO_LARGE, "a trajectory takes more than %d MiB",
                   PX_TRAJ_MAX_BYTES >> 20);
  size_t cap = room->cap < 512 ? 1024 : room->cap * 2;
  if (cap > max) cap = max;
  if (cap < steps) cap = steps;
  if (!grow(&room->observations, (cap + 1) * room->obs_dim, sizeof(float)) ||
      !grow(&room->actions, cap * room->act_dim, sizeof(float)) ||
      !grow(&room->rewards, cap, sizeof(float)) || !grow(&room->labelled, cap, 1))
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a trajectory of %zu steps", steps);
  room->cap = cap;
  return PX_OK;
}

void px_traj_buffer_free(struct px_traj_buffer *room) {
  free(room->observations);
  free(room->actions);
  free(room->rewards);
  free(room->labelled);
  *room = (struct px_traj_buffer){ 0 };
}
