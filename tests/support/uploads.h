/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload files for tests of the readers: written with the libraries people
 * write them with, into files without a name, and read through px_read_file.
 */
#ifndef PX_TESTS_SUPPORT_UPLOADS_H
#define PX_TESTS_SUPPORT_UPLOADS_H

#include <hdf5.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/read/read.h"
#include "tests/support/trajs.h"

/* Each returns an open descriptor, which the caller (or uploads_read) closes. */
int uploads_bytes(const void *bytes, size_t n);
int uploads_text(const char *text);
int uploads_hdf5(void (*fill)(hid_t file));
struct uploads_member {
  const char *name;
  const void *bytes;
  size_t n;
  bool deflate;
};
int uploads_zip(const struct uploads_member *members, size_t n);
/* The bytes of a file; the caller frees them. */
char *uploads_contents(int fd, size_t *n);

/* A dataset of rank 1 (cols 0) or 2. `plist` may be H5P_DEFAULT. */
void uploads_put(hid_t at, const char *name, hid_t file_type, hid_t memory_type, hsize_t rows,
                 hsize_t cols, const void *data, hid_t plist);
void uploads_floats(hid_t at, const char *name, hsize_t rows, hsize_t cols, const float *data);
/* as h5py writes them */
void uploads_bools(hid_t at, const char *name, hsize_t rows, const uint8_t *data);
void uploads_group(hid_t at, const char *name);

/* Reads and closes fd; the trajectories go to `out`, which must be empty. */
enum px_status uploads_read(int fd, enum px_read_format format,
                            const struct px_read_options *options, struct trajs *out,
                            struct px_read_report *report, struct px_err *err);
/* True when reading fails with `status`, the pointer contains `place` and the
 * message contains `words`; prints what happened otherwise. */
bool uploads_refused(int fd, enum px_read_format format, const struct px_spaces *spaces,
                     const struct px_read_options *options, enum px_status status,
                     const char *place, const char *words);

#endif
