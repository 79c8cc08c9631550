/* SPDX-License-Identifier: Apache-2.0 */
/* Parquet: encodings by their documents' examples, and files that lie. Real writers' files are read
 * in tests/integration/test_parquet_peers.c. */
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/read/parquet.h"
#include "lib/read/parquet_parts.h"
#include "lib/read/thrift.h"
#include "tests/support/cu.h"
#include "tests/support/parquets.h"

enum { FILE_MAX = 1 << 20 };

static void the_documents_examples_decode(void) {
  /* Encodings.md: the numbers 0 to 7, of three bits each */
  static const uint8_t packed[] = { 3, 0x88, 0xc6, 0xfa }, run[] = { 16, 5 };
  uint32_t out[8];
  CU_ASSERT(px_parquet_hybrid(packed, sizeof packed, 3, out, 8));
  for (uint32_t i = 0; i < 8; i++) CU_ASSERT_EQUAL(out[i], i);
  CU_ASSERT(px_parquet_hybrid(run, sizeof run, 3, out, 8));
  for (uint32_t i = 0; i < 8; i++) CU_ASSERT_EQUAL(out[i], 5);
  /* deltas of 7, 5, 3, 1, 2, 3, 4, 5: least -2, of two bits */
  static const uint8_t deltas[] = { 128, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0 };
  static const int32_t numbers[] = { 7, 5, 3, 1, 2, 3, 4, 5 };
  int32_t got[8];
  CU_ASSERT(px_parquet_delta(deltas, sizeof deltas, 4, got, 8));
  CU_ASSERT(!memcmp(got, numbers, sizeof numbers));
  /* byte stream split: three floats' first bytes, then their second ones ... */
  static const uint8_t split[] = { 0xaa, 0,    0xa3, 0xbb, 0x11, 0xb4,
                                   0xcc, 0x22, 0xc5, 0xdd, 0x33, 0xd6 };
  static const uint8_t whole[] = { 0xaa, 0xbb, 0xcc, 0xdd, 0,    0x11,
                                   0x22, 0x33, 0xa3, 0xb4, 0xc5, 0xd6 };
  uint8_t bytes[12];
  CU_ASSERT(px_parquet_split(split, 12, 4, bytes, 3) && !memcmp(bytes, whole, 12));
}

static void encodings_that_end_early_are_refused(void) {
  static const uint8_t packed[] = { 3, 0x88, 0xc6, 0xfa },
                       deltas[] = { 128, 1, 4, 8, 14, 3, 2, 0, 0, 0 };
  uint32_t out[64];
  uint8_t levels[8];
  bool all;
  for (size_t n = 0; n < sizeof packed; n++) CU_ASSERT(!px_parquet_hybrid(packed, n, 3, out, 8));
  CU_ASSERT(!px_parquet_hybrid(packed, sizeof packed, 3, out, 16));
  CU_ASSERT(!px_parquet_hybrid(packed, sizeof packed, 33, out, 8));
  CU_ASSERT(!px_parquet_levels(packed, sizeof packed, 6, levels, 8, &all)); /* one is 7 */
  CU_ASSERT(!px_parquet_levels((const uint8_t[]){ 16, 3 }, 2, 2, levels, 8, &all));
  CU_ASSERT(
    !px_parquet_hybrid((const uint8_t[]){ 0, 5, 0, 5 }, 4, 3, out, 8)); /* runs of nothing */
  for (size_t n = 0; n <= sizeof deltas; n++) CU_ASSERT(!px_parquet_delta(deltas, n, 4, out, 8));
  CU_ASSERT(!px_parquet_delta((const uint8_t[]){ 1, 1, 1, 0 }, 4, 4, out, 1)); /* a block of one */
  CU_ASSERT(!px_parquet_split(packed, 4, 4, out, 2));
  CU_ASSERT(!px_parquet_bits(packed, 1, levels, 9));
}

