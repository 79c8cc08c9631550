/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: see workers.h. */
#include "lib/store/workers.h"

#include "lib/base/buf.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

enum px_status store_worker_seen(struct store *store, const char *id, const char *host, int pid,
                                 bool draining, int64_t memory_bytes, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  db_text(&p, host);
  db_int(&p, pid);
  db_text(&p, PX_VERSION);
  db_bool(&p, draining);
  db_int(&p, memory_bytes);
  return db_run(store, SQL_worker_seen, &p, DB_TEXT, NULL, err);
}

enum px_status store_worker_memory(struct store *store, int64_t *bytes, struct px_err *err) {
  PGresult *row;
  const enum px_status status = db_run(store, SQL_worker_memory, &DB_PARAMS, DB_TEXT, &row, err);
  if (status) return status;
  const int64_t most = PQntuples(row) ? db_get_int(row, 0, "memory_bytes") : 0;
  *bytes = most ? most : INT64_MAX;
  PQclear(row);
  return PX_OK;
}

enum px_status store_worker_gone(struct store *store, const char *id, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_run(store, SQL_worker_gone, &p, DB_TEXT, NULL, err);
}

enum px_status store_worker_list(struct store *store, struct px_buf *out, struct px_err *err) {
  return db_document(store, SQL_worker_list, &DB_PARAMS, out, NULL, err, "%s",
                     "there are no workers");
}
