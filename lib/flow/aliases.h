/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of before, which specs may still use: rows of type FLOW_ALIAS in the field tables.
 *
 * The server puts the present names in place of them before it checks a spec, and tells the caller
 * by a warning for each. A worker does the same with the spec of a job that an older server
 * stored. What follows knows the present names alone. Pure.
 */
#ifndef PX_FLOW_ALIASES_H
#define PX_FLOW_ALIASES_H

#include "lib/base/fail.h"
#include "lib/flow/fields.h"

/* *out: a copy of `in` with the present names. Each old name becomes a warning (old_name) of
 * `answer`, which may be NULL, with its place below `pointer`. BAD_FIELD at the old name where both
 * are given. What fits no table is left to flow_fields_check. The caller owns *out. */
enum px_status flow_aliases_replace(const struct flow_field *fields, const json_t *in,
                                    const char *pointer, json_t *answer, json_t **out,
                                    struct px_err *err) PX_MUST_CHECK;

#endif
