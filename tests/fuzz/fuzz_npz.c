/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile npz files, read in this process: the container, headers, sizes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/read/npy.h"
#include "lib/read/reader.h"
#include "tests/support/fuzz.h"
#include "tests/support/uploads.h"

static struct px_spaces spaces;

static void one(const uint8_t *bytes, size_t n) {
  const struct px_read_options options = { 0 };
  struct px_err err = { 0 };
  fuzz_read(px_read_npz, fuzz_take, &options, &spaces, -1, bytes, n);
  struct px_npy npy; /* and as a header alone, which the container's checksums do not guard */
  if (px_npy_parse((const char *)bytes, n, &npy, &err) == PX_OK)
    FUZZ_HOLDS(px_dtype_known(npy.number) && npy.rank <= 2);
}

/* {descr, order, shape} and zeros. */
static size_t npy_into(char *dst, const char *header, size_t data) {
  const size_t n = strlen(header);
  memcpy(dst, "\x93NUMPY\1\0", 8);
  dst[8] = (char)n;
  dst[9] = 0;
  memcpy(dst + 10, header, n);
  memset(dst + 10 + n, 0, data);
  return 10 + n + data;
}

int main(int argc, char **argv) {
  spaces = trajs_spaces(2, 1);
  static const char HEADER[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n";
  static const char FORTRAN[] = "{'descr': '>f8', 'fortran_order': True, 'shape': (3, 2), }\n";
  static const char FLAGS[] = "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n";
  static char obs[256], next[256], rew[256], term[256];
  struct fuzz_seed seeds[4];
  size_t n = 0;
  for (int deflate = 0; deflate < 2; deflate++) {
    const struct uploads_member members[] = {
      { "observations.npy", obs, npy_into(obs, HEADER, 24), deflate },
      { "next_observations.npy", next, npy_into(next, FORTRAN, 48), deflate },
      { "rewards.npy", rew, npy_into(rew, FLAGS, 3), deflate },
      { "terminals.npy", term, npy_into(term, FLAGS, 3), deflate },
    };
    const int fd = uploads_zip(members, 4);
    seeds[n].bytes = uploads_contents(fd, &seeds[n].n);
    n++;
    close(fd);
  }
  seeds[n++] = (struct fuzz_seed){ HEADER, sizeof HEADER - 1 };
  seeds[n++] = (struct fuzz_seed){ FORTRAN, sizeof FORTRAN - 1 };
  const int rc = fuzz_run(argc, argv, one, seeds, n, 20000);
  free((void *)(uintptr_t)seeds[0].bytes);
  free((void *)(uintptr_t)seeds[1].bytes);
  return rc;
}
