/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders to upload (LeRobot's): packed by tar(1) into a temporary file, which goes with its folder
 * when it is released. For the command line client; thread safe.
 */
#ifndef CLIENTS_C_FOLDER_H
#define CLIENTS_C_FOLDER_H

#include <stdbool.h>

#include "lib/base/fail.h"
#include "lib/base/scratch.h"

enum { FOLDER_NAME_MAX = 256 };

struct folder {
  struct px_scratch scratch;
  char path[PX_SCRATCH_PATH_MAX + FOLDER_NAME_MAX]; /* of the tar, <its name>.tar */
};

bool folder_is(const char *path);
/* What links lead to is packed, and videos are not. */
enum px_status folder_pack(const char *path, struct folder *out, struct px_err *err) PX_MUST_CHECK;
void folder_release(struct folder *folder);

#endif
