/* Jobs through the store: submit, claim, heartbeat, end, retry, lost leases, cancel, dependencies. */
#include <jansson.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/jsonmem.h"
#include "lib/store/checkpoints.h"
#include "lib/store/results.h"
#include "tests/support/db.h"

enum { LEASE_MS = 30000 };

static struct store *fresh(void) {
  struct store *store = db_test_open("jobs");
  db_sql("truncate jobs, workers cascade");
  return store;
}

static json_t *document(struct store *store, const char *id) {
  struct px_err err;
  struct px_buf text = PX_BUF(1 << 20);
  int64_t version;
  CU_OK(store_job_document(store, id, &text, &version, &err), err);
  json_t *doc = json_loads(text.data, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
  px_buf_free(&text);
  return doc;
}
static const char *field(const json_t *doc, const char *name) {
  const char *text = json_string_value(json_object_get(doc, name));
  return text ? text : "";
}

static void fail_with(struct store *store, struct store_hold hold, enum px_status code) {
  struct px_err why, err;
  px_fail(&why, code, "because of %s", px_status_slug(code));
  CU_OK(store_job_fail(store, &hold, &why, &err), err);
}
static void expire(const char *id) {
  db_sql("update jobs set lease_expires_at = clock_timestamp() - interval '1 s' where id = '%s'", id);
}
static struct store_reaped reap(struct store *store) {
  struct px_err err;
  struct store_reaped reaped = { 0 };
  CU_OK(store_jobs_reap(store, &reaped, &err), err);
  return reaped;
}

/* --- claim --- */

static void claim_takes_priority_then_age_and_only_asked_kinds(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[4][STORE_ID_MAX];
  static const int PRIORITY[] = { 0, 5, 0, 5 };
  for (int i = 0; i < 4; i++) {
    store_job_new_id(id[i]);
    const struct store_job_draft draft = { .id = id[i], .kind = i == 3 ? "label" : "report", .name = "", .spec_json = "{\"n\": 1}",
                                           .priority = PRIORITY[i] };
    CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
  }
  CU_ASSERT_STRING_EQUAL(db_claim(store, "report").job, id[1]);
  CU_ASSERT_STRING_EQUAL(db_claim(store, "report").job, id[0]);
  CU_ASSERT_STRING_EQUAL(db_claim(store, "report").job, id[2]);
  struct store_job *none = (struct store_job *)&err;
  const char *kind = "report";
  CU_OK(store_job_claim(store, "w", &kind, 1, LEASE_MS, &none, &err), err);
  CU_ASSERT_PTR_NULL(none);
  CU_ASSERT_STRING_EQUAL(db_claim(store, "label").job, id[3]);
  store_close(store);
}

static void a_claimed_job_brings_all_that_its_worker_needs(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "label", NULL, id);
  const char *kinds[] = { "report", "label" };
  struct store_job *job;
  CU_OK(store_job_claim(store, "w", kinds, 2, LEASE_MS, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  CU_ASSERT_STRING_EQUAL(job->hold.job, id);
  CU_ASSERT_EQUAL(job->hold.epoch, 1);
  CU_ASSERT_EQUAL(job->attempt, 1);
  CU_ASSERT_STRING_EQUAL(job->kind, "label");
  CU_ASSERT_STRING_EQUAL(job->spec_json, "{}");
  store_job_free(job);
  store_close(store);
}

struct claimer { const char *name; char taken[300][STORE_ID_MAX]; int n; bool failed; };
static void *claim_all(void *arg) {
  struct claimer *c = arg;
  struct store *store;
  struct px_err err;
  const char *kind = "evaluate";
  if (store_open(db_test_url(), c->name, &store, &err)) return c->failed = true, NULL;
  for (struct store_job *job;;) {
    if (store_job_claim(store, c->name, &kind, 1, LEASE_MS, &job, &err)) c->failed = true;
    if (c->failed || !job) break;
    memcpy(c->taken[c->n++], job->hold.job, STORE_ID_MAX);
    if (store_job_succeed(store, &job->hold, "{}", &err)) c->failed = true;
    store_job_free(job);
  }
  store_close(store);
  return NULL;
}

static void claimers_never_get_the_same_job(void) {
  enum { CLAIMERS = 4, JOBS = 300 };
  struct store *store = fresh();
  db_sql("insert into jobs (kind, spec) select 'evaluate', '{}' from generate_series(1, %d)", JOBS);
  static struct claimer claimers[CLAIMERS];
  pthread_t threads[CLAIMERS];
  for (int i = 0; i < CLAIMERS; i++) {
    claimers[i] = (struct claimer){ .name = (const char *[]){ "c0", "c1", "c2", "c3" }[i] };
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, claim_all, &claimers[i]), 0);
  }
  int sum = 0;
  for (int i = 0; i < CLAIMERS; i++) {
    pthread_join(threads[i], NULL);
    CU_ASSERT_FALSE(claimers[i].failed);
    sum += claimers[i].n;
  }
  CU_ASSERT_EQUAL(sum, JOBS);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) filter (where epoch = 1 and state = 'succeeded') from jobs"), "300");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events where to_state = 'running'"), "300");
  store_close(store);
}

