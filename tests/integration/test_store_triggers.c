/* SPDX-License-Identifier: Apache-2.0 */
/* The triggers and the schema itself, tried with raw SQL: they hold without any of our C. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/store.h"
#include "tests/support/db.h"

static const char *const STATES[] = { "blocked",   "ready",  "running",
                                      "succeeded", "failed", "cancelled" };
enum { STATES_N = 6 };

/* A job of this kind brought into this state by legal moves. */
static const char *job_in(const char *kind, const char *state) {
  static char id[STORE_ID_MAX];
  snprintf(id, sizeof id, "%s",
           db_sql("insert into jobs (kind, spec, state) values ('%s', '{}', '%s') returning id",
                  kind,
                  strcmp(state, "ready") == 0 || strcmp(state, "running") == 0 ||
                      strcmp(state, "succeeded") == 0
                    ? "ready"
                    : "blocked"));
  const char *run = "update jobs set state = 'running', epoch = epoch + 1, attempt = attempt + 1, "
                    "lease_owner = 'w',"
                    " lease_expires_at = clock_timestamp() + interval '1 h' where id = '%s'";
  if (strcmp(kind, "pipeline") == 0) {
    if (strcmp(state, "blocked") != 0)
      db_sql("update jobs set state = '%s' where id = '%s'", state, id);
    return id;
  }
  if (strcmp(state, "running") == 0 || strcmp(state, "succeeded") == 0) db_sql(run, id);
  if (strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
      strcmp(state, "cancelled") == 0)
    db_sql("update jobs set state = '%s' where id = '%s'", state, id);
  return id;
}

/* Tries one move, with everything that entering `running` needs. */
static bool moves(const char *kind, const char *from, const char *to) {
  const char *id = job_in(kind, from);
  const bool run = strcmp(to, "running") == 0;
  const char *state = db_sql_state(
    "update jobs set state = '%s', epoch = epoch + %d, lease_owner = %s, lease_expires_at = %s"
    " where id = '%s'",
    to, run, run ? "'w'" : "null", run ? "clock_timestamp() + interval '1 h'" : "null", id);
  CU_ASSERT(!*state || strcmp(state, "PX002") == 0 || strcmp(state, "23514") == 0);
  return !*state;
}

static void only_legal_transitions_pass(void) {
  struct store *store = db_test_open("triggers");
  static const char *const LEGAL[] = { "blocked ready",    "blocked failed",    "blocked cancelled",
                                       "ready running",    "ready failed",      "ready cancelled",
                                       "running ready",    "running succeeded", "running failed",
                                       "running cancelled" };
  for (int i = 0; i < STATES_N; i++)
    for (int k = 0; k < STATES_N; k++) {
      if (i == k) continue;
      char pair[32];
      snprintf(pair, sizeof pair, "%s %s", STATES[i], STATES[k]);
      bool legal = false;
      for (size_t n = 0; n < sizeof LEGAL / sizeof *LEGAL; n++)
        legal |= strcmp(LEGAL[n], pair) == 0;
      if (moves("train_idm", STATES[i], STATES[k]) != legal) printf("\n  wrong: %s", pair);
      CU_ASSERT_EQUAL(moves("train_idm", STATES[i], STATES[k]), legal);
    }
  store_close(store);
}

static void a_pipeline_never_runs_and_resolves_from_blocked(void) {
  struct store *store = db_test_open("triggers");
  CU_ASSERT_FALSE(moves("pipeline", "blocked", "running"));
  CU_ASSERT_TRUE(moves("pipeline", "blocked", "succeeded"));
  CU_ASSERT_TRUE(moves("pipeline", "blocked", "failed"));
  CU_ASSERT_FALSE(moves("train_idm", "blocked", "succeeded"));
  CU_ASSERT_FALSE(moves("pipeline", "succeeded", "failed"));
  store_close(store);
}

static void terminal_jobs_never_change(void) {
  struct store *store = db_test_open("triggers");
  for (int i = 3; i < STATES_N; i++) {
    const char *id = job_in("label", STATES[i]);
    CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set reason = 'x' where id = '%s'", id),
                           "PX002");
    CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set epoch = epoch + 1 where id = '%s'", id),
                           "PX002");
  }
  store_close(store);
}

