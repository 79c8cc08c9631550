/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of jobs in the store: memory, a token's share, removal at a wish and with age. */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/flow/kinds.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/simulators.h"
#include "lib/store/store.h"
#include "lib/store/workers.h"
#include "tests/support/jobs.h"

enum { LEASE_MS = 30000 };

static const char *dataset(struct store *store) {
  static char id[STORE_ID_MAX];
  struct px_spaces *spaces = calloc(1, sizeof *spaces);
  struct px_err err;
  CU_ASSERT_PTR_NOT_NULL_FATAL(spaces);
  *spaces = (struct px_spaces){ .obs_dim = 1, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 } };
  db_sql("delete from datasets where name = 'limits'");
  CU_OK(store_dataset_create(store, "limits", spaces, NULL, id, &err), err);
  free(spaces);
  return id;
}

static enum px_status submit(struct store *store, const char *kind, const char *ds,
                             const char *parent, const char *need, int64_t memory,
                             char id[STORE_ID_MAX], struct px_err *err) {
  const char *const needs[] = { need };
  store_job_new_id(id);
  const struct store_job_draft draft = { .id = id,
                                         .kind = kind,
                                         .name = kind,
                                         .spec_json = "{}",
                                         .dataset_id = ds,
                                         .parent_id = parent,
                                         .needs = needs,
                                         .needs_n = need != NULL,
                                         .memory_bytes = memory };
  return store_jobs_submit(store, &draft, 1, err);
}

static void end(const char *id, const char *state) {
  db_sql("update jobs set state = 'running', epoch = epoch + 1, lease_owner = 'w', attempt = "
         "attempt + 1,"
         " lease_expires_at = clock_timestamp() + interval '1 hour' where id = '%s'",
         id);
  db_sql("update jobs set state = '%s', reason = '%s' where id = '%s'", state, state, id);
}

