/* SPDX-License-Identifier: Apache-2.0 */
/* What is exported can be uploaded again, in every format, and is what it was. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "tests/support/cu.h"
#include "tests/support/exports.h"
#include "tests/support/uploads.h"

static void every_export_reads_back_as_it_was(void) {
  static const enum px_read_format formats[PX_WRITE_FORMAT_N] = {
    [PX_WRITE_HDF5] = PX_FORMAT_HDF5,       [PX_WRITE_NPZ] = PX_FORMAT_NPZ,
    [PX_WRITE_JSONL] = PX_FORMAT_JSONL,     [PX_WRITE_CSV] = PX_FORMAT_CSV,
    [PX_WRITE_LEROBOT] = PX_FORMAT_LEROBOT, [PX_WRITE_SAFETENSORS] = PX_FORMAT_SAFETENSORS,
  };
  struct exported x;
  exports_make(&x);
  for (int e = 0; e < PX_WRITE_FORMAT_N; e++) {
    char *path = exports_write(&x, (enum px_write_format)e, PX_WRITE_BOTH, "back");
    struct trajs back = { .spaces = x.list.spaces };
    struct px_err err;
    CU_OK(uploads_read(open(path, O_RDONLY | O_CLOEXEC), formats[e], NULL, &back, NULL, &err), err);
    const char *differ = trajs_differ(&x.list, &back);
    CU_ASSERT_STRING_EQUAL(differ, "");
    if (*differ) printf("\n  %s: %s\n", px_read_format_name(formats[e]), differ);
    trajs_free(&back);
    free(path);
  }
  exports_free(&x);
}

CU_MAIN("read_exports", T(every_export_reads_back_as_it_was))
