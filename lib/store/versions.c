/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a dataset: see versions.h. */
#include "lib/store/versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/running_stats.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

enum { ARRAY_MAX = 1 << 28, DETAIL_MAX = 4096 };

enum px_status store_versions_segments(struct store *store, const char *dataset_id, int64_t version,
                                       uint32_t *segments_n, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, dataset_id);
  db_int(&p, version);
  PGresult *row;
  const enum px_status status = db_one(store, SQL_version_segments, &p, &row, err,
                                       "dataset %s had no such version", dataset_id);
  if (status) return status;
  *segments_n = (uint32_t)db_get_int(row, 0, "segments_n");
  PQclear(row);
  return PX_OK;
}

enum px_status store_versions_places(struct store *store, const char *dataset_id,
                                     struct store_segment_place **out, size_t *n,
                                     struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, dataset_id);
  PGresult *rows;
  const enum px_status status = db_run(store, SQL_version_places, &p, DB_TEXT, &rows, err);
  if (status) return status;
  const size_t rows_n = (size_t)PQntuples(rows);
  struct store_segment_place *places = px_mem_calloc(rows_n + 1, sizeof *places);
  for (int i = 0; places && i < PQntuples(rows); i++)
    places[i] = (struct store_segment_place){
      .seq = (uint32_t)db_get_int(rows, i, "seq"),
      .trajectories_n = (uint32_t)db_get_int(rows, i, "trajectories_n"),
      .first_trajectory = (uint64_t)db_get_int(rows, i, "first_trajectory"),
    };
  PQclear(rows);
  if (!places) return px_fail(err, PX_E_NO_MEMORY, "no memory for the list of segments");
  *out = places;
  *n = rows_n;
  return PX_OK;
}

/* ---- one transaction */

struct editing {
  const struct store_edit *edit;
  char id[STORE_ID_MAX]; /* of this edit: tells whether a commit came through */
  int64_t version;       /* that it makes */
  enum px_status (*work)(struct store *store, struct editing *e, struct px_err *err);
  const char *change;
  /* of a segment that is taken out */
  uint32_t seq, obs_dim;
  const struct px_running_stats *obs;
};

/* *done when the edit has been carried out, but the answer was lost. */
static enum px_status is_done(struct store *store, struct editing *e, bool *done,
                              struct px_err *err) {
  *done = false;
  if (!db_unsettled(store)) return PX_OK;
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  db_text(&p, e->id);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_version_recorded, &p, DB_TEXT, &row, err);
  if (status) return status;
  *done = PQntuples(row) > 0;
  if (*done) e->version = db_get_int(row, 0, "version");
  PQclear(row);
  return PX_OK;
}

static enum px_status lock(struct store *store, struct editing *e, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  PGresult *row;
  const enum px_status status =
    db_one(store, SQL_version_lock, &p, &row, err, "there is no dataset %s", e->edit->dataset_id);
  if (status) return status;
  const int64_t now = db_get_int(row, 0, "version");
  PQclear(row);
  e->version = now + 1;
  return now == e->edit->version
           ? PX_OK
           : px_fail(err, PX_E_PRECONDITION_FAILED,
                     "the dataset has changed: its version is %lld now", (long long)now);
}

static enum px_status archive(struct store *store, const struct editing *e, uint32_t seq,
                              struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  db_int(&p, seq);
  db_int(&p, e->version);
  return db_run(store, SQL_version_archive, &p, DB_TEXT, NULL, err);
}

static enum px_status count(struct store *store, const struct editing *e, struct px_err *err) {
  struct px_buf classes = PX_BUF(1 << 20);
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < e->edit->classes_n && !status; i++)
    status = db_array_int(&classes, e->edit->classes[i]);
  if (!status) status = db_array_end(&classes);
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  db_int(&p, e->version);
  db_text(&p, e->edit->classes_n ? classes.data : NULL);
  status = status ? px_fail(err, status, "no memory for the dataset's classes")
                  : db_run(store, SQL_version_count, &p, DB_TEXT, NULL, err);
  px_buf_free(&classes);
  return status;
}

