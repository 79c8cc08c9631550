/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors, reading and writing: see safetensors.h. */
#include "lib/data/safetensors.h"

#include <endian.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

enum { ALIGN = 64 };

static const struct {
  const char *name;
  size_t bytes;
} DTYPES[PX_DTYPE_N] = {
  [PX_DTYPE_F32] = { "F32", 4 }, [PX_DTYPE_F64] = { "F64", 8 },   [PX_DTYPE_I64] = { "I64", 8 },
  [PX_DTYPE_I32] = { "I32", 4 }, [PX_DTYPE_U8] = { "U8", 1 },     [PX_DTYPE_BOOL] = { "BOOL", 1 },
  [PX_DTYPE_F16] = { "F16", 2 }, [PX_DTYPE_BF16] = { "BF16", 2 }, [PX_DTYPE_I8] = { "I8", 1 },
  [PX_DTYPE_I16] = { "I16", 2 }, [PX_DTYPE_U16] = { "U16", 2 },   [PX_DTYPE_U32] = { "U32", 4 },
  [PX_DTYPE_U64] = { "U64", 8 },
};

const char *px_safetensors_dtype_name(enum px_dtype dtype) { return DTYPES[dtype].name; }
size_t px_safetensors_dtype_bytes(enum px_dtype dtype) { return DTYPES[dtype].bytes; }

bool px_safetensors_aligned(const struct px_safetensors_tensor *tensor) {
  return ((uintptr_t)tensor->data & (DTYPES[tensor->dtype].bytes - 1)) == 0;
}

/* The size in bytes of a shape; false when it overflows. */
static bool shape_bytes(const struct px_safetensors_tensor *t, uint64_t *bytes) {
  size_t product = DTYPES[t->dtype].bytes;
  bool empty = false;
  for (uint32_t i = 0; i < t->rank; i++) {
    /* A zero elsewhere must not hide an overflow of the others. */
    if (t->dims[i] == 0) empty = true;
    else if (!px_mem_mul(product, t->dims[i], &product)) return false;
  }
  *bytes = empty ? 0 : product;
  return true;
}

/* ---- writing ---- */

static enum px_status put_string(struct px_buf *out, const char *text) {
  json_t *string = json_string(text); /* NULL when it is not UTF-8 */
  if (!string) return PX_E_BAD_DATA;
  char *quoted = px_json_dumps(string, JSON_ENCODE_ANY);
  json_decref(string);
  if (!quoted) return PX_E_NO_MEMORY;
  const enum px_status status = px_buf_puts(out, quoted);
  free(quoted);
  return status;
}

static enum px_status put_tensor(struct px_buf *out, const struct px_safetensors_tensor *t) {
  enum px_status status = put_string(out, t->name);
  if (!status) status = px_buf_fmt(out, ":{\"dtype\":\"%s\",\"shape\":[", DTYPES[t->dtype].name);
  for (uint32_t i = 0; i < t->rank && !status; i++)
    status = px_buf_fmt(out, "%s%" PRIu64, i ? "," : "", t->dims[i]);
  if (!status)
    status = px_buf_fmt(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->offset,
                        t->offset + t->bytes);
  return status;
}

static enum px_status put_meta(struct px_buf *out, const struct px_safetensors_meta *meta,
                               size_t n) {
  enum px_status status = px_buf_puts(out, "\"__metadata__\":{");
  for (size_t i = 0; i < n && !status; i++) {
    if (i) status = px_buf_puts(out, ",");
    if (!status) status = put_string(out, meta[i].key);
    if (!status) status = px_buf_puts(out, ":");
    if (!status) status = put_string(out, meta[i].value);
  }
  return status ? status : px_buf_puts(out, "}");
}

/* Data is laid out in passes over the tensors, by decreasing element size. */
static const size_t PASSES[] = { 8, 4, 2, 1 };
enum { PASSES_N = 4 };

