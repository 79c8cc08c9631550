/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces: what a dataset declares of its observations and actions.
 *
 * Discrete actions are the indices 0 to act_count - 1 of the classes, as
 * float32 like any other action, so that whatever stores, moves or shows
 * actions need not know of them.
 */
#ifndef PX_DATA_SPACES_H
#define PX_DATA_SPACES_H

#include <stdint.h>

#include "lib/base/fail.h"

enum { PX_OBS_MAX = 4096, PX_ACT_MAX = 1024, PX_ACT_COUNT_MAX = 1024 };

/* What a dataset declares. Actions outside [low - tol, high + tol] are refused,
 * tol = 1e-3 (high - low); those within the tolerance are clamped. Where
 * act_count > 0 there are that many discrete actions instead: act_dim is 1, the
 * range [0, act_count - 1], and anything but a class index is refused. */
struct px_spaces {
  uint32_t obs_dim, act_dim;
  /* 0: continuous; else 2 to PX_ACT_COUNT_MAX */
  uint32_t act_count;
  float act_low[PX_ACT_MAX], act_high[PX_ACT_MAX]; /* finite, low < high */
};

/* Declares `count` discrete actions; the rest of the spaces stays. */
void px_spaces_set_discrete(struct px_spaces *spaces, uint32_t count);
/* Whether x is the index of one of `count` classes; NaN is none. */
static inline bool px_is_class(float x, uint32_t count) {
  return x >= 0 && x < (float)count && x == (float)(uint32_t)x;
}
/* Whether integers may well be classes that nobody declared: the actions are
 * continuous, and their range is what it is unless somebody gives one, [-1, 1]. */
bool px_spaces_take_no_integers(const struct px_spaces *spaces);
/* What to do about it, for px_fail_hint. */
extern const char px_spaces_discrete_hint[];
/* BAD_FIELD unless dims are in range, every action range is finite with low < high, and discrete
 * actions have theirs. */
enum px_status px_spaces_check(const struct px_spaces *spaces, struct px_err *err) PX_MUST_CHECK;

#endif
