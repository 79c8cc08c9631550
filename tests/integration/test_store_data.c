/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs, datasets, appends and what they show, against sums done here by hand. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/store/append.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "tests/support/db.h"
#include "tests/support/trajs.h"

enum { O = 3, A = 2 };
static const struct px_spaces SPACES = {
  .obs_dim = O, .act_dim = A, .act_low = { -1, -2 }, .act_high = { 1, 2.5f }
};

static struct store *fresh(void) {
  struct store *store = db_test_open("data");
  db_sql("truncate datasets, jobs, blobs cascade");
  return store;
}

static json_t *parsed(struct px_buf *text) {
  json_t *doc = json_loads(text->data, 0, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
  px_buf_free(text);
  return doc;
}
static json_t *document(struct store *store, const char *id, int64_t *version) {
  struct px_err err;
  struct px_buf text = PX_BUF(1 << 20);
  CU_OK(store_dataset_document(store, id, &text, version, &err), err);
  return parsed(&text);
}
static double at(const json_t *doc, const char *name) {
  return json_number_value(json_object_get(doc, name));
}

/* --- blobs --- */

static void blobs_come_back_byte_for_byte(void) {
  struct store *store = fresh();
  struct px_err err;
  enum { MAX = 2 * STORE_CHUNK_BYTES + 5 };
  static const size_t SIZES[] = {
    0, 1, STORE_CHUNK_BYTES - 1, STORE_CHUNK_BYTES, STORE_CHUNK_BYTES + 1, MAX
  };
  uint8_t *bytes = malloc(MAX);
  CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
  struct px_rng rng = px_rng_at(1, 2, 0);
  for (size_t i = 0; i < MAX; i++) bytes[i] = (uint8_t)px_rng_below(&rng, 256);
  for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    uint8_t digest[PX_SHA256_BYTES];
    px_digest_sha256(bytes, SIZES[i], digest);
    FILE *file = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, SIZES[i], file), SIZES[i]);
    fflush(file);
    struct store_blob blob[2];
    CU_OK(store_blob_put(store, bytes, SIZES[i], NULL, &blob[0], &err), err);
    CU_OK(store_blob_put_fd(store, fileno(file), &blob[1], &err), err);
    fclose(file);
    for (int k = 0; k < 2; k++) {
      struct px_buf out = PX_BUF(MAX);
      CU_OK(store_blob_read(store, blob[k].id, &out, &err), err);
      CU_ASSERT_EQUAL(blob[k].size_bytes, SIZES[i]);
      CU_ASSERT_EQUAL(memcmp(blob[k].sha256, digest, sizeof digest), 0);
      CU_ASSERT_EQUAL_FATAL(out.len, SIZES[i]);
      CU_ASSERT_TRUE(SIZES[i] == 0 || memcmp(out.data, bytes, out.len) == 0);
      px_buf_free(&out);
    }
  }
  struct px_buf small = PX_BUF(10);
  struct store_blob blob;
  CU_OK(store_blob_put(store, bytes, 11, NULL, &blob, &err), err);
  CU_ASSERT_EQUAL(store_blob_read(store, blob.id, &small, &err), PX_E_TOO_LARGE);
  CU_ASSERT_EQUAL(store_blob_read(store, 999999, &small, &err), PX_E_NOT_FOUND);
  px_buf_free(&small);
  free(bytes);
  store_close(store);
}

static void a_file_that_cannot_be_read_leaves_nothing(void) {
  struct store *store = fresh();
  struct px_err err;
  struct store_blob blob;
  int ends[2];
  CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
  CU_ASSERT_EQUAL(store_blob_put_fd(store, ends[0], &blob, &err), PX_E_IO);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
  close(ends[0]);
  close(ends[1]);
  store_close(store);
}

/* --- datasets --- */

