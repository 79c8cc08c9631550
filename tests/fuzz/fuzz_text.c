/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile JSON lines and CSV, read in this process. */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/reader.h"
#include "tests/support/fuzz.h"
#include "tests/support/trajs.h"

static int file;

static enum px_status take_finite(void *ctx, const struct px_traj *traj, struct px_err *err) {
  const struct px_spaces *spaces = ctx;
  const size_t observations = (size_t)traj->steps + traj->has_final;
  FUZZ_HOLDS(px_traj_all_finite(traj->observations, observations * spaces->obs_dim, NULL));
  FUZZ_HOLDS(!traj->rewards || px_traj_all_finite(traj->rewards, traj->steps, NULL));
  FUZZ_HOLDS(!traj->actions ||
             px_traj_all_finite(traj->actions, (size_t)traj->steps * spaces->act_dim, NULL));
  return fuzz_take(ctx, traj, err);
}

static void read_as(fuzz_reader *read, struct px_spaces spaces, const uint8_t *bytes, size_t n) {
  const struct px_read_options options = { 0 };
  FUZZ_HOLDS(ftruncate(file, 0) == 0 && pwrite(file, bytes, n, 0) == (ssize_t)n &&
             lseek(file, 0, SEEK_SET) == 0);
  fuzz_read(read, take_finite, &options, &spaces, file, bytes, n);
}

static void one(const uint8_t *bytes, size_t n) {
  static fuzz_reader *const READERS[] = { px_read_jsonl, px_read_csv };
  for (size_t i = 0; i < sizeof READERS / sizeof *READERS; i++) {
    read_as(READERS[i], trajs_spaces(2, 1), bytes, n);
    read_as(READERS[i], trajs_discrete(2, 3), bytes, n);
  }
}

int main(int argc, char **argv) {
  file = memfd_create("text", MFD_CLOEXEC);
  static const char WHOLE[] =
    "{\"observations\":[[1,2],[3.5e-1,-4],[5,6]],\"rewards\":[1,-0.5],\"actions\":[[0.25],null],"
    "\"terminated\":true,\"truncated\":false}\n{\"terminated\":false,\"rewards\":[1e0],"
    "\"actions\":null,\"observations\":[[7,8E0]]}\n";
  static const char EXPORTED[] =
    "{\"observations\":[[1,2]],\"actions\":[[0.5]],\"action_std\":[null],\"action_source\":[1],"
    "\"rewards\":[0.125],\"terminated\":false,\"truncated\":true}\n";
  static const char CLASSES[] =
    "{\"observations\":[[1,2],[3,4]],\"actions\":[2,null],\"action_std\":[null,0.5],"
    "\"rewards\":[1,0],\"terminated\":true}\n";
  static const char TABLE[] =
    "episode,step,obs_0,obs_1,act_0,reward,terminated,truncated\n"
    "7,0,1,2,0.25,1,0,0\n7,1,3,4,,-0.5,1,0\n7,2,5,6,,,,\n3,0,7,8E0,nan,1e0,False,True\n";
  static const char QUOTED[] = "\"reward\";\"obs[1]\";\"obs[0]\";\"action\";done;action_source\r\n"
                               "\"1\";2;1;\"0.5\";0;1\r\n1;4;3;.5;1;2\r\n";
  const struct fuzz_seed seeds[] = { { WHOLE, sizeof WHOLE - 1 },
                                     { EXPORTED, sizeof EXPORTED - 1 },
                                     { CLASSES, sizeof CLASSES - 1 },
                                     { TABLE, sizeof TABLE - 1 },
                                     { QUOTED, sizeof QUOTED - 1 } };
  return fuzz_run(argc, argv, one, seeds, 5, 20000);
}
