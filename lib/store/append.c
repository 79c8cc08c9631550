/* SPDX-License-Identifier: Apache-2.0 */
/* Appending segments to a dataset: see append.h. */
#include "lib/store/append.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/data/traj_digest.h"
#include "lib/store/blob.h"
#include "lib/store/duplicates.h"
#include "lib/store/jobs.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

enum { SEGMENTS_MAX = 1 << 20, DIGESTS_MAX_BYTES = 1 << 30 };

struct piece {
  struct store_blob blob;
  uint32_t traj_n;
  uint64_t steps_n, labelled_n;
  struct px_segment_row *rows;
  struct px_running_stats obs;
};

struct store_append {
  char dataset_id[STORE_ID_MAX];
  uint32_t obs_dim;
  struct piece *pieces;
  size_t n, cap;
  uint64_t class_n[PX_ACT_COUNT_MAX]; /* of all pieces, as in struct px_segment */
  /* of the pieces' trajectories, in order; empty when nobody gave them */
  struct px_buf digests;
  store_append_decide decide;
  void *decide_ctx;
  const char *file_name, *findings; /* borrowed; findings: NULL for none */
  const char *source;               /* borrowed; NULL for none */
  int64_t version;                  /* the dataset's, once committed */
};

enum px_status store_append_begin(const char *dataset_id, uint32_t obs_dim,
                                  struct store_append **out, struct px_err *err) {
  struct store_append *append = calloc(1, sizeof *append);
  if (!append) return px_fail(err, PX_E_NO_MEMORY, "no memory for an append");
  snprintf(append->dataset_id, sizeof append->dataset_id, "%s", dataset_id);
  append->obs_dim = obs_dim;
  append->digests = PX_BUF(DIGESTS_MAX_BYTES);
  *out = append;
  return PX_OK;
}

static void piece_free(struct piece *piece) {
  free(piece->rows);
  free(piece->obs.mean);
  free(piece->obs.m2);
}

void store_append_free(struct store_append *append) {
  if (!append) return;
  for (size_t i = 0; i < append->n; i++) piece_free(&append->pieces[i]);
  free(append->pieces);
  px_buf_free(&append->digests);
  free(append);
}

void store_append_decides(struct store_append *append, store_append_decide decide, void *ctx) {
  append->decide = decide;
  append->decide_ctx = ctx;
}

void store_append_lint(struct store_append *append, const char *file_name, const char *findings) {
  append->file_name = file_name;
  append->findings = findings;
}

void store_append_source(struct store_append *append, const char *source) {
  append->source = source;
}

enum px_status store_append_digest(struct store_append *append, const struct px_traj_digest *digest,
                                   struct px_err *err) {
  const enum px_status status = px_buf_put(&append->digests, digest, sizeof *digest);
  return status ? px_fail(err, status, "no memory for the index of the trajectories") : PX_OK;
}

const struct px_traj_digest *store_append_digests(const struct store_append *append, size_t *n) {
  *n = append->digests.len / sizeof(struct px_traj_digest);
  return (const struct px_traj_digest *)(const void *)append->digests.data;
}

/* What the commit will need of a segment, after its bytes are gone. */
static enum px_status piece_new(const struct px_segment *segment, uint32_t obs_dim,
                                struct piece *out, struct px_err *err) {
  struct piece piece = { .traj_n = segment->traj_n,
                         .steps_n = segment->steps_n,
                         .labelled_n = segment->labelled_n,
                         .obs = { .n = segment->obs.n } };
  piece.rows = px_mem_calloc(segment->traj_n, sizeof *piece.rows);
  piece.obs.mean = px_mem_calloc(obs_dim, sizeof(double));
  piece.obs.m2 = px_mem_calloc(obs_dim, sizeof(double));
  if (!piece.rows || !piece.obs.mean || !piece.obs.m2) {
    piece_free(&piece);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the index of a segment");
  }
  memcpy(piece.rows, segment->rows, segment->traj_n * sizeof *piece.rows);
  memcpy(piece.obs.mean, segment->obs.mean, obs_dim * sizeof(double));
  memcpy(piece.obs.m2, segment->obs.m2, obs_dim * sizeof(double));
  *out = piece;
  return PX_OK;
}

