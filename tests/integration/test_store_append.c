/* SPDX-License-Identifier: Apache-2.0 */
/* Appends to a dataset, and what it shows of them, against sums done here by hand. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/traj.h"
#include "lib/store/append.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "tests/support/appends.h"
#include "tests/support/db.h"
#include "tests/support/trajs.h"

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Linear between the two nearest, as PostgreSQL's percentile_cont and numpy. */
static double percentile(const double *sorted, int n, double q) {
  const double place = q * (n - 1);
  const int i = (int)place;
  return i + 1 < n ? sorted[i] + (place - i) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

static void the_document_tells_the_numbers_of_what_was_appended(void) {
  struct store *store = appends_store(), *other = db_test_open("other");
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "numbers", &appends_spaces, "hopper", id, &err), err);
  int64_t version[2];
  json_decref(appends_document(store, id, &version[0]));
  appends_run(store, other, id, 1, 150, &p);
  appends_run(store, other, id, 2, 250, &p);
  json_t *doc = appends_document(store, id, &version[1]);
  CU_ASSERT_EQUAL(version[1], version[0] + 2);
  CU_ASSERT_EQUAL(appends_number(doc, "trajectories"), 400);
  CU_ASSERT_EQUAL(appends_number(doc, "steps"), (double)p.steps_n);
  CU_ASSERT_EQUAL(appends_number(doc, "labelled_steps"), (double)p.labelled_steps_n);
  CU_ASSERT_EQUAL(appends_number(doc, "labelled_trajectories"), (double)p.labelled_n);
  CU_ASSERT(appends_number(doc, "segments") >= 4);
  for (int j = 0; j < APPENDS_OBS; j++) {
    const double mean = p.sum[j] / (double)p.obs_n,
                 std = sqrt(p.sum2[j] / (double)p.obs_n - mean * mean);
    CU_ASSERT_DOUBLE_EQUAL(json_number_value(
                             json_array_get(json_object_get(doc, "obs_mean"), (size_t)j)),
                           mean, 1e-9 * mean);
    CU_ASSERT_DOUBLE_EQUAL(json_number_value(
                             json_array_get(json_object_get(doc, "obs_std"), (size_t)j)),
                           std, 1e-7 * std);
  }
  double sum = 0, sum2 = 0;
  for (int i = 0; i < p.n; i++) {
    sum += p.returns[i];
    sum2 += p.returns[i] * p.returns[i];
  }
  const json_t *returns = json_object_get(doc, "returns");
  const double mean = sum / p.n, std = sqrt(sum2 / p.n - mean * mean);
  qsort(p.returns, (size_t)p.n, sizeof *p.returns, by_value);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(returns, "mean"), mean, 1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(returns, "std"), std, 1e-7 * std);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(returns, "min"), p.returns[0], 1e-12);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(returns, "p10"), percentile(p.returns, p.n, 0.1),
                         1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(returns, "p90"), percentile(p.returns, p.n, 0.9),
                         1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(returns, "max"), p.returns[p.n - 1], 1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(appends_number(json_object_get(doc, "lengths"), "mean"),
                         (double)p.steps_n / p.n, 1e-9 * (double)p.steps_n);
  json_decref(doc);
  store_close(other);
  store_close(store);
}

static void each_class_is_counted_where_it_is_known(void) {
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX];
  struct trajs list = { .spaces = trajs_discrete(APPENDS_OBS, 3) };
  uint64_t counts[3] = { 0 };
  CU_OK(store_dataset_create(store, "counted", &list.spaces, NULL, id, &err), err);
  for (int upload = 0; upload < 2; upload++) {
    struct appends_target target = { .store = { store, store } };
    CU_OK(store_append_begin(id, APPENDS_OBS, &target.append, &err), err);
    struct px_segment_builder *builder =
      px_segment_builder_new(&list.spaces, (struct px_segment_sink){ &target, appends_to_store });
    const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
    trajs_fill(&list, 300, 1500, 5 + (uint64_t)upload); /* several segments */
    for (size_t i = 0; i < list.n; i++) {
      const struct px_traj *t = &list.items[i];
      CU_OK(sink.put(sink.ctx, t, &err), err);
      for (uint32_t s = 0; t->actions && s < t->steps; s++)
        if (!t->labelled || t->labelled[s]) counts[(int)t->actions[s]]++;
    }
    CU_OK(px_segment_builder_end(builder, &err), err);
    CU_ASSERT_TRUE(target.turn > 1);
    px_segment_builder_free(builder);
    CU_OK(store_append_commit(target.append, store, NULL, NULL, &err), err);
    store_append_free(target.append);
    trajs_free(&list);
  }
  int64_t version;
  json_t *doc = appends_document(store, id, &version);
  for (size_t i = 0; i < 3; i++)
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(json_object_get(doc, "class_counts"), i)),
                    (json_int_t)counts[i]);
  CU_ASSERT_EQUAL(appends_number(doc, "labelled_steps"),
                  (double)(counts[0] + counts[1] + counts[2]));
  json_decref(doc);
  store_close(store);
}

