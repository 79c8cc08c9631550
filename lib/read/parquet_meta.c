/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of Parquet files, headers of pages: see parquet_parts.h. Source: parquet.thrift. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/parquet_parts.h"
#include "lib/read/thrift.h"

enum { LEAVES_MAX = 100000, CHUNKS_MAX = 1 << 20, SCHEMA_DEPTH_MAX = 16, TAIL_BYTES = 8 };
static const uint64_t ROWS_MAX = 1ull << 40;
static const char MAGIC[] = "PAR1", MAGIC_ENCRYPTED[] = "PARE";

/* Values of parquet.thrift. */
enum { REQUIRED, OPTIONAL, REPEATED };
enum { CONVERTED_DECIMAL = 5, CONVERTED_UINT_8 = 11, CONVERTED_UINT_64 = 14, LOGICAL_DECIMAL = 5 };

struct element {
  int64_t type, repetition, children, converted;
  const char *name;
  size_t name_n;
  bool decimal;
};

static struct element take_element(struct px_thrift *t) {
  struct element e = { .type = -1, .converted = -1, .name = "" };
  for (struct px_thrift_field f = { 0 }; px_thrift_next(t, &f);) switch (f.id) {
      case 1: e.type = px_thrift_int(t, &f); break;
      case 3: e.repetition = px_thrift_int(t, &f); break;
      case 4: e.name = px_thrift_binary(t, &f, &e.name_n); break;
      case 5: e.children = px_thrift_int(t, &f); break;
      case 6: e.converted = px_thrift_int(t, &f); break;
      case 10: /* a union: a struct of one field */
        if (!px_thrift_is_struct(t, &f)) break;
        for (struct px_thrift_field kind = { 0 }; px_thrift_next(t, &kind);) {
          e.decimal = e.decimal || kind.id == LOGICAL_DECIMAL;
          px_thrift_skip(t, &kind);
        }
        break;
      default: px_thrift_skip(t, &f);
    }
  e.decimal = e.decimal || e.converted == CONVERTED_DECIMAL;
  return e;
}

/* The way from the root to an element: its levels, and whether it is a list's. */
struct step {
  int64_t left; /* children to come */
  uint8_t def, rep, list_def;
  bool odd; /* a group that is no list */
};
struct schema {
  struct px_parquet *file;
  struct step steps[SCHEMA_DEPTH_MAX];
  int depth; /* of steps that are open */
  char top[PX_PARQUET_NAME_BYTES];
};

static const char *refusal_of(const struct schema *s, const struct element *e,
                              const struct step *at) {
  if (!*s->top) return "has a name that is too long";
  if (at->odd || (s->depth > 1 && !at->rep))
    return "is a structure, not a number or a list of numbers";
  if (at->rep > 1) return "is a list of lists; one list a row is read";
  if (e->decimal) return "is a decimal; cast it to FLOAT or DOUBLE";
  if (e->type < PX_PARQUET_BOOLEAN || e->type > PX_PARQUET_DOUBLE || e->type == PX_PARQUET_INT96)
    return "holds no numbers of type BOOLEAN, INT32, INT64, FLOAT or DOUBLE";
  return NULL;
}

static enum px_status add_leaf(struct schema *s, const struct element *e, const struct step *at,
                               struct px_err *err) {
  struct px_parquet *file = s->file;
  if (file->leaves_n == LEAVES_MAX)
    return px_fail(err, PX_E_BAD_DATA, "it has more than %d columns", LEAVES_MAX);
  if (file->leaves_n == file->leaves_cap) {
    const uint32_t cap = file->leaves_cap ? file->leaves_cap * 2 : 16;
    void *leaves = px_mem_realloc(file->leaves, cap, sizeof *file->leaves);
    if (!leaves) return px_fail(err, PX_E_NO_MEMORY, "no memory for %u columns", cap);
    file->leaves = leaves;
    file->leaves_cap = cap;
  }
  struct px_parquet_leaf *leaf = &file->leaves[file->leaves_n++];
  *leaf = (struct px_parquet_leaf){
    .refusal = refusal_of(s, e, at),
    .type = (uint8_t)e->type,
    .is_unsigned = e->converted >= CONVERTED_UINT_8 && e->converted <= CONVERTED_UINT_64,
    .is_list = at->rep > 0,
    .max_def = at->def,
    .max_rep = at->rep,
    .list_def = at->list_def,
  };
  memcpy(leaf->name, s->top, sizeof leaf->name);
  return PX_OK;
}

/* Whether a group is only there to make a list: LIST's own, or the repeated one within it. */
static bool makes_list(const struct schema *s, const struct element *e) {
  return e->children == 1 && (s->depth == 1 || (s->depth == 2 && e->repetition == REPEATED));
}

