/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lint: looks at the trajectories of one upload as they pass, and tells what is probably a mistake
 * (schema/lint.def). It changes nothing. Memory is bounded by the number of dimensions, and the
 * same trajectories in the same order give the same findings. One lint belongs to one thread.
 *
 * Thresholds are stated beside each check (lint_columns.c, lint_lag.c, lint.c). They were set so
 * that the usual benchmark data (D4RL's hopper and halfcheetah) has no warning.
 */
#ifndef PX_READ_LINT_H
#define PX_READ_LINT_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

enum px_lint_code {
#define PX_LINT(NAME, ...) PX_LINT_##NAME,
#include "schema/lint.def"
#undef PX_LINT
  PX_LINT_CODES_N
};
const char *px_lint_name(enum px_lint_code code);     /* "jump" ... */
const char *px_lint_severity(enum px_lint_code code); /* "warning" or "info" */
const char *px_lint_hint(enum px_lint_code code);

/* Where it was found first or worst: trajectory of the upload and step, -1 where it is of all;
 * field is "observations[3]", "actions", ... or "". figure is what the message counts: a share, a
 * factor or a lag. */
struct px_lint_finding {
  enum px_lint_code code;
  int64_t trajectory, step;
  double figure;
  char field[32], message[224];
};
enum { PX_LINT_FINDINGS_MAX = 64 };

struct px_lint;
enum px_status px_lint_new(const struct px_spaces *spaces, struct px_lint **out,
                           struct px_err *err) PX_MUST_CHECK;
/* The next trajectory of the upload. */
void px_lint_put(struct px_lint *lint, const struct px_traj *traj);
/* What was found, warnings first; at most PX_LINT_FINDINGS_MAX, of one code at most eight. */
uint32_t px_lint_findings(struct px_lint *lint, struct px_lint_finding out[PX_LINT_FINDINGS_MAX]);
void px_lint_free(struct px_lint *lint);

#endif
