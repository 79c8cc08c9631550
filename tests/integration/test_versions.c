/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of a dataset and its versions: what was there before stays, and only one edit of a version
 * succeeds. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/read/actions.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "lib/store/versions.h"
#include "lib/transfer/edit.h"
#include "tests/support/appends.h"
#include "tests/support/db.h"
#include "tests/support/uploads.h"

/* A dataset of three uploads, each of which makes a segment or several. */
static struct store_dataset *three_uploads(struct store *store, struct appends_sums *p) {
  struct px_err err;
  char id[STORE_ID_MAX];
  *p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "edited", &appends_spaces, NULL, id, &err), err);
  for (uint64_t seed = 1; seed <= 3; seed++) appends_run(store, store, id, seed, 20, p);
  struct store_dataset *ds = calloc(1, sizeof *ds);
  CU_ASSERT_PTR_NOT_NULL_FATAL(ds);
  CU_OK(store_dataset_get(store, id, ds, &err), err);
  return ds;
}

static void refresh(struct store *store, struct store_dataset *ds) {
  struct px_err err;
  char id[STORE_ID_MAX];
  memcpy(id, ds->id, sizeof id);
  CU_OK(store_dataset_get(store, id, ds, &err), err);
}

/* Actions of trajectory 0, step 0; `commit` false: only read. */
static enum px_status edit(struct store *store, const struct store_dataset *ds, const char *line,
                           bool commit, struct transfer_edited *done, struct px_err *err) {
  const int fd = uploads_text(line);
  const struct transfer_edit what = {
    .store = store,
    .dataset = ds,
    .file = { .fd = fd, .name = "actions", .format = PX_ACTIONS_JSONL },
    .replace = true,
  };
  struct transfer_editing *editing = NULL;
  enum px_status status = transfer_edit_read(&what, &editing, err);
  close(fd);
  if (!status && commit) status = transfer_edit_commit(editing, done, err);
  transfer_edit_free(editing, status || !commit ? store : NULL);
  return status;
}

static const char LINE[] = "{\"trajectory\":0,\"step\":0,\"actions\":[[0.5,-0.5]]}\n";

struct digests {
  uint8_t of[16][PX_SHA256_BYTES];
  size_t bytes[16];
};
static enum px_status take(void *ctx, uint32_t seq, const void *bytes, size_t n,
                           struct px_err *err) {
  (void)err;
  struct digests *d = ctx;
  CU_ASSERT_FATAL(seq < 16);
  d->bytes[seq] = n;
  if (n) px_digest_sha256(bytes, n, d->of[seq]);
  return PX_OK;
}

static struct digests read_at(struct store *store, const struct store_dataset *ds,
                              int64_t version) {
  struct digests d;
  struct px_err err;
  memset(&d, 0, sizeof d);
  const struct store_segment_range range = { ds->id, 0, ds->segments_n, version };
  CU_OK(store_dataset_segment_read(store, &range, take, &d, &err), err);
  return d;
}

