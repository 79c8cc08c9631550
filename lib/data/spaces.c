/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces: see spaces.h. */
#include "lib/data/spaces.h"

#include <inttypes.h>
#include <math.h>

void px_spaces_set_discrete(struct px_spaces *spaces, uint32_t count) {
  spaces->act_dim = 1;
  spaces->act_count = count;
  spaces->act_low[0] = 0;
  spaces->act_high[0] = (float)count - 1;
}

const char px_spaces_discrete_hint[] = "Class indices need a dataset that was created with "
                                       "act_count; continuous actions are saved as floats.";

bool px_spaces_take_no_integers(const struct px_spaces *spaces) {
  bool usual = !spaces->act_count;
  for (uint32_t j = 0; j < spaces->act_dim && usual; j++)
    usual = spaces->act_low[j] == -1 && spaces->act_high[j] == 1;
  return usual;
}

static enum px_status check_count(const struct px_spaces *spaces, struct px_err *err) {
  const uint32_t n = spaces->act_count;
  if (n < 2 || n > PX_ACT_COUNT_MAX)
    return px_fail(err, PX_E_BAD_FIELD,
                   "there are %" PRIu32 " discrete actions; 2 to %d are allowed", n,
                   PX_ACT_COUNT_MAX);
  if (spaces->act_dim != 1 || spaces->act_low[0] != 0 || spaces->act_high[0] != (float)n - 1)
    return px_fail(err, PX_E_BAD_FIELD, "discrete actions are one number in [0, %" PRIu32 "]",
                   n - 1);
  return PX_OK;
}

enum px_status px_spaces_check(const struct px_spaces *spaces, struct px_err *err) {
  if (spaces->obs_dim < 1 || spaces->obs_dim > PX_OBS_MAX)
    return px_fail(err, PX_E_BAD_FIELD,
                   "observations have %" PRIu32 " dimensions; 1 to %d are allowed", spaces->obs_dim,
                   PX_OBS_MAX);
  if (spaces->act_dim < 1 || spaces->act_dim > PX_ACT_MAX)
    return px_fail(err, PX_E_BAD_FIELD, "actions have %" PRIu32 " dimensions; 1 to %d are allowed",
                   spaces->act_dim, PX_ACT_MAX);
  for (uint32_t j = 0; j < spaces->act_dim; j++) {
    const float low = spaces->act_low[j], high = spaces->act_high[j];
    /* high - low must not overflow either: it scales actions and tolerances. */
    if (!isfinite(low) || !isfinite(high) || !isfinite(high - low) || !(low < high))
      return px_fail(err, PX_E_BAD_FIELD,
                     "the range [%g, %g] of action dimension %" PRIu32
                     " is not finite with low < high",
                     (double)low, (double)high, j);
  }
  return spaces->act_count ? check_count(spaces, err) : PX_OK;
}
