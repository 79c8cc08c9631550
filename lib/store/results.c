/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs leave: see results.h. */
#include "lib/store/results.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

void store_result_id(const char *prefix, const char *job_id, char out[STORE_ID_MAX]) {
  const char *digits = strchr(job_id, '_');
  snprintf(out, STORE_ID_MAX, "%.3s_%.35s", prefix, digits ? digits + 1 : job_id);
}

enum px_status store_result_about(struct store *store, const char *id, struct store_about *out,
                                  struct px_err *err) {
  char job[STORE_ID_MAX];
  struct db_params p = DB_PARAMS;
  PGresult *row;
  store_result_id("job", id, job);
  db_text(&p, id);
  db_text(&p, job);
  const enum px_status status = db_run(store, SQL_result_about, &p, DB_TEXT, &row, err);
  if (status) return status;
  const bool found = PQntuples(row) == 1 && !db_get_null(row, 0, "role");
  if (found) {
    db_get_text(row, 0, "role", out->role, sizeof out->role);
    db_get_text(row, 0, "state", out->state, sizeof out->state);
    db_get_text(row, 0, "algo", out->algo, sizeof out->algo);
    db_get_text(row, 0, "dataset_id", out->dataset, sizeof out->dataset);
    out->obs_dim = (uint32_t)db_get_int(row, 0, "obs_dim");
    out->act_dim = (uint32_t)db_get_int(row, 0, "act_dim");
    out->act_count = (uint32_t)db_get_int(row, 0, "act_count");
    out->segments_n = (uint32_t)db_get_int(row, 0, "segments_n");
  }
  PQclear(row);
  const char *what = strncmp(id, "mdl_", 4) == 0  ? "model"
                     : strncmp(id, "ls_", 3) == 0 ? "label set"
                                                  : "job";
  return found ? PX_OK : px_fail(err, PX_E_NOT_FOUND, "there is no %s %.64s", what, id);
}
