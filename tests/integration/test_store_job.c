/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs through the store: claim, heartbeat, end, retry, lost leases, cancel, documents. */
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/store/artifacts.h"
#include "lib/store/checkpoints.h"
#include "lib/store/datasets.h"
#include "lib/store/db.h"
#include "lib/store/jobs.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/store.h"
#include "lib/store/workers.h"
#include "tests/support/jobs.h"

enum { LEASE_MS = 30000 };

/* --- claim --- */

static void claim_takes_priority_then_age_and_only_asked_kinds(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[4][STORE_ID_MAX];
  static const int PRIORITY[] = { 0, 5, 0, 5 };
  for (int i = 0; i < 4; i++) {
    store_job_new_id(id[i]);
    const struct store_job_draft draft = { .id = id[i],
                                           .kind = i == 3 ? "label" : "report",
                                           .name = "",
                                           .spec_json = "{\"n\": 1}",
                                           .priority = PRIORITY[i] };
    CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
  }
  CU_ASSERT_STRING_EQUAL(db_claim(store, "report").job, id[1]);
  CU_ASSERT_STRING_EQUAL(db_claim(store, "report").job, id[0]);
  CU_ASSERT_STRING_EQUAL(db_claim(store, "report").job, id[2]);
  struct store_job *none = (struct store_job *)&err;
  const char *kind = "report";
  CU_OK(store_job_claim(store, "w", &kind, 1, LEASE_MS, 0, &none, &err), err);
  CU_ASSERT_PTR_NULL(none);
  CU_ASSERT_STRING_EQUAL(db_claim(store, "label").job, id[3]);
  store_close(store);
}

static void a_claimed_job_brings_all_that_its_worker_needs(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "label", NULL, id);
  const char *kinds[] = { "report", "label" };
  struct store_job *job;
  CU_OK(store_job_claim(store, "w", kinds, 2, LEASE_MS, 0, &job, &err), err);
  CU_ASSERT_PTR_NOT_NULL_FATAL(job);
  CU_ASSERT_STRING_EQUAL(job->hold.job, id);
  CU_ASSERT_EQUAL(job->hold.epoch, 1);
  CU_ASSERT_EQUAL(job->attempt, 1);
  CU_ASSERT_STRING_EQUAL(job->kind, "label");
  CU_ASSERT_STRING_EQUAL(job->spec_json, "{}");
  store_job_free(job);
  store_close(store);
}

struct claimer {
  const char *name;
  char taken[300][STORE_ID_MAX];
  int n;
  bool failed;
};
static void *claim_all(void *arg) {
  struct claimer *c = arg;
  struct store *store;
  struct px_err err;
  const char *kind = "evaluate";
  if (store_open(db_test_url(), c->name, &store, &err)) return c->failed = true, NULL;
  for (struct store_job *job;;) {
    if (store_job_claim(store, c->name, &kind, 1, LEASE_MS, 0, &job, &err)) c->failed = true;
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
  struct store *store = jobs_fresh();
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
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) filter (where epoch = 1 and state = 'succeeded') from jobs"), "300");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events where to_state = 'running'"),
                         "300");
  store_close(store);
}

/* --- running --- */

static void heartbeat_extends_the_lease_and_tells_progress(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_lease hold = db_claim(store, "report");
  jobs_expire(id);
  bool cancel = true;
  CU_OK(store_job_heartbeat(store, &hold, LEASE_MS, "train", 25, 100, &cancel, &err), err);
  CU_ASSERT_FALSE(cancel);
  CU_ASSERT_EQUAL(jobs_reap(store).returned, 0);
  json_t *doc = jobs_document(store, id);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "phase"), "train");
  const json_t *progress = json_object_get(doc, "progress");
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(progress, "step")), 25);
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(progress, "total")), 100);
  CU_ASSERT_TRUE(json_is_number(json_object_get(progress, "eta_s")));
  json_decref(doc);
  store_close(store);
}

static void time_left_follows_from_what_was_done(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_lease hold = db_claim(store, "report");
  bool cancel;
  CU_OK(store_job_heartbeat(store, &hold, LEASE_MS, NULL, 25, 100, &cancel, &err), err);
  db_sql("update jobs set started_at = clock_timestamp() - interval '10 s'");
  json_t *doc = jobs_document(store, id);
  CU_ASSERT_DOUBLE_EQUAL(json_number_value(
                           json_object_get(json_object_get(doc, "progress"), "eta_s")),
                         30, 1);
  json_decref(doc);
  store_close(store);
}

