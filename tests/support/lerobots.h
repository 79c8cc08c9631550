/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LeRobot folders for tests, file by file, as a tar or zip. A folder belongs to one thread; what is
 * too large ends the program.
 */
#ifndef PX_TESTS_SUPPORT_LEROBOTS_H
#define PX_TESTS_SUPPORT_LEROBOTS_H

#include "lib/base/buf.h"
#include "tests/support/parquets.h"
#include "tests/support/uploads.h"

enum { LEROBOTS_FILES_MAX = 16, LEROBOTS_ROWS_MAX = 16 };

/* Rows of data files. Observations are observation.state [2] and observation.force [1]. */
struct lerobots_rows {
  size_t n;
  double episode[LEROBOTS_ROWS_MAX], frame[LEROBOTS_ROWS_MAX], state[LEROBOTS_ROWS_MAX * 2],
    force[LEROBOTS_ROWS_MAX], action[LEROBOTS_ROWS_MAX], reward[LEROBOTS_ROWS_MAX],
    done[LEROBOTS_ROWS_MAX];
  uint8_t known[LEROBOTS_ROWS_MAX]; /* whether the action is not null */
};

struct lerobots_folder {
  struct {
    char name[300];
    struct px_buf body;
  } files[LEROBOTS_FILES_MAX];
  size_t n;
};

/* Two episodes, of three and two frames; actions of all but episode 0's frame 1. */
struct lerobots_rows lerobots_rows(void);
/* A folder of these rows. */
void lerobots_fill(struct lerobots_folder *folder, int version, const struct lerobots_rows *rows);
/* Puts a file in the place of one of that name, or adds it. */
void lerobots_put(struct lerobots_folder *folder, const char *name, const void *bytes, size_t n);
void lerobots_put_text(struct lerobots_folder *folder, const char *name, const char *text);
void lerobots_put_rows(struct lerobots_folder *folder, const char *name,
                       const struct lerobots_rows *rows, size_t first, size_t n);
/* Takes a file out. */
void lerobots_drop(struct lerobots_folder *folder, const char *name);
void lerobots_free(struct lerobots_folder *folder);

/* One entry of a tar: its header and the bytes, padded. */
void lerobots_tar_entry(struct px_buf *out, const char *name, char type, const void *bytes,
                        size_t n);
/* As open descriptors. */
int lerobots_tar(const struct lerobots_folder *folder);
int lerobots_zip(const struct lerobots_folder *folder, bool deflate);

#endif