/* --- running --- */

static void heartbeat_extends_the_lease_and_tells_progress(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_hold hold = db_claim(store, "report");
  expire(id);
  bool cancel = true;
  CU_OK(store_job_heartbeat(store, &hold, LEASE_MS, "train", 25, 100, &cancel, &err), err);
  CU_ASSERT_FALSE(cancel);
  CU_ASSERT_EQUAL(reap(store).returned, 0);
  json_t *doc = document(store, id);
  CU_ASSERT_STRING_EQUAL(field(doc, "phase"), "train");
  const json_t *progress = json_object_get(doc, "progress");
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(progress, "step")), 25);
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(progress, "total")), 100);
  CU_ASSERT_TRUE(json_is_number(json_object_get(progress, "eta_s")));
  json_decref(doc);
  store_close(store);
}

static void time_left_follows_from_what_was_done(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_hold hold = db_claim(store, "report");
  bool cancel;
  CU_OK(store_job_heartbeat(store, &hold, LEASE_MS, NULL, 25, 100, &cancel, &err), err);
  db_sql("update jobs set started_at = clock_timestamp() - interval '10 s'");
  json_t *doc = document(store, id);
  CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(json_object_get(doc, "progress"), "eta_s")), 30, 1);
  json_decref(doc);
  store_close(store);
}

static void succeeding_twice_is_already_and_keeps_the_first_result(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_hold hold = db_claim(store, "report");
  CU_OK(store_job_succeed(store, &hold, "{\"a\": 1}", &err), err);
  CU_OK(store_job_succeed(store, &hold, "{\"a\": 2}", &err), err);
  struct px_buf result = PX_BUF(100);
  CU_OK(store_job_result(store, id, &result, &err), err);
  CU_ASSERT_STRING_EQUAL(result.data, "{\"a\": 1}");
  px_buf_free(&result);
  const struct store_hold other = { "job_00000000000000000000", 1 };
  CU_ASSERT_EQUAL(store_job_succeed(store, &other, "{}", &err), PX_E_FENCED);
  store_close(store);
}

