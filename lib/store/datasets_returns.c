/* SPDX-License-Identifier: Apache-2.0 */
/* Returns of a dataset's trajectories, now or at an earlier version: see datasets.h. */
#include <math.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/store/datasets.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

void store_dataset_returns_free(struct store_returns *r) {
  free(r->returns);
  free(r->labelled);
  *r = (struct store_returns){ 0 };
}

static enum px_status reserve(struct store_returns *r, uint32_t more, struct px_err *err) {
  const uint64_t need = (uint64_t)r->n + more;
  if (need <= r->cap) return PX_OK;
  const uint64_t cap = need > 2ull * r->cap ? need : 2ull * r->cap;
  double *returns = cap <= UINT32_MAX ? px_mem_realloc(r->returns, cap, sizeof *returns) : NULL;
  if (returns) r->returns = returns;
  uint8_t *labelled = returns ? px_mem_realloc(r->labelled, cap, 1) : NULL;
  if (!labelled) return px_fail(err, PX_E_NO_MEMORY, "no memory for the returns");
  r->labelled = labelled;
  r->cap = (uint32_t)cap;
  return PX_OK;
}

static enum px_status from_index(struct store *store, const char *id, uint32_t segments_n,
                                 struct store_returns *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_int(&p, segments_n);
  PGresult *rows;
  enum px_status status = db_run(store, SQL_trajectory_returns, &p, DB_BINARY, &rows, err);
  if (status) return status;
  const int rows_n = PQntuples(rows);
  status = reserve(out, (uint32_t)rows_n, err);
  for (int i = 0; i < rows_n && !status; i++) {
    out->returns[out->n] =
      db_get_null(rows, i, "return") ? (double)NAN : db_get_float8(rows, i, "return");
    out->labelled[out->n++] = (uint8_t)db_get(rows, i, "labelled")[0];
  }
  PQclear(rows);
  return status;
}

struct reading {
  const struct px_spaces *spaces;
  struct store_returns *out;
};

static enum px_status take_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                   struct px_err *err) {
  (void)seq;
  struct reading *reading = ctx;
  struct store_returns *out = reading->out;
  struct px_segment_view view;
  if (!n) return PX_OK;
  enum px_status status = px_segment_open(bytes, n, reading->spaces, &view, err);
  if (status) return status;
  status = reserve(out, view.traj_n, err);
  uint64_t step = 0;
  for (uint32_t i = 0; i < view.traj_n && !status; i++) {
    const uint64_t after = step + (uint64_t)view.length[i];
    double sum = view.rewards ? 0 : (double)NAN;
    uint64_t known = 0;
    for (; step < after; step++) {
      if (view.rewards) sum += (double)view.rewards[step];
      known += view.label_mask ? view.label_mask[step] : view.labelled[i];
    }
    out->returns[out->n] = sum;
    out->labelled[out->n++] = known == 0                          ? STORE_LABELLED_NONE
                              : known == (uint64_t)view.length[i] ? STORE_LABELLED_ALL
                                                                  : STORE_LABELLED_PARTLY;
  }
  px_segment_close(&view);
  return status;
}

enum px_status store_dataset_returns(struct store *store, const struct store_dataset *ds,
                                     uint32_t segments_n, int64_t version,
                                     struct store_returns *out, struct px_err *err) {
  *out = (struct store_returns){ 0 };
  struct db_params p = DB_PARAMS;
  db_text(&p, ds->id);
  db_int(&p, segments_n);
  db_int(&p, version);
  PGresult *row;
  enum px_status status =
    db_one(store, SQL_version_edited, &p, &row, err, "there is no dataset %s", ds->id);
  if (status) return status;
  const bool edited = db_get_bool(row, 0, "edited");
  PQclear(row);
  if (!edited) return from_index(store, ds->id, segments_n, out, err);
  struct reading reading = { &ds->spaces, out };
  const struct store_segment_range range = { ds->id, 0, segments_n, version };
  return store_dataset_segment_read(store, &range, take_segment, &reading, err);
}