static void spaces_come_back_exactly(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  struct px_spaces *spaces = calloc(1, sizeof *spaces);
  CU_ASSERT_PTR_NOT_NULL_FATAL(spaces);
  spaces->obs_dim = PX_OBS_MAX;
  spaces->act_dim = PX_ACT_MAX;
  for (int i = 0; i < PX_ACT_MAX; i++) {
    spaces->act_low[i] = -1.0f / (float)(i + 3);
    spaces->act_high[i] = 1e30f / (float)(i + 7);
  }
  CU_OK(store_dataset_create(store, "wide \"one\" {,}", spaces, NULL, id, &err), err);
  CU_ASSERT_EQUAL(store_dataset_create(store, "wide \"one\" {,}", spaces, NULL, id, &err),
                  PX_E_CONFLICT);
  struct store_dataset *got = calloc(1, sizeof *got);
  CU_ASSERT_PTR_NOT_NULL_FATAL(got);
  for (int by_name = 0; by_name < 2; by_name++) {
    CU_OK(store_dataset_get(store, by_name ? "wide \"one\" {,}" : id, got, &err), err);
    CU_ASSERT_STRING_EQUAL(got->id, id);
    CU_ASSERT_STRING_EQUAL(got->env, "");
    CU_ASSERT_EQUAL(memcmp(&got->spaces, spaces, sizeof *spaces), 0);
  }
  CU_ASSERT_EQUAL(store_dataset_get(store, "none", got, &err), PX_E_NOT_FOUND);
  free(got);
  free(spaces);
  store_close(store);
}

static void discrete_spaces_come_back_and_are_shown(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  struct px_spaces *spaces = calloc(1, sizeof *spaces);
  struct store_dataset *got = calloc(1, sizeof *got);
  CU_ASSERT_PTR_NOT_NULL_FATAL(spaces);
  CU_ASSERT_PTR_NOT_NULL_FATAL(got);
  spaces->obs_dim = 4;
  px_spaces_set_discrete(spaces, 5);
  CU_OK(store_dataset_create(store, "five", spaces, NULL, id, &err), err);
  CU_OK(store_dataset_get(store, id, got, &err), err);
  CU_ASSERT_EQUAL(memcmp(&got->spaces, spaces, sizeof *spaces), 0);
  int64_t version;
  json_t *doc = document(store, id, &version);
  CU_ASSERT_EQUAL(at(doc, "act_count"), 5);
  CU_ASSERT_EQUAL(at(doc, "act_dim"), 1);
  CU_ASSERT_EQUAL(json_number_value(json_array_get(json_object_get(doc, "act_high"), 0)), 4);
  CU_ASSERT_TRUE(json_is_null(json_object_get(doc, "class_counts")));
  json_decref(doc);
  free(got);
  free(spaces);
  store_close(store);
}

/* What was pushed, for the sums. */
struct pushed {
  double sum[O], sum2[O], returns[400];
  int lengths[400];
  int n;
  uint64_t obs_n, steps_n, labelled_n, labelled_steps_n;
};
struct target {
  struct store_append *append;
  struct store *store[2];
  int turn;
};

static enum px_status to_store(void *ctx, const struct px_segment *segment, struct px_err *err) {
  struct target *t = ctx;
  return store_append_segment(t->append, t->store[t->turn++ % 2], segment, err);
}

static void each_class_is_counted_where_it_is_known(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  struct trajs list = { .spaces = trajs_discrete(O, 3) };
  uint64_t counts[3] = { 0 };
  CU_OK(store_dataset_create(store, "counted", &list.spaces, NULL, id, &err), err);
  for (int upload = 0; upload < 2; upload++) {
    struct target target = { .store = { store, store } };
    CU_OK(store_append_begin(id, O, &target.append, &err), err);
    struct px_segment_builder *builder =
      px_segment_builder_new(&list.spaces, (struct px_segment_sink){ &target, to_store });
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
  json_t *doc = document(store, id, &version);
  for (size_t i = 0; i < 3; i++)
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(json_object_get(doc, "class_counts"), i)),
                    (json_int_t)counts[i]);
  CU_ASSERT_EQUAL(at(doc, "labelled_steps"), (double)(counts[0] + counts[1] + counts[2]));
  json_decref(doc);
  store_close(store);
}

