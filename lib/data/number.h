/*
 * Numbers as files hold them, made float32. Used by the readers of HDF5, npz and safetensors.
 * Stateless.
 */
#ifndef PX_DATA_NUMBER_H
#define PX_DATA_NUMBER_H

#include <stdint.h>

#include "lib/base/status.h"

enum px_number_kind { PX_NUMBER_FLOAT, PX_NUMBER_INT, PX_NUMBER_UINT, PX_NUMBER_BFLOAT, PX_NUMBER_KIND_N };

/* IEEE 754 floats of 2, 4 or 8 bytes; integers of 1, 2, 4 or 8. A bool is an unsigned byte.
 * BFLOAT is bfloat16, the upper half of a float32. */
struct px_number {
  enum px_number_kind kind;
  uint32_t bytes;
  bool swapped; /* big endian on this little endian machine */
};

bool px_number_known(struct px_number type);
/* Whether the bytes are float32 already. */
bool px_number_is_float32(struct px_number type);
/* dst[i] = src[i] rounded to float32, infinite when it is too large for one;
 * src is swapped in place. The type must be known; src need not be aligned. */
void px_number_to_float(struct px_number type, void *src, size_t n, float *dst);
/* The same numbers as float64, of this machine's byte order (so after px_number_to_float). Not for float16 and bfloat16. */
void px_number_to_double(struct px_number type, const void *src, size_t n, double *dst);

#endif
