/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users' simulators: what POST /v1/simulators takes, and what a declared layout means for a
 * compiled model.
 *
 *   observations  a list of parts laid side by side: "qpos[1:]", "qvel", "qvel[2:5]", "qpos[0]",
 *                 or {"of": "qvel", "clip": [-10, 10], "scale": 1, "offset": 0}:
 *                 clip(scale q + offset)
 *   actions       likewise of ctrl: ctrl = scale a + offset; "ctrl" in order, if not given
 *
 * Used by the server (checks and stores it) and by the worker (reads what was stored). Pure.
 */
#ifndef PX_FLOW_SIMULATORS_H
#define PX_FLOW_SIMULATORS_H

#include "lib/base/fail.h"
#include "lib/flow/bind.h"
#include "lib/flow/fields.h"

enum { FLOW_SIM_OBS_MAX = 512, FLOW_SIM_ACT_MAX = 64, FLOW_MJCF_BYTES_MAX = 512 << 10 };

/* Everything but `mjcf`, whose text is no name. */
extern const struct flow_field flow_simulator_fields[];

/* What a compiled model has. */
struct flow_sim_model {
  uint32_t nq, nv, nu;
};
enum flow_sim_source { FLOW_SIM_QPOS, FLOW_SIM_QVEL, FLOW_SIM_CTRL };
struct flow_sim_term {
  enum flow_sim_source source;
  uint32_t index;
  double scale, offset, clip_low, clip_high; /* infinite where not clipped; never of ctrl */
};
struct flow_sim_layout {
  uint32_t obs_dim, act_dim, frame_skip, delay;
  double time_step; /* 0: the model's */
  struct flow_sim_term obs[FLOW_SIM_OBS_MAX], act[FLOW_SIM_ACT_MAX];
};
/* Of the layout and of a term, an item's object in `observations` and `actions`. */
extern const struct flow_bind flow_simulator_bind[], flow_simulator_term_bind[];

/* `checked` has passed flow_simulator_fields. BAD_FIELD at the part that is no slice, or that the
 * model does not have. */
enum px_status flow_simulator_layout(const json_t *checked, const struct flow_sim_model *model,
                                     struct flow_sim_layout *out, struct px_err *err) PX_MUST_CHECK;

#endif