static enum px_status add_element(struct schema *s, const struct element *e, struct px_err *err) {
  const struct step *parent = &s->steps[s->depth - 1];
  struct step at = *parent;
  at.def = (uint8_t)(at.def + (e->repetition != REQUIRED));
  at.rep = (uint8_t)(at.rep + (e->repetition == REPEATED));
  if (e->repetition == REPEATED && at.rep == 1) at.list_def = at.def;
  if (s->depth == 1) {
    const bool fits = e->name_n < sizeof s->top && !memchr(e->name, '\0', e->name_n);
    memset(s->top, 0, sizeof s->top);
    if (fits) memcpy(s->top, e->name, e->name_n);
  }
  s->steps[s->depth - 1].left--;
  if (!e->children) return add_leaf(s, e, &at, err);
  at.odd = at.odd || !makes_list(s, e);
  at.left = e->children;
  if (s->depth == SCHEMA_DEPTH_MAX)
    return px_fail(err, PX_E_BAD_DATA, "its schema is nested more than %d deep", SCHEMA_DEPTH_MAX);
  s->steps[s->depth++] = at;
  return PX_OK;
}

static enum px_status take_schema(struct px_thrift *t, uint32_t n, struct px_parquet *file,
                                  struct px_err *err) {
  struct schema s = { .file = file };
  enum px_status status = PX_OK;
  if (file->leaves_n) return px_fail(err, PX_E_BAD_DATA, "it has two schemas");
  for (uint32_t i = 0; i < n && !t->broken && !status; i++) {
    const struct element e = take_element(t);
    const bool bad =
      e.children < 0 || e.children > n || e.repetition < 0 || e.repetition > REPEATED;
    if (!bad && i == 0) {
      s.steps[s.depth++] = (struct step){ .left = e.children };
      continue;
    }
    while (s.depth && !s.steps[s.depth - 1].left) s.depth--;
    if (bad || !s.depth) return px_fail(err, PX_E_BAD_DATA, "its schema is malformed");
    status = add_element(&s, &e, err);
  }
  while (s.depth && !s.steps[s.depth - 1].left) s.depth--;
  if (!status && s.depth) status = px_fail(err, PX_E_BAD_DATA, "its schema is malformed");
  return status;
}

struct place {
  int64_t data, dictionary, packed, values, type, codec;
};

static void take_place(struct px_thrift *t, struct place *p) {
  for (struct px_thrift_field f = { 0 }; px_thrift_next(t, &f);) switch (f.id) {
      case 1: p->type = px_thrift_int(t, &f); break;
      case 4: p->codec = px_thrift_int(t, &f); break;
      case 5: p->values = px_thrift_int(t, &f); break;
      case 7: p->packed = px_thrift_int(t, &f); break;
      case 9: p->data = px_thrift_int(t, &f); break;
      case 11: p->dictionary = px_thrift_int(t, &f); break;
      default: px_thrift_skip(t, &f);
    }
}

static enum px_status take_chunk(struct px_thrift *t, const struct px_parquet *file,
                                 struct px_parquet_chunk *chunk, struct px_err *err) {
  struct place p = { .data = -1, .packed = -1, .values = -1, .type = -1, .codec = -1 };
  bool elsewhere = false;
  for (struct px_thrift_field f = { 0 }; px_thrift_next(t, &f);) {
    elsewhere = elsewhere || f.id == 1;
    if (f.id == 3 && px_thrift_is_struct(t, &f)) take_place(t, &p);
    else px_thrift_skip(t, &f);
  }
  if (t->broken) return PX_OK;
  if (elsewhere)
    return px_fail(err, PX_E_BAD_DATA, "it keeps columns in other files, which is not read");
  const int64_t begin = p.dictionary > 0 && p.dictionary < p.data ? p.dictionary : p.data;
  if (begin < 0 || p.packed < 0 || (uint64_t)begin > file->n ||
      (uint64_t)p.packed > file->n - (uint64_t)begin)
    return px_fail(err, PX_E_BAD_DATA, "its metadata places a column outside the file");
  if (p.values < 0 || p.type < 0 || p.type >= PX_PARQUET_TYPE_N || p.codec < 0 ||
      p.codec > UINT8_MAX)
    return px_fail(err, PX_E_BAD_DATA,
                   "its metadata has a column of %" PRId64 " values, type %" PRId64
                   " and codec %" PRId64,
                   p.values, p.type, p.codec);
  *chunk = (struct px_parquet_chunk){ .begin = (uint64_t)begin,
                                      .end = (uint64_t)begin + (uint64_t)p.packed,
                                      .values = (uint64_t)p.values,
                                      .type = (uint8_t)p.type,
                                      .codec = (uint8_t)p.codec };
  return PX_OK;
}

