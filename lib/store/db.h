/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection under the store: prepared statements by name, parameters,
 * transactions, and what an SQLSTATE means. Only lib/store includes this.
 *
 * Statements are the named blocks of schema/queries; each is prepared at its
 * first use on a connection. Ownership: a PGresult given out is the caller's,
 * who clears it. As a struct store, this belongs to one thread.
 */
#ifndef PX_STORE_DB_H
#define PX_STORE_DB_H

#include <libpq-fe.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/store.h"

enum db_sql {
#define SQL(name, text) SQL_##name,
#include "schema/queries.def"
#undef SQL
  DB_SQL_N
};

enum { DB_PARAMS_MAX = 16 };

/* Parameters in order; texts and bytes are borrowed until the statement ran. */
struct db_params {
  int n;
  const char *value[DB_PARAMS_MAX];
  int length[DB_PARAMS_MAX], format[DB_PARAMS_MAX];
  char number[DB_PARAMS_MAX][32];
};
#define DB_PARAMS ((struct db_params){ .n = 0 })
void db_text(struct db_params *p, const char *text); /* NULL is SQL's null */
void db_int(struct db_params *p, int64_t value);
void db_float(struct db_params *p, double value);
void db_bool(struct db_params *p, bool value);
void db_bytes(struct db_params *p, const void *bytes, size_t n);

enum db_format { DB_TEXT = 0, DB_BINARY = 1 };

/* Runs one statement; *out may be NULL. Outside a transaction it runs again when it lost against
 * another, and when the connection was lost, as long as the store has patience (store.h): every
 * statement used so is harmless to repeat but those of only_once in db.c, which answer
 * UNSETTLED. */
enum px_status db_run(struct store *store, enum db_sql sql, const struct db_params *params,
                      enum db_format format, PGresult **out, struct px_err *err) PX_MUST_CHECK;
/* The same for a statement that must give a row: NOT_FOUND with this message
 * (and its one %s) otherwise. */
enum px_status db_one(struct store *store, enum db_sql sql, const struct db_params *params,
                      PGresult **out, struct px_err *err, const char *missing_fmt,
                      const char *missing_arg) PX_MUST_CHECK __attribute__((format(printf, 6, 0)));
/* Text that is no prepared statement: migrations and session control. */
enum px_status db_exec(struct store *store, const char *sql, struct px_err *err) PX_MUST_CHECK;

/* Runs fn between begin and commit, and all of it again (a few times) after a
 * serialization failure or a deadlock: fn has no side effects elsewhere. When the
 * connection is lost it runs again as long as the store has patience; if the
 * commit's own answer was lost, db_unsettled says so to fn, which must then look
 * whether its work is there already (a hold's `already`, an id of its own choice)
 * before it does it. UNSETTLED when patience ends before that is known. `name` is
 * for crash points and errors. Within another transaction it becomes a part of
 * that one. */
typedef enum px_status (*db_work)(struct store *store, void *ctx, struct px_err *err);
enum px_status db_transaction(struct store *store, const char *name, db_work fn, void *ctx,
                              struct px_err *err) PX_MUST_CHECK;
/* The digest of store_set_submitter, NULL if there is none, and its bound. */
const uint8_t *db_submitter(const struct store *store, int64_t *jobs_max);
bool db_unsettled(const struct store *store);

/* The connection, opened again if it was lost. */
enum px_status db_ensure(struct store *store, struct px_err *err) PX_MUST_CHECK;
/* Closes it, with everything that the session holds; the next call opens another. */
void db_drop(struct store *store);
/* What a failed result means. Fills err; PX_OK for a result that did not fail. */
enum px_status db_status(struct store *store, const PGresult *result, struct px_err *err);
/* SQLSTATE of the last failure on this store ("" if the server gave none) and the constraint it
 * names. */
const char *db_last_state(const struct store *store);
const char *db_last_constraint(const struct store *store);

/* Values by the column's name in schema/queries. A name that the statement does not have is our own
 * bug (assert); tests/integration/test_store_columns.c compares all names with all statements. */
const char *db_get(const PGresult *result, int row, const char *column); /* its bytes, borrowed */
int db_get_length(const PGresult *result, int row, const char *column);  /* of them */
bool db_get_null(const PGresult *result, int row, const char *column);
/* Of a text result; a null is "", 0. */
int64_t db_get_int(const PGresult *result, int row, const char *column);
double db_get_float(const PGresult *result, int row, const char *column);
bool db_get_bool(const PGresult *result, int row, const char *column);
void db_get_text(const PGresult *result, int row, const char *column, char *out, size_t size);
/* Of a binary result. */
int64_t db_get_int8(const PGresult *result, int row, const char *column);
int32_t db_get_int4(const PGresult *result, int row, const char *column);
double db_get_float8(const PGresult *result, int row, const char *column);
/* Appends the bytes to out. */
enum px_status db_get_buf(const PGresult *result, int row, const char *column,
                          struct px_buf *out) PX_MUST_CHECK;

/* Appends row 0's `document` to out, and gives its `version` unless that is NULL. NOT_FOUND as
 * db_one. */
enum px_status db_document(struct store *store, enum db_sql sql, const struct db_params *params,
                           struct px_buf *out, int64_t *version, struct px_err *err,
                           const char *missing_fmt, const char *missing_arg) PX_MUST_CHECK
  __attribute__((format(printf, 7, 0)));

/* Array literals for text parameters: call for each element, then close. */
enum px_status db_array_text(struct px_buf *array, const char *text) PX_MUST_CHECK;
enum px_status db_array_int(struct px_buf *array, int64_t value) PX_MUST_CHECK;
enum px_status db_array_float(struct px_buf *array, double value) PX_MUST_CHECK;
enum px_status db_array_null(struct px_buf *array) PX_MUST_CHECK;
/* NULL: SQL's null; n <= 32 */
enum px_status db_array_hex(struct px_buf *array, const uint8_t *bytes, size_t n) PX_MUST_CHECK;
enum px_status db_array_end(struct px_buf *array) PX_MUST_CHECK;
/* A whole array of n numbers. */
enum px_status db_array_floats(struct px_buf *array, const double *x, uint32_t n) PX_MUST_CHECK;
/* "{1,2.5}" as PostgreSQL prints it; an empty list leaves `out` as it is. */
void db_array_read(const char *text, double *out, uint32_t n);

#endif
