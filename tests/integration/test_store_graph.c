/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that wait for others, through the store: pipelines, dependants, submissions that meet
 * ends. */
#include <pthread.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "tests/support/jobs.h"

/* --- graphs --- */

/* pipeline P needs report R, which needs A and B; all are P's children. */
struct graph {
  char p[STORE_ID_MAX], a[STORE_ID_MAX], b[STORE_ID_MAX], r[STORE_ID_MAX];
};
static struct graph submit_graph(struct store *store) {
  struct px_err err;
  struct graph g;
  store_job_new_id(g.p);
  store_job_new_id(g.a);
  store_job_new_id(g.b);
  store_job_new_id(g.r);
  const char *report_needs[] = { g.a, g.b }, *pipeline_needs[] = { g.r };
  const struct store_job_draft drafts[] = {
    { .id = g.r,
      .kind = "report",
      .name = "report",
      .spec_json = "{}",
      .parent_id = g.p,
      .needs = report_needs,
      .needs_n = 2 },
    { .id = g.a, .kind = "train_idm", .name = "a", .spec_json = "{}", .parent_id = g.p },
    { .id = g.b, .kind = "train_policy", .name = "b", .spec_json = "{}", .parent_id = g.p },
    { .id = g.p,
      .kind = "pipeline",
      .name = "pipe",
      .spec_json = "{}",
      .needs = pipeline_needs,
      .needs_n = 1 },
  };
  CU_OK(store_jobs_submit(store, drafts, 4, &err), err);
  return g;
}

static void dependants_become_ready_and_the_pipeline_takes_the_reports_result(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  const struct graph g = submit_graph(store);
  json_t *doc = jobs_document(store, g.p);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "state"), "queued");
  CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "children")), 3);
  json_decref(doc);
  struct store_lease hold = db_claim(store, "train_idm");
  doc = jobs_document(store, g.p);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "state"), "running");
  json_decref(doc);
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_ASSERT_STRING_EQUAL(db_state(g.r), "blocked");
  hold = db_claim(store, "train_policy");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_ASSERT_STRING_EQUAL(db_state(g.r), "ready");
  hold = db_claim(store, "report");
  CU_OK(store_job_succeed(store, &hold, "{\"mse\": 0.05}", &err), err);
  doc = jobs_document(store, g.p);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "state"), "succeeded");
  CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(json_object_get(doc, "result"), "mse")),
                         0.05, 1e-12);
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(doc, "progress"), "step")), 3);
  json_decref(doc);
  doc = jobs_document(store, g.a);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "model_id") + 4, g.a + 4);
  json_decref(doc);
  store_close(store);
}

static void failure_reaches_the_pipeline_with_the_root_cause(void) {
  struct store *store = jobs_fresh();
  const struct graph g = submit_graph(store);
  db_claim(store, "train_policy");
  jobs_fail(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
  json_t *doc = jobs_document(store, g.p);
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "state"), "failed");
  CU_ASSERT_STRING_EQUAL(jobs_field(doc, "reason"), "dependency_failed");
  const json_t *error = json_object_get(doc, "error");
  CU_ASSERT_STRING_EQUAL(jobs_field(error, "job"), g.a);
  CU_ASSERT_STRING_EQUAL(jobs_field(error, "cause"), "nan_loss");
  CU_ASSERT_PTR_NOT_NULL(strstr(jobs_field(error, "detail"), "because of nan_loss"));
  json_decref(doc);
  CU_ASSERT_STRING_EQUAL(db_state(g.r), "failed");
  jobs_reap(store); /* what still runs for nothing is told to stop */
  CU_ASSERT_STRING_EQUAL(db_sql("select cancel_requested::text from jobs where id = '%s'", g.b),
                         "true");
  store_close(store);
}

static void cancelling_a_pipeline_cancels_all_its_children(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  const struct graph g = submit_graph(store);
  db_claim(store, "train_idm");
  CU_OK(store_job_cancel(store, g.p, &err), err);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select string_agg(state || cancel_requested, ' ' order by kind) from jobs"),
    "cancelledfalse cancelledfalse runningtrue cancelledfalse");
  store_close(store);
}

