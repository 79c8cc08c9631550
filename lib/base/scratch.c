/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary files: see scratch.h. */
#include "lib/base/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/crash.h"
#include "lib/base/fail.h"

#define PREFIX "proxact-scratch-"
enum { TRIES_MAX = 8 };

const char *px_scratch_home(void) {
  const char *home = getenv("TMPDIR");
  return home && *home ? home : "/tmp";
}

static enum px_status make_file(const char *home, int *fd, struct px_err *err) {
  const int made = open(home, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (made >= 0) {
    *fd = made;
    return PX_OK;
  }
  if (errno != EOPNOTSUPP && errno != EISDIR)
    return px_fail_errno(err, "making a temporary file in %s", home);
  /* A file system without unnamed files (overlay, NFS). */
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/" PREFIX "XXXXXX", home);
  const int named = mkostemp(path, O_CLOEXEC);
  if (named < 0) return px_fail_errno(err, "making a temporary file in %s", home);
  unlink(path);
  *fd = named;
  return PX_OK;
}

enum px_status px_scratch_file(const char *home, int *fd, struct px_err *err) {
  PX_CRASH_POINT("scratch_file", "before");
  const enum px_status status = make_file(home, fd, err);
  if (!status) PX_CRASH_POINT("scratch_file", "after");
  return status;
}

/* Locks the folder just made; -1 when a sweep was faster, which takes it for one of a dead
 * process. */
static int lock_folder(const char *path) {
  const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat st;
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
    return fd;
  if (fd >= 0) close(fd);
  return -1;
}

enum px_status px_scratch_open(const char *home, struct px_scratch *out, struct px_err *err) {
  PX_CRASH_POINT("scratch_folder", "before");
  for (int tries = 0; tries < TRIES_MAX; tries++) {
    struct px_scratch made = { .fd = -1 };
    const int n = snprintf(made.path, sizeof made.path, "%s/" PREFIX "XXXXXX", home);
    if (n < 0 || (size_t)n >= sizeof made.path)
      return px_fail(err, PX_E_IO, "the folder for temporary files has too long a path");
    if (!mkdtemp(made.path))
      return px_fail_errno(err, "making a folder for temporary files in %s", home);
    made.fd = lock_folder(made.path);
    if (made.fd >= 0) {
      *out = made;
      PX_CRASH_POINT("scratch_folder", "after");
      return PX_OK;
    }
  }
  return px_fail(err, PX_E_IO, "the folder for temporary files could not be locked");
}

/* Removes what is in the folder, which holds files only, and the folder. */
static bool clear(int fd, int home_fd, const char *name) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
  if (!dir) {
    if (copy >= 0) close(copy);
    return false;
  }
  for (const struct dirent *entry; (entry = readdir(dir));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      unlinkat(fd, entry->d_name, 0);
  closedir(dir);
  return unlinkat(home_fd, name, AT_REMOVEDIR) == 0;
}

void px_scratch_close(struct px_scratch *scratch) {
  if (scratch->fd < 0) return;
  PX_CRASH_POINT("scratch_remove", "before");
  clear(scratch->fd, AT_FDCWD, scratch->path);
  PX_CRASH_POINT("scratch_remove", "after");
  close(scratch->fd);
  scratch->fd = -1;
}

static bool sweep_one(int home_fd, const char *name) {
  const int fd = openat(home_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  const bool dead =
    fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0;
  const bool removed = dead && clear(fd, home_fd, name);
  if (fd >= 0) close(fd);
  return removed;
}

int px_scratch_sweep(const char *home) {
  DIR *dir = opendir(home);
  if (!dir) return 0;
  int removed = 0;
  for (const struct dirent *entry; (entry = readdir(dir));)
    if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && sweep_one(dirfd(dir), entry->d_name))
      removed++;
  closedir(dir);
  return removed;
}
