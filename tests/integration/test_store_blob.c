/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: bytes in chunks, and what removes them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/rng.h"
#include "lib/store/append.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "tests/support/appends.h"
#include "tests/support/db.h"
#include "tests/support/trajs.h"

static void blobs_come_back_byte_for_byte(void) {
  struct store *store = appends_store();
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
  struct store *store = appends_store();
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

static void the_janitor_removes_only_old_blobs_that_nothing_took_up(void) {
  struct store *store = appends_store();
  struct px_err err;
  char id[STORE_ID_MAX];
  static struct appends_sums p;
  p = (struct appends_sums){ .n = 0 };
  CU_OK(store_dataset_create(store, "kept", &appends_spaces, NULL, id, &err), err);
  appends_run(store, store, id, 1, 10, &p);
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

CU_MAIN("store_blob", T(blobs_come_back_byte_for_byte),
        T(a_file_that_cannot_be_read_leaves_nothing),
        T(the_janitor_removes_only_old_blobs_that_nothing_took_up))
