/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and results of statements: see db.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/store/db.h"

static void push(struct db_params *p, const char *value, int length, int format) {
  p->value[p->n] = value;
  p->length[p->n] = length;
  p->format[p->n] = format;
  p->n++;
}

void db_text(struct db_params *p, const char *text) { push(p, text, 0, DB_TEXT); }

void db_int(struct db_params *p, int64_t value) {
  char *text = p->number[p->n];
  snprintf(text, sizeof p->number[0], "%" PRId64, value);
  push(p, text, 0, DB_TEXT);
}

void db_float(struct db_params *p, double value) {
  char *text = p->number[p->n];
  snprintf(text, sizeof p->number[0], "%.17g", value);
  push(p, text, 0, DB_TEXT);
}

void db_bool(struct db_params *p, bool value) { push(p, value ? "t" : "f", 0, DB_TEXT); }

void db_bytes(struct db_params *p, const void *bytes, size_t n) {
  push(p, n ? bytes : "", (int)n, DB_BINARY);
}

static int column_of(const PGresult *result, const char *column) {
  const int n = PQfnumber(result, column);
  assert(n >= 0);
  return n;
}

const char *db_get(const PGresult *result, int row, const char *column) {
  return PQgetvalue(result, row, column_of(result, column));
}

int db_get_length(const PGresult *result, int row, const char *column) {
  return PQgetlength(result, row, column_of(result, column));
}

bool db_get_null(const PGresult *result, int row, const char *column) {
  return PQgetisnull(result, row, column_of(result, column));
}

int64_t db_get_int(const PGresult *result, int row, const char *column) {
  return strtoll(db_get(result, row, column), NULL, 10);
}

double db_get_float(const PGresult *result, int row, const char *column) {
  return strtod(db_get(result, row, column), NULL);
}

bool db_get_bool(const PGresult *result, int row, const char *column) {
  return db_get(result, row, column)[0] == 't';
}

void db_get_text(const PGresult *result, int row, const char *column, char *out, size_t size) {
  snprintf(out, size, "%s", db_get(result, row, column));
}

static uint64_t big_endian(const char *bytes, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++) value = value << 8 | (uint8_t)bytes[i];
  return value;
}

int64_t db_get_int8(const PGresult *result, int row, const char *column) {
  return (int64_t)big_endian(db_get(result, row, column), 8);
}

int32_t db_get_int4(const PGresult *result, int row, const char *column) {
  return (int32_t)(uint32_t)big_endian(db_get(result, row, column), 4);
}

double db_get_float8(const PGresult *result, int row, const char *column) {
  const uint64_t bits = big_endian(db_get(result, row, column), 8);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

enum px_status db_get_buf(const PGresult *result, int row, const char *column, struct px_buf *out) {
  return px_buf_put(out, db_get(result, row, column), (size_t)db_get_length(result, row, column));
}

static enum px_status begin_element(struct px_buf *array) {
  return px_buf_puts(array, array->len ? "," : "{");
}

enum px_status db_array_text(struct px_buf *array, const char *text) {
  enum px_status status = begin_element(array);
  if (!status) status = px_buf_puts(array, "\"");
  for (; !status && *text; text++) {
    if (*text == '"' || *text == '\\') status = px_buf_puts(array, "\\");
    if (!status) status = px_buf_put(array, text, 1);
  }
  return status ? status : px_buf_puts(array, "\"");
}

enum px_status db_array_int(struct px_buf *array, int64_t value) {
  const enum px_status status = begin_element(array);
  return status ? status : px_buf_fmt(array, "%" PRId64, value);
}

enum px_status db_array_float(struct px_buf *array, double value) {
  const enum px_status status = begin_element(array);
  return status ? status : px_buf_fmt(array, "%.17g", value);
}

enum px_status db_array_null(struct px_buf *array) {
  const enum px_status status = begin_element(array);
  return status ? status : px_buf_puts(array, "null");
}

enum px_status db_array_hex(struct px_buf *array, const uint8_t *bytes, size_t n) {
  char hex[2 * 32 + 1] = "null";
  if (bytes) px_text_hex(bytes, n, hex);
  return px_buf_fmt(array, "%c%s", array->len ? ',' : '{', hex);
}

enum px_status db_array_end(struct px_buf *array) {
  return px_buf_puts(array, array->len ? "}" : "{}");
}

enum px_status db_array_floats(struct px_buf *array, const double *x, uint32_t n) {
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < n && !status; i++) status = db_array_float(array, x[i]);
  return status ? status : db_array_end(array);
}

void db_array_read(const char *text, double *out, uint32_t n) {
  for (uint32_t i = 0; i < n && text[0] && text[1] && text[1] != '}'; i++) {
    char *end;
    out[i] = strtod(text + 1, &end);
    text = end;
  }
}
