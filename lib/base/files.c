/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers on file descriptors: see files.h. */
#include "lib/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/crash.h"
#include "lib/base/fail.h"

enum px_status files_write(int fd, const void *bytes, size_t n, struct px_err *err) {
  PX_CRASH_POINT("spool_write", "before");
  for (const char *at = bytes; n > 0;) {
    const ssize_t written = write(fd, at, n);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return px_fail_errno(err, "writing a temporary file");
    at += written;
    n -= (size_t)written;
  }
  PX_CRASH_POINT("spool_write", "after");
  return PX_OK;
}

enum px_status files_empty(int fd, struct px_err *err) {
  if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
    return px_fail_errno(err, "emptying a temporary file");
  return PX_OK;
}

enum px_status files_size(int fd, uint64_t *bytes, struct px_err *err) {
  struct stat st;
  if (fstat(fd, &st) < 0) return px_fail_errno(err, "looking at a temporary file");
  *bytes = (uint64_t)st.st_size;
  return PX_OK;
}