static void succeeding_twice_is_already_and_keeps_the_first_result(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_lease hold = db_claim(store, "report");
  CU_OK(store_job_succeed(store, &hold, "{\"a\": 1}", &err), err);
  CU_OK(store_job_succeed(store, &hold, "{\"a\": 2}", &err), err);
  struct px_buf result = PX_BUF(100);
  CU_OK(store_job_result(store, id, &result, &err), err);
  CU_ASSERT_STRING_EQUAL(result.data, "{\"a\": 1}");
  px_buf_free(&result);
  const struct store_lease other = { "job_00000000000000000000", 1 };
  CU_ASSERT_EQUAL(store_job_succeed(store, &other, "{}", &err), PX_E_FENCED);
  store_close(store);
}

static void zombies_are_fenced_everywhere(void) {
  struct store *store = jobs_fresh();
  struct px_err err, why;
  char id[STORE_ID_MAX];
  db_submit(store, "label", NULL, id);
  const struct store_lease old = db_claim(store, "label");
  jobs_expire(id);
  CU_ASSERT_EQUAL(jobs_reap(store).returned, 1);
  bool cancel;
  const struct store_metric metric = { "loss", 1, 0.5 };
  const struct store_label_segment labels = {
    .label_job = id, .bytes = "abc", .n = 3, .steps_n = 1, .known_n = 1, .profile = "p"
  };
  px_fail(&why, PX_E_OOM, "late");
  for (int claimed = 0; claimed < 2; claimed++) {
    CU_ASSERT_EQUAL(store_job_heartbeat(store, &old, LEASE_MS, NULL, 0, 0, &cancel, &err),
                    PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_metrics_put(store, &old, &metric, 1, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_succeed(store, &old, "{}", &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_fail(store, &old, &why, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_job_give_back(store, &old, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_model_publish(store, &old, "ds_x", "idm", "x", "abc", 3, "{}", &err),
                    PX_E_FENCED);
    CU_ASSERT_EQUAL(store_label_stage(store, &old, &labels, &err), PX_E_FENCED);
    CU_ASSERT_EQUAL(store_label_publish(store, &old,
                                        &(struct store_labelling){ "ds_x", 1, STORE_VERSION_NOW },
                                        "{}", &err),
                    PX_E_FENCED);
    CU_ASSERT_EQUAL(store_artifacts_publish(store, &old, NULL, 0, "{}", &err), PX_E_FENCED);
    if (!claimed) CU_ASSERT_EQUAL(db_claim(store, "label").epoch, 2);
  }
  store_close(store);
}

static void metrics_of_the_running_attempt_are_listed(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_lease hold = db_claim(store, "report");
  const struct store_metric metrics[] = {
    { "loss", 1, 0.5 },        { "loss", 2, 0.25 },
    { "r2", 2, -1e-300 },      { "td_rms", 2, (double)INFINITY },
    { "nll", 2, (double)NAN }, { "q", 2, -1e300 }
  };
  CU_OK(store_job_metrics_put(store, &hold, metrics, 6, &err), err);
  CU_OK(store_job_metrics_put(store, &hold, metrics, 2, &err), err); /* harmless */
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_job_metrics(store, id, &text, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "{\"name\": \"loss\", \"step\": 2, \"value\": 0.25}"));
  /* JSON has no infinity */
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "{\"name\": \"td_rms\", \"step\": 2, \"value\": null}"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "{\"name\": \"nll\", \"step\": 2, \"value\": null}"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"q\", \"step\": 2, \"value\": -1000"));
  px_buf_free(&text);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_metrics where job_id = '%s'", id), "6");
  store_close(store);
}

static void curves_of_a_lost_attempt_are_dropped_beyond_where_the_next_went_on(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  int removed;
  db_submit(store, "label", NULL, id);
  const struct store_metric early = { "loss", 1, 0.5 }, late = { "loss", 9, 0.5 },
                            end = { "loss", 10, 0.5 };
  const struct store_lease lost = db_claim(store, "label");
  CU_OK(store_job_metrics_put(store, &lost, &early, 1, &err), err);
  CU_OK(store_job_metrics_put(store, &lost, &late, 1, &err), err);
  CU_OK(store_job_give_back(store, &lost, &err), err);
  const struct store_lease next = db_claim(store, "label");
  CU_OK(store_checkpoint_resumed(store, &next, 5, &err), err);
  CU_OK(store_job_metrics_put(store, &next, &end, 1, &err), err);
  struct px_buf text = PX_BUF(4096);
  CU_OK(store_job_metrics(store, id, &text, &err), err);
  CU_ASSERT_TRUE(strstr(text.data, "\"step\": 1,") && strstr(text.data, "\"step\": 10,") &&
                 !strstr(text.data, "\"step\": 9,"));
  px_buf_free(&text);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0); /* another attempt may yet go on from further on */
  CU_OK(store_job_succeed(store, &next, "{}", &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select string_agg(step || ' ' || epoch, ', ' order by step) from job_metrics"),
    "1 1, 10 2");
  store_close(store);
}

/* --- ends other than success --- */

static void soft_failures_are_retried_after_a_growing_pause_until_attempts_run_out(void) {
  struct store *store = jobs_fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  double last = 0;
  for (int attempt = 1; attempt <= 5; attempt++) {
    const struct store_lease hold = db_claim(store, "report");
    CU_ASSERT_EQUAL(hold.epoch, attempt);
    jobs_fail(store, hold, PX_E_CHILD_CRASHED);
    if (attempt == 5) break;
    CU_ASSERT_STRING_EQUAL(db_state(id), "ready");
    const double pause =
      strtod(db_sql("select extract(epoch from run_after - clock_timestamp()) from jobs"), NULL);
    CU_ASSERT(pause > 0.3 * (1 << (attempt - 1)) && pause < 0.65 * (1 << (attempt - 1)));
    CU_ASSERT(pause > last);
    last = pause;
    db_sql("update jobs set run_after = clock_timestamp()");
  }
  CU_ASSERT_STRING_EQUAL(db_state(id), "failed");
  json_t *doc = jobs_document(store, id);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "reason"), "child_crashed");
  CU_ASSERT_STRING_EQUAL(jobs_field(json_object_get(doc, "error"), "detail"),
                         "because of child_crashed");
  CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "transitions")), 11);
  json_decref(doc);
  store_close(store);
}

