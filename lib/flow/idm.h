/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inverse dynamics model's options: the one place that says what each
 * profile takes, with bounds, default and help.
 *
 * Used by the server (checks a model's options and fills the defaults in, so
 * that a job's spec says all that was used), by lib/idm (reads them by their
 * names) and by the API's description. Pure.
 */
#ifndef PX_FLOW_IDM_H
#define PX_FLOW_IDM_H

#include "lib/base/fail.h"
#include "lib/flow/fields.h"

/* The variants of a FLOW_CHOICE by "profile": `fast`, which is meant where none
 * is named, and `paper`. They have the same options in the same order, each with
 * a default; only the defaults differ. Ended by a field without a name. */
extern const struct flow_field flow_idm_profiles[];

/* The options of which some do not go together. */
struct flow_idm_pairs {
  const char *head, *mean_loss, *compat, *inputs;
  uint32_t rounds, f;
};
/* BAD_FIELD at the option below `pointer` that does not go with another. */
enum px_status flow_idm_check_pairs(const struct flow_idm_pairs *pairs, const char *pointer,
                                    struct px_err *err) PX_MUST_CHECK;

#endif
