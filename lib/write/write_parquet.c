/* SPDX-License-Identifier: Apache-2.0 */
/* Parquet files: see write_parquet.h. Numbers of fields and kinds are those of parquet.thrift. */
#include "lib/write/write_parquet.h"

#include <string.h>
#include <zstd.h>

#include "lib/data/segment.h"

enum { I32 = 5, I64 = 6, BINARY = 8, LIST = 9, STRUCT = 12, STOP = 0 };
enum { REQUIRED, OPTIONAL, REPEATED };
enum { BOOLEAN = 0, INT64 = 2, FLOAT = 4, BYTE_ARRAY = 6, UTF8 = 0, LIST_OF = 3 };
enum { PLAIN = 0, RLE = 3, ZSTD = 6, ZSTD_LEVEL = 1, COLUMNS_MAX = 32, LIST_NODES = 2 };
static const char MAGIC[] = "PAR1", CREATED_BY[] = "Proxact";

/* What is written; a failure is remembered, and told at the end. */
struct sink {
  struct px_buf *out;
  enum px_status status;
};

static void put(struct sink *s, const void *bytes, size_t n) {
  if (!s->status && n) s->status = px_buf_put(s->out, bytes, n);
}
static void put_byte(struct sink *s, unsigned byte) { put(s, &(uint8_t){ (uint8_t)byte }, 1); }
static void put_varint(struct sink *s, uint64_t value) {
  for (; value > 127; value >>= 7) put_byte(s, (unsigned)(value & 127) | 128);
  put_byte(s, (unsigned)value);
}

/* Fields of a struct come in the order of their numbers: `step` is what to add to the last. */
static void put_field(struct sink *s, unsigned step, unsigned type) {
  put_byte(s, step << 4 | type);
}
static void put_int(struct sink *s, unsigned step, unsigned type, uint64_t value) {
  put_field(s, step, type);
  put_varint(s, value << 1); /* zigzag of what is not negative */
}
static void put_list(struct sink *s, unsigned step, unsigned element, uint32_t n) {
  put_field(s, step, LIST);
  put_byte(s, (n < 15 ? n : 15) << 4 | element);
  if (n >= 15) put_varint(s, n);
}
static void put_text(struct sink *s, const char *text) {
  put_varint(s, strlen(text));
  put(s, text, strlen(text));
}

/* Runs of equal levels, of RLE. */
struct levels {
  struct sink *sink;
  uint64_t run;
  uint8_t level;
};
static void end_run(struct levels *l) {
  if (!l->run) return;
  put_varint(l->sink, l->run << 1);
  put_byte(l->sink, l->level);
  l->run = 0;
}
static void put_levels(struct levels *l, uint8_t level, uint64_t n) {
  if (!n) return;
  if (level != l->level) end_run(l);
  l->level = level;
  l->run += n;
}

/* A block of levels with its length in front: where that goes. */
static size_t begin_levels(struct sink *s) {
  put(s, &(uint32_t){ 0 }, sizeof(uint32_t));
  return s->status ? 0 : s->out->len;
}
static void end_levels(struct levels *l, size_t begin) {
  end_run(l);
  if (l->sink->status) return;
  const uint32_t n = (uint32_t)(l->sink->out->len - begin);
  memcpy(l->sink->out->data + begin - sizeof n, &n, sizeof n);
}

static bool is_known(const struct px_write_parquet_column *c, uint64_t row) {
  return !c->known || c->known[row];
}

/* Repetition levels of lists, then definition levels of what may be null. */
static void put_all_levels(struct sink *s, const struct px_write_parquet_column *c, uint64_t rows) {
  struct levels l = { .sink = s };
  size_t begin = c->width ? begin_levels(s) : 0;
  for (uint64_t i = 0; i < rows && c->width; i++) {
    put_levels(&l, 0, 1);
    if (is_known(c, i)) put_levels(&l, 1, c->width - 1);
  }
  if (c->width) end_levels(&l, begin);
  if (!c->width && !c->known) return;
  begin = begin_levels(s);
  for (uint64_t i = 0; i < rows; i++)
    if (is_known(c, i)) put_levels(&l, c->width ? 2 : 1, c->width ? c->width : 1);
    else put_levels(&l, 0, 1);
  end_levels(&l, begin);
}

