/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several arrays of one HDF5 group, read side by side: observations and actions of Gymnasium's
 * Dict and Tuple spaces. Inner header of lib/read, for read_episodes.c; one reading belongs to one
 * thread.
 */
#ifndef PX_READ_LEAVES_H
#define PX_READ_LEAVES_H

#include "lib/base/fail.h"
#include "lib/read/h5.h"

enum { PX_LEAVES_MAX = 64, PX_LEAVES_NAME_BYTES = 64 };

/* Zeroed is none: then the root is read as one array. */
struct px_leaves {
  char names[PX_LEAVES_MAX][PX_LEAVES_NAME_BYTES]; /* below the root, in order */
  uint32_t n;
  /* [rows, width] one leaf, before it is laid beside the others */
  float *scratch;
  size_t scratch_n;
};
void px_leaves_free(struct px_leaves *leaves);

/* All arrays at or below the group root: sorted at each level, Tuples by number. BAD_DATA where
 * there is none, or too many. */
enum px_status px_leaves_add_all(struct px_leaves *leaves, hid_t file, const char *root,
                                 struct px_err *err) PX_MUST_CHECK;
/* The same at or below root/key, after those that are there. */
enum px_status px_leaves_add(struct px_leaves *leaves, hid_t file, const char *root,
                             const char *key, struct px_err *err) PX_MUST_CHECK;
/* "a, b/c", cut off where `out` is full. */
void px_leaves_list(const struct px_leaves *leaves, char *out, size_t n);
/* The i-th array's path; the root's own where there are none. */
void px_leaves_path(const struct px_leaves *leaves, const char *root, uint32_t i,
                    char path[PX_H5_PATH_BYTES]);

/* What is read: `take` rows after `skip`, of arrays of T rows; or with take 0 all, T or T + 1.
 * `what` names the numbers in errors, `counted` the array whose rows are T. */
struct px_leaves_rows {
  const char *what, *counted;
  uint32_t width; /* of all arrays together */
  bool actions;   /* px_reader_expect_actions holds */
  size_t T, skip, take;
};
/* Reads them into dst [rows, width]; *rows is how many. BAD_DATA names the array. */
enum px_status px_leaves_read(struct px_leaves *leaves, struct px_reader *r, hid_t file,
                              const char *root, const struct px_leaves_rows *wanted, float *dst,
                              size_t *rows, struct px_err *err) PX_MUST_CHECK;

#endif
