/* SPDX-License-Identifier: Apache-2.0 */
/* LeRobot folders whose Parquet files DuckDB and Apache Arrow (parquet-wasm) have written, uploaded
 * and read value by value. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/scratch.h"
#include "tests/support/cu.h"
#include "tests/support/npm.h"
#include "tests/support/uploads.h"

enum { EPISODES = 7, STEPS = 300, O = 9, A = 6, WIDTH = O + A + 1 };

static int open_in(const char *folder, const char *writer, const char *ending) {
  char path[PX_SCRATCH_PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/%s.%s", folder, writer, ending);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  CU_ASSERT_FATAL(fd >= 0);
  return fd;
}

/* One trajectory against what the writer has told. */
static bool same(const struct px_traj *t, const double *values, const uint8_t *known) {
  bool equal = t->steps == STEPS && t->actions;
  for (size_t i = 0; i < STEPS && equal; i++) {
    const double *row = values + i * WIDTH;
    const bool labelled = !t->labelled || t->labelled[i];
    equal = labelled == known[i] && (double)t->rewards[i] == row[O + A];
    for (size_t j = 0; j < O; j++) equal = equal && (double)t->observations[i * O + j] == row[j];
    for (size_t j = 0; j < A && labelled; j++)
      equal = equal && (double)t->actions[i * A + j] == row[O + j];
  }
  return equal;
}

static void read_of(const char *writer) {
  struct px_scratch scratch;
  struct px_err err = { 0 };
  struct trajs list = { .spaces = trajs_spaces(O, A) };
  struct px_read_report report;
  char episodes[16], steps[16];
  size_t n;
  CU_OK(px_scratch_open(px_scratch_home(), &scratch, &err), err);
  snprintf(episodes, sizeof episodes, "%d", EPISODES);
  snprintf(steps, sizeof steps, "%d", STEPS);
  const char *const arguments[] = { scratch.path, writer, episodes, steps, NULL };
  CU_ASSERT_EQUAL_FATAL(npm_run("lerobot_peers", "tests/parquet/folder.mjs", arguments), 0);
  const int fd = open_in(scratch.path, writer, "values");
  char *told = uploads_contents(fd, &n);
  close(fd);
  CU_ASSERT_FATAL(n == (size_t)EPISODES * STEPS * (WIDTH * sizeof(double) + 1));
  CU_OK(uploads_read(open_in(scratch.path, writer, "tar"), PX_FORMAT_LEROBOT, NULL, &list, &report,
                     &err),
        err);
  CU_ASSERT_FATAL(list.n == EPISODES);
  const double *values = (const double *)(const void *)told;
  const uint8_t *known = (const uint8_t *)(values + (size_t)EPISODES * STEPS * WIDTH);
  for (size_t e = 0; e < EPISODES; e++) {
    CU_ASSERT(same(&list.items[e], values + e * STEPS * WIDTH, known + e * STEPS));
    CU_ASSERT(list.items[e].terminated == !(e % 2) && list.items[e].truncated == e % 2);
  }
  trajs_free(&list);
  free(told);
  px_scratch_close(&scratch);
}

static void a_folder_of_duckdb_is_read_value_by_value(void) { read_of("duckdb"); }
static void a_folder_of_arrow_is_read_value_by_value(void) { read_of("wasm"); }

CU_MAIN("lerobot_peers", T(a_folder_of_duckdb_is_read_value_by_value),
        T(a_folder_of_arrow_is_read_value_by_value))
