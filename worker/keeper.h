/*
 * Where a job's training keeps its state and finds it again: the store's
 * checkpoints behind the interface that trainers take (worker/nn/checkpoint.h).
 *
 * Used by the train_* jobs, one keeper a job, from before the training until the
 * process ends: it also catches SIGTERM, by which the supervisor asks a training
 * to keep its state and stop. One thread.
 */
#ifndef PX_WORKER_KEEPER_H
#define PX_WORKER_KEEPER_H

#include "worker/jobs.h"
#include "worker/nn/checkpoint.h"
#include "worker/nn/mat.h"

enum { KEEPER_PROFILE_MAX = PX_MAT_PROFILE_MAX + 200 };

struct keeper {
  struct px_checkpoint checkpoint; /* for the trainer */
  struct job *job;                 /* borrowed */
  struct px_buf from;
  char profile[KEEPER_PROFILE_MAX];
};

/* Looks for the job's last state that is whole and of this numeric profile; one that is not is passed over, with a
 * word in the log. `beside`: what else the bytes depend on, such as a simulator's version; NULL: nothing. On failure keeper_close still has to be called. */
enum px_status keeper_open(struct keeper *keeper, struct job *job, const char *beside, struct px_err *err) PX_MUST_CHECK;
/* Adds to a NAN_LOSS which state was kept last, and where to fetch it. */
void keeper_explain(const struct keeper *keeper, struct px_err *err);
void keeper_close(struct keeper *keeper);

#endif
