/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small dataset in HDF5, five steps of 2 numbers and 1 action: an episode that
 * terminates at step 1, one that times out at step 3, and one left open. Shared
 * by the tests of the reader.
 */
#ifndef PX_TESTS_SAMPLES_H
#define PX_TESTS_SAMPLES_H

#include "lib/base/fail.h"
#include "tests/support/uploads.h"

extern const float samples_obs[5 * 2], samples_next_obs[5 * 2], samples_act[5], samples_rew[5];
extern const uint8_t samples_term[5], samples_tmo[5];

void samples_base(hid_t f);    /* observations, rewards, terminals, timeouts */
void samples_d4rl(hid_t f);    /* with next_observations and actions */
void samples_no_next(hid_t f); /* with actions */
/* Group episode_<i> of Minari, its observations counted up from `first`. */
void samples_minari_episode(hid_t f, int i, float first, int steps);

enum px_status samples_read(void (*fill)(hid_t), const struct px_read_options *options,
                            struct trajs *list, struct px_read_report *report, struct px_err *err);
/* Whether it is refused with this status at this place, in these words. */
bool samples_refused(void (*fill)(hid_t), enum px_status status, const char *place,
                     const char *words);

#endif
