/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotency keys: what a request did and its answer are there together or not at all, and never
 * twice. */
#include <pthread.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/store/datasets.h"
#include "lib/store/idempotency.h"
#include "lib/store/store.h"
#include "tests/support/db.h"

static const struct px_spaces SPACES = {
  .obs_dim = 2, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 }
};

static struct store *fresh(const char *name) {
  struct store *store = db_test_open(name);
  db_sql("truncate datasets, jobs, blobs, idempotency_keys cascade");
  return store;
}

static struct store_idempotency key(const char *text, uint8_t request) {
  struct store_idempotency once = { .fingerprint = { request } };
  snprintf(once.key, sizeof once.key, "%s", text);
  return once;
}

static struct store_answer nothing(void) {
  return (struct store_answer){ 0, PX_BUF(1 << 16), PX_BUF(1 << 16) };
}

static void drop(struct store_answer *answer) {
  px_buf_free(&answer->head);
  px_buf_free(&answer->body);
}

/* A request that makes a dataset and answers with its id. */
struct making {
  struct store *store;
  const char *name;
  enum px_status then;
  int runs;
};
static enum px_status make(void *ctx, struct store_answer *answer, struct px_err *err) {
  struct making *m = ctx;
  char id[STORE_ID_MAX];
  m->runs++;
  enum px_status status = store_dataset_create(m->store, m->name, &SPACES, NULL, id, err);
  if (!status) status = px_buf_puts(&answer->head, "{\"etag\": \"1\"}");
  if (!status) status = px_buf_puts(&answer->body, id);
  answer->status = 201;
  return status ? status : m->then;
}

static enum px_status carry_out(struct store *store, const struct store_idempotency *once,
                                struct making *m, struct store_answer *answer, bool *found) {
  struct px_err err;
  enum px_status status = store_idempotency_begin(store, once, answer, found, &err);
  if (status || *found) return status;
  status = store_idempotency_run(store, once, make, m, answer, &err);
  store_idempotency_end(store, once);
  return status;
}

static void a_repeat_gets_the_first_answer_and_does_nothing(void) {
  struct store *store = fresh("once");
  const struct store_idempotency once = key("k", 1);
  struct making m = { .store = store, .name = "a" };
  struct store_answer first = nothing(), again = nothing();
  bool found;
  CU_ASSERT_EQUAL(carry_out(store, &once, &m, &first, &found), PX_OK);
  CU_ASSERT_FALSE(found);
  CU_ASSERT_EQUAL(carry_out(store, &once, &m, &again, &found), PX_OK);
  CU_ASSERT_TRUE(found);
  CU_ASSERT_EQUAL(m.runs, 1);
  CU_ASSERT_EQUAL(again.status, 201);
  CU_ASSERT_STRING_EQUAL(again.head.data, "{\"etag\": \"1\"}");
  CU_ASSERT_STRING_EQUAL(again.body.data, first.body.data);
  CU_ASSERT_STRING_EQUAL(db_sql("select id from datasets"), first.body.data);
  drop(&first);
  drop(&again);
  store_close(store);
}

static void a_key_belongs_to_one_request(void) {
  struct store *store = fresh("once");
  const struct store_idempotency once = key("k", 1), other = key("k", 2);
  struct making m = { .store = store, .name = "a" };
  struct store_answer answer = nothing();
  bool found;
  CU_ASSERT_EQUAL(carry_out(store, &once, &m, &answer, &found), PX_OK);
  m.name = "b";
  CU_ASSERT_EQUAL(carry_out(store, &other, &m, &answer, &found), PX_E_KEY_REUSED);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from datasets"), "1");
  drop(&answer);
  store_close(store);
}

static void what_fails_leaves_nothing_and_may_be_tried_again(void) {
  struct store *store = fresh("once");
  const struct store_idempotency once = key("k", 1);
  struct making m = { .store = store, .name = "a", .then = PX_E_BAD_FIELD };
  struct store_answer answer = nothing();
  bool found;
  CU_ASSERT_EQUAL(carry_out(store, &once, &m, &answer, &found), PX_E_BAD_FIELD);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select (select count(*) from datasets) + (select count(*) from idempotency_keys)"),
    "0");
  m.then = PX_OK;
  CU_ASSERT_EQUAL(carry_out(store, &once, &m, &answer, &found), PX_OK);
  CU_ASSERT_FALSE(found);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from datasets"), "1");
  drop(&answer);
  store_close(store);
}

static void one_at_a_time(void) {
  struct store *store = fresh("once"), *other = db_test_open("other");
  const struct store_idempotency once = key("k", 1);
  struct making m = { .store = other, .name = "a" };
  struct store_answer answer = nothing();
  struct px_err err;
  bool found;
  CU_OK(store_idempotency_begin(store, &once, &answer, &found, &err), err);
  CU_ASSERT_EQUAL(carry_out(other, &once, &m, &answer, &found), PX_E_KEY_IN_USE);
  store_close(store); /* as when its server is killed */
  enum px_status status = PX_E_KEY_IN_USE;
  for (int i = 0; i < 1000 && status == PX_E_KEY_IN_USE; i++)
    status = carry_out(other, &once, &m, &answer, &found);
  CU_ASSERT_EQUAL(status, PX_OK);
  drop(&answer);
  store_close(other);
}

