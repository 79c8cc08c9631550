/* SPDX-License-Identifier: Apache-2.0 */
/* Exports as other programs read them: h5py, numpy and Python's json. */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lib/data/spaces.h"
#include "tests/support/cu.h"
#include "tests/support/exports.h"

static int run(const char *program, const char *script, const char *folder) {
  char *const argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)script,
                         (char *)(uintptr_t)folder, NULL };
  pid_t pid;
  int status = -1;
  if (posix_spawn(&pid, program, NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
    return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_by_peers(struct px_spaces spaces) {
  struct exported x;
  exports_make_of(&x, spaces);
  for (int f = 0; f < PX_WRITE_FORMAT_N; f++)
    free(exports_write(&x, (enum px_write_format)f, PX_WRITE_BOTH, "both"));
  CU_ASSERT_EQUAL(run("/usr/bin/python3", "tests/integration/export_check.py", x.dir), 0);
  exports_free(&x);
}

static void h5py_numpy_and_json_read_the_same_trajectories(void) {
  read_by_peers(trajs_spaces(4, 2));
}
static void they_read_discrete_actions_as_whole_numbers(void) {
  read_by_peers(trajs_discrete(6, 6));
}

CU_MAIN("export_peers", T(h5py_numpy_and_json_read_the_same_trajectories),
        T(they_read_discrete_actions_as_whole_numbers))