static enum px_status record(struct store *store, const struct editing *e, struct px_err *err) {
  struct px_buf detail = PX_BUF(DETAIL_MAX);
  const char *given = e->edit->detail;
  enum px_status status =
    px_buf_fmt(&detail, "%.*s,\"edit\":\"%s\"}", (int)strlen(given) - 1, given, e->id);
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  db_text(&p, e->change);
  db_text(&p, detail.data);
  status = status ? px_fail(err, status, "no memory to record an edit")
                  : db_run(store, SQL_version_record, &p, DB_TEXT, NULL, err);
  px_buf_free(&detail);
  return status;
}

static enum px_status edit_work(struct store *store, void *ctx, struct px_err *err) {
  struct editing *e = ctx;
  bool done;
  enum px_status status = is_done(store, e, &done, err);
  if (status || done) return status;
  status = lock(store, e, err);
  if (!status) status = e->work(store, e, err);
  if (!status) status = count(store, e, err);
  return status ? status : record(store, e, err);
}

static enum px_status carry_out(struct store *store, struct editing *e, int64_t *version,
                                struct px_err *err) {
  store_new_id("ed", e->id);
  const enum px_status status = db_transaction(store, "edit", edit_work, e, err);
  if (!status) *version = e->version;
  return status;
}

/* ---- other labels */

static enum px_status revise(struct store *store, const struct editing *e,
                             const struct store_revision *r, struct px_err *err) {
  const enum px_status status = archive(store, e, r->seq, err);
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  db_int(&p, r->seq);
  db_int(&p, r->blob.id);
  db_bytes(&p, r->blob.sha256, sizeof r->blob.sha256);
  db_int(&p, (int64_t)r->blob.size_bytes);
  db_int(&p, (int64_t)r->labelled_n);
  db_int(&p, e->version);
  return status ? status : db_run(store, SQL_version_revise, &p, DB_TEXT, NULL, err);
}

static enum px_status relabel(struct store *store, const struct store_edit *edit,
                              struct px_err *err) {
  enum { COLUMNS = 3 };
  struct px_buf column[COLUMNS] = { PX_BUF(ARRAY_MAX), PX_BUF(ARRAY_MAX), PX_BUF(ARRAY_MAX) };
  enum px_status status = PX_OK;
  for (size_t i = 0; i < edit->trajectories_n && !status; i++) {
    const struct store_relabelled *t = &edit->trajectories[i];
    status = db_array_int(&column[0], (int64_t)t->trajectory);
    if (!status) status = db_array_int(&column[1], t->labelled_n);
    if (!status) status = db_array_hex(&column[2], t->digest.bytes, sizeof t->digest.bytes);
  }
  struct db_params p = DB_PARAMS;
  db_text(&p, edit->dataset_id);
  for (int i = 0; i < COLUMNS && !status; i++) {
    status = db_array_end(&column[i]);
    db_text(&p, column[i].data);
  }
  status = status ? px_fail(err, status, "no memory for the index of an edit")
                  : db_run(store, SQL_version_relabel, &p, DB_TEXT, NULL, err);
  for (int i = 0; i < COLUMNS; i++) px_buf_free(&column[i]);
  return status;
}

static enum px_status relabel_work(struct store *store, struct editing *e, struct px_err *err) {
  enum px_status status = PX_OK;
  for (size_t i = 0; i < e->edit->revisions_n && !status; i++)
    status = revise(store, e, &e->edit->revisions[i], err);
  return status ? status : relabel(store, e->edit, err);
}

enum px_status store_versions_relabel(struct store *store, const struct store_edit *edit,
                                      int64_t *version, struct px_err *err) {
  struct editing e = { .edit = edit, .work = relabel_work, .change = "actions" };
  return carry_out(store, &e, version, err);
}

void store_versions_discard(struct store *store, const struct store_revision *revisions, size_t n) {
  struct px_buf ids = PX_BUF(ARRAY_MAX);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++) status = db_array_int(&ids, revisions[i].blob.id);
  if (!status) status = db_array_end(&ids);
  struct db_params p = DB_PARAMS;
  db_text(&p, ids.data);
  struct px_err err;
  if (!status && n) status = db_run(store, SQL_blob_discard, &p, DB_TEXT, NULL, &err);
  px_buf_free(&ids);
}

/* ---- a segment less */

