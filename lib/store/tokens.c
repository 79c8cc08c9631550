/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens: see store.h. */
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

enum px_status store_token_create(struct store *store, const char *name, const uint8_t digest[32],
                                  struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, name);
  db_bytes(&p, digest, PX_SHA256_BYTES);
  return db_run(store, SQL_token_create, &p, DB_TEXT, NULL, err);
}

enum px_status store_token_check(struct store *store, const uint8_t digest[32],
                                 struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_bytes(&p, digest, PX_SHA256_BYTES);
  PGresult *result;
  const enum px_status status =
    db_one(store, SQL_token_check, &p, &result, err, "%s", "this token is not known");
  if (status == PX_E_NOT_FOUND)
    return px_fail(err, PX_E_UNAUTHORIZED, "this token is not known, or has expired");
  if (!status) PQclear(result);
  return status;
}

enum px_status store_token_any(struct store *store, bool *any, struct px_err *err) {
  PGresult *result;
  const enum px_status status = db_run(store, SQL_token_any, &DB_PARAMS, DB_TEXT, &result, err);
  if (status) return status;
  *any = db_get_bool(result, 0, "any_token");
  PQclear(result);
  return PX_OK;
}