static void push_one(struct px_traj_sink sink, struct px_rng *rng, struct pushed *p) {
  enum { T_MAX = 4000 };
  static float obs[(T_MAX + 1) * O], act[T_MAX * A], rew[T_MAX];
  const uint32_t steps = 1 + px_rng_below(rng, T_MAX);
  const bool final = px_rng_below(rng, 2), labelled = px_rng_below(rng, 3) == 0;
  double ret = 0;
  for (uint32_t i = 0; i < (steps + final) * O; i++) {
    obs[i] = px_rng_float(rng) * 10 + (float)(i % O) * 100;
    p->sum[i % O] += (double)obs[i];
    p->sum2[i % O] += (double)obs[i] * (double)obs[i];
  }
  for (uint32_t i = 0; i < steps * A; i++) act[i] = px_rng_float(rng) - 0.5f;
  for (uint32_t i = 0; i < steps; i++) ret += (double)(rew[i] = px_rng_float(rng));
  const struct px_traj traj = { .steps = steps,
                                .observations = obs,
                                .actions = labelled ? act : NULL,
                                .rewards = rew,
                                .terminated = final,
                                .truncated = !final,
                                .has_final = final };
  struct px_err err;
  CU_OK(sink.put(sink.ctx, &traj, &err), err);
  p->returns[p->n] = ret;
  p->lengths[p->n++] = (int)steps;
  p->obs_n += steps + final;
  p->steps_n += steps;
  p->labelled_n += labelled;
  p->labelled_steps_n += labelled ? steps : 0;
}

/* Stores n trajectories on two connections in turn; committing is left to the caller. */
static struct store_append *prepare(struct store *a, struct store *b, const char *id, uint64_t seed,
                                    int n, struct pushed *p) {
  struct px_err err;
  struct target target = { .store = { a, b } };
  CU_OK(store_append_begin(id, O, &target.append, &err), err);
  struct px_segment_builder *builder =
    px_segment_builder_new(&SPACES, (struct px_segment_sink){ &target, to_store });
  CU_ASSERT_PTR_NOT_NULL_FATAL(builder);
  struct px_rng rng = px_rng_at(seed, 0, 0);
  for (int i = 0; i < n; i++) push_one(px_segment_builder_traj_sink(builder), &rng, p);
  CU_OK(px_segment_builder_end(builder, &err), err);
  px_segment_builder_free(builder);
  return target.append;
}

