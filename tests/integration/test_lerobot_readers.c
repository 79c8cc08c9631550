/* SPDX-License-Identifier: Apache-2.0 */
/* LeRobot exports as DuckDB and hyparquet read them, against the JSON lines of the same dataset. */
#include <stdlib.h>

#include "lib/data/spaces.h"
#include "tests/support/cu.h"
#include "tests/support/exports.h"
#include "tests/support/npm.h"

static void read_by_two(struct px_spaces spaces) {
  struct exported x;
  exports_make_of(&x, spaces);
  free(exports_write(&x, PX_WRITE_LEROBOT, PX_WRITE_BOTH, "both"));
  free(exports_write(&x, PX_WRITE_JSONL, PX_WRITE_BOTH, "both"));
  const char *const arguments[] = { x.dir, "both", NULL };
  CU_ASSERT_EQUAL(npm_run("lerobot_readers", "tests/parquet/check.mjs", arguments), 0);
  exports_free(&x);
}

static void two_readers_see_the_same_values(void) { read_by_two(trajs_spaces(4, 2)); }
static void they_see_discrete_actions_as_whole_numbers(void) { read_by_two(trajs_discrete(6, 6)); }

CU_MAIN("lerobot_readers", T(two_readers_see_the_same_values),
        T(they_see_discrete_actions_as_whole_numbers))
