/* SPDX-License-Identifier: Apache-2.0 */
/* What makes two trajectories the same one: see traj_digest.h. */
#include "lib/data/traj_digest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

static bool is_labelled(const struct px_traj *traj, uint32_t t) {
  return traj->actions && (!traj->labelled || traj->labelled[t]);
}

/* Labelled actions in order, and which steps they are of: no labels and a mask of zeros are the
 * same. */
static void put_actions(struct px_digest *hash, const struct px_spaces *spaces,
                        const struct px_traj *traj) {
  const uint32_t A = spaces->act_dim;
  float inside[PX_ACT_MAX];
  for (uint32_t t = 0; t < traj->steps; t++) {
    if (!is_labelled(traj, t)) continue;
    const float *action = traj->actions + (size_t)t * A;
    for (uint32_t j = 0; j < A; j++) {
      const float above = action[j] > spaces->act_low[j] ? action[j] : spaces->act_low[j];
      inside[j] = above < spaces->act_high[j] ? above : spaces->act_high[j];
    }
    px_digest_put(hash, &t, sizeof t);
    px_digest_put(hash, inside, A * sizeof *inside);
  }
}

static const char NO_REWARDS[] = "no rewards";

enum px_status px_traj_digest(const struct px_spaces *spaces, const struct px_traj *traj,
                              struct px_traj_digest *out, struct px_err *err) {
  struct px_digest *hash = px_digest_new(PX_DIGEST_SHA256);
  if (!hash) return px_fail(err, PX_E_NO_MEMORY, "no memory for a digest");
  const uint32_t head[4] = { traj->steps, traj->has_final, traj->terminated,
                             traj->truncated || !traj->terminated };
  px_digest_put(hash, head, sizeof head);
  px_digest_put(hash, traj->observations,
                ((size_t)traj->steps + traj->has_final) * spaces->obs_dim * sizeof(float));
  if (traj->rewards) px_digest_put(hash, traj->rewards, traj->steps * sizeof(float));
  else px_digest_put(hash, NO_REWARDS, sizeof NO_REWARDS);
  put_actions(hash, spaces, traj);
  uint8_t digest[PX_SHA256_BYTES];
  px_digest_end(hash, digest);
  memcpy(out->bytes, digest, sizeof out->bytes);
  return PX_OK;
}

/* ---- the set: open addressing, at most half full */

/* Where the digest is, or would be. */
static struct px_digest_slot *slot_of(struct px_digest_slot *slots, size_t cap,
                                      const struct px_traj_digest *digest) {
  uint64_t at;
  memcpy(&at, digest->bytes, sizeof at);
  for (;; at++) {
    struct px_digest_slot *slot = &slots[at & (cap - 1)];
    if (!slot->used || !memcmp(&slot->digest, digest, sizeof *digest)) return slot;
  }
}

const uint64_t *px_traj_digest_set_find(const struct px_traj_digest_set *set,
                                        const struct px_traj_digest *digest) {
  const struct px_digest_slot *slot = set->n ? slot_of(set->slots, set->cap, digest) : NULL;
  return slot && slot->used ? &slot->number : NULL;
}

static enum px_status grow(struct px_traj_digest_set *set, struct px_err *err) {
  const size_t cap = set->cap ? 2 * set->cap : 1024;
  struct px_digest_slot *slots = px_mem_calloc(cap, sizeof *slots);
  if (!slots) return px_fail(err, PX_E_NO_MEMORY, "no memory to tell trajectories apart");
  for (size_t i = 0; i < set->cap; i++)
    if (set->slots[i].used) *slot_of(slots, cap, &set->slots[i].digest) = set->slots[i];
  free(set->slots);
  set->slots = slots;
  set->cap = cap;
  return PX_OK;
}

enum px_status px_traj_digest_set_put(struct px_traj_digest_set *set,
                                      const struct px_traj_digest *digest, uint64_t number,
                                      struct px_err *err) {
  const enum px_status status = 2 * (set->n + 1) > set->cap ? grow(set, err) : PX_OK;
  if (status) return status;
  struct px_digest_slot *slot = slot_of(set->slots, set->cap, digest);
  if (slot->used) return PX_OK;
  *slot = (struct px_digest_slot){ *digest, number, true };
  set->n++;
  return PX_OK;
}

void px_traj_digest_set_free(struct px_traj_digest_set *set) {
  free(set->slots);
  *set = (struct px_traj_digest_set){ 0 };
}
