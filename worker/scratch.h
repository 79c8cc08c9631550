/*
 * Temporary files of a job, in $TMPDIR or /tmp. One thread.
 */
#ifndef PX_WORKER_SCRATCH_H
#define PX_WORKER_SCRATCH_H

#include "lib/base/status.h"

enum { SCRATCH_PATH_MAX = 512 };

/* A new empty file, open for reading and writing. The caller closes it and
 * unlinks the path, at once where no name is needed. */
enum px_status scratch_file(char path[SCRATCH_PATH_MAX], int *fd, struct px_err *err) PX_MUST_CHECK;

#endif