static void the_epoch_grows_by_one_with_a_claim_and_only_then(void) {
  struct store *store = db_test_open("triggers");
  const char *claim = "update jobs set state = 'running', epoch = epoch + %d, lease_owner = 'w', "
                      "lease_expires_at = now()"
                      " where id = '%s'";
  const char *id = job_in("label", "ready");
  CU_ASSERT_STRING_EQUAL(db_sql_state(claim, 0, id), "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state(claim, 2, id), "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set epoch = epoch + 1 where id = '%s'", id),
                         "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state(claim, 1, id), "");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set epoch = epoch + 1 where id = '%s'", id),
                         "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set lease_owner = 'other' where id = '%s'", id),
                         "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set spec = '{\"a\": 1}' where id = '%s'", id),
                         "PX002");
  store_close(store);
}

static void checks_tie_lease_and_end_to_the_state(void) {
  struct store *store = db_test_open("triggers");
  char id[STORE_ID_MAX];
  snprintf(id, sizeof id, "%s", job_in("label", "ready"));
  CU_ASSERT_STRING_EQUAL(
    db_sql_state("update jobs set state = 'running', epoch = epoch + 1 where id = '%s'", id),
    "23514");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set lease_owner = 'w' where id = '%s'", id),
                         "23514");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set finished_at = now() where id = '%s'", id),
                         "23514");
  CU_ASSERT_STRING_EQUAL(db_sql_state("update jobs set attempt = 6 where id = '%s'", id), "23514");
  CU_ASSERT_STRING_EQUAL(
    db_sql_state("insert into jobs (kind, spec, state) values ('label', '{}', 'running')"),
    "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state(
                           "insert into jobs (kind, spec, epoch) values ('label', '{}', 3)"),
                         "PX002");
  CU_ASSERT_STRING_EQUAL(db_sql_state("insert into jobs (kind, spec) values ('Magic', '{}')"),
                         "23514");
  store_close(store);
}

static void every_transition_is_recorded_in_order(void) {
  struct store *store = db_test_open("triggers");
  const char *id = job_in("label", "succeeded");
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(coalesce(from_state, '-') || '>' || to_state || "
                                "coalesce('@' || worker, ''),"
                                " ' ' order by no) from job_events where job_id = '%s'",
                                id),
                         "->ready ready>running@w running>succeeded@w");
  store_close(store);
}

/* A row of each fenced table; try_row sets what they read. */
#define JOB "current_setting('t.job')"
#define EPOCH "current_setting('t.epoch')::bigint"
#define DATASET "current_setting('t.dataset')"
#define BLOB "current_setting('t.blob')::bigint"
static const char *const FENCED_ROWS[] = {
  "insert into job_metrics (job_id, epoch, name, step, value) values (" JOB ", " EPOCH
  ", 'loss', 1, 0.5)",
  "insert into models (id, job_id, epoch, dataset_id, role, algo, blob_id, sha256, size_bytes, "
  "metrics)"
  " values ('mdl_' || " JOB ", " JOB ", " EPOCH ", " DATASET ", 'idm', 'x', " BLOB
  ", sha256(''), 1, '{}')",
  "insert into artifacts (job_id, name, epoch, media_type, blob_id, size_bytes)"
  " values (" JOB ", 'a', " EPOCH ", 'text/plain', " BLOB ", 1)",
  "insert into label_segments (label_job_id, seq, job_id, epoch, blob_id, sha256, steps_n, known_n,"
  " score_sum) values (" JOB ", 0, " JOB ", " EPOCH ", " BLOB ", sha256(''), 1, 1, 0)",
  "insert into label_sets (id, dataset_id, job_id, epoch, segments_n, steps_n, known_n, "
  "mean_score, sha256)"
  " values ('ls_' || " JOB ", " DATASET ", " JOB ", " EPOCH ", 1, 1, 1, 0, sha256(''))",
  "insert into job_checkpoints (job_id, epoch, step, blob_id, sha256, size_bytes, profile)"
  " values (" JOB ", " EPOCH ", 1, " BLOB ", sha256(''), 1, 'p')",
};

static const char *try_row(const char *row, const char *job, int epoch) {
  db_sql("select set_config('t.job', '%s', false), set_config('t.epoch', '%d', false), "
         "set_config('t.dataset',"
         " (select id from datasets where name = 'fence'), false), set_config('t.blob', (select "
         "max(id)::text from blobs), false)",
         job, epoch);
  return db_sql_state("%s", row);
}

