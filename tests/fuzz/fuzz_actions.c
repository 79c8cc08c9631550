/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile files of later actions, read in this process: JSON, JSON lines, npz. */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/actions_parts.h"
#include "tests/support/fuzz.h"
#include "tests/support/trajs.h"

static int file;

static enum px_status take(void *ctx, const struct px_actions_run *run, struct px_err *err) {
  const struct px_spaces *spaces = ctx;
  (void)err;
  FUZZ_HOLDS(run->n > 0 && run->n <= PX_ACTIONS_RUN_MAX);
  FUZZ_HOLDS((uint64_t)run->step + run->n <= PX_STEPS_MAX);
  float sum = 0; /* each number can be read */
  for (size_t i = 0; i < (size_t)run->n * spaces->act_dim; i++) sum += run->actions[i];
  return sum > 1e38f ? PX_E_BAD_DATA : PX_OK;
}

static void read_as(enum px_actions_format format, struct px_spaces spaces, uint32_t steps,
                    const uint8_t *bytes, size_t n) {
  static struct px_read_report report;
  const struct px_read_options options = { 0 };
  struct px_reader r = {
    .options = &options, .spaces = &spaces, .report = &report, .fd = file, .file_bytes = n
  };
  const struct px_actions_reading what = { true, format, steps, 5 };
  const struct px_actions_sink sink = { &spaces, take };
  struct px_err err = { 0 };
  FUZZ_HOLDS(ftruncate(file, 0) == 0 && pwrite(file, bytes, n, 0) == (ssize_t)n &&
             lseek(file, 0, SEEK_SET) == 0);
  struct px_actions_rows rows = { .r = &r, .what = &what, .sink = &sink };
  const enum px_status status = px_actions_dispatch(&rows, bytes, n, &err);
  px_actions_rows_free(&rows);
  FUZZ_HOLDS(!status || err.message[0] || sink.ctx);
}

static void one(const uint8_t *bytes, size_t n) {
  for (int format = 0; format < PX_ACTIONS_FORMATS_N; format++) {
    read_as((enum px_actions_format)format, trajs_spaces(2, 2), 0, bytes, n);
    read_as((enum px_actions_format)format, trajs_discrete(2, 3), 2, bytes, n);
  }
}

int main(int argc, char **argv) {
  file = memfd_create("actions", MFD_CLOEXEC);
  static const char LINES[] =
    "{\"trajectory\":3,\"step\":2,\"actions\":[[1,2],null,[3e-1,-4]]}\n"
    "{\"trajectory\":0,\"actions\":[[7,8],[9,9]],\"action_mask\":[true,0]}\n";
  static const char OBJECT[] = "{\n \"actions\": [2,\n null],\n \"step\": 0 }\n";
  const struct fuzz_seed seeds[] = { { LINES, sizeof LINES - 1 }, { OBJECT, sizeof OBJECT - 1 } };
  return fuzz_run(argc, argv, one, seeds, 2, 20000);
}
