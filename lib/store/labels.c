/* SPDX-License-Identifier: Apache-2.0 */
/* Label segments and label sets: see labels.h. */
#include "lib/store/labels.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/blob_write.h"
#include "lib/store/jobs.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

struct stage {
  const struct store_lease *shard;
  const struct store_label_segment *segment;
  uint8_t digest[PX_SHA256_BYTES];
};

static void key(struct db_params *p, const struct stage *stage) {
  db_text(p, stage->segment->label_job);
  db_int(p, stage->segment->seq);
  db_text(p, stage->shard->job);
  db_int(p, stage->shard->epoch);
}

/* The bytes and the row that reaches them together, or neither. The shard's row is not locked: its
 * heartbeats go on. */
static enum px_status stage_work(struct store *store, void *ctx, struct px_err *err) {
  const struct stage *stage = ctx;
  const struct store_label_segment *s = stage->segment;
  struct db_params staged = DB_PARAMS;
  key(&staged, stage);
  PGresult *row;
  enum px_status status = db_run(store, SQL_label_staged, &staged, DB_TEXT, &row, err);
  if (status) return status;
  const bool already = PQntuples(row) > 0;
  PQclear(row);
  if (already) return PX_OK;
  struct store_blob blob;
  status = blob_write(store, s->bytes, s->n, stage->digest, &blob, err);
  if (status) return status;
  struct db_params p = DB_PARAMS;
  key(&p, stage);
  db_int(&p, blob.id);
  db_bytes(&p, blob.sha256, sizeof blob.sha256);
  db_int(&p, (int64_t)s->steps_n);
  db_int(&p, (int64_t)s->known_n);
  db_float(&p, s->score_sum);
  db_text(&p, s->profile);
  if (s->simulated) {
    db_int(&p, (int64_t)s->verified_n);
    db_int(&p, (int64_t)s->simulated_n);
    db_float(&p, s->residual_sum);
  } else {
    for (int i = 0; i < 3; i++) db_text(&p, NULL);
  }
  return db_run(store, SQL_label_stage, &p, DB_TEXT, NULL, err);
}

enum px_status store_label_stage(struct store *store, const struct store_lease *shard,
                                 const struct store_label_segment *segment, struct px_err *err) {
  struct stage stage = { shard, segment, { 0 } };
  px_digest_sha256(segment->bytes, segment->n, stage.digest);
  return db_transaction(store, "label_stage", stage_work, &stage, err);
}

enum px_status store_label_adopt(struct store *store, const struct store_lease *shard,
                                 const char *label_job, const char *profile, uint32_t first,
                                 uint32_t count, uint8_t *staged, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, label_job);
  db_text(&p, shard->job);
  db_int(&p, shard->epoch);
  db_text(&p, profile);
  PGresult *rows;
  const enum px_status status = db_run(store, SQL_label_adopt, &p, DB_TEXT, &rows, err);
  if (status) return status;
  for (int i = 0; i < PQntuples(rows); i++) {
    const int64_t at = db_get_int(rows, i, "seq") - first;
    if (at >= 0 && at < count) staged[at] = 1;
  }
  PQclear(rows);
  return PX_OK;
}

struct publish {
  const struct store_lease *hold;
  const struct store_labelling *of;
  const char *result_json;
};

static enum px_status check_complete(struct store *store, const struct publish *publish,
                                     struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, publish->hold->job);
  db_text(&p, publish->of->dataset_id);
  db_int(&p, publish->of->segments_n);
  db_int(&p, publish->of->version);
  PGresult *row;
  enum px_status status = db_run(store, SQL_label_missing, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row))
    status = px_fail(err, PX_E_CONFLICT, "segment %s has no labels from a shard that succeeded",
                     db_get(row, 0, "seq"));
  PQclear(row);
  return status;
}

static enum px_status publish_work(struct store *store, void *ctx, struct px_err *err) {
  const struct publish *publish = ctx;
  bool already;
  enum px_status status = store_jobs_inner_hold(store, publish->hold, &already, err);
  if (status || already) return status;
  status = check_complete(store, publish, err);
  if (status) return status;
  char id[STORE_ID_MAX];
  store_result_id("ls", publish->hold->job, id);
  struct db_params drop = DB_PARAMS, set = DB_PARAMS, flip = DB_PARAMS;
  db_text(&drop, publish->hold->job);
  db_int(&drop, publish->of->segments_n);
  db_text(&set, id);
  db_text(&set, publish->of->dataset_id);
  db_text(&set, publish->hold->job);
  db_int(&set, publish->hold->epoch);
  db_int(&set, publish->of->segments_n);
  db_text(&flip, publish->of->dataset_id);
  db_text(&flip, id);
  status = db_run(store, SQL_label_drop_dead, &drop, DB_TEXT, NULL, err);
  if (!status) status = db_run(store, SQL_label_publish, &set, DB_TEXT, NULL, err);
  if (!status) status = db_run(store, SQL_label_flip, &flip, DB_TEXT, NULL, err);
  return status ? status : store_jobs_inner_end(store, publish->hold, publish->result_json, err);
}

enum px_status store_label_publish(struct store *store, const struct store_lease *hold,
                                   const struct store_labelling *labelling, const char *result_json,
                                   struct px_err *err) {
  struct publish publish = { hold, labelling, result_json };
  return db_transaction(store, "label_publish", publish_work, &publish, err);
}

enum px_status store_label_set_document(struct store *store, const char *id, struct px_buf *out,
                                        struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_label_set_document, &p, out, NULL, err, "there is no label set %s",
                     id);
}

enum px_status store_label_set_list(struct store *store, const struct store_page *page,
                                    struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, page->dataset);
  db_text(&p, page->before);
  db_int(&p, page->limit);
  return db_document(store, SQL_label_set_list, &p, out, NULL, err, "%s",
                     "there are no label sets");
}

enum px_status store_label_read(struct store *store, const char *label_set, uint32_t first,
                                uint32_t count, store_label_sink sink, void *ctx,
                                struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, label_set);
  db_int(&p, first);
  db_int(&p, (int64_t)first + count);
  return store_blob_read_rows(store, SQL_label_blobs, &p, count, sink, ctx, err, label_set);
}
