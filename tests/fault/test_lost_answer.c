/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are cut right before or right after a commit reached the database, by
 * chaosproxy: what the caller is told is so, and nothing is done twice. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/uploads.h"
#include "lib/transfer/edit.h"
#include "tests/fault/lib/proc.h"
#include "tests/fault/lib/sock.h"
#include "tests/support/appends.h"
#include "tests/support/db.h"

enum { PATIENCE_MS = 20000, LEASE_MS = 30000, PATH_BYTES = 256, ANSWERS_MAX = 20000 };

static char control[PATH_BYTES], through[2 * PATH_BYTES];
static pid_t proxy;

static void stop_proxy(void) { proc_end(proxy, SIGTERM); }

static void tell(const char *command) {
  char answer[256];
  CU_ASSERT_FATAL(sock_ask(control, command, answer, sizeof answer) &&
                  strncmp(answer, "ok", 2) == 0);
}

/* The proxy between the store of the test and its database. */
static void set_up(void) {
  if (proxy) return;
  const char *var = getenv("PROXACT_VAR"), *url = db_test_url(), *host = strstr(url, "host=");
  char program[PATH_BYTES + 64], log[PATH_BYTES], folder[PATH_BYTES], line[4 * PATH_BYTES],
    answer[64];
  CU_ASSERT_FATAL(var && host);
  snprintf(program, sizeof program, "%s/tests/fault/tools/chaosproxy", proc_build_dir());
  snprintf(control, sizeof control, "unix:%s/lost-%d.sock", var, (int)getpid());
  snprintf(log, sizeof log, "%s/log/lost-answer.log", var);
  snprintf(folder, sizeof folder, "%s/lost-%d", var, (int)getpid());
  CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
  proxy = proc_start((const char *const[]){ program, control + 5, NULL }, NULL, log);
  CU_ASSERT_FATAL(proxy > 0 && atexit(stop_proxy) == 0);
  for (int i = 0; i < ANSWERS_MAX && !sock_ask(control, "stats none", answer, sizeof answer); i++)
    proc_sleep_ms(5);
  snprintf(line, sizeof line, "link db unix:%s/.s.PGSQL.5432 unix:%s/.s.PGSQL.5432", folder,
           host + 5);
  tell(line);
  snprintf(through, sizeof through, "%.*shost=%s", (int)(host - url), url, folder);
}

/* A store whose next commit (or run of that statement) is cut off. */
static struct store *cut_at(const char *what, const char *when) {
  set_up();
  struct px_err err;
  struct store *store;
  char line[128];
  store_close(db_test_open("lost"));
  db_sql("truncate jobs, workers, datasets, blobs cascade");
  CU_OK(store_open(through, "lost", &store, &err), err);
  store_set_patience(store, PATIENCE_MS);
  snprintf(line, sizeof line, "trap db %s %s", what, when);
  tell(line);
  return store;
}

/* The trap did spring. */
static void was_cut(void) {
  static long before;
  char answer[256];
  CU_ASSERT_FATAL(sock_ask(control, "stats db", answer, sizeof answer));
  const char *at = strstr(answer, "trapped=");
  const long now = at ? strtol(at + strlen("trapped="), NULL, 10) : 0;
  CU_ASSERT_EQUAL(now, before + 1);
  before = now;
}

static const char *const WHEN[] = { "before", "after" };

static void a_submission_is_there_once(void) {
  for (int i = 0; i < 2; i++) {
    struct store *store = cut_at("commit", WHEN[i]);
    char id[STORE_ID_MAX];
    db_submit(store, "report", NULL, id);
    was_cut();
    CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(id, ',') from jobs"), id);
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from job_events"), "1");
    store_close(store);
  }
}

static void a_dataset_is_made_once_and_its_id_is_told(void) {
  static const struct px_spaces SPACES = {
    .obs_dim = 2, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 }
  };
  for (int i = 0; i < 2; i++) {
    struct store *store = cut_at("commit", WHEN[i]);
    struct px_err err;
    char id[STORE_ID_MAX];
    CU_OK(store_dataset_create(store, "cut", &SPACES, NULL, id, &err), err);
    was_cut();
    CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(id, ',') from datasets"), id);
    store_close(store);
  }
}

