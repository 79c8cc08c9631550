/* SPDX-License-Identifier: Apache-2.0 */
/* A small dataset in HDF5: see samples.h. */
#include "tests/support/samples.h"

#include "lib/base/fail.h"
#include "lib/data/spaces.h"

#include <stdio.h>

const float samples_obs[5 * 2] = { 0, 1, 2, 3, 10, 11, 12, 13, 20, 21 };
const float samples_next_obs[5 * 2] = { 2, 3, 4, 5, 12, 13, 14, 15, 22, 23 };
const float samples_act[5] = { .1f, .2f, .3f, .4f, .5f }, samples_rew[5] = { 1, 2, 3, 4, 5 };
const uint8_t samples_term[5] = { 0, 1, 0, 0, 0 }, samples_tmo[5] = { 0, 0, 0, 1, 0 };

void samples_base(hid_t f) {
  uploads_floats(f, "observations", 5, 2, samples_obs);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
  uploads_bools(f, "timeouts", 5, samples_tmo);
}
void samples_d4rl(hid_t f) {
  samples_base(f);
  uploads_floats(f, "next_observations", 5, 2, samples_next_obs);
  uploads_floats(f, "actions", 5, 1, samples_act);
  uploads_group(f, "infos");
}
void samples_no_next(hid_t f) {
  samples_base(f);
  uploads_floats(f, "actions", 5, 1, samples_act);
}

enum px_status samples_read(void (*fill)(hid_t), const struct px_read_options *options,
                            struct trajs *list, struct px_read_report *report, struct px_err *err) {
  return uploads_read(uploads_hdf5(fill), PX_FORMAT_HDF5, options, list, report, err);
}

bool samples_refused(void (*fill)(hid_t), enum px_status status, const char *place,
                     const char *words) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  return uploads_refused(uploads_hdf5(fill), PX_FORMAT_HDF5, &spaces, NULL, status, place, words);
}

void samples_minari_episode(hid_t f, int i, float first, int steps) {
  char name[64];
  float rows[8];
  const uint8_t no[4] = { 0 }, end[4] = { [1] = steps == 2, [2] = steps == 3 };
  for (int k = 0; k < 8; k++) rows[k] = first + (float)k;
  snprintf(name, sizeof name, "episode_%d", i);
  uploads_group(f, name);
  snprintf(name, sizeof name, "episode_%d/observations", i);
  uploads_put(f, name, H5T_IEEE_F64LE, H5T_NATIVE_FLOAT, (hsize_t)steps + 1, 2, rows, H5P_DEFAULT);
  if (i != 2) {
    snprintf(name, sizeof name, "episode_%d/actions", i);
    uploads_floats(f, name, (hsize_t)steps, 1, samples_act);
  }
  snprintf(name, sizeof name, "episode_%d/rewards", i);
  uploads_floats(f, name, (hsize_t)steps, 0, samples_rew);
  snprintf(name, sizeof name, "episode_%d/terminations", i);
  uploads_bools(f, name, (hsize_t)steps, i == 10 ? no : end);
  snprintf(name, sizeof name, "episode_%d/truncations", i);
  uploads_bools(f, name, (hsize_t)steps, i == 10 ? end : no);
}
