/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job's process may take of its machine: how much memory there is, how much it has taken,
 * and who is killed when there is none left. Used by the supervisor and by the child's main. No
 * state.
 */
#ifndef PX_WORKER_LIMITS_H
#define PX_WORKER_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes that a job's process may take: memory_mb, or what the machine or the container's cgroup has
 * (cgroups 2 and 1). */
int64_t limits_memory(int64_t memory_mb);
/* Resident memory of the process's own (without mapped files), in bytes; 0 when it cannot be
 * told. */
int64_t limits_resident(pid_t pid);
/* The same of the process and of those that it started: helpers that run a user's model or read a
 * file. */
int64_t limits_resident_all(pid_t pid);
/* Processes that the kernel has killed for want of memory, as far as can be seen from here: in this
 * container, or on this machine. It only grows; the difference of two looks is what counts. */
int64_t limits_oom_kills(void);

/* In the child: the kernel kills it before its supervisor or a database beside it, and with
 * memory_mb its address space is bounded, so that an allocation beyond it fails at once. */
void limits_apply(int64_t memory_mb);

#endif
