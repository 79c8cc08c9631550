/* SPDX-License-Identifier: Apache-2.0 */
/* Parquet files of DuckDB and of Apache Arrow (parquet-wasm), read value by value. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/scratch.h"
#include "lib/read/dtype.h"
#include "lib/read/parquet.h"
#include "tests/support/cu.h"
#include "tests/support/npm.h"
#include "tests/support/uploads.h"

enum { FILES_MIN = 18, COLUMNS_MIN = 15, PIECE = 700 };

static char *contents(const char *folder, const char *name, const char *more, size_t *n) {
  char path[PX_SCRATCH_PATH_MAX + 256];
  snprintf(path, sizeof path, "%s/%s%s", folder, name, more);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  CU_ASSERT_FATAL(fd >= 0);
  char *bytes = uploads_contents(fd, n);
  close(fd);
  return bytes;
}

/* Reads in pieces, which end in the middle of pages. */
static bool same(const struct px_parquet *file, const char *name, uint32_t width, size_t rows,
                 const double *values, const uint8_t *known) {
  struct px_parquet_column *column;
  struct px_err err = { 0 };
  if (px_parquet_column(file, name, width, &column, &err)) return !printf("%s\n", err.message);
  static char raw[PIECE * 64 * 8];
  static double wide[PIECE * 64];
  static uint8_t got[PIECE];
  bool equal = px_parquet_rows(file) == rows;
  for (size_t at = 0, n; at < rows && equal; at += n) {
    n = rows - at < PIECE ? rows - at : PIECE;
    if (px_parquet_next(column, n, raw, got, &err)) equal = !printf("%s\n", err.message);
    px_dtype_to_double(px_parquet_dtype(column), raw, n * width, wide);
    equal = equal && !memcmp(got, known + at, n) &&
            !memcmp(wide, values + at * width, n * width * sizeof *wide);
  }
  px_parquet_column_free(column);
  return equal;
}

static void check_column(const char *folder, const char *name, const char *column, uint32_t width,
                         size_t rows) {
  char ending[160];
  size_t n, told_n;
  snprintf(ending, sizeof ending, ".%s", column);
  char *bytes = contents(folder, name, ".parquet", &n);
  char *told = contents(folder, name, ending, &told_n);
  struct px_parquet *file;
  struct px_err err = { 0 };
  CU_ASSERT_FATAL(width < 64 && told_n == rows * (width * sizeof(double) + 1));
  CU_OK(px_parquet_open(bytes, n, &file, &err), err);
  const uint8_t *known = (const uint8_t *)told + rows * width * sizeof(double);
  const bool equal = same(file, column, width, rows, (const double *)(const void *)told, known);
  if (!equal) printf("\n  %s.parquet: %s differs\n", name, column);
  CU_ASSERT(equal);
  CU_ASSERT(!px_parquet_has(file, "words") ||
            px_parquet_column(file, "words", 1, &(struct px_parquet_column *){ 0 }, &err) ==
              PX_E_BAD_DATA);
  px_parquet_free(file);
  free(told);
  free(bytes);
}

static void two_writers_files_are_read_value_by_value(void) {
  struct px_scratch scratch;
  struct px_err err = { 0 };
  char list[PX_SCRATCH_PATH_MAX + 8], name[64], column[64];
  uint32_t width;
  size_t rows;
  int columns = 0;
  CU_OK(px_scratch_open(px_scratch_home(), &scratch, &err), err);
  const char *const arguments[] = { scratch.path, NULL };
  CU_ASSERT_EQUAL_FATAL(npm_run("parquet_peers", "tests/parquet/write.mjs", arguments), 0);
  snprintf(list, sizeof list, "%s/list", scratch.path);
  FILE *told = fopen(list, "re");
  CU_ASSERT_FATAL(told != NULL);
  for (; fscanf(told, "%63s %63s %u %zu", name, column, &width, &rows) == 4; columns++)
    check_column(scratch.path, name, column, width, rows);
  fclose(told);
  CU_ASSERT(columns >= FILES_MIN * COLUMNS_MIN);
  px_scratch_close(&scratch);
}

CU_MAIN("parquet_peers", T(two_writers_files_are_read_value_by_value))
