/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns of Parquet files, page by page: see parquet.h. Sources: README and Encodings.md of the
 * Parquet format; levels as in "Dremel" (Melnik et al. 2010), of which one repetition is read.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/mem.h"
#include "lib/read/parquet_parts.h"

/* What a value takes at most in a page, its levels included, and what a page takes besides. */
enum { VALUE_BYTES_MAX = 32, PAGE_BYTES_MORE = 1 << 16, WIDTH_MAX = 1 << 16 };

struct room {
  uint8_t *bytes;
  size_t cap;
};

struct px_parquet_column {
  const struct px_parquet *file;
  const struct px_parquet_leaf *leaf;
  struct px_array_dtype dtype;
  uint32_t width;
  uint8_t *row_reps; /* [width] the repetition levels of a row: 0 1 1 1 */
  uint64_t row;
  /* the row group */
  uint32_t group; /* the next one */
  uint64_t rows_left;
  const uint8_t *at, *end; /* its pages to come */
  uint64_t entries_left;   /* in those */
  uint8_t codec;
  struct room dictionary;
  size_t dictionary_n; /* values */
  bool has_dictionary;
  /* the page: an entry is a value, or a null */
  size_t entries, entry;
  bool all; /* no entry is null */
  struct room unpacked, decoded, indices, defs, reps;
  const uint8_t *values; /* [values_n], of which value have been taken */
  size_t value;
};

static enum px_status fail(const struct px_parquet_column *c, struct px_err *err, const char *fmt,
                           ...) PX_PRINTF(3, 4);
static enum px_status fail(const struct px_parquet_column *c, struct px_err *err, const char *fmt,
                           ...) {
  char place[PX_PARQUET_NAME_BYTES + 32];
  snprintf(place, sizeof place, "%s, row %" PRIu64, c->leaf->name, c->row);
  va_list args;
  va_start(args, fmt);
  const enum px_status status = px_fail_place(err, PX_E_BAD_DATA, place, fmt, args);
  va_end(args);
  return status;
}

/* The same for what an inner part has said. */
static enum px_status place_it(const struct px_parquet_column *c, enum px_status status,
                               struct px_err *err) {
  if (!status || !err) return status;
  (void)fail(c, err, "%s", err->message);
  return status;
}

static enum px_status make_room(const struct px_parquet_column *c, struct room *room, size_t n,
                                size_t size, struct px_err *err) {
  size_t bytes;
  if (!px_mem_mul(n, size, &bytes)) bytes = SIZE_MAX;
  if (bytes <= room->cap && room->bytes) return PX_OK;
  uint8_t *bigger = px_mem_realloc(room->bytes, bytes ? bytes : 1, 1);
  if (!bigger) return px_fail(err, PX_E_NO_MEMORY, "no memory for a page of '%s'", c->leaf->name);
  *room = (struct room){ bigger, bytes };
  return PX_OK;
}

static enum px_status find_leaf(const struct px_parquet *file, const char *name, uint32_t *out,
                                struct px_err *err) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < file->leaves_n; i++)
    if (!strcmp(file->leaves[i].name, name)) *out = i, n++;
  if (!n) return px_fail_at(err, PX_E_BAD_DATA, name, "the column '%s' is missing", name);
  if (n > 1 && !file->leaves[*out].refusal)
    return px_fail_at(err, PX_E_BAD_DATA, name, "the column '%s' is there %u times", name, n);
  if (file->leaves[*out].refusal)
    return px_fail_at(err, PX_E_BAD_DATA, name, "the column '%s' %s", name,
                      file->leaves[*out].refusal);
  return PX_OK;
}

static struct px_array_dtype dtype_of(const struct px_parquet_leaf *leaf) {
  static const struct px_array_dtype types[PX_PARQUET_TYPE_N] = {
    [PX_PARQUET_BOOLEAN] = { PX_DTYPE_UINT, 1, false },
    [PX_PARQUET_INT32] = { PX_DTYPE_INT, 4, false },
    [PX_PARQUET_INT64] = { PX_DTYPE_INT, 8, false },
    [PX_PARQUET_FLOAT] = { PX_DTYPE_FLOAT, 4, false },
    [PX_PARQUET_DOUBLE] = { PX_DTYPE_FLOAT, 8, false }
  };
  struct px_array_dtype type = types[leaf->type];
  if (type.kind == PX_DTYPE_INT && leaf->is_unsigned) type.kind = PX_DTYPE_UINT;
  return type;
}

