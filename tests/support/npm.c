/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that need npm packages: see npm.h. */
#include "tests/support/npm.h"

#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_NPM = 77 };

int npm_run(const char *name, const char *script, const char *const *arguments) {
  char *argv[NPM_ARGUMENTS_MAX + 3] = { "tests/support/npm.sh", (char *)(uintptr_t)script };
  pid_t pid;
  int status = -1;
  for (int i = 0; i < NPM_ARGUMENTS_MAX && arguments[i]; i++)
    argv[2 + i] = (char *)(uintptr_t)arguments[i];
  if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) || waitpid(pid, &status, 0) != pid)
    return -1;
  if (!WIFEXITED(status)) return -1;
  if (WEXITSTATUS(status) != NO_NPM) return WEXITSTATUS(status);
  printf("SKIP %s: npm and node are missing; deploy/install-deps.sh test installs them\n", name);
  exit(0);
}