/* One row group: its chunks are the leaves in the schema's order. */
static enum px_status take_group(struct px_thrift *t, struct px_parquet *file, uint32_t group,
                                 struct px_err *err) {
  int64_t rows = -1;
  uint32_t n = 0;
  enum px_status status = PX_OK;
  for (struct px_thrift_field f = { 0 }; !status && px_thrift_next(t, &f);) {
    if (f.id == 3) rows = px_thrift_int(t, &f);
    else if (f.id != 1 || n) px_thrift_skip(t, &f);
    else {
      n = px_thrift_list(t, &f, PX_THRIFT_STRUCT);
      for (uint32_t i = 0; i < n && n == file->leaves_n && !t->broken && !status; i++)
        status = take_chunk(t, file, &file->chunks[(size_t)group * file->leaves_n + i], err);
      if (!status && n != file->leaves_n && !t->broken)
        status = px_fail(err, PX_E_BAD_DATA, "row group %u has %u columns, its schema %u", group, n,
                         file->leaves_n);
    }
  }
  if (status || t->broken) return status;
  if (rows < 0 || (uint64_t)rows > ROWS_MAX || n != file->leaves_n)
    return px_fail(err, PX_E_BAD_DATA, "row group %u declares %" PRId64 " rows in %u columns",
                   group, rows, n);
  file->group_rows[group] = (uint64_t)rows;
  file->rows += (uint64_t)rows;
  return PX_OK;
}

static enum px_status take_groups(struct px_thrift *t, uint32_t n, struct px_parquet *file,
                                  struct px_err *err) {
  if (t->broken) return PX_OK;
  if (file->group_rows || !file->leaves_n)
    return px_fail(err, PX_E_BAD_DATA, "its metadata is out of order");
  if ((uint64_t)n * file->leaves_n > CHUNKS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "it has %u row groups of %u columns, more than is read", n,
                   file->leaves_n);
  file->group_rows = px_mem_calloc(n, sizeof *file->group_rows);
  file->chunks = px_mem_calloc((size_t)n * file->leaves_n, sizeof *file->chunks);
  if (!file->group_rows || !file->chunks)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for %u row groups", n);
  file->groups_n = n;
  enum px_status status = PX_OK;
  for (uint32_t g = 0; g < n && !t->broken && !status; g++) status = take_group(t, file, g, err);
  return status;
}

static enum px_status take_footer(struct px_thrift *t, struct px_parquet *file,
                                  struct px_err *err) {
  int64_t rows = -1;
  enum px_status status = PX_OK;
  for (struct px_thrift_field f = { 0 }; !status && px_thrift_next(t, &f);) {
    if (f.id == 2) status = take_schema(t, px_thrift_list(t, &f, PX_THRIFT_STRUCT), file, err);
    else if (f.id == 3) rows = px_thrift_int(t, &f);
    else if (f.id == 4) status = take_groups(t, px_thrift_list(t, &f, PX_THRIFT_STRUCT), file, err);
    else px_thrift_skip(t, &f);
  }
  if (status) return status;
  if (t->broken) return px_fail(err, PX_E_BAD_DATA, "its metadata is malformed");
  if (rows < 0 || (uint64_t)rows != file->rows)
    return px_fail(err, PX_E_BAD_DATA,
                   "its metadata declares %" PRId64 " rows, its row groups %" PRIu64, rows,
                   file->rows);
  return PX_OK;
}

static enum px_status find_footer(const uint8_t *bytes, size_t n, struct px_thrift *out,
                                  struct px_err *err) {
  const size_t magic_n = sizeof MAGIC - 1;
  uint32_t length;
  if (n >= magic_n && !memcmp(bytes, MAGIC_ENCRYPTED, magic_n))
    return px_fail(err, PX_E_BAD_DATA, "it is an encrypted Parquet file");
  if (n < magic_n + TAIL_BYTES || memcmp(bytes, MAGIC, magic_n) ||
      memcmp(bytes + n - magic_n, MAGIC, magic_n))
    return px_fail(err, PX_E_BAD_DATA, "it is no complete Parquet file");
  memcpy(&length, bytes + n - TAIL_BYTES, sizeof length);
  if (length > n - magic_n - TAIL_BYTES)
    return px_fail(err, PX_E_BAD_DATA, "its metadata is said to take %u of the file's %zu bytes",
                   length, n);
  *out = (struct px_thrift){ .at = bytes + n - TAIL_BYTES - length, .end = bytes + n - TAIL_BYTES };
  return PX_OK;
}

