/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a work has left in the database: rows by table, jobs and how they ended, digests of all
 * results. A work that was disturbed must leave what a quiet one does. Used by crash.
 */
#ifndef PX_FAULT_DB_DIFF_H
#define PX_FAULT_DB_DIFF_H

#include "tests/fault/lib/testbed.h"

/* Where a work begins. */
struct found_mark {
  char at[64];
  json_t *rows;
};
void found_begin(struct testbed *testbed, struct found_mark *mark);

/* Everything that is new since the mark. The janitor runs first, with what nothing took up made a
 * day older. */
json_t *found_since(struct testbed *testbed, struct found_mark *mark);
/* Claims and attempts since the mark: {claims, attempts, lost}. */
json_t *found_tries(struct testbed *testbed, const struct found_mark *mark);
/* Whether they are equal; `why` gets the first difference. */
bool found_same(const json_t *expected, const json_t *found, char *why, size_t size);

#endif
