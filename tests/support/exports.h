/* SPDX-License-Identifier: Apache-2.0 */
/* Exports for tests: a made-up dataset with proxy labels, written out. */
#ifndef PX_TESTS_SUPPORT_EXPORTS_H
#define PX_TESTS_SUPPORT_EXPORTS_H

#include "lib/base/buf.h"
#include "lib/data/spaces.h"
#include "lib/write/write.h"
#include "tests/support/trajs.h"

struct exported {
  struct trajs list; /* two segments' worth, of all kinds */
  struct segments segments;
  struct px_buf *labels; /* one per segment; every fifth step is not known */
  char dir[64];          /* a directory of its own */
};
/* Ends the program when it cannot be made. Four observation dims, two action dims. */
void exports_make(struct exported *x);
/* The same with other spaces. */
void exports_make_of(struct exported *x, struct px_spaces spaces);
void exports_free(struct exported *x); /* and removes the directory with what is in it */
/* Writes DIR/<name><suffix> and gives its path (owned by the caller). */
char *exports_write(const struct exported *x, enum px_write_format format,
                    enum px_write_which which, const char *name);

#endif
