/* SPDX-License-Identifier: Apache-2.0 */
/* Trajectories that are uploaded twice: noted, left out or refused; whatever the format, and when
 * two uploads race. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "lib/transfer/transfer.h"
#include "tests/support/db.h"
#include "tests/support/uploads.h"

enum { LINES_MAX = 8192 };
static const struct px_spaces SPACES = {
  .obs_dim = 2, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 }
};

static struct store *store;
static struct store_dataset dataset;

static void fresh(void) {
  struct px_err err;
  char id[STORE_ID_MAX];
  if (!store) store = db_test_open("duplicates");
  db_sql("truncate datasets, jobs, blobs cascade");
  CU_OK(store_dataset_create(store, "twice", &SPACES, NULL, id, &err), err);
  CU_OK(store_dataset_get(store, id, &dataset, &err), err);
}

/* JSON lines: trajectories number `first` to `first + n - 1`; the same number is the same
 * trajectory. */
static char *lines(int first, int n, bool labelled) {
  static char text[LINES_MAX];
  size_t at = 0;
  for (int i = first; i < first + n; i++)
    at +=
      (size_t)snprintf(text + at, sizeof text - at,
                       "{\"observations\": [[%d, 0.5], [2, %d], [3, 4]], \"rewards\": [1, %d], "
                       "\"actions\": %s, \"terminated\": %s}\n",
                       i, i, i, labelled ? "[[0.25], [-0.5]]" : "null", i % 2 ? "true" : "false");
  CU_ASSERT_FATAL(at < sizeof text);
  return text;
}

/* A file being read; commit and end are for tests of races. */
struct upload {
  int fd;
  struct store_ingest what;
  struct store_ingesting *in;
};

static enum px_status begin(struct upload *u, int fd, enum px_read_format format,
                            enum store_on_duplicate on_duplicate, struct px_err *err) {
  *u = (struct upload){ .fd = fd };
  u->what = (struct store_ingest){ .store = store,
                                   .dataset = &dataset,
                                   .fd = fd,
                                   .bytes = (uint64_t)lseek(fd, 0, SEEK_END),
                                   .format = format,
                                   .name = "file",
                                   .on_duplicate = on_duplicate };
  return transfer_ingest_read(&u->what, &u->in, err);
}

static enum px_status end(struct upload *u, struct store_ingested *out, struct px_err *err) {
  const enum px_status status = u->in ? transfer_ingest_commit(u->in, out, err) : PX_E_INTERNAL;
  transfer_ingest_free(u->in, status ? store : NULL);
  close(u->fd);
  return status;
}

static enum px_status upload(int fd, enum px_read_format format,
                             enum store_on_duplicate on_duplicate, struct store_ingested *out,
                             struct px_err *err) {
  struct upload u;
  const enum px_status status = begin(&u, fd, format, on_duplicate, err);
  if (!status) return end(&u, out, err);
  close(fd);
  return status;
}

static void stored(const char *text, enum store_on_duplicate on_duplicate,
                   struct store_ingested *out) {
  struct px_err err;
  CU_OK(upload(uploads_text(text), PX_FORMAT_JSONL, on_duplicate, out, &err), err);
}

static long trajectories(void) {
  return strtol(db_sql("select trajectories_n from datasets"), NULL, 10);
}
static long loose_blobs(void) {
  return strtol(db_sql("select count(*) from blobs where not attached"), NULL, 10);
}

static void the_same_file_twice_is_noted(void) {
  struct store_ingested found;
  fresh();
  stored(lines(0, 5, true), STORE_DUPLICATE_ALLOW, &found);
  CU_ASSERT(found.duplicates_n == 0 && !*found.duplicates_note);
  stored(lines(0, 5, true), STORE_DUPLICATE_ALLOW, &found);
  CU_ASSERT_EQUAL(found.duplicates_n, 5);
  CU_ASSERT_EQUAL(found.trajectories_n, 5);
  CU_ASSERT_EQUAL(trajectories(), 10);
  json_t *json = transfer_ingested_json(&found);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(json_string_value(json_array_get(json_object_get(json, "notes"), 0)),
           "all 5 trajectories are in the dataset already, the first as trajectory 0"));
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "duplicates")), 5);
  json_decref(json);
  /* 3 and 4 are there, 5 and 6 are not */
  stored(lines(3, 4, true), STORE_DUPLICATE_ALLOW, &found);
  CU_ASSERT_EQUAL(found.duplicates_n, 2);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(found.duplicates_note,
           "2 of 4 trajectories are in the dataset already, trajectory 0 of this file as "
           "trajectory 3"));
}

static void what_is_there_can_be_left_out(void) {
  struct store_ingested found;
  fresh();
  stored(lines(0, 5, true), STORE_DUPLICATE_SKIP, &found);
  CU_ASSERT(found.trajectories_n == 5 && found.duplicates_n == 0 && found.version == 2);
  /* as after an answer that was lost */
  stored(lines(0, 5, true), STORE_DUPLICATE_SKIP, &found);
  CU_ASSERT(found.trajectories_n == 0 && found.segments_n == 0 && found.duplicates_n == 5 &&
            found.version == 2);
  CU_ASSERT_PTR_NOT_NULL(strstr(found.duplicates_note, "left out"));
  CU_ASSERT_EQUAL(trajectories(), 5);
  stored(lines(3, 4, true), STORE_DUPLICATE_SKIP, &found);
  CU_ASSERT(found.trajectories_n == 2 && found.duplicates_n == 2 && found.version == 3);
  CU_ASSERT_EQUAL(trajectories(), 7);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(distinct digest) from trajectories"), "7");
}

