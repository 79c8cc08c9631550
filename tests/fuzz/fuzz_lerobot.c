/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile archives of LeRobot folders, read in this process: tar, zip, metadata, data. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/reader.h"
#include "tests/support/fuzz.h"
#include "tests/support/lerobots.h"

enum { SEEDS_MAX = 6 };

static struct px_spaces spaces;

static enum px_status look(void *ctx, const struct px_traj *traj, struct px_err *err) {
  double *sum = ctx;
  (void)err;
  FUZZ_HOLDS(traj->steps >= 1 && traj->steps <= PX_STEPS_MAX);
  for (size_t i = 0; i < (size_t)traj->steps * spaces.obs_dim; i++)
    *sum += (double)traj->observations[i];
  for (size_t i = 0; traj->actions && i < (size_t)traj->steps * spaces.act_dim; i++)
    *sum += (double)traj->actions[i];
  return PX_OK;
}

static void one(const uint8_t *bytes, size_t n) {
  const struct px_read_options options = { .max_logical_bytes = 64 << 20 };
  double sum = 0;
  const struct px_traj_sink sink = { &sum, look };
  struct px_read_report report = { 0 };
  struct px_reader r = {
    .options = &options, .spaces = &spaces, .sink = &sink, .report = &report, .file_bytes = n
  };
  struct px_err err = { 0 };
  const enum px_status status = px_read_lerobot(&r, bytes, n, &err);
  FUZZ_HOLDS(status == PX_OK ||
             ((status == PX_E_BAD_DATA || status == PX_E_TOO_LARGE) && err.message[0]));
}

int main(int argc, char **argv) {
  const struct lerobots_rows rows = lerobots_rows();
  struct fuzz_seed seeds[SEEDS_MAX];
  spaces = trajs_spaces(3, 1);
  for (int i = 0; i < SEEDS_MAX; i++) {
    struct lerobots_folder folder;
    lerobots_fill(&folder, 2 + i % 2, &rows);
    const int fd = i < 2 ? lerobots_tar(&folder) : lerobots_zip(&folder, i < 4);
    seeds[i].bytes = uploads_contents(fd, &seeds[i].n);
    close(fd);
    lerobots_free(&folder);
  }
  const int rc = fuzz_run(argc, argv, one, seeds, SEEDS_MAX, 20000);
  for (int i = 0; i < SEEDS_MAX; i++) free((void *)(uintptr_t)seeds[i].bytes);
  return rc;
}
