/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors container: writing, strict parsing. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"
#include "tests/support/cu.h"

static struct px_buf written(void) {
  static const float floats[] = { 1, 2, 3, 4, 5, 6 };
  static const uint8_t bytes[] = { 7, 8, 9 };
  static const int64_t longs[] = { -1, INT64_MAX };
  struct px_safetensors_tensor tensors[] = {
    { "flags", PX_DTYPE_U8, 1, { 3 }, bytes, 0, 0 },
    { "x", PX_DTYPE_F32, 2, { 2, 3 }, floats, 0, 0 },
    { "empty", PX_DTYPE_F32, 2, { 0, 3 }, NULL, 0, 0 },
    { "n", PX_DTYPE_I64, 1, { 2 }, longs, 0, 0 },
    { "one", PX_DTYPE_F32, 0, { 0 }, floats, 0, 0 },
  };
  const struct px_safetensors_meta meta[] = { { "format", "test" },
                                              { "quote\"", "line\nbreak \xc3\xa9" } };
  struct px_buf out = PX_BUF(1 << 20);
  struct px_err err = { 0 };
  CU_OK(px_safetensors_write(tensors, 5, meta, 2, &out, &err), err);
  return out;
}

static void what_is_written_is_read_back(void) {
  struct px_buf file = written();
  struct px_err err = { 0 };
  struct px_safetensors *st = NULL;
  CU_OK(px_safetensors_parse(file.data, file.len, &st, &err), err);
  CU_ASSERT_EQUAL(px_safetensors_tensors_n(st), 5);
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "format"), "test");
  CU_ASSERT_STRING_EQUAL(px_safetensors_meta(st, "quote\""), "line\nbreak \xc3\xa9");
  CU_ASSERT_PTR_NULL(px_safetensors_meta(st, "none"));
  const struct px_safetensors_tensor *x = px_safetensors_find(st, "x");
  CU_ASSERT_PTR_NOT_NULL_FATAL(x);
  CU_ASSERT_EQUAL(x->bytes, 24);
  float third;
  memcpy(&third, (const char *)x->data + 8, sizeof third);
  CU_ASSERT_EQUAL(third, 3.0f);
  const void *data = NULL;
  CU_OK(px_safetensors_take(st, "n", PX_DTYPE_I64, 1, (uint64_t[]){ 2 }, &data, &err), err);
  CU_ASSERT_EQUAL(((const int64_t *)data)[1], INT64_MAX);
  CU_OK(px_safetensors_take(st, "one", PX_DTYPE_F32, 0, NULL, &data, &err), err);
  CU_ASSERT_EQUAL(px_safetensors_take(st, "n", PX_DTYPE_I64, 1, (uint64_t[]){ 3 }, &data, &err),
                  PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(px_safetensors_take(st, "n", PX_DTYPE_F64, 1, (uint64_t[]){ 2 }, &data, &err),
                  PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(px_safetensors_take(st, "m", PX_DTYPE_I64, 1, (uint64_t[]){ 2 }, &data, &err),
                  PX_E_BAD_DATA);
  px_safetensors_free(st);
  px_buf_free(&file);
}

static void data_starts_at_64_and_every_tensor_is_aligned(void) {
  struct px_buf file = written();
  uint64_t header_n;
  memcpy(&header_n, file.data, sizeof header_n);
  CU_ASSERT_EQUAL((header_n + 8) % 64, 0);
  char *aligned = px_mem_calloc(file.len, 1);
  memcpy(aligned, file.data, file.len);
  struct px_err err = { 0 };
  struct px_safetensors *st = NULL;
  CU_OK(px_safetensors_parse(aligned, file.len, &st, &err), err);
  for (size_t i = 0; i < px_safetensors_tensors_n(st); i++)
    CU_ASSERT_TRUE(px_safetensors_aligned(px_safetensors_at(st, i)));
  CU_ASSERT_STRING_EQUAL(px_safetensors_at(st, 0)->name, "n");
  px_safetensors_free(st);
  free(aligned);
  px_buf_free(&file);
}

static void equal_content_gives_equal_bytes(void) {
  struct px_buf a = written(), b = written();
  CU_ASSERT_EQUAL_FATAL(a.len, b.len);
  CU_ASSERT_EQUAL(memcmp(a.data, b.data, a.len), 0);
  px_buf_free(&a);
  px_buf_free(&b);
}

/* Parses a header with `data_n` bytes of data after it. */
static enum px_status parse(const char *header, size_t data_n) {
  const uint64_t header_n = strlen(header);
  char *file = calloc(1, 8 + header_n + data_n);
  memcpy(file, &header_n, 8);
  memcpy(file + 8, header, header_n);
  struct px_safetensors *st = NULL;
  struct px_err err = { 0 };
  const enum px_status status = px_safetensors_parse(file, 8 + header_n + data_n, &st, &err);
  px_safetensors_free(st);
  free(file);
  return status;
}

static void other_writers_headers_are_accepted(void) {
  CU_ASSERT_EQUAL(parse("{}", 0), PX_OK);
  CU_ASSERT_EQUAL(parse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   ", 4),
                  PX_OK);
  CU_ASSERT_EQUAL(parse("{\"b\":{\"data_offsets\":[1,5],\"shape\":[],\"dtype\":\"I32\"},"
                        "\"a\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},\"__"
                        "metadata__\":{\"k\":\"v\"}}",
                        5),
                  PX_OK);
}

static void hostile_headers_are_refused(void) {
  static const struct {
    const char *header;
    size_t data_n;
  } CASES[] = {
    { "", 0 },
    { "[]", 0 },
    { "{\"a\":1}", 0 },
    { "{\"a\":{}}", 0 },
    { "{} x", 0 },
    { "{", 0 },
    { "{}", 1 }, /* data that belongs to nothing */
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F8_E5M2\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}", 4 },
    { "{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
    /* 2^62 * 4 wraps to 0 */
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904],\"data_offsets\":[0,0]}}", 0 },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1 },
    /* overlap, hole, twice the same name */
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\","
      "\"shape\":[2],\"data_offsets\":[1,3]}}",
      3 },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\","
      "\"shape\":[1],\"data_offsets\":[2,3]}}",
      3 },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\","
      "\"shape\":[1],\"data_offsets\":[1,2]}}",
      2 },
    { "{\"__metadata__\":{\"a\":1}}", 0 },
    { "{\"__metadata__\":[]}", 0 },
  };
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    const enum px_status status = parse(CASES[i].header, CASES[i].data_n);
    if (status != PX_E_BAD_DATA) printf("\n  accepted: %s\n", CASES[i].header);
    CU_ASSERT_EQUAL(status, PX_E_BAD_DATA);
  }
}