static enum px_status forget_obs(struct store *store, const struct editing *e, struct px_err *err) {
  struct px_running_stats all = { .mean = px_mem_calloc(e->obs_dim, sizeof(double)),
                                  .m2 = px_mem_calloc(e->obs_dim, sizeof(double)) };
  struct px_buf mean = PX_BUF(1 << 20), m2 = PX_BUF(1 << 20);
  struct db_params p = DB_PARAMS, put = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  PGresult *row = NULL;
  enum px_status status = all.mean && all.m2
                            ? db_one(store, SQL_version_obs_get, &p, &row, err,
                                     "there is no dataset %s", e->edit->dataset_id)
                            : px_fail(err, PX_E_NO_MEMORY, "the observation statistics");
  if (!status) {
    all.n = (uint64_t)db_get_int(row, 0, "obs_n");
    db_array_read(db_get(row, 0, "obs_mean"), all.mean, e->obs_dim);
    db_array_read(db_get(row, 0, "obs_m2"), all.m2, e->obs_dim);
    px_running_stats_remove(&all, e->obs, e->obs_dim);
    if (db_array_floats(&mean, all.mean, e->obs_dim) || db_array_floats(&m2, all.m2, e->obs_dim))
      status = px_fail(err, PX_E_NO_MEMORY, "the observation statistics");
  }
  if (!status) {
    db_text(&put, e->edit->dataset_id);
    db_int(&put, (int64_t)all.n);
    db_text(&put, mean.data);
    db_text(&put, m2.data);
    status = db_run(store, SQL_version_obs, &put, DB_TEXT, NULL, err);
  }
  PQclear(row);
  px_buf_free(&mean);
  px_buf_free(&m2);
  free(all.mean);
  free(all.m2);
  return status;
}

/* Trajectories from `first` on, n of them, are gone: from the index, and from the findings. */
static enum px_status move_up(struct store *store, const struct editing *e, int64_t first,
                              int64_t n, struct px_err *err) {
  static const enum db_sql STEPS[] = { SQL_version_forget, SQL_version_move_up,
                                       SQL_version_move_findings };
  enum px_status status = PX_OK;
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS && !status; i++) {
    struct db_params p = DB_PARAMS;
    db_text(&p, e->edit->dataset_id);
    db_int(&p, first);
    db_int(&p, n);
    status = db_run(store, STEPS[i], &p, DB_TEXT, NULL, err);
  }
  return status;
}

static enum px_status take_out_work(struct store *store, struct editing *e, struct px_err *err) {
  enum px_status status = archive(store, e, e->seq, err);
  struct db_params p = DB_PARAMS;
  db_text(&p, e->edit->dataset_id);
  db_int(&p, e->seq);
  PGresult *row = NULL;
  if (!status)
    status = db_one(store, SQL_version_take_out, &p, &row, err, "dataset %s has no such segment",
                    e->edit->dataset_id);
  if (status) return status;
  const int64_t first = db_get_int(row, 0, "first_trajectory"),
                n = db_get_int(row, 0, "trajectories_n");
  PQclear(row);
  status = move_up(store, e, first, n, err);
  return status ? status : forget_obs(store, e, err);
}

enum px_status store_versions_take_out(struct store *store, const struct store_edit *edit,
                                       uint32_t seq, const struct px_running_stats *obs,
                                       uint32_t obs_dim, int64_t *version, struct px_err *err) {
  struct editing e = { .edit = edit,
                       .work = take_out_work,
                       .change = "delete",
                       .seq = seq,
                       .obs_dim = obs_dim,
                       .obs = obs };
  return carry_out(store, &e, version, err);
}

/* ---- documents */

enum px_status store_versions_list(struct store *store, const char *dataset_id, int64_t before,
                                   int limit, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, dataset_id);
  if (before) db_int(&p, before);
  else db_text(&p, NULL);
  db_int(&p, limit);
  return db_document(store, SQL_version_list, &p, out, NULL, err, "there is no dataset %s",
                     dataset_id);
}

enum px_status store_versions_segment_list(struct store *store, const char *dataset_id,
                                           int64_t from, int limit, struct px_buf *out,
                                           struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, dataset_id);
  db_int(&p, from);
  db_int(&p, limit);
  return db_document(store, SQL_version_segment_list, &p, out, NULL, err, "there is no dataset %s",
                     dataset_id);
}

enum px_status store_versions_diff(struct store *store, const char *dataset_id, int64_t from,
                                   int64_t to, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, dataset_id);
  db_int(&p, from);
  db_int(&p, to);
  return db_document(store, SQL_version_diff, &p, out, NULL, err, "there is no dataset %s",
                     dataset_id);
}