enum px_status px_parquet_column(const struct px_parquet *file, const char *name, uint32_t width,
                                 struct px_parquet_column **out, struct px_err *err) {
  uint32_t leaf = 0;
  const enum px_status status = find_leaf(file, name, &leaf, err);
  if (status) return status;
  if (!width || width > WIDTH_MAX || (width > 1 && !file->leaves[leaf].is_list))
    return px_fail_at(err, PX_E_BAD_DATA, name,
                      "the column '%s' has a number a row, where %u are expected", name, width);
  struct px_parquet_column *c = calloc(1, sizeof *c);
  if (!c || !(c->row_reps = px_mem_calloc(width, 1))) {
    free(c);
    return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", name);
  }
  memset(c->row_reps, 1, width);
  c->row_reps[0] = 0;
  c->file = file;
  c->leaf = &file->leaves[leaf];
  c->width = width;
  c->dtype = dtype_of(c->leaf);
  *out = c;
  return PX_OK;
}

void px_parquet_column_free(struct px_parquet_column *c) {
  if (!c) return;
  struct room *const rooms[] = { &c->dictionary, &c->unpacked, &c->decoded,
                                 &c->indices,    &c->defs,     &c->reps };
  for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) free(rooms[i]->bytes);
  free(c->row_reps);
  free(c);
}

struct px_array_dtype px_parquet_dtype(const struct px_parquet_column *c) {
  return c->dtype;
}

/* Bytes of a page on their way to be decoded. */
struct span {
  const uint8_t *at;
  size_t n;
};

/* The whole page, or with version 2 what follows its levels, in *out; `room` holds what had to be
 * unpacked. */
static enum px_status unpack(struct px_parquet_column *c, const struct px_parquet_page *page,
                             struct span body, size_t levels, struct room *room, struct span *out,
                             struct px_err *err) {
  const size_t unpacked = page->unpacked - levels;
  *out = (struct span){ body.at + levels, body.n - levels };
  if (c->codec == PX_PARQUET_UNCOMPRESSED || !page->is_packed)
    return out->n == unpacked
             ? PX_OK
             : fail(c, err, "a page of %zu bytes, not packed, declares %zu", out->n, unpacked);
  if (page->unpacked > (uint64_t)page->values * VALUE_BYTES_MAX + PAGE_BYTES_MORE)
    return fail(c, err, "a page of %u values declares %u bytes", page->values, page->unpacked);
  enum px_status status = make_room(c, room, unpacked, 1, err);
  if (!status && unpacked)
    status =
      place_it(c, px_parquet_unpack(c->codec, out->at, out->n, room->bytes, unpacked, err), err);
  *out = (struct span){ room->bytes, unpacked };
  return status;
}

static enum px_status take_dictionary(struct px_parquet_column *c,
                                      const struct px_parquet_page *page, struct span body,
                                      struct px_err *err) {
  const size_t bytes = c->dtype.bytes;
  struct span plain;
  if (c->has_dictionary || c->leaf->type == PX_PARQUET_BOOLEAN)
    return fail(c, err, "a row group has a dictionary too many");
  if (page->encoding != PX_PARQUET_PLAIN && page->encoding != PX_PARQUET_PLAIN_DICTIONARY)
    return fail(c, err, "its dictionary has encoding %d; PLAIN is accepted", page->encoding);
  if (page->values > c->entries_left)
    return fail(c, err, "its dictionary has %u entries for %" PRIu64 " values", page->values,
                c->entries_left);
  enum px_status status = unpack(c, page, body, 0, &c->unpacked, &plain, err);
  if (status) return status;
  if (plain.n / bytes < page->values)
    return fail(c, err, "its dictionary of %u entries has %zu bytes", page->values, plain.n);
  status = make_room(c, &c->dictionary, page->values, bytes, err);
  if (status) return status;
  memcpy(c->dictionary.bytes, plain.at, page->values * bytes);
  c->dictionary_n = page->values;
  c->has_dictionary = true;
  return PX_OK;
}

