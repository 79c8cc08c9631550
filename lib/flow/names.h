/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that people choose, of datasets, policies and tokens.
 *
 * A name is printed in lists, logs, terminals and paths, so it must not hold
 * what cannot be seen there: control characters, marks that turn the writing
 * direction, and spaces at its ends. Pure: no I/O, no state.
 */
#ifndef PX_FLOW_NAMES_H
#define PX_FLOW_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Characters (Unicode code points) of UTF-8 text; SIZE_MAX where it is not valid UTF-8 (RFC
 * 3629). */
size_t flow_name_length(const char *text);
/* NULL for a good name of 1 to `max` characters; else what is wrong with it, to follow "NAME must
 * be". */
const char *flow_name_fault(const char *text, size_t max);
/* The same for a dataset, whose name stands in paths where its id could: "." and "..", a slash, and
 * what has the form of an id are refused as well. */
const char *flow_name_dataset_fault(const char *text, size_t max);

#endif