/* A finished training with its model. */
static void train(struct store *store, const char *ds, const char *kind, char id[STORE_ID_MAX]) {
  struct px_err err;
  struct store_job *job = NULL;
  CU_OK(submit(store, kind, ds, NULL, NULL, 0, id, &err), err);
  CU_OK(store_job_claim(store, "w", &kind, 1, LEASE_MS, 0, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  CU_OK(store_model_publish(store, &job->hold, ds, "policy", "bc", "weights", 7, "{}", &err), err);
  store_job_free(job);
}

static void want_of_memory_is_tried_once_more(void) {
  struct store *store = jobs_fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  jobs_fail(store, db_claim(store, "report"), PX_E_OOM);
  CU_ASSERT_STRING_EQUAL(db_state(id), "ready");
  db_sql("update jobs set run_after = clock_timestamp()");
  jobs_fail(store, db_claim(store, "report"), PX_E_OOM);
  CU_ASSERT_STRING_EQUAL(db_sql("select concat_ws(' ', state, attempt, reason) from jobs"),
                         "failed 2 oom");
  store_close(store);
}

static void a_worker_claims_only_what_fits_it(void) {
  struct store *store = jobs_fresh();
  char large[STORE_ID_MAX], small[STORE_ID_MAX];
  const char *kind = "report";
  struct store_job *job = NULL;
  struct px_err err;
  CU_OK(submit(store, kind, NULL, NULL, NULL, 2000, large, &err), err);
  CU_OK(submit(store, kind, NULL, NULL, NULL, 1000, small, &err), err);
  CU_OK(store_job_claim(store, "w", &kind, 1, LEASE_MS, 1999, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  CU_ASSERT_STRING_EQUAL(job->hold.job, small);
  store_job_free(job);
  job = NULL;
  CU_OK(store_job_claim(store, "w", &kind, 1, LEASE_MS, 1999, &job, &err), err);
  CU_ASSERT_PTR_NULL(job);
  CU_OK(store_job_claim(store, "w", &kind, 1, LEASE_MS, 2000, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL(job);
  store_job_free(job);
  store_close(store);
}

static void a_spec_of_a_later_revision_is_left_to_later_workers(void) {
  struct store *store = jobs_fresh();
  char later[STORE_ID_MAX], known[STORE_ID_MAX];
  const char *const kinds[] = { "label", "simulate_shard" };
  struct store_job *job = NULL;
  struct px_err err;
  CU_OK(submit(store, kinds[1], NULL, NULL, NULL, 0, later, &err), err);
  CU_OK(submit(store, kinds[0], NULL, NULL, NULL, 0, known, &err), err);
  char revision[16];
  snprintf(revision, sizeof revision, "%d", flow_kind_info(FLOW_SIMULATE_SHARD)->revision);
  CU_ASSERT_STRING_EQUAL(db_sql("select revision from jobs where id = '%s'", later), revision);
  db_sql("update jobs set revision = revision + 1 where id = '%s'", later);
  CU_OK(store_job_claim(store, "w", kinds, 2, LEASE_MS, 0, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  CU_ASSERT_STRING_EQUAL(job->hold.job, known);
  store_job_free(job);
  CU_OK(store_job_claim(store, "w", kinds, 2, LEASE_MS, 0, &job, &err), err);
  CU_ASSERT_PTR_NULL(job);
  CU_ASSERT_STRING_EQUAL(db_state(later), "ready");
  db_sql("update jobs set revision = revision - 1 where id = '%s'", later);
  CU_OK(store_job_claim(store, "w", kinds, 2, LEASE_MS, 0, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  CU_ASSERT_STRING_EQUAL(job->hold.job, later);
  store_job_free(job);
  store_close(store);
}

static void the_most_memory_is_that_of_workers_who_take_jobs(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  int64_t bytes = 0;
  CU_OK(store_worker_memory(store, &bytes, &err), err);
  CU_ASSERT_EQUAL(bytes, INT64_MAX); /* none yet: one may come */
  CU_OK(store_worker_seen(store, "small", "h", 1, false, 100, &err), err);
  CU_OK(store_worker_seen(store, "large", "h", 2, false, 300, &err), err);
  CU_OK(store_worker_seen(store, "drains", "h", 3, true, 900, &err), err);
  CU_OK(store_worker_memory(store, &bytes, &err), err);
  CU_ASSERT_EQUAL(bytes, 300);
  db_sql("update workers set last_seen_at = last_seen_at - interval '1 hour' where id = 'large'");
  CU_OK(store_worker_memory(store, &bytes, &err), err);
  CU_ASSERT_EQUAL(bytes, 100);
  CU_OK(store_worker_seen(store, "silent", "h", 4, false, 0, &err), err);
  CU_OK(store_worker_memory(store, &bytes, &err), err);
  CU_ASSERT_EQUAL(bytes, INT64_MAX);
  store_close(store);
}

static void a_token_has_only_so_many_unfinished_jobs(void) {
  struct store *store = jobs_fresh();
  uint8_t digest[PX_SHA256_BYTES], other[PX_SHA256_BYTES];
  char id[STORE_ID_MAX], first[STORE_ID_MAX];
  struct px_err err;
  px_digest_sha256("a", 1, digest);
  px_digest_sha256("b", 1, other);
  db_sql("delete from api_tokens");
  CU_OK(store_token_create(store, "a", digest, &err), err);
  CU_OK(store_token_create(store, "b", other, &err), err);
  store_set_submitter(store, digest, 2);
  CU_OK(submit(store, "report", NULL, NULL, NULL, 0, first, &err), err);
  CU_OK(submit(store, "report", NULL, NULL, NULL, 0, id, &err), err);
  CU_ASSERT_EQUAL(submit(store, "report", NULL, NULL, NULL, 0, id, &err), PX_E_TOO_MANY_JOBS);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "has 2 unfinished jobs"));
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "2");
  store_set_submitter(store, other, 2);
  CU_OK(submit(store, "report", NULL, NULL, NULL, 0, id, &err), err);
  store_set_submitter(store, NULL, 0);
  CU_OK(submit(store, "report", NULL, NULL, NULL, 0, id, &err), err);
  store_set_submitter(store, digest, 2);
  CU_OK(store_job_cancel(store, first, &err), err);
  CU_OK(submit(store, "report", NULL, NULL, NULL, 0, id, &err), err); /* there is room again */
  store_close(store);
}

static enum px_status post(struct store *store, const char *name,
                           const struct store_simulator_bounds *bounds, char id[STORE_ID_MAX],
                           struct px_err *err) {
  const struct store_simulator_draft draft = { .name = name,
                                               .mjcf = "<mujoco/>",
                                               .layout_json = "{}",
                                               .obs_dim = 1,
                                               .act_dim = 1,
                                               .nq = 1,
                                               .nv = 1,
                                               .nu = 1,
                                               .time_step = 0.01 };
  return store_simulator_create(store, &draft, bounds, id, err);
}

static void a_token_has_only_so_many_simulators(void) {
  struct store *store = jobs_fresh();
  const struct store_simulator_bounds two = { .number = 2 }, bytes = { .bytes = 3 * 11 },
                                      none = { 0, 0 };
  uint8_t digest[PX_SHA256_BYTES], other[PX_SHA256_BYTES];
  char id[STORE_ID_MAX], first[STORE_ID_MAX];
  struct px_err err;
  px_digest_sha256("a", 1, digest);
  px_digest_sha256("b", 1, other);
  db_sql("delete from api_tokens");
  db_sql("delete from simulators");
  CU_OK(store_token_create(store, "a", digest, &err), err);
  CU_OK(store_token_create(store, "b", other, &err), err);
  store_set_submitter(store, digest, 0);
  CU_OK(post(store, "1", &two, first, &err), err);
  CU_OK(post(store, "2", &two, id, &err), err);
  CU_ASSERT_EQUAL(post(store, "3", &two, id, &err), PX_E_TOO_MANY_SIMULATORS);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "has 2 simulators, and may have 2"));
  CU_OK(post(store, "3", &bytes, id, &err), err);
  CU_ASSERT_EQUAL(post(store, "4", &bytes, id, &err), PX_E_TOO_MANY_SIMULATORS);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "44 bytes, and may have 33"));
  /* nothing is left of those refused */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from simulators"), "3");
  store_set_submitter(store, other, 0);
  CU_OK(post(store, "4", &two, id, &err), err); /* another token's */
  store_set_submitter(store, digest, 0);
  CU_OK(store_simulator_delete(store, first, &err), err);
  CU_OK(post(store, "5", &bytes, id, &err), err);
  CU_OK(post(store, "6", &none, id, &err), err);
  db_sql("delete from simulators");
  store_close(store);
}

struct submitter_thread {
  pthread_t thread;
  const uint8_t *digest;
  int taken;
};
static void *submit_some(void *arg) {
  struct submitter_thread *t = arg;
  struct store *store = db_test_open("submitter");
  char id[STORE_ID_MAX];
  struct px_err err;
  store_set_submitter(store, t->digest, 10);
  for (int i = 0; i < 10; i++)
    t->taken += submit(store, "report", NULL, NULL, NULL, 0, id, &err) == PX_OK;
  store_close(store);
  return NULL;
}

static void several_at_once_keep_to_the_bound_together(void) {
  struct store *store = jobs_fresh();
  uint8_t digest[PX_SHA256_BYTES];
  struct submitter_thread threads[4];
  struct px_err err;
  int taken = 0;
  px_digest_sha256("a", 1, digest);
  db_sql("delete from api_tokens");
  CU_OK(store_token_create(store, "a", digest, &err), err);
  for (int i = 0; i < 4; i++) {
    threads[i] = (struct submitter_thread){ .digest = digest };
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i].thread, NULL, submit_some, &threads[i]), 0);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i].thread, NULL), taken += threads[i].taken;
  CU_ASSERT_EQUAL(taken, 10);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "10");
  store_close(store);
}