static void thrift_nests_only_so_far_and_ends_with_its_bytes(void) {
  static uint8_t lists[4096];
  memset(lists, 0x19, sizeof lists); /* field 1: a list of one list of one list ... */
  struct px_thrift t = { lists, lists + sizeof lists, false };
  struct px_thrift_field field = { 0 };
  CU_ASSERT(px_thrift_next(&t, &field));
  px_thrift_skip(&t, &field);
  CU_ASSERT(t.broken && !px_thrift_next(&t, &field));
  static const struct {
    uint8_t bytes[12];
    size_t n;
  } CASES[] = { { { 0x15 }, 1 },                                        /* no number */
                { { 0x15, 0x80, 0x80 }, 3 },                            /* no end of one */
                { { 0x18, 5, 'a' }, 3 },                                /* text of five */
                { { 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f }, 7 },    /* 2^32 structs */
                { { 0x1b, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x11 }, 7 },    /* as many pairs */
                { { 0x1e, 0 }, 2 },                                     /* no such type */
                { { 0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0 }, 8 }, /* field 2^31 */
                { { 0x17, 0, 0 }, 3 } };                                /* a third of a double */
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    t = (struct px_thrift){ CASES[i].bytes, CASES[i].bytes + CASES[i].n, false };
    for (field = (struct px_thrift_field){ 0 }; px_thrift_next(&t, &field);)
      px_thrift_skip(&t, &field);
    CU_ASSERT(t.broken);
  }
}

/* A file of one column, in the making. */
struct sample {
  struct parquets_column column;
  struct parquets_page pages[3];
  int64_t rows;
  uint32_t width;
};
static const double FOUR[] = { 1, 2, 3, 4 };
static const float FLOATS[] = { 1, 2, 3, 4 };

static struct sample plain(void) {
  return (struct sample){ .column = { .name = "x", .type = PX_PARQUET_FLOAT, .pages_n = 1 },
                          .pages = { { .values = 4, .body = FLOATS, .n = sizeof FLOATS } },
                          .rows = 4,
                          .width = 1 };
}

/* Reads all rows of "x" into out [rows, width] of float. */
static enum px_status read_all(const struct px_buf *file, uint32_t width, void *out, uint8_t *known,
                               struct px_err *err) {
  struct px_parquet *p;
  struct px_parquet_column *column;
  enum px_status status = px_parquet_open(file->data, file->len, &p, err);
  if (status) return status;
  status = px_parquet_column(p, "x", width, &column, err);
  if (!status) {
    status = px_parquet_rows(p) > 64 ? px_fail(err, PX_E_TOO_LARGE, "too many rows")
                                     : px_parquet_next(column, px_parquet_rows(p), out, known, err);
    px_parquet_column_free(column);
  }
  px_parquet_free(p);
  return status;
}

static bool refused(struct sample *s, const char *words) {
  struct px_buf file = PX_BUF(FILE_MAX);
  struct px_err err = { 0 };
  float out[1024];
  uint8_t known[64];
  s->column.pages = s->pages;
  parquets_put(&file, &s->column, 1, s->rows);
  const enum px_status status = read_all(&file, s->width, out, known, &err);
  px_buf_free(&file);
  const bool good = status == PX_E_BAD_DATA && strstr(err.message, words);
  if (!good) printf("\n  expected: %s\n  got %s: %s\n", words, px_status_slug(status), err.message);
  return good;
}

static void plain_columns_of_every_type_are_read(void) {
  static const uint8_t types[] = { PX_PARQUET_FLOAT, PX_PARQUET_DOUBLE, PX_PARQUET_INT32,
                                   PX_PARQUET_INT64 };
  static const uint8_t some[] = { 1, 0, 1, 1 };
  for (size_t i = 0; i < sizeof types; i++)
    for (int list = 0; list < 2; list++) {
      const struct parquets_numbers x = { "x", types[i], 1 + (uint32_t)list, list, FOUR, some };
      struct px_buf file = PX_BUF(FILE_MAX);
      struct px_err err = { 0 };
      double out[4] = { 9, 9, 9, 9 };
      uint8_t known[4] = { 9, 9, 9, 9 };
      const size_t rows = list ? 2 : 4;
      parquets_put_numbers(&file, &x, 1, rows);
      CU_OK(read_all(&file, x.width, out, known, &err), err);
      CU_ASSERT(!memcmp(known, some, rows));
      if (types[i] == PX_PARQUET_DOUBLE) {
        const double wanted[2][4] = { { 1, 0, 3, 4 }, { 1, 2, 0, 0 } };
        CU_ASSERT(!memcmp(out, wanted[list], sizeof out));
      }
      px_buf_free(&file);
    }
}

