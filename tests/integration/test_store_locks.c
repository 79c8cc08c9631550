/* SPDX-License-Identifier: Apache-2.0 */
/* Two at the same rows: whom a claim waits for (nobody), and whom the reaper takes a job from. */
#include <libpq-fe.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/support/jobs.h"

enum { LEASE_MS = 30000 };

/* Somebody else's transaction, in the middle of which the test goes on. */
static PGconn *begin(const char *sql, const char *job) {
  PGconn *other = PQconnectdb(db_test_url());
  const char *const values[] = { job };
  PQclear(PQexec(other, "begin"));
  PGresult *r = PQexecParams(other, sql, 1, NULL, values, NULL, NULL, 0);
  CU_ASSERT_FATAL(PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK);
  PQclear(r);
  return other;
}

/* A call in a thread of its own; the other transaction goes on once this has come back, or waits
 * for it. */
struct call {
  struct store *store;
  struct store_job *job;
  struct store_reaped reaped;
  enum px_status status;
  bool waited;
};

static void *claim(void *arg) {
  struct call *c = arg;
  struct px_err err;
  const char *kind = "report";
  c->status = store_job_claim(c->store, "w", &kind, 1, LEASE_MS, 0, &c->job, &err);
  return NULL;
}

static void *reap(void *arg) {
  struct call *c = arg;
  struct px_err err;
  c->status = store_jobs_reap(c->store, &c->reaped, &err);
  return NULL;
}

static void call_beside(struct call *c, void *(*fn)(void *), PGconn *other) {
  pthread_t thread;
  CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, fn, c), 0);
  while (pthread_tryjoin_np(thread, NULL) != 0)
    if (!c->waited && strcmp(db_sql("select count(*) from pg_stat_activity where application_name "
                                    "= 'locks' and wait_event_type = 'Lock'"),
                             "0") != 0) {
      c->waited = true;
      PQclear(PQexec(other, "commit"));
    }
  PQclear(PQexec(other, "commit"));
  PQfinish(other);
}

/* As when another worker claims it in this moment, or a heartbeat is on its way. */
static void a_claim_passes_by_a_job_that_is_being_changed(void) {
  struct call c = { .store = jobs_fresh() };
  char first[STORE_ID_MAX], second[STORE_ID_MAX];
  db_submit(c.store, "report", NULL, first);
  db_submit(c.store, "report", NULL, second);
  call_beside(&c, claim, begin("update jobs set priority = priority where id = $1", first));
  CU_ASSERT_EQUAL(c.status, PX_OK);
  CU_ASSERT_FALSE(c.waited);
  CU_ASSERT_PTR_NOT_NULL_FATAL(c.job);
  CU_ASSERT_STRING_EQUAL(c.job->hold.job, second);
  store_job_free(c.job);
  store_close(c.store);
}

/* A row that refers to a job locks its key as long as its transaction lasts. */
static void a_reference_to_a_job_does_not_keep_it_from_being_claimed(void) {
  struct call c = { .store = jobs_fresh() };
  char id[STORE_ID_MAX];
  db_submit(c.store, "report", NULL, id);
  call_beside(&c, claim, begin("select from jobs where id = $1 for key share", id));
  CU_ASSERT_EQUAL(c.status, PX_OK);
  CU_ASSERT_FALSE(c.waited);
  CU_ASSERT_PTR_NOT_NULL_FATAL(c.job);
  CU_ASSERT_STRING_EQUAL(c.job->hold.job, id);
  store_job_free(c.job);
  store_close(c.store);
}

static void a_heartbeat_that_is_on_its_way_saves_its_job_from_the_reaper(void) {
  struct call c = { .store = jobs_fresh() };
  char id[STORE_ID_MAX];
  db_submit(c.store, "report", NULL, id);
  db_claim(c.store, "report");
  db_sql("update jobs set lease_expires_at = clock_timestamp() - interval '1 s'");
  call_beside(
    &c, reap,
    begin("update jobs set lease_expires_at = clock_timestamp() + interval '1 min' where id = $1",
          id));
  CU_ASSERT_EQUAL(c.status, PX_OK);
  CU_ASSERT_EQUAL(c.reaped.returned, 0);
  CU_ASSERT_STRING_EQUAL(db_sql("select state || lost_leases from jobs"), "running0");
  store_close(c.store);
}

CU_MAIN("store_locks", T(a_claim_passes_by_a_job_that_is_being_changed),
        T(a_reference_to_a_job_does_not_keep_it_from_being_claimed),
        T(a_heartbeat_that_is_on_its_way_saves_its_job_from_the_reaper))