static void zombies_are_fenced_everywhere(void) {
  struct store *store = fresh();
  struct px_err err, why;
  char id[STORE_ID_MAX];
  db_submit(store, "label", NULL, id);
  const struct store_hold old = db_claim(store, "label");
  expire(id);
  CU_ASSERT_EQUAL(reap(store).returned, 1);
  bool cancel;
  const struct store_metric metric = { "loss", 1, 0.5 };
  const struct store_label_segment labels = { .label_job = id, .bytes = "abc", .n = 3, .steps_n = 1, .known_n = 1, .profile = "p" };
  px_fail(&why, PX_E_OOM, "late");
  for (int claimed = 0; claimed < 2; claimed++) {
    CU_ASSERT_EQUAL(store_job_heartbeat(store, &old, LEASE_MS, NULL, 0, 0, &cancel, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_metrics_put(store, &old, &metric, 1, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_succeed(store, &old, "{}", &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_fail(store, &old, &why, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_give_back(store, &old, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_model_publish(store, &old, "ds_x", "idm", "x", "abc", 3, "{}", &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_label_stage(store, &old, &labels, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_label_publish(store, &old, "ds_x", 1, "{}", &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_artifacts_publish(store, &old, NULL, 0, "{}", &err), PX_E_FENCED);
    if (!claimed) CU_ASSERT_EQUAL(db_claim(store, "label").epoch, 2);
  }
  store_close(store);
}

static void metrics_of_the_running_attempt_are_listed(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_hold hold = db_claim(store, "report");
  const struct store_metric metrics[] = { { "loss", 1, 0.5 }, { "loss", 2, 0.25 }, { "r2", 2, -1e-300 } };
  CU_OK(store_job_metrics_put(store, &hold, metrics, 3, &err), err);
  CU_OK(store_job_metrics_put(store, &hold, metrics, 2, &err), err); /* harmless */
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_job_metrics(store, id, &text, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "{\"name\": \"loss\", \"step\": 2, \"value\": 0.25}"));
  px_buf_free(&text);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_metrics where job_id = '%s'", id), "3");
  store_close(store);
}

/* --- ends other than success --- */

static void soft_failures_are_retried_after_a_growing_pause_until_attempts_run_out(void) {
  struct store *store = fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  double last = 0;
  for (int attempt = 1; attempt <= 5; attempt++) {
    const struct store_hold hold = db_claim(store, "report");
    CU_ASSERT_EQUAL(hold.epoch, attempt);
    fail_with(store, hold, PX_E_OOM);
    if (attempt == 5) break;
    CU_ASSERT_STRING_EQUAL(db_state(id), "ready");
    const double pause = strtod(db_sql("select extract(epoch from run_after - clock_timestamp()) from jobs"), NULL);
    CU_ASSERT(pause > 0.3 * (1 << (attempt - 1)) && pause < 0.65 * (1 << (attempt - 1)));
    CU_ASSERT(pause > last);
    last = pause;
    db_sql("update jobs set run_after = clock_timestamp()");
  }
  CU_ASSERT_STRING_EQUAL(db_state(id), "failed");
  json_t *doc = document(store, id);
  CU_ASSERT_STRING_EQUAL(field(doc, "reason"), "oom");
  CU_ASSERT_STRING_EQUAL(field(json_object_get(doc, "error"), "detail"), "because of oom");
  CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "transitions")), 11);
  json_decref(doc);
  store_close(store);
}

static void want_of_room_spends_no_attempt_and_is_waited_out(void) {
  struct store *store = fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  for (int times = 0; times < 9; times++) {
    fail_with(store, db_claim(store, "report"), PX_E_NO_SPACE);
    CU_ASSERT_STRING_EQUAL(db_sql("select concat_ws(' ', state, attempt, reason) from jobs"), "ready 0 no_space");
    const double pause = strtod(db_sql("select extract(epoch from run_after - clock_timestamp()) from jobs"), NULL);
    const double meant = times < 7 ? 0.5 * (1 << times) : 60;
    CU_ASSERT(pause > 0.6 * meant && pause < 1.3 * meant);
    db_sql("update jobs set run_after = clock_timestamp()");
  }
  fail_with(store, db_claim(store, "report"), PX_E_OOM);
  CU_ASSERT_STRING_EQUAL(db_sql("select state || attempt from jobs"), "ready1");
  store_close(store);
}

static void what_there_was_no_memory_for_is_not_committed(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  json_malloc_t take;
  json_free_t give;
  px_json_setup();
  json_get_alloc_funcs(&take, &give);
  CU_ASSERT_PTR_NULL(take(PTRDIFF_MAX)); /* a part of a document, say */
  store_job_new_id(id);
  const struct store_job_draft draft = { .id = id, .kind = "report", .name = "report", .spec_json = "{}" };
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_NO_MEMORY);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "0");
  px_json_forget();
  CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "1");
  store_close(store);
}

static void bad_input_is_never_retried(void) {
  struct store *store = fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  fail_with(store, db_claim(store, "report"), PX_E_NAN_LOSS);
  CU_ASSERT_STRING_EQUAL(db_state(id), "failed");
  store_close(store);
}

static void a_message_that_is_no_text_still_fails_the_job(void) {
  struct store *store = fresh();
  struct px_err why, err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_hold hold = db_claim(store, "report");
  px_fail(&why, PX_E_BAD_DATA, "in \"\xff\xfe\x01\"");
  CU_OK(store_job_fail(store, &hold, &why, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select error->>'detail' from jobs"), "in \"???\"");
  store_close(store);
}

static void giving_back_costs_no_attempt(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  for (int i = 1; i <= 7; i++) {
    const struct store_hold hold = db_claim(store, "report");
    CU_ASSERT_EQUAL(hold.epoch, i);
    CU_OK(store_job_give_back(store, &hold, &err), err);
    CU_ASSERT_STRING_EQUAL(db_sql("select state || attempt from jobs"), "ready0");
  }
  store_close(store);
}

static void expired_lease_returns_job_to_ready_and_the_third_fails_it(void) {
  struct store *store = fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  for (int lost = 1; lost <= 3; lost++) {
    CU_ASSERT_EQUAL(db_claim(store, "report").epoch, lost);
    CU_ASSERT_EQUAL(reap(store).returned, 0);
    expire(id);
    const struct store_reaped reaped = reap(store);
    CU_ASSERT_EQUAL(reaped.returned, lost < 3);
    CU_ASSERT_EQUAL(reaped.failed, lost == 3);
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select state || reason || (error->>'code') from jobs"), "failedworker_lostworker_lost");
  store_close(store);
}

static void the_reaper_ends_sessions_of_lost_attempts_only(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[2][STORE_ID_MAX], name[64];
  struct store *child[2];
  int session[2];
  for (int i = 0; i < 2; i++) {
    db_submit(store, "report", NULL, id[i]);
    db_claim(store, "report");
    snprintf(name, sizeof name, "px %.30s 1", id[i]);
    CU_OK(store_open(db_test_url(), name, &child[i], &err), err);
    session[i] = (int)strtol(db_sql("select pid from pg_stat_activity where application_name = '%s'", name), NULL, 10);
  }
  expire(id[0]);
  const struct store_reaped reaped = reap(store);
  CU_ASSERT_EQUAL(reaped.returned, 1);
  CU_ASSERT_EQUAL(reaped.sessions_ended, 1);
  const char *left = "";
  for (int i = 0; i < 2000 && *(left = db_sql("select pid from pg_stat_activity where pid = %d", session[0])); i++) usleep(5000);
  CU_ASSERT_STRING_EQUAL(left, ""); /* it takes note in a moment */
  CU_OK(store_ping(child[0], &err), err); /* and opens another, which the fence stops */
  CU_OK(store_ping(child[1], &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from pg_stat_activity where pid = %d", session[1]), "1");
  store_close(child[0]);
  store_close(child[1]);
  store_close(store);
}

/* --- cancel --- */

static void cancelling_pending_is_at_once_and_running_with_the_next_heartbeat(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  CU_OK(store_job_cancel(store, id, &err), err);
  CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
  CU_ASSERT_EQUAL(store_job_cancel(store, id, &err), PX_E_CONFLICT);
  CU_ASSERT_EQUAL(store_job_cancel(store, "job_none", &err), PX_E_NOT_FOUND);
  db_submit(store, "report", NULL, id);
  const struct store_hold hold = db_claim(store, "report");
  CU_OK(store_job_cancel(store, id, &err), err);
  CU_OK(store_job_cancel(store, id, &err), err);
  bool cancel = false;
  CU_OK(store_job_heartbeat(store, &hold, LEASE_MS, NULL, 0, 0, &cancel, &err), err);
  CU_ASSERT_TRUE(cancel);
  fail_with(store, hold, PX_E_CANCELLED);
  CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
  store_close(store);
}

static void a_cancelled_job_does_not_come_back_whichever_way_it_leaves(void) {
  struct store *store = fresh();
  struct px_err err;
  for (int way = 0; way < 3; way++) {
    char id[STORE_ID_MAX];
    db_submit(store, "report", NULL, id);
    const struct store_hold hold = db_claim(store, "report");
    CU_OK(store_job_cancel(store, id, &err), err);
    if (way == 0) fail_with(store, hold, PX_E_OOM);
    if (way == 1) CU_OK(store_job_give_back(store, &hold, &err), err);
    if (way == 2) {
      expire(id);
      CU_ASSERT_EQUAL(reap(store).cancelled, 1);
    }
    CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
  }
  store_close(store);
}

/* --- graphs --- */

/* pipeline P needs report R, which needs A and B; all are P's children. */
struct graph { char p[STORE_ID_MAX], a[STORE_ID_MAX], b[STORE_ID_MAX], r[STORE_ID_MAX]; };
static struct graph submit_graph(struct store *store) {
  struct px_err err;
  struct graph g;
  store_job_new_id(g.p);
  store_job_new_id(g.a);
  store_job_new_id(g.b);
  store_job_new_id(g.r);
  const char *report_needs[] = { g.a, g.b }, *pipeline_needs[] = { g.r };
  const struct store_job_draft drafts[] = {
    { .id = g.r, .kind = "report", .name = "report", .spec_json = "{}", .parent_id = g.p, .needs = report_needs, .needs_n = 2 },
    { .id = g.a, .kind = "train_idm", .name = "a", .spec_json = "{}", .parent_id = g.p },
    { .id = g.b, .kind = "train_policy", .name = "b", .spec_json = "{}", .parent_id = g.p },
    { .id = g.p, .kind = "pipeline", .name = "pipe", .spec_json = "{}", .needs = pipeline_needs, .needs_n = 1 },
  };
  CU_OK(store_jobs_submit(store, drafts, 4, &err), err);
  return g;
}

static void dependants_become_ready_and_the_pipeline_takes_the_reports_result(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct graph g = submit_graph(store);
  json_t *doc = document(store, g.p);
  CU_ASSERT_STRING_EQUAL(field(doc, "state"), "queued");
  CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "children")), 3);
  json_decref(doc);
  struct store_hold hold = db_claim(store, "train_idm");
  doc = document(store, g.p);
  CU_ASSERT_STRING_EQUAL(field(doc, "state"), "running");
  json_decref(doc);
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_ASSERT_STRING_EQUAL(db_state(g.r), "blocked");
  hold = db_claim(store, "train_policy");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_ASSERT_STRING_EQUAL(db_state(g.r), "ready");
  hold = db_claim(store, "report");
  CU_OK(store_job_succeed(store, &hold, "{\"mse\": 0.05}", &err), err);
  doc = document(store, g.p);
  CU_ASSERT_STRING_EQUAL(field(doc, "state"), "succeeded");
  CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(json_object_get(doc, "result"), "mse")), 0.05, 1e-12);
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(doc, "progress"), "step")), 3);
  json_decref(doc);
  doc = document(store, g.a);
  CU_ASSERT_STRING_EQUAL(field(doc, "model_id") + 4, g.a + 4);
  json_decref(doc);
  store_close(store);
}

