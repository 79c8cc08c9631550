/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offline RL algorithms and their options: the one place that says what
 * each takes, with bounds, default and help.
 *
 * Used by the server (checks a policy and fills the defaults in, so that a job's
 * spec says all that was used), by lib/rl (reads the options by their names)
 * and by the API's description. Pure.
 */
#ifndef PX_FLOW_ALGOS_H
#define PX_FLOW_ALGOS_H

#include "lib/flow/fields.h"

/* Every option, except the optional `name`, has a default. */
enum { FLOW_OPTIONS_MAX = 40 };

/* The variants of a FLOW_CHOICE by "algo": a FLOW_OBJECT per algorithm, whose
 * words are what it learns (schema/algos.def); ended by a field without a name. */
extern const struct flow_field flow_algos[];

/* The options of one algorithm; NULL if there is none of that name. */
const struct flow_field *flow_algo_options(const char *algo);
/* Whether it learns discrete actions, or continuous ones. */
bool flow_algo_learns(const char *algo, bool discrete);
/* Whether it needs no rewards, unless an option chooses by return. */
bool flow_algo_learns_unrewarded(const char *algo);
/* Whether this option does anything there. Its help begins with "Continuous" where it is not for
 * discrete actions. */
bool flow_algo_option_fits(const char *algo, const char *option, bool discrete);

#endif