enum px_status store_append_segment(struct store_append *append, struct store *store,
                                    const struct px_segment *segment, struct px_err *err) {
  if (append->n == SEGMENTS_MAX)
    return px_fail(err, PX_E_TOO_LARGE, "more than %d segments in one upload", SEGMENTS_MAX);
  if (append->n == append->cap) {
    const size_t cap = append->cap ? append->cap * 2 : 64;
    struct piece *pieces = px_mem_realloc(append->pieces, cap, sizeof *pieces);
    if (!pieces) return px_fail(err, PX_E_NO_MEMORY, "no memory for the list of segments");
    append->pieces = pieces;
    append->cap = cap;
  }
  struct piece piece;
  enum px_status status = piece_new(segment, append->obs_dim, &piece, err);
  if (status) return status;
  status = store_blob_put(store, segment->bytes, segment->size, segment->digest, &piece.blob, err);
  if (status) {
    piece_free(&piece);
    return status;
  }
  append->pieces[append->n++] = piece;
  for (size_t i = 0; i < PX_ACT_COUNT_MAX; i++) append->class_n[i] += segment->class_n[i];
  return PX_OK;
}

/* --- the one transaction --- */

struct commit {
  struct store_append *append;
  const struct store_lease *hold;
  const char *result_json;
};

static enum px_status insert_segment(struct store *store, const struct store_append *append,
                                     int64_t seq, int64_t first, const struct piece *piece,
                                     struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, append->dataset_id);
  db_int(&p, seq);
  db_int(&p, piece->blob.id);
  db_bytes(&p, piece->blob.sha256, sizeof piece->blob.sha256);
  db_int(&p, first);
  db_int(&p, piece->traj_n);
  db_int(&p, (int64_t)piece->steps_n);
  db_int(&p, (int64_t)piece->labelled_n);
  db_int(&p, (int64_t)piece->blob.size_bytes);
  db_int(&p, append->version + 1);
  return db_run(store, SQL_append_segment, &p, DB_TEXT, NULL, err);
}

/* `digests`: of the piece's trajectories, or NULL. */
static enum px_status insert_trajectories(struct store *store, const struct store_append *append,
                                          int64_t seq, int64_t first, const struct piece *piece,
                                          const struct px_traj_digest *digests,
                                          struct px_err *err) {
  enum { COLUMNS = 5, ARRAY_MAX = 1 << 28 };
  struct px_buf column[COLUMNS] = { PX_BUF(ARRAY_MAX), PX_BUF(ARRAY_MAX), PX_BUF(ARRAY_MAX),
                                    PX_BUF(ARRAY_MAX), PX_BUF(ARRAY_MAX) };
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < piece->traj_n && !status; i++) {
    const struct px_segment_row *row = &piece->rows[i];
    status = db_array_int(&column[0], row->steps);
    if (!status)
      status = isnan(row->ret) ? db_array_null(&column[1]) : db_array_float(&column[1], row->ret);
    if (!status) status = db_array_int(&column[2], row->labelled_n);
    if (!status)
      status = db_array_int(&column[3], row->has_final + 2 * row->terminated + 4 * row->truncated);
    if (!status)
      status = db_array_hex(&column[4], digests ? digests[i].bytes : NULL, sizeof digests->bytes);
  }
  for (int i = 0; i < COLUMNS && !status; i++) status = db_array_end(&column[i]);
  if (status) {
    status = px_fail(err, status, "no memory for the index of a segment");
  } else {
    struct db_params p = DB_PARAMS;
    db_text(&p, append->dataset_id);
    db_int(&p, first);
    db_int(&p, seq);
    for (int i = 0; i < COLUMNS; i++) db_text(&p, column[i].data);
    db_text(&p, append->source);
    status = db_run(store, SQL_append_trajectories, &p, DB_TEXT, NULL, err);
  }
  for (int i = 0; i < COLUMNS; i++) px_buf_free(&column[i]);
  return status;
}

static enum px_status classes_out(struct px_buf *array, const uint64_t *class_n, uint32_t n) {
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < n && !status; i++) status = db_array_int(array, (int64_t)class_n[i]);
  return status ? status : db_array_end(array);
}

