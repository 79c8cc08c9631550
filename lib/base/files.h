/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers on file descriptors, for spooled bodies and answers. Stateless. */
#ifndef PX_BASE_FILES_H
#define PX_BASE_FILES_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

/* All n bytes at the file's position. */
enum px_status files_write(int fd, const void *bytes, size_t n, struct px_err *err) PX_MUST_CHECK;
/* Cuts it to nothing and goes back to its beginning. */
enum px_status files_empty(int fd, struct px_err *err) PX_MUST_CHECK;
enum px_status files_size(int fd, uint64_t *bytes, struct px_err *err) PX_MUST_CHECK;

#endif
