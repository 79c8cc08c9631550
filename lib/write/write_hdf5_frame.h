/* SPDX-License-Identifier: Apache-2.0 */
/* What the HDF5 writer and its parent say to each other. Inner header of lib/data, for write_hdf5.c
 * and write_hdf5_helper.c. */
#ifndef PX_WRITE_WRITE_HDF5_FRAME_H
#define PX_WRITE_WRITE_HDF5_FRAME_H

#include "lib/base/subprocess.h"
#include "lib/write/write_parts.h"

enum { PX_WRITE_HDF5_FILE_FD = PX_SUBPROCESS_FD, PX_WRITE_HDF5_TALK_FD };

enum { PX_WRITE_HDF5_FACT = 0x7fffffff };

/* Parent to helper: new rows of a column, followed by them; or, as column PX_WRITE_HDF5_FACT, an
 * attribute of so many bytes of text; or, with a name of "", that the file is complete. Helper to
 * parent, once: a struct px_err, of code PX_OK when the complete file is written, and earlier when
 * something failed. */
struct px_write_hdf5_frame {
  char name[32];
  uint32_t column, dtype, width; /* as in struct px_write_column; columns begin in order */
  uint64_t rows;
};

static inline size_t px_write_hdf5_bytes(const struct px_write_hdf5_frame *f) {
  return (size_t)f->rows * (f->width ? f->width : 1) *
         px_safetensors_dtype_bytes((enum px_dtype)f->dtype);
}

#endif