static void every_table_a_job_writes_is_fenced(void) {
  struct store *store = db_test_open("triggers");
  char id[STORE_ID_MAX];
  db_sql("insert into datasets (name, obs_dim, act_dim, act_low, act_high) values ('fence', 1, 1, "
         "'{-1}', '{1}')");
  for (size_t i = 0; i < sizeof FENCED_ROWS / sizeof *FENCED_ROWS; i++) {
    db_sql("insert into blobs (size_bytes, sha256) values (1, sha256(''))");
    snprintf(id, sizeof id, "%s", job_in("label", "running"));
    CU_ASSERT_STRING_EQUAL(try_row(FENCED_ROWS[i], id, 0), "PX001"); /* an older epoch */
    CU_ASSERT_STRING_EQUAL(try_row(FENCED_ROWS[i], id, 2), "PX001"); /* one that is not yet */
    CU_ASSERT_STRING_EQUAL(try_row(FENCED_ROWS[i], id, 1), "");
    snprintf(id, sizeof id, "%s", job_in("label", "succeeded"));
    CU_ASSERT_STRING_EQUAL(try_row(FENCED_ROWS[i], id, 1), "PX001"); /* it has ended */
  }
  store_close(store);
}

/* Passing the fence and then sleeping past the lease must not be a way around it. */
static void a_hold_lost_before_the_commit_is_refused_at_the_commit(void) {
  struct store *store = db_test_open("triggers");
  struct store_reaped reaped;
  struct px_err err;
  db_sql("insert into datasets (name, obs_dim, act_dim, act_low, act_high) values ('fence', 1, 1, "
         "'{-1}', '{1}')"
         " on conflict do nothing");
  for (size_t i = 0; i < sizeof FENCED_ROWS / sizeof *FENCED_ROWS; i++) {
    char id[STORE_ID_MAX];
    db_sql("insert into blobs (size_bytes, sha256) values (1, sha256(''))");
    snprintf(id, sizeof id, "%s", job_in("label", "running"));
    db_sql("update jobs set lease_expires_at = clock_timestamp() where id = '%s'", id);
    db_sql("begin");
    CU_ASSERT_STRING_EQUAL(try_row(FENCED_ROWS[i], id, 1), "");
    CU_OK(store_jobs_reap(store, &reaped, &err), err);
    CU_ASSERT_STRING_EQUAL(db_sql_state("commit"), "PX001");
    CU_ASSERT_STRING_EQUAL(db_state(id), "ready");
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_metrics where job_id = '%s'", id), "0");
    db_sql("delete from jobs where id = '%s'", id);
  }
  store_close(store);
}

/* Whoever takes the job away waits for a commit that has begun; one that has not begun does not
 * hold it. */
static void an_open_transaction_does_not_keep_a_job_from_the_reaper(void) {
  struct store *store = db_test_open("triggers");
  struct store_reaped reaped;
  struct px_err err;
  const char *id = job_in("label", "running");
  db_sql("update jobs set lease_expires_at = clock_timestamp() where id = '%s'", id);
  db_sql("begin");
  CU_ASSERT_STRING_EQUAL(try_row(FENCED_ROWS[0], id, 1), "");
  db_sql("set constraints all immediate"); /* as the commit does */
  CU_OK(store_jobs_reap(store, &reaped, &err), err);
  CU_ASSERT_EQUAL(reaped.returned, 0);
  db_sql("commit");
  CU_OK(store_jobs_reap(store, &reaped, &err), err);
  CU_ASSERT_EQUAL(reaped.returned, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_metrics where job_id = '%s'", id), "1");
  store_close(store);
}

static void every_table_column_view_and_function_has_a_comment(void) {
  struct store *store = db_test_open("triggers");
  CU_ASSERT_STRING_EQUAL(
    db_sql("select coalesce(string_agg(c.relname || coalesce('.' || a.attname, ''), ' '), '') from "
           "pg_class c"
           " left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not "
           "a.attisdropped and c.relkind = 'r'"
           " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')"
           " and (obj_description(c.oid, 'pg_class') is null or (c.relkind = 'r' and "
           "col_description(c.oid, a.attnum) is null))"),
    "");
  CU_ASSERT_STRING_EQUAL(
    db_sql(
      "select coalesce(string_agg(proname, ' '), '') from pg_proc"
      " where pronamespace = 'public'::regnamespace and obj_description(oid, 'pg_proc') is null"),
    "");
  store_close(store);
}

CU_MAIN("store_triggers", T(only_legal_transitions_pass),
        T(a_pipeline_never_runs_and_resolves_from_blocked), T(terminal_jobs_never_change),
        T(the_epoch_grows_by_one_with_a_claim_and_only_then),
        T(checks_tie_lease_and_end_to_the_state), T(every_transition_is_recorded_in_order),
        T(every_table_a_job_writes_is_fenced),
        T(a_hold_lost_before_the_commit_is_refused_at_the_commit),
        T(an_open_transaction_does_not_keep_a_job_from_the_reaper),
        T(every_table_column_view_and_function_has_a_comment))