static void an_upload_in_parts_is_made_once(void) {
  static const struct px_spaces SPACES = {
    .obs_dim = 2, .act_dim = 1, .act_low = { -1 }, .act_high = { 1 }
  };
  for (int i = 0; i < 2; i++) {
    struct store *store = cut_at("never", "after"), *direct = db_test_open("lost direct");
    struct px_err err;
    char dataset[STORE_ID_MAX];
    CU_OK(store_dataset_create(direct, "cut", &SPACES, NULL, dataset, &err), err);
    const struct store_upload_draft draft = { .dataset_id = dataset,
                                              .file_name = "part.npz",
                                              .format = "npz",
                                              .options_json = "{}",
                                              .metadata = "",
                                              .size_bytes = 9,
                                              .expires_s = 60 };
    struct store_upload_state made;
    tell(i ? "trap db upload_create after" : "trap db upload_create before");
    CU_OK(store_upload_create(store, &draft, &made, &err), err);
    was_cut();
    CU_ASSERT_EQUAL(made.size_bytes, 9);
    CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(id, ',') from uploads"), made.id);
    CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs b where not exists (select from "
                                  "uploads u where u.blob_id = b.id)"),
                           "0");
    store_close(direct);
    store_close(store);
  }
}

static void a_cancellation_is_no_conflict_with_itself(void) {
  for (int i = 0; i < 2; i++) {
    struct store *store = cut_at("never", "after"), *direct = db_test_open("lost direct");
    struct px_err err;
    char id[STORE_ID_MAX];
    db_submit(direct, "report", NULL, id);
    tell(i ? "trap db commit after" : "trap db commit before");
    CU_OK(store_job_cancel(store, id, &err), err);
    was_cut();
    CU_ASSERT_STRING_EQUAL(db_state(id), "cancelled");
    store_close(direct);
    store_close(store);
  }
}

/* A claim is not tried again blindly: what it took is found by its worker's name. */
static void a_claim_is_taken_up_by_whoever_made_it(void) {
  for (int i = 0; i < 2; i++) {
    struct store *store = cut_at("job_claim", WHEN[i]), *direct = db_test_open("lost direct");
    struct px_err err;
    char id[STORE_ID_MAX];
    const char *kind = "report";
    struct store_job *job = NULL;
    db_submit(direct, "report", NULL, id);
    CU_ASSERT_EQUAL(store_job_claim(store, "w", &kind, 1, LEASE_MS, 0, &job, &err), PX_E_UNSETTLED);
    was_cut();
    /* What was sent is carried out in its own time. */
    for (int k = 0; i == 1 && k < ANSWERS_MAX && strcmp(db_state(id), "running") != 0; k++)
      proc_sleep_ms(5);
    CU_OK(store_job_adopt(store, "w", LEASE_MS, &job, &err), err);
    if (i == 0) {
      CU_ASSERT_PTR_NULL(job);
    } else {
      CU_ASSERT_PTR_NOT_NULL_FATAL(job);
      CU_ASSERT_STRING_EQUAL(job->hold.job, id);
      CU_ASSERT_EQUAL(job->hold.epoch, 1);
    }
    store_job_free(job);
    store_close(direct);
    store_close(store);
  }
}

static void an_edit_is_carried_out_once(void) {
  for (int i = 0; i < 2; i++) {
    struct store *store = cut_at("never", "after"), *direct = db_test_open("lost direct");
    static struct appends_sums p;
    struct store_dataset *ds = calloc(1, sizeof *ds);
    struct px_err err;
    char id[STORE_ID_MAX];
    int64_t version = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(ds);
    CU_OK(store_dataset_create(direct, "cut", &appends_spaces, NULL, id, &err), err);
    for (uint64_t seed = 1; seed <= 2; seed++) appends_run(direct, direct, id, seed, 5, &p);
    CU_OK(store_dataset_get(direct, id, ds, &err), err);
    tell(i ? "trap db commit after" : "trap db commit before");
    CU_OK(transfer_edit_take_out(store, ds, 0, &version, &err), err);
    was_cut();
    CU_ASSERT_EQUAL(version, ds->version + 1);
    CU_ASSERT_STRING_EQUAL(db_sql("select trajectories_n || ' ' || version - %d from datasets",
                                  (int)ds->version),
                           "5 1");
    free(ds);
    store_close(direct);
    store_close(store);
  }
}

CU_MAIN("lost_answer", T(a_submission_is_there_once), T(a_dataset_is_made_once_and_its_id_is_told),
        T(an_upload_in_parts_is_made_once), T(a_cancellation_is_no_conflict_with_itself),
        T(a_claim_is_taken_up_by_whoever_made_it), T(an_edit_is_carried_out_once))
