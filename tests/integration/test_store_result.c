/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs leave: models, label sets, artifacts: visible if and only if their job succeeded. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "lib/store/checkpoints.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"
#include "lib/store/labels.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "lib/store/store.h"
#include "tests/support/db.h"

/* A dataset with two segments of 10 and 20 steps. */
static char dataset[STORE_ID_MAX];
static struct store *fresh(void) {
  struct store *store = db_test_open("results");
  db_sql("truncate datasets, jobs, blobs cascade");
  snprintf(dataset, sizeof dataset, "%s",
           db_sql("insert into datasets (name, obs_dim, act_dim, act_low, act_high, segments_n)"
                  " values ('d', 1, 1, '{-1}', '{1}', 2) returning id"));
  db_sql(
    "with b as (insert into blobs (size_bytes, sha256) select 1, sha256('') from "
    "generate_series(0, 1) returning id)"
    " insert into segments (dataset_id, seq, blob_id, sha256, first_trajectory, trajectories_n,"
    " steps_n, labelled_steps_n, size_bytes) select '%s', n - 1, id, sha256(''), n - 1, 1, 10 * n, "
    "0, 1"
    " from (select id, row_number() over (order by id) as n from b) as x",
    dataset);
  return store;
}

static bool contains(struct px_buf *text, const char *what) {
  const bool found = strstr(text->data, what) != NULL;
  px_buf_free(text);
  return found;
}

static void a_model_and_the_end_of_its_job_appear_together(void) {
  struct store *store = fresh();
  struct px_err err;
  char job[STORE_ID_MAX], id[STORE_ID_MAX];
  db_submit(store, "train_idm", NULL, job);
  const struct store_lease hold = db_claim(store, "train_idm");
  /* Its dataset does not exist: neither the model nor the end of the job. */
  CU_ASSERT_EQUAL(store_model_publish(store, &hold, "ds_none", "idm", "squashed", "weights", 7,
                                      "{}", &err),
                  PX_E_NOT_FOUND);
  CU_ASSERT_STRING_EQUAL(db_state(job), "running");
  CU_OK(store_model_publish(store, &hold, dataset, "idm", "squashed", "weights", 7,
                            "{\"mse\": 0.5}", &err),
        err);
  CU_OK(store_model_publish(store, &hold, dataset, "idm", "squashed", "weights", 7,
                            "{\"mse\": 0.5}", &err),
        err);
  CU_ASSERT_STRING_EQUAL(db_state(job), "succeeded");
  store_result_id("mdl", job, id);
  CU_ASSERT_STRING_EQUAL(id + 4, job + 4);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_model_read(store, id, &text, &err), err);
  CU_ASSERT_EQUAL(text.len, 7);
  CU_ASSERT_TRUE(contains(&text, "weights"));
  CU_OK(store_model_document(store, id, &text, &err), err);
  CU_ASSERT_TRUE(contains(&text, "\"metrics\": {\"mse\": 0.5}"));
  CU_OK(store_model_list(store, &(struct store_page){ dataset, NULL, 10 }, "idm", &text, &err),
        err);
  CU_ASSERT_TRUE(contains(&text, id));
  CU_OK(store_model_list(store, &(struct store_page){ dataset, NULL, 10 }, "policy", &text, &err),
        err);
  CU_ASSERT_FALSE(contains(&text, id));
  CU_ASSERT_EQUAL(store_model_read(store, "mdl_none", &text, &err), PX_E_NOT_FOUND);
  store_close(store);
}

/* A member that the job `parent` asked for, trained and published. */
static void publish_member(struct store *store, const char *spec, const char *parent,
                           char id[STORE_ID_MAX]) {
  struct px_err err;
  char job[STORE_ID_MAX];
  snprintf(job, sizeof job, "%s",
           db_sql("insert into jobs (kind, dataset_id, parent_id, spec) values ('train_idm', '%s', "
                  "'%s', '%s') returning id",
                  dataset, parent, spec));
  const struct store_lease hold = db_claim(store, "train_idm");
  CU_OK(store_model_publish(store, &hold, dataset, "idm", "squashed", spec, 7, "{}", &err), err);
  store_result_id("mdl", job, id);
}