static void earlier_versions_keep_their_bytes(void) {
  struct store *store = appends_store();
  static struct appends_sums p;
  struct store_dataset *ds = three_uploads(store, &p);
  const int64_t first = ds->data_version;
  struct transfer_edited done;
  struct px_err err;
  int64_t last;
  const struct digests before = read_at(store, ds, first);
  CU_OK(edit(store, ds, LINE, true, &done, &err), err);
  CU_ASSERT(done.steps_n == 1 && done.version == first + 1);
  refresh(store, ds);
  CU_OK(transfer_edit_take_out(store, ds, ds->segments_n - 1, &last, &err), err);
  refresh(store, ds);
  CU_ASSERT(last == first + 2 && ds->data_version == last);
  const struct digests then = read_at(store, ds, first), between = read_at(store, ds, first + 1),
                       now = read_at(store, ds, STORE_VERSION_NOW);
  CU_ASSERT_EQUAL(memcmp(&then, &before, sizeof then), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(between.of[0], before.of[0], PX_SHA256_BYTES), 0);
  CU_ASSERT_EQUAL(memcmp(between.of[1], before.of[1], 14 * PX_SHA256_BYTES), 0);
  CU_ASSERT(between.bytes[ds->segments_n - 1] > 0 && now.bytes[ds->segments_n - 1] == 0);
  CU_ASSERT_EQUAL(memcmp(now.of[0], between.of[0], PX_SHA256_BYTES), 0);
  /* One that was never there is none, and what goes takes everything with it. */
  CU_ASSERT_EQUAL(transfer_edit_take_out(store, ds, ds->segments_n - 1, &last, &err),
                  PX_E_NOT_FOUND);
  CU_ASSERT_EQUAL(transfer_edit_take_out(store, ds, 99, &last, &err), PX_E_NOT_FOUND);
  CU_OK(store_dataset_delete(store, ds->id, 0, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
  free(ds);
  store_close(store);
}

static void returns_of_an_earlier_version_are_those_of_then(void) {
  struct store *store = appends_store();
  static struct appends_sums p;
  struct store_dataset *ds = three_uploads(store, &p);
  const int64_t first = ds->data_version;
  struct store_returns before, after, now;
  struct px_err err;
  int64_t version;
  uint32_t segments_n;
  CU_OK(store_dataset_returns(store, ds, ds->segments_n, first, &before, &err), err);
  CU_OK(transfer_edit_take_out(store, ds, 1, &version, &err), err);
  refresh(store, ds);
  CU_OK(store_dataset_returns(store, ds, ds->segments_n, first, &after, &err), err);
  CU_OK(store_dataset_returns(store, ds, ds->segments_n, STORE_VERSION_NOW, &now, &err), err);
  CU_ASSERT(before.n == 60 && after.n == 60 && now.n == 40);
  for (uint32_t i = 0; i < 60; i++) {
    CU_ASSERT_EQUAL(before.returns[i], p.returns[i]);
    CU_ASSERT_EQUAL(after.returns[i], before.returns[i]);
    CU_ASSERT_EQUAL(after.labelled[i], before.labelled[i]);
    if (i < 20) CU_ASSERT_EQUAL(now.returns[i], before.returns[i]);
    if (i >= 40) CU_ASSERT_EQUAL(now.returns[i - 20], before.returns[i]);
  }
  CU_OK(store_versions_segments(store, ds->id, first - 1, &segments_n, &err), err);
  CU_ASSERT_EQUAL(segments_n, 2);
  CU_ASSERT_EQUAL(store_versions_segments(store, ds->id, version + 1, &segments_n, &err),
                  PX_E_NOT_FOUND);
  store_dataset_returns_free(&before);
  store_dataset_returns_free(&after);
  store_dataset_returns_free(&now);
  free(ds);
  store_close(store);
}

static void of_two_edits_of_a_version_one_succeeds(void) {
  struct store *store = appends_store();
  static struct appends_sums p;
  struct store_dataset *ds = three_uploads(store, &p);
  struct transfer_edited done;
  struct px_err err;
  int64_t version;
  CU_OK(edit(store, ds, LINE, true, &done, &err), err);
  const char *blobs = db_sql("select count(*) from blobs");
  char counted[32];
  snprintf(counted, sizeof counted, "%s", blobs);
  CU_ASSERT_EQUAL(edit(store, ds, LINE, true, &done, &err), PX_E_PRECONDITION_FAILED);
  CU_ASSERT_EQUAL(transfer_edit_take_out(store, ds, 0, &version, &err), PX_E_PRECONDITION_FAILED);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), counted);
  refresh(store, ds);
  CU_OK(edit(store, ds, LINE, false, NULL, &err), err); /* given up: nothing of it stays */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), counted);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from dataset_versions where change = 'actions'"),
                         "1");
  free(ds);
  store_close(store);
}

/* What has lost all its segments is as empty as a new one, and can be filled again. */
static void a_dataset_without_segments_is_empty(void) {
  struct store *store = appends_store();
  static struct appends_sums p;
  struct store_dataset *ds = three_uploads(store, &p);
  struct px_err err;
  int64_t version;
  for (uint32_t seq = 0; seq < 3; seq++, refresh(store, ds))
    CU_OK(transfer_edit_take_out(store, ds, seq, &version, &err), err);
  CU_ASSERT(ds->trajectories_n == 0 && ds->steps_n == 0 && ds->segments_n == 3);
  CU_ASSERT_STRING_EQUAL(db_sql("select obs_n || ' ' || (obs_mean is null and obs_m2 is null) || "
                                "' ' || labelled_n from datasets"),
                         "0 true 0");
  appends_run(store, store, ds->id, 4, 5, &p);
  CU_ASSERT_STRING_EQUAL(db_sql("select seq || ' ' || first_trajectory from segments"), "3 0");
  free(ds);
  store_close(store);
}

/* Findings move with their trajectories. */
static void findings_of_what_is_gone_go_too(void) {
  struct store *store = appends_store();
  static struct appends_sums p;
  struct store_dataset *ds = three_uploads(store, &p);
  struct px_err err;
  int64_t version;
  db_sql("insert into lint_findings select id, f, 'file ' || f, jsonb_build_array("
         "jsonb_build_object('severity', 'info', 'trajectory', 3),"
         "jsonb_build_object('severity', 'info', 'trajectory', null))"
         " from datasets, unnest(array[0, 20, 40]) as f");
  CU_OK(transfer_edit_take_out(store, ds, 1, &version, &err), err);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select string_agg(first_trajectory || ' ' || file_name || ' ' || "
           "jsonb_array_length(findings) || ' ' || (findings -> 0 ->> 'trajectory'), ', ' order by "
           "first_trajectory) from lint_findings"),
    "0 file 0 2 3, 20 file 40 2 3");
  free(ds);
  store_close(store);
}

CU_MAIN("versions", T(earlier_versions_keep_their_bytes),
        T(returns_of_an_earlier_version_are_those_of_then),
        T(of_two_edits_of_a_version_one_succeeds), T(a_dataset_without_segments_is_empty),
        T(findings_of_what_is_gone_go_too))