/* ---- removal */

static void a_finished_job_is_removed_with_what_it_left(void) {
  struct store *store = jobs_fresh();
  const char *ds = dataset(store);
  char id[STORE_ID_MAX], waits[STORE_ID_MAX];
  struct px_err err;
  train(store, ds, "train_policy", id);
  CU_OK(submit(store, "evaluate", ds, NULL, id, 0, waits, &err), err);
  /* an unfinished job needs its model */
  CU_ASSERT_EQUAL(store_job_delete(store, id, &err), PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, waits));
  CU_ASSERT_EQUAL(store_job_delete(store, waits, &err), PX_E_CONFLICT); /* it has not ended */
  end(waits, "succeeded");
  CU_OK(store_job_delete(store, id, &err), err);
  CU_ASSERT_EQUAL(store_job_delete(store, id, &err), PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select (select count(*) from models) || ' ' || (select count(*) from jobs)"), "0 1");
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) from blobs where attached and sha256 = sha256('weights')"), "0");
  CU_ASSERT_EQUAL(submit(store, "evaluate", ds, NULL, id, 0, waits, &err), PX_E_NOT_FOUND);
  store_close(store);
}

static void a_pipeline_goes_with_its_children_and_they_not_without_it(void) {
  struct store *store = jobs_fresh();
  char pipeline[STORE_ID_MAX], child[STORE_ID_MAX];
  struct px_err err;
  store_job_new_id(pipeline);
  store_job_new_id(child);
  const char *const needs[] = { child };
  const struct store_job_draft drafts[] = {
    { .id = pipeline,
      .kind = "pipeline",
      .name = "pipeline",
      .spec_json = "{}",
      .needs = needs,
      .needs_n = 1 },
    { .id = child, .kind = "report", .name = "report", .spec_json = "{}", .parent_id = pipeline },
  };
  CU_OK(store_jobs_submit(store, drafts, 2, &err), err);
  CU_ASSERT_EQUAL(store_job_delete(store, pipeline, &err), PX_E_CONFLICT);
  end(child, "succeeded");
  CU_ASSERT_STRING_EQUAL(db_state(pipeline), "succeeded");
  CU_ASSERT_EQUAL(store_job_delete(store, child, &err), PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, pipeline));
  CU_OK(store_job_delete(store, pipeline, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "0");
  store_close(store);
}

