/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile archives of LeRobot folders, read in this process: tar, zip, metadata, data. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/data/spaces.h"
#include "lib/read/reader.h"
#include "tests/support/fuzz.h"
#include "tests/support/lerobots.h"

enum { SEEDS_MAX = 6 };

static struct px_spaces spaces;

static void one(const uint8_t *bytes, size_t n) {
  const struct px_read_options options = { .max_logical_bytes = 64 << 20 };
  fuzz_read(px_read_lerobot, fuzz_take, &options, &spaces, -1, bytes, n);
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
