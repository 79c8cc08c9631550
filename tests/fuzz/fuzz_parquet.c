/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile Parquet files, read in this process: metadata, pages, levels and every encoding. */
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/read/parquet.h"
#include "lib/read/parquet_parts.h"
#include "tests/support/fuzz.h"
#include "tests/support/parquets.h"

enum { ROWS_MAX = 4096, WIDTH_MAX = 3, SEEDS_MAX = 8 };

static void read_column(const struct px_parquet *file, const char *name, uint32_t width) {
  static double values[ROWS_MAX * WIDTH_MAX];
  static uint8_t known[ROWS_MAX];
  struct px_parquet_column *column;
  struct px_err err = { 0 };
  enum px_status status = px_parquet_column(file, name, width, &column, &err);
  FUZZ_HOLDS(!status || (status == PX_E_BAD_DATA && err.message[0]));
  if (status) return;
  const size_t rows = px_parquet_rows(file), half = rows / 2;
  const uint32_t bytes = px_parquet_dtype(column).bytes;
  FUZZ_HOLDS(bytes == 1 || bytes == 4 || bytes == 8);
  status = px_parquet_next(column, half, values, known, &err);
  if (!status)
    status = px_parquet_next(column, rows - half, (char *)values + half * width * bytes,
                             known + half, &err);
  FUZZ_HOLDS(!status || (status == PX_E_BAD_DATA && err.message[0]));
  for (size_t i = 0; i < rows && !status; i++) FUZZ_HOLDS(known[i] <= 1);
  px_parquet_column_free(column);
}

static void one(const uint8_t *bytes, size_t n) {
  struct px_parquet *file;
  struct px_err err = { 0 };
  const enum px_status status = px_parquet_open(bytes, n, &file, &err);
  FUZZ_HOLDS(!status || (status == PX_E_BAD_DATA && err.message[0]));
  if (status) return;
  for (uint32_t i = 0; i < file->leaves_n && px_parquet_rows(file) <= ROWS_MAX; i++)
    for (uint32_t width = 1; width <= WIDTH_MAX; width++)
      read_column(file, file->leaves[i].name, width);
  px_parquet_free(file);
}

static const double NUMBERS[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 1, 0 };
static const uint8_t KNOWN[] = { 1, 0, 1, 1 };

static void put_plain(struct px_buf *out) {
  const struct parquets_numbers columns[] = {
    { "f", PX_PARQUET_FLOAT, 1, false, NUMBERS, NULL },
    { "d", PX_PARQUET_DOUBLE, 3, true, NUMBERS, KNOWN },
    { "i", PX_PARQUET_INT32, 1, false, NUMBERS, KNOWN },
    { "l", PX_PARQUET_INT64, 2, true, NUMBERS, NULL },
    { "b", PX_PARQUET_BOOLEAN, 1, false, NUMBERS + 12, NULL },
  };
  parquets_put_numbers(out, columns, sizeof columns / sizeof *columns, 4);
}