static void append(struct store *a, struct store *b, const char *id, uint64_t seed, int n,
                   struct pushed *p) {
  struct px_err err;
  struct store_append *made = prepare(a, b, id, seed, n, p);
  CU_OK(store_append_commit(made, a, NULL, NULL, &err), err);
  store_append_free(made);
}

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
  struct store *store = fresh(), *other = db_test_open("other");
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "numbers", &SPACES, "hopper", id, &err), err);
  int64_t version[2];
  json_decref(document(store, id, &version[0]));
  append(store, other, id, 1, 150, &p);
  append(store, other, id, 2, 250, &p);
  json_t *doc = document(store, id, &version[1]);
  CU_ASSERT_EQUAL(version[1], version[0] + 2);
  CU_ASSERT_EQUAL(at(doc, "trajectories"), 400);
  CU_ASSERT_EQUAL(at(doc, "steps"), (double)p.steps_n);
  CU_ASSERT_EQUAL(at(doc, "labelled_steps"), (double)p.labelled_steps_n);
  CU_ASSERT_EQUAL(at(doc, "labelled_trajectories"), (double)p.labelled_n);
  CU_ASSERT(at(doc, "segments") >= 4);
  for (int j = 0; j < O; j++) {
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
  CU_ASSERT_DOUBLE_EQUAL(at(returns, "mean"), mean, 1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(at(returns, "std"), std, 1e-7 * std);
  CU_ASSERT_DOUBLE_EQUAL(at(returns, "min"), p.returns[0], 1e-12);
  CU_ASSERT_DOUBLE_EQUAL(at(returns, "p10"), percentile(p.returns, p.n, 0.1), 1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(at(returns, "p90"), percentile(p.returns, p.n, 0.9), 1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(at(returns, "max"), p.returns[p.n - 1], 1e-9 * mean);
  CU_ASSERT_DOUBLE_EQUAL(at(json_object_get(doc, "lengths"), "mean"), (double)p.steps_n / p.n,
                         1e-9 * (double)p.steps_n);
  json_decref(doc);
  store_close(other);
  store_close(store);
}

struct reading {
  struct px_err err;
  uint32_t seq;
  uint64_t trajectories;
  const struct pushed *p;
  bool wrong;
};
static enum px_status check_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                    struct px_err *err) {
  struct reading *r = ctx;
  struct px_segment_view view;
  const enum px_status status = px_segment_open(bytes, n, &SPACES, &view, err);
  if (status) return status;
  r->wrong |= seq != r->seq++;
  for (uint32_t i = 0; i < view.traj_n; i++)
    r->wrong |= view.length[i] != r->p->lengths[r->trajectories++];
  px_segment_close(&view);
  return PX_OK;
}

static void what_is_known_of_the_spread_serves_until_segments_are_added(void) {
  struct store *store = fresh(), *other = db_test_open("other");
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct pushed pushed;
  pushed = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "spread", &SPACES, NULL, id, &err), err);
  append(store, other, id, 1, 3, &pushed);
  struct store_spread spread = { .segments_n = -1 };
  struct px_buf first = PX_BUF(1 << 20), second = PX_BUF(1 << 20), third = PX_BUF(1 << 20);
  int64_t version;
  CU_OK(store_dataset_show(store, id, &spread, &first, &version, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(spread.json, "\"p90\""));
  struct store_spread given = { spread.segments_n, "{\"returns\": 1, \"lengths\": 2}" };
  CU_OK(store_dataset_show(store, id, &given, &second, &version, &err), err);
  json_t *doc = parsed(&second);
  CU_ASSERT(at(doc, "returns") == 1 && at(doc, "lengths") == 2);
  json_decref(doc);
  append(store, other, id, 2, 3, &pushed);
  CU_OK(store_dataset_show(store, id, &given, &third, &version, &err), err);
  CU_ASSERT(given.segments_n > spread.segments_n);
  doc = parsed(&third);
  CU_ASSERT_PTR_NOT_NULL(json_object_get(json_object_get(doc, "returns"), "p90"));
  json_decref(doc);
  px_buf_free(&first);
  store_close(other);
  store_close(store);
}

static void segments_keep_upload_order_and_a_damaged_one_is_named(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "order", &SPACES, NULL, id, &err), err);
  append(store, store, id, 1, 200, &p);
  append(store, store, id, 2, 200, &p);
  struct store_dataset *ds = calloc(1, sizeof *ds);
  CU_ASSERT_PTR_NOT_NULL_FATAL(ds);
  CU_OK(store_dataset_get(store, id, ds, &err), err);
  struct reading reading = { .p = &p };
  CU_OK(store_dataset_segment_read(store, id, 0, ds->segments_n, check_segment, &reading, &err),
        err);
  CU_ASSERT_FALSE(reading.wrong);
  CU_ASSERT_EQUAL(reading.trajectories, 400);
  CU_ASSERT_EQUAL(store_dataset_segment_read(store, id, 0, ds->segments_n + 1, check_segment,
                                             &reading, &err),
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
  CU_ASSERT_EQUAL(store_dataset_segment_read(store, id, (uint32_t)last, 1, check_segment, &reading,
                                             &err),
                  PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, place));
  reading = (struct reading){ .p = &p };
  CU_OK(store_dataset_segment_read(store, id, 0, (uint32_t)last, check_segment, &reading, &err),
        err);
  double *returns;
  uint8_t *labelled;
  uint32_t n, with = 0, seq, index;
  CU_OK(store_dataset_trajectory_returns(store, id, ds->segments_n, &returns, &labelled, &n, &err),
        err);
  CU_ASSERT_EQUAL_FATAL(n, 400);
  for (uint32_t i = 0; i < n; i++) {
    CU_ASSERT_EQUAL(returns[i], p.returns[i]);
    with += labelled[i] == STORE_LABELLED_ALL; /* none of them is labelled in part */
  }
  CU_ASSERT_EQUAL(with, p.labelled_n);
  free(returns);
  free(labelled);
  CU_OK(store_dataset_trajectory_find(store, id, 399, &seq, &index, &err), err);
  CU_ASSERT_EQUAL(seq, ds->segments_n - 1);
  CU_ASSERT_EQUAL(store_dataset_trajectory_find(store, id, 400, &seq, &index, &err),
                  PX_E_NOT_FOUND);
  struct px_buf text = PX_BUF(1 << 20);
  CU_OK(store_dataset_trajectory_list(store, id, 395, 3, &text, &err), err);
  json_t *page = parsed(&text);
  CU_ASSERT_EQUAL(at(page, "next"), 398);
  CU_ASSERT_EQUAL(at(json_array_get(json_object_get(page, "items"), 2), "length"), p.lengths[397]);
  CU_ASSERT_EQUAL(at(json_array_get(json_object_get(page, "items"), 2), "return"), p.returns[397]);
  json_decref(page);
  CU_OK(store_dataset_trajectory_list(store, id, 398, 3, &text, &err), err);
  page = parsed(&text);
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
  struct store *store = fresh(), *other = db_test_open("other");
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "race", &SPACES, NULL, id, &err), err);
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  for (int round = 0; round < ROUNDS; round++) {
    struct committer c[2] = {
      { store, prepare(store, other, id, 2 * (uint64_t)round, 3, &p), &gate, PX_OK },
      { other, prepare(store, other, id, 2 * (uint64_t)round + 1, 4, &p), &gate, PX_OK }
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
  json_t *doc = document(store, id, &version);
  CU_ASSERT_EQUAL(at(doc, "steps"), (double)p.steps_n);
  json_decref(doc);
  store_close(other);
  store_close(store);
}

static void an_append_under_a_lost_hold_leaves_nothing_behind(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX], job[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "fenced", &SPACES, NULL, id, &err), err);
  db_submit(store, "ingest", NULL, job);
  const struct store_lease old = db_claim(store, "ingest");
  CU_OK(store_job_give_back(store, &old, &err), err);
  const struct store_lease hold = db_claim(store, "ingest");
  struct store_append *made = prepare(store, store, id, 1, 50, &p);
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
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "middle", &SPACES, NULL, id, &err), err);
  struct store_append *made = prepare(store, store, id, 1, 200, &p);
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

