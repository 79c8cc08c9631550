/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a .npy array (NumPy's format document, versions 1 to 3), parsed
 * strictly: exactly the literal that NumPy writes, never evaluated. Object,
 * structured, string and time types are refused. Inner header of lib/data, for
 * read_npz.c; stateless.
 */
#ifndef PX_READ_NPY_H
#define PX_READ_NPY_H

#include "lib/base/fail.h"
#include "lib/read/dtype.h"

/* Magic, version and the header's length: what to read first, and how much more. */
enum { PX_NPY_PREFIX_BYTES = 12, PX_NPY_HEADER_MAX_BYTES = 65536 };

struct px_npy {
  struct px_array_dtype number;
  bool fortran_order;
  int rank;         /* 0 to 2 */
  uint64_t dims[2]; /* 1 beyond the rank */
};

/* From the first PX_NPY_PREFIX_BYTES: where the header's text begins and how long it is. */
enum px_status px_npy_prefix(const uint8_t *bytes, size_t *start, size_t *length,
                             struct px_err *err) PX_MUST_CHECK;
enum px_status px_npy_parse(const char *text, size_t n, struct px_npy *out,
                            struct px_err *err) PX_MUST_CHECK;

#endif
