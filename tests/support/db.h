/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the store share: this program's database, brought to head
 * once, raw SQL beside the store, and jobs with little typing.
 *
 * A connection given out is closed by whoever opened it; everything else fails
 * the running test on error.
 */
#ifndef PX_TESTS_SUPPORT_DB_H
#define PX_TESTS_SUPPORT_DB_H

#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/support/cu.h"

/* PROXACT_DB_URL; without one the program ends with a SKIP line. */
const char *db_test_url(void);
/* A store on the migrated database. */
struct store *db_test_open(const char *application);

/* Runs SQL on a connection of its own; the first value of its last result
 * ("" for none), valid until the next call. Fails the test on an error. */
const char *db_sql(const char *sql, ...) PX_PRINTF(1, 2);
/* The SQLSTATE that it fails with, "" if it succeeds. */
const char *db_sql_state(const char *sql, ...) PX_PRINTF(1, 2);

/* A ready job, or one that waits for `needs` (NULL-terminated; may be NULL); id gets its id. */
void db_submit(struct store *store, const char *kind, const char *const *needs,
               char id[STORE_ID_MAX]);
/* Claims this very job, whatever its place in the queue; ends the test when that is impossible. */
struct store_lease db_claim(struct store *store, const char *kind);
/* Its state column. */
const char *db_state(const char *id);

#endif
