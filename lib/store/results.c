/* Models and artifacts that jobs leave: see results.h. Labels are in labels.c. */
#include "lib/store/results.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/job_lease.h"

void store_result_id(const char *prefix, const char *job_id, char out[STORE_ID_MAX]) {
  const char *digits = strchr(job_id, '_');
  snprintf(out, STORE_ID_MAX, "%.3s_%.35s", prefix, digits ? digits + 1 : job_id);
}

enum px_status store_result_about(struct store *store, const char *id, struct store_about *out, struct px_err *err) {
  char job[STORE_ID_MAX];
  struct db_params p = DB_PARAMS;
  PGresult *row;
  store_result_id("job", id, job);
  db_text(&p, id);
  db_text(&p, job);
  const enum px_status status = db_run(store, SQL_result_about, &p, DB_TEXT, &row, err);
  if (status) return status;
  const bool found = PQntuples(row) == 1 && !PQgetisnull(row, 0, 0);
  if (found) {
    db_get_text(row, 0, 0, out->role, sizeof out->role);
    db_get_text(row, 0, 1, out->state, sizeof out->state);
    db_get_text(row, 0, 2, out->algo, sizeof out->algo);
    db_get_text(row, 0, 3, out->dataset, sizeof out->dataset);
    out->obs_dim = (uint32_t)db_get_int(row, 0, 4);
    out->act_dim = (uint32_t)db_get_int(row, 0, 5);
    out->act_count = (uint32_t)db_get_int(row, 0, 6);
    out->segments_n = (uint32_t)db_get_int(row, 0, 7);
  }
  PQclear(row);
  const char *what = strncmp(id, "mdl_", 4) == 0 ? "model" : strncmp(id, "ls_", 3) == 0 ? "label set" : "job";
  return found ? PX_OK : px_fail(err, PX_E_NOT_FOUND, "there is no %s %.64s", what, id);
}

struct model {
  const struct store_lease *hold;
  const char *dataset_id, *role, *algo, *metrics_json;
  struct store_blob blob;
};

static enum px_status model_work(struct store *store, void *ctx, struct px_err *err) {
  const struct model *model = ctx;
  bool already;
  enum px_status status = store_job_lease_hold(store, model->hold, &already, err);
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
  return status ? status : store_job_lease_end(store, model->hold, model->metrics_json, err);
}

enum px_status store_model_publish(struct store *store, const struct store_lease *hold, const char *dataset_id,
                                   const char *role, const char *algo, const void *bytes, size_t n,
                                   const char *metrics_json, struct px_err *err) {
  struct model model = { hold, dataset_id, role, algo, metrics_json, { 0 } };
  const enum px_status status = store_blob_put(store, bytes, n, NULL, &model.blob, err);
  return status ? status : db_transaction(store, "model_publish", model_work, &model, err);
}

enum px_status store_model_document(struct store *store, const char *id, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_model_document, &p, out, NULL, err, "there is no model %s", id);
}

enum px_status store_model_list(struct store *store, const struct store_page *page, const char *role, struct px_buf *out,
                                struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, page->dataset);
  db_text(&p, role);
  db_text(&p, page->before);
  db_int(&p, page->limit);
  return db_document(store, SQL_model_list, &p, out, NULL, err, "%s", "there are no models");
}

enum px_status store_model_read(struct store *store, const char *id, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  const enum px_status status = db_one(store, SQL_model_blob, &p, &row, err, "there is no model %s", id);
  if (status) return status;
  const int64_t blob = db_get_int(row, 0, 0);
  PQclear(row);
  return store_blob_read(store, blob, out, err);
}

struct files {
  const struct store_lease *hold;
  const struct store_artifact *artifacts;
  size_t n;
  const char *result_json;
};

static enum px_status artifacts_work(struct store *store, void *ctx, struct px_err *err) {
  const struct files *files = ctx;
  bool already;
  enum px_status status = store_job_lease_hold(store, files->hold, &already, err);
  if (status || already) return status;
  for (size_t i = 0; i < files->n && !status; i++) {
    const struct store_artifact *a = &files->artifacts[i];
    struct db_params p = DB_PARAMS;
    db_text(&p, files->hold->job);
    db_text(&p, a->name);
    db_int(&p, files->hold->epoch);
    db_text(&p, a->media_type);
    db_int(&p, a->blob.id);
    db_int(&p, (int64_t)a->blob.size_bytes);
    status = db_run(store, SQL_artifact_publish, &p, DB_TEXT, NULL, err);
  }
  return status ? status : store_job_lease_end(store, files->hold, files->result_json, err);
}

enum px_status store_artifacts_publish(struct store *store, const struct store_lease *hold,
                                       const struct store_artifact *artifacts, size_t n, const char *result_json,
                                       struct px_err *err) {
  struct files files = { hold, artifacts, n, result_json };
  return db_transaction(store, "artifacts_publish", artifacts_work, &files, err);
}

enum px_status store_artifact_list(struct store *store, const char *job, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  return db_document(store, SQL_artifact_list, &p, out, NULL, err, "there is no job %s", job);
}

enum px_status store_artifact_find(struct store *store, const char *job, const char *name, char media_type[128],
                                   struct store_blob *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, job);
  db_text(&p, name);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_artifact_find, &p, DB_BINARY, &row, err);
  if (status) return status;
  if (PQntuples(row) == 0) {
    PQclear(row);
    return px_fail(err, PX_E_NOT_FOUND, "job %s has left no file named %s", job, name);
  }
  snprintf(media_type, 128, "%s", PQgetvalue(row, 0, 0));
  *out = (struct store_blob){ .id = db_get_int8(row, 0, 1), .size_bytes = (uint64_t)db_get_int8(row, 0, 2) };
  memcpy(out->sha256, PQgetvalue(row, 0, 3), sizeof out->sha256);
  PQclear(row);
  return PX_OK;
}