/* Sets bytes and offset. */
static enum px_status lay_out(struct px_safetensors_tensor *tensors, size_t n, struct px_err *err) {
  if (n > PX_ST_TENSORS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "%zu tensors; at most %d fit", n, PX_ST_TENSORS_MAX);
  size_t offset = 0;
  for (size_t pass = 0; pass < PASSES_N; pass++) {
    for (size_t i = 0; i < n; i++) {
      struct px_safetensors_tensor *t = &tensors[i];
      if (DTYPES[t->dtype].bytes != PASSES[pass]) continue;
      if (!t->name[0] || strlen(t->name) > PX_ST_NAME_MAX || strcmp(t->name, "__metadata__") == 0)
        return px_fail(err, PX_E_BAD_DATA, "'%.64s' cannot name a tensor", t->name);
      for (size_t k = 0; k < i; k++)
        if (strcmp(tensors[k].name, t->name) == 0)
          return px_fail(err, PX_E_BAD_DATA, "two tensors are named '%.64s'", t->name);
      t->offset = offset;
      if (t->rank > PX_ST_RANK_MAX || !shape_bytes(t, &t->bytes) ||
          !px_mem_add(offset, t->bytes, &offset))
        return px_fail(err, PX_E_BAD_DATA, "the shape of tensor '%.64s' is too large", t->name);
    }
  }
  return PX_OK;
}

enum px_status px_safetensors_header(struct px_safetensors_tensor *tensors, size_t tensors_n,
                                     const struct px_safetensors_meta *meta, size_t meta_n,
                                     struct px_buf *out, struct px_err *err) {
  enum px_status status = lay_out(tensors, tensors_n, err);
  if (status) return status;
  const size_t start = out->len;
  const uint64_t none = 0;
  status = px_buf_put(out, &none, sizeof none);
  if (!status) status = px_buf_puts(out, "{");
  if (!status && meta_n) status = put_meta(out, meta, meta_n);
  bool comma = meta_n > 0;
  for (size_t pass = 0; pass < PASSES_N; pass++) {
    for (size_t i = 0; i < tensors_n && !status; i++) {
      if (DTYPES[tensors[i].dtype].bytes != PASSES[pass]) continue;
      if (comma) status = px_buf_puts(out, ",");
      if (!status) status = put_tensor(out, &tensors[i]);
      comma = true;
    }
  }
  if (!status) status = px_buf_puts(out, "}");
  while (!status && (out->len - start) % ALIGN) status = px_buf_puts(out, " ");
  const uint64_t header_n = out->len - start - sizeof none;
  if (!status && header_n > PX_ST_HEADER_MAX_BYTES) status = PX_E_TOO_LARGE;
  if (status) {
    out->len = start;
    return px_fail(err, status, "the header of a safetensors file could not be written");
  }
  const uint64_t little = htole64(header_n);
  memcpy(out->data + start, &little, sizeof little);
  return PX_OK;
}

enum px_status px_safetensors_write(struct px_safetensors_tensor *tensors, size_t tensors_n,
                                    const struct px_safetensors_meta *meta, size_t meta_n,
                                    struct px_buf *out, struct px_err *err) {
  const size_t start = out->len;
  enum px_status status = px_safetensors_header(tensors, tensors_n, meta, meta_n, out, err);
  if (status) return status;
  size_t total = 0;
  /* lay_out checked the sum */
  for (size_t i = 0; i < tensors_n; i++) total += tensors[i].bytes;
  status = px_buf_room(out, total); /* once, so that growing does not copy */
  for (size_t pass = 0; pass < PASSES_N; pass++)
    for (size_t i = 0; i < tensors_n && !status; i++)
      if (DTYPES[tensors[i].dtype].bytes == PASSES[pass])
        status = px_buf_put(out, tensors[i].data, tensors[i].bytes);
  if (status) {
    out->len = start;
    return px_fail(err, status, "a safetensors file of %zu bytes does not fit", total);
  }
  return PX_OK;
}

/* ---- parsing ---- */

struct px_safetensors {
  json_t *header; /* owns names and metadata */
  const json_t *meta;
  struct px_safetensors_tensor *tensors;
  size_t tensors_n;
};

void px_safetensors_free(struct px_safetensors *st) {
  if (!st) return;
  json_decref(st->header);
  free(st->tensors);
  free(st);
}