static void what_is_there_can_be_refused(void) {
  struct store_ingested found;
  struct px_err err;
  fresh();
  stored(lines(0, 5, true), STORE_DUPLICATE_REFUSE, &found);
  CU_ASSERT_EQUAL(upload(uploads_text(lines(4, 3, true)), PX_FORMAT_JSONL, STORE_DUPLICATE_REFUSE,
                         &found, &err),
                  PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(err.message,
           "file: trajectory 0 is in the dataset already, as its trajectory 4; so are 1 of the 3"));
  CU_ASSERT_STRING_EQUAL(err.pointer, "trajectory 0");
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "on_duplicate=skip"));
  CU_ASSERT_EQUAL(trajectories(), 5);
  CU_ASSERT_EQUAL(loose_blobs(), 0);
}

static void a_trajectory_twice_in_a_file_is_found(void) {
  struct store_ingested found;
  struct px_err err;
  char *text = lines(0, 3, true), twice[2 * LINES_MAX];
  snprintf(twice, sizeof twice, "%s%s", text, text);
  fresh();
  CU_ASSERT_EQUAL(upload(uploads_text(twice), PX_FORMAT_JSONL, STORE_DUPLICATE_REFUSE, &found,
                         &err),
                  PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(
    strstr(err.message, "3 of the 6 trajectories are the same as an earlier one of this file"));
  stored(twice, STORE_DUPLICATE_SKIP, &found);
  CU_ASSERT(found.trajectories_n == 3 && found.duplicates_n == 3);
  stored(twice, STORE_DUPLICATE_ALLOW, &found);
  CU_ASSERT(found.trajectories_n == 6 && found.duplicates_n == 6);
}

static void fill_line_7(hid_t f) {
  const float obs[4] = { 7, .5f, 2, 7 }, next[4] = { 2, 7, 3, 4 }, act[2] = { .25f, -.5f },
              rew[2] = { 1, 7 };
  const uint8_t end[2] = { 0, 1 };
  uploads_floats(f, "observations", 2, 2, obs);
  uploads_floats(f, "next_observations", 2, 2, next);
  uploads_floats(f, "actions", 2, 1, act);
  uploads_floats(f, "rewards", 2, 0, rew);
  uploads_bools(f, "terminals", 2, end);
}
static void another_format_makes_no_difference_but_other_labels_do(void) {
  struct store_ingested found;
  struct px_err err;
  fresh();
  stored(lines(7, 1, true), STORE_DUPLICATE_ALLOW, &found);
  CU_OK(upload(uploads_hdf5(fill_line_7), PX_FORMAT_HDF5, STORE_DUPLICATE_SKIP, &found, &err), err);
  CU_ASSERT(found.trajectories_n == 0 && found.duplicates_n == 1);
  /* without its actions it is another */
  stored(lines(7, 1, false), STORE_DUPLICATE_SKIP, &found);
  CU_ASSERT(found.trajectories_n == 1 && found.duplicates_n == 0);
}

/* Both have been read before either is in the dataset. */
static void of_two_uploads_at_once_the_second_finds_the_first(void) {
  for (int policy = 0; policy < STORE_DUPLICATE_N; policy++) {
    struct upload a, b;
    struct store_ingested found;
    struct px_err err;
    fresh();
    CU_OK(begin(&a, uploads_text(lines(0, 4, true)), PX_FORMAT_JSONL,
                (enum store_on_duplicate)policy, &err),
          err);
    CU_OK(begin(&b, uploads_text(lines(2, 4, true)), PX_FORMAT_JSONL,
                (enum store_on_duplicate)policy, &err),
          err);
    CU_OK(end(&a, &found, &err), err);
    const enum px_status status = end(&b, &found, &err);
    if (policy == STORE_DUPLICATE_REFUSE) {
      CU_ASSERT_EQUAL(status, PX_E_CONFLICT);
      CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "as its trajectory 2"));
      CU_ASSERT_EQUAL(trajectories(), 4);
    } else {
      CU_OK(status, err);
      CU_ASSERT_EQUAL(found.duplicates_n, 2);
      CU_ASSERT_PTR_NOT_NULL(
        strstr(found.duplicates_note, "2 of 4 trajectories are in the dataset already"));
      CU_ASSERT_EQUAL(trajectories(), policy == STORE_DUPLICATE_SKIP ? 6 : 8);
    }
    CU_ASSERT_EQUAL(loose_blobs(), 0);
  }
}

static void trajectories_of_older_builds_are_not_found(void) {
  struct store_ingested found;
  fresh();
  stored(lines(0, 2, true), STORE_DUPLICATE_ALLOW, &found);
  db_sql("update trajectories set digest = null");
  stored(lines(0, 2, true), STORE_DUPLICATE_SKIP, &found);
  CU_ASSERT(found.trajectories_n == 2 && found.duplicates_n == 0);
  store_close(store);
  store = NULL;
}

CU_MAIN("duplicates", T(the_same_file_twice_is_noted), T(what_is_there_can_be_left_out),
        T(what_is_there_can_be_refused), T(a_trajectory_twice_in_a_file_is_found),
        T(another_format_makes_no_difference_but_other_labels_do),
        T(of_two_uploads_at_once_the_second_finds_the_first),
        T(trajectories_of_older_builds_are_not_found))
