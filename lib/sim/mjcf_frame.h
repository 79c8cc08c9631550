/* SPDX-License-Identifier: Apache-2.0 */
/* What the model helper and its parent say to each other; inner header of lib/sim, for mjcf_check.c
 * and mjcf_helper.c. */
#ifndef PX_SIM_MJCF_FRAME_H
#define PX_SIM_MJCF_FRAME_H

#include "lib/base/fail.h"
#include "lib/sim/mjcf.h"

enum { PX_MJCF_TALK_FD = PX_SUBPROCESS_FD };
/* Steps of the data that are tried; seconds of processor time in all. */
enum { PX_MJCF_STEPS = 50, PX_MJCF_CPU_S = 10 };

/* Parent to helper, once, followed by the text. */
struct px_mjcf_request {
  uint32_t bytes, frame_skip;
  double time_step;
};
/* Helper to parent: a byte that says that it has locked itself up, then the answer. */
enum { PX_MJCF_READY = 'r' };
struct px_mjcf_answer {
  struct px_err err; /* code PX_OK: the model is good */
  struct px_mjcf_model model;
};

#endif