/* In their order, whoever is asked for; those of another spec or pipeline are none of them. */
static void members_of_an_ensemble_are_found(void) {
  struct store *store = fresh();
  struct px_err err;
  struct store_members members;
  char parent[2][STORE_ID_MAX], id[5][STORE_ID_MAX];
  for (int i = 0; i < 2; i++) db_submit(store, "report", NULL, parent[i]);
  publish_member(store, "{\"idm\": 1, \"member\": 2}", parent[0], id[2]);
  publish_member(store, "{\"idm\": 1, \"member\": 0}", parent[0], id[0]);
  publish_member(store, "{\"idm\": 1, \"member\": 1}", parent[0], id[1]);
  publish_member(store, "{\"idm\": 2, \"member\": 1}", parent[0], id[3]);
  publish_member(store, "{\"idm\": 1, \"member\": 1}", parent[1], id[4]);
  CU_OK(store_model_members(store, id[1], &members, &err), err);
  CU_ASSERT_EQUAL_FATAL(members.n, 3);
  for (int i = 0; i < 3; i++) CU_ASSERT_STRING_EQUAL(members.at[i].id, id[i]);
  CU_ASSERT_EQUAL(members.at[0].size_bytes, 7);
  CU_OK(store_model_members(store, id[4], &members, &err), err);
  CU_ASSERT_EQUAL(members.n, 1);
  CU_ASSERT_EQUAL(store_model_members(store, "mdl_none", &members, &err), PX_E_NOT_FOUND);
  store_close(store);
}

/* jsonb gives figures of 2^63 and more back as whole numbers with all their digits. */
static void figures_beyond_64_bits_come_back(void) {
  struct store *store = fresh();
  struct px_err err;
  char job[STORE_ID_MAX];
  db_submit(store, "report", NULL, job);
  const struct store_lease hold = db_claim(store, "report");
  CU_OK(store_job_succeed(
          store, &hold, "{\"a\": 1e20, \"b\": -9.3e18, \"c\": 1.7e308, \"d\": 9223372036854775807}",
          &err),
        err);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_job_result(store, job, &text, &err), err);
  /* which json_loadb refuses */
  CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "100000000000000000000"));
  json_t *result = px_json_parse(text.data, text.len, 0, NULL);
  CU_ASSERT_EQUAL(json_real_value(json_object_get(result, "a")), 1e20);
  CU_ASSERT_EQUAL(json_real_value(json_object_get(result, "b")), -9.3e18);
  CU_ASSERT_EQUAL(json_real_value(json_object_get(result, "c")), 1.7e308);
  CU_ASSERT_EQUAL(json_integer_value(json_object_get(result, "d")), INT64_MAX);
  json_decref(result);
  px_buf_free(&text);
  store_close(store);
}

static void artifacts_appear_with_the_end_of_their_job(void) {
  struct store *store = fresh();
  struct px_err err;
  char job[STORE_ID_MAX], type[128];
  db_submit(store, "report", NULL, job);
  const struct store_lease hold = db_claim(store, "report");
  struct store_artifact files[] = { { .name = "report.json", .media_type = "application/json" },
                                    { .name = "report.html", .media_type = "text/html" } };
  CU_OK(store_blob_put(store, "{}", 2, NULL, &files[0].blob, &err), err);
  CU_OK(store_blob_put(store, "<html>", 6, NULL, &files[1].blob, &err), err);
  CU_OK(store_artifacts_publish(store, &hold, files, 2, "{\"a\": 1}", &err), err);
  CU_OK(store_artifacts_publish(store, &hold, files, 2, "{\"a\": 1}", &err), err);
  struct store_blob blob;
  CU_OK(store_artifact_find(store, job, "report.html", type, &blob, &err), err);
  CU_ASSERT_STRING_EQUAL(type, "text/html");
  CU_ASSERT_EQUAL(blob.size_bytes, 6);
  CU_ASSERT_EQUAL(memcmp(blob.sha256, files[1].blob.sha256, 32), 0);
  CU_ASSERT_EQUAL(store_artifact_find(store, job, "other", type, &blob, &err), PX_E_NOT_FOUND);
  struct px_buf text = PX_BUF(1 << 16);
  CU_OK(store_artifact_list(store, job, &text, &err), err);
  CU_ASSERT_TRUE(contains(&text, "report.json"));
  store_close(store);
}

