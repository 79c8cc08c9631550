/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text files, line by line, for the readers of JSON lines and CSV. A line has a
 * bound, so that no file decides how much memory is used. One thread.
 */
#ifndef PX_READ_LINES_H
#define PX_READ_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/fail.h"

enum { PX_LINES_MAX_BYTES = 64 << 20 };

/* A line without its end, n bytes and a NUL, counted from 1. It may be changed. */
typedef enum px_status (*px_lines_take)(void *ctx, uint64_t number, char *line, size_t n,
                                        struct px_err *err);
/* Reads `fd` from where it stands to its end, and gives take each line. The byte order mark with
 * which some editors begin UTF-8 is left out, and so is the CR of CRLF. BAD_DATA for a line that
 * holds a NUL, TOO_LARGE for one over PX_LINES_MAX_BYTES, or for more than max_bytes in all; what
 * take returns is passed on. */
enum px_status px_lines_read(int fd, uint64_t max_bytes, px_lines_take take, void *ctx,
                             struct px_err *err) PX_MUST_CHECK;

#endif
