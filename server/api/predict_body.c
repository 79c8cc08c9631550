/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of predictions: see predict_body.h. */
#include "server/api/predict_body.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/safetensors.h"

enum { COLUMNS_MAX = 8 };
static const char field[] = "observations", pointer[] = "/observations";

/* The shape is right for a model of obs_dim, and the rows are not too many; makes room. */
static enum px_status take_shape(struct predict_body *b, uint64_t n, uint64_t length,
                                 uint64_t columns, uint32_t obs_dim, struct px_err *err) {
  if (columns != obs_dim)
    return px_fail_at(err, PX_E_BAD_FIELD, pointer,
                      "observations of %llu numbers, where the model takes %u",
                      (unsigned long long)columns, obs_dim);
  if (n == 0 || length == 0)
    return px_fail_at(err, PX_E_BAD_FIELD, pointer, "there are no observations");
  if (n > PREDICT_BODY_ROWS_MAX || length > PREDICT_BODY_ROWS_MAX / n)
    return px_fail_at(err, PX_E_TOO_LARGE, pointer, "%.0f observations; at most %d are taken",
                      (double)n * (double)length, PREDICT_BODY_ROWS_MAX);
  b->n = (uint32_t)n;
  b->length = (uint32_t)length;
  b->obs_dim = obs_dim;
  b->observations = px_mem_calloc(n * length * obs_dim, sizeof *b->observations);
  return b->observations ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for observations");
}

/* ---- JSON */

/* Where a value stands: the indices of the arrays that it is in. */
static enum px_status wrong(const struct predict_body *b, uint64_t row, uint32_t column,
                            const char *what, struct px_err *err) {
  char at[64];
  if (b->rank == 2) snprintf(at, sizeof at, "%s/%llu/%u", pointer, (unsigned long long)row, column);
  else
    snprintf(at, sizeof at, "%s/%llu/%llu/%u", pointer, (unsigned long long)row / b->length,
             (unsigned long long)row % b->length, column);
  return px_fail_at(err, PX_E_BAD_FIELD, at, "%s", what);
}

static enum px_status take_row(const json_t *row, const struct predict_body *b, uint64_t at,
                               struct px_err *err) {
  if (!json_is_array(row) || json_array_size(row) != b->obs_dim)
    return wrong(b, at, 0, "this row is not as long as the first", err);
  for (uint32_t j = 0; j < b->obs_dim; j++) {
    const json_t *value = json_array_get(row, j);
    const double number = json_number_value(value);
    if (!json_is_number(value)) return wrong(b, at, j, "this is no number", err);
    if (!(fabs(number) <= (double)FLT_MAX))
      return wrong(b, at, j, "this number is too large for float32", err);
    b->observations[at * b->obs_dim + j] = (float)number;
  }
  return PX_OK;
}

static enum px_status take_rows(const json_t *given, uint32_t obs_dim, struct predict_body *b,
                                struct px_err *err) {
  const json_t *first = json_array_get(given, 0), *inner = json_array_get(first, 0);
  b->rank = json_is_array(inner) ? 3 : 2;
  const json_t *row = b->rank == 3 ? inner : first;
  enum px_status status =
    take_shape(b, json_array_size(given), b->rank == 3 ? json_array_size(first) : 1,
               json_array_size(row), obs_dim, err);
  for (uint64_t i = 0; i < b->n && !status; i++) {
    const json_t *part = json_array_get(given, i);
    if (b->rank == 2) {
      status = take_row(part, b, i, err);
      continue;
    }
    if (json_array_size(part) != b->length)
      status = wrong(b, i * b->length, 0, "this stretch is not as long as the first", err);
    for (uint64_t t = 0; t < b->length && !status; t++)
      status = take_row(json_array_get(part, t), b, i * b->length + t, err);
  }
  return status;
}

enum px_status predict_body_json(const char *text, size_t n, uint32_t obs_dim,
                                 struct predict_body *out, struct px_err *err) {
  json_error_t why;
  json_t *body = px_json_parse(text, n, JSON_REJECT_DUPLICATES, &why);
  const char *name;
  json_t *value;
  enum px_status status = PX_OK;
  if (!body && json_error_code(&why) == json_error_out_of_memory)
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a JSON body");
  else if (!json_is_object(body))
    status = px_fail(err, PX_E_BAD_REQUEST, "the body is not a JSON object: %s",
                     body ? "another kind of value" : why.text);
  if (!status) {
    json_object_foreach(body, name, value) {
      if (strcmp(name, field) == 0 || status) continue;
      status = px_fail_at(err, PX_E_BAD_FIELD, "",
                          "there is no field '%.64s'; observations is the "
                          "only one",
                          name);
    }
    if (!status && !json_is_array(json_object_get(body, field)))
      status = px_fail_at(err, PX_E_BAD_FIELD, pointer,
                          "observations must be an array of rows of numbers");
  }
  if (!status) status = take_rows(json_object_get(body, field), obs_dim, out, err);
  json_decref(body);
  return status;
}

/* ---- safetensors */