/* A label job that waits for n shards. */
struct label {
  char job[STORE_ID_MAX], shard[2][STORE_ID_MAX];
};
static struct label submit_label(struct store *store, int shards) {
  struct label l;
  const char *needs[3] = { NULL };
  for (int i = 0; i < shards; i++) {
    db_submit(store, "label_shard", NULL, l.shard[i]);
    needs[i] = l.shard[i];
  }
  db_submit(store, "label", needs, l.job);
  return l;
}
static void stage_under(struct store *store, const struct store_lease *hold, const struct label *l,
                        uint32_t seq, const char *text, uint64_t steps_n, const char *profile) {
  struct px_err err;
  const struct store_label_segment segment = { .label_job = l->job,
                                               .seq = seq,
                                               .bytes = text,
                                               .n = strlen(text),
                                               .steps_n = steps_n,
                                               .known_n = 9 * (seq + 1),
                                               .score_sum = 4.5 * (seq + 1),
                                               .profile = profile };
  CU_OK(store_label_stage(store, hold, &segment, &err), err);
}
static void stage(struct store *store, const struct store_lease *hold, const struct label *l,
                  uint32_t seq, const char *text) {
  stage_under(store, hold, l, seq, text, 10 * (seq + 1), "here");
}
static enum px_status collect(void *ctx, uint32_t seq, const void *bytes, size_t n,
                              struct px_err *err) {
  (void)err;
  CU_ASSERT_EQUAL(px_buf_fmt(ctx, "%u:", seq), PX_OK);
  return px_buf_put(ctx, bytes, n);
}

static void labels_are_published_whole_and_become_current(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct label l = submit_label(store, 2);
  char set[STORE_ID_MAX];
  store_result_id("ls", l.job, set);
  for (uint32_t i = 0; i < 2; i++) {
    const struct store_lease shard = db_claim(store, "label_shard");
    stage(store, &shard, &l, i, i ? "one" : "zero");
    stage(store, &shard, &l, i, i ? "one" : "zero"); /* harmless */
    CU_OK(store_job_succeed(store, &shard, "{}", &err), err);
  }
  const struct store_lease hold = db_claim(store, "label");
  struct px_buf text = PX_BUF(1 << 16);
  CU_ASSERT_EQUAL(store_label_set_document(store, set, &text, &err), PX_E_NOT_FOUND);
  CU_OK(store_label_publish(store, &hold,
                            &(struct store_labelling){ dataset, 2, STORE_VERSION_NOW },
                            "{\"r2\": 0.9}", &err),
        err);
  CU_OK(store_label_publish(store, &hold,
                            &(struct store_labelling){ dataset, 2, STORE_VERSION_NOW },
                            "{\"r2\": 0.9}", &err),
        err);
  CU_ASSERT_STRING_EQUAL(db_sql("select label_set_id from datasets"), set);
  CU_ASSERT_STRING_EQUAL(
    db_sql(
      "select segments_n || ' ' || steps_n || ' ' || known_n || ' ' || mean_score from label_sets"),
    "2 30 27 0.5");
  uint8_t digests[64], all[32];
  char hex[65];
  px_digest_sha256("zero", 4, digests);
  px_digest_sha256("one", 3, digests + 32);
  px_digest_sha256(digests, 64, all);
  px_text_hex(all, 32, hex);
  CU_ASSERT_STRING_EQUAL(db_sql("select encode(sha256, 'hex') from label_sets"), hex);
  CU_OK(store_label_read(store, set, 0, 2, collect, &text, &err), err);
  CU_ASSERT_STRING_EQUAL(text.data, "0:zero1:one");
  px_buf_free(&text);
  CU_ASSERT_EQUAL(store_label_read(store, set, 1, 2, collect, &text, &err), PX_E_NOT_FOUND);
  CU_OK(store_label_set_document(store, set, &text, &err), err);
  CU_ASSERT_TRUE(contains(&text, "\"current\": true"));
  CU_OK(store_label_set_list(store, &(struct store_page){ dataset, NULL, 10 }, &text, &err), err);
  CU_ASSERT_TRUE(contains(&text, set));
  CU_OK(store_job_document(store, l.job, &text, &(int64_t){ 0 }, &err), err);
  CU_ASSERT_TRUE(contains(&text, set));
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blobs where not attached"), "0");
  db_sql("update blob_chunks set bytes = 'zerO' where bytes = 'zero'");
  CU_ASSERT_EQUAL(store_label_read(store, set, 0, 2, collect, &text, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "segment 0 of ls_"));
  px_buf_free(&text);
  store_close(store);
}

