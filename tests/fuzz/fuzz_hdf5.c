/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile HDF5, through the helper: whatever it dies of, this process goes on. */
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "tests/support/fuzz.h"
#include "tests/support/helpers.h"
#include "tests/support/uploads.h"

static struct px_spaces spaces;

static enum px_status look(void *ctx, const struct px_traj *traj, struct px_err *err) {
  (void)ctx;
  FUZZ_HOLDS(px_traj_check(&spaces, traj, 0, err) == PX_OK);
  return PX_OK;
}

static void one(const uint8_t *bytes, size_t n) {
  const struct px_read_options options = { .max_cpu_s = 2, .max_idle_s = 10 };
  const struct px_traj_sink sink = { NULL, look };
  struct px_read_report report;
  struct px_err err = { 0 };
  const int fd = uploads_bytes(bytes, n);
  const enum px_status status =
    px_read_file(fd, PX_FORMAT_HDF5, "mutant", &options, &spaces, &sink, &report, &err);
  close(fd);
  FUZZ_HOLDS(status == PX_OK ||
             ((status == PX_E_BAD_DATA || status == PX_E_TOO_LARGE) && err.message[0]));
}

static void fill_flat(hid_t f) {
  static const float x[20] = { 1, 2, 3 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 4, 2 };
  H5Pset_chunk(p, 2, chunk);
  H5Pset_deflate(p, 6);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 10, 2, x, p);
  uploads_floats(f, "rewards", 10, 0, x);
  uploads_bools(f, "terminals", 10, (const uint8_t[10]){ [4] = 1 });
  H5Pclose(p);
}

static void fill_groups(hid_t f) {
  static const float x[8] = { 1, 2, 3 };
  uploads_group(f, "data");
  uploads_group(f, "data/demo_0");
  uploads_group(f, "data/demo_0/obs");
  uploads_floats(f, "data/demo_0/obs/a", 3, 1, x);
  uploads_floats(f, "data/demo_0/obs/b", 3, 1, x);
  uploads_floats(f, "data/demo_0/rewards", 3, 0, x);
  uploads_bools(f, "data/demo_0/dones", 3, (const uint8_t[3]){ 0 });
}

int main(int argc, char **argv) {
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  spaces = trajs_spaces(2, 1);
  void (*const fills[])(hid_t) = { fill_flat, fill_groups };
  struct fuzz_seed seeds[2];
  for (size_t i = 0; i < 2; i++) {
    const int fd = uploads_hdf5(fills[i]);
    seeds[i].bytes = uploads_contents(fd, &seeds[i].n);
    close(fd);
  }
  const int rc = fuzz_run(argc, argv, one, seeds, 2, 200);
  for (size_t i = 0; i < 2; i++) free((void *)(uintptr_t)seeds[i].bytes);
  return rc;
}