static void a_model_is_removed_alone_and_missed_by_who_comes_later(void) {
  struct store *store = jobs_fresh();
  const char *ds = dataset(store);
  char id[STORE_ID_MAX], model[STORE_ID_MAX], waits[STORE_ID_MAX];
  struct px_err err;
  train(store, ds, "train_policy", id);
  store_result_id("mdl", id, model);
  CU_OK(submit(store, "evaluate", ds, NULL, id, 0, waits, &err), err);
  CU_ASSERT_EQUAL(store_model_delete(store, model, &err), PX_E_CONFLICT);
  end(waits, "failed");
  CU_OK(store_model_delete(store, model, &err), err);
  CU_ASSERT_EQUAL(store_model_delete(store, model, &err), PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(db_state(id), "succeeded");
  CU_ASSERT_EQUAL(submit(store, "evaluate", ds, NULL, id, 0, waits, &err), PX_E_NOT_FOUND);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "was removed"));
  store_close(store);
}

/* A submission that is not committed yet: the removal waits for it, and then sees it. */
struct removal {
  struct store *store;
  const char *id;
  enum px_status status;
  bool model;
};
static void *remove_it(void *arg) {
  struct removal *r = arg;
  struct px_err err;
  r->status =
    r->model ? store_model_delete(r->store, r->id, &err) : store_job_delete(r->store, r->id, &err);
  return NULL;
}

static void beside_a_submission(bool model) {
  struct store *store = jobs_fresh();
  const char *ds = dataset(store);
  char id[STORE_ID_MAX], mdl[STORE_ID_MAX];
  train(store, ds, "train_policy", id);
  store_result_id("mdl", id, mdl);
  struct removal r = { .store = store, .id = model ? mdl : id, .model = model };
  PGconn *other = PQconnectdb(db_test_url());
  char sql[1024];
  snprintf(
    sql, sizeof sql,
    "begin; select from jobs where id = '%s' for share;"
    " insert into jobs (id, kind, spec, state) values ('job_late', 'evaluate', '{}', 'ready');"
    " insert into job_deps values ('job_late', '%s')",
    id, id);
  PQclear(PQexec(other, sql));
  CU_ASSERT_EQUAL(PQstatus(other), CONNECTION_OK);
  pthread_t thread;
  CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, remove_it, &r), 0);
  while (strcmp(db_sql("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and "
                       "application_name = 'jobs'"),
                "1") != 0)
    continue;
  PQclear(PQexec(other, "commit"));
  PQfinish(other);
  pthread_join(thread, NULL);
  CU_ASSERT_EQUAL(r.status, PX_E_CONFLICT);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from models"), "1");
  store_close(store);
}
static void a_removal_waits_for_submissions_that_came_first(void) {
  beside_a_submission(false);
  beside_a_submission(true);
}

