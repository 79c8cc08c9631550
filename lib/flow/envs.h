/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulators by name, with the dimensions of what they show and take: the list that the specs,
 * the API and the checks before a job share. worker/env simulates them; a test compares the two.
 * Pure.
 */
#ifndef PX_FLOW_ENVS_H
#define PX_FLOW_ENVS_H

#include "lib/base/fail.h"
#include "lib/flow/fields.h"

/* The names of schema/envs.def, "hopper|...", as the words of a field. */
extern const char flow_env_words[]; /* with a '|' before each */
#define FLOW_ENVS (flow_env_words + 1)

/* Numbers in an observation and in an action; act_count: 0, or how many discrete actions there are
 * (then act_dim is 1). */
struct flow_dims {
  uint32_t obs_dim, act_dim, act_count;
};

struct flow_env {
  const char *name;
  struct flow_dims dims;
};
/* The names with `between` each two; solvable: only those whose actions a simulator that labels can
 * solve for, continuous ones. */
enum { FLOW_ENV_NAMES_MAX = 256 };
void flow_env_names(bool solvable, const char *between, char out[FLOW_ENV_NAMES_MAX]);
/* NULL if there is none of that name. */
const struct flow_env *flow_env(const char *name);

bool flow_env_dims_equal(const struct flow_dims *a, const struct flow_dims *b);
/* "4 observation dimensions and 2 discrete actions" */
enum { FLOW_DIMS_TEXT = 96 };
void flow_env_dims_text(const struct flow_dims *dims, char out[FLOW_DIMS_TEXT]);

/* BAD_FIELD at `pointer` unless the simulator has these dimensions; `whose` are they: "the
 * dataset", "the policy". */
enum px_status flow_env_check(const char *name, const struct flow_dims *dims, const char *whose,
                              const char *pointer, struct px_err *err) PX_MUST_CHECK;

#endif
