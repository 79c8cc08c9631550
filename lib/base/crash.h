/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points: named places before and after every durable step, at which a test can have the
 * process die (SIGKILL to itself) to see what the others make of it. Without the environment
 * variables below a point is one look at a variable that never changes.
 *
 *   PROXACT_CRASH_AT=POINT:NTH:FILE   dies when the point is passed for the NTH time in this
 *                                     process, once in all: only if it can make FILE, which must
 *                                     not be there yet
 *   PROXACT_CRASH_TRACE=FILE          appends the name of every point passed
 *
 * A point's name is "CONTEXT/STEP.WHEN": the context is the job's kind in a child, "worker" or
 * "server"; the step is a transaction or a statement; WHEN is "before", "commit" (all done but the
 * commit) or "after".
 */
#ifndef PX_BASE_CRASH_H
#define PX_BASE_CRASH_H

#include <stdbool.h>

extern bool px_crash_armed;
/* Call at the begin of main, before threads. `name` must outlive the process. */
void px_crash_setup(const char *name);
void px_crash_context(const char *name);
void px_crash_point(const char *step, const char *when);

#define PX_CRASH_POINT(step, when) \
  do { \
    if (px_crash_armed) px_crash_point((step), (when)); \
  } while (0)

#endif
