/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts: what is acknowledged is stored, once, and becomes a job with its last byte. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "tests/support/db.h"

static const struct px_spaces SPACES = {
  .obs_dim = 2, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 }
};
enum { FILE_BYTES = 3 * STORE_CHUNK_BYTES + 1000 };
static uint8_t content[FILE_BYTES];

static struct store *fresh(char dataset[STORE_ID_MAX]) {
  struct px_err err;
  struct store *store = db_test_open("uploads");
  struct px_rng rng = px_rng_at(1, 0, 0);
  for (size_t i = 0; i < FILE_BYTES; i++) content[i] = (uint8_t)px_rng_below(&rng, 256);
  db_sql("truncate datasets, jobs, blobs cascade");
  CU_OK(store_dataset_create(store, "d", &SPACES, NULL, dataset, &err), err);
  return store;
}

static enum px_status create(struct store *store, const char *dataset,
                             struct store_upload_state *state) {
  struct px_err err;
  const struct store_upload_draft draft = { .dataset_id = dataset,
                                            .file_name = "a \"b\".npz",
                                            .format = "npz",
                                            .options_json = "{\"x\": 1}",
                                            .metadata = "a YQ==",
                                            .size_bytes = FILE_BYTES,
                                            .expires_s = 60 };
  return store_upload_create(store, &draft, state, &err);
}

/* n bytes of the content at `offset`, through a file. */
static enum px_status append(struct store *store, const char *id, uint64_t offset, uint64_t n,
                             struct store_upload_state *state, struct px_err *err) {
  FILE *file = tmpfile();
  if (!file || fwrite(content + offset, 1, n, file) != n || fflush(file) != 0) return PX_E_IO;
  const enum px_status status =
    store_upload_append(store, id, offset, fileno(file), n, 60, state, err);
  fclose(file);
  return status;
}

static bool is_stored(struct store *store, const char *id, size_t n) {
  struct px_err err;
  struct px_buf bytes = PX_BUF(FILE_BYTES);
  const long long blob =
    strtoll(db_sql("select blob_id from uploads where id = '%s'", id), NULL, 10);
  db_sql("update blobs set size_bytes = greatest(size_bytes, %zu) where id = %lld", n, blob);
  const bool same = store_blob_read(store, blob, &bytes, &err) == PX_OK && bytes.len == n &&
                    memcmp(bytes.data, content, n) == 0;
  px_buf_free(&bytes);
  return same;
}

static void parts_make_the_file_and_its_last_byte_the_job(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err;
  struct store_upload_state state;
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  CU_ASSERT_EQUAL(strncmp(state.id, "up_", 3), 0);
  CU_ASSERT_STRING_EQUAL(state.metadata, "a YQ==");
  CU_ASSERT_EQUAL(state.received_bytes, 0);
  char id[STORE_ID_MAX];
  memcpy(id, state.id, sizeof id);
  static const uint64_t PARTS[] = { 1, STORE_CHUNK_BYTES - 1, 2 * STORE_CHUNK_BYTES + 1 };
  uint64_t at = 0;
  for (size_t i = 0; i < 3; at += PARTS[i++]) {
    CU_OK(append(store, id, at, PARTS[i], &state, &err), err);
    CU_ASSERT_EQUAL(state.received_bytes, at + PARTS[i]);
    CU_ASSERT_STRING_EQUAL(state.job_id, "");
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "0");
  CU_OK(append(store, id, at, FILE_BYTES - at, &state, &err), err);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select kind || ' ' || (spec->>'dataset') || ' ' || (spec->>'upload') from jobs"),
    db_sql("select 'ingest %s %s'", dataset, id));
  CU_ASSERT_STRING_EQUAL(state.job_id, db_sql("select id from jobs"));
  CU_ASSERT_TRUE(is_stored(store, id, FILE_BYTES));
  CU_ASSERT_STRING_EQUAL(db_sql("select attached from blobs"), "t");
  struct store_upload whole;
  struct px_buf options = PX_BUF(100);
  CU_OK(store_upload_get(store, id, &whole, &options, &err), err);
  CU_ASSERT_STRING_EQUAL(whole.file_name, "a \"b\".npz");
  CU_ASSERT_STRING_EQUAL(options.data, "{\"x\": 1}");
  px_buf_free(&options);
  CU_OK(store_upload_append(store, id, FILE_BYTES, -1, 0, 60, &state, &err), err);
  store_close(store);
}

static void bytes_at_another_place_change_nothing(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err;
  struct store_upload_state state, unused;
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  CU_OK(append(store, state.id, 0, 100, &unused, &err), err);
  CU_ASSERT_EQUAL(append(store, state.id, 0, 100, &unused, &err), PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "at offset 100, not 0"));
  CU_ASSERT_EQUAL(append(store, state.id, 101, 100, &unused, &err), PX_E_CONFLICT);
  CU_ASSERT_EQUAL(store_upload_append(store, state.id, 99, -1, 0, 60, &unused, &err),
                  PX_E_CONFLICT);
  db_sql("update uploads set size_bytes = 150");
  CU_ASSERT_EQUAL(append(store, state.id, 100, 51, &unused, &err), PX_E_TOO_LARGE);
  CU_ASSERT_EQUAL(append(store, "up_none", 0, 1, &unused, &err), PX_E_NOT_FOUND);
  CU_ASSERT_TRUE(is_stored(store, state.id, 100));
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blob_chunks"), "1");
  store_close(store);
}

