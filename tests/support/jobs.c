/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of jobs: see jobs.h. */
#include "tests/support/jobs.h"

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"

struct store *jobs_fresh(void) {
  struct store *store = db_test_open("jobs");
  db_sql("truncate jobs, workers cascade");
  return store;
}

json_t *jobs_document(struct store *store, const char *id) {
  struct px_err err;
  struct px_buf text = PX_BUF(1 << 20);
  int64_t version;
  CU_OK(store_job_document(store, id, &text, &version, &err), err);
  json_t *document = json_loads(text.data, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(document);
  px_buf_free(&text);
  return document;
}

const char *jobs_field(const json_t *document, const char *name) {
  const char *text = json_string_value(json_object_get(document, name));
  return text ? text : "";
}

void jobs_fail(struct store *store, struct store_lease hold, enum px_status code) {
  struct px_err why, err;
  px_fail(&why, code, "because of %s", px_status_slug(code));
  CU_OK(store_job_fail(store, &hold, &why, &err), err);
}

void jobs_expire(const char *id) {
  db_sql("update jobs set lease_expires_at = clock_timestamp() - interval '1 s' where id = '%s'",
         id);
}

struct store_reaped jobs_reap(struct store *store) {
  struct px_err err;
  struct store_reaped reaped = { 0 };
  CU_OK(store_jobs_reap(store, &reaped, &err), err);
  return reaped;
}
