/*
 * The parse helper: hostile HDF5 and zip files are parsed in a process of their
 * own, which can do nothing but compute and answer.
 *
 * The parent may have many threads, so forking it and going on is not safe (a
 * lock of any library may be held); instead the running program is executed
 * again (/proc/self/exe) with a hidden argument, and px_sandbox_main takes over
 * at the start of main. The helper gets three descriptors and an almost empty
 * environment, maps the file, gives up everything (resource limits,
 * no_new_privs, Landlock, a seccomp allow-list without open, socket or exec) and
 * only then looks at the bytes. Trajectories come back on a pipe, in frames whose
 * sizes the parent computes itself. A helper that dies is BAD_DATA with the
 * reason; it is always waited for, so do not reap children one did not start.
 *
 * Builds with the address or thread sanitizer keep the process but not the
 * address space limit and the seccomp list, which their runtimes cannot live under.
 * Thread safe: there is no shared state.
 */
#ifndef PX_DATA_SANDBOX_H
#define PX_DATA_SANDBOX_H

#include "lib/data/read.h"

/* First line of main() in every program that calls px_read_file:
 *   const int helper = px_sandbox_main(argc, argv);
 *   if (helper >= 0) return helper;
 * -1 when this process is no helper, at once and without side effects. */
int px_sandbox_main(int argc, char **argv);

struct px_reading;
/* Reads an HDF5 or npz file through a helper into the reading's sink; the
 * trajectories are well-formed but their numbers are not checked yet. */
enum px_status px_sandbox_read(struct px_reading *r, int fd, enum px_format format, struct px_err *err) PX_MUST_CHECK;

#endif
