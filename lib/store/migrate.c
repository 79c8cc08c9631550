/* Bringing the schema to head: see store.h. The files of migrations/ are in here as text. */
#include <stdio.h>
#include <string.h>

#include "lib/store/db.h"

static const struct migration { int version; const char *name, *sha256, *text; } MIGRATION[] = {
#define MIGRATION(version, name, sha256, text) { version, name, sha256, text },
#include "schema/migrations.def"
#undef MIGRATION
};
enum { MIGRATIONS_N = sizeof MIGRATION / sizeof *MIGRATION };

/* MIGRATION[0] makes the table that remembers the others. */
static enum px_status read_applied(struct store *store, PGresult **out, struct px_err *err) {
  const enum px_status status = db_run(store, SQL_migrations_applied, &DB_PARAMS, DB_TEXT, out, err);
  if (strcmp(db_last_state(store), "42P01") == 0) { /* no such table */
    px_fail(err, PX_E_UNAVAILABLE, "the database has no schema yet");
    px_err_hint(err, "Run 'proxact-server migrate'.");
    return PX_E_UNAVAILABLE;
  }
  return status;
}

/* Checks what is applied against this build; *applied counts it. */
static enum px_status compare(const PGresult *rows, int *applied, struct px_err *err) {
  const int n = PQntuples(rows);
  if (n > MIGRATIONS_N - 1) {
    px_fail(err, PX_E_CONFLICT, "the schema (version %s) is newer than this build", PQgetvalue(rows, n - 1, 0));
    px_err_hint(err, "Install the newer version of Proxact.");
    return PX_E_CONFLICT;
  }
  for (int i = 0; i < n; i++) {
    const struct migration *m = &MIGRATION[i + 1];
    if (db_get_int(rows, i, 0) != m->version || strcmp(PQgetvalue(rows, i, 1), m->sha256) != 0) {
      px_fail(err, PX_E_CONFLICT, "migration %d (%s) is not the one that was applied to this database", m->version, m->name);
      px_err_hint(err, "Migrations never change once applied: use the build that made this database, or a fresh one.");
      return PX_E_CONFLICT;
    }
  }
  *applied = n;
  return PX_OK;
}

static enum px_status apply(struct store *store, void *ctx, struct px_err *err) {
  const struct migration *m = ctx;
  PGresult *rows;
  enum px_status status = read_applied(store, &rows, err);
  if (status) return status;
  const bool already = PQntuples(rows) >= m->version; /* numbers have no gaps */
  PQclear(rows);
  if (already) return PX_OK;
  status = db_exec(store, m->text, err);
  if (status) return status;
  char record[512];
  snprintf(record, sizeof record, "insert into schema_migrations (version, name, sha256) values (%d, '%s', '%s')",
           m->version, m->name, m->sha256);
  return db_exec(store, record, err);
}

static enum px_status apply_missing(struct store *store, int *applied, struct px_err *err) {
  int have = 0;
  enum px_status status = db_exec(store, MIGRATION[0].text, err);
  PGresult *rows = NULL;
  if (!status) status = read_applied(store, &rows, err);
  if (!status) status = compare(rows, &have, err);
  PQclear(rows);
  for (int i = have + 1; !status && i < MIGRATIONS_N; i++) {
    struct migration m = MIGRATION[i];
    status = db_transaction(store, "migrate", apply, &m, err);
    if (!status && applied) ++*applied;
  }
  return status;
}

enum px_status store_migrate(struct store *store, int *applied, struct px_err *err) {
  if (applied) *applied = 0;
  enum px_status status = db_ensure(store, err);
  /* Waiting for another's migration may take longer than any ordinary lock. */
  if (!status) status = db_exec(store, "set lock_timeout to 0; select pg_advisory_lock(7810112)", err);
  if (status) return status;
  status = apply_missing(store, applied, err);
  struct px_err ignored;
  const enum px_status unlocked = db_exec(store, "select pg_advisory_unlock(7810112); set lock_timeout to '30s'", &ignored);
  return status ? status : unlocked ? px_fail(err, unlocked, "%s", ignored.message) : PX_OK;
}

enum px_status store_check_schema(struct store *store, struct px_err *err) {
  PGresult *rows = NULL;
  int have = 0;
  enum px_status status = read_applied(store, &rows, err);
  if (!status) status = compare(rows, &have, err);
  PQclear(rows);
  if (!status && have < MIGRATIONS_N - 1) {
    status = px_fail(err, PX_E_UNAVAILABLE, "the database is at version %d of its schema; this build needs %d", have,
                     MIGRATION[MIGRATIONS_N - 1].version);
    px_err_hint(err, "Run 'proxact-server migrate'.");
  }
  return status == PX_E_CONFLICT ? px_fail(err, PX_E_UNAVAILABLE, "%s", err ? err->message : "another schema") : status;
}