static void a_part_that_fails_in_the_middle_leaves_the_offset(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err;
  struct store_upload_state state, unused;
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  FILE *file = tmpfile();
  CU_ASSERT_PTR_NOT_NULL_FATAL(file);
  CU_ASSERT_EQUAL(fwrite(content, 1, STORE_CHUNK_BYTES + 5, file), STORE_CHUNK_BYTES + 5);
  fflush(file);
  CU_ASSERT_EQUAL(store_upload_append(store, state.id, 0, fileno(file), STORE_CHUNK_BYTES + 6, 60,
                                      &unused, &err),
                  PX_E_IO);
  fclose(file);
  CU_OK(store_upload_state(store, state.id, &state, &err), err);
  CU_ASSERT_EQUAL(state.received_bytes, 0);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blob_chunks"), "0");
  store_close(store);
}

struct writer {
  struct store *store;
  const char *id;
  uint64_t at, n;
  pthread_barrier_t *gate;
  enum px_status status;
  bool last;
};
static void *write_part(void *arg) {
  struct writer *w = arg;
  struct store_upload_state state;
  struct px_err err;
  pthread_barrier_wait(w->gate);
  w->status = append(w->store, w->id, w->at, w->n, &state, &err);
  w->last = !w->status && *state.job_id;
  return NULL;
}

static void of_two_writers_at_one_place_one_is_taken(void) {
  enum { STEP = 100000 };
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset), *other = db_test_open("other");
  struct store_upload_state state;
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  int lasts = 0;
  for (uint64_t at = 0; at < FILE_BYTES; at += STEP) {
    const uint64_t n = FILE_BYTES - at < STEP ? FILE_BYTES - at : STEP;
    struct writer a = { store, state.id, at, n, &gate, PX_OK, false },
                  b = { other, state.id, at, n, &gate, PX_OK, false };
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_part, &b), 0);
    write_part(&a);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(a.status + b.status, PX_E_CONFLICT);
    lasts += a.last + b.last;
  }
  CU_ASSERT_EQUAL(lasts, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "1");
  CU_ASSERT_TRUE(is_stored(store, state.id, FILE_BYTES));
  pthread_barrier_destroy(&gate);
  store_close(store);
  store_close(other);
}

struct remover {
  struct store *store;
  const char *id;
  pthread_barrier_t *gate;
  enum px_status status;
};
static void *remove_upload(void *arg) {
  struct remover *r = arg;
  struct px_err err;
  pthread_barrier_wait(r->gate);
  r->status = store_upload_delete(r->store, r->id, &err);
  return NULL;
}

/* The last part is stored but not committed when the removal comes: the part wins, and its job
 * keeps the bytes. */
static void a_removal_that_waits_for_the_last_part_sees_its_job(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset), *other = db_test_open("other");
  struct store_upload_state state;
  struct px_err err;
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  CU_OK(append(store, state.id, 0, FILE_BYTES - 1, &state, &err), err);
  /* The commit of the last part waits in a trigger until the removal waits for it. */
  db_sql("create function wait_for_removal() returns trigger language plpgsql as $$ begin for i in "
         "1..3000 loop "
         "exit when exists (select from pg_stat_activity where datname = current_database() and "
         "wait_event_type = 'Lock'); "
         "perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; return null; end $$; "
         "create constraint trigger wait_for_removal after update on uploads deferrable initially "
         "deferred for each row "
         "execute function wait_for_removal()");
  struct writer w = { store, state.id, FILE_BYTES - 1, 1, &gate, PX_OK, false };
  struct remover r = { other, state.id, &gate, PX_OK };
  pthread_t writes;
  CU_ASSERT_EQUAL_FATAL(pthread_create(&writes, NULL, write_part, &w), 0);
  pthread_barrier_wait(&gate);
  while (strcmp(db_sql("select count(*) from pg_locks l join pg_class c on c.oid = l.relation "
                       "where c.relname = 'uploads' "
                       "and l.mode = 'RowExclusiveLock'"),
                "0") == 0)
    continue;
  pthread_t removes;
  CU_ASSERT_EQUAL_FATAL(pthread_create(&removes, NULL, remove_upload, &r), 0);
  pthread_barrier_wait(&gate);
  pthread_join(writes, NULL);
  pthread_join(removes, NULL);
  db_sql("drop trigger wait_for_removal on uploads; drop function wait_for_removal()");
  CU_ASSERT_EQUAL(w.status, PX_OK);
  CU_ASSERT_TRUE(w.last);
  CU_ASSERT_EQUAL(r.status, PX_E_CONFLICT);
  CU_ASSERT_TRUE(is_stored(store, state.id, FILE_BYTES));
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs"), "1");
  pthread_barrier_destroy(&gate);
  store_close(store);
  store_close(other);
}

