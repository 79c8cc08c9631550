/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that need the npm packages of their folder. Thread safe. */
#ifndef PX_TESTS_SUPPORT_NPM_H
#define PX_TESTS_SUPPORT_NPM_H

enum { NPM_ARGUMENTS_MAX = 6 };

/* Runs a script (tests/parquet/check.mjs) with these arguments, of which the last is NULL, and
 * returns its exit status. Where npm is missing it says that the test `name` is left out, and ends
 * the program. */
int npm_run(const char *name, const char *script, const char *const *arguments);

#endif