/* A list with nulls, packed with a codec, as a page of version 1 and, unless `v2`, of version 2. */
static void put_packed(struct px_buf *out, uint8_t codec, bool v2) {
  const struct parquets_numbers numbers = { "x", PX_PARQUET_FLOAT, 3, true, NUMBERS, KNOWN };
  struct px_buf body = PX_BUF(4096);
  uint8_t packed[4096];
  size_t n = sizeof packed;
  parquets_body(&body, &numbers, 4);
  uint32_t reps = 0, defs = 0;
  memcpy(&reps, body.data, 4);
  memcpy(&defs, body.data + 4 + reps, 4);
  if (v2) { /* without the lengths */
    memmove(body.data, body.data + 4, reps);
    memmove(body.data + reps, body.data + 8 + reps, body.len - 8 - reps);
    body.len -= 8;
  }
  const size_t levels = v2 ? reps + defs : 0;
  const char *src = body.data + levels;
  const size_t left = body.len - levels;
  uLongf zn = (uLongf)(sizeof packed - levels);
  memcpy(packed, body.data, levels);
  if (codec == PX_PARQUET_SNAPPY) snappy_compress(src, left, (char *)packed + levels, &n);
  else if (codec == PX_PARQUET_ZSTD)
    n = ZSTD_compress(packed + levels, sizeof packed - levels, src, left, 1);
  else if (compress(packed + levels, &zn, (const Bytef *)src, (uLong)left) == Z_OK) n = zn;
  const struct parquets_page page = { .type = v2 ? PX_PARQUET_DATA_PAGE_V2 : PX_PARQUET_DATA_PAGE,
                                      .values = 10,
                                      .body = packed,
                                      .n = levels + n,
                                      .unpacked = (int64_t)body.len,
                                      .def_bytes = defs,
                                      .rep_bytes = reps };
  const struct parquets_column column = { .name = "x",
                                          .type = PX_PARQUET_FLOAT,
                                          .codec = codec,
                                          .list = true,
                                          .pages = &page,
                                          .pages_n = 1 };
  parquets_put(out, &column, 1, 4);
  px_buf_free(&body);
}

/* Every other encoding, each in a column of its own. */
static void put_encoded(struct px_buf *out) {
  static const uint8_t indices[] = { 2, 3, 0xe4, 0x00 }, truths[] = { 2, 0, 0, 0, 3, 0x0a };
  static const uint8_t deltas[] = { 128, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0 };
  static const uint8_t split[32] = { 1, 2, 3 };
  static const float floats[] = { 1, 2, 3, 4 };
  const struct parquets_page dictionary[] = {
    { .type = PX_PARQUET_DICTIONARY_PAGE, .values = 4, .body = floats, .n = sizeof floats },
    { .encoding = PX_PARQUET_RLE_DICTIONARY, .values = 4, .body = indices, .n = sizeof indices },
    { .encoding = PX_PARQUET_PLAIN, .values = 4, .body = floats, .n = sizeof floats },
  };
  const struct parquets_page delta = {
    .encoding = PX_PARQUET_DELTA_BINARY_PACKED, .values = 8, .body = deltas, .n = sizeof deltas
  };
  const struct parquets_page parts = {
    .encoding = PX_PARQUET_BYTE_STREAM_SPLIT, .values = 8, .body = split, .n = sizeof split
  };
  const struct parquets_page truth = {
    .encoding = PX_PARQUET_RLE, .values = 8, .body = truths, .n = sizeof truths
  };
  const struct parquets_column columns[] = {
    { .name = "dictionary", .type = PX_PARQUET_FLOAT, .pages = dictionary, .pages_n = 3 },
    { .name = "delta", .type = PX_PARQUET_INT32, .pages = &delta, .pages_n = 1 },
    { .name = "split", .type = PX_PARQUET_FLOAT, .pages = &parts, .pages_n = 1 },
    { .name = "truth", .type = PX_PARQUET_BOOLEAN, .pages = &truth, .pages_n = 1 },
  };
  parquets_put(out, columns, sizeof columns / sizeof *columns, 8);
}

int main(int argc, char **argv) {
  static const uint8_t codecs[] = { PX_PARQUET_SNAPPY, PX_PARQUET_ZSTD, PX_PARQUET_GZIP };
  struct px_buf files[SEEDS_MAX];
  struct fuzz_seed seeds[SEEDS_MAX];
  for (size_t i = 0; i < SEEDS_MAX; i++) {
    files[i] = PX_BUF(FUZZ_BYTES_MAX);
    if (i == 0) put_plain(&files[i]);
    else if (i == 1) put_encoded(&files[i]);
    else put_packed(&files[i], codecs[i / 2 - 1], i % 2);
    seeds[i] = (struct fuzz_seed){ files[i].data, files[i].len };
  }
  const int rc = fuzz_run(argc, argv, one, seeds, SEEDS_MAX, 20000);
  for (size_t i = 0; i < SEEDS_MAX; i++) px_buf_free(&files[i]);
  return rc;
}