static void failure_reaches_the_pipeline_with_the_root_cause(void) {
  struct store *store = fresh();
  const struct graph g = submit_graph(store);
  db_claim(store, "train_policy");
  fail_with(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
  json_t *doc = document(store, g.p);
  CU_ASSERT_STRING_EQUAL(field(doc, "state"), "failed");
  CU_ASSERT_STRING_EQUAL(field(doc, "reason"), "dependency_failed");
  const json_t *error = json_object_get(doc, "error");
  CU_ASSERT_STRING_EQUAL(field(error, "job"), g.a);
  CU_ASSERT_STRING_EQUAL(field(error, "cause"), "nan_loss");
  CU_ASSERT_PTR_NOT_NULL(strstr(field(error, "detail"), "because of nan_loss"));
  json_decref(doc);
  CU_ASSERT_STRING_EQUAL(db_state(g.r), "failed");
  reap(store); /* what still runs for nothing is told to stop */
  CU_ASSERT_STRING_EQUAL(db_sql("select cancel_requested::text from jobs where id = '%s'", g.b), "true");
  store_close(store);
}

static void cancelling_a_pipeline_cancels_all_its_children(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct graph g = submit_graph(store);
  db_claim(store, "train_idm");
  CU_OK(store_job_cancel(store, g.p, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(state || cancel_requested, ' ' order by kind) from jobs"),
                         "cancelledfalse cancelledfalse runningtrue cancelledfalse");
  store_close(store);
}

static void the_reaper_cancels_pending_children_of_ended_pipelines(void) {
  struct store *store = fresh();
  const struct graph g = submit_graph(store);
  fail_with(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
  CU_ASSERT_STRING_EQUAL(db_state(g.b), "ready");
  CU_ASSERT_EQUAL(reap(store).cancelled, 1);
  CU_ASSERT_STRING_EQUAL(db_state(g.b), "cancelled");
  store_close(store);
}

/* d needs b and c, c needs b too: the end of b reaches d twice. */
static void a_diamond_of_dependants_ends_each_of_them_once(void) {
  struct store *store = fresh();
  struct px_err err;
  for (int cancel = 0; cancel < 2; cancel++) {
    char b[STORE_ID_MAX], c[STORE_ID_MAX], d[STORE_ID_MAX];
    db_submit(store, "train_idm", NULL, b);
    db_submit(store, "label", (const char *[]){ b, NULL }, c);
    db_submit(store, "report", (const char *[]){ b, c, NULL }, d);
    if (cancel) CU_OK(store_job_cancel(store, b, &err), err);
    else fail_with(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
    CU_ASSERT_STRING_EQUAL(db_state(d), cancel ? "cancelled" : "failed");
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events where job_id = '%s'", d), "2");
  }
  store_close(store);
}

struct ender { struct store *store; struct store_hold hold; enum px_status status; pthread_barrier_t *gate; };
static void *end_job(void *arg) {
  struct ender *e = arg;
  struct px_err err;
  pthread_barrier_wait(e->gate);
  e->status = store_job_succeed(e->store, &e->hold, "{}", &err);
  return NULL;
}

static void two_needs_that_end_at_once_leave_nobody_blocked(void) {
  enum { ROUNDS = 60 };
  struct store *store = fresh(), *other = db_test_open("other");
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int round = 0; round < ROUNDS; round++) {
    submit_graph(store);
    struct ender e[2] = { { store, db_claim(store, "train_idm"), PX_OK, &gate },
                          { other, db_claim(store, "train_policy"), PX_OK, &gate } };
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, end_job, &e[1]), 0);
    end_job(&e[0]);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(e[0].status, PX_OK);
    CU_ASSERT_EQUAL(e[1].status, PX_OK);
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs where kind = 'report' and state = 'ready'"), "60");
  pthread_barrier_destroy(&gate);
  store_close(other);
  store_close(store);
}

/* --- submitting --- */

static void submitting_looks_at_what_older_needs_have_become(void) {
  struct store *store = fresh();
  struct px_err err;
  char done[STORE_ID_MAX], failed[STORE_ID_MAX], id[STORE_ID_MAX];
  db_submit(store, "train_idm", NULL, done);
  const struct store_hold hold = db_claim(store, "train_idm");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  db_submit(store, "train_idm", NULL, failed);
  fail_with(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
  db_submit(store, "label", (const char *[]){ done, NULL }, id);
  CU_ASSERT_STRING_EQUAL(db_state(id), "ready");
  const char *needs[] = { done, failed };
  store_job_new_id(id);
  struct store_job_draft draft = { .id = id, .kind = "label", .name = "l", .spec_json = "{}", .needs = needs, .needs_n = 2 };
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_DEPENDENCY_FAILED);
  needs[1] = "job_none";
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_NOT_FOUND);
  draft = (struct store_job_draft){ .id = id, .kind = "label", .name = "l", .spec_json = "{}", .dataset_id = "ds_none" };
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "3");
  store_close(store);
}