static void a_missing_or_misfitting_segment_stops_the_publication(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct label l = submit_label(store, 1);
  const struct store_lease shard = db_claim(store, "label_shard");
  stage(store, &shard, &l, 0, "zero");
  stage_under(store, &shard, &l, 1, "one", 19, "here"); /* the segment has 20 */
  CU_OK(store_job_succeed(store, &shard, "{}", &err), err);
  const struct store_lease hold = db_claim(store, "label");
  CU_ASSERT_EQUAL(store_label_publish(store, &hold,
                                      &(struct store_labelling){ dataset, 2, STORE_VERSION_NOW },
                                      "{}", &err),
                  PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "segment 1 "));
  CU_ASSERT_STRING_EQUAL(
    db_sql("select (select count(*) from label_sets) || coalesce(label_set_id, '') from datasets"),
    "0");
  CU_ASSERT_STRING_EQUAL(db_state(l.job), "running");
  /* the first alone is a snapshot too */
  CU_OK(store_label_publish(store, &hold,
                            &(struct store_labelling){ dataset, 1, STORE_VERSION_NOW }, "{}", &err),
        err);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from label_segments"), "1");
  store_close(store);
}

static void rows_of_dead_epochs_are_never_published(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct label l = submit_label(store, 1);
  const struct store_lease dead = db_claim(store, "label_shard");
  stage(store, &dead, &l, 0, "dead");
  stage(store, &dead, &l, 1, "dead");
  CU_OK(store_job_give_back(store, &dead, &err), err);
  const struct store_lease shard = db_claim(store, "label_shard");
  stage(store, &shard, &l, 0, "live");
  CU_OK(store_job_succeed(store, &shard, "{}", &err), err);
  const struct store_lease hold = db_claim(store, "label");
  /* 1 is there, but dead */
  CU_ASSERT_EQUAL(store_label_publish(store, &hold,
                                      &(struct store_labelling){ dataset, 2, STORE_VERSION_NOW },
                                      "{}", &err),
                  PX_E_CONFLICT);
  CU_OK(store_label_publish(store, &hold,
                            &(struct store_labelling){ dataset, 1, STORE_VERSION_NOW }, "{}", &err),
        err);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(seq || ' ' || epoch, ',') from label_segments"),
                         "0 2");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blob_chunks"), "1");
  char set[STORE_ID_MAX];
  store_result_id("ls", l.job, set);
  struct px_buf text = PX_BUF(100);
  CU_OK(store_label_read(store, set, 0, 1, collect, &text, &err), err);
  CU_ASSERT_STRING_EQUAL(text.data, "0:live");
  px_buf_free(&text);
  store_close(store);
}

