/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of its own for libraries that a server must outlive: the parse helper (sandbox.h), the
 * HDF5 writer (write_hdf5.c), and those that compile and run users' models (lib/sim/mjcf.h,
 * worker/sim/sim_box.h).
 *
 * The parent may have many threads, so forking it and going on is not safe (a lock of any library
 * may be held); instead the running program is executed again (/proc/self/exe) with a hidden
 * argument, and px_subprocess_main takes over at the start of main. A helper gets an almost empty
 * environment, the descriptors it is meant to have, and nothing else of the parent's. Where the
 * kernel refuses namespaces (a container without the right to them), helpers start without, and the
 * log says so once.
 * It is always waited for, so do not reap children one did not start. Thread safe: there is no
 * shared state.
 */
#ifndef PX_BASE_SUBPROCESS_H
#define PX_BASE_SUBPROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

/* A kind of helper. */
struct px_subprocess_kind {
  const char *name, *argument; /* in the list of processes; the hidden argument */
  int (*main)(void);           /* its exit status */
  /* in user, process, network, IPC and mount namespaces of its own, where the kernel allows */
  bool apart;
};

/* First line of main() in every program that starts helpers; `kinds` is ended by NULL:
 *   const int helper = px_subprocess_main(kinds, argc, argv);
 *   if (helper >= 0) return helper;
 * -1 when this process is no helper, at once and without side effects. */
int px_subprocess_main(const struct px_subprocess_kind *const *kinds, int argc, char **argv);

/* the helper finds them from PX_SUBPROCESS_FD on, in order */
enum { PX_SUBPROCESS_FDS_MAX = 3, PX_SUBPROCESS_FD = 3 };
enum px_status px_subprocess_start(const struct px_subprocess_kind *kind, const int *fds, size_t n,
                                   pid_t *pid, struct px_err *err) PX_MUST_CHECK;
/* Ends it if it still runs, and gives its wait status; one that ended by itself keeps its own. 0:
 * there is none. */
int px_subprocess_end(pid_t pid);
/* Exactly n bytes, on either side; false when the other has gone. Waits without bound. */
bool px_subprocess_take(int fd, void *dst, size_t n);
/* The same, but false too when nothing came for idle_ms; *silent says that it was so. */
bool px_subprocess_hear(int fd, void *dst, size_t n, int idle_ms, bool *silent);
/* All n bytes into a socket; false when the other has gone, or took nothing for idle_ms; *silent
 * says which. */
bool px_subprocess_tell(int fd, const void *bytes, size_t n, int idle_ms, bool *silent);

#endif