static enum px_status fail_tensor(struct px_err *err, const char *name, const char *what) {
  return px_fail(err, PX_E_BAD_DATA, "safetensors: tensor '%.64s' %s", name, what);
}

static bool parse_dtype(const json_t *value, enum px_dtype *out) {
  const char *name = json_string_value(value);
  for (unsigned i = 0; name && i < PX_DTYPE_N; i++) {
    if (strcmp(name, DTYPES[i].name) == 0) {
      *out = (enum px_dtype)i;
      return true;
    }
  }
  return false;
}

static bool parse_count(const json_t *value, uint64_t *out) {
  const json_int_t n = json_integer_value(value);
  if (!json_is_integer(value) || n < 0) return false;
  *out = (uint64_t)n;
  return true;
}

static enum px_status parse_tensor(const char *name, const json_t *entry, uint64_t data_n,
                                   struct px_safetensors_tensor *t, struct px_err *err) {
  if (!name[0] || strlen(name) > PX_ST_NAME_MAX)
    return fail_tensor(err, name, "has an empty or too long name");
  if (!json_is_object(entry) || json_object_size(entry) != 3)
    return fail_tensor(err, name, "must have exactly dtype, shape and data_offsets");
  const json_t *shape = json_object_get(entry, "shape"),
               *span = json_object_get(entry, "data_offsets");
  t->name = name;
  if (!parse_dtype(json_object_get(entry, "dtype"), &t->dtype))
    return fail_tensor(
      err, name,
      "has an unknown dtype; F16, BF16, F32, F64, I8 to I64, U8 to U64 and BOOL are known");
  if (!json_is_array(shape) || json_array_size(shape) > PX_ST_RANK_MAX)
    return fail_tensor(err, name, "has no shape, or one of more than 8 dimensions");
  t->rank = (uint32_t)json_array_size(shape);
  for (uint32_t i = 0; i < t->rank; i++)
    if (!parse_count(json_array_get(shape, i), &t->dims[i]))
      return fail_tensor(err, name, "has a bad shape");
  uint64_t end;
  if (!json_is_array(span) || json_array_size(span) != 2 ||
      !parse_count(json_array_get(span, 0), &t->offset) ||
      !parse_count(json_array_get(span, 1), &end) || t->offset > end || end > data_n)
    return fail_tensor(err, name, "has data_offsets outside the file");
  if (!shape_bytes(t, &t->bytes) || t->bytes != end - t->offset)
    return fail_tensor(err, name, "has a shape that does not fit its data_offsets");
  return PX_OK;
}

static enum px_status parse_meta(const json_t *meta, struct px_err *err) {
  if (!json_is_object(meta))
    return px_fail(err, PX_E_BAD_DATA, "safetensors: __metadata__ is not an object");
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)meta, key, value) {
    if (!json_is_string(value))
      return px_fail(err, PX_E_BAD_DATA, "safetensors: __metadata__ '%.64s' is not a string", key);
  }
  return PX_OK;
}

