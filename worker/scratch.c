/* Temporary files of a job: see scratch.h. */
#include "worker/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum px_status scratch_file(char path[SCRATCH_PATH_MAX], int *fd, struct px_err *err) {
  const char *folder = getenv("TMPDIR");
  if (!folder || !*folder) folder = "/tmp";
  snprintf(path, SCRATCH_PATH_MAX, "%s/proxact-job-XXXXXX", folder);
  const int made = mkostemp(path, O_CLOEXEC);
  if (made < 0) return px_fail_errno(err, "making a temporary file in %s", folder);
  *fd = made;
  return PX_OK;
}
