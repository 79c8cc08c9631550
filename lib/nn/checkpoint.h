/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping a training's state now and then, and going on from it: the one place
 * that decides when. Used by every trainer; who starts one says where states go.
 *
 * A trainer lists its arrays (state.h), calls px_checkpoint_resume once before
 * its first step and px_checkpoint_step after each. Since a state and the
 * number of steps behind it give all that follows, a training that was cut off
 * ends with the same bytes as one that was not. Whoever starts the training
 * owns the struct and calls px_checkpoint_free. Not thread safe, except that
 * `stop` may be set by a signal's handler.
 */
#ifndef PX_NN_CHECKPOINT_H
#define PX_NN_CHECKPOINT_H

#include <signal.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/nn/state.h"

/* Raise it when a step computes something else from the same state: what an older program kept is
 * then not used. */
#define PX_CHECKPOINT_FORMAT "proxact-state-1"
/* The largest state of a training that the bounds of lib/flow allow, with room to spare. */
#define PX_CHECKPOINT_BYTES_MAX ((size_t)4 << 30)

struct px_checkpoint {
  /* Given by who starts the training. */
  const char *name; /* of the training, in the log */
  void *ctx;
  /* Stores the state after `step` steps; the bytes are borrowed. FENCED and CANCELLED end the
   * training, any other failure costs only this checkpoint. */
  enum px_status (*keep)(void *ctx, uint64_t step, const void *bytes, size_t n, struct px_err *err);
  /* Told before the first step, unless NULL: the training goes on after `step` steps. 0 says that
   * it starts afresh, and `refused` then why `from` was of no use (NULL: there was none). `from` is
   * not looked at any more. */
  enum px_status (*resumed)(void *ctx, uint64_t step, const struct px_err *refused,
                            struct px_err *err);
  const void *from; /* what keep was given once; NULL for a fresh start */
  size_t from_n;
  int every_ms;                      /* the longest pause between two; 0: one after every step */
  const volatile sig_atomic_t *stop; /* no longer 0: keep the state and stop; may be NULL */

  /* What came of it. */
  uint64_t resumed_step, kept_step; /* 0: none */
  uint64_t kept_n;
  double spent_s, cost_s; /* on keeping, in all; of the last one */

  struct px_buf bytes; /* reused */
  double next_s;
};

/* Fills the arrays from the kept state and gives the steps behind it; 0, with nothing changed, to
 * start afresh. */
enum px_status px_checkpoint_resume(struct px_checkpoint *c, const struct px_state *state,
                                    uint64_t *step, struct px_err *err) PX_MUST_CHECK;
/* After `step` steps, with a finite loss: keeps the state if it is time, or if asked to stop, which
 * is answered WORKER_LOST. A state that is not finite is never kept. Costs a look at the clock. A
 * NULL checkpoint never keeps. */
enum px_status px_checkpoint_step(struct px_checkpoint *c, const struct px_state *state,
                                  uint64_t step, struct px_err *err) PX_MUST_CHECK;
void px_checkpoint_free(struct px_checkpoint *c);

/* The pause after a checkpoint that took cost_s: 5 s or what keeps the cost near a hundredth of the
 * time, whichever is longer, but at most every_ms; longer only where the cost would be more than a
 * twentieth. 0 for every_ms 0, which is for tests. */
double px_checkpoint_pause_s(int every_ms, double cost_s);

#endif
