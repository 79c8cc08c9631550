/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a job's training keeps its state and finds it again: the store's
 * checkpoints behind the interface that trainers take (lib/nn/checkpoint.h).
 *
 * Used by the train_* jobs, one checkpointer a job, from before the training until the
 * process ends: it also catches SIGTERM, by which the supervisor asks a training
 * to keep its state and stop. One thread.
 */
#ifndef PX_WORKER_JOBS_CHECKPOINTER_H
#define PX_WORKER_JOBS_CHECKPOINTER_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/nn/checkpoint.h"
#include "lib/nn/mat.h"
#include "worker/jobs/jobs.h"

enum { CHECKPOINTER_PROFILE_MAX = PX_MAT_PROFILE_MAX + 200 };

struct checkpointer {
  struct px_checkpoint checkpoint; /* for the trainer */
  struct job *job;                 /* borrowed */
  struct px_buf from;
  char profile[CHECKPOINTER_PROFILE_MAX];
};

/* Looks for the job's last state that is whole and of this numeric profile; one that is not is
 * passed over, with a word in the log. `beside`: what else the bytes depend on, such as a
 * simulator's version; NULL: nothing. On failure checkpointer_close still has to be called. */
enum px_status checkpointer_open(struct checkpointer *checkpointer, struct job *job,
                                 const char *beside, struct px_err *err) PX_MUST_CHECK;
/* Adds to a NAN_LOSS which state was kept last, and where to fetch it. */
void checkpointer_explain(const struct checkpointer *checkpointer, struct px_err *err);
void checkpointer_close(struct checkpointer *checkpointer);

#endif
