/*
 * The parse helper: hostile HDF5 and zip files are parsed in a process of their
 * own, which can do nothing but compute and answer.
 *
 * The parent may have many threads, so forking it and going on is not safe (a
 * lock of any library may be held); instead the running program is executed
 * again (/proc/self/exe) with a hidden argument, and px_sandbox_main takes over
 * at the start of main. The helper gets three descriptors and an empty
 * environment, maps the file, gives up everything (resource limits,
 * no_new_privs, Landlock, a seccomp allow-list without open, socket or exec) and
 * only then looks at the bytes. Trajectories come back on a pipe, in frames whose
 * sizes the parent computes itself. A helper that dies is BAD_DATA with the
 * reason; it is always waited for, so do not reap children one did not start.
 *
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

/* As px_read_file, for HDF5 and npz; the trajectories are not yet checked with px_traj_check. */
enum px_status px_sandbox_read(int fd, enum px_format format, const char *name, const struct px_read_options *options,
                               const struct px_spaces *spaces, const struct px_traj_sink *sink,
                               struct px_read_report *report, struct px_err *err) PX_MUST_CHECK;

#endif