/* The levels' bytes: version 1 writes their number before them. */
static bool take_levels(struct span *from, bool has_length, size_t n, struct span *out) {
  uint32_t length = (uint32_t)n;
  if (has_length) {
    if (from->n < sizeof length) return false;
    memcpy(&length, from->at, sizeof length);
    *from = (struct span){ from->at + sizeof length, from->n - sizeof length };
  }
  if (length > from->n) return false;
  *out = (struct span){ from->at, length };
  *from = (struct span){ from->at + length, from->n - length };
  return true;
}

/* Repetition, then definition levels, off the front of *from. */
static enum px_status decode_levels(struct px_parquet_column *c, const struct px_parquet_page *page,
                                    struct span *from, struct px_err *err) {
  const bool v1 = page->type == PX_PARQUET_DATA_PAGE;
  struct span reps = { 0 }, defs = { 0 };
  bool all_reps;
  c->all = true;
  if ((c->leaf->max_rep && page->rep_encoding != PX_PARQUET_RLE) ||
      (c->leaf->max_def && page->def_encoding != PX_PARQUET_RLE))
    return fail(c, err, "its levels have another encoding than RLE");
  enum px_status status = PX_OK;
  if (c->leaf->max_rep || !v1) {
    if (!take_levels(from, v1, page->rep_bytes, &reps)) goto malformed;
  }
  if (c->leaf->max_def || !v1) {
    if (!take_levels(from, v1, page->def_bytes, &defs)) goto malformed;
  }
  if (c->leaf->max_rep) status = make_room(c, &c->reps, page->values, 1, err);
  if (c->leaf->max_def && !status) status = make_room(c, &c->defs, page->values, 1, err);
  if (status) return status;
  if (c->leaf->max_rep &&
      !px_parquet_levels(reps.at, reps.n, c->leaf->max_rep, c->reps.bytes, page->values, &all_reps))
    goto malformed;
  if (c->leaf->max_def &&
      !px_parquet_levels(defs.at, defs.n, c->leaf->max_def, c->defs.bytes, page->values, &c->all))
    goto malformed;
  return PX_OK;
malformed:
  return fail(c, err, "the levels of a page are malformed");
}

static bool look_up(const struct px_parquet_column *c, const uint32_t *indices, size_t n) {
  const size_t bytes = c->dtype.bytes;
  uint32_t most = 0;
  for (size_t i = 0; i < n; i++) most = indices[i] > most ? indices[i] : most;
  if (n && most >= c->dictionary_n) return false;
  for (size_t i = 0; i < n; i++) /* sizes the compiler knows */
    if (bytes == 4)
      memcpy(c->decoded.bytes + i * 4, c->dictionary.bytes + (size_t)indices[i] * 4, 4);
    else memcpy(c->decoded.bytes + i * 8, c->dictionary.bytes + (size_t)indices[i] * 8, 8);
  return true;
}

static enum px_status decode_indices(struct px_parquet_column *c, struct span from, size_t n,
                                     struct px_err *err) {
  if (!c->has_dictionary) return fail(c, err, "a page needs a dictionary, and there is none");
  const enum px_status status = make_room(c, &c->indices, n, sizeof(uint32_t), err);
  if (status) return status;
  uint32_t *indices = (uint32_t *)(void *)c->indices.bytes;
  if (n && (!from.n || !px_parquet_hybrid(from.at + 1, from.n - 1, from.at[0], indices, n)))
    return fail(c, err, "the dictionary indices of a page are malformed");
  if (!look_up(c, indices, n))
    return fail(c, err, "an index lies beyond the dictionary's %zu entries", c->dictionary_n);
  return PX_OK;
}

