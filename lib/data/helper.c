#include "lib/data/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HIGH_FD = 16 };

int px_helper_main(int argc, char **argv) {
  static const struct px_helper_kind *const KINDS[] = { &px_helper_parse, &px_helper_write_hdf5 };
  for (size_t i = 0; argc == 2 && i < sizeof KINDS / sizeof *KINDS; i++)
    if (!strcmp(argv[1], KINDS[i]->argument)) return KINDS[i]->main();
  return -1;
}

static int spawn(const struct px_helper_kind *kind, const int *fds, size_t n, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  char *const argv[] = { (char *)kind->name, (char *)kind->argument, NULL };
  /* No plugins for the HDF5 library; no threads for a BLAS the program may be linked with. */
  char *const envp[] = { (char *)"HDF5_PLUGIN_PRELOAD=::", (char *)"OPENBLAS_NUM_THREADS=1", (char *)"OMP_NUM_THREADS=1",
                         NULL };
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed) return failed;
  failed = posix_spawnattr_init(&attributes);
  if (!failed) {
    for (int fd = 0; fd < PX_HELPER_FD && !failed; fd++)
      failed = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    for (size_t i = 0; i < n && !failed; i++) failed = posix_spawn_file_actions_adddup2(&actions, fds[i], PX_HELPER_FD + (int)i);
    if (!failed) failed = posix_spawn_file_actions_addclosefrom_np(&actions, PX_HELPER_FD + (int)n);
    if (!failed) failed = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!failed) failed = posix_spawnattr_setsigmask(&attributes, &none);
    if (!failed) failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (!failed) failed = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

enum px_status px_helper_start(const struct px_helper_kind *kind, const int *fds, size_t n, pid_t *pid, struct px_err *err) {
  int copies[PX_HELPER_FDS_MAX] = { -1, -1, -1 }; /* that no number used in the helper collides with */
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++)
    if ((copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, HIGH_FD)) < 0) status = px_fail_errno(err, "no descriptor for the %s", kind->name);
  if (!status && (errno = spawn(kind, copies, n, pid))) status = px_fail_errno(err, "cannot start the %s", kind->name);
  for (size_t i = 0; i < n; i++)
    if (copies[i] >= 0) close(copies[i]);
  return status;
}

int px_helper_end(pid_t pid) {
  int ended = 0;
  if (pid <= 0) return 0; /* kill(0) would be all of us */
  kill(pid, SIGKILL);
  while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) continue;
  return ended;
}

bool px_helper_take(int fd, void *dst, size_t n) {
  for (char *at = dst; n > 0;) {
    const ssize_t got = read(fd, at, n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    n -= (size_t)got;
  }
  return true;
}
