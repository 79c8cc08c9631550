/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets and their trajectories: see datasets.h. */
#include "lib/store/datasets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/store/blob.h"
#include "lib/store/blob_write.h"
#include "lib/store/store.h"

static enum px_status float_array(struct px_buf *array, const float *x, uint32_t n) {
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < n && !status; i++) status = db_array_float(array, (double)x[i]);
  return status ? status : db_array_end(array);
}

/* The id is chosen here, so that work whose answer was lost is known again. */
struct creation {
  struct db_params params;
  const char *id, *name;
};

static enum px_status create_work(struct store *store, void *ctx, struct px_err *err) {
  const struct creation *c = ctx;
  struct db_params id = DB_PARAMS;
  db_text(&id, c->id);
  PGresult *row = NULL;
  enum px_status status =
    db_unsettled(store) ? db_run(store, SQL_dataset_lock_all, &id, DB_TEXT, &row, err) : PX_OK;
  const bool already = row && PQntuples(row) > 0;
  PQclear(row);
  if (status || already) return status;
  status = db_run(store, SQL_dataset_create, &c->params, DB_TEXT, NULL, err);
  if (status == PX_E_CONFLICT)
    px_fail(err, status, "there is already a dataset named '%s'", c->name);
  return status;
}

enum px_status store_dataset_create(struct store *store, const char *name,
                                    const struct px_spaces *spaces, const char *env,
                                    char id[STORE_ID_MAX], struct px_err *err) {
  struct px_buf low = PX_BUF(1 << 16), high = PX_BUF(1 << 16);
  enum px_status status = float_array(&low, spaces->act_low, spaces->act_dim);
  if (!status) status = float_array(&high, spaces->act_high, spaces->act_dim);
  char fresh[STORE_ID_MAX];
  struct creation creation = { DB_PARAMS, fresh, name };
  if (status) {
    status = px_fail(err, status, "no memory for the action range");
  } else {
    struct db_params *p = &creation.params;
    store_new_id("ds", fresh);
    db_text(p, fresh);
    db_text(p, name);
    db_int(p, spaces->obs_dim);
    db_int(p, spaces->act_dim);
    db_text(p, low.data);
    db_text(p, high.data);
    db_text(p, env ? env : "");
    db_int(p, spaces->act_count);
    status = db_transaction(store, "dataset_create", create_work, &creation, err);
  }
  if (!status) memcpy(id, fresh, sizeof fresh);
  px_buf_free(&low);
  px_buf_free(&high);
  return status;
}

struct deletion {
  const char *id;
  int64_t version;
};

static enum px_status delete_work(struct store *store, void *ctx, struct px_err *err) {
  const struct deletion *deletion = ctx;
  const char *id = deletion->id;
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  enum px_status status =
    db_one(store, SQL_dataset_lock_all, &p, &row, err, "there is no dataset %s", id);
  if (status == PX_E_NOT_FOUND && db_unsettled(store)) return PX_OK;
  if (status) return status;
  const int64_t version = db_get_int(row, 0, "version");
  PQclear(row);
  if (deletion->version && deletion->version != version)
    return px_fail(err, PX_E_PRECONDITION_FAILED,
                   "the dataset has changed: its version is %lld now", (long long)version);
  status = db_run(store, SQL_dataset_busy, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row)) {
    status =
      px_fail(err, PX_E_CONFLICT, "job %s still works on this dataset", db_get(row, 0, "id"));
    px_fail_hint(err, "Cancel its unfinished jobs first, or wait for them.");
  }
  PQclear(row);
  return status ? status : db_run(store, SQL_dataset_delete, &p, DB_TEXT, NULL, err);
}

enum px_status store_dataset_delete(struct store *store, const char *id, int64_t version,
                                    struct px_err *err) {
  struct deletion deletion = { id, version };
  return db_transaction(store, "dataset_delete", delete_work, &deletion, err);
}

/* "{1,2.5}" as PostgreSQL prints it. */
static void read_floats(const char *text, float *out, uint32_t n) {
  for (uint32_t i = 0; i < n && *text; i++) {
    char *end;
    out[i] = strtof(text + 1, &end);
    text = end;
  }
}

