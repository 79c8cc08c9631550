/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: claims jobs, keeps their leases alive, watches their children.
 *
 * One per process, one child at a time; start more processes, on any number of
 * machines, to do more at once. It never computes, so a heartbeat is never
 * late. It also reaps leases that other workers lost.
 */
#ifndef PX_WORKER_SUPERVISOR_H
#define PX_WORKER_SUPERVISOR_H

#include "lib/base/config.h"
#include "lib/base/fail.h"
#include "lib/base/status.h"

/* Works until stop_fd becomes readable, then drains: the running job gets
 * drain_ms to end and is given back otherwise. */
enum px_status supervisor_run(const struct px_config *config, int stop_fd,
                              struct px_err *err) PX_MUST_CHECK;

#endif