static void put_bits(struct sink *s, const struct px_write_parquet_column *c, uint64_t rows) {
  const uint8_t *values = c->data;
  unsigned bits = 0, n = 0;
  for (uint64_t i = 0; i < rows; i++) {
    if (!is_known(c, i)) continue;
    bits |= (values[i] != 0 ? 1u : 0u) << n;
    if (++n < 8) continue;
    put_byte(s, bits);
    bits = n = 0;
  }
  if (n) put_byte(s, bits);
}

static void put_texts(struct sink *s, const struct px_write_parquet_column *c, uint64_t rows) {
  const char *const *texts = c->data;
  for (uint64_t i = 0; i < rows; i++) {
    if (!is_known(c, i)) continue;
    const uint32_t n = (uint32_t)strlen(texts[i]);
    put(s, &n, sizeof n);
    put(s, texts[i], n);
  }
}

static void put_values(struct sink *s, const struct px_write_parquet_column *c, uint64_t rows) {
  const size_t bytes =
    (c->type == PX_WRITE_PARQUET_INT ? sizeof(int64_t) : sizeof(float)) * (c->width ? c->width : 1);
  if (c->type == PX_WRITE_PARQUET_BOOL) put_bits(s, c, rows);
  else if (c->type == PX_WRITE_PARQUET_TEXT) put_texts(s, c, rows);
  else if (!c->known) put(s, c->data, rows * bytes);
  else
    for (uint64_t i = 0; i < rows; i++)
      if (c->known[i]) put(s, (const char *)c->data + i * bytes, bytes);
}

static uint64_t entries_of(const struct px_write_parquet_column *c, uint64_t rows) {
  uint64_t n = 0;
  for (uint64_t i = 0; i < rows; i++) n += c->width && is_known(c, i) ? c->width : 1;
  return n;
}

/* Where a column lies. */
struct place {
  uint64_t at, n, unpacked, entries; /* n: bytes, the page's header included */
};

static enum px_status put_column(struct sink *s, const struct px_write_parquet_column *c,
                                 uint64_t rows, size_t file, struct place *place) {
  struct px_buf body = PX_BUF(2u * PX_SEGMENT_MAX_BYTES),
                packed = PX_BUF(3u * PX_SEGMENT_MAX_BYTES);
  struct sink plain = { &body, PX_OK };
  put_all_levels(&plain, c, rows);
  put_values(&plain, c, rows);
  enum px_status status = plain.status;
  if (!status) status = px_buf_room(&packed, ZSTD_compressBound(body.len));
  const size_t n = status ? 0
                          : ZSTD_compress(packed.data, ZSTD_compressBound(body.len), body.data,
                                          body.len, ZSTD_LEVEL);
  if (!status && ZSTD_isError(n)) status = PX_E_NO_MEMORY;
  if (!status) {
    *place = (struct place){ .at = s->out->len - file, .entries = entries_of(c, rows) };
    put_int(s, 1, I32, 0); /* a data page */
    put_int(s, 1, I32, body.len);
    put_int(s, 1, I32, n);
    put_field(s, 2, STRUCT);
    put_int(s, 1, I32, place->entries);
    put_int(s, 1, I32, PLAIN);
    put_int(s, 1, I32, RLE);
    put_int(s, 1, I32, RLE);
    put_byte(s, STOP);
    put_byte(s, STOP);
    const size_t header = s->out->len - file - place->at;
    put(s, packed.data, n);
    place->n = header + n;
    place->unpacked = header + body.len;
    status = s->status;
  }
  px_buf_free(&body);
  px_buf_free(&packed);
  return status;
}

static unsigned type_of(const struct px_write_parquet_column *c) {
  static const unsigned types[] = { [PX_WRITE_PARQUET_BOOL] = BOOLEAN,
                                    [PX_WRITE_PARQUET_INT] = INT64,
                                    [PX_WRITE_PARQUET_FLOAT] = FLOAT,
                                    [PX_WRITE_PARQUET_TEXT] = BYTE_ARRAY };
  return types[c->type];
}

