/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MuJoCo without its exits, for every file that calls it. MuJoCo's own answer to an internal error
 * is to wait for a key and end the process; here it jumps back to the call of ours that it happened
 * in, and what MuJoCo had allocated in that call is lost, which a fault this rare may cost.
 *
 * Nothing is owned. Thread safe: the guard belongs to the thread, MuJoCo's two handlers are set by
 * each load to the same functions.
 */
#ifndef PX_SIM_PHYSICS_H
#define PX_SIM_PHYSICS_H

#include <mujoco/mujoco.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

/* Runs run(ctx); INTERNAL with MuJoCo's words if it gave up, NO_MEMORY if for want of memory. Not
 * to be nested. */
enum px_status px_physics_guard(void (*run)(void *ctx), void *ctx,
                                struct px_err *err) PX_MUST_CHECK;

/* Compiles an MJCF text of n bytes, without a NUL. The caller frees both with mj_deleteModel and
 * mj_deleteData. BAD_DATA in MuJoCo's words; NO_MEMORY. Files that the text names are read from
 * the disk: who loads what users send sees to it that there are none. */
enum px_status px_physics_load(const char *mjcf, size_t n, mjModel **model, mjData **data,
                               struct px_err *err) PX_MUST_CHECK;

/* For a helper, before it locks itself up: where MuJoCo's compiler gets no memory, which C++ tells
 * by an exception, the process ends with PX_LOCKUP_EXIT_MEMORY. Without it such a process dies of
 * the message that the C++ library writes. */
void px_physics_tell_memory(void);

/* Such as "2.2.2": what a simulation's bits depend on. */
const char *px_physics_version(void);

/* After a warning MuJoCo has reset or truncated something, so the state is no longer the one
 * asked for: its text, or NULL. */
const char *px_physics_warning(const mjData *data);

#endif