static void a_shard_takes_over_what_its_earlier_attempts_staged_alike(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct label l = submit_label(store, 1);
  struct store_lease shard = db_claim(store, "label_shard");
  const struct store_lease first = shard;
  stage(store, &shard, &l, 0, "zero");
  stage_under(store, &shard, &l, 1, "one", 20, "another machine");
  CU_OK(store_job_give_back(store, &shard, &err), err);
  shard = db_claim(store, "label_shard");
  stage(store, &shard, &l, 2, "two"); /* beyond the shard's part: taken over, but not told */
  int removed;
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0);
  CU_OK(store_job_give_back(store, &shard, &err), err);
  shard = db_claim(store, "label_shard");
  uint8_t staged[2] = { 0 };
  /* nothing is older than it */
  CU_ASSERT_EQUAL(store_label_adopt(store, &first, l.job, "here", 0, 2, staged, &err), PX_OK);
  CU_ASSERT_TRUE(!staged[0] && !staged[1]);
  struct store_lease ahead = shard;
  ahead.epoch++;
  CU_ASSERT_EQUAL(store_label_adopt(store, &ahead, l.job, "here", 0, 2, staged, &err), PX_E_FENCED);
  CU_OK(store_label_adopt(store, &shard, l.job, "here", 0, 2, staged, &err), err);
  CU_ASSERT_TRUE(staged[0] && !staged[1]);
  stage(store, &shard, &l, 1, "one here");
  CU_OK(store_job_succeed(store, &shard, "{}", &err), err);
  const struct store_lease hold = db_claim(store, "label");
  CU_OK(store_label_publish(store, &hold,
                            &(struct store_labelling){ dataset, 2, STORE_VERSION_NOW }, "{}", &err),
        err);
  char set[STORE_ID_MAX];
  store_result_id("ls", l.job, set);
  struct px_buf text = PX_BUF(100);
  CU_OK(store_label_read(store, set, 0, 2, collect, &text, &err), err);
  CU_ASSERT_STRING_EQUAL(text.data, "0:zero1:one here");
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from blob_chunks"), "2");
  px_buf_free(&text);
  store_close(store);
}

static void labels_of_a_shard_that_is_not_the_jobs_own_do_not_count(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct label l = submit_label(store, 1), stranger = submit_label(store, 1);
  const struct store_lease own = db_claim(store, "label_shard"),
                           other = db_claim(store, "label_shard");
  CU_ASSERT_STRING_EQUAL(other.job, stranger.shard[0]);
  stage(store, &other, &l, 0, "foreign");
  CU_OK(store_job_succeed(store, &own, "{}", &err), err);
  CU_OK(store_job_succeed(store, &other, "{}", &err), err);
  const struct store_lease hold = db_claim(store, "label");
  CU_ASSERT_STRING_EQUAL(hold.job, l.job);
  CU_ASSERT_EQUAL(store_label_publish(store, &hold,
                                      &(struct store_labelling){ dataset, 1, STORE_VERSION_NOW },
                                      "{}", &err),
                  PX_E_CONFLICT);
  store_close(store);
}

/* A blob alone need not be on disk, for what makes it reachable comes later; what is reachable must
 * be. */
