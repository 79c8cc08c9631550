/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who labels: the inverse dynamics model or a simulator, and their options: the one place that says
 * what each takes.
 *
 * Used by the server (checks a labeller and fills the defaults in), by the jobs that label (read
 * the options by their names) and by the API's description. Pure.
 */
#ifndef PX_FLOW_LABELLERS_H
#define PX_FLOW_LABELLERS_H

#include "lib/flow/fields.h"

/* The variants of a FLOW_CHOICE by "kind"; `idm` is meant where none is named. Ended by a field
 * without a name. */
extern const struct flow_field flow_labellers[];

/* What a residual is compared with where nothing else is said. */
#define FLOW_THRESHOLD \
  { \
    "threshold", FLOW_NUMBER, 1e-12, 1000, "0.0001", NULL, NULL, \
      "The largest residual of a verified label: the sum over observation dimensions of " \
      "((f(s, a) - s') / std(s' - s))^2" \
  }
/* A built-in simulator or one that was uploaded. */
#define FLOW_SIMULATOR_FIELD \
  { \
    "simulator", FLOW_TEXT, 1, 64, NULL, NULL, NULL, \
      "A built-in one with continuous actions, such as hopper, or the id of an uploaded one " \
      "(sim_...); the dataset's env, if not given" \
  }
#define FLOW_IDENTIFY \
  { \
    "identify", FLOW_BOOL, 0, 0, "true", NULL, NULL, \
      "Whether masses, gains, damping, armature, friction, time step and delay are fitted to " \
      "true " \
      "actions first, where the model misses them by more than the threshold" \
  }

/* Options of a net that inverts a simulator (worker/sim/net.h). */
extern const struct flow_field flow_labeller_inverse_fields[];
/* Options of a labeller that is a simulator (struct sim_options of worker/sim/sim.h). */
extern const struct flow_field flow_labeller_simulator_fields[];

/* Whether a spec's labels come from a simulator; and whether inverse dynamics models label beside
 * it. */
bool flow_labeller_is_simulator(const json_t *spec);
bool flow_labeller_uses_idm(const json_t *spec);
/* Whether the simulator solves for actions, so that most labels are verified; a net's seldom
 * are. */
bool flow_labeller_solves(const json_t *spec);

#endif