static void the_janitor_removes_only_old_blobs_that_nothing_took_up(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "kept", &SPACES, NULL, id, &err), err);
  append(store, store, id, 1, 10, &p);
  struct store_blob old, young;
  int removed;
  CU_OK(store_blob_put(store, "old", 3, NULL, &old, &err), err);
  db_sql("update blobs set created_at = created_at - interval '25 h'");
  CU_OK(store_blob_put(store, "young", 5, NULL, &young, &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs b where not attached"), "1");
  CU_ASSERT_STRING_EQUAL(db_sql(
                           "select count(*) from segments s join blob_chunks c using (blob_id)"),
                         "1");
  store_close(store);
}

static void a_dataset_goes_with_all_its_bytes_but_not_while_jobs_use_it(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX], job[STORE_ID_MAX];
  static struct pushed p;
  p = (struct pushed){ .n = 0 };
  CU_OK(store_dataset_create(store, "gone", &SPACES, NULL, id, &err), err);
  append(store, store, id, 1, 10, &p);
  struct store_blob file;
  CU_OK(store_blob_put(store, "file", 4, NULL, &file, &err), err);
  CU_OK(store_upload_submit(store, id, "a \"b\".npz", "npz", "{\"x\": 1}", &file, job, &err), err);
  CU_ASSERT_EQUAL(store_dataset_delete(store, id, 0, &err), PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, job));
  CU_OK(store_job_cancel(store, job, &err), err);
  CU_OK(store_dataset_delete(store, id, 0, &err), err);
  CU_ASSERT_EQUAL(store_dataset_delete(store, id, 0, &err), PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select (select count(*) from blobs) + (select count(*) from blob_chunks)"
           " + (select count(*) from trajectories) + (select count(*) from jobs)"),
    "0");
  store_close(store);
}