static void what_makes_bytes_reachable_waits_for_the_disk(void) {
  struct store *store = fresh();
  struct px_err err;
  char url[512];
  snprintf(url, sizeof url, "%s%coptions=-csynchronous_commit%%3Don", db_test_url(),
           strchr(db_test_url(), '?') ? '&' : '?');
  store_close(store);
  CU_OK(store_open(url, "results", &store, &err), err);
  db_sql("create table if not exists commits (what text, sync text)");
  db_sql("create or replace function note_commit() returns trigger language plpgsql as $$"
         " begin insert into commits values (tg_table_name, "
         "current_setting('synchronous_commit')); return null; end $$");
  static const char *const TABLES[] = { "label_segments", "job_checkpoints", "blobs" };
  for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
    db_sql("create constraint trigger note_commit after insert on %s deferrable initially deferred "
           "for each row"
           " execute function note_commit()",
           TABLES[i]);
  struct store_blob blob;
  CU_OK(store_blob_put(store, "{}", 2, NULL, &blob, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("select string_agg(what || ' ' || sync, ', ') from commits"),
                         "blobs off");
  const struct label l = submit_label(store, 1);
  const struct store_lease shard = db_claim(store, "label_shard");
  stage(store, &shard, &l, 0, "zero");
  CU_OK(store_checkpoint_keep(store, &shard, 1, "here", "state", 5, &err), err);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select string_agg(what || ' ' || sync, ', ') from commits where what <> 'blobs'"),
    "label_segments on, job_checkpoints on");
  for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
    db_sql("drop trigger note_commit on %s", TABLES[i]);
  db_sql("drop table commits; drop function note_commit()");
  store_close(store);
}

static void the_janitor_drops_staged_labels_that_can_never_count(void) {
  struct store *store = fresh();
  struct px_err err;
  const struct label l = submit_label(store, 1);
  const struct store_lease dead = db_claim(store, "label_shard");
  stage(store, &dead, &l, 0, "dead");
  int removed;
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0);
  CU_OK(store_job_give_back(store, &dead, &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0); /* the next attempt may take it over */
  const struct store_lease shard = db_claim(store, "label_shard");
  stage(store, &shard, &l, 0, "live");
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 0);
  CU_OK(store_job_succeed(store, &shard, "{}", &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select convert_from(bytes, 'utf8') from blob_chunks"), "live");
  CU_OK(store_job_cancel(store, l.job, &err), err);
  CU_OK(store_job_janitor(store, &removed, &err), err);
  CU_ASSERT_EQUAL(removed, 1);
  store_close(store);
}

static void a_newer_label_set_takes_over_and_the_older_stays_readable(void) {
  struct store *store = fresh();
  struct px_err err;
  char set[2][STORE_ID_MAX];
  for (int i = 0; i < 2; i++) {
    const struct label l = submit_label(store, 1);
    const struct store_lease shard = db_claim(store, "label_shard");
    stage(store, &shard, &l, 0, i ? "new" : "old");
    CU_OK(store_job_succeed(store, &shard, "{}", &err), err);
    const struct store_lease hold = db_claim(store, "label");
    CU_OK(store_label_publish(store, &hold,
                              &(struct store_labelling){ dataset, 1, STORE_VERSION_NOW }, "{}",
                              &err),
          err);
    store_result_id("ls", l.job, set[i]);
  }
  CU_ASSERT_STRING_EQUAL(db_sql("select label_set_id from datasets"), set[1]);
  struct px_buf text = PX_BUF(100);
  CU_OK(store_label_read(store, set[0], 0, 1, collect, &text, &err), err);
  CU_ASSERT_STRING_EQUAL(text.data, "0:old");
  px_buf_free(&text);
  store_close(store);
}

CU_MAIN("store_result", T(a_model_and_the_end_of_its_job_appear_together),
        T(members_of_an_ensemble_are_found), T(figures_beyond_64_bits_come_back),
        T(artifacts_appear_with_the_end_of_their_job),
        T(labels_are_published_whole_and_become_current),
        T(a_missing_or_misfitting_segment_stops_the_publication),
        T(rows_of_dead_epochs_are_never_published),
        T(labels_of_a_shard_that_is_not_the_jobs_own_do_not_count),
        T(a_shard_takes_over_what_its_earlier_attempts_staged_alike),
        T(what_makes_bytes_reachable_waits_for_the_disk),
        T(the_janitor_drops_staged_labels_that_can_never_count),
        T(a_newer_label_set_takes_over_and_the_older_stays_readable))
