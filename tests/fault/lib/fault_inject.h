/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of failing.h that injects faults: the shared counters, and which calls of a flow are
 * to fail.
 * Used by torture. One thread.
 */
#ifndef PX_FAULT_FAULT_INJECT_H
#define PX_FAULT_FAULT_INJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/fault/lib/failing.h"

/* Makes the file that processes started from now on share (PX_FAILING in this process's
 * environment); NULL if it cannot. */
struct failing *fault_inject_open(const char *path);
/* From now on calls of `part` count, and number `at` fails (0: none does). */
void fault_inject_arm(struct failing *failing, enum failing_part part, long at);
/* Nothing counts any more; how many calls there were. */
long fault_inject_disarm(struct failing *failing);
/* Where the call was that failed, on one line. */
const char *fault_inject_where(const struct failing *failing);

/* `n` numbers out of 1 .. `of`, ascending, by the seed; all of them when there are no more. The
 * caller frees it. */
long *fault_inject_sample(uint64_t seed, const char *name, long of, long *n);
/* Whether the places of calls are noted from now on. */
void fault_inject_note(struct failing *failing, bool noting);
/*
 * One number for each place at which the last `of` calls were noted, drawn by the seed; *n is how
 * many. A place is a function and the FAILING_FRAMES callers above it. NULL: no memory, or more
 * calls than can be noted. The caller frees it.
 */
long *fault_inject_places(const struct failing *failing, uint64_t seed, const char *name, long of,
                          long *n);

#endif