/* ---- with age */

static void age(const char *id, int days) {
  db_sql("alter table jobs disable trigger user; update jobs set finished_at = clock_timestamp() - "
         "%d * interval '1 day' where id = '%s';"
         " alter table jobs enable trigger user",
         days, id);
}

static int old(struct store *store, struct store_keep keep) {
  struct px_err err;
  int removed = -1;
  CU_OK(store_job_janitor_old(store, &keep, &removed, &err), err);
  return removed;
}

static void old_jobs_go_but_what_is_needed_or_left_a_model_stays(void) {
  struct store *store = jobs_fresh();
  const char *ds = dataset(store);
  char report[STORE_ID_MAX], young[STORE_ID_MAX], trained[STORE_ID_MAX], needed[STORE_ID_MAX],
    open[STORE_ID_MAX];
  struct px_err err;
  CU_OK(submit(store, "report", ds, NULL, NULL, 0, report, &err), err);
  CU_OK(submit(store, "report", ds, NULL, NULL, 0, young, &err), err);
  CU_OK(submit(store, "report", ds, NULL, NULL, 0, needed, &err), err);
  end(report, "succeeded"), end(young, "succeeded"), end(needed, "succeeded");
  train(store, ds, "train_policy", trained);
  CU_OK(submit(store, "export", ds, NULL, needed, 0, open, &err), err);
  age(report, 40), age(trained, 50), age(needed, 60);
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ 0 }), 0); /* all is kept */
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_days = 30 }), 1);
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_days = 30 }), 0);
  CU_ASSERT_STRING_EQUAL(db_state(report), "");
  CU_ASSERT_STRING_EQUAL(db_state(trained), "succeeded");
  CU_ASSERT_STRING_EQUAL(db_state(needed), "succeeded");
  end(open, "succeeded");
  /* a job that is kept names it */
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_days = 30 }), 0);
  age(open, 31);
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_days = 30 }), 1);
  /* and now nobody does */
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_days = 30 }), 1);
  char model[STORE_ID_MAX];
  store_result_id("mdl", trained, model);
  CU_OK(store_model_delete(store, model, &err), err);
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_days = 30 }), 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(id, ' ') from jobs"), young);
  store_close(store);
}

static void of_many_jobs_the_newest_stay(void) {
  struct store *store = jobs_fresh();
  char id[5][STORE_ID_MAX];
  for (int i = 0; i < 5; i++) {
    db_submit(store, "report", NULL, id[i]);
    end(id[i], i % 2 ? "failed" : "succeeded");
    age(id[i], 10 - i);
  }
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_n = 2 }), 3);
  CU_ASSERT_EQUAL(old(store, (struct store_keep){ .jobs_n = 2 }), 0);
  CU_ASSERT_STRING_EQUAL(db_state(id[3]), "failed");
  CU_ASSERT_STRING_EQUAL(db_state(id[4]), "succeeded");
  store_close(store);
}

static void old_curves_and_events_go(void) {
  struct store *store = jobs_fresh();
  char id[STORE_ID_MAX];
  struct px_err err;
  struct px_buf text = PX_BUF(1 << 16);
  db_submit(store, "report", NULL, id);
  jobs_fail(store, db_claim(store, "report"), PX_E_CHILD_CRASHED);
  db_sql("update jobs set run_after = clock_timestamp()");
  const struct store_lease hold = db_claim(store, "report");
  CU_OK(store_job_metrics_put(store, &hold, &(struct store_metric){ "loss", 1, 0.5 }, 1, &err),
        err);
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  const struct store_keep keep = { .metrics_days = 7, .events_days = 7, .artifacts_days = 7 };
  CU_ASSERT_EQUAL(old(store, keep), 0);
  age(id, 8);
  /* one value; of ready, running, ready, running, succeeded the middle three */
  CU_ASSERT_EQUAL(old(store, keep), 1 + 3);
  CU_ASSERT_EQUAL(old(store, keep), 0);
  CU_OK(store_job_events(store, id, &text, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "succeeded"));
  px_buf_free(&text);
  store_close(store);
}

