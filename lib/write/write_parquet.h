/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parquet files in memory, for write_lerobot.c: one row group, PLAIN pages packed with zstd, and of
 * each column one page. A column is a number or a text a row, or a list of numbers of equal length.
 * Stateless. Sources: "Apache Parquet format", github.com/apache/parquet-format; "Thrift compact
 * protocol", github.com/apache/thrift doc/specs.
 */
#ifndef PX_WRITE_WRITE_PARQUET_H
#define PX_WRITE_WRITE_PARQUET_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"

enum px_write_parquet_type {
  PX_WRITE_PARQUET_BOOL,  /* of uint8_t */
  PX_WRITE_PARQUET_INT,   /* of int64_t */
  PX_WRITE_PARQUET_FLOAT, /* of float */
  PX_WRITE_PARQUET_TEXT   /* of const char * */
};

struct px_write_parquet_column {
  const char *name;
  enum px_write_parquet_type type;
  uint32_t width;       /* of a row's list; 0: there are no lists */
  const void *data;     /* [rows, width] */
  const uint8_t *known; /* [rows] 0: the row is null; NULL: none is */
};

/* Appends the file to `out`. Equal columns give equal bytes. */
enum px_status px_write_parquet(const struct px_write_parquet_column *columns, uint32_t n,
                                uint64_t rows, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;

#endif
