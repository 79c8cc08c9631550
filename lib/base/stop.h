/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stopping: SIGTERM and SIGINT become a file descriptor that poll can wait on.
 * Used by the main of the server and of the worker. One per process.
 */
#ifndef PX_BASE_STOP_H
#define PX_BASE_STOP_H

#include "lib/base/fail.h"
#include "lib/base/status.h"

/* Blocks SIGTERM and SIGINT (call before any thread starts), ignores SIGPIPE,
 * and gives a descriptor that becomes readable when one arrives. */
enum px_status px_stop_setup(int *fd, struct px_err *err) PX_MUST_CHECK;
/* Waits until a stop was asked for or `timeout_ms` passed (-1: no limit). */
bool px_stop_wait(int fd, int timeout_ms);

#endif
