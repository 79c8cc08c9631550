/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that lib/store reads by name are columns of the statements that the function runs. */
#include <glob.h>
#include <libpq-fe.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/db.h"

static const struct {
  const char *name, *text;
} STATEMENT[] = {
#define SQL(name, text) { #name, text },
#include "schema/queries.def"
#undef SQL
};
enum { STATEMENTS_N = sizeof STATEMENT / sizeof *STATEMENT, SOURCE_MAX = 1 << 20 };

static PGconn *conn;
static PGresult *described[STATEMENTS_N];

/* The columns of each statement, as the database says. */
static void describe_all(void) {
  for (int i = 0; i < STATEMENTS_N; i++) {
    PGresult *prepared = PQprepare(conn, STATEMENT[i].name, STATEMENT[i].text, 0, NULL);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK)
      printf("\n  %s: %s", STATEMENT[i].name, PQerrorMessage(conn));
    CU_ASSERT_EQUAL_FATAL(PQresultStatus(prepared), PGRES_COMMAND_OK);
    PQclear(prepared);
    described[i] = PQdescribePrepared(conn, STATEMENT[i].name);
    CU_ASSERT_EQUAL_FATAL(PQresultStatus(described[i]), PGRES_COMMAND_OK);
  }
}

static bool has_column(const char *statement, const char *column) {
  for (int i = 0; i < STATEMENTS_N; i++)
    if (strcmp(STATEMENT[i].name, statement) == 0) return PQfnumber(described[i], column) >= 0;
  return false;
}

static char *read_source(const char *path) {
  FILE *f = fopen(path, "re");
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  char *text = calloc(SOURCE_MAX, 1);
  CU_ASSERT_PTR_NOT_NULL_FATAL(text);
  const size_t n = fread(text, 1, SOURCE_MAX - 1, f);
  CU_ASSERT_FATAL(n < SOURCE_MAX - 1);
  fclose(f);
  return text;
}

/* Whether one of the statements that `source` names has the column; any, where it reads what others
 * have asked. */
static bool known_in(const char *path, const char *source, const char *column) {
  const bool others = strcmp(path, "lib/store/db.c") == 0 || strcmp(path, "lib/store/blob.c") == 0;
  for (int i = 0; i < STATEMENTS_N && others; i++)
    if (PQfnumber(described[i], column) >= 0) return true;
  for (const char *at = source; (at = strstr(at, "SQL_")); at++) {
    char name[64];
    if (sscanf(at, "SQL_%63[a-z0-9_]", name) == 1 && has_column(name, column)) return true;
  }
  /* incarnation.c asks by a text of its own. */
  return strstr(source, "\"select place, given_back from incarnation_settle()\"") &&
         (strcmp(column, "place") == 0 || strcmp(column, "given_back") == 0);
}

static int check_file(const char *path) {
  char *source = read_source(path);
  regex_t pattern;
  regmatch_t match[2];
  int n = 0;
  CU_ASSERT_EQUAL_FATAL(regcomp(&pattern,
                                "db_get[a-z0-9_]*\\([^,()]+, [^,()]+,[ \n]*\"([a-z0-9_]+)\"",
                                REG_EXTENDED),
                        0);
  for (const char *at = source; regexec(&pattern, at, 2, match, 0) == 0;
       at += match[0].rm_eo, n++) {
    char column[64];
    snprintf(column, sizeof column, "%.*s", (int)(match[1].rm_eo - match[1].rm_so),
             at + match[1].rm_so);
    if (!known_in(path, source, column))
      printf("\n  %s: no statement has a column %s", path, column);
    CU_ASSERT(known_in(path, source, column));
  }
  regfree(&pattern);
  for (const char *at = source; (at = strstr(at, "db_document(store, SQL_")); at++) {
    char name[64];
    CU_ASSERT_EQUAL_FATAL(sscanf(at, "db_document(store, SQL_%63[a-z0-9_]", name), 1);
    if (!has_column(name, "document")) printf("\n  %s gives no document", name);
    CU_ASSERT(has_column(name, "document"));
  }
  free(source);
  return n;
}

static void names_are_columns_of_the_files_statements(void) {
  store_close(db_test_open("columns"));
  conn = PQconnectdb(db_test_url());
  CU_ASSERT_EQUAL_FATAL(PQstatus(conn), CONNECTION_OK);
  describe_all();
  CU_ASSERT(has_column("job_claim", "epoch"));
  CU_ASSERT_FALSE(has_column("job_claim", "no_such_column"));
  glob_t files;
  int names = 0;
  CU_ASSERT_EQUAL_FATAL(glob("lib/store/*.c", 0, NULL, &files), 0);
  for (size_t i = 0; i < files.gl_pathc; i++) names += check_file(files.gl_pathv[i]);
  globfree(&files);
  printf("%d names in %d statements ", names, STATEMENTS_N);
  CU_ASSERT(names > 120);
  for (int i = 0; i < STATEMENTS_N; i++) PQclear(described[i]);
  PQfinish(conn);
}

CU_MAIN("store_columns", T(names_are_columns_of_the_files_statements))