static enum px_status count(struct store *store, struct store_append *append,
                            const struct px_running_stats *obs, uint32_t act_count,
                            struct px_err *err) {
  uint64_t trajectories = 0, steps = 0, labelled_steps = 0, labelled = 0, bytes = 0;
  for (size_t i = 0; i < append->n; i++) {
    const struct piece *piece = &append->pieces[i];
    trajectories += piece->traj_n;
    steps += piece->steps_n;
    labelled_steps += piece->labelled_n;
    bytes += piece->blob.size_bytes;
    for (uint32_t k = 0; k < piece->traj_n; k++) labelled += piece->rows[k].labelled_n > 0;
  }
  struct px_buf mean = PX_BUF(1 << 20), m2 = PX_BUF(1 << 20), classes = PX_BUF(1 << 20);
  enum px_status status = db_array_floats(&mean, obs->mean, append->obs_dim);
  if (!status) status = db_array_floats(&m2, obs->m2, append->obs_dim);
  if (!status) status = classes_out(&classes, append->class_n, act_count);
  if (status) {
    status = px_fail(err, status, "no memory for the dataset's statistics");
  } else {
    struct db_params p = DB_PARAMS;
    db_text(&p, append->dataset_id);
    db_int(&p, (int64_t)append->n);
    db_int(&p, (int64_t)trajectories);
    db_int(&p, (int64_t)steps);
    db_int(&p, (int64_t)labelled_steps);
    db_int(&p, (int64_t)labelled);
    db_int(&p, (int64_t)bytes);
    db_int(&p, (int64_t)obs->n);
    db_text(&p, mean.data);
    db_text(&p, m2.data);
    db_text(&p, classes.data);
    PGresult *row = NULL;
    status = db_run(store, SQL_append_count, &p, DB_TEXT, &row, err);
    if (!status) append->version = db_get_int(row, 0, "version");
    PQclear(row);
  }
  px_buf_free(&mean);
  px_buf_free(&m2);
  px_buf_free(&classes);
  return status;
}

static enum px_status record(struct store *store, const struct store_append *append,
                             const PGresult *before, struct px_err *err) {
  char detail[128];
  snprintf(detail, sizeof detail, "{\"first_segment\":%s,\"segments\":%zu}",
           db_get(before, 0, "segments_n"), append->n);
  struct db_params p = DB_PARAMS;
  db_text(&p, append->dataset_id);
  db_text(&p, "append");
  db_text(&p, detail);
  return db_run(store, SQL_version_record, &p, DB_TEXT, NULL, err);
}

static enum px_status insert_findings(struct store *store, const struct store_append *append,
                                      int64_t first, struct px_err *err) {
  if (!append->findings) return PX_OK;
  struct db_params p = DB_PARAMS;
  db_text(&p, append->dataset_id);
  db_int(&p, first);
  db_text(&p, append->file_name);
  db_text(&p, append->findings);
  return db_run(store, SQL_append_lint, &p, DB_TEXT, NULL, err);
}

/* Numbers the segments behind those that are there; the dataset's row, locked, keeps others from
 * doing the same. */
static enum px_status attach(struct store *store, struct store_append *append, const PGresult *row,
                             struct px_running_stats *obs, struct px_err *err) {
  int64_t seq = db_get_int(row, 0, "segments_n"), first = db_get_int(row, 0, "trajectories_n");
  obs->n = (uint64_t)db_get_int(row, 0, "obs_n");
  db_array_read(db_get(row, 0, "obs_mean"), obs->mean, append->obs_dim);
  db_array_read(db_get(row, 0, "obs_m2"), obs->m2, append->obs_dim);
  enum px_status status = insert_findings(store, append, first, err);
  size_t digests_n;
  const struct px_traj_digest *digests = store_append_digests(append, &digests_n);
  if (digests_n == 0) digests = NULL;
  for (size_t i = 0; i < append->n && !status; i++) {
    const struct piece *piece = &append->pieces[i];
    status = insert_segment(store, append, seq, first, piece, err);
    if (!status) status = insert_trajectories(store, append, seq, first, piece, digests, err);
    px_running_stats_merge(obs, &piece->obs, append->obs_dim);
    first += piece->traj_n;
    if (digests) digests += piece->traj_n;
    seq++;
  }
  if (!status) status = count(store, append, obs, (uint32_t)db_get_int(row, 0, "act_count"), err);
  return status ? status : record(store, append, row, err);
}

