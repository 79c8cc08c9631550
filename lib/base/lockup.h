/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a helper process (subprocess.h) does before it looks at what strangers sent: it gives up
 * everything but computing and answering, for good: resource limits, no_new_privs, Landlock, and a
 * seccomp allow-list without open, socket or exec.
 *
 * Used by the parse helper (sandbox.h) and by those that run users' models (lib/sim, worker).
 * Builds with the address or thread sanitizer keep neither the address space limit nor the seccomp
 * list, which their runtimes cannot live under.
 */
#ifndef PX_BASE_LOCKUP_H
#define PX_BASE_LOCKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

struct px_lockup {
  uint32_t cpu_s;        /* of processor time; five seconds later it is killed */
  uint64_t memory_bytes; /* of address space */
  int read_fd, write_fd; /* all that it may still read (read) and write (writev) */
};
bool px_lockup(const struct px_lockup *limits) PX_MUST_CHECK;

/* The exit status of a helper that a signal would have ended, had it not been the first process of
 * its namespace, on which signals without a handler have no effect. */
enum { PX_LOCKUP_EXIT_SIGNAL = 128 };
/* That of one that found no memory and can tell. */
enum { PX_LOCKUP_EXIT_MEMORY = 100 };
/* Why a helper ended, by its wait status: the signal that ended it, or 0 and *code its exit status.
 */
int px_lockup_signal(int ended, int *code);
/* The same in words, to follow "it": "ran out of time or memory". */
enum { PX_LOCKUP_WHY = 96 };
void px_lockup_why(int ended, char out[PX_LOCKUP_WHY]);

#endif
