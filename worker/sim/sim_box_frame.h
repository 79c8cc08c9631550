/* SPDX-License-Identifier: Apache-2.0 */
/* What a box's helper and its parent say to each other; inner header, for sim_box.c and
 * sim_box_helper.c. */
#ifndef PX_WORKER_SIM_SIM_BOX_FRAME_H
#define PX_WORKER_SIM_SIM_BOX_FRAME_H

#include "lib/data/spaces.h"
#include "worker/sim/sim_box.h"

enum { SIM_BOX_TALK_FD = PX_SUBPROCESS_FD };
enum { SIM_BOX_CPU_S = 30 * 86400 };      /* the job's own limits end it long before */
#define SIM_BOX_MEMORY_BYTES (1ull << 30) /* of address space, beside the data */

/* Parent to helper, once: this and the layout's MJCF. */
struct sim_box_hello {
  struct sim_layout layout;
  uint64_t data_bytes_max;
};

/* Parent to helper, for each call, followed by std [O], step_start [traj_n + 1], obs_start [traj_n
 * + 1], has_final [traj_n], observations [obs_n, O], then actions [steps_n, A] and labelled
 * [steps_n] to check or identify, or starts_n starts [steps_n, A] to label. Nothing follows what
 * adjusts. */
enum sim_box_work {
  SIM_BOX_CHECK = 1,
  SIM_BOX_IDENTIFY,
  SIM_BOX_ADJUST,
  SIM_BOX_LABEL,
  SIM_BOX_PAIRS
};
struct sim_box_call {
  uint32_t work, traj_n, starts_n, delay_max; /* delay_max: to identify */
  uint32_t pairs_n;
  uint64_t seed;                    /* of the pairs */
  struct sim_adjustment adjustment; /* to adjust */
  uint64_t steps_n, obs_n;
  struct sim_options options; /* its std is not a pointer there */
  struct px_spaces spaces;
};

/* Helper to parent. READY: it has locked itself up, or opened the model. DONE is followed by struct
 * sim_fit, or by actions, std, epistemic [steps_n, A], score [steps_n], known, residual, verified
 * and struct sim_box_counts; or by struct sim_identified, or by nothing; ERROR by px_err. Pairs
 * come in PARTs, each followed by x and u of SIM_BOX_PAIRS_PART pairs, the last of what is left;
 * then DONE with struct sim_box_range. */
enum sim_box_kind {
  SIM_BOX_READY = 0x70780101,
  SIM_BOX_PROGRESS,
  SIM_BOX_DONE,
  SIM_BOX_ERROR,
  SIM_BOX_PART
};
struct sim_box_frame {
  uint32_t kind;
  int64_t step, total;
};
struct sim_box_counts {
  uint64_t known_n, verified_n, unstable_n, simulations_n;
};

/* The helper has no room for all pairs at once. */
enum { SIM_BOX_PAIRS_PART = 1024 };
struct sim_box_range {
  double low[SIM_ACT_MAX], high[SIM_ACT_MAX];
  uint32_t delay;
};

#endif
