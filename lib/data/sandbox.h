/*
 * The parse helper: hostile HDF5 and zip files are parsed in a process of their
 * own, which can do nothing but compute and answer.
 *
 * It is a helper process (helper.h) with three descriptors. It maps the file, gives up everything (resource limits,
 * no_new_privs, Landlock, a seccomp allow-list without open, socket or exec) and
 * only then looks at the bytes. Trajectories come back on a pipe, in frames whose
 * sizes the parent computes itself. A helper that dies is BAD_DATA with the
 * reason.
 *
 * Builds with the address or thread sanitizer keep the process but not the
 * address space limit and the seccomp list, which their runtimes cannot live under.
 * Thread safe: there is no shared state.
 */
#ifndef PX_DATA_SANDBOX_H
#define PX_DATA_SANDBOX_H

#include "lib/data/read.h"

struct px_reading;
/* Reads an HDF5 or npz file through a helper into the reading's sink; the
 * trajectories are well-formed but their numbers are not checked yet. */
enum px_status px_sandbox_read(struct px_reading *r, int fd, enum px_format format, struct px_err *err) PX_MUST_CHECK;

#endif