struct reading {
  struct px_err err;
  uint32_t seq;
  uint64_t trajectories;
  const struct appends_sums *p;
  bool wrong;
};

static enum px_status check_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                    struct px_err *err) {
  struct reading *r = ctx;
  struct px_segment_view view;
  const enum px_status status = px_segment_open(bytes, n, &appends_spaces, &view, err);
  if (status) return status;
  r->wrong |= seq != r->seq++;
  for (uint32_t i = 0; i < view.traj_n; i++)
    r->wrong |= view.length[i] != r->p->lengths[r->trajectories++];
  px_segment_close(&view);
  return PX_OK;
}

static void segments_keep_upload_order_and_a_damaged_one_is_named(void) {
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "order", &appends_spaces, NULL, id, &err), err);
  appends_run(store, store, id, 1, 200, &p);
  appends_run(store, store, id, 2, 200, &p);
  struct store_dataset *ds = calloc(1, sizeof *ds);
  CU_ASSERT_PTR_NOT_NULL_FATAL(ds);
  CU_OK(store_dataset_get(store, id, ds, &err), err);
  struct reading reading = { .p = &p };
  CU_OK(store_dataset_segment_read(store,
                                   &(struct store_segment_range){ id, 0, ds->segments_n,
                                                                  STORE_VERSION_NOW },
                                   check_segment, &reading, &err),
        err);
  CU_ASSERT_FALSE(reading.wrong);
  CU_ASSERT_EQUAL(reading.trajectories, 400);
  CU_ASSERT_EQUAL(store_dataset_segment_read(store,
                                             &(struct store_segment_range){
                                               id, 0, ds->segments_n + 1, STORE_VERSION_NOW },
                                             check_segment, &reading, &err),
                  PX_E_NOT_FOUND);
  /* One byte of the last segment changes: it is named, and those before it are still read. */
  const int last = (int)ds->segments_n - 1;
  db_sql("update blob_chunks set bytes = overlay(bytes placing '\\x77'::bytea from length(bytes)) "
         "where (blob_id, no) ="
         " (select c.blob_id, max(c.no) from blob_chunks c join segments s on s.blob_id = "
         "c.blob_id where s.seq = %d group by 1)",
         last);
  char place[STORE_ID_MAX + 32];
  snprintf(place, sizeof place, "segment %d of %s", last, id);
  CU_ASSERT_EQUAL(store_dataset_segment_read(store,
                                             &(struct store_segment_range){ id, (uint32_t)last, 1,
                                                                            STORE_VERSION_NOW },
                                             check_segment, &reading, &err),
                  PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, place));
  reading = (struct reading){ .p = &p };
  CU_OK(store_dataset_segment_read(store,
                                   &(struct store_segment_range){ id, 0, (uint32_t)last,
                                                                  STORE_VERSION_NOW },
                                   check_segment, &reading, &err),
        err);
  struct store_returns found;
  struct store_place at;
  uint32_t with = 0;
  CU_OK(store_dataset_returns(store, ds, ds->segments_n, STORE_VERSION_NOW, &found, &err), err);
  CU_ASSERT_EQUAL_FATAL(found.n, 400);
  for (uint32_t i = 0; i < found.n; i++) {
    CU_ASSERT_EQUAL(found.returns[i], p.returns[i]);
    with += found.labelled[i] == STORE_LABELLED_ALL; /* none of them is labelled in part */
  }
  CU_ASSERT_EQUAL(with, p.labelled_n);
  store_dataset_returns_free(&found);
  CU_OK(store_dataset_trajectory_find(store, id, 399, &at, &err), err);
  CU_ASSERT_EQUAL(at.seq, ds->segments_n - 1);
  CU_ASSERT_EQUAL((int)at.length, p.lengths[399]);
  CU_ASSERT_EQUAL(store_dataset_trajectory_find(store, id, 400, &at, &err), PX_E_NOT_FOUND);
  struct px_buf text = PX_BUF(1 << 20);
  CU_OK(store_dataset_trajectory_list(store, id, &(struct store_trajectory_page){ NULL, 395, 3 },
                                      &text, &err),
        err);
  json_t *page = appends_parsed(&text);
  CU_ASSERT_EQUAL(appends_number(page, "next"), 398);
  CU_ASSERT_EQUAL(appends_number(json_array_get(json_object_get(page, "items"), 2), "length"),
                  p.lengths[397]);
  CU_ASSERT_EQUAL(appends_number(json_array_get(json_object_get(page, "items"), 2), "return"),
                  p.returns[397]);
  json_decref(page);
  CU_OK(store_dataset_trajectory_list(store, id, &(struct store_trajectory_page){ NULL, 398, 3 },
                                      &text, &err),
        err);
  page = appends_parsed(&text);
  CU_ASSERT_TRUE(json_is_null(json_object_get(page, "next")));
  CU_ASSERT_EQUAL(json_array_size(json_object_get(page, "items")), 2);
  json_decref(page);
  free(ds);
  store_close(store);
}