enum px_status px_parquet_open(const void *bytes, size_t n, struct px_parquet **out,
                               struct px_err *err) {
  struct px_thrift footer = { 0 };
  enum px_status status = find_footer(bytes, n, &footer, err);
  if (status) return status;
  struct px_parquet *file = calloc(1, sizeof *file);
  if (!file) return px_fail(err, PX_E_NO_MEMORY, "no memory to read a Parquet file");
  file->bytes = bytes;
  file->n = (size_t)(footer.at - file->bytes);
  status = take_footer(&footer, file, err);
  if (status) px_parquet_free(file);
  else *out = file;
  return status;
}

void px_parquet_free(struct px_parquet *file) {
  if (!file) return;
  free(file->leaves);
  free(file->group_rows);
  free(file->chunks);
  free(file);
}

uint64_t px_parquet_rows(const struct px_parquet *file) { return file->rows; }

bool px_parquet_has(const struct px_parquet *file, const char *name) {
  for (uint32_t i = 0; i < file->leaves_n; i++)
    if (!strcmp(file->leaves[i].name, name)) return true;
  return false;
}

static void take_data_page(struct px_thrift *t, int64_t out[9]) {
  for (struct px_thrift_field f = { 0 }; px_thrift_next(t, &f);) {
    if (f.id >= 1 && f.id <= 6) out[f.id] = px_thrift_int(t, &f);
    else if (f.id == 7) out[7] = px_thrift_bool(t, &f);
    else px_thrift_skip(t, &f);
  }
}

static void take_page_v1(struct px_thrift *t, int64_t out[9]) {
  for (struct px_thrift_field f = { 0 }; px_thrift_next(t, &f);) {
    if (f.id >= 1 && f.id <= 4 && f.type != PX_THRIFT_TRUE && f.type != PX_THRIFT_FALSE)
      out[f.id] = px_thrift_int(t, &f);
    else px_thrift_skip(t, &f);
  }
}

enum px_status px_parquet_page(const uint8_t **at, const uint8_t *end, struct px_parquet_page *page,
                               struct px_err *err) {
  struct px_thrift t = { .at = *at, .end = end };
  int64_t head[4] = { -1, -1, -1, -1 };
  int64_t own[9] = { [7] = 1 }; /* of the page's kind, by number */
  bool has_crc = false;
  uint32_t crc = 0;
  for (struct px_thrift_field f = { 0 }; px_thrift_next(&t, &f);) {
    if (f.id >= 1 && f.id <= 3) head[f.id] = px_thrift_int(&t, &f);
    else if (f.id == 4) has_crc = true, crc = (uint32_t)px_thrift_int(&t, &f);
    else if (f.id == 5 || f.id == 7) {
      if (px_thrift_is_struct(&t, &f)) take_page_v1(&t, own);
    } else if (f.id == 8) {
      if (px_thrift_is_struct(&t, &f)) take_data_page(&t, own);
    } else px_thrift_skip(&t, &f);
  }
  if (t.broken) return px_fail(err, PX_E_BAD_DATA, "the header of a page is malformed");
  const size_t left = (size_t)(t.end - t.at);
  if (head[1] < 0 || head[1] > PX_PARQUET_DATA_PAGE_V2 || head[2] < 0 || head[2] > INT32_MAX ||
      head[3] < 0 || (uint64_t)head[3] > left)
    return px_fail(err, PX_E_BAD_DATA,
                   "a page of type %" PRId64 " is said to take %" PRId64 " bytes, unpacked %" PRId64
                   ", where %zu are left",
                   head[1], head[3], head[2], left);
  const bool v2 = head[1] == PX_PARQUET_DATA_PAGE_V2;
  for (int i = 1; i <= 6; i++) /* encodings are small */
    if (own[i] < 0 || own[i] > (i == 1 || (v2 && i != 4) ? INT32_MAX : UINT8_MAX))
      return px_fail(err, PX_E_BAD_DATA, "the header of a page has a %s of %" PRId64,
                     i == 1 ? "count" : "field", own[i]);
  *page = (struct px_parquet_page){ .type = (uint8_t)head[1],
                                    .unpacked = (uint32_t)head[2],
                                    .packed = (uint32_t)head[3],
                                    .values = (uint32_t)own[1],
                                    .nulls = v2 ? (uint32_t)own[2] : 0,
                                    .encoding = (uint8_t)(v2 ? own[4] : own[2]),
                                    .def_encoding = v2 ? PX_PARQUET_RLE : (uint8_t)own[3],
                                    .rep_encoding = v2 ? PX_PARQUET_RLE : (uint8_t)own[4],
                                    .def_bytes = v2 ? (uint32_t)own[5] : 0,
                                    .rep_bytes = v2 ? (uint32_t)own[6] : 0,
                                    .is_packed = !v2 || own[7],
                                    .has_crc = has_crc,
                                    .crc = crc };
  *at = t.at;
  return PX_OK;
}
