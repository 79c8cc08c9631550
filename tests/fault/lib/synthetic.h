/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Made-up trajectories of hopper's dimensions, as JSON lines: a pure function of (variant, part).
 * Used by load and crash.
 */
#ifndef PX_FAULT_SYNTHETIC_H
#define PX_FAULT_SYNTHETIC_H

#include <stdbool.h>

#include "lib/base/buf.h"

enum { MADE_UP_O = 11, MADE_UP_A = 3, MADE_UP_TRAJECTORIES = 12 };

/* Appends MADE_UP_TRAJECTORIES lines. */
bool synthetic_part(int variant, int part, bool labelled, struct px_buf *out);

#endif