/* The values of a page, n of them, from what follows its levels. */
static enum px_status decode_values(struct px_parquet_column *c, uint8_t encoding, struct span from,
                                    size_t n, struct px_err *err) {
  const uint32_t bytes = c->dtype.bytes;
  const bool truth = c->leaf->type == PX_PARQUET_BOOLEAN, whole = c->dtype.kind != PX_DTYPE_FLOAT;
  bool good = false, all;
  const enum px_status status = make_room(c, &c->decoded, n, bytes, err);
  if (status) return status;
  c->values = c->decoded.bytes;
  struct span runs;
  if (encoding == PX_PARQUET_PLAIN && !truth) {
    good = from.n / bytes >= n;
    c->values = from.at;
  } else if (encoding == PX_PARQUET_PLAIN)
    good = px_parquet_bits(from.at, from.n, c->decoded.bytes, n);
  else if (encoding == PX_PARQUET_RLE && truth)
    good = take_levels(&from, true, 0, &runs) &&
           px_parquet_levels(runs.at, runs.n, 1, c->decoded.bytes, n, &all);
  else if ((encoding == PX_PARQUET_RLE_DICTIONARY || encoding == PX_PARQUET_PLAIN_DICTIONARY) &&
           !truth)
    return decode_indices(c, from, n, err);
  else if (encoding == PX_PARQUET_DELTA_BINARY_PACKED && whole && !truth)
    good = px_parquet_delta(from.at, from.n, bytes, c->decoded.bytes, n);
  else if (encoding == PX_PARQUET_BYTE_STREAM_SPLIT && !truth)
    good = px_parquet_split(from.at, from.n, bytes, c->decoded.bytes, n);
  else return fail(c, err, "encoding %d is not read for its type", encoding);
  return good ? PX_OK : fail(c, err, "a page of %zu bytes does not hold its %zu values", from.n, n);
}

static enum px_status take_data(struct px_parquet_column *c, const struct px_parquet_page *page,
                                struct span body, struct px_err *err) {
  const bool v2 = page->type == PX_PARQUET_DATA_PAGE_V2;
  const uint64_t levels = v2 ? (uint64_t)page->def_bytes + page->rep_bytes : 0;
  struct span from, rest;
  if (page->values > c->entries_left)
    return fail(c, err, "its pages have more values than its metadata declares");
  if (levels > body.n || levels > page->unpacked)
    return fail(c, err, "the levels of a page take more bytes than it has");
  enum px_status status = unpack(c, page, body, (size_t)levels, &c->unpacked, &rest, err);
  if (status) return status;
  from = v2 ? (struct span){ body.at, (size_t)levels } : rest;
  status = decode_levels(c, page, &from, err);
  if (status) return status;
  size_t n = page->values;
  for (size_t i = 0; i < page->values && !c->all; i++) n -= c->defs.bytes[i] != c->leaf->max_def;
  status = decode_values(c, page->encoding, v2 ? rest : from, n, err);
  if (status) return status;
  c->entries = page->values;
  c->entry = c->value = 0;
  c->entries_left -= page->values;
  return PX_OK;
}

static enum px_status take_page(struct px_parquet_column *c, struct px_err *err) {
  struct px_parquet_page page;
  enum px_status status = place_it(c, px_parquet_page(&c->at, c->end, &page, err), err);
  if (status) return status;
  const struct span body = { c->at, page.packed };
  c->at += page.packed;
  if (page.has_crc && crc32(crc32(0, NULL, 0), body.at, page.packed) != page.crc)
    return fail(c, err, "the bytes of a page do not agree with its checksum");
  if (page.type == PX_PARQUET_INDEX_PAGE) return PX_OK;
  return page.type == PX_PARQUET_DICTIONARY_PAGE ? take_dictionary(c, &page, body, err)
                                                 : take_data(c, &page, body, err);
}

/* Until there is an entry, or the row group has no more: then *ended. */
static enum px_status need_entry(struct px_parquet_column *c, bool *ended, struct px_err *err) {
  enum px_status status = PX_OK;
  while (!status && c->entry == c->entries && c->entries_left) status = take_page(c, err);
  *ended = !status && c->entry == c->entries;
  return status;
}

static enum px_status open_group(struct px_parquet_column *c, struct px_err *err) {
  const struct px_parquet *file = c->file;
  const uint32_t group = c->group++, leaf = (uint32_t)(c->leaf - file->leaves);
  const struct px_parquet_chunk *chunk = &file->chunks[(size_t)group * file->leaves_n + leaf];
  const uint64_t rows = file->group_rows[group];
  if (chunk->type != c->leaf->type)
    return fail(c, err, "row group %u has type %d, its schema %d", group, chunk->type,
                c->leaf->type);
  if (chunk->values < rows || chunk->values > rows * c->width)
    return fail(c, err, "row group %u declares %" PRIu64 " values for %" PRIu64 " rows of %u",
                group, chunk->values, rows, c->width);
  c->rows_left = rows;
  c->at = file->bytes + chunk->begin;
  c->end = file->bytes + chunk->end;
  c->entries_left = chunk->values;
  c->entries = c->entry = 0;
  c->codec = chunk->codec;
  c->has_dictionary = false;
  return PX_OK;
}