static void an_unfinished_job_with_the_same_key_is_named(void) {
  struct store *store = fresh();
  struct px_err err;
  char first[STORE_ID_MAX], id[STORE_ID_MAX];
  store_job_new_id(first);
  store_job_new_id(id);
  struct store_job_draft draft = { .id = first, .kind = "label", .name = "l", .spec_json = "{}", .dedupe_key = "k" };
  CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
  draft.id = id;
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_CONFLICT);
  CU_ASSERT_STRING_EQUAL(err.hint, first);
  char existing[STORE_ID_MAX];
  const char *needs[] = { id };
  struct store_job_draft both[] = { draft, { .id = "job_x", .kind = "label", .name = "m", .spec_json = "{}", .needs = needs, .needs_n = 1 } };
  CU_OK(store_jobs_submit_once(store, both, 2, existing, &err), err);
  CU_ASSERT_STRING_EQUAL(existing, first);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "1");
  CU_OK(store_job_cancel(store, first, &err), err);
  CU_OK(store_jobs_submit_once(store, both, 2, existing, &err), err);
  CU_ASSERT_STRING_EQUAL(existing, "");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "3");
  store_close(store);
}

static void curves_of_a_lost_attempt_are_dropped_beyond_where_the_next_went_on(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  int removed;
  db_submit(store, "label", NULL, id);
  const struct store_metric early = { "loss", 1, 0.5 }, late = { "loss", 9, 0.5 }, end = { "loss", 10, 0.5 };
  const struct store_hold lost = db_claim(store, "label");
  CU_OK(store_job_metrics_put(store, &lost, &early, 1, &err), err);
  CU_OK(store_job_metrics_put(store, &lost, &late, 1, &err), err);
  CU_OK(store_job_give_back(store, &lost, &err), err);
  const struct store_hold next = db_claim(store, "label");
  CU_OK(store_checkpoint_resumed(store, &next, 5, &err), err);
  CU_OK(store_job_metrics_put(store, &next, &end, 1, &err), err);
  struct px_buf text = PX_BUF(4096);
  CU_OK(store_job_metrics(store, id, &text, &err), err);
  CU_ASSERT_TRUE(strstr(text.data, "\"step\": 1,") && strstr(text.data, "\"step\": 10,") && !strstr(text.data, "\"step\": 9,"));
  px_buf_free(&text);
  CU_OK(store_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0); /* another attempt may yet go on from further on */
  CU_OK(store_job_succeed(store, &next, "{}", &err), err);
  CU_OK(store_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(step || ' ' || epoch, ', ' order by step) from job_metrics"), "1 1, 10 2");
  store_close(store);
}

struct twin { struct store *store; pthread_barrier_t *gate; char id[STORE_ID_MAX], existing[STORE_ID_MAX]; enum px_status status; };
static void *submit_twin(void *arg) {
  struct twin *t = arg;
  struct px_err err;
  store_job_new_id(t->id);
  const struct store_job_draft draft = { .id = t->id, .kind = "label", .name = "l", .spec_json = "{}", .dedupe_key = "twin" };
  pthread_barrier_wait(t->gate);
  t->status = store_jobs_submit_once(t->store, &draft, 1, t->existing, &err);
  return NULL;
}

static void of_two_submissions_at_once_one_makes_the_job(void) {
  enum { ROUNDS = 40 };
  struct store *store = fresh(), *other = db_test_open("other");
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int round = 0; round < ROUNDS; round++) {
    struct twin a = { .store = store, .gate = &gate }, b = { .store = other, .gate = &gate };
    pthread_t thread;
    struct px_err err;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, submit_twin, &b), 0);
    submit_twin(&a);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(a.status, PX_OK);
    CU_ASSERT_EQUAL(b.status, PX_OK);
    const struct twin *winner = *a.existing ? &b : &a, *loser = *a.existing ? &a : &b;
    CU_ASSERT_STRING_EQUAL(winner->existing, "");
    CU_ASSERT_STRING_EQUAL(loser->existing, winner->id);
    CU_OK(store_job_cancel(store, winner->id, &err), err);
  }
  CU_ASSERT_EQUAL(strtol(db_sql("select count(*) from jobs"), NULL, 10), ROUNDS);
  pthread_barrier_destroy(&gate);
  store_close(store);
  store_close(other);
}

