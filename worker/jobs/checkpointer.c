/* SPDX-License-Identifier: Apache-2.0 */
/* A training's checkpoints in the store: see checkpointer.h. */
#include "worker/jobs/checkpointer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/store/checkpoints.h"
#include "lib/store/store.h"

static volatile sig_atomic_t stop_asked;
/* The handler needs a stack of its own: oneDNN's kernels keep data where the frame of one would be
 * written (seen as a broken heap under a profiling timer). */
static char handler_stack[65536];

static void ask_to_stop(int signal) {
  (void)signal;
  stop_asked = 1;
}

static enum px_status keep(void *ctx, uint64_t step, const void *bytes, size_t n,
                           struct px_err *err) {
  const struct checkpointer *k = ctx;
  return store_checkpoint_keep(k->job->store, &k->job->hold, (int64_t)step, k->profile, bytes, n,
                               err);
}

static enum px_status resumed(void *ctx, uint64_t step, const struct px_err *refused,
                              struct px_err *err) {
  struct checkpointer *k = ctx;
  const char *job = k->job->hold.job;
  px_buf_free(&k->from);
  if (refused) px_log_err("checkpoint_refused", refused, "job", job);
  if (step == 0) return PX_OK;
  px_log(PX_LOG_INFO, "training_resumed", "job", job, "step", PX_I(step), "epoch",
         PX_I(k->job->hold.epoch), NULL);
  return store_checkpoint_resumed(k->job->store, &k->job->hold, (int64_t)step, err);
}

static void pass_over(const struct checkpointer *k, const struct store_checkpoint *c,
                      const char *why) {
  px_log(PX_LOG_WARN, "checkpoint_passed_over", "job", k->job->hold.job, "step", PX_I(c->step),
         "epoch", PX_I(c->epoch), "why", why, "kept_under", c->profile, "running_under", k->profile,
         NULL);
}

/* Going on under another profile would end with bytes that no undisturbed training gives: neither
 * this machine's nor the other's. So such a state is left for a machine that it fits. */
static enum px_status find(struct checkpointer *k, struct px_err *err) {
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  size_t n = 0;
  enum px_status status = store_checkpoint_list(k->job->store, k->job->hold.job, list, &n, err);
  for (size_t i = 0; !status && i < n; i++) {
    if (strcmp(list[i].profile, k->profile) != 0) {
      pass_over(k, &list[i], "another numeric profile");
      continue;
    }
    status = store_checkpoint_read(k->job->store, &list[i], &k->from, err);
    if (!status) break;
    if (status != PX_E_BAD_DATA && status != PX_E_INTERNAL) return status;
    pass_over(k, &list[i], err->message);
    px_buf_free(&k->from);
    status = PX_OK;
  }
  return status;
}

enum px_status checkpointer_open(struct checkpointer *checkpointer, struct job *job,
                                 const char *beside, struct px_err *err) {
  char machine[PX_MAT_PROFILE_MAX];
  *checkpointer = (struct checkpointer){ .job = job, .from = PX_BUF(PX_CHECKPOINT_BYTES_MAX) };
  px_mat_profile(machine);
  snprintf(checkpointer->profile, sizeof checkpointer->profile, "%s%s%s", machine,
           beside ? ", " : "", beside ? beside : "");
  stop_asked = 0;
  const stack_t stack = { .ss_sp = handler_stack, .ss_size = sizeof handler_stack };
  const struct sigaction action = { .sa_handler = ask_to_stop,
                                    .sa_flags = SA_RESTART | SA_ONSTACK };
  if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0)
    return px_fail_errno(err, "catching SIGTERM");
  const enum px_status status = find(checkpointer, err);
  checkpointer->checkpoint = (struct px_checkpoint){ .name = job->hold.job,
                                                     .ctx = checkpointer,
                                                     .keep = keep,
                                                     .resumed = resumed,
                                                     .from = checkpointer->from.data,
                                                     .from_n = checkpointer->from.len,
                                                     .every_ms = job->checkpoint_ms,
                                                     .stop = &stop_asked };
  return status;
}

void checkpointer_explain(const struct checkpointer *checkpointer, struct px_err *err) {
  const struct px_checkpoint *c = &checkpointer->checkpoint;
  const uint64_t last = c->kept_step ? c->kept_step : c->resumed_step;
  const size_t said = strlen(err->message), hinted = strlen(err->hint);
  if (!last) {
    snprintf(err->message + said, sizeof err->message - said, "; no state had been kept yet");
    return;
  }
  snprintf(err->message + said, sizeof err->message - said,
           "; the last good state, after step %" PRIu64 ", was kept", last);
  snprintf(err->hint + hinted, sizeof err->hint - hinted,
           " GET /v1/jobs/%s/checkpoint gives the state of step %" PRIu64 ".",
           checkpointer->job->hold.job, last);
}

void checkpointer_close(struct checkpointer *checkpointer) {
  px_checkpoint_free(&checkpointer->checkpoint);
  px_buf_free(&checkpointer->from);
}