static void the_reaper_cancels_pending_children_of_ended_pipelines(void) {
  struct store *store = jobs_fresh();
  const struct graph g = submit_graph(store);
  jobs_fail(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
  CU_ASSERT_STRING_EQUAL(db_state(g.b), "ready");
  CU_ASSERT_EQUAL(jobs_reap(store).cancelled, 1);
  CU_ASSERT_STRING_EQUAL(db_state(g.b), "cancelled");
  store_close(store);
}

/* d needs b and c, c needs b too: the end of b reaches d twice. */
static void a_diamond_of_dependants_ends_each_of_them_once(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  for (int cancel = 0; cancel < 2; cancel++) {
    char b[STORE_ID_MAX], c[STORE_ID_MAX], d[STORE_ID_MAX];
    db_submit(store, "train_idm", NULL, b);
    db_submit(store, "label", (const char *[]){ b, NULL }, c);
    db_submit(store, "report", (const char *[]){ b, c, NULL }, d);
    if (cancel) CU_OK(store_job_cancel(store, b, &err), err);
    else jobs_fail(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
    CU_ASSERT_STRING_EQUAL(db_state(d), cancel ? "cancelled" : "failed");
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events where job_id = '%s'", d), "2");
  }
  store_close(store);
}

struct ender {
  struct store *store;
  struct store_lease hold;
  enum px_status status;
  pthread_barrier_t *gate;
};
static void *end_job(void *arg) {
  struct ender *e = arg;
  struct px_err err;
  pthread_barrier_wait(e->gate);
  e->status = store_job_succeed(e->store, &e->hold, "{}", &err);
  return NULL;
}

static void two_needs_that_end_at_once_leave_nobody_blocked(void) {
  enum { ROUNDS = 60 };
  struct store *store = jobs_fresh(), *other = db_test_open("other");
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
  CU_ASSERT_STRING_EQUAL(db_sql(
                           "select count(*) from jobs where kind = 'report' and state = 'ready'"),
                         "60");
  pthread_barrier_destroy(&gate);
  store_close(other);
  store_close(store);
}

/* --- submitting --- */

static void submitting_looks_at_what_older_needs_have_become(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char done[STORE_ID_MAX], failed[STORE_ID_MAX], id[STORE_ID_MAX];
  db_submit(store, "evaluate", NULL, done); /* which leaves nothing that could be missing */
  const struct store_lease hold = db_claim(store, "evaluate");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  db_submit(store, "train_idm", NULL, failed);
  jobs_fail(store, db_claim(store, "train_idm"), PX_E_NAN_LOSS);
  db_submit(store, "label", (const char *[]){ done, NULL }, id);
  CU_ASSERT_STRING_EQUAL(db_state(id), "ready");
  const char *needs[] = { done, failed };
  store_job_new_id(id);
  struct store_job_draft draft = {
    .id = id, .kind = "label", .name = "l", .spec_json = "{}", .needs = needs, .needs_n = 2
  };
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_DEPENDENCY_FAILED);
  needs[1] = "job_none";
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_NOT_FOUND);
  draft = (struct store_job_draft){
    .id = id, .kind = "label", .name = "l", .spec_json = "{}", .dataset_id = "ds_none"
  };
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "3");
  store_close(store);
}

static void an_unfinished_job_with_the_same_key_is_named(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char first[STORE_ID_MAX], id[STORE_ID_MAX];
  store_job_new_id(first);
  store_job_new_id(id);
  struct store_job_draft draft = {
    .id = first, .kind = "label", .name = "l", .spec_json = "{}", .dedupe_key = "k"
  };
  CU_OK(store_jobs_submit(store, &draft, 1, &err), err);
  draft.id = id;
  CU_ASSERT_EQUAL(store_jobs_submit(store, &draft, 1, &err), PX_E_CONFLICT);
  CU_ASSERT_STRING_EQUAL(err.hint, first);
  char existing[STORE_ID_MAX];
  const char *needs[] = { id };
  struct store_job_draft both[] = {
    draft,
    { .id = "job_x", .kind = "label", .name = "m", .spec_json = "{}", .needs = needs, .needs_n = 1 }
  };
  CU_OK(store_jobs_submit_once(store, both, 2, existing, &err), err);
  CU_ASSERT_STRING_EQUAL(existing, first);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "1");
  CU_OK(store_job_cancel(store, first, &err), err);
  CU_OK(store_jobs_submit_once(store, both, 2, existing, &err), err);
  CU_ASSERT_STRING_EQUAL(existing, "");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "3");
  store_close(store);
}

struct twin {
  struct store *store;
  pthread_barrier_t *gate;
  char id[STORE_ID_MAX], existing[STORE_ID_MAX];
  enum px_status status;
};
static void *submit_twin(void *arg) {
  struct twin *t = arg;
  struct px_err err;
  store_job_new_id(t->id);
  const struct store_job_draft draft = {
    .id = t->id, .kind = "label", .name = "l", .spec_json = "{}", .dedupe_key = "twin"
  };
  pthread_barrier_wait(t->gate);
  t->status = store_jobs_submit_once(t->store, &draft, 1, t->existing, &err);
  return NULL;
}