static void sizes_that_lie_are_refused(void) {
  struct sample s = plain();
  s.pages[0].packed = 1 << 30;
  CU_ASSERT(refused(&s, "bytes"));
  s = plain(), s.pages[0].packed = -5;
  CU_ASSERT(refused(&s, "bytes"));
  s = plain(), s.pages[0].unpacked = 1 << 30;
  CU_ASSERT(refused(&s, "not packed"));
  s = plain(), s.pages[0].values = 5, s.rows = 5;
  CU_ASSERT(refused(&s, "does not hold its 5 values"));
  s = plain(), s.rows = 5;
  CU_ASSERT(refused(&s, "declares 4 values for 5 rows"));
  s = plain(), s.rows = 3;
  CU_ASSERT(refused(&s, "declares 4 values for 3 rows"));
  s = plain(), s.rows = -1;
  CU_ASSERT(refused(&s, "rows"));
  s = plain(), s.column.values = 5, s.rows = 5; /* pages end before */
  CU_ASSERT(refused(&s, "header of a page is malformed"));
  s = plain(), s.column.values = 3, s.rows = 3;
  CU_ASSERT(refused(&s, "more values than its metadata"));
  s = plain(), s.column.offset = 1 << 20;
  CU_ASSERT(refused(&s, "outside the file"));
  s = plain(), s.column.codec = 4;
  CU_ASSERT(refused(&s, "codec 4"));
  s = plain(), s.pages[0].encoding = 7;
  CU_ASSERT(refused(&s, "encoding 7"));
  s = plain(), s.pages[0].type = 9;
  CU_ASSERT(refused(&s, "type 9"));
  s = plain(), s.column.type = 6;
  CU_ASSERT(refused(&s, "holds no numbers"));
}

static void a_bomb_is_refused_before_it_is_unpacked(void) {
  static char zeros[4 << 20], bomb[5 << 20];
  size_t n = sizeof bomb;
  CU_ASSERT_FATAL(snappy_compress(zeros, sizeof zeros, bomb, &n) == SNAPPY_OK && n < 300000);
  struct sample s = plain();
  s.column.codec = PX_PARQUET_SNAPPY;
  s.pages[0].body = bomb, s.pages[0].n = n, s.pages[0].unpacked = sizeof zeros;
  CU_ASSERT(refused(&s, "a page of 4 values declares 4194304 bytes"));
  s.pages[0].unpacked = 16; /* it says so, and is not */
  CU_ASSERT(refused(&s, "does not unpack with snappy to the 16"));
  s.column.codec = PX_PARQUET_ZSTD;
  CU_ASSERT(refused(&s, "does not unpack with zstd"));
  s.column.codec = PX_PARQUET_GZIP;
  CU_ASSERT(refused(&s, "does not unpack with gzip"));
}

/* One gzip member of src[n] to dst; its bytes. */
static size_t put_gzip(uint8_t *dst, size_t cap, const void *src, size_t n) {
  z_stream z = {
    .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)n, .next_out = dst, .avail_out = (uInt)cap
  };
  CU_ASSERT_FATAL(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK &&
                  deflate(&z, Z_FINISH) == Z_STREAM_END);
  deflateEnd(&z);
  return cap - z.avail_out;
}

static void a_page_may_have_several_gzip_members(void) {
  uint8_t body[256], known[4];
  float out[4];
  size_t n = put_gzip(body, sizeof body, FLOATS, 4);
  n += put_gzip(body + n, sizeof body - n, FLOATS + 1, 12);
  struct sample s = plain();
  struct px_buf file = PX_BUF(FILE_MAX);
  struct px_err err = { 0 };
  s.column.codec = PX_PARQUET_GZIP;
  s.pages[0].body = body, s.pages[0].n = n, s.pages[0].unpacked = sizeof FLOATS;
  s.column.pages = s.pages;
  parquets_put(&file, &s.column, 1, 4);
  CU_OK(read_all(&file, 1, out, known, &err), err);
  CU_ASSERT(!memcmp(out, FLOATS, sizeof out));
  px_buf_free(&file);
  s.pages[0].n = n - 1;
  CU_ASSERT(refused(&s, "does not unpack with gzip"));
  s.pages[0].n = n, s.pages[0].unpacked = 20;
  CU_ASSERT(refused(&s, "does not unpack with gzip"));
}

