/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a lint; for lint*.c alone. */
#ifndef PX_READ_LINT_PARTS_H
#define PX_READ_LINT_PARTS_H

#include "lib/read/lint.h"

/* Collects findings; those over eight of one code are dropped. */
struct px_lint_list {
  struct px_lint_finding *out;
  uint32_t n, of_code[PX_LINT_CODES_N];
};
/* NULL where there is no room for another. */
struct px_lint_finding *px_lint_add(struct px_lint_list *list, enum px_lint_code code,
                                    const char *field, double figure, const char *fmt, ...)
  PX_PRINTF(5, 6);

/* Columns of observations or actions: what values they take and how they move from step to step. */
struct px_lint_columns;
struct px_lint_columns *px_lint_columns_new(uint32_t dims);
/* n rows [n, dims] of one trajectory; row t is left out where known[t] is 0 (known may be NULL). */
void px_lint_columns_put(struct px_lint_columns *c, int64_t trajectory, const float *rows,
                         uint32_t n, const uint8_t *known);
void px_lint_columns_observed(const struct px_lint_columns *c, struct px_lint_list *list);
void px_lint_columns_acted(const struct px_lint_columns *c, const struct px_spaces *spaces,
                           struct px_lint_list *list);
void px_lint_columns_free(struct px_lint_columns *c);

/* Whether actions act at another step than their own. */
struct px_lint_lag;
struct px_lint_lag *px_lint_lag_new(const struct px_spaces *spaces);
void px_lint_lag_put(struct px_lint_lag *lag, const struct px_traj *traj);
void px_lint_lag_tell(struct px_lint_lag *lag, struct px_lint_list *list);
void px_lint_lag_free(struct px_lint_lag *lag);

#endif
