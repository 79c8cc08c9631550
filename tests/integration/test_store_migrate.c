/* SPDX-License-Identifier: Apache-2.0 */
/* Migration runs: what they apply, what they leave alone, and what they refuse. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/store/store.h"
#include "tests/support/db.h"

/* The URL of this database with an empty schema of its own, made anew. */
static const char *empty_schema(const char *name) {
  static char url[512];
  db_sql("drop schema if exists %s cascade; create schema %s", name, name);
  snprintf(url, sizeof url, "%s%coptions=-csearch_path%%3D%s", db_test_url(),
           strchr(db_test_url(), '?') ? '&' : '?', name);
  return url;
}

static void migrating_again_does_nothing_and_a_changed_file_is_refused(void) {
  struct store *store = db_test_open("migrate");
  struct store_migrated done = { -1, -1 };
  struct px_err err;
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_EQUAL(done.migrations, 0);
  CU_ASSERT_EQUAL(done.functions, 0);
  CU_OK(store_check_schema(store, &err), err);
  db_sql("update schema_migrations set sha256 = 'x' || sha256 where version = 1");
  CU_ASSERT_EQUAL(store_migrate(store, &done, &err), PX_E_CONFLICT);
  CU_ASSERT_EQUAL(store_check_schema(store, &err), PX_E_UNAVAILABLE);
  db_sql("update schema_migrations set sha256 = substr(sha256, 2) where version = 1");
  db_sql("insert into schema_migrations (version, name, sha256, serves)"
         " values (9999, 'later', 'x', 9999)");
  CU_ASSERT_EQUAL(store_migrate(store, &done, &err), PX_E_CONFLICT);
  db_sql("delete from schema_migrations where version = 9999");
  store_close(store);
}

/* Leaves a function of schema/functions/documents.sql and a trigger of jobs.sql as no build has
 * them. */
static void spoil_functions(void) {
  db_sql("create or replace function shown_state(state text) returns text language sql immutable"
         " return 'spoilt'; drop trigger if exists jobs_check_transition on jobs");
}

static const char *shown_state(void) { return db_sql("select shown_state('ready')"); }
static const char *recorded(const char *name) {
  return db_sql("select string_agg(sha256 || version, ',') from schema_functions where name = '%s'",
                name);
}

static void functions_are_applied_whole_when_one_file_is_another(void) {
  struct store *store = db_test_open("migrate");
  struct store_migrated done;
  struct px_err err;
  char before[100];
  snprintf(before, sizeof before, "%s", recorded("documents"));
  spoil_functions();
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_STRING_EQUAL(shown_state(), "spoilt"); /* the files are those that were applied */
  db_sql("update schema_functions set sha256 = 'x', version = 0 where name = 'documents'");
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_EQUAL(done.migrations, 0);
  CU_ASSERT_EQUAL(done.functions, 1);
  CU_ASSERT_STRING_EQUAL(shown_state(), "queued");
  CU_ASSERT_STRING_EQUAL(recorded("documents"), before);
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) from pg_trigger where tgname = 'jobs_check_transition'"), "1");
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_EQUAL(done.functions, 0);
  store_close(store);
}

static void a_file_of_functions_that_is_gone_is_forgotten(void) {
  struct store *store = db_test_open("migrate");
  struct store_migrated done;
  struct px_err err;
  db_sql("insert into schema_functions (name, sha256, version) values ('gone', 'x', 1)");
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_EQUAL(done.functions, 1);
  CU_ASSERT_STRING_EQUAL(db_sql("select count(*) from schema_functions where name = 'gone'"), "0");
  store_close(store);
}

static void replaced_functions_keep_owner_and_grants(void) {
  struct store *store = db_test_open("migrate");
  struct px_err err;
  static const char RIGHTS[] =
    "select md5(string_agg(proname || proowner || prosecdef || coalesce(proacl::text, '') ||"
    " coalesce(proconfig::text, ''), ',' order by proname)) from pg_proc"
    " where pronamespace = 'public'::regnamespace";
  char before[64];
  db_sql("grant execute on function rfc3339 to pg_monitor");
  snprintf(before, sizeof before, "%s", db_sql("%s", RIGHTS));
  db_sql("update schema_functions set sha256 = 'x' where name = 'base'");
  CU_OK(store_migrate(store, NULL, &err), err);
  CU_ASSERT_STRING_EQUAL(db_sql("%s", RIGHTS), before);
  db_sql("revoke execute on function rfc3339 from pg_monitor");
  store_close(store);
}

static void a_build_goes_on_with_a_later_schema_that_serves_it_and_refuses_one_that_does_not(void) {
  struct store *store = db_test_open("migrate");
  struct store_migrated done;
  struct px_err err;
  db_sql("insert into schema_migrations (version, name, sha256, serves)"
         " select max(version) + 1, 'later', 'x', max(version) from schema_migrations");
  CU_OK(store_check_schema(store, &err), err);
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_EQUAL(done.migrations, 0);
  db_sql("update schema_migrations set serves = version where name = 'later'");
  CU_ASSERT_EQUAL(store_check_schema(store, &err), PX_E_UNAVAILABLE);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "newer version"));
  CU_ASSERT_EQUAL(store_migrate(store, &done, &err), PX_E_CONFLICT);
  db_sql("delete from schema_migrations where name = 'later'");
  store_close(store);
}