static enum px_status take_tensor(const struct px_safetensors_tensor *t, uint32_t obs_dim,
                                  struct predict_body *b, struct px_err *err) {
  if (t->dtype != PX_DTYPE_F32 || (t->rank != 2 && t->rank != 3))
    return px_fail_at(err, PX_E_BAD_FIELD, pointer,
                      "observations are %s of %u dimensions, not F32 of 2 or 3",
                      px_safetensors_dtype_name(t->dtype), t->rank);
  b->rank = t->rank;
  const enum px_status status =
    take_shape(b, t->dims[0], t->rank == 3 ? t->dims[1] : 1, t->dims[t->rank - 1], obs_dim, err);
  if (status) return status;
  memcpy(b->observations, t->data, t->bytes);
  for (uint64_t i = 0; i < (uint64_t)b->n * b->length * obs_dim; i++)
    if (!isfinite(b->observations[i]))
      return wrong(b, i / obs_dim, (uint32_t)(i % obs_dim), "this number is not finite", err);
  return PX_OK;
}

enum px_status predict_body_safetensors(const void *bytes, size_t n, uint32_t obs_dim,
                                        struct predict_body *out, struct px_err *err) {
  struct px_safetensors *st;
  enum px_status status = px_safetensors_parse(bytes, n, &st, err);
  if (status) return status;
  for (size_t i = 0; i < px_safetensors_tensors_n(st) && !status; i++) {
    const char *name = px_safetensors_at(st, i)->name;
    if (strcmp(name, field) != 0)
      status = px_fail_at(err, PX_E_BAD_FIELD, "",
                          "there is no field '%.64s'; observations is the only one", name);
  }
  const struct px_safetensors_tensor *t = px_safetensors_find(st, field);
  if (!status && !t)
    status = px_fail_at(err, PX_E_BAD_FIELD, pointer, "the tensor observations is missing");
  if (!status) status = take_tensor(t, obs_dim, out, err);
  px_safetensors_free(st);
  return status;
}

/* ---- answers */

static enum px_status put_number(const struct predict_column *c, uint64_t at, struct px_buf *out) {
  return px_buf_fmt(out, "%.9g", (double)c->rows[at]);
}

/* The row at: a number, or `width` of them. */
static enum px_status put_row(const struct predict_column *c, uint64_t at, struct px_buf *out) {
  if (!c->width) return put_number(c, at, out);
  enum px_status status = px_buf_puts(out, "[");
  for (uint32_t j = 0; j < c->width && !status; j++) {
    if (j) status = px_buf_puts(out, ",");
    if (!status) status = put_number(c, at * c->width + j, out);
  }
  return status ? status : px_buf_puts(out, "]");
}

static enum px_status put_rows(const struct predict_column *c, uint64_t from, uint64_t n,
                               struct px_buf *out) {
  enum px_status status = px_buf_puts(out, "[");
  for (uint64_t i = 0; i < n && !status; i++) {
    if (i) status = px_buf_puts(out, ",");
    if (!status) status = put_row(c, from + i, out);
  }
  return status ? status : px_buf_puts(out, "]");
}

static enum px_status put_column(const struct predict_answer *a, const struct predict_column *c,
                                 struct px_buf *out) {
  enum px_status status = px_buf_fmt(out, ",\"%s\":", c->name);
  if (!status && a->rank == 2) return put_rows(c, 0, (uint64_t)a->n * a->length, out);
  if (!status) status = px_buf_puts(out, "[");
  for (uint64_t i = 0; i < a->n && !status; i++) {
    if (i) status = px_buf_puts(out, ",");
    if (!status) status = put_rows(c, i * a->length, a->length, out);
  }
  return status ? status : px_buf_puts(out, "]");
}

enum px_status predict_body_put_json(const struct predict_answer *a, struct px_buf *out,
                                     struct px_err *err) {
  enum px_status status = px_buf_fmt(out, "{\"model\":\"%s\"", a->model);
  for (size_t i = 0; i < a->columns_n && !status; i++) status = put_column(a, &a->columns[i], out);
  if (!status) status = px_buf_puts(out, "}");
  return status ? px_fail(err, status, "the answer does not fit") : PX_OK;
}

/* Class indices as int64, which the caller frees; NULL when out of memory. */
static int64_t *whole_rows(const struct predict_column *c, uint64_t n) {
  int64_t *rows = px_mem_calloc(n, sizeof *rows);
  for (uint64_t i = 0; rows && i < n; i++) rows[i] = (int64_t)c->rows[i];
  return rows;
}

enum px_status predict_body_put_safetensors(const struct predict_answer *a, struct px_buf *out,
                                            struct px_err *err) {
  struct px_safetensors_tensor tensors[COLUMNS_MAX];
  int64_t *whole[COLUMNS_MAX] = { NULL };
  const struct px_safetensors_meta meta = { "model", a->model };
  const uint64_t rows = (uint64_t)a->n * a->length;
  enum px_status status = PX_OK;
  for (size_t i = 0; i < a->columns_n && !status; i++) {
    const struct predict_column *c = &a->columns[i];
    struct px_safetensors_tensor *t = &tensors[i];
    *t = (struct px_safetensors_tensor){ .name = c->name, .dtype = PX_DTYPE_F32, .data = c->rows };
    if (a->rank == 3) t->dims[t->rank++] = a->n;
    t->dims[t->rank++] = a->rank == 3 ? a->length : rows;
    if (c->width) t->dims[t->rank++] = c->width;
    if (!c->whole) continue;
    t->dtype = PX_DTYPE_I64;
    t->data = whole[i] = whole_rows(c, rows);
    if (!whole[i]) status = px_fail(err, PX_E_NO_MEMORY, "no memory for the answer");
  }
  if (!status) status = px_safetensors_write(tensors, a->columns_n, &meta, 1, out, err);
  for (size_t i = 0; i < a->columns_n; i++) free(whole[i]);
  return status;
}
