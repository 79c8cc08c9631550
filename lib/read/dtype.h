/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as files hold them, made float32. Used by the readers of HDF5, npz and safetensors.
 * Stateless.
 */
#ifndef PX_READ_DTYPE_H
#define PX_READ_DTYPE_H

#include <stdint.h>

#include "lib/base/status.h"

enum px_dtype_kind {
  PX_DTYPE_FLOAT,
  PX_DTYPE_INT,
  PX_DTYPE_UINT,
  PX_DTYPE_BFLOAT,
  PX_DTYPE_KIND_N
};

/* IEEE 754 floats of 2, 4 or 8 bytes; integers of 1, 2, 4 or 8. A bool is an unsigned byte.
 * BFLOAT is bfloat16, the upper half of a float32. */
struct px_array_dtype {
  enum px_dtype_kind kind;
  uint32_t bytes;
  bool swapped; /* big endian on this little endian machine */
};

bool px_dtype_known(struct px_array_dtype type);
/* Whether the bytes are float32 already. */
bool px_dtype_is_float32(struct px_array_dtype type);
/* dst[i] = src[i] rounded to float32, infinite when it is too large for one;
 * src is swapped in place. The type must be known; src need not be aligned. */
void px_dtype_to_float(struct px_array_dtype type, void *src, size_t n, float *dst);
/* The same numbers as float64, of this machine's byte order (so after px_dtype_to_float). Not for
 * float16 and bfloat16. */
void px_dtype_to_double(struct px_array_dtype type, const void *src, size_t n, double *dst);

#endif
