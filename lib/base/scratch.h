/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporary files that do not outlive the process: unnamed ones, which the
 * kernel removes, and, for what must have a name, a folder of one's own. The
 * folder is locked (flock) as long as its process lives, however that ends, so
 * px_scratch_sweep can tell the folders of the dead from those of the living,
 * also when they belong to other containers on the same volume. Thread safe:
 * there is no shared state.
 */
#ifndef PX_BASE_SCRATCH_H
#define PX_BASE_SCRATCH_H

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum { PX_SCRATCH_PATH_MAX = 512 };

/* $TMPDIR, or /tmp. */
const char *px_scratch_home(void);
/* An empty file without a name, open for reading and writing, on the volume of `home`. */
enum px_status px_scratch_file(const char *home, int *fd, struct px_err *err) PX_MUST_CHECK;

struct px_scratch {
  char path[PX_SCRATCH_PATH_MAX];
  int fd;
};
/* A new folder in `home`, of this process until px_scratch_close, which removes it with the files
 * in it. */
enum px_status px_scratch_open(const char *home, struct px_scratch *out,
                               struct px_err *err) PX_MUST_CHECK;
void px_scratch_close(struct px_scratch *scratch);
/* Removes such folders in `home` whose processes have ended, as far as they are this user's;
 * returns how many. */
int px_scratch_sweep(const char *home);

#endif