enum px_status store_dataset_get(struct store *store, const char *id_or_name,
                                 struct store_dataset *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id_or_name);
  PGresult *row;
  const enum px_status status =
    db_one(store, SQL_dataset_get, &p, &row, err, "there is no dataset %s", id_or_name);
  if (status) return status;
  memset(out, 0, sizeof *out);
  db_get_text(row, 0, "id", out->id, sizeof out->id);
  db_get_text(row, 0, "name", out->name, sizeof out->name);
  db_get_text(row, 0, "env", out->env, sizeof out->env);
  db_get_text(row, 0, "label_set_id", out->label_set, sizeof out->label_set);
  out->spaces.obs_dim = (uint32_t)db_get_int(row, 0, "obs_dim");
  out->spaces.act_dim = (uint32_t)db_get_int(row, 0, "act_dim");
  read_floats(db_get(row, 0, "act_low"), out->spaces.act_low, out->spaces.act_dim);
  read_floats(db_get(row, 0, "act_high"), out->spaces.act_high, out->spaces.act_dim);
  out->segments_n = (uint32_t)db_get_int(row, 0, "segments_n");
  out->trajectories_n = (uint64_t)db_get_int(row, 0, "trajectories_n");
  out->steps_n = (uint64_t)db_get_int(row, 0, "steps_n");
  out->labelled_steps_n = (uint64_t)db_get_int(row, 0, "labelled_steps_n");
  out->size_bytes = (uint64_t)db_get_int(row, 0, "size_bytes");
  out->spaces.act_count = (uint32_t)db_get_int(row, 0, "act_count");
  out->version = db_get_int(row, 0, "version");
  out->data_version = db_get_int(row, 0, "data_version");
  PQclear(row);
  return PX_OK;
}

enum px_status store_dataset_show(struct store *store, const char *id, struct store_spread *spread,
                                  struct px_buf *out, int64_t *version, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_text(&p, id);
  db_int(&p, spread->state);
  db_text(&p, *spread->json ? spread->json : NULL);
  enum px_status status =
    db_one(store, SQL_dataset_document, &p, &row, err, "there is no dataset %s", id);
  if (status) return status;
  status = db_get_buf(row, 0, "document", out);
  if (status) {
    px_fail(err, status, "the document of dataset %s is too large", id);
  } else {
    *version = db_get_int(row, 0, "version");
    spread->state = db_get_int(row, 0, "state");
    db_get_text(row, 0, "spread", spread->json, sizeof spread->json);
  }
  PQclear(row);
  return status;
}

enum px_status store_dataset_document(struct store *store, const char *id, struct px_buf *out,
                                      int64_t *version, struct px_err *err) {
  struct store_spread unknown = { .state = -1 };
  return store_dataset_show(store, id, &unknown, out, version, err);
}

enum px_status store_dataset_list(struct store *store, const char *after, int limit,
                                  struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, after);
  db_int(&p, limit);
  return db_document(store, SQL_dataset_list, &p, out, NULL, err, "%s", "there are no datasets");
}

enum px_status store_dataset_lint(struct store *store, const char *id, uint32_t segments_n,
                                  int limit, struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_int(&p, limit);
  db_int(&p, segments_n);
  return db_document(store, SQL_dataset_lint, &p, out, NULL, err, "there is no dataset %s", id);
}

enum px_status store_dataset_trajectory_list(struct store *store, const char *id,
                                             const struct store_trajectory_page *page,
                                             struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_int(&p, page->from);
  db_int(&p, page->limit);
  db_text(&p, page->source);
  return db_document(store, SQL_trajectory_list, &p, out, NULL, err, "there is no dataset %s", id);
}

enum px_status store_dataset_trajectory_find(struct store *store, const char *id, int64_t n,
                                             struct store_place *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_int(&p, n);
  PGresult *row;
  const enum px_status status =
    db_one(store, SQL_trajectory_find, &p, &row, err, "dataset %s has no such trajectory", id);
  if (status) return status;
  out->seq = (uint32_t)db_get_int(row, 0, "segment");
  out->index = (uint32_t)db_get_int(row, 0, "index");
  out->length = (uint32_t)db_get_int(row, 0, "length");
  db_get_text(row, 0, "source", out->source, sizeof out->source);
  PQclear(row);
  return PX_OK;
}

enum px_status store_dataset_has_rewards(struct store *store, const char *dataset_id,
                                         uint32_t segments_n, bool *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, dataset_id);
  db_int(&p, segments_n);
  PGresult *row;
  const enum px_status status =
    db_one(store, SQL_dataset_has_rewards, &p, &row, err, "there is no dataset %s", dataset_id);
  if (status) return status;
  *out = db_get_bool(row, 0, "has_rewards");
  PQclear(row);
  return PX_OK;
}

enum px_status store_dataset_segment_read(struct store *store,
                                          const struct store_segment_range *range,
                                          store_segment_sink sink, void *ctx, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, range->dataset_id);
  db_int(&p, range->first);
  db_int(&p, (int64_t)range->first + range->count);
  db_int(&p, range->version);
  return store_blob_read_rows(store, SQL_segment_blobs, &p, range->count, sink, ctx, err,
                              range->dataset_id);
}