struct committer {
  struct store *store;
  struct store_append *append;
  pthread_barrier_t *gate;
  enum px_status status;
};

static void *commit(void *arg) {
  struct committer *c = arg;
  struct px_err err;
  pthread_barrier_wait(c->gate);
  c->status = store_append_commit(c->append, c->store, NULL, NULL, &err);
  return NULL;
}

static void appends_at_once_leave_no_gaps(void) {
  enum { ROUNDS = 20 };
  struct store *store = appends_store(), *other = db_test_open("other");
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "race", &appends_spaces, NULL, id, &err), err);
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int round = 0; round < ROUNDS; round++) {
    struct committer c[2] = {
      { store, appends_prepare(store, other, id, 2 * (uint64_t)round, 3, &p), &gate, PX_OK },
      { other, appends_prepare(store, other, id, 2 * (uint64_t)round + 1, 4, &p), &gate, PX_OK }
    };
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, commit, &c[1]), 0);
    commit(&c[0]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
      CU_ASSERT_EQUAL(c[i].status, PX_OK);
      store_append_free(c[i].append);
    }
  }
  pthread_barrier_destroy(&gate);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) || ' ' || max(seq) || ' ' || sum(trajectories_n) from segments"),
    "40 39 140");
  CU_ASSERT_STRING_EQUAL(
    db_sql("select bool_and(first_trajectory = before) from (select first_trajectory, coalesce(sum("
           "trajectories_n) over (order by seq rows unbounded preceding exclude current row), 0) "
           "as before"
           " from segments) as s"),
    "t");
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) || ' ' || max(n) from trajectories t join segments s on s.seq = "
           "t.segment_seq"
           " where n >= first_trajectory and n < first_trajectory + trajectories_n"),
    "140 139");
  int64_t version;
  json_t *doc = appends_document(store, id, &version);
  CU_ASSERT_EQUAL(appends_number(doc, "steps"), (double)p.steps_n);
  json_decref(doc);
  store_close(other);
  store_close(store);
}

static void an_append_under_a_lost_hold_leaves_nothing_behind(void) {
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX], job[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "fenced", &appends_spaces, NULL, id, &err), err);
  db_submit(store, "ingest", NULL, job);
  const struct store_lease old = db_claim(store, "ingest");
  CU_OK(store_job_give_back(store, &old, &err), err);
  const struct store_lease hold = db_claim(store, "ingest");
  struct store_append *made = appends_prepare(store, store, id, 1, 50, &p);
  CU_ASSERT_EQUAL(store_append_commit(made, store, &old, "{}", &err), PX_E_FENCED);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select segments_n + trajectories_n + (select count(*) from segments) from datasets"),
    "0");
  CU_OK(store_append_commit(made, store, &hold, "{\"ok\": true}", &err), err);
  CU_OK(store_append_commit(made, store, &hold, "{\"ok\": true}", &err), err); /* already */
  CU_ASSERT_STRING_EQUAL(
    db_sql("select trajectories_n || ' ' || (select state from jobs) from datasets"),
    "50 succeeded");
  store_append_free(made);
  store_close(store);
}

/* The bytes of the last segment are gone, as after a crash of the database: none of the others is
 * attached either. */
static void an_append_that_fails_in_the_middle_leaves_nothing_behind(void) {
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "middle", &appends_spaces, NULL, id, &err), err);
  struct store_append *made = appends_prepare(store, store, id, 1, 200, &p);
  CU_ASSERT(strtol(db_sql("select count(*) from blobs where not attached"), NULL, 10) > 1);
  db_sql("delete from blobs where id = (select max(id) from blobs)");
  CU_ASSERT_EQUAL(store_append_commit(made, store, NULL, NULL, &err), PX_E_UNAVAILABLE);
  CU_ASSERT_STRING_EQUAL(db_sql("select (select count(*) from segments where dataset_id = '%s') +"
                                " (select count(*) from trajectories where dataset_id = '%s')",
                                id, id),
                         "0");
  CU_ASSERT_STRING_EQUAL(db_sql("select segments_n + trajectories_n from datasets where id = '%s'",
                                id),
                         "0");
  store_append_free(made);
  store_close(store);
}

CU_MAIN("store_append", T(each_class_is_counted_where_it_is_known),
        T(the_document_tells_the_numbers_of_what_was_appended),
        T(segments_keep_upload_order_and_a_damaged_one_is_named), T(appends_at_once_leave_no_gaps),
        T(an_append_under_a_lost_hold_leaves_nothing_behind),
        T(an_append_that_fails_in_the_middle_leaves_nothing_behind))
