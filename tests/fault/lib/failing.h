/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making one call fail: what the preloaded library (preload/failing.c, tests only) and the program
 * that fault_inject.h shares.
 *
 * The library counts the calls to the operating system and the allocator that processes of one part
 * make, in their own code and in every library below it (libpq, hiredis, libcurl, jansson, ...).
 * Call number `at` fails as it does when memory, disk, descriptors or the other side are gone. The
 * counters lie in a file that all processes map; its name is in PX_FAILING. A process finds out at
 * its start which part it is.
 */
#ifndef PX_FAULT_FAILING_H
#define PX_FAULT_FAILING_H

#include <stdatomic.h>
#include <stdint.h>

enum failing_part {
  FAILING_NONE,
  FAILING_SERVER,
  FAILING_SUPERVISOR,
  FAILING_CHILD,
  FAILING_CLIENT
};
enum { FAILING_FRAMES = 12, FAILING_NAME = 24, FAILING_NOTED = 1 << 16 };

struct failing {
  _Atomic(enum failing_part) part; /* whose calls count; NONE: nobody's */
  atomic_long count, at;           /* calls so far; which one fails, from 1 (0: none) */
  atomic_int noting;               /* where each call is made is written into `place` */
  /* of the call of that number, counted from 0: a digest of its name and its callers */
  uint64_t place[FAILING_NOTED];
  atomic_int fired;        /* it has failed */
  char call[FAILING_NAME]; /* which function that was */
  int frames_n;
  void *frames[FAILING_FRAMES];   /* and who called it */
  char where[FAILING_FRAMES][96]; /* the same as file+offset */
};

#endif