static void dictionaries_are_kept_to(void) {
  static const uint8_t good[] = { 2, 3, 0xe4, 0x00 }, beyond[] = { 3, 8, 5 }, cut[] = { 2 };
  struct sample s = plain();
  s.column.pages_n = 2;
  s.pages[0] = (struct parquets_page){
    .type = PX_PARQUET_DICTIONARY_PAGE, .values = 4, .body = FLOATS, .n = sizeof FLOATS
  };
  s.pages[1] = (struct parquets_page){
    .encoding = PX_PARQUET_RLE_DICTIONARY, .values = 4, .body = good, .n = sizeof good
  };
  s.column.pages = s.pages;
  struct px_buf file = PX_BUF(FILE_MAX);
  struct px_err err = { 0 };
  float out[4];
  uint8_t known[4];
  parquets_put(&file, &s.column, 1, 4);
  CU_OK(read_all(&file, 1, out, known, &err), err);
  CU_ASSERT(!memcmp(out, FLOATS, sizeof out)); /* indices 0, 1, 2, 3 */
  px_buf_free(&file);
  struct sample bad = s;
  bad.pages[1].body = beyond, bad.pages[1].n = sizeof beyond;
  CU_ASSERT(refused(&bad, "an index lies beyond the dictionary's 4 entries"));
  bad = s, bad.pages[1].body = cut, bad.pages[1].n = sizeof cut;
  CU_ASSERT(refused(&bad, "indices of a page are malformed"));
  bad = s, bad.pages[0].values = 5;
  CU_ASSERT(refused(&bad, "5 entries for 4 values"));
  bad = s, bad.pages[0].n = 8;
  CU_ASSERT(refused(&bad, "has 8 bytes"));
  bad = s, bad.pages[1] = s.pages[0], bad.pages[2] = s.pages[1], bad.column.pages_n = 3;
  CU_ASSERT(refused(&bad, "a dictionary too many"));
  bad = s, bad.pages[0] = s.pages[1], bad.column.pages_n = 1;
  CU_ASSERT(refused(&bad, "there is none"));
}

/* One digit a level, as runs of one, with their length before them. */
static size_t put_levels(uint8_t *out, const char *digits) {
  const uint32_t n = (uint32_t)strlen(digits) * 2;
  memcpy(out, &n, sizeof n);
  for (uint32_t i = 0; i < n / 2; i++)
    out[4 + 2 * i] = 2, out[5 + 2 * i] = (uint8_t)(digits[i] - '0');
  return 4 + n;
}

/* Rows of three numbers, of one page with these levels. */
static bool list_refused(const char *reps, const char *defs, int64_t rows, const char *words) {
  static const float six[6] = { 1, 2, 3, 4, 5, 6 };
  uint8_t body[256];
  size_t n = put_levels(body, reps);
  n += put_levels(body + n, defs);
  memcpy(body + n, six, sizeof six);
  struct sample s = plain();
  s.column.list = true;
  s.rows = rows, s.width = 3;
  s.pages[0] =
    (struct parquets_page){ .values = (uint32_t)strlen(reps), .body = body, .n = n + sizeof six };
  return refused(&s, words);
}

