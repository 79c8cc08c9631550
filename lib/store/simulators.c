/* SPDX-License-Identifier: Apache-2.0 */
/* Simulators that users bring: see simulators.h. */
#include "lib/store/simulators.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/store.h"
#include "lib/store/submitter.h"

/* The id is chosen here, so that work whose answer was lost is known again. */
struct creation {
  const struct store_simulator_draft *draft;
  const struct store_simulator_bounds *bounds;
  const char *id;
};

/* What the token has, the new one included. */
static enum px_status check_bounds(struct store *store, const struct submitter *owner,
                                   const struct store_simulator_bounds *bounds,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row;
  if (!*owner->id || !bounds) return PX_OK;
  db_text(&p, owner->id);
  const enum px_status status = db_run(store, SQL_simulator_usage, &p, DB_TEXT, &row, err);
  if (status) return status;
  const int64_t n = db_get_int(row, 0, "n"), bytes = db_get_int(row, 0, "bytes");
  PQclear(row);
  if (bounds->number && n > bounds->number)
    return px_fail(err, PX_E_TOO_MANY_SIMULATORS,
                   "token %s has %" PRId64 " simulators, and may have %" PRId64, owner->id, n - 1,
                   bounds->number);
  if (bounds->bytes && bytes > bounds->bytes)
    return px_fail(err, PX_E_TOO_MANY_SIMULATORS,
                   "with this one the simulators of token %s would have %" PRId64
                   " bytes, and may have %" PRId64,
                   owner->id, bytes, bounds->bytes);
  return PX_OK;
}

static void fill(const struct creation *c, const struct submitter *owner, struct db_params *p) {
  const struct store_simulator_draft *d = c->draft;
  db_text(p, c->id);
  db_text(p, d->name);
  db_text(p, d->mjcf);
  db_text(p, d->layout_json);
  db_int(p, d->obs_dim);
  db_int(p, d->act_dim);
  db_int(p, d->nq);
  db_int(p, d->nv);
  db_int(p, d->nu);
  db_float(p, d->time_step);
  db_float(p, d->step_s);
  db_text(p, submitter_id(owner));
}

static enum px_status create_work(struct store *store, void *ctx, struct px_err *err) {
  const struct creation *c = ctx;
  struct db_params id = DB_PARAMS;
  db_text(&id, c->id);
  PGresult *row = NULL;
  enum px_status status =
    db_unsettled(store) ? db_run(store, SQL_simulator_lock, &id, DB_TEXT, &row, err) : PX_OK;
  const bool already = row && PQntuples(row) > 0;
  PQclear(row);
  if (status || already) return status;
  struct submitter owner;
  struct db_params p = DB_PARAMS;
  status = submitter_lock(store, &owner, err);
  if (status) return status;
  fill(c, &owner, &p);
  status = db_run(store, SQL_simulator_create, &p, DB_TEXT, NULL, err);
  if (status == PX_E_CONFLICT)
    px_fail(err, status, "there is already a simulator named '%s'", c->draft->name);
  return status ? status : check_bounds(store, &owner, c->bounds, err);
}

enum px_status store_simulator_create(struct store *store,
                                      const struct store_simulator_draft *draft,
                                      const struct store_simulator_bounds *bounds,
                                      char id[STORE_ID_MAX], struct px_err *err) {
  char fresh[STORE_ID_MAX];
  store_new_id("sim", fresh);
  struct creation creation = { draft, bounds, fresh };
  const enum px_status status =
    db_transaction(store, "simulator_create", create_work, &creation, err);
  if (!status) memcpy(id, fresh, sizeof fresh);
  return status;
}

void store_simulator_free(struct store_simulator *s) {
  free(s->mjcf);
  free(s->layout_json);
  *s = (struct store_simulator){ .mjcf = NULL };
}

enum px_status store_simulator_get(struct store *store, const char *id, struct store_simulator *out,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  struct store_simulator found = { .mjcf = NULL };
  PGresult *row;
  db_text(&p, id);
  enum px_status status =
    db_one(store, SQL_simulator_get, &p, &row, err, "there is no simulator %s", id);
  if (status) return status;
  db_get_text(row, 0, "id", found.id, sizeof found.id);
  found.mjcf = strdup(db_get(row, 0, "mjcf"));
  found.layout_json = strdup(db_get(row, 0, "layout"));
  found.obs_dim = (uint32_t)db_get_int(row, 0, "obs_dim");
  found.act_dim = (uint32_t)db_get_int(row, 0, "act_dim");
  found.nq = (uint32_t)db_get_int(row, 0, "nq");
  found.nv = (uint32_t)db_get_int(row, 0, "nv");
  found.nu = (uint32_t)db_get_int(row, 0, "nu");
  PQclear(row);
  if (!found.mjcf || !found.layout_json) {
    store_simulator_free(&found);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for simulator %s", id);
  }
  *out = found;
  return PX_OK;
}

enum px_status store_simulator_dims(struct store *store, const char *id, uint32_t *obs_dim,
                                    uint32_t *act_dim, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_text(&p, id);
  const enum px_status status =
    db_one(store, SQL_simulator_about, &p, &row, err, "there is no simulator %s", id);
  if (status) return status;
  *obs_dim = (uint32_t)db_get_int(row, 0, "obs_dim");
  *act_dim = (uint32_t)db_get_int(row, 0, "act_dim");
  PQclear(row);
  return PX_OK;
}

enum px_status store_simulator_document(struct store *store, const char *id, struct px_buf *out,
                                        struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_document(store, SQL_simulator_document, &p, out, NULL, err, "there is no simulator %s",
                     id);
}

enum px_status store_simulator_list(struct store *store, const char *before, int limit,
                                    struct px_buf *out, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, before);
  db_int(&p, limit);
  return db_document(store, SQL_simulator_list, &p, out, NULL, err, "%s",
                     "there are no simulators");
}

static enum px_status delete_work(struct store *store, void *ctx, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  PGresult *row;
  db_text(&p, ctx);
  enum px_status status =
    db_one(store, SQL_simulator_lock, &p, &row, err, "there is no simulator %s", ctx);
  if (status == PX_E_NOT_FOUND && db_unsettled(store)) return PX_OK;
  if (status) return status;
  PQclear(row);
  status = db_run(store, SQL_simulator_busy, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row)) {
    status = px_fail(err, PX_E_CONFLICT, "job %s still needs this simulator", db_get(row, 0, "id"));
    px_fail_hint(err, "Cancel the jobs that name it first, or wait for them.");
  }
  PQclear(row);
  return status ? status : db_run(store, SQL_simulator_delete, &p, DB_TEXT, NULL, err);
}

enum px_status store_simulator_delete(struct store *store, const char *id, struct px_err *err) {
  return db_transaction(store, "simulator_delete", delete_work, (char *)(uintptr_t)id, err);
}
