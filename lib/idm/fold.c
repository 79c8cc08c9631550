/* SPDX-License-Identifier: Apache-2.0 */
/* Folds: see fold.h. */
#include "lib/idm/fold.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/idm/norm.h"

enum { LONE_MEMBER_FOLDS = 10, BLOCKS_PER_FOLD = 5 };

static uint32_t trajectories(const struct idm_step *steps, uint32_t n) {
  uint32_t trajs = 1;
  for (uint32_t i = 1; i < n; i++) trajs += steps[i].traj != steps[i - 1].traj;
  return trajs;
}

/* Too few trajectories to hold one out without a member losing much of what there is. */
static bool few(const struct idm_spec *spec, uint32_t trajs) {
  return trajs < 2 || (trajs < spec->members && spec->compat != IDM_REFERENCE);
}

uint32_t idm_folds_n(const struct idm_spec *spec, const struct idm_step *steps, uint32_t n) {
  const uint32_t folds = spec->members > 1 ? spec->members : LONE_MEMBER_FOLDS,
                 trajs = trajectories(steps, n);
  const uint32_t most = few(spec, trajs) ? n : trajs;
  return folds < most ? folds : most;
}

/* held[i] = 1 for the transitions of every trajectory dealt into the member's fold. */
static enum px_status hold_trajectories(const struct idm_spec *spec, uint32_t member,
                                        uint32_t folds, const struct idm_step *steps, uint32_t n,
                                        uint32_t trajs, uint8_t *held) {
  uint32_t *order = px_mem_calloc(trajs, sizeof *order);
  uint8_t *chosen = px_mem_calloc(trajs, 1);
  if (order && chosen) {
    for (uint32_t i = 0; i < trajs; i++) order[i] = i;
    struct px_rng rng = px_rng_at(spec->seed, px_rng_stream("idm folds", 0), 0);
    px_rng_shuffle(&rng, order, trajs);
    if (spec->compat == IDM_REFERENCE) /* one tenth for all members, rounded down */
      for (uint32_t i = 0; i == 0 || i < trajs / LONE_MEMBER_FOLDS; i++) chosen[order[i]] = 1;
    else
      for (uint32_t i = member % folds; i < trajs; i += folds) chosen[order[i]] = 1;
    for (uint32_t i = 0, traj = 0; i < n; i++) {
      if (i && steps[i].traj != steps[i - 1].traj) traj++;
      held[i] = chosen[traj];
    }
  }
  const enum px_status status = order && chosen ? PX_OK : PX_E_NO_MEMORY;
  free(order);
  free(chosen);
  return status;
}

/* held[i] = 1 in every folds-th of short blocks of consecutive transitions:
 * long enough that neighbours, which are near copies, mostly stay together,
 * short enough that no phase of the trajectory is kept from a member. */
static void hold_blocks(uint32_t member, uint32_t folds, uint32_t n, uint8_t *held) {
  const uint32_t blocks = folds * BLOCKS_PER_FOLD, length = n < blocks ? 1 : n / blocks;
  for (uint32_t i = 0; i < n; i++) held[i] = i / length % folds == member % folds;
}

enum px_status idm_fold_split(const struct idm_spec *spec, uint32_t member,
                              const struct idm_step *steps, uint32_t n, struct idm_fold *out) {
  const uint32_t trajs = trajectories(steps, n), folds = idm_folds_n(spec, steps, n);
  struct idm_fold fold = { .by_transition = few(spec, trajs) };
  enum px_status status = PX_E_NO_MEMORY;
  uint8_t *held = px_mem_calloc(n, 1);
  fold.train = px_mem_calloc(n < 2 ? 2 : n, sizeof *fold.train);
  if (!held || !fold.train) goto out;
  if (fold.by_transition) {
    hold_blocks(member, folds, n, held);
  } else {
    status = hold_trajectories(spec, member, folds, steps, n, trajs, held);
    if (status) goto out;
  }
  for (uint32_t i = 0; i < n; i++) fold.held_n += held[i];
  fold.train_n = n - fold.held_n;
  if (n == 1) fold.train_n = 1;
  fold.held = fold.train + fold.train_n;
  for (uint32_t i = 0, train = 0, kept = 0; i < n; i++) {
    if (held[i]) fold.held[kept++] = steps[i];
    if (!held[i] || n == 1) fold.train[train++] = steps[i];
  }
  *out = fold;
  fold.train = NULL;
  status = PX_OK;
out:
  free(held);
  free(fold.train);
  return status;
}

void idm_fold_free(struct idm_fold *fold) {
  free(fold->train);
  *fold = (struct idm_fold){ 0 };
}