static void lists_of_other_lengths_are_refused_with_their_row(void) {
  CU_ASSERT(list_refused("011101", "333333", 2, "x, row 0: the row has more than 3 numbers"));
  CU_ASSERT(list_refused("011010", "333333", 3, "x, row 1: the row has 2 numbers, where 3"));
  CU_ASSERT(list_refused("0110", "3331", 2, "x, row 1: the row has 0 numbers, where 3"));
  CU_ASSERT(list_refused("011011", "333323", 2, "x, row 1: 1 of 3 numbers are null"));
  CU_ASSERT(list_refused("111011", "333333", 2, "x, row 0: no row begins here"));
  CU_ASSERT(list_refused("011011", "333313", 2, "x, row 1: its levels are malformed"));
  CU_ASSERT(list_refused("011000", "333300", 3, "x, row 1: the row has 1 numbers"));
  CU_ASSERT(list_refused("011011", "333333", 3, "row 2: its row group ends before"));
  CU_ASSERT(list_refused("011021", "333333", 2, "levels of a page are malformed"));
  CU_ASSERT(list_refused("011011", "333334", 2, "levels of a page are malformed"));
  const struct parquets_numbers two = { "x", PX_PARQUET_FLOAT, 2, true, FOUR, NULL };
  struct px_buf file = PX_BUF(FILE_MAX);
  struct px_err err = { 0 };
  float out[12];
  uint8_t known[2];
  parquets_put_numbers(&file, &two, 1, 2);
  CU_ASSERT_EQUAL(read_all(&file, 3, out, known, &err), PX_E_BAD_DATA);
  CU_ASSERT_STRING_EQUAL(err.pointer, "x, row 0");
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "the row has 2 numbers, where 3 are expected"));
  px_buf_free(&file);
}

static void levels_of_version_2_must_fit_into_their_page(void) {
  struct sample s = plain();
  s.pages[0].type = PX_PARQUET_DATA_PAGE_V2;
  s.pages[0].def_bytes = 17;
  CU_ASSERT(refused(&s, "take more bytes than it has"));
  s.pages[0].def_bytes = 1u << 31 >> 1, s.pages[0].rep_bytes = 1u << 31 >> 1;
  CU_ASSERT(refused(&s, "take more bytes than it has"));
  s.pages[0].def_bytes = 0, s.pages[0].rep_bytes = 4;
  CU_ASSERT(refused(&s, "does not hold its 4 values"));
}

/* Every cut and every changed byte of the metadata is refused, or reads as something. */
static void cut_files_are_refused(void) {
  const struct parquets_numbers x = { "x", PX_PARQUET_FLOAT, 1, false, FOUR, NULL };
  struct px_buf file = PX_BUF(FILE_MAX);
  struct px_err err = { 0 };
  float out[64];
  uint8_t known[64];
  parquets_put_numbers(&file, &x, 1, 4);
  const size_t whole = file.len;
  CU_OK(read_all(&file, 1, out, known, &err), err);
  for (file.len = 0; file.len < whole; file.len++)
    CU_ASSERT_EQUAL(read_all(&file, 1, out, known, &err), PX_E_BAD_DATA);
  px_buf_free(&file);
}

static void a_name_that_is_there_twice_or_not_is_refused(void) {
  const struct parquets_numbers x = { "x", PX_PARQUET_FLOAT, 1, false, FOUR, NULL };
  const struct parquets_numbers twice[] = { x, x };
  struct parquets_numbers other = x;
  struct px_buf file = PX_BUF(FILE_MAX);
  struct px_err err = { 0 };
  float out[4];
  uint8_t known[4];
  parquets_put_numbers(&file, twice, 2, 4);
  CU_ASSERT_EQUAL(read_all(&file, 1, out, known, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "is there 2 times"));
  file.len = 0;
  other.name = "y";
  parquets_put_numbers(&file, &other, 1, 4);
  CU_ASSERT_EQUAL(read_all(&file, 1, out, known, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "'x' is missing"));
  px_buf_free(&file);
}

CU_MAIN("parquet", T(the_documents_examples_decode), T(encodings_that_end_early_are_refused),
        T(thrift_nests_only_so_far_and_ends_with_its_bytes),
        T(plain_columns_of_every_type_are_read), T(sizes_that_lie_are_refused),
        T(a_bomb_is_refused_before_it_is_unpacked), T(a_page_may_have_several_gzip_members),
        T(dictionaries_are_kept_to), T(lists_of_other_lengths_are_refused_with_their_row),
        T(levels_of_version_2_must_fit_into_their_page), T(cut_files_are_refused),
        T(a_name_that_is_there_twice_or_not_is_refused))
