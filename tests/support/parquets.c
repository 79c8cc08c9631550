/* SPDX-License-Identifier: Apache-2.0 */
/* Parquet files for tests: see parquets.h. */
#include "tests/support/parquets.h"

#include <stdlib.h>
#include <string.h>

#include "lib/read/thrift.h"

enum { COLUMNS_MAX = 32, BODY_MAX_BYTES = 16 << 20, OPTIONAL = 1, REPEATED = 2 };

static void must(bool good) {
  if (!good) abort();
}

static void put(struct px_buf *out, const void *bytes, size_t n) {
  must(!px_buf_put(out, bytes, n));
}
static void put_byte(struct px_buf *out, uint64_t byte) {
  put(out, &(uint8_t){ (uint8_t)byte }, 1);
}
static void put_varint(struct px_buf *out, uint64_t value) {
  for (; value > 127; value >>= 7) put_byte(out, value | 128);
  put_byte(out, value);
}
static void put_zigzag(struct px_buf *out, int64_t value) {
  put_varint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

/* Fields in the order of their numbers: `step` is what to add to the last. */
static void field(struct px_buf *out, int step, enum px_thrift_type type) {
  put_byte(out, (uint64_t)step << 4 | type);
}
static void put_int(struct px_buf *out, int step, enum px_thrift_type type, int64_t value) {
  field(out, step, type);
  put_zigzag(out, value);
}
static void put_list(struct px_buf *out, int step, enum px_thrift_type element, size_t n) {
  field(out, step, PX_THRIFT_LIST);
  must(n < 1000);
  put_byte(out, (n < 15 ? n : 15) << 4 | element);
  if (n >= 15) put_varint(out, n);
}
static void put_text(struct px_buf *out, int step, const char *text) {
  field(out, step, PX_THRIFT_BINARY);
  put_varint(out, strlen(text));
  put(out, text, strlen(text));
}

static void put_page(struct px_buf *out, const struct parquets_page *page) {
  const int64_t n = (int64_t)page->n;
  put_int(out, 1, PX_THRIFT_I32, page->type);
  put_int(out, 1, PX_THRIFT_I32, page->unpacked ? page->unpacked : n);
  put_int(out, 1, PX_THRIFT_I32, page->packed ? page->packed : n);
  if (page->type == PX_PARQUET_DATA_PAGE_V2) {
    field(out, 5, PX_THRIFT_STRUCT);
    put_int(out, 1, PX_THRIFT_I32, page->values);
    put_int(out, 1, PX_THRIFT_I32, 0);
    put_int(out, 1, PX_THRIFT_I32, page->values);
    put_int(out, 1, PX_THRIFT_I32, page->encoding);
    put_int(out, 1, PX_THRIFT_I32, page->def_bytes);
    put_int(out, 1, PX_THRIFT_I32, page->rep_bytes);
    field(out, 1, page->plain ? PX_THRIFT_FALSE : PX_THRIFT_TRUE);
  } else {
    field(out, page->type == PX_PARQUET_DICTIONARY_PAGE ? 4 : 2, PX_THRIFT_STRUCT);
    put_int(out, 1, PX_THRIFT_I32, page->values);
    put_int(out, 1, PX_THRIFT_I32, page->encoding);
    if (page->type == PX_PARQUET_DATA_PAGE) {
      put_int(out, 1, PX_THRIFT_I32, PX_PARQUET_RLE);
      put_int(out, 1, PX_THRIFT_I32, PX_PARQUET_RLE);
    }
  }
  put_byte(out, PX_THRIFT_STOP);
  put_byte(out, PX_THRIFT_STOP);
  if (page->n) put(out, page->body, page->n);
}

static void put_element(struct px_buf *out, const char *name, int type, int repetition,
                        int children) {
  if (type >= 0) put_int(out, 1, PX_THRIFT_I32, type);
  put_int(out, type >= 0 ? 2 : 3, PX_THRIFT_I32, repetition);
  put_text(out, 1, name);
  if (children) put_int(out, 1, PX_THRIFT_I32, children);
  put_byte(out, PX_THRIFT_STOP);
}

static void put_schema(struct px_buf *out, const struct parquets_column *columns, size_t n) {
  size_t lists = 0;
  for (size_t i = 0; i < n; i++) lists += columns[i].list;
  put_list(out, 1, PX_THRIFT_STRUCT, 1 + n + 2 * lists);
  put_element(out, "schema", -1, 0, (int)n);
  for (size_t i = 0; i < n; i++) {
    const struct parquets_column *c = &columns[i];
    if (c->list) {
      put_element(out, c->name, -1, OPTIONAL, 1);
      put_element(out, "list", -1, REPEATED, 1);
      put_element(out, "element", c->type, OPTIONAL, 0);
    } else put_element(out, c->name, c->type, c->optional ? OPTIONAL : 0, 0);
  }
}

void parquets_put(struct px_buf *out, const struct parquets_column *columns, size_t n,
                  int64_t rows) {
  int64_t begin[COLUMNS_MAX], size[COLUMNS_MAX];
  const size_t start = out->len;
  must(n <= COLUMNS_MAX);
  put(out, "PAR1", 4);
  for (size_t i = 0; i < n; i++) {
    begin[i] = (int64_t)(out->len - start);
    for (size_t p = 0; p < columns[i].pages_n; p++) put_page(out, &columns[i].pages[p]);
    size[i] = (int64_t)(out->len - start) - begin[i];
  }
  const size_t footer = out->len;
  put_int(out, 1, PX_THRIFT_I32, 1);
  put_schema(out, columns, n);
  put_int(out, 1, PX_THRIFT_I64, rows);
  put_list(out, 1, PX_THRIFT_STRUCT, 1);
  put_list(out, 1, PX_THRIFT_STRUCT, n);
  for (size_t i = 0; i < n; i++) {
    const struct parquets_column *c = &columns[i];
    int64_t values = c->values;
    for (size_t p = 0; p < c->pages_n && !c->values; p++)
      values += c->pages[p].type == PX_PARQUET_DICTIONARY_PAGE ? 0 : c->pages[p].values;
    field(out, 3, PX_THRIFT_STRUCT);
    put_int(out, 1, PX_THRIFT_I32, c->type);
    put_int(out, 3, PX_THRIFT_I32, c->codec);
    put_int(out, 1, PX_THRIFT_I64, values);
    put_int(out, 2, PX_THRIFT_I64, size[i]);
    put_int(out, 2, PX_THRIFT_I64, c->offset ? c->offset : begin[i]);
    put_byte(out, PX_THRIFT_STOP);
    put_byte(out, PX_THRIFT_STOP);
  }
  put_int(out, 2, PX_THRIFT_I64, rows);
  put_byte(out, PX_THRIFT_STOP);
  put_byte(out, PX_THRIFT_STOP);
  const uint32_t length = (uint32_t)(out->len - footer);
  put(out, &length, sizeof length);
  put(out, "PAR1", 4);
}

static void put_number(struct px_buf *out, uint8_t type, double value) {
  switch (type) {
    case PX_PARQUET_FLOAT: put(out, &(float){ (float)value }, 4); break;
    case PX_PARQUET_INT32: put(out, &(int32_t){ (int32_t)value }, 4); break;
    case PX_PARQUET_INT64: put(out, &(int64_t){ (int64_t)value }, 8); break;
    default: put(out, &value, 8);
  }
}

/* A run of `count` equal levels. */
static void put_run(struct px_buf *out, size_t count, uint8_t level) {
  if (!count) return;
  put_varint(out, count << 1);
  put_byte(out, level);
}

static void put_levels(struct px_buf *out, const struct px_buf *levels) {
  const uint32_t n = (uint32_t)levels->len;
  put(out, &n, sizeof n);
  put(out, levels->data, levels->len);
}

void parquets_body(struct px_buf *out, const struct parquets_numbers *c, size_t rows) {
  struct px_buf reps = PX_BUF(BODY_MAX_BYTES), defs = PX_BUF(BODY_MAX_BYTES);
  for (size_t i = 0; i < rows; i++) {
    const bool known = !c->known || c->known[i];
    put_run(&reps, 1, 0);
    put_run(&reps, known ? c->width - 1 : 0, 1);
    put_run(&defs, known && c->list ? c->width : 1, (uint8_t)(known ? c->list ? 3 : 1 : 0));
  }
  if (c->list) put_levels(out, &reps);
  if (c->list || c->known) put_levels(out, &defs);
  px_buf_free(&reps);
  px_buf_free(&defs);
  uint8_t bits = 0;
  for (size_t i = 0; i < rows && c->type == PX_PARQUET_BOOLEAN; i++) {
    bits |= (uint8_t)((c->values[i] != 0) << i % 8);
    if (i % 8 == 7 || i + 1 == rows) put_byte(out, bits), bits = 0;
  }
  for (size_t i = 0; i < rows && c->type != PX_PARQUET_BOOLEAN; i++)
    for (uint32_t j = 0; j < c->width && (!c->known || c->known[i]); j++)
      put_number(out, c->type, c->values[i * c->width + j]);
}

void parquets_put_numbers(struct px_buf *out, const struct parquets_numbers *numbers, size_t n,
                          size_t rows) {
  struct parquets_column columns[COLUMNS_MAX] = { 0 };
  struct parquets_page pages[COLUMNS_MAX] = { 0 };
  struct px_buf bodies[COLUMNS_MAX];
  must(n <= COLUMNS_MAX);
  for (size_t i = 0; i < n; i++) {
    const struct parquets_numbers *c = &numbers[i];
    size_t entries = 0;
    for (size_t t = 0; t < rows; t++)
      entries += c->list && (!c->known || c->known[t]) ? c->width : 1;
    bodies[i] = PX_BUF(BODY_MAX_BYTES);
    parquets_body(&bodies[i], c, rows);
    pages[i] = (struct parquets_page){ .values = (uint32_t)entries,
                                       .body = bodies[i].data,
                                       .n = bodies[i].len };
    columns[i] = (struct parquets_column){ .name = c->name,
                                           .type = c->type,
                                           .optional = c->known,
                                           .list = c->list,
                                           .pages = &pages[i],
                                           .pages_n = 1 };
  }
  parquets_put(out, columns, n, (int64_t)rows);
  for (size_t i = 0; i < n; i++) px_buf_free(&bodies[i]);
}