static int by_place(const void *a, const void *b) {
  const struct px_safetensors_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

static enum px_status parse_header(struct px_safetensors *st, const char *data, uint64_t data_n,
                                   struct px_err *err) {
  const size_t entries = json_object_size(st->header);
  if (entries > PX_ST_TENSORS_MAX + 1u)
    return px_fail(err, PX_E_BAD_DATA, "safetensors: more than %d tensors", PX_ST_TENSORS_MAX);
  st->tensors = calloc(entries ? entries : 1, sizeof *st->tensors);
  if (!st->tensors)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the header of a safetensors file");
  const char *name;
  json_t *entry;
  json_object_foreach(st->header, name, entry) {
    enum px_status status;
    if (strcmp(name, "__metadata__") == 0) {
      st->meta = entry;
      status = parse_meta(entry, err);
    } else {
      status = parse_tensor(name, entry, data_n, &st->tensors[st->tensors_n++], err);
    }
    if (status) return status;
  }
  qsort(st->tensors, st->tensors_n, sizeof *st->tensors, by_place);
  uint64_t covered = 0;
  for (size_t i = 0; i < st->tensors_n; i++) {
    struct px_safetensors_tensor *t = &st->tensors[i];
    if (t->offset != covered) return fail_tensor(err, t->name, "overlaps another or leaves a hole");
    covered += t->bytes;
    t->data = data + t->offset;
  }
  if (covered != data_n)
    return px_fail(err, PX_E_BAD_DATA,
                   "safetensors: %" PRIu64 " bytes at the end belong to no tensor",
                   data_n - covered);
  return PX_OK;
}

enum px_status px_safetensors_parse(const void *bytes, size_t n, struct px_safetensors **out,
                                    struct px_err *err) {
  uint64_t header_n = 0;
  if (n >= sizeof header_n) memcpy(&header_n, bytes, sizeof header_n);
  header_n = le64toh(header_n);
  if (n < sizeof header_n || header_n < 2 || header_n > n - sizeof header_n)
    return px_fail(err, PX_E_BAD_DATA,
                   "not a safetensors file: it is shorter than its header says");
  if (header_n > PX_ST_HEADER_MAX_BYTES)
    return px_fail(err, PX_E_BAD_DATA,
                   "safetensors: a header of %" PRIu64 " bytes; at most %d are allowed", header_n,
                   PX_ST_HEADER_MAX_BYTES);
  const char *header = (const char *)bytes + sizeof header_n;
  struct px_safetensors *st = calloc(1, sizeof *st);
  if (!st) return px_fail(err, PX_E_NO_MEMORY, "no memory for the header of a safetensors file");
  json_error_t why;
  st->header = px_json_parse(header, (size_t)header_n, JSON_REJECT_DUPLICATES, &why);
  enum px_status status;
  if (!st->header && json_error_code(&why) == json_error_out_of_memory)
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for the header of a safetensors file");
  else if (!json_is_object(st->header))
    status = px_fail(err, PX_E_BAD_DATA, "safetensors: the header is not a JSON object: %s",
                     st->header ? "another kind of value" : why.text);
  else status = parse_header(st, header + header_n, n - sizeof header_n - header_n, err);
  if (status) {
    px_safetensors_free(st);
    return status;
  }
  *out = st;
  return PX_OK;
}

const struct px_safetensors_tensor *px_safetensors_find(const struct px_safetensors *st,
                                                        const char *name) {
  for (size_t i = 0; i < st->tensors_n; i++)
    if (strcmp(st->tensors[i].name, name) == 0) return &st->tensors[i];
  return NULL;
}

size_t px_safetensors_tensors_n(const struct px_safetensors *st) { return st->tensors_n; }
const struct px_safetensors_tensor *px_safetensors_at(const struct px_safetensors *st, size_t i) {
  return &st->tensors[i];
}

const char *px_safetensors_meta(const struct px_safetensors *st, const char *key) {
  return st->meta ? json_string_value(json_object_get(st->meta, key)) : NULL;
}

const char *px_safetensors_meta_at(const struct px_safetensors *st, size_t i, const char **value) {
  json_t *meta = (json_t *)(uintptr_t)st->meta;
  void *entry = meta ? json_object_iter(meta) : NULL;
  for (; entry && i; i--) entry = json_object_iter_next(meta, entry);
  if (!entry) return NULL;
  *value = json_string_value(json_object_iter_value(entry));
  return json_object_iter_key(entry);
}

enum px_status px_safetensors_take(const struct px_safetensors *st, const char *name,
                                   enum px_dtype dtype, uint32_t rank, const uint64_t *dims,
                                   const void **data, struct px_err *err) {
  const struct px_safetensors_tensor *t = px_safetensors_find(st, name);
  if (!t) return fail_tensor(err, name, "is missing");
  if (t->dtype != dtype)
    return px_fail(err, PX_E_BAD_DATA, "safetensors: tensor '%.64s' is %s, not %s", name,
                   px_safetensors_dtype_name(t->dtype), px_safetensors_dtype_name(dtype));
  if (t->rank != rank || (rank && memcmp(t->dims, dims, rank * sizeof *dims) != 0))
    return fail_tensor(err, name, "has another shape than it should");
  if (!px_safetensors_aligned(t)) return fail_tensor(err, name, "is not aligned");
  *data = t->data;
  return PX_OK;
}