static void truncated_and_oversized_headers_are_refused(void) {
  struct px_buf file = written();
  struct px_safetensors *st = NULL;
  struct px_err err = { 0 };
  for (size_t n = 0; n < file.len; n++)
    CU_ASSERT_EQUAL(px_safetensors_parse(file.data, n, &st, &err), PX_E_BAD_DATA);
  const size_t n = 2u << 20;
  char *big = px_mem_calloc(n, 1);
  const uint64_t header_n = n - 8;
  memcpy(big, &header_n, 8);
  memset(big + 8, ' ', n - 8);
  memcpy(big + 8, "{}", 2);
  CU_ASSERT_EQUAL(px_safetensors_parse(big, n, &st, &err), PX_E_BAD_DATA);
  memset(big, 0xff, 8);
  CU_ASSERT_EQUAL(px_safetensors_parse(big, n, &st, &err), PX_E_BAD_DATA);
  free(big);
  px_buf_free(&file);
}

static void the_writer_refuses_what_no_reader_would_take(void) {
  static const uint8_t byte = 1;
  struct px_buf out = PX_BUF(1 << 20);
  struct px_err err = { 0 };
  struct px_safetensors_tensor twice[] = { { "a", PX_DTYPE_U8, 1, { 1 }, &byte, 0, 0 },
                                           { "a", PX_DTYPE_U8, 1, { 1 }, &byte, 0, 0 } };
  CU_ASSERT_EQUAL(px_safetensors_write(twice, 2, NULL, 0, &out, &err), PX_E_BAD_DATA);
  struct px_safetensors_tensor unnamed = { "", PX_DTYPE_U8, 1, { 1 }, &byte, 0, 0 };
  CU_ASSERT_EQUAL(px_safetensors_write(&unnamed, 1, NULL, 0, &out, &err), PX_E_BAD_DATA);
  struct px_safetensors_tensor huge = { "a", PX_DTYPE_F64, 2, { 1ull << 40, 1ull << 40 }, &byte, 0,
                                        0 };
  CU_ASSERT_EQUAL(px_safetensors_write(&huge, 1, NULL, 0, &out, &err), PX_E_BAD_DATA);
  const struct px_safetensors_meta latin1 = { "k", "\xe9" };
  CU_ASSERT_EQUAL(px_safetensors_write(NULL, 0, &latin1, 1, &out, &err), PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(out.len, 0);
  struct px_buf small = PX_BUF(100);
  struct px_safetensors_tensor fits = { "a", PX_DTYPE_U8, 1, { 90 }, &byte, 0, 0 };
  CU_ASSERT_EQUAL(px_safetensors_write(&fits, 1, NULL, 0, &small, &err), PX_E_TOO_LARGE);
  px_buf_free(&out);
  px_buf_free(&small);
}

CU_MAIN("safetensors", T(what_is_written_is_read_back),
        T(data_starts_at_64_and_every_tensor_is_aligned), T(equal_content_gives_equal_bytes),
        T(other_writers_headers_are_accepted), T(hostile_headers_are_refused),
        T(truncated_and_oversized_headers_are_refused),
        T(the_writer_refuses_what_no_reader_would_take))