static void want_of_room_spends_no_attempt_and_is_waited_out(void) {
  struct store *store = jobs_fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  for (int times = 0; times < 9; times++) {
    jobs_fail(store, db_claim(store, "report"), PX_E_NO_SPACE);
    CU_ASSERT_STRING_EQUAL(db_sql("select concat_ws(' ', state, attempt, reason) from jobs"),
                           "ready 0 no_space");
    const double pause =
      strtod(db_sql("select extract(epoch from run_after - clock_timestamp()) from jobs"), NULL);
    const double meant = times < 7 ? 0.5 * (1 << times) : 60;
    CU_ASSERT(pause > 0.6 * meant && pause < 1.3 * meant);
    db_sql("update jobs set run_after = clock_timestamp()");
  }
  jobs_fail(store, db_claim(store, "report"), PX_E_OOM);
  CU_ASSERT_STRING_EQUAL(db_sql("select state || attempt from jobs"), "ready1");
  store_close(store);
}

static void what_there_was_no_memory_for_is_not_committed(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  json_malloc_t take;
  json_free_t give;
  json_get_alloc_funcs(&take, &give);
  struct px_json_making making;
  px_json_begin(&making);
  CU_ASSERT_PTR_NULL(take(PTRDIFF_MAX)); /* a part of a document, say */
  store_job_new_id(id);
  const struct store_job_draft draft = {
    .id = id, .kind = "report", .name = "report", .spec_json = "{}"
  };
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_NO_MEMORY);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "0");
  CU_ASSERT_FALSE(px_json_end(&making));
  CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "1");
  store_close(store);
}

/* No statement has neither a result nor an error, like an answer that there was no memory to
 * read. */
