/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trajectories: the shape in which data moves between readers, segments and
 * everything that learns from it. Readers push them into a sink one by one, so
 * no file is ever whole in memory.
 *
 * Letters: O observation dims, A action dims, T steps, f 1 if the final
 * observation is known, else 0.
 */
#ifndef PX_DATA_TRAJ_H
#define PX_DATA_TRAJ_H

#include <stdint.h>

#include "lib/base/status.h"
#include "lib/data/spaces.h"

enum { PX_STEPS_MAX = 100000 };

/* A view; whoever made it owns the arrays, and a sink must copy what it keeps.
 * Row-major float32, all finite. */
struct px_traj {
  uint32_t steps;            /* T >= 1 */
  const float *observations; /* [T + f, O] */
  const float *actions;      /* [T, A], or NULL: nothing is labelled */
  /* [T] 1 where the action is known, or NULL: all, if there are actions */
  const uint8_t *labelled;
  const float *rewards; /* [T], or NULL: not known */
  /* bootstrap 0 / bootstrap; an unfinished trailing episode is truncated */
  bool terminated, truncated;
  bool has_final; /* f: observations[T] is the state after the last action */
};

/* True if all n numbers are finite; else *at (if not NULL) is the first that is not. */
bool px_traj_all_finite(const float *x, size_t n, size_t *at);
struct px_traj_sink {
  void *ctx;
  enum px_status (*put)(void *ctx, const struct px_traj *traj, struct px_err *err);
};

/* Checks a trajectory against the spaces: T, finite numbers, action range or class indices. What
 * stands in the actions of steps that are not labelled is not looked at.
 * BAD_DATA with the place "trajectory n, step t, actions[j]" ("actions" where they are
 * discrete). */
enum px_status px_traj_check(const struct px_spaces *spaces, const struct px_traj *traj, uint64_t n,
                             struct px_err *err) PX_MUST_CHECK;

#endif
