/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every CUnit program shares: a table of named tests and a main.
 *
 *   static void expired_lease_returns_job_to_ready(void) { ... }
 *   CU_MAIN("store_job", T(expired_lease_returns_job_to_ready), ...)
 *
 * The program exits 1 when a test fails. Names state behaviour.
 */
#ifndef PX_TESTS_SUPPORT_CU_H
#define PX_TESTS_SUPPORT_CU_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

struct cu_test {
  const char *name;
  CU_TestFunc run;
};
#define T(function) \
  { #function, function }

/* Runs the tests whose name contains argv[1], or all; returns the exit status. */
int cu_run(const char *suite, const struct cu_test *tests, size_t n, int argc, char **argv);

/* What a test's deadlines are multiplied by: PX_PATIENCE, or 5. They end a hang, and are those of
 * an idle machine. */
int cu_patience(void);

#define CU_MAIN(suite, ...) \
  int main(int argc, char **argv) { \
    static const struct cu_test tests[] = { __VA_ARGS__ }; \
    return cu_run(suite, tests, sizeof tests / sizeof *tests, argc, argv); \
  }

/* Asserts that a call succeeded, and prints the error when it did not. */
#define CU_OK(call, err) \
  do { \
    const enum px_status cu_status = (call); \
    if (cu_status) \
      printf("\n  %s:%d: %s: %s\n", __FILE__, __LINE__, px_status_slug(cu_status), (err).message); \
    CU_ASSERT_EQUAL_FATAL(cu_status, PX_OK); \
  } while (0)

#endif