/* Asks whoever appends, now that nobody else can. */
static enum px_status decide(struct store *store, struct store_append *append, char **result_json,
                             struct px_err *err) {
  if (!append->decide) return PX_OK;
  struct px_traj_digest_set stored = { 0 };
  size_t n;
  const struct px_traj_digest *digests = store_append_digests(append, &n);
  enum px_status status = duplicates_find(store, append->dataset_id, digests, n, &stored, err);
  if (!status) status = append->decide(append->decide_ctx, &stored, result_json, err);
  px_traj_digest_set_free(&stored);
  return status;
}

static enum px_status append_locked(struct store *store, struct store_append *append,
                                    char **result_json, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, append->dataset_id);
  PGresult *row;
  enum px_status status =
    db_one(store, SQL_append_lock, &p, &row, err, "there is no dataset %s", append->dataset_id);
  if (status) return status;
  append->version = db_get_int(row, 0, "version");
  status = decide(store, append, result_json, err);
  if (status || append->n == 0) {
    PQclear(row);
    return status;
  }
  struct px_running_stats obs = { .mean = px_mem_calloc(append->obs_dim, sizeof(double)),
                                  .m2 = px_mem_calloc(append->obs_dim, sizeof(double)) };
  if (!obs.mean || !obs.m2)
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for the observation statistics");
  else if (db_get_int(row, 0, "obs_dim") != append->obs_dim)
    status = px_fail(err, PX_E_BAD_DATA, "dataset %s has %s observation dimensions, not %u",
                     append->dataset_id, db_get(row, 0, "obs_dim"), append->obs_dim);
  else status = attach(store, append, row, &obs, err);
  free(obs.mean);
  free(obs.m2);
  PQclear(row);
  return status;
}

/* Whether a commit whose answer was lost attached the segments: all or none are there. The
 * dataset's row is locked first, so that such a commit is over. */
static enum px_status is_attached(struct store *store, struct store_append *append, bool *already,
                                  struct px_err *err) {
  struct db_params lock = DB_PARAMS, p = DB_PARAMS;
  db_text(&lock, append->dataset_id);
  db_int(&p, append->pieces[0].blob.id);
  PGresult *row;
  enum px_status status = db_run(store, SQL_append_lock, &lock, DB_TEXT, NULL, err);
  if (!status) status = db_run(store, SQL_append_attached, &p, DB_TEXT, &row, err);
  if (status) return status;
  *already = PQntuples(row) > 0;
  if (*already) append->version = db_get_int(row, 0, "version");
  PQclear(row);
  return PX_OK;
}

static enum px_status commit_work(struct store *store, void *ctx, struct px_err *err) {
  const struct commit *commit = ctx;
  bool already = false;
  enum px_status status = PX_OK;
  if (commit->hold) status = store_jobs_inner_hold(store, commit->hold, &already, err);
  else if (db_unsettled(store) && commit->append->n)
    status = is_attached(store, commit->append, &already, err);
  if (status || already) return status;
  char *result_json = NULL;
  status = append_locked(store, commit->append, &result_json, err);
  if (!status && commit->hold)
    status = store_jobs_inner_end(store, commit->hold,
                                  result_json ? result_json : commit->result_json, err);
  free(result_json);
  return status;
}

enum px_status store_append_commit(struct store_append *append, struct store *store,
                                   const struct store_lease *hold, const char *result_json,
                                   struct px_err *err) {
  struct commit commit = { append, hold, result_json };
  return db_transaction(store, "append", commit_work, &commit, err);
}

int64_t store_append_version(const struct store_append *append) { return append->version; }

void store_append_discard(const struct store_append *append, struct store *store) {
  struct px_buf ids = PX_BUF((size_t)SEGMENTS_MAX * 24);
  enum px_status status = PX_OK;
  for (size_t i = 0; append && i < append->n && !status; i++)
    status = db_array_int(&ids, append->pieces[i].blob.id);
  if (!status) status = db_array_end(&ids);
  struct db_params p = DB_PARAMS;
  db_text(&p, ids.data);
  struct px_err err;
  if (!status && append && append->n)
    status = db_run(store, SQL_blob_discard, &p, DB_TEXT, NULL, &err);
  px_buf_free(&ids);
}