static void an_upload_waits_for_its_ingest_job_and_goes_after_it(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX], job[STORE_ID_MAX];
  CU_OK(store_dataset_create(store, "uploads", &SPACES, NULL, id, &err), err);
  struct store_blob file;
  CU_OK(store_blob_put(store, "file", 4, NULL, &file, &err), err);
  CU_ASSERT_EQUAL(store_upload_submit(store, "ds_none", "a.npz", "npz", "{}", &file, job, &err),
                  PX_E_NOT_FOUND);
  CU_OK(store_upload_submit(store, id, "a.npz", "npz", "{\"x\": 1}", &file, job, &err), err);
  char upload[STORE_ID_MAX];
  snprintf(upload, sizeof upload, "%s",
           db_sql("select spec->>'upload' from jobs where spec->>'dataset' = '%s'", id));
  struct store_upload got;
  struct px_buf options = PX_BUF(100);
  CU_OK(store_upload_get(store, upload, &got, &options, &err), err);
  CU_ASSERT_STRING_EQUAL(got.file_name, "a.npz");
  CU_ASSERT_STRING_EQUAL(got.format, "npz");
  CU_ASSERT_STRING_EQUAL(got.dataset_id, id);
  CU_ASSERT_STRING_EQUAL(options.data, "{\"x\": 1}");
  CU_ASSERT_EQUAL(got.blob_id, file.id);
  px_buf_free(&options);
  const struct store_lease hold = db_claim(store, "ingest");
  CU_ASSERT_STRING_EQUAL(hold.job, job);
  int removed;
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0);
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
  store_close(store);
}

static void tokens_are_known_by_their_digest_until_they_expire(void) {
  struct store *store = fresh();
  struct px_err err;
  const uint8_t good[32] = { 1, 0, 2 }, bad[32] = { 1, 0, 3 };
  bool any = true;
  CU_OK(store_token_any(store, &any, &err), err);
  CU_ASSERT_FALSE(any);
  CU_OK(store_token_create(store, "t", good, &err), err);
  CU_OK(store_token_any(store, &any, &err), err);
  CU_ASSERT_TRUE(any);
  CU_OK(store_token_check(store, good, &err), err);
  CU_ASSERT_EQUAL(store_token_check(store, bad, &err), PX_E_UNAUTHORIZED);
  db_sql("update api_tokens set expires_at = clock_timestamp()");
  CU_ASSERT_EQUAL(store_token_check(store, good, &err), PX_E_UNAUTHORIZED);
  store_close(store);
}

static void datasets_are_paged_by_name(void) {
  struct store *store = fresh();
  struct px_err err;
  char id[STORE_ID_MAX];
  static const char *const NAMES[] = { "b", "a", "c" };
  for (int i = 0; i < 3; i++)
    CU_OK(store_dataset_create(store, NAMES[i], &SPACES, NULL, id, &err), err);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_dataset_list(store, NULL, 2, &text, &err), err);
  json_t *page = parsed(&text);
  CU_ASSERT_STRING_EQUAL(
    json_string_value(json_object_get(json_array_get(json_object_get(page, "items"), 0), "name")),
    "a");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(page, "next")), "b");
  json_decref(page);
  CU_OK(store_dataset_list(store, "b", 2, &text, &err), err);
  page = parsed(&text);
  CU_ASSERT_EQUAL(json_array_size(json_object_get(page, "items")), 1);
  CU_ASSERT_TRUE(json_is_null(json_object_get(page, "next")));
  json_decref(page);
  store_close(store);
}

CU_MAIN("store_data", T(blobs_come_back_byte_for_byte),
        T(a_file_that_cannot_be_read_leaves_nothing), T(spaces_come_back_exactly),
        T(discrete_spaces_come_back_and_are_shown), T(each_class_is_counted_where_it_is_known),
        T(the_document_tells_the_numbers_of_what_was_appended),
        T(what_is_known_of_the_spread_serves_until_segments_are_added),
        T(segments_keep_upload_order_and_a_damaged_one_is_named), T(appends_at_once_leave_no_gaps),
        T(an_append_under_a_lost_hold_leaves_nothing_behind),
        T(an_append_that_fails_in_the_middle_leaves_nothing_behind),
        T(the_janitor_removes_only_old_blobs_that_nothing_took_up),
        T(a_dataset_goes_with_all_its_bytes_but_not_while_jobs_use_it),
        T(an_upload_waits_for_its_ingest_job_and_goes_after_it),
        T(tokens_are_known_by_their_digest_until_they_expire), T(datasets_are_paged_by_name))
