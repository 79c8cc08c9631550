/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thrift's compact protocol, as far as Parquet's metadata uses it. The bytes are untrusted: nothing
 * is read beyond their end, and nesting is bounded. Used by lib/read/parquet_*.c.
 *
 * A failure is remembered (`broken`): everything read after it is 0 or empty, so that a caller asks
 * once, at the end. A reader belongs to one thread and borrows the bytes.
 * Source: "Thrift compact protocol", github.com/apache/thrift doc/specs/thrift-compact-protocol.md.
 */
#ifndef PX_READ_THRIFT_H
#define PX_READ_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum px_thrift_type {
  PX_THRIFT_STOP,
  PX_THRIFT_TRUE,
  PX_THRIFT_FALSE,
  PX_THRIFT_BYTE,
  PX_THRIFT_I16,
  PX_THRIFT_I32,
  PX_THRIFT_I64,
  PX_THRIFT_DOUBLE,
  PX_THRIFT_BINARY,
  PX_THRIFT_LIST,
  PX_THRIFT_SET,
  PX_THRIFT_MAP,
  PX_THRIFT_STRUCT,
  PX_THRIFT_UUID
};

struct px_thrift {
  const uint8_t *at, *end;
  bool broken;
};

/* A field of a struct: zero it before the first. */
struct px_thrift_field {
  int16_t id;
  uint8_t type; /* enum px_thrift_type */
};

/* The next field of the struct that is read; false at its end. Its value must be taken with one of
 * those below, of which the last takes anything. */
bool px_thrift_next(struct px_thrift *t, struct px_thrift_field *field);
int64_t px_thrift_int(struct px_thrift *t, const struct px_thrift_field *field);
bool px_thrift_bool(struct px_thrift *t, const struct px_thrift_field *field);
/* Text or bytes within those that are read, *n of them. */
const char *px_thrift_binary(struct px_thrift *t, const struct px_thrift_field *field, size_t *n);
/* How many elements of that type follow, each of which must be taken; never more than bytes. */
uint32_t px_thrift_list(struct px_thrift *t, const struct px_thrift_field *field,
                        enum px_thrift_type element);
/* Whether the value is a struct, whose fields come next. */
bool px_thrift_is_struct(struct px_thrift *t, const struct px_thrift_field *field);
void px_thrift_skip(struct px_thrift *t, const struct px_thrift_field *field);

#endif
