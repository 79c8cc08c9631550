/* SPDX-License-Identifier: Apache-2.0 */
/* What the parse helper and its parent say to each other. Inner header of
 * lib/data, for sandbox.c and sandbox_helper.c. */
#ifndef PX_READ_SANDBOX_FRAME_H
#define PX_READ_SANDBOX_FRAME_H

#include "lib/base/subprocess.h"
#include "lib/data/spaces.h"
#include "lib/read/actions_parts.h"
#include "lib/read/read.h"

enum { PX_SANDBOX_FILE_FD = PX_SUBPROCESS_FD, PX_SANDBOX_REQUEST_FD, PX_SANDBOX_ANSWER_FD };

/* Parent to helper, once. It fits into a pipe, so writing it never waits. */
struct px_sandbox_request {
  uint32_t format;
  uint64_t file_bytes;
  struct px_spaces spaces;
  struct px_read_options options;
  struct px_actions_reading actions;
};

/* How long a file of that size may take its parser: seconds of processor time. */
uint32_t px_sandbox_cpu_s(uint64_t file_bytes);
/* Gives up everything but computing, the file (to read) and the answer (to write); for this process
 * and for good. */
bool px_sandbox_lock(const struct px_sandbox_request *request) PX_MUST_CHECK;

/* Helper to parent. A TRAJECTORY is followed by observations [T + f, O], rewards [T] if
 * HAS_REWARDS, actions [T, A] if HAS_ACTIONS, labelled [T] if HAS_MASK; ACTIONS by
 * struct px_sandbox_run and actions [n, A]; a REPORT, which is the last frame, by
 * struct px_read_report; an ERROR, likewise the last, by struct px_err. READY says that the helper
 * has locked itself up. */
enum px_sandbox_kind {
  PX_SANDBOX_READY = 0x70780001,
  PX_SANDBOX_TRAJECTORY,
  PX_SANDBOX_ACTIONS,
  PX_SANDBOX_REPORT,
  PX_SANDBOX_ERROR
};
enum {
  PX_SANDBOX_TERMINATED = 1,
  PX_SANDBOX_TRUNCATED = 2,
  PX_SANDBOX_HAS_FINAL = 4,
  PX_SANDBOX_HAS_ACTIONS = 8,
  PX_SANDBOX_HAS_MASK = 16,
  PX_SANDBOX_HAS_REWARDS = 32,
  PX_SANDBOX_FLAGS_END = 64
};
struct px_sandbox_frame {
  uint32_t kind, steps, flags;
};
struct px_sandbox_run {
  uint64_t trajectory;
  uint32_t step, n;
};

#endif
