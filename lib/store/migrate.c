/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing the schema to head: see store.h. The files of migrations/ are in here as text. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/fail.h"
#include "lib/store/db.h"
#include "lib/store/store.h"

static const struct migration {
  int version, serves;
  const char *name, *sha256, *text;
} MIGRATION[] = {
#define MIGRATION(version, serves, name, sha256, text) { version, serves, name, sha256, text },
#include "schema/migrations.def"
#undef MIGRATION
};
/* Numbers have no gaps. A migration that has to wait for somebody's lock lets others pass before it
 * tries again. */
enum {
  MIGRATIONS_N = sizeof MIGRATION / sizeof *MIGRATION,
  HEAD = MIGRATIONS_N - 1,
  LOCK_TRIES = 100,
  LOCK_PAUSE_MS = 500,
  ANSWER_MS = 24 * 3600 * 1000
};

/* MIGRATION[0] makes the table that remembers the others. */
static enum px_status read_applied(struct store *store, PGresult **out, struct px_err *err) {
  const enum px_status status =
    db_run(store, SQL_migrations_applied, &DB_PARAMS, DB_TEXT, out, err);
  if (strcmp(db_last_state(store), "42P01") == 0) { /* no such table */
    px_fail(err, PX_E_UNAVAILABLE, "the database has no schema yet");
    px_fail_hint(err, "Run 'proxact-server migrate'.");
    return PX_E_UNAVAILABLE;
  }
  return status;
}

/* Checks what is applied against this build; *known counts what both have. Later migrations say
 * which builds they serve. */
static enum px_status compare(const PGresult *rows, int *known, struct px_err *err) {
  const int n = PQntuples(rows);
  for (int i = 0; i < n && i < HEAD; i++) {
    const struct migration *m = &MIGRATION[i + 1];
    if (db_get_int(rows, i, "version") != m->version ||
        strcmp(db_get(rows, i, "sha256"), m->sha256) != 0) {
      px_fail(err, PX_E_CONFLICT,
              "migration %d (%s) is not the one that was applied to this database", m->version,
              m->name);
      px_fail_hint(err, "Migrations never change once applied: use the build that made this "
                        "database, or a fresh one.");
      return PX_E_CONFLICT;
    }
  }
  for (int i = HEAD; i < n; i++) {
    const int serves = (int)db_get_int(rows, i, "serves");
    if (serves <= HEAD) continue;
    px_fail(err, PX_E_CONFLICT,
            "the schema (version %s) is newer than this build: it knows version %d, and %d is the "
            "least that works",
            db_get(rows, n - 1, "version"), HEAD, serves);
    px_fail_hint(err, "Install the newer version of Proxact.");
    return PX_E_CONFLICT;
  }
  *known = n < HEAD ? n : HEAD;
  return PX_OK;
}

static enum px_status apply(struct store *store, void *ctx, struct px_err *err) {
  const struct migration *m = ctx;
  PGresult *rows;
  enum px_status status = read_applied(store, &rows, err);
  if (status) return status;
  const bool already = PQntuples(rows) >= m->version;
  PQclear(rows);
  if (already) return PX_OK;
  status = db_exec(store, m->text, err);
  if (status) return status;
  char record[512];
  snprintf(
    record, sizeof record,
    "insert into schema_migrations (version, name, sha256, serves) values (%d, '%s', '%s', %d)",
    m->version, m->name, m->sha256, m->serves);
  return db_exec(store, record, err);
}

/* Whoever asks for a table behind a migration that waits for it has to wait as well: so it waits
 * for two seconds at most. */
static enum px_status apply_patiently(struct store *store, struct migration *m,
                                      struct px_err *err) {
  enum px_status status = PX_OK;
  for (int i = 0; i < LOCK_TRIES; i++) {
    status = db_transaction(store, "migrate", apply, m, err);
    if (!status || strcmp(db_last_state(store), "55P03") != 0) break;
    nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_MS * 1000000L }, NULL);
  }
  return status;
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
    status = apply_patiently(store, &m, err);
    if (!status && applied) ++*applied;
  }
  return status;
}

enum px_status store_migrate(struct store *store, int *applied, struct px_err *err) {
  if (applied) *applied = 0;
  enum px_status status = db_ensure(store, err);
  const int answer_ms = store_answer(store);
  store_set_answer(store, ANSWER_MS); /* a large table may take its time */
  if (!status)
    status =
      db_exec(store,
              "set lock_timeout to 0; select pg_advisory_lock(7810112); set lock_timeout to '2s'",
              err);
  if (!status) {
    status = apply_missing(store, applied, err);
    if (!status) status = db_exec(store, "select grant_to_roles()", err);
    struct px_err ignored;
    const enum px_status unlocked =
      db_exec(store, "select pg_advisory_unlock(7810112); set lock_timeout to '30s'", &ignored);
    if (!status && unlocked) status = px_fail(err, unlocked, "%s", ignored.message);
  }
  store_set_answer(store, answer_ms);
  return status;
}

enum px_status store_check_schema(struct store *store, struct px_err *err) {
  PGresult *rows = NULL;
  int have = 0;
  enum px_status status = read_applied(store, &rows, err);
  if (!status) status = compare(rows, &have, err);
  PQclear(rows);
  if (!status && have < HEAD) {
    status = px_fail(err, PX_E_UNAVAILABLE,
                     "the database is at version %d of its schema; this build needs %d", have,
                     MIGRATION[HEAD].version);
    px_fail_hint(err, "Run 'proxact-server migrate'.");
  }
  if (status == PX_E_CONFLICT) status = PX_E_UNAVAILABLE;
  if (status && err) err->code = status;
  return status;
}

enum px_status store_restored(struct store *store, int *given_back, struct px_err *err) {
  PGresult *row;
  const enum px_status status =
    db_run(store, SQL_incarnation_begin, &DB_PARAMS, DB_TEXT, &row, err);
  if (status) return status;
  *given_back = (int)db_get_int(row, 0, "given_back");
  PQclear(row);
  return PX_OK;
}
