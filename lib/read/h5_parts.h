/* SPDX-License-Identifier: Apache-2.0 */
/* What h5.c and h5_column.c share; for nobody else. */
#ifndef PX_READ_H5_PARTS_H
#define PX_READ_H5_PARTS_H

#include "lib/read/h5.h"

enum { PX_H5_LZF = 32000 }; /* h5py's filter, by its registered number */

/* BAD_DATA at the path, with the innermost message of the library's error stack. */
enum px_status px_h5_fail(const char *path, struct px_err *err, const char *what);
/* BAD_DATA where the data is packed by a filter that is not known, or twice. */
enum px_status px_h5_check_filters(hid_t plist, const char *path, struct px_err *err) PX_MUST_CHECK;

#endif