/* At the same moment: the part that makes the job or the removal, never both. */
static void of_the_last_part_and_a_removal_one_wins(void) {
  enum { ROUNDS = 20 };
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset), *other = db_test_open("other");
  struct store_upload_state state;
  struct px_err err;
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int i = 0; i < ROUNDS; i++) {
    CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
    CU_OK(append(store, state.id, 0, FILE_BYTES - 1, &state, &err), err);
    struct writer w = { store, state.id, FILE_BYTES - 1, 1, &gate, PX_OK, false };
    struct remover r = { other, state.id, &gate, PX_OK };
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, remove_upload, &r), 0);
    write_part(&w);
    pthread_join(thread, NULL);
    const bool part_won = w.status == PX_OK && r.status == PX_E_CONFLICT,
               removal_won = w.status == PX_E_NOT_FOUND && r.status == PX_OK;
    CU_ASSERT_TRUE(part_won || removal_won);
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from jobs where spec->>'upload' = '%s'",
                                  state.id),
                           part_won ? "1" : "0");
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from uploads where id = '%s'", state.id),
                           part_won ? "1" : "0");
  }
  pthread_barrier_destroy(&gate);
  store_close(store);
  store_close(other);
}

static void what_has_expired_is_gone_with_its_bytes(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err;
  struct store_upload_state old, young, unused;
  int removed;
  CU_ASSERT_EQUAL(create(store, dataset, &old), PX_OK);
  CU_ASSERT_EQUAL(create(store, dataset, &young), PX_OK);
  CU_OK(append(store, old.id, 0, 10, &unused, &err), err);
  CU_OK(append(store, young.id, 0, 10, &unused, &err), err);
  db_sql("update uploads set expires_at = clock_timestamp() where id = '%s'", old.id);
  CU_ASSERT_EQUAL(store_upload_state(store, old.id, &unused, &err), PX_E_NOT_FOUND);
  CU_ASSERT_EQUAL(append(store, old.id, 10, 10, &unused, &err), PX_E_NOT_FOUND);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select id from uploads"), young.id);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select (select count(*) from blobs) + (select count(*) from blob_chunks)"), "2");
  store_close(store);
}

/* Whoever lost the answer to the last part asks for the offset: the row is there when the bytes are
 * long gone. */
static void a_whole_file_goes_after_its_job_and_its_row_when_it_expires(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err;
  struct store_upload_state state;
  int removed;
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  CU_OK(append(store, state.id, 0, FILE_BYTES, &state, &err), err);
  CU_ASSERT_EQUAL(store_upload_delete(store, state.id, &err), PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, state.job_id));
  db_sql("update uploads set expires_at = clock_timestamp()");
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0); /* the job still needs it */
  db_sql("update uploads set expires_at = clock_timestamp() + interval '1 minute'");
  const struct store_lease hold = db_claim(store, "ingest");
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
  CU_OK(store_upload_state(store, state.id, &state, &err), err);
  CU_ASSERT_EQUAL(state.received_bytes, FILE_BYTES);
  db_sql("update uploads set expires_at = clock_timestamp()");
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from uploads"), "0");
  store_close(store);
}

static void a_file_whose_ingest_failed_is_kept_for_a_day(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err, why;
  struct store_upload_state state;
  int removed;
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  CU_OK(append(store, state.id, 0, FILE_BYTES, &state, &err), err);
  const struct store_lease hold = db_claim(store, "ingest");
  px_fail(&why, PX_E_BAD_DATA, "broken");
  CU_OK(store_job_fail(store, &hold, &why, &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0);
  CU_OK(store_upload_delete(store, state.id, &err), err); /* its owner may drop it before */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
  store_close(store);
}

static void an_upload_goes_with_its_dataset(void) {
  char dataset[STORE_ID_MAX];
  struct store *store = fresh(dataset);
  struct px_err err;
  struct store_upload_state state;
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_OK);
  CU_OK(append(store, state.id, 0, 10, &state, &err), err);
  CU_OK(store_dataset_delete(store, dataset, 0, &err), err);
  CU_ASSERT_EQUAL(append(store, state.id, 10, 10, &state, &err), PX_E_NOT_FOUND);
  CU_ASSERT_EQUAL(create(store, dataset, &state), PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
  store_close(store);
}

CU_MAIN("uploads", T(parts_make_the_file_and_its_last_byte_the_job),
        T(bytes_at_another_place_change_nothing),
        T(a_part_that_fails_in_the_middle_leaves_the_offset),
        T(of_two_writers_at_one_place_one_is_taken),
        T(a_removal_that_waits_for_the_last_part_sees_its_job),
        T(of_the_last_part_and_a_removal_one_wins), T(what_has_expired_is_gone_with_its_bytes),
        T(a_whole_file_goes_after_its_job_and_its_row_when_it_expires),
        T(a_file_whose_ingest_failed_is_kept_for_a_day), T(an_upload_goes_with_its_dataset))