static void a_connection_whose_answer_makes_no_sense_is_given_up(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  CU_OK(db_exec(store, "set application_name = 'px in the middle'", &err), err);
  CU_ASSERT_EQUAL(db_exec(store, "", &err), PX_E_UNAVAILABLE);
  CU_OK(store_ping(store, &err), err);
  bool gone = false;
  for (int i = 0; i < 3000 && !gone; i++) {
    usleep(20000);
    gone =
      strcmp(db_sql(
               "select count(*) from pg_stat_activity where application_name = 'px in the middle'"),
             "0") == 0;
  }
  CU_ASSERT_TRUE(gone);
  store_close(store);
}

static void bad_input_is_never_retried(void) {
  struct store *store = jobs_fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  jobs_fail(store, db_claim(store, "report"), PX_E_NAN_LOSS);
  CU_ASSERT_STRING_EQUAL(db_state(id), "failed");
  store_close(store);
}

static void a_message_that_is_no_text_still_fails_the_job(void) {
  struct store *store = jobs_fresh();
  struct px_err why, err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  const struct store_lease hold = db_claim(store, "report");
  px_fail(&why, PX_E_BAD_DATA, "in \"\xff\xfe\x01\"");
  CU_OK(store_job_fail(store, &hold, &why, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select error->>'detail' from jobs"), "in \"???\"");
  store_close(store);
}

static void giving_back_costs_no_attempt(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  for (int i = 1; i <= 7; i++) {
    const struct store_lease hold = db_claim(store, "report");
    CU_ASSERT_EQUAL(hold.epoch, i);
    CU_OK(store_job_give_back(store, &hold, &err), err);
    CU_ASSERT_STRING_EQUAL(db_sql("select state || attempt from jobs"), "ready0");
  }
  store_close(store);
}

static void expired_lease_returns_job_to_ready_and_the_third_fails_it(void) {
  struct store *store = jobs_fresh();
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  for (int lost = 1; lost <= 3; lost++) {
    CU_ASSERT_EQUAL(db_claim(store, "report").epoch, lost);
    CU_ASSERT_EQUAL(jobs_reap(store).returned, 0);
    jobs_expire(id);
    const struct store_reaped reaped = jobs_reap(store);
    CU_ASSERT_EQUAL(reaped.returned, lost < 3);
    CU_ASSERT_EQUAL(reaped.failed, lost == 3);
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select state || reason || (error->>'code') from jobs"),
                         "failedworker_lostworker_lost");
  store_close(store);
}

static void the_reaper_ends_sessions_of_lost_attempts_only(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[2][STORE_ID_MAX], name[64];
  struct store *child[2];
  int session[2];
  for (int i = 0; i < 2; i++) {
    db_submit(store, "report", NULL, id[i]);
    db_claim(store, "report");
    snprintf(name, sizeof name, "px %.30s 1", id[i]);
    CU_OK(store_open(db_test_url(), name, &child[i], &err), err);
    session[i] =
      (int)strtol(db_sql("select pid from pg_stat_activity where application_name = '%s'", name),
                  NULL, 10);
  }
  jobs_expire(id[0]);
  const struct store_reaped reaped = jobs_reap(store);
  CU_ASSERT_EQUAL(reaped.returned, 1);
  CU_ASSERT_EQUAL(reaped.sessions_ended, 1);
  const char *left = "";
  for (int i = 0;
       i < 2000 && *(left = db_sql("select pid from pg_stat_activity where pid = %d", session[0]));
       i++)
    usleep(5000);
  CU_ASSERT_STRING_EQUAL(left, "");       /* it takes note in a moment */
  CU_OK(store_ping(child[0], &err), err); /* and opens another, which the fence stops */
  CU_OK(store_ping(child[1], &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from pg_stat_activity where pid = %d", session[1]),
                         "1");
  store_close(child[0]);
  store_close(child[1]);
  store_close(store);
}

/* --- cancel --- */

static void cancelling_pending_is_at_once_and_running_with_the_next_heartbeat(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  CU_OK(store_job_cancel(store, id, &err), err);
  CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
  CU_ASSERT_EQUAL(store_job_cancel(store, id, &err), PX_E_CONFLICT);
  CU_ASSERT_EQUAL(store_job_cancel(store, "job_none", &err), PX_E_NOT_FOUND);
  db_submit(store, "report", NULL, id);
  const struct store_lease hold = db_claim(store, "report");
  CU_OK(store_job_cancel(store, id, &err), err);
  CU_OK(store_job_cancel(store, id, &err), err);
  bool cancel = false;
  CU_OK(store_job_heartbeat(store, &hold, LEASE_MS, NULL, 0, 0, &cancel, &err), err);
  CU_ASSERT_TRUE(cancel);
  jobs_fail(store, hold, PX_E_CANCELLED);
  CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
  store_close(store);
}

static void a_cancelled_job_does_not_come_back_whichever_way_it_leaves(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  for (int way = 0; way < 3; way++) {
    char id[STORE_ID_MAX];
    db_submit(store, "report", NULL, id);
    const struct store_lease hold = db_claim(store, "report");
    CU_OK(store_job_cancel(store, id, &err), err);
    if (way == 0) jobs_fail(store, hold, PX_E_OOM);
    if (way == 1) CU_OK(store_job_give_back(store, &hold, &err), err);
    if (way == 2) {
      jobs_expire(id);
      CU_ASSERT_EQUAL(jobs_reap(store).cancelled, 1);
    }
    CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
  }
  store_close(store);
}

/* --- documents --- */

static void lists_filter_and_page(void) {
  struct store *store = jobs_fresh();
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
    /* newest first */
    if (!pages)
      CU_ASSERT_STRING_EQUAL(jobs_field(json_array_get(json_object_get(page, "items"), 0), "id"),
                             id);
    seen += (int)json_array_size(json_object_get(page, "items"));
    snprintf(cursor, sizeof cursor, "%s", jobs_field(page, "next"));
    json_decref(page);
    px_buf_free(&text);
  } while (*cursor && ++pages < 10);
  CU_ASSERT_EQUAL(seen, 5);
  CU_ASSERT_EQUAL(pages, 2);
  static const struct {
    const char *kind, *state;
    size_t n;
  } CASES[] = {
    { "label", NULL, 2 }, { NULL, "queued", 4 }, { "label", "running", 1 }, { "export", NULL, 0 }
  };
  for (size_t i = 0; i < 4; i++) {
    struct px_buf text = PX_BUF(1 << 20);
    const struct store_job_filter filter = { .kind = CASES[i].kind,
                                             .state = CASES[i].state,
                                             .limit = 100 };
    CU_OK(store_job_list(store, &filter, &text, &err), err);
    json_t *page = json_loads(text.data, 0, NULL);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(page, "items")), CASES[i].n);
    CU_ASSERT_TRUE(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    px_buf_free(&text);
  }
  store_close(store);
}