static void put_leaf(struct sink *s, const struct px_write_parquet_column *c, const char *name,
                     unsigned repetition) {
  put_int(s, 1, I32, type_of(c));
  put_int(s, 2, I32, repetition);
  put_field(s, 1, BINARY);
  put_text(s, name);
  if (c->type == PX_WRITE_PARQUET_TEXT) put_int(s, 2, I32, UTF8);
  put_byte(s, STOP);
}

static void put_group(struct sink *s, const char *name, unsigned repetition, uint32_t children,
                      bool is_list) {
  put_int(s, 3, I32, repetition);
  put_field(s, 1, BINARY);
  put_text(s, name);
  put_int(s, 1, I32, children);
  if (is_list) put_int(s, 1, I32, LIST_OF);
  put_byte(s, STOP);
}

static void put_schema(struct sink *s, const struct px_write_parquet_column *columns, uint32_t n) {
  uint32_t elements = 1 + n;
  for (uint32_t i = 0; i < n; i++) elements += columns[i].width ? LIST_NODES : 0;
  put_list(s, 1, STRUCT, elements);
  put_group(s, "schema", REQUIRED, n, false);
  for (uint32_t i = 0; i < n; i++) {
    const struct px_write_parquet_column *c = &columns[i];
    if (c->width) {
      put_group(s, c->name, OPTIONAL, 1, true);
      put_group(s, "list", REPEATED, 1, false);
      put_leaf(s, c, "element", REQUIRED);
    } else put_leaf(s, c, c->name, c->known ? OPTIONAL : REQUIRED);
  }
}

static void put_chunk(struct sink *s, const struct px_write_parquet_column *c,
                      const struct place *place) {
  put_int(s, 2, I64, 0); /* file_offset, which is of no use any more */
  put_field(s, 1, STRUCT);
  put_int(s, 1, I32, type_of(c));
  put_list(s, 1, I32, 2);
  put_varint(s, PLAIN << 1);
  put_varint(s, RLE << 1);
  put_list(s, 1, BINARY, c->width ? 1 + LIST_NODES : 1);
  put_text(s, c->name);
  if (c->width) put_text(s, "list");
  if (c->width) put_text(s, "element");
  put_int(s, 1, I32, ZSTD);
  put_int(s, 1, I64, place->entries);
  put_int(s, 1, I64, place->unpacked);
  put_int(s, 1, I64, place->n);
  put_int(s, 2, I64, place->at);
  put_byte(s, STOP);
  put_byte(s, STOP);
}

static void put_footer(struct sink *s, const struct px_write_parquet_column *columns, uint32_t n,
                       uint64_t rows, const struct place *places) {
  uint64_t bytes = 0;
  put_int(s, 1, I32, 1); /* version */
  put_schema(s, columns, n);
  put_int(s, 1, I64, rows);
  put_list(s, 1, STRUCT, 1);
  put_list(s, 1, STRUCT, n);
  for (uint32_t i = 0; i < n; i++) {
    put_chunk(s, &columns[i], &places[i]);
    bytes += places[i].unpacked;
  }
  put_int(s, 1, I64, bytes);
  put_int(s, 1, I64, rows);
  put_byte(s, STOP);
  put_field(s, 2, BINARY);
  put_text(s, CREATED_BY);
  put_byte(s, STOP);
}

enum px_status px_write_parquet(const struct px_write_parquet_column *columns, uint32_t n,
                                uint64_t rows, struct px_buf *out, struct px_err *err) {
  struct place places[COLUMNS_MAX];
  struct sink s = { out, PX_OK };
  const size_t file = out->len;
  if (n > COLUMNS_MAX) return px_fail(err, PX_E_INTERNAL, "too many columns");
  put(&s, MAGIC, sizeof MAGIC - 1);
  enum px_status status = s.status;
  for (uint32_t i = 0; i < n && !status; i++)
    status = put_column(&s, &columns[i], rows, file, &places[i]);
  const size_t footer = out->len;
  if (!status) put_footer(&s, columns, n, rows, places);
  const uint32_t length = (uint32_t)(s.out->len - footer);
  put(&s, &length, sizeof length);
  put(&s, MAGIC, sizeof MAGIC - 1);
  if (!status) status = s.status;
  return status ? px_fail(err, status, "no memory for a Parquet file of the export") : PX_OK;
}
