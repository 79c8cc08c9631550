/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing the schema to head: see store.h. The files of migrations/ and of schema/functions are in
 * here as text. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/fail.h"
#include "lib/base/log.h"
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
/* The first file refers to no table, and tables refer to it. */
static const struct functions {
  const char *name, *sha256, *text;
} FUNCTIONS[] = {
#define FUNCTIONS(name, sha256, text) { name, sha256, text },
#include "schema/functions.def"
#undef FUNCTIONS
};
/* Versions have no gaps. A run that has to wait for somebody's lock lets others pass before it
 * tries again. */
enum {
  MIGRATIONS_N = sizeof MIGRATION / sizeof *MIGRATION,
  HEAD = MIGRATIONS_N - 1,
  FUNCTIONS_N = sizeof FUNCTIONS / sizeof *FUNCTIONS,
  LOCK_TRIES = 100,
  LOCK_PAUSE_MS = 500,
  ANSWER_MS = 24 * 3600 * 1000
};

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

/* Before the first release the numbers from 1 on belonged to other migrations, which the present
 * ones do not continue. */
static enum px_status refuse_old_numbers(struct px_err *err) {
  px_fail(err, PX_E_CONFLICT,
          "a build from before the first release made this database, and this one cannot upgrade "
          "it; nothing was changed");
  px_fail_hint(err, "Export its datasets with the build that made it, and upload them to a new, "
                    "empty database that 'proxact-server migrate' has prepared.");
  return PX_E_CONFLICT;
}

/* Checks what is applied against this build; *known counts what both have. Later migrations say
 * which builds they serve. */
static enum px_status compare(const PGresult *rows, int *known, struct px_err *err) {
  const int n = PQntuples(rows);
  if (n && db_get_bool(rows, 0, "before_release")) return refuse_old_numbers(err);
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

static enum px_status apply_migration(struct store *store, const struct migration *m,
                                      struct px_err *err) {
  const enum px_status status = db_exec(store, m->text, err);
  if (status) return status;
  char record[512];
  snprintf(
    record, sizeof record,
    "insert into schema_migrations (version, name, sha256, serves) values (%d, '%s', '%s', %d)",
    m->version, m->name, m->sha256, m->serves);
  return db_exec(store, record, err);
}

/* *changed counts files that are not in the database as they are here, or not here any more. */
static enum px_status compare_functions(struct store *store, int *changed, struct px_err *err) {
  PGresult *rows = NULL;
  const enum px_status status =
    db_run(store, SQL_functions_applied, &DB_PARAMS, DB_TEXT, &rows, err);
  if (status) return status;
  const int n = PQntuples(rows);
  int same = 0;
  for (int i = 0; i < FUNCTIONS_N; i++)
    for (int k = 0; k < n; k++)
      same += strcmp(db_get(rows, k, "name"), FUNCTIONS[i].name) == 0 &&
              strcmp(db_get(rows, k, "sha256"), FUNCTIONS[i].sha256) == 0;
  PQclear(rows);
  *changed = (n > FUNCTIONS_N ? n : FUNCTIONS_N) - same;
  return PX_OK;
}

static enum px_status apply_functions(struct store *store, struct px_err *err) {
  enum px_status status = db_exec(store, "delete from schema_functions", err);
  for (int i = 0; !status && i < FUNCTIONS_N; i++) {
    const struct functions *f = &FUNCTIONS[i];
    status = db_exec(store, f->text, err);
    char record[512];
    snprintf(record, sizeof record,
             "insert into schema_functions (name, sha256, version) values ('%s', '%s', %d)",
             f->name, f->sha256, HEAD);
    if (!status) status = db_exec(store, record, err);
  }
  return status;
}

/* Functions go in with every migration, which may have dropped some. */
static enum px_status apply_missing(struct store *store, int known, struct store_migrated *done,
                                    struct px_err *err) {
  enum px_status status = PX_OK;
  done->migrations = HEAD - known;
  if (done->migrations) status = db_exec(store, FUNCTIONS[0].text, err);
  for (int i = known + 1; !status && i < MIGRATIONS_N; i++)
    status = apply_migration(store, &MIGRATION[i], err);
  if (!status) status = compare_functions(store, &done->functions, err);
  if (!status && (done->migrations || done->functions)) status = apply_functions(store, err);
  return status;
}

/* MIGRATION[0] makes the table that remembers the others. */
static enum px_status begin_schema(struct store *store, struct px_err *err) {
  PGresult *row = NULL;
  enum px_status status = db_run(store, SQL_schema_begun, &DB_PARAMS, DB_TEXT, &row, err);
  if (!status && !db_get_bool(row, 0, "begun")) status = db_exec(store, MIGRATION[0].text, err);
  PQclear(row);
  return status;
}

/* Only one at a time. A later build's functions stay as they are. */
static enum px_status bring_to_head(struct store *store, void *ctx, struct px_err *err) {
  struct store_migrated *done = ctx;
  *done = (struct store_migrated){ 0 };
  enum px_status status = db_exec(store,
                                  "set local lock_timeout to 0; select "
                                  "pg_advisory_xact_lock(7810112); set local lock_timeout to '2s'",
                                  err);
  if (!status) status = begin_schema(store, err);
  PGresult *rows = NULL;
  int known = 0;
  if (!status) status = read_applied(store, &rows, err);
  if (!status) status = compare(rows, &known, err);
  const bool later = rows && PQntuples(rows) > HEAD;
  PQclear(rows);
  if (!status && !later) status = apply_missing(store, known, done, err);
  if (!status) status = db_exec(store, "select grant_to_roles()", err);
  return status;
}

/* Whoever asks for a table behind a migration that waits for it has to wait as well: so it waits
 * for two seconds at most. */
enum px_status store_migrate(struct store *store, struct store_migrated *done, struct px_err *err) {
  struct store_migrated ignored;
  const int answer_ms = store_answer(store);
  store_set_answer(store, ANSWER_MS); /* a large table may take its time */
  enum px_status status = PX_OK;
  for (int i = 0; i < LOCK_TRIES; i++) {
    status = db_transaction(store, "migrate", bring_to_head, done ? done : &ignored, err);
    if (!status || strcmp(db_last_state(store), "55P03") != 0) break;
    nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_MS * 1000000L }, NULL);
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

void store_warn_of_functions(struct store *store) {
  PGresult *rows = NULL;
  int changed = 0;
  struct px_err err;
  const enum px_status status = read_applied(store, &rows, &err);
  const bool same_version = !status && PQntuples(rows) == HEAD;
  PQclear(rows);
  if (same_version && !compare_functions(store, &changed, &err) && changed)
    px_log(PX_LOG_WARN, "functions_differ", "files", PX_I(changed), "hint",
           "another build of this schema version applied its own; run 'proxact-server migrate' "
           "with the newest build",
           NULL);
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