static void workers_are_listed_with_their_jobs(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  db_submit(store, "report", NULL, id);
  db_claim(store, "report");
  CU_OK(store_worker_seen(store, "worker-a", "host", 7, false, 1LL << 30, &err), err);
  CU_OK(store_worker_seen(store, "worker-a", "host", 7, true, 1LL << 30, &err), err);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_worker_list(store, &text, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, id));
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\"draining\": true"));
  px_buf_free(&text);
  CU_OK(store_worker_gone(store, "worker-a", &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from workers"), "0");
  store_close(store);
}

CU_MAIN("store_job", T(claim_takes_priority_then_age_and_only_asked_kinds),
        T(a_claimed_job_brings_all_that_its_worker_needs), T(claimers_never_get_the_same_job),
        T(heartbeat_extends_the_lease_and_tells_progress), T(time_left_follows_from_what_was_done),
        T(succeeding_twice_is_already_and_keeps_the_first_result), T(zombies_are_fenced_everywhere),
        T(metrics_of_the_running_attempt_are_listed),
        T(soft_failures_are_retried_after_a_growing_pause_until_attempts_run_out),
        T(bad_input_is_never_retried), T(want_of_room_spends_no_attempt_and_is_waited_out),
        T(what_there_was_no_memory_for_is_not_committed),
        T(a_connection_whose_answer_makes_no_sense_is_given_up),
        T(a_message_that_is_no_text_still_fails_the_job), T(giving_back_costs_no_attempt),
        T(expired_lease_returns_job_to_ready_and_the_third_fails_it),
        T(the_reaper_ends_sessions_of_lost_attempts_only),
        T(cancelling_pending_is_at_once_and_running_with_the_next_heartbeat),
        T(a_cancelled_job_does_not_come_back_whichever_way_it_leaves),
        T(curves_of_a_lost_attempt_are_dropped_beyond_where_the_next_went_on),
        T(lists_filter_and_page), T(workers_are_listed_with_their_jobs))
