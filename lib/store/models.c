/* SPDX-License-Identifier: Apache-2.0 */
/* Models: see models.h. */
#include "lib/store/models.h"

#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/store/blob.h"
#include "lib/store/jobs.h"
#include "lib/store/jobs_inner.h"
#include "lib/store/store.h"

struct model {
  const struct store_lease *hold;
  const char *dataset_id, *role, *algo, *metrics_json;
  struct store_blob blob;
};

static enum px_status model_work(struct store *store, void *ctx, struct px_err *err) {
  const struct model *model = ctx;
  bool already;
  enum px_status status = store_jobs_inner_hold(store, model->hold, &already, err);
  if (status || already) return status;
  char id[STORE_ID_MAX];
  store_result_id("mdl", model->hold->job, id);
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_text(&p, model->hold->job);
  db_int(&p, model->hold->epoch);
  db_text(&p, model->dataset_id);
  db_text(&p, model->role);
  db_text(&p, model->algo);
  db_int(&p, model->blob.id);
  db_bytes(&p, model->blob.sha256, sizeof model->blob.sha256);
  db_int(&p, (int64_t)model->blob.size_bytes);
  db_text(&p, model->metrics_json);
  status = db_run(store, SQL_model_publish, &p, DB_TEXT, NULL, err);
  return status ? status : store_jobs_inner_end(store, model->hold, model->metrics_json, err);
}

enum px_status store_model_publish(struct store *store, const struct store_lease *hold,
                                   const char *dataset_id, const char *role, const char *algo,
                                   const void *bytes, size_t n, const char *metrics_json,
                                   struct px_err *err) {
  struct model model = { hold, dataset_id, role, algo, metrics_json, { 0 } };
  const enum px_status status = store_blob_put(store, bytes, n, NULL, &model.blob, err);
  return status ? status : db_transaction(store, "model_publish", model_work, &model, err);
}

enum px_status store_model_document(struct store *store, const char *id, struct px_buf *out,
                                    struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_model_document, &p, out, NULL, err, "there is no model %s", id);
}

enum px_status store_model_list(struct store *store, const struct store_page *page,
                                const char *role, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, page->dataset);
  db_text(&p, role);
  db_text(&p, page->before);
  db_int(&p, page->limit);
  return db_document(store, SQL_model_list, &p, out, NULL, err, "%s", "there are no models");
}

enum px_status store_model_read(struct store *store, const char *id, struct px_buf *out,
                                struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  const enum px_status status =
    db_one(store, SQL_model_blob, &p, &row, err, "there is no model %s", id);
  if (status) return status;
  const int64_t blob = db_get_int(row, 0, "blob_id");
  PQclear(row);
  return store_blob_read(store, blob, out, err);
}

enum px_status store_model_members(struct store *store, const char *id, struct store_members *out,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_int(&p, STORE_MEMBERS_MAX);
  PGresult *rows;
  const enum px_status status =
    db_one(store, SQL_model_members, &p, &rows, err, "there is no model %s", id);
  if (status) return status;
  out->n = (uint32_t)PQntuples(rows);
  for (uint32_t i = 0; i < out->n; i++) {
    snprintf(out->at[i].id, sizeof out->at[i].id, "%s", db_get(rows, (int)i, "id"));
    out->at[i].blob = db_get_int(rows, (int)i, "blob_id");
    out->at[i].size_bytes = (uint64_t)db_get_int(rows, (int)i, "size_bytes");
  }
  PQclear(rows);
  return PX_OK;
}

static enum px_status model_delete_work(struct store *store, void *ctx, struct px_err *err) {
  const char *id = ctx;
  char job[STORE_ID_MAX];
  struct db_params model = DB_PARAMS, maker = DB_PARAMS;
  PGresult *row;
  db_text(&model, id);
  enum px_status status =
    db_one(store, SQL_model_job, &model, &row, err, "there is no model %s", id);
  if (status == PX_E_NOT_FOUND && db_unsettled(store)) return PX_OK;
  if (status) return status;
  snprintf(job, sizeof job, "%s", db_get(row, 0, "job_id"));
  PQclear(row);
  db_text(&maker, job);
  status = db_run(store, SQL_job_lock_family, &maker, DB_TEXT, &row, err);
  if (status) return status;
  PQclear(row);
  char alone[STORE_ID_MAX + 2];
  snprintf(alone, sizeof alone, "{%.39s}", job);
  status = store_jobs_inner_check_needed(store, alone, false, err);
  return status ? status : db_run(store, SQL_model_delete, &model, DB_TEXT, NULL, err);
}

enum px_status store_model_delete(struct store *store, const char *id, struct px_err *err) {
  char copy[STORE_ID_MAX];
  snprintf(copy, sizeof copy, "%s", id);
  return db_transaction(store, "model_delete", model_delete_work, copy, err);
}