struct racer { struct store *store; char need[STORE_ID_MAX]; pthread_barrier_t *gate; char id[STORE_ID_MAX]; };
static void *submit_dependant(void *arg) {
  struct racer *r = arg;
  struct px_err err;
  const char *needs[] = { r->need };
  store_job_new_id(r->id);
  const struct store_job_draft draft = { .id = r->id, .kind = "export", .name = "x", .spec_json = "{}", .needs = needs, .needs_n = 1 };
  pthread_barrier_wait(r->gate);
  if (store_jobs_submit(r->store, &draft, 1, &err)) r->id[0] = '\0';
  return NULL;
}

static void a_need_that_ends_during_the_submission_is_not_missed(void) {
  enum { ROUNDS = 60 };
  struct store *store = fresh(), *other = db_test_open("other");
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int round = 0; round < ROUNDS; round++) {
    struct racer racer = { .store = other, .gate = &gate };
    db_submit(store, "label", NULL, racer.need);
    struct ender ender = { store, db_claim(store, "label"), PX_OK, &gate };
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, submit_dependant, &racer), 0);
    end_job(&ender);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(ender.status, PX_OK);
    CU_ASSERT_STRING_EQUAL(db_state(racer.id), "ready");
  }
  pthread_barrier_destroy(&gate);
  store_close(other);
  store_close(store);
}