struct janitor {
  pthread_t thread;
  int removed;
};
static void *clean(void *arg) {
  struct janitor *j = arg;
  struct store *store = db_test_open("janitor");
  const struct store_keep keep = { .jobs_days = 1, .metrics_days = 1, .events_days = 1 };
  struct px_err err;
  if (store_job_janitor_old(store, &keep, &j->removed, &err)) j->removed = -1000;
  store_close(store);
  return NULL;
}

static void several_janitors_at_once_do_it_once(void) {
  struct store *store = jobs_fresh();
  struct janitor janitors[4] = { 0 };
  int removed = 0;
  for (int i = 0; i < 30; i++) {
    char id[STORE_ID_MAX];
    db_submit(store, "report", NULL, id);
    end(id, "succeeded");
  }
  db_sql(
    "alter table jobs disable trigger user; update jobs set finished_at = clock_timestamp() - "
    "interval '9 days';"
    " alter table jobs enable trigger user; delete from job_events where to_state = 'running'");
  for (int i = 0; i < 4; i++)
    CU_ASSERT_EQUAL_FATAL(pthread_create(&janitors[i].thread, NULL, clean, &janitors[i]), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(janitors[i].thread, NULL), removed += janitors[i].removed;
  CU_ASSERT_EQUAL(removed, 30);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "0");
  store_close(store);
}

/* ---- cursors */

static void a_page_goes_on_where_the_last_one_ended_though_that_is_gone(void) {
  struct store *store = jobs_fresh();
  char id[4][STORE_ID_MAX], next[96];
  struct px_err err;
  struct px_buf text = PX_BUF(1 << 20);
  for (int i = 0; i < 4; i++) {
    db_submit(store, "report", NULL, id[i]);
    end(id[i], "succeeded");
  }
  struct store_job_filter filter = { .limit = 2 };
  CU_OK(store_job_list(store, &filter, &text, &err), err);
  json_t *page = json_loads(text.data, 0, NULL);
  snprintf(next, sizeof next, "%s", jobs_field(page, "next"));
  json_decref(page);
  text.len = 0;
  CU_OK(store_job_delete(store, id[2], &err), err); /* the last of that page */
  filter.before = next;
  CU_OK(store_job_list(store, &filter, &text, &err), err);
  page = json_loads(text.data, 0, NULL);
  CU_ASSERT_EQUAL(json_array_size(json_object_get(page, "items")), 2);
  CU_ASSERT_STRING_EQUAL(jobs_field(json_array_get(json_object_get(page, "items"), 0), "id"),
                         id[1]);
  CU_ASSERT_TRUE(json_is_null(json_object_get(page, "next")));
  json_decref(page);
  px_buf_free(&text);
  store_close(store);
}

CU_MAIN("store_limits", T(want_of_memory_is_tried_once_more), T(a_worker_claims_only_what_fits_it),
        T(a_spec_of_a_later_revision_is_left_to_later_workers),
        T(the_most_memory_is_that_of_workers_who_take_jobs),
        T(a_token_has_only_so_many_unfinished_jobs), T(a_token_has_only_so_many_simulators),
        T(several_at_once_keep_to_the_bound_together),
        T(a_finished_job_is_removed_with_what_it_left),
        T(a_pipeline_goes_with_its_children_and_they_not_without_it),
        T(a_model_is_removed_alone_and_missed_by_who_comes_later),
        T(a_removal_waits_for_submissions_that_came_first),
        T(old_jobs_go_but_what_is_needed_or_left_a_model_stays), T(of_many_jobs_the_newest_stay),
        T(old_curves_and_events_go), T(several_janitors_at_once_do_it_once),
        T(a_page_goes_on_where_the_last_one_ended_though_that_is_gone))
