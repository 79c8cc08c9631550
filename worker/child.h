/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child process of a job, and the pipe between it and its supervisor.
 *
 * A job computes in a process of its own: one that crashes, hangs or runs out of
 * memory is reported at once and costs nobody else. The child is this program
 * run again (`proxact-worker child`), so that it inherits nothing: it reads its
 * job from standard input, opens its own connections, and writes frames to
 * descriptor 3. It dies with its supervisor.
 *
 * Used by the supervisor (one child at a time) and by the child's main. Not
 * thread safe.
 */
#ifndef PX_WORKER_CHILD_H
#define PX_WORKER_CHILD_H

#include <sys/types.h>

#include "lib/base/config.h"
#include "lib/base/fail.h"
#include "lib/base/status.h"
#include "lib/store/jobs.h"

enum child_frame_kind { CHILD_PROGRESS, CHILD_FAILED, CHILD_DONE };
/* Smaller than PIPE_BUF, so each is written whole. */
struct child_frame {
  enum child_frame_kind kind;
  char phase[24];
  int64_t step, total;
  struct px_err err; /* CHILD_FAILED */
};

struct child {
  pid_t pid;
  int frames_fd;
};

/* Starts the child for `job`. Of the configuration it is told db_url, memory_mb
 * (limits.h), checkpoint_ms and log_json. IO when no process can be made. */
enum px_status child_start(const struct store_job *job, const struct px_config *config,
                           struct child *out, struct px_err *err) PX_MUST_CHECK;
/* Reads one frame if there is one: 1, 0 for none now, -1 at the end. */
int child_read(const struct child *child, struct child_frame *frame);
/* Waits for the end of a child whose pipe has ended or that was killed, and says
 * how it died: PX_OK for exit 0, else CHILD_CRASHED, or OOM for a kill where
 * memory was `lacked`. */
enum px_status child_reap(struct child *child, bool lacked, struct px_err *err) PX_MUST_CHECK;

/* The child's own main: reads the job, runs it (jobs.h), reports. The result is
 * its exit status. */
int child_main(void);

#endif