/* --- documents --- */

static void lists_filter_and_page(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX], cursor[STORE_ID_MAX] = "";
  for (int i = 0; i < 5; i++) db_submit(store, i % 2 ? "label" : "report", NULL, id);
  db_claim(store, "label");
  int seen = 0, pages = 0;
  do {
    struct px_buf text = PX_BUF(1 << 20);
    const struct store_job_filter filter = { .limit = 2, .before = *cursor ? cursor : NULL };
    CU_OK(store_job_list(store, &filter, &text, &err), err);
    json_t *page = json_loads(text.data, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    if (!pages) CU_ASSERT_STRING_EQUAL(field(json_array_get(json_object_get(page, "items"), 0), "id"), id); /* newest first */
    seen += (int)json_array_size(json_object_get(page, "items"));
    snprintf(cursor, sizeof cursor, "%s", field(page, "next"));
    json_decref(page);
    px_buf_free(&text);
  } while (*cursor && ++pages < 10);
  CU_ASSERT_EQUAL(seen, 5);
  CU_ASSERT_EQUAL(pages, 2);
  static const struct { const char *kind, *state; size_t n; } CASES[] = {
    { "label", NULL, 2 }, { NULL, "queued", 4 }, { "label", "running", 1 }, { "export", NULL, 0 } };
  for (size_t i = 0; i < 4; i++) {
    struct px_buf text = PX_BUF(1 << 20);
    const struct store_job_filter filter = { .kind = CASES[i].kind, .state = CASES[i].state, .limit = 100 };
    CU_OK(store_job_list(store, &filter, &text, &err), err);
    json_t *page = json_loads(text.data, 0, NULL);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(page, "items")), CASES[i].n);
    CU_ASSERT_TRUE(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    px_buf_free(&text);
  }
  store_close(store);
}

static int readied(struct store *store, const char *id) {
  struct px_err err;
  int n = -1;
  CU_OK(store_job_readied(store, id, &n, &err), err);
  return n;
}

