/* SPDX-License-Identifier: Apache-2.0 */
/* A table of tests run by CUnit: see cu.h. */
#include "tests/support/cu.h"
#include "tests/support/helpers.h"

#include <stdlib.h>
#include <string.h>

int cu_patience(void) {
  const char *given = getenv("PX_PATIENCE");
  const long n = given ? strtol(given, NULL, 10) : 0;
  return n >= 1 && n <= 100 ? (int)n : 5;
}

int cu_run(const char *suite, const struct cu_test *tests, size_t n, int argc, char **argv) {
  /* a test that reads uploads starts itself again */
  const int helper = helpers_main(argc, argv);
  if (helper >= 0) return helper;
  if (CU_initialize_registry() != CUE_SUCCESS) return 2;
  CU_pSuite s = CU_add_suite(suite, NULL, NULL);
  if (!s) return 2;
  for (size_t i = 0; i < n; i++)
    if (argc < 2 || strstr(tests[i].name, argv[1]))
      if (!CU_add_test(s, tests[i].name, tests[i].run)) return 2;
  CU_basic_set_mode(CU_BRM_VERBOSE);
  CU_basic_run_tests();
  const unsigned failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
  const unsigned ran = CU_get_number_of_tests_run();
  CU_cleanup_registry();
  return failed || ran == 0 ? 1 : 0;
}
