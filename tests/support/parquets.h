/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parquet files for tests: whole ones of plain columns, and ones put together page by page, in
 * which a test may lie. Thread safe; what is too large ends the program.
 */
#ifndef PX_TESTS_SUPPORT_PARQUETS_H
#define PX_TESTS_SUPPORT_PARQUETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/read/parquet_parts.h"

/* A page's header says what stands here, also where it is not so; 0 says what is. */
struct parquets_page {
  uint8_t type, encoding;
  uint32_t values;
  const void *body; /* as in the file */
  size_t n;
  int64_t unpacked, packed; /* bytes it claims */
  uint32_t def_bytes, rep_bytes;
  bool plain; /* version 2: not packed */
};
struct parquets_column {
  const char *name;
  uint8_t type, codec;
  bool optional, list; /* a list's three levels, all of them optional but the repeated one */
  const struct parquets_page *pages;
  size_t pages_n;
  int64_t values; /* entries it claims; 0: those of the pages */
  int64_t offset; /* where its pages are; 0: where they are */
};
/* One row group of so many rows. The buffer is the caller's; what it holds already stays. */
void parquets_put(struct px_buf *out, const struct parquets_column *columns, size_t n,
                  int64_t rows);

/* A column of numbers [rows, width], of any type; known [rows] may be NULL: none is null. */
struct parquets_numbers {
  const char *name;
  uint8_t type;
  uint32_t width;
  bool list;
  const double *values;
  const uint8_t *known;
};
void parquets_put_numbers(struct px_buf *out, const struct parquets_numbers *columns, size_t n,
                          size_t rows);

/* The body of a data page of version 1: levels and plain values. */
void parquets_body(struct px_buf *out, const struct parquets_numbers *numbers, size_t rows);

#endif