static void of_two_submissions_at_once_one_makes_the_job(void) {
  enum { ROUNDS = 40 };
  struct store *store = jobs_fresh(), *other = db_test_open("other");
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

struct racer {
  struct store *store;
  char need[STORE_ID_MAX];
  pthread_barrier_t *gate;
  char id[STORE_ID_MAX];
};
static void *submit_dependant(void *arg) {
  struct racer *r = arg;
  struct px_err err;
  const char *needs[] = { r->need };
  store_job_new_id(r->id);
  const struct store_job_draft draft = {
    .id = r->id, .kind = "export", .name = "x", .spec_json = "{}", .needs = needs, .needs_n = 1
  };
  pthread_barrier_wait(r->gate);
  if (store_jobs_submit(r->store, &draft, 1, &err)) r->id[0] = '\0';
  return NULL;
}

static void a_need_that_ends_during_the_submission_is_not_missed(void) {
  enum { ROUNDS = 60 };
  struct store *store = jobs_fresh(), *other = db_test_open("other");
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int round = 0; round < ROUNDS; round++) {
    struct racer racer = { .store = other, .gate = &gate };
    db_submit(store, "evaluate", NULL, racer.need);
    struct ender ender = { store, db_claim(store, "evaluate"), PX_OK, &gate };
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

static int readied(struct store *store, const char *id) {
  struct px_err err;
  int n = -1;
  CU_OK(store_job_readied(store, id, &n, &err), err);
  return n;
}

/* a and b; c and d need a; e needs a and b. */
static void the_end_of_a_job_tells_how_many_it_has_readied(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  char id[5][STORE_ID_MAX];
  for (int i = 0; i < 5; i++) store_job_new_id(id[i]);
  const char *needs[] = { id[0], id[1] };
  struct store_job_draft drafts[5];
  for (int i = 0; i < 5; i++)
    drafts[i] = (struct store_job_draft){ .id = id[i],
                                          .kind = i ? "label" : "train_idm",
                                          .name = "x",
                                          .spec_json = "{}",
                                          .needs = needs,
                                          .needs_n = i < 2   ? 0
                                                     : i < 4 ? 1
                                                             : 2 };
  CU_OK(store_jobs_submit(store, drafts, 5, &err), err);
  CU_ASSERT_EQUAL(readied(store, id[0]), 0);
  const struct store_lease a = db_claim(store, "train_idm");
  CU_OK(store_job_succeed(store, &a, "{}", &err), err);
  CU_ASSERT_EQUAL(readied(store, id[0]), 2);
  struct store_lease b = db_claim(store, "label"); /* the oldest */
  CU_ASSERT_STRING_EQUAL(b.job, id[1]);
  CU_OK(store_job_succeed(store, &b, "{}", &err), err);
  CU_ASSERT_EQUAL(readied(store, id[1]), 1);
  CU_ASSERT_EQUAL(readied(store, id[0]), 3);
  (void)db_claim(store, "label");
  CU_ASSERT_EQUAL(readied(store, id[0]), 2);
  store_close(store);
}

static void a_pipelines_version_grows_with_its_children(void) {
  struct store *store = jobs_fresh();
  struct px_err err;
  const struct graph g = submit_graph(store);
  const char *ids[] = { g.p, "job_none", g.a };
  int64_t before[3], after[3];
  bool final[3];
  CU_OK(store_job_versions(store, ids, 3, before, final, &err), err);
  const struct store_lease hold = db_claim(store, "train_idm");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_OK(store_job_versions(store, ids, 3, after, final, &err), err);
  CU_ASSERT(after[0] > before[0] && after[2] > before[2]);
  CU_ASSERT_EQUAL(after[1], -1);
  CU_ASSERT(!final[0] && !final[1] && final[2]);
  store_close(store);
}

CU_MAIN("store_graph", T(dependants_become_ready_and_the_pipeline_takes_the_reports_result),
        T(failure_reaches_the_pipeline_with_the_root_cause),
        T(cancelling_a_pipeline_cancels_all_its_children),
        T(a_diamond_of_dependants_ends_each_of_them_once),
        T(the_reaper_cancels_pending_children_of_ended_pipelines),
        T(two_needs_that_end_at_once_leave_nobody_blocked),
        T(submitting_looks_at_what_older_needs_have_become),
        T(an_unfinished_job_with_the_same_key_is_named),
        T(of_two_submissions_at_once_one_makes_the_job),
        T(a_need_that_ends_during_the_submission_is_not_missed),
        T(the_end_of_a_job_tells_how_many_it_has_readied),
        T(a_pipelines_version_grows_with_its_children))