/* a and b; c and d need a; e needs a and b. */
static void the_end_of_a_job_tells_how_many_it_has_readied(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[5][STORE_ID_MAX];
  for (int i = 0; i < 5; i++) store_job_new_id(id[i]);
  const char *needs[] = { id[0], id[1] };
  struct store_job_draft drafts[5];
  for (int i = 0; i < 5; i++)
    drafts[i] = (struct store_job_draft){ .id = id[i], .kind = i ? "label" : "train_idm", .name = "x", .spec_json = "{}",
                                          .needs = needs, .needs_n = i < 2 ? 0 : i < 4 ? 1 : 2 };
  CU_OK(store_jobs_submit(store, drafts, 5, &err), err);
  CU_ASSERT_EQUAL(readied(store, id[0]), 0);
  const struct store_hold a = db_claim(store, "train_idm");
  CU_OK(store_job_succeed(store, &a, "{}", &err), err);
  CU_ASSERT_EQUAL(readied(store, id[0]), 2);
  struct store_hold b = db_claim(store, "label"); /* the oldest */
  CU_ASSERT_STRING_EQUAL(b.job, id[1]);
  CU_OK(store_job_succeed(store, &b, "{}", &err), err);
  CU_ASSERT_EQUAL(readied(store, id[1]), 1);
  CU_ASSERT_EQUAL(readied(store, id[0]), 3);
  (void)db_claim(store, "label");
  CU_ASSERT_EQUAL(readied(store, id[0]), 2);
  store_close(store);
}

static void a_pipelines_version_grows_with_its_children(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct graph g = submit_graph(store);
  const char *ids[] = { g.p, "job_none", g.a };
  int64_t before[3], after[3];
  bool final[3];
  CU_OK(store_job_versions(store, ids, 3, before, final, &err), err);
  const struct store_hold hold = db_claim(store, "train_idm");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_OK(store_job_versions(store, ids, 3, after, final, &err), err);
  CU_ASSERT(after[0] > before[0] && after[2] > before[2]);
  CU_ASSERT_EQUAL(after[1], -1);
  CU_ASSERT(!final[0] && !final[1] && final[2]);
  store_close(store);
}

static void workers_are_listed_with_their_jobs(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  db_claim(store, "report");
  CU_OK(store_worker_seen(store, "worker-a", "host", 7, false, &err), err);
  CU_OK(store_worker_seen(store, "worker-a", "host", 7, true, &err), err);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_worker_list(store, &text, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, id));
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"draining\": true"));
  px_buf_free(&text);
  CU_OK(store_worker_gone(store, "worker-a", &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from workers"), "0");
  store_close(store);
}

CU_MAIN("store_job", T(claim_takes_priority_then_age_and_only_asked_kinds), T(a_claimed_job_brings_all_that_its_worker_needs),
        T(claimers_never_get_the_same_job), T(heartbeat_extends_the_lease_and_tells_progress),
        T(time_left_follows_from_what_was_done), T(succeeding_twice_is_already_and_keeps_the_first_result),
        T(zombies_are_fenced_everywhere), T(metrics_of_the_running_attempt_are_listed),
        T(soft_failures_are_retried_after_a_growing_pause_until_attempts_run_out), T(bad_input_is_never_retried),
        T(want_of_room_spends_no_attempt_and_is_waited_out), T(what_there_was_no_memory_for_is_not_committed),
        T(a_message_that_is_no_text_still_fails_the_job), T(giving_back_costs_no_attempt),
        T(expired_lease_returns_job_to_ready_and_the_third_fails_it), T(the_reaper_ends_sessions_of_lost_attempts_only),
        T(cancelling_pending_is_at_once_and_running_with_the_next_heartbeat),
        T(a_cancelled_job_does_not_come_back_whichever_way_it_leaves),
        T(dependants_become_ready_and_the_pipeline_takes_the_reports_result),
        T(failure_reaches_the_pipeline_with_the_root_cause), T(cancelling_a_pipeline_cancels_all_its_children),
        T(a_diamond_of_dependants_ends_each_of_them_once), T(the_reaper_cancels_pending_children_of_ended_pipelines), T(two_needs_that_end_at_once_leave_nobody_blocked),
        T(submitting_looks_at_what_older_needs_have_become), T(an_unfinished_job_with_the_same_key_is_named),
        T(curves_of_a_lost_attempt_are_dropped_beyond_where_the_next_went_on),
        T(of_two_submissions_at_once_one_makes_the_job),
        T(a_need_that_ends_during_the_submission_is_not_missed), T(lists_filter_and_page),
        T(the_end_of_a_job_tells_how_many_it_has_readied), T(a_pipelines_version_grows_with_its_children), T(workers_are_listed_with_their_jobs))