/* The connection that held the key was cut, another request got in, and then the first goes on. */
static void who_lost_the_lock_cannot_do_it_twice(void) {
  struct store *store = fresh("px cut me"), *other = db_test_open("other");
  const struct store_idempotency once = key("k", 1);
  struct making first = { .store = store, .name = "a" }, second = { .store = other, .name = "b" };
  struct store_answer answer = nothing(), later = nothing();
  struct px_err err;
  bool found;
  CU_OK(store_idempotency_begin(store, &once, &answer, &found, &err), err);
  db_sql("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = "
         "'px cut me'");
  CU_ASSERT_EQUAL(carry_out(other, &once, &second, &later, &found), PX_OK);
  CU_OK(store_ping(store, &err), err); /* it learns of the cut, and connects again */
  CU_ASSERT_EQUAL(store_idempotency_run(store, &once, make, &first, &answer, &err),
                  PX_E_KEY_IN_USE);
  store_idempotency_end(store, &once);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(name, ',') from datasets"), "b");
  CU_ASSERT_EQUAL(carry_out(store, &once, &first, &answer, &found), PX_OK);
  CU_ASSERT_TRUE(found);
  CU_ASSERT_STRING_EQUAL(db_sql("select id from datasets"), later.body.data);
  drop(&answer);
  drop(&later);
  store_close(store);
  store_close(other);
}

/* Two transactions that lock each other's rows: one of them is undone and runs again, whole. */
struct crossing {
  struct store *store;
  const char *ids[2];
  pthread_barrier_t *gate;
  int runs;
};
static enum px_status cross(void *ctx, struct store_answer *answer, struct px_err *err) {
  struct crossing *c = ctx;
  answer->status = 200;
  enum px_status status = store_job_cancel(c->store, c->ids[0], err);
  if (c->runs++ == 0) pthread_barrier_wait(c->gate);
  if (!status) status = store_job_cancel(c->store, c->ids[1], err);
  return status ? status : px_buf_puts(&answer->head, "{}");
}
static void *cross_main(void *arg) {
  struct crossing *c = arg;
  const struct store_idempotency once = key(c->ids[0], 1);
  struct store_answer answer = nothing();
  struct px_err err;
  const enum px_status status = store_idempotency_run(c->store, &once, cross, c, &answer, &err);
  drop(&answer);
  return (void *)(uintptr_t)status;
}
static void a_deadlock_runs_it_all_again(void) {
  struct store *store = fresh("once"), *other = db_test_open("other");
  char a[STORE_ID_MAX], b[STORE_ID_MAX];
  db_submit(store, "label", NULL, a);
  db_submit(store, "label", NULL, b);
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  struct crossing one = { store, { a, b }, &gate, 0 }, two = { other, { b, a }, &gate, 0 };
  pthread_t thread;
  void *theirs;
  CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, cross_main, &two), 0);
  const enum px_status ours = (enum px_status)(uintptr_t)cross_main(&one);
  pthread_join(thread, &theirs);
  /* One cancelled both; the other, undone, found them cancelled. */
  CU_ASSERT_EQUAL(ours + (enum px_status)(uintptr_t)theirs, PX_E_CONFLICT);
  CU_ASSERT(one.runs + two.runs >= 3); /* it may run into the other again before that goes on */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from idempotency_keys"), "1");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events where to_state = 'cancelled'"),
                         "2");
  pthread_barrier_destroy(&gate);
  store_close(store);
  store_close(other);
}

static void keys_are_kept_for_a_day(void) {
  struct store *store = fresh("once");
  struct making m = { .store = store };
  struct store_answer answer = nothing();
  struct px_err err;
  bool found;
  int removed;
  for (int i = 0; i < 2; i++) {
    const struct store_idempotency once = key(i ? "new" : "old", 1);
    m.name = once.key;
    CU_ASSERT_EQUAL(carry_out(store, &once, &m, &answer, &found), PX_OK);
  }
  db_sql("update idempotency_keys set created_at = created_at - interval '24 hours 1 second' where "
         "key = 'old'");
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(key, ',') from idempotency_keys"), "new");
  drop(&answer);
  store_close(store);
}

CU_MAIN("once", T(a_repeat_gets_the_first_answer_and_does_nothing), T(a_key_belongs_to_one_request),
        T(what_fails_leaves_nothing_and_may_be_tried_again), T(one_at_a_time),
        T(who_lost_the_lock_cannot_do_it_twice), T(a_deadlock_runs_it_all_again),
        T(keys_are_kept_for_a_day))
