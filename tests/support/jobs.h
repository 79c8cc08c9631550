/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of jobs through the store: what their files share beside db.h. Everything
 * fails the running test on error.
 */
#ifndef PX_TESTS_SUPPORT_JOBS_H
#define PX_TESTS_SUPPORT_JOBS_H

#include <jansson.h>

#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/support/db.h"

/* A store whose database has neither jobs nor workers. */
struct store *jobs_fresh(void);
/* The job's document; a text of it, "" if there is none. */
json_t *jobs_document(struct store *store, const char *id);
const char *jobs_field(const json_t *document, const char *name);
/* The attempt ends with this code; its lease has run out; the reaper looks. */
void jobs_fail(struct store *store, struct store_lease hold, enum px_status code);
void jobs_expire(const char *id);
struct store_reaped jobs_reap(struct store *store);

#endif
