/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets, uploads and tokens as the store keeps them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/spaces.h"
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

static void spaces_come_back_exactly(void) {
  struct store *store = appends_store();
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
  struct store *store = appends_store();
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
  json_t *doc = appends_document(store, id, &version);
  CU_ASSERT_EQUAL(appends_number(doc, "act_count"), 5);
  CU_ASSERT_EQUAL(appends_number(doc, "act_dim"), 1);
  CU_ASSERT_EQUAL(json_number_value(json_array_get(json_object_get(doc, "act_high"), 0)), 4);
  CU_ASSERT_TRUE(json_is_null(json_object_get(doc, "class_counts")));
  json_decref(doc);
  free(got);
  free(spaces);
  store_close(store);
}

static void what_is_known_of_the_spread_serves_until_segments_are_added(void) {
  struct store *store = appends_store(), *other = db_test_open("other");
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct appends_sums pushed;
  pushed = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "spread", &appends_spaces, NULL, id, &err), err);
  appends_run(store, other, id, 1, 3, &pushed);
  struct store_spread spread = { .state = -1 };
  struct px_buf first = PX_BUF(1 << 20), second = PX_BUF(1 << 20), third = PX_BUF(1 << 20);
  int64_t version;
  CU_OK(store_dataset_show(store, id, &spread, &first, &version, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(spread.json, "\"p90\""));
  struct store_spread given = { spread.state, "{\"returns\": 1, \"lengths\": 2}" };
  CU_OK(store_dataset_show(store, id, &given, &second, &version, &err), err);
  json_t *doc = appends_parsed(&second);
  CU_ASSERT(appends_number(doc, "returns") == 1 && appends_number(doc, "lengths") == 2);
  json_decref(doc);
  appends_run(store, other, id, 2, 3, &pushed);
  CU_OK(store_dataset_show(store, id, &given, &third, &version, &err), err);
  CU_ASSERT(given.state > spread.state);
  doc = appends_parsed(&third);
  CU_ASSERT_PTR_NOT_NULL(json_object_get(json_object_get(doc, "returns"), "p90"));
  json_decref(doc);
  px_buf_free(&first);
  store_close(other);
  store_close(store);
}

static void a_dataset_goes_with_all_its_bytes_but_not_while_jobs_use_it(void) {
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX], job[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "gone", &appends_spaces, NULL, id, &err), err);
  appends_run(store, store, id, 1, 10, &p);
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
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX], job[STORE_ID_MAX];
  CU_OK(store_dataset_create(store, "uploads", &appends_spaces, NULL, id, &err), err);
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
  struct store *store = appends_store();
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
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX];
  static const char *const NAMES[] = { "b", "a", "c" };
  for (int i = 0; i < 3; i++)
    CU_OK(store_dataset_create(store, NAMES[i], &appends_spaces, NULL, id, &err), err);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_dataset_list(store, NULL, 2, &text, &err), err);
  json_t *page = appends_parsed(&text);
  CU_ASSERT_STRING_EQUAL(
    json_string_value(json_object_get(json_array_get(json_object_get(page, "items"), 0), "name")),
    "a");
  CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(page, "next")), "b");
  json_decref(page);
  CU_OK(store_dataset_list(store, "b", 2, &text, &err), err);
  page = appends_parsed(&text);
  CU_ASSERT_EQUAL(json_array_size(json_object_get(page, "items")), 1);
  CU_ASSERT_TRUE(json_is_null(json_object_get(page, "next")));
  json_decref(page);
  store_close(store);
}

CU_MAIN("store_data", T(spaces_come_back_exactly), T(discrete_spaces_come_back_and_are_shown),
        T(what_is_known_of_the_spread_serves_until_segments_are_added),
        T(a_dataset_goes_with_all_its_bytes_but_not_while_jobs_use_it),
        T(an_upload_waits_for_its_ingest_job_and_goes_after_it),
        T(tokens_are_known_by_their_digest_until_they_expire), T(datasets_are_paged_by_name))