static void functions_of_a_later_schema_stay_as_they_are(void) {
  struct store *store = db_test_open("migrate");
  struct store_migrated done;
  struct px_err err;
  spoil_functions();
  db_sql("insert into schema_migrations (version, name, sha256, serves)"
         " select max(version) + 1, 'later', 'x', max(version) from schema_migrations");
  db_sql("update schema_functions set sha256 = 'x', version = version + 1");
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_EQUAL(done.functions, 0);
  CU_ASSERT_STRING_EQUAL(shown_state(), "spoilt");
  db_sql("delete from schema_migrations where name = 'later'");
  CU_OK(store_migrate(store, &done, &err), err);
  CU_ASSERT_STRING_EQUAL(shown_state(), "queued");
  store_close(store);
}

static void a_database_from_before_the_first_release_is_refused_and_left_alone(void) {
  const char *url = empty_schema("before");
  db_sql("create table before.schema_migrations (version integer primary key, name text not null,"
         " sha256 text not null, applied_at timestamptz not null default clock_timestamp());"
         " insert into before.schema_migrations (version, name, sha256)"
         " values (1, 'foundation', 'x'), (2, 'discrete_actions', 'y'), (3, 'uploads', 'z')");
  static const char CONTENT[] =
    "select string_agg(relname || ' ' || relnatts, ',' order by relname)"
    " from pg_class where relnamespace = 'before'::regnamespace";
  char before[200];
  snprintf(before, sizeof before, "%s", db_sql("%s", CONTENT));
  struct store *store;
  struct px_err err;
  CU_OK(store_open(url, "before", &store, &err), err);
  CU_ASSERT_EQUAL(store_migrate(store, NULL, &err), PX_E_CONFLICT);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "before the first release"));
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Export"));
  CU_ASSERT_EQUAL(store_check_schema(store, &err), PX_E_UNAVAILABLE);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Export"));
  CU_ASSERT_STRING_EQUAL(db_sql("%s", CONTENT), before);
  store_close(store);
  db_sql("drop schema before cascade");
}

static void a_run_that_fails_leaves_nothing(void) {
  const char *url = empty_schema("half");
  db_sql("create view half.label_sets as select 1 as one"); /* in the way of a table */
  struct store *store;
  struct px_err err;
  CU_OK(store_open(url, "half", &store, &err), err);
  CU_ASSERT_NOT_EQUAL(store_migrate(store, NULL, &err), PX_OK);
  CU_ASSERT_STRING_EQUAL(
    db_sql(
      "select string_agg(relname, ' ') from pg_class where relnamespace = 'half'::regnamespace"),
    "label_sets");
  CU_ASSERT_STRING_EQUAL(
    db_sql("select count(*) from pg_proc where pronamespace = 'half'::regnamespace"), "0");
  db_sql("drop view half.label_sets");
  CU_OK(store_migrate(store, NULL, &err), err);
  CU_OK(store_check_schema(store, &err), err);
  store_close(store);
  db_sql("drop schema half cascade");
}

static void several_may_migrate_at_once(void) {
  /* An empty schema of its own, so that there is something to do. */
  const char *url = empty_schema("race");
  pid_t child[4];
  fflush(stdout);
  for (int i = 0; i < 4; i++)
    if ((child[i] = fork()) == 0) {
      struct store *store;
      struct px_err err;
      struct store_migrated done;
      if (store_open(url, "race", &store, &err) || store_migrate(store, &done, &err)) _exit(100);
      _exit(done.migrations + done.functions);
    }
  int applied = 0;
  for (int i = 0; i < 4; i++) {
    int status;
    CU_ASSERT_EQUAL_FATAL(waitpid(child[i], &status, 0), child[i]);
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) < 100);
    applied += WEXITSTATUS(status);
  }
  CU_ASSERT_EQUAL(applied,
                  (int)strtol(db_sql("select (select count(*) from race.schema_migrations) +"
                                     " (select count(*) from race.schema_functions)"),
                              NULL, 10));
  db_sql("drop schema race cascade");
}

static void a_database_without_schema_says_what_to_do(void) {
  const char *url = empty_schema("bare");
  struct store *store;
  struct px_err err;
  CU_OK(store_open(url, "bare", &store, &err), err);
  CU_ASSERT_EQUAL(store_check_schema(store, &err), PX_E_UNAVAILABLE);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "migrate"));
  store_close(store);
}

CU_MAIN("store_migrate", T(migrating_again_does_nothing_and_a_changed_file_is_refused),
        T(functions_are_applied_whole_when_one_file_is_another),
        T(a_file_of_functions_that_is_gone_is_forgotten),
        T(replaced_functions_keep_owner_and_grants),
        T(a_build_goes_on_with_a_later_schema_that_serves_it_and_refuses_one_that_does_not),
        T(functions_of_a_later_schema_stay_as_they_are),
        T(a_database_from_before_the_first_release_is_refused_and_left_alone),
        T(a_run_that_fails_leaves_nothing), T(several_may_migrate_at_once),
        T(a_database_without_schema_says_what_to_do))
