/* SPDX-License-Identifier: Apache-2.0 */
/* Checking trajectories: see traj.h. */
#include "lib/data/traj.h"

#include "lib/base/fail.h"
#include "lib/data/spaces.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Whether all are finite, without a branch per number, so that it vectorises:
 * adding one to an exponent of all ones carries into the sign bit. */
static bool block_finite(const float *x, size_t n) {
  uint32_t carry = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    carry |= (bits & 0x7f800000u) + 0x00800000u;
  }
  return !(carry & 0x80000000u);
}

bool px_traj_all_finite(const float *x, size_t n, size_t *at) {
  if (block_finite(x, n)) return true;
  size_t i = 0;
  while (isfinite(x[i])) i++;
  if (at) *at = i;
  return false;
}

static enum px_status fail_step(struct px_err *err, uint64_t n, uint64_t step, const char *field,
                                uint64_t j, bool vector, float value, const char *what) {
  char place[128];
  if (vector)
    snprintf(place, sizeof place, "trajectory %" PRIu64 ", step %" PRIu64 ", %s[%" PRIu64 "]", n,
             step, field, j);
  else
    snprintf(place, sizeof place, "trajectory %" PRIu64 ", step %" PRIu64 ", %s", n, step, field);
  return px_fail_at(err, PX_E_BAD_DATA, place, "%s is %g: %s", place, (double)value, what);
}

static const char unlabelled_hint[] =
  "A step without an action is one whose action_mask is 0; without that array, one whose action is "
  "NaN throughout (in JSON lines null).";

static const char reward_hint[] =
  "A trajectory has a reward at each step, or at none: leave all of them out, or make all NaN.";

static enum px_status check_classes(const struct px_spaces *spaces, const struct px_traj *traj,
                                    uint64_t n, struct px_err *err) {
  for (uint32_t t = 0; t < traj->steps; t++) {
    const float action = traj->actions[t];
    if ((traj->labelled && !traj->labelled[t]) || px_is_class(action, spaces->act_count)) continue;
    char range[96];
    snprintf(range, sizeof range,
             "the dataset's %" PRIu32 " discrete actions are the whole numbers from 0 to %" PRIu32,
             spaces->act_count, spaces->act_count - 1);
    (void)fail_step(err, n, t, "actions", 0, false, action, range);
    px_fail_hint(err, "%s", unlabelled_hint);
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

static enum px_status check_actions(const struct px_spaces *spaces, const struct px_traj *traj,
                                    uint64_t n, struct px_err *err) {
  const uint32_t dims = spaces->act_dim;
  float low[PX_ACT_MAX], high[PX_ACT_MAX];
  for (uint32_t j = 0; j < dims; j++) {
    const float tolerance = 1e-3f * (spaces->act_high[j] - spaces->act_low[j]);
    low[j] = spaces->act_low[j] - tolerance;
    high[j] = spaces->act_high[j] + tolerance;
  }
  for (uint32_t t = 0; t < traj->steps; t++) {
    if (traj->labelled && !traj->labelled[t]) continue;
    const float *action = traj->actions + (size_t)t * dims;
    int outside = 0; /* NaN compares false, so it is outside too */
    for (uint32_t j = 0; j < dims; j++) outside |= !(action[j] >= low[j] && action[j] <= high[j]);
    if (!outside) continue;
    uint32_t j = 0;
    while (action[j] >= low[j] && action[j] <= high[j]) j++;
    if (!isfinite(action[j])) {
      (void)fail_step(err, n, t, "actions", j, true, action[j], "not finite");
      px_fail_hint(err, "%s", unlabelled_hint);
      return PX_E_BAD_DATA;
    }
    char range[96];
    snprintf(range, sizeof range, "outside the declared range [%g, %g]", (double)spaces->act_low[j],
             (double)spaces->act_high[j]);
    (void)fail_step(err, n, t, "actions", j, true, action[j], range);
    if (px_spaces_take_no_integers(spaces) && px_is_class(action[j], PX_ACT_COUNT_MAX))
      px_fail_hint(err, "%s", px_spaces_discrete_hint);
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

enum px_status px_traj_check(const struct px_spaces *spaces, const struct px_traj *traj, uint64_t n,
                             struct px_err *err) {
  char place[64];
  snprintf(place, sizeof place, "trajectory %" PRIu64, n);
  if (traj->steps < 1 || traj->steps > PX_STEPS_MAX)
    return px_fail_at(err, PX_E_BAD_DATA, place, "%s has %" PRIu32 " steps; 1 to %d are allowed",
                      place, traj->steps, PX_STEPS_MAX);
  size_t at = 0;
  const size_t rows = (size_t)traj->steps + traj->has_final;
  if (!px_traj_all_finite(traj->observations, rows * spaces->obs_dim, &at))
    return fail_step(err, n, at / spaces->obs_dim, "observations", at % spaces->obs_dim, true,
                     traj->observations[at], "not finite");
  if (traj->rewards && !px_traj_all_finite(traj->rewards, traj->steps, &at)) {
    (void)fail_step(err, n, at, "rewards", 0, false, traj->rewards[at], "not finite");
    if (isnan(traj->rewards[at])) px_fail_hint(err, "%s", reward_hint);
    return PX_E_BAD_DATA;
  }
  if (!traj->actions) return PX_OK;
  for (uint32_t t = 0; traj->labelled && t < traj->steps; t++)
    if (traj->labelled[t] > 1)
      return fail_step(err, n, t, "labelled", 0, false, traj->labelled[t], "neither 0 nor 1");
  return spaces->act_count ? check_classes(spaces, traj, n, err)
                           : check_actions(spaces, traj, n, err);
}
