/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the Parquet reader: metadata, pages, encodings. Inner header of
 * lib/read/parquet_*.c; parquet.h is the outside, with the sources.
 */
#ifndef PX_READ_PARQUET_PARTS_H
#define PX_READ_PARQUET_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/read/dtype.h"
#include "lib/read/parquet.h"

/* As parquet.thrift numbers them. */
enum px_parquet_type {
  PX_PARQUET_BOOLEAN,
  PX_PARQUET_INT32,
  PX_PARQUET_INT64,
  PX_PARQUET_INT96,
  PX_PARQUET_FLOAT,
  PX_PARQUET_DOUBLE,
  PX_PARQUET_TYPE_N = 8
};
enum px_parquet_codec {
  PX_PARQUET_UNCOMPRESSED,
  PX_PARQUET_SNAPPY,
  PX_PARQUET_GZIP,
  PX_PARQUET_ZSTD = 6
};
enum px_parquet_encoding {
  PX_PARQUET_PLAIN = 0,
  PX_PARQUET_PLAIN_DICTIONARY = 2,
  PX_PARQUET_RLE = 3,
  PX_PARQUET_DELTA_BINARY_PACKED = 5,
  PX_PARQUET_RLE_DICTIONARY = 8,
  PX_PARQUET_BYTE_STREAM_SPLIT = 9
};
enum px_parquet_page_type {
  PX_PARQUET_DATA_PAGE = 0,
  PX_PARQUET_INDEX_PAGE = 1,
  PX_PARQUET_DICTIONARY_PAGE = 2,
  PX_PARQUET_DATA_PAGE_V2 = 3
};

enum { PX_PARQUET_NAME_BYTES = 128 };

/* A leaf of the schema's tree. */
struct px_parquet_leaf {
  char name[PX_PARQUET_NAME_BYTES]; /* of the field at the top that it lies in */
  const char *refusal;              /* why it is not read, or NULL */
  uint8_t type;                     /* enum px_parquet_type */
  bool is_unsigned, is_list;
  uint8_t max_def, max_rep;
  uint8_t list_def; /* the definition level from which on a row's list has elements */
};

/* Where a row group keeps a leaf: all its pages, dictionary first, are bytes[begin, end). */
struct px_parquet_chunk {
  uint64_t begin, end, values; /* values: entries, nulls included */
  uint8_t type, codec;
};

struct px_parquet {
  const uint8_t *bytes;
  size_t n;
  struct px_parquet_leaf *leaves; /* [leaves_n] */
  uint32_t leaves_n, leaves_cap, groups_n;
  uint64_t *group_rows;            /* [groups_n] */
  struct px_parquet_chunk *chunks; /* [groups_n, leaves_n] */
  uint64_t rows;
};

struct px_parquet_page {
  uint8_t type;              /* enum px_parquet_page_type */
  uint32_t unpacked, packed; /* bytes */
  uint32_t values, nulls;    /* nulls, and level bytes: version 2 only */
  uint8_t encoding, def_encoding, rep_encoding;
  uint32_t def_bytes, rep_bytes;
  bool is_packed, has_crc;
  uint32_t crc;
};

/* The header of a page at *at, which moves behind it. */
enum px_status px_parquet_page(const uint8_t **at, const uint8_t *end, struct px_parquet_page *page,
                               struct px_err *err) PX_MUST_CHECK;
/* Unpacks src[n] to exactly dst[dst_n]. */
enum px_status px_parquet_unpack(uint8_t codec, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t dst_n, struct px_err *err) PX_MUST_CHECK;

/* Encodings: each decodes src[n], and returns false where that is malformed or too short. Values
 * are of `bytes` bytes each. */
/* Runs of the hybrid of RLE and bit packing, of `bits` (0 to 32) bits each: out [count]. */
bool px_parquet_hybrid(const uint8_t *src, size_t n, uint32_t bits, uint32_t *out,
                       size_t count) PX_MUST_CHECK;
/* The same of levels, at most `max`; *all tells whether each is `max`. */
bool px_parquet_levels(const uint8_t *src, size_t n, uint8_t max, uint8_t *out, size_t count,
                       bool *all) PX_MUST_CHECK;
bool px_parquet_delta(const uint8_t *src, size_t n, uint32_t bytes, void *out,
                      size_t count) PX_MUST_CHECK;
bool px_parquet_split(const uint8_t *src, size_t n, uint32_t bytes, void *out,
                      size_t count) PX_MUST_CHECK;
/* One bit a value, the lowest first: out [count] of 0 and 1. */
bool px_parquet_bits(const uint8_t *src, size_t n, uint8_t *out, size_t count) PX_MUST_CHECK;

#endif
