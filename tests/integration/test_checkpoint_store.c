/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints in the store: which are kept, how long, and for whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/store/checkpoints.h"
#include "lib/store/jobs.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "tests/support/workers.h"

static struct store *store;

static void open_store(void) { store = workers_store("test_checkpoint_store"); }

static enum px_status keep(const struct store_lease *hold, int64_t step, const char *text) {
  struct px_err err;
  const enum px_status status =
    store_checkpoint_keep(store, hold, step, "profile a", text, strlen(text), &err);
  if (status && status != PX_E_FENCED) printf("\n  %s\n", err.message);
  return status;
}

static size_t listed(const char *job, struct store_checkpoint list[STORE_CHECKPOINTS_MAX]) {
  struct px_err err;
  size_t n = 99;
  CU_OK(store_checkpoint_list(store, job, list, &n, &err), err);
  return n;
}

static struct store_lease claimed(char id[STORE_ID_MAX]) {
  open_store();
  db_submit(store, "train_policy", NULL, id);
  return db_claim(store, "train_policy");
}

static void the_last_two_are_kept_newest_first(void) {
  char id[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  const struct store_lease hold = claimed(id);
  const char *const states[] = { "one", "two", "three" };
  CU_ASSERT_EQUAL(listed(id, list), 0);
  for (int i = 0; i < 3; i++) {
    CU_ASSERT_EQUAL(keep(&hold, 10 * (i + 1), states[i]), PX_OK);
    CU_ASSERT_EQUAL(listed(id, list), i ? 2 : 1);
    CU_ASSERT_EQUAL(list[0].step, 10 * (i + 1));
    CU_ASSERT_STRING_EQUAL(list[0].profile, "profile a");
  }
  struct px_buf bytes = PX_BUF(1 << 20);
  struct px_err err;
  for (int i = 0; i < 2; i++) {
    bytes.len = 0;
    CU_OK(store_checkpoint_read(store, &list[i], &bytes, &err), err);
    CU_ASSERT_STRING_EQUAL(bytes.data, states[2 - i]);
  }
  /* Nothing is left of the first one, bytes included. */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs where attached and size_bytes < 10"),
                         "2");
  db_sql("update blob_chunks set bytes = 'thrEe' where blob_id = %lld", (long long)list[0].blob.id);
  CU_ASSERT_EQUAL(store_checkpoint_read(store, &list[0], &bytes, &err), PX_E_BAD_DATA);
  px_buf_free(&bytes);
  size_t n;
  CU_ASSERT_EQUAL(store_checkpoint_list(store, "job_0", list, &n, &err), PX_E_NOT_FOUND);
}

static void whoever_lost_the_job_keeps_nothing(void) {
  char id[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  struct px_err err;
  const struct store_lease hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "first"), PX_OK);
  CU_OK(store_job_give_back(store, &hold, &err), err);
  CU_ASSERT_EQUAL(keep(&hold, 6, "given back"), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_checkpoint_resumed(store, &hold, 5, &err), PX_E_FENCED);
  const struct store_lease next = db_claim(store, "train_policy");
  CU_ASSERT_EQUAL(keep(&hold, 7, "an older attempt"), PX_E_FENCED);
  CU_OK(store_checkpoint_resumed(store, &next, 5, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select resumed_from || ' ' || step from jobs where id = '%s'", id),
                         "5 5");
  CU_ASSERT_EQUAL(keep(&next, 6, "second"), PX_OK);
  CU_ASSERT_EQUAL(listed(id, list), 2);
  CU_ASSERT_TRUE(list[0].epoch == 2 && list[0].step == 6 && list[1].epoch == 1 &&
                 list[1].step == 5);
  /* Of what was refused, not even bytes are left. */
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs where size_bytes = %d",
                                (int)strlen("an older attempt")),
                         "0");
}

static void states_go_with_success_and_stay_a_week_with_failure(void) {
  char id[STORE_ID_MAX];
  struct store_checkpoint list[STORE_CHECKPOINTS_MAX];
  struct px_err err;
  int removed;
  struct store_lease hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "state"), PX_OK);
  CU_OK(store_job_succeed(store, &hold, "{}", &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 0);
  hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "state"), PX_OK);
  CU_OK(store_job_cancel(store, id, &err), err);
  CU_OK(store_job_fail(store, &hold, &(struct px_err){ .code = PX_E_CANCELLED }, &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 0);
  hold = claimed(id);
  CU_ASSERT_EQUAL(keep(&hold, 5, "state"), PX_OK);
  CU_OK(store_job_fail(store, &hold, &(struct px_err){ .code = PX_E_NAN_LOSS, .message = "nan" },
                       &err),
        err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 1);
  db_sql("set session_replication_role = replica;"
         "update jobs set finished_at = finished_at - interval '8 days' where id = '%s'; reset "
         "session_replication_role",
         id);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(listed(id, list), 0);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs"), "0");
}

static void an_attempt_that_comes_further_has_earlier_failures_forgotten(void) {
  char id[STORE_ID_MAX];
  struct px_err err;
  struct store_lease hold = claimed(id);
  for (int64_t i = 0; i < 12; i++) { /* five attempts and three lost leases are allowed */
    CU_ASSERT_EQUAL(keep(&hold, 10 + i, "state"), PX_OK);
    CU_ASSERT_STRING_EQUAL(db_sql("select attempt || ' ' || lost_leases from jobs where id = '%s'",
                                  id),
                           "1 0");
    db_sql("update jobs set lease_expires_at = clock_timestamp() - interval '1 s' where id = '%s'",
           id);
    struct store_reaped reaped;
    CU_OK(store_jobs_reap(store, &reaped, &err), err);
    CU_ASSERT_STRING_EQUAL_FATAL(db_state(id), "ready");
    hold = db_claim(store, "train_policy");
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select attempt || ' ' || lost_leases from jobs where id = '%s'",
                                id),
                         "2 1");
  CU_ASSERT_EQUAL(keep(&hold, 21, "no further than the last"), PX_OK);
  CU_ASSERT_STRING_EQUAL(db_sql("select attempt || ' ' || lost_leases from jobs where id = '%s'",
                                id),
                         "2 1");
}

CU_MAIN("checkpoint_store", T(the_last_two_are_kept_newest_first),
        T(whoever_lost_the_job_keeps_nothing),
        T(states_go_with_success_and_stay_a_week_with_failure),
        T(an_attempt_that_comes_further_has_earlier_failures_forgotten))
