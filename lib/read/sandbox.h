/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parse helper: uploads of every format are parsed in a process of their
 * own, which can do nothing but compute and answer.
 *
 * It is a helper process (subprocess.h) with three descriptors, where the kernel allows in user,
 * process, network, IPC and mount namespaces of its own. It maps the file, gives up everything
 * (resource limits, no_new_privs, Landlock, a seccomp allow-list without open, socket or exec) and
 * only then looks at the bytes. Its processor time is limited by the file's size. Trajectories come
 * back on a pipe, in frames whose sizes the parent computes itself. A helper that dies is BAD_DATA
 * with the reason.
 *
 * Builds with the address or thread sanitizer keep the process but not the namespaces, the
 * address space limit and the seccomp list, which their runtimes cannot live under.
 * Thread safe: there is no shared state.
 */
#ifndef PX_READ_SANDBOX_H
#define PX_READ_SANDBOX_H

#include "lib/base/fail.h"
#include "lib/base/subprocess.h"
#include "lib/read/read.h"

struct px_reader;
/* Reads a file through a helper into the reading's sink; the trajectories are
 * well-formed but their numbers are not checked yet. JSON lines are read from where `fd` stands. */
enum px_status px_sandbox_read(struct px_reader *r, int fd, enum px_read_format format,
                               struct px_err *err) PX_MUST_CHECK;
struct px_actions_reading;
struct px_actions_sink;
/* The same for later actions (actions.h), into `sink`. */
enum px_status px_sandbox_actions(struct px_reader *r, int fd,
                                  const struct px_actions_reading *what,
                                  const struct px_actions_sink *sink,
                                  struct px_err *err) PX_MUST_CHECK;
/* For px_subprocess_main of a program that reads. */
extern const struct px_subprocess_kind px_sandbox_helper;

#endif
