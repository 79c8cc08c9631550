/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parquet files in memory: columns of numbers, a number or a list of as many in each row. Used by
 * the reader of LeRobot folders.
 *
 *   types      BOOLEAN, INT32, INT64 (signed or not), FLOAT, DOUBLE; no decimals
 *   shapes     a column at the top, required or optional, or a list of such (three levels, or two)
 *   pages      data pages of both versions; PLAIN, RLE_DICTIONARY, PLAIN_DICTIONARY,
 *              DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT, and RLE for BOOLEAN
 *   codecs     UNCOMPRESSED, SNAPPY, GZIP, ZSTD
 *
 * Columns of other types may be in the file; opening one says why it cannot be read. The bytes are
 * untrusted: no size of theirs is believed before it was compared with what it must fit into. A
 * page may unpack only to what its count of values can take, and that count is bounded by rows.
 * A file and its columns belong to one thread. Everything borrows the bytes.
 * Sources: "Apache Parquet format", github.com/apache/parquet-format (README, Encodings.md,
 * LogicalTypes.md, parquet.thrift).
 */
#ifndef PX_READ_PARQUET_H
#define PX_READ_PARQUET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/read/dtype.h"

struct px_parquet;
/* Reads the metadata at the end of bytes[n]; the caller owns *out. BAD_DATA where it is
 * malformed. */
enum px_status px_parquet_open(const void *bytes, size_t n, struct px_parquet **out,
                               struct px_err *err) PX_MUST_CHECK;
void px_parquet_free(struct px_parquet *file);
uint64_t px_parquet_rows(const struct px_parquet *file);
/* Whether a column at the top, of whatever type, has this name. */
bool px_parquet_has(const struct px_parquet *file, const char *name);

/* One column, read once from the first row to the last. */
struct px_parquet_column;
/* Lists of `width` numbers in each row; 1: or one number. The caller owns *out, which borrows the
 * file. BAD_DATA where the column is missing, twice there, or not of these types. */
enum px_status px_parquet_column(const struct px_parquet *file, const char *name, uint32_t width,
                                 struct px_parquet_column **out, struct px_err *err) PX_MUST_CHECK;
struct px_array_dtype px_parquet_dtype(const struct px_parquet_column *column);
/* The next rows, at most as many as are left: values [rows, width] of px_parquet_dtype, and known
 * [rows] 1, or 0 where the row is null (its values are zeros then). BAD_DATA names the row. */
enum px_status px_parquet_next(struct px_parquet_column *column, size_t rows, void *values,
                               uint8_t *known, struct px_err *err) PX_MUST_CHECK;
void px_parquet_column_free(struct px_parquet_column *column);

#endif
