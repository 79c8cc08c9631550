/* SPDX-License-Identifier: Apache-2.0 */
/* A database that was restored from a backup gives out epochs again that workers hold since before:
 * none of those can write. Real dumps, restored over the database of this test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "lib/store/checkpoints.h"
#include "lib/store/jobs.h"
#include "lib/store/models.h"
#include "lib/store/store.h"
#include "tests/fault/lib/proc.h"
#include "tests/support/db.h"

static char folder[] = "/tmp/px-incarnation-XXXXXX";

static void shell(const char *script) {
  char log[96], text[1024] = "";
  snprintf(log, sizeof log, "%s/log", folder);
  const pid_t pid = proc_start((const char *const[]){ "/bin/sh", "-ec", script, NULL }, NULL, log);
  int how = -1;
  CU_ASSERT_EQUAL_FATAL(waitpid(pid, &how, 0), pid);
  FILE *f = how ? fopen(log, "re") : NULL;
  if (f && fread(text, 1, sizeof text - 1, f)) printf("\n  %s\n", text);
  if (f) fclose(f);
  CU_ASSERT_EQUAL_FATAL(how, 0);
}

static void back_up(void) { shell("pg_dump -Fc -f \"$DUMP\" \"$PROXACT_DB_URL\""); }

/* All sessions end, as with any restore. */
static void restore(void) {
  shell("name=${PROXACT_DB_URL#*@/}; name=${name%%\\?*}\n"
        "psql -XAtq -c \"drop database $name with (force)\" -c \"create database $name template "
        "template0\""
        " \"${PROXACT_DB_URL%%@*}@/postgres?${PROXACT_DB_URL#*\\?}\"\n"
        "pg_restore -d \"$PROXACT_DB_URL\" \"$DUMP\"");
  db_sql_state("select 1"); /* finds its session gone, and opens another */
}

static struct store *fresh(void) {
  struct store *store = db_test_open("px-incarnation");
  db_sql("delete from jobs");
  return store;
}

/* Every way in which a worker writes for its job. */
static void every_write_is_refused(struct store *store, const struct store_lease *hold) {
  struct px_err err, why;
  bool cancel;
  px_fail(&why, PX_E_INTERNAL, "no reason");
  const struct store_metric metric = { "loss", 1, 0.5 };
  CU_ASSERT_EQUAL(store_job_heartbeat(store, hold, 30000, "x", 1, 2, &cancel, &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_job_metrics_put(store, hold, &metric, 1, &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_checkpoint_keep(store, hold, 5, "p", "state", 5, &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_checkpoint_resumed(store, hold, 5, &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_model_publish(store, hold, "ds_x", "policy", "bc", "bytes", 5, "{}", &err),
                  PX_E_FENCED);
  CU_ASSERT_EQUAL(store_artifacts_publish(store, hold, NULL, 0, "{}", &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_job_succeed(store, hold, "{}", &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_job_fail(store, hold, &why, &err), PX_E_FENCED);
  CU_ASSERT_EQUAL(store_job_give_back(store, hold, &err), PX_E_FENCED);
}

static void a_hold_from_before_a_restore_writes_nothing_though_its_epoch_is_given_out_again(void) {
  struct store *store = fresh(), *other;
  struct px_err err;
  char early[STORE_ID_MAX], late[STORE_ID_MAX];
  db_submit(store, "label", NULL, early);
  db_submit(store, "export", NULL, late);
  const struct store_lease before = db_claim(store, "label");
  back_up();
  const struct store_lease after = db_claim(store, "export");
  const int64_t epoch = after.epoch;
  restore();
  CU_ASSERT_EQUAL(strtoll(db_sql("select epoch from jobs where id = '%s'", late), NULL, 10),
                  epoch - 1);
  /* The worker of before comes first: what it holds is not even claimed yet. Then the other, which
   * gets both. */
  every_write_is_refused(store, &after);
  CU_OK(store_open(db_test_url(), "px-other", &other, &err), err);
  const struct store_lease again = db_claim(other, "export"),
                           early_again = db_claim(other, "label");
  CU_ASSERT_STRING_EQUAL(again.job, after.job);
  CU_ASSERT(again.epoch > (int64_t)1 << 20);
  every_write_is_refused(store, &after);
  every_write_is_refused(store, &before);
  CU_ASSERT_STRING_EQUAL(db_sql(
                           "select string_agg(state || attempt || lost_leases, ' ') from jobs"),
                         "running10 running10");
  CU_OK(store_job_succeed(other, &again, "{}", &err), err);
  CU_OK(store_job_succeed(other, &early_again, "{}", &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from incarnations"), "2");
  store_close(other);
  store_close(store);
}

/* A copy of the files that just starts again is, for the database, the same place: here the row is
 * made to say so. */
static void a_copy_that_cannot_be_told_from_its_original_needs_to_be_told(void) {
  struct store *store = fresh(), *other;
  struct px_err err;
  char id[STORE_ID_MAX];
  bool cancel;
  int given_back = 0;
  db_sql("delete from incarnations where n > 1");
  db_sql("update incarnations set epoch_base = 0, place = database_place()");
  db_submit(store, "export", NULL, id);
  back_up();
  const struct store_lease before = db_claim(store, "export");
  restore();
  db_sql("update incarnations set place = database_place()");
  CU_OK(store_open(db_test_url(), "px-other", &other, &err), err);
  const struct store_lease again = db_claim(other, "export");
  CU_ASSERT_EQUAL(again.epoch, before.epoch); /* two holders */
  CU_OK(store_job_heartbeat(store, &before, 30000, NULL, 1, 2, &cancel, &err), err);
  CU_OK(store_restored(other, &given_back, &err), err);
  CU_ASSERT_EQUAL(given_back, 1);
  every_write_is_refused(store, &before);
  every_write_is_refused(other, &again);
  const struct store_lease third = db_claim(other, "export");
  CU_ASSERT(third.epoch > again.epoch);
  every_write_is_refused(store, &before);
  CU_OK(store_job_succeed(other, &third, "{}", &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events where reason = 'restored'"), "1");
  store_close(other);
  store_close(store);
}

static void bytes_stored_before_a_restore_are_never_taken_for_others(void) {
  struct store *store = fresh();
  struct px_err err;
  struct store_blob lost, stored;
  back_up();
  CU_OK(store_blob_put(store, "lost", 4, NULL, &lost, &err), err);
  restore();
  for (int i = 0; i < 40; i++) {
    CU_OK(store_blob_put(store, "stored", 6, NULL, &stored, &err), err);
    CU_ASSERT(stored.id > lost.id);
  }
  struct px_buf bytes = PX_BUF(64);
  CU_ASSERT_EQUAL(store_blob_read(store, lost.id, &bytes, &err), PX_E_NOT_FOUND);
  px_buf_free(&bytes);
  store_close(store);
}

int main(int argc, char **argv) {
  char dump[96], log[96];
  db_test_url();
  if (!mkdtemp(folder)) return 1;
  snprintf(dump, sizeof dump, "%s/dump", folder);
  setenv("DUMP", dump, 1);
  static const struct cu_test tests[] = {
    T(a_hold_from_before_a_restore_writes_nothing_though_its_epoch_is_given_out_again),
    T(a_copy_that_cannot_be_told_from_its_original_needs_to_be_told),
    T(bytes_stored_before_a_restore_are_never_taken_for_others),
  };
  const int rc = cu_run("incarnation", tests, sizeof tests / sizeof *tests, argc, argv);
  snprintf(log, sizeof log, "%s/log", folder);
  unlink(log);
  unlink(dump);
  rmdir(folder);
  return rc;
}