/* The next entry goes to dst; false where it is null. */
static bool take_entry(struct px_parquet_column *c, uint8_t *dst) {
  const size_t entry = c->entry++;
  if (!c->all && c->defs.bytes[entry] != c->leaf->max_def) return false;
  memcpy(dst, c->values + c->value++ * c->dtype.bytes, c->dtype.bytes);
  return true;
}

static enum px_status uneven(const struct px_parquet_column *c, const char *more, uint32_t n,
                             struct px_err *err) {
  return fail(c, err, "the row has %s%u numbers, where %u are expected", more, n, c->width);
}

/* Any row, entry by entry, also over the end of a page. */
static enum px_status take_row(struct px_parquet_column *c, uint8_t *dst, uint8_t *known,
                               struct px_err *err) {
  const uint8_t list_def = c->leaf->list_def;
  bool ended = false;
  enum px_status status = need_entry(c, &ended, err);
  if (status) return status;
  if (ended) return fail(c, err, "its row group ends before this row");
  if (c->leaf->is_list && c->reps.bytes[c->entry]) return fail(c, err, "no row begins here");
  const uint8_t def = c->all ? c->leaf->max_def : c->defs.bytes[c->entry];
  memset(dst, 0, (size_t)c->width * c->dtype.bytes);
  *known = 0;
  if (def < list_def) {
    c->entry++;
    return def + 1 == list_def ? uneven(c, "", 0, err) : PX_OK;
  }
  uint32_t n = 0, values = 0;
  for (bool more = true; more; n++) {
    if (n == c->width) return uneven(c, "more than ", n, err);
    if (!c->all && c->defs.bytes[c->entry] < list_def)
      return fail(c, err, "its levels are malformed");
    values += take_entry(c, dst + (size_t)n * c->dtype.bytes);
    if (c->leaf->is_list) status = need_entry(c, &ended, err);
    if (status) return status;
    more = c->leaf->is_list && !ended && c->reps.bytes[c->entry];
  }
  if (n != c->width) return uneven(c, "", n, err);
  if (values && values != n) return fail(c, err, "%u of %u numbers are null", n - values, n);
  *known = values != 0;
  return PX_OK;
}

/* Rows that lie whole and without nulls in the page, at most `rows`; how many. */
static size_t take_plain_rows(struct px_parquet_column *c, size_t rows, uint8_t *dst,
                              uint8_t *known) {
  const size_t row_bytes = (size_t)c->width * c->dtype.bytes, left = c->entries - c->entry;
  size_t n = 0;
  if (!c->all) return 0;
  if (!c->leaf->is_list) n = left < rows ? left : rows;
  else
    for (const uint8_t *reps = c->reps.bytes + c->entry;
         n < rows && left - n * c->width > c->width && !memcmp(reps, c->row_reps, c->width) &&
         !reps[c->width];
         n++)
      reps += c->width;
  if (!n) return 0;
  memcpy(dst, c->values + c->value * c->dtype.bytes, n * row_bytes);
  memset(known, 1, n);
  c->entry += n * c->width;
  c->value += n * c->width;
  return n;
}

/* What a row group has must have been used up by its rows. */
static enum px_status close_group(struct px_parquet_column *c, struct px_err *err) {
  bool ended;
  const enum px_status status = need_entry(c, &ended, err);
  return status || ended ? status : fail(c, err, "its row group has more values than rows");
}

enum px_status px_parquet_next(struct px_parquet_column *c, size_t rows, void *values,
                               uint8_t *known, struct px_err *err) {
  uint8_t *dst = values;
  enum px_status status = PX_OK;
  while (rows && !status) {
    if (!c->rows_left) {
      if (c->group == c->file->groups_n) return fail(c, err, "there is no such row");
      status = open_group(c, err);
      continue;
    }
    const size_t most = rows < c->rows_left ? rows : (size_t)c->rows_left;
    size_t n = take_plain_rows(c, most, dst, known);
    if (!n) {
      status = take_row(c, dst, known, err);
      n = 1;
    }
    dst += n * c->width * c->dtype.bytes;
    known += n;
    rows -= n;
    c->row += n;
    c->rows_left -= n;
    if (!c->rows_left && !status) status = close_group(c, err);
  }
  return status;
}
