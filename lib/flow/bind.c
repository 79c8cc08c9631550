/* SPDX-License-Identifier: Apache-2.0 */
/* Binding a checked JSON object to a C struct: see bind.h. */
#include "lib/flow/bind.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"

double flow_bind_get(const struct flow_bind *b, const void *record) {
  const char *at = (const char *)record + b->at;
  uint32_t u32 = 0;
  uint64_t u64 = 0;
  double f64 = 0;
  switch (b->type) {
    case FLOW_BIND_U32:
    case FLOW_BIND_WORD: memcpy(&u32, at, sizeof u32); return u32;
    case FLOW_BIND_U64: memcpy(&u64, at, sizeof u64); return (double)u64;
    case FLOW_BIND_F64: memcpy(&f64, at, sizeof f64); return f64;
    case FLOW_BIND_BOOL: return *(const bool *)at;
    case FLOW_BIND_TEXT: break;
  }
  return 0;
}

void flow_bind_put(const struct flow_bind *b, void *record, double value) {
  char *at = (char *)record + b->at;
  const uint32_t u32 = b->type == FLOW_BIND_U32 || b->type == FLOW_BIND_WORD ? (uint32_t)value : 0;
  const uint64_t u64 = b->type == FLOW_BIND_U64 ? (uint64_t)value : 0;
  switch (b->type) {
    case FLOW_BIND_U32:
    case FLOW_BIND_WORD: memcpy(at, &u32, sizeof u32); break;
    case FLOW_BIND_U64: memcpy(at, &u64, sizeof u64); break;
    case FLOW_BIND_F64: memcpy(at, &value, sizeof value); break;
    case FLOW_BIND_BOOL: *(bool *)at = value > 0; break;
    case FLOW_BIND_TEXT: break;
  }
}

const struct flow_field *flow_bind_field(const struct flow_field *fields, const char *name) {
  while (fields->name && (fields->type == FLOW_ALIAS || strcmp(fields->name, name) != 0)) fields++;
  return fields->name ? fields : NULL;
}

static bool allows(const struct flow_field *field, const json_t *value) {
  const double x = json_number_value(value);
  switch (field->type) {
    case FLOW_INT:
    case FLOW_NUMBER:
      return json_is_number(value) && x >= field->min && x <= field->max &&
             (field->type == FLOW_NUMBER || x == floor(x));
    case FLOW_BOOL: return json_is_boolean(value);
    case FLOW_ENUM:
      return json_is_string(value) &&
             flow_field_word_place(field->words, json_string_value(value)) >= 0;
    case FLOW_TEXT:
    case FLOW_ID: return json_is_string(value);
    default: return false;
  }
}

static double number_of(const struct flow_field *field, const json_t *value) {
  if (json_is_string(value)) return flow_field_word_place(field->words, json_string_value(value));
  if (json_is_boolean(value)) return json_is_true(value);
  return json_number_value(value);
}

static bool write_value(const struct flow_field *field, const struct flow_bind *b,
                        const json_t *value, void *record) {
  if (b->type != FLOW_BIND_TEXT) {
    flow_bind_put(b, record, number_of(field, value));
    return true;
  }
  if (json_string_length(value) >= b->size) return false;
  memcpy((char *)record + b->at, json_string_value(value), json_string_length(value) + 1);
  return true;
}

enum px_status flow_bind(const struct flow_field *fields, const struct flow_bind *binding,
                         const json_t *checked, void *record, struct px_err *err) {
  for (const struct flow_bind *b = binding; b->name; b++) {
    const struct flow_field *field = flow_bind_field(fields, b->name);
    const json_t *value = json_object_get(checked, b->name);
    char pointer[64];
    if (!value) continue;
    if (field && allows(field, value) && write_value(field, b, value, record)) continue;
    (void)snprintf(pointer, sizeof pointer, "/%.48s", b->name);
    return px_fail_at(err, PX_E_BAD_FIELD, pointer, "%s is not what its field allows", b->name);
  }
  return PX_OK;
}

/* The longest text that the field allows. */
static size_t text_max(const struct flow_field *field) {
  size_t most = 0, len;
  if (field->type == FLOW_TEXT) return 4 * (size_t)field->max; /* characters of UTF-8 */
  if (field->type == FLOW_ID) return FLOW_ID_CHARS_MAX;
  for (size_t i = 0; flow_field_word_at(field->words, i, &len); i++) most = len > most ? len : most;
  return most;
}

static bool fits(const struct flow_field *field, const struct flow_bind *b) {
  const bool whole = field->type == FLOW_INT;
  switch (b->type) {
    case FLOW_BIND_U32:
      return whole && field->min >= 0 && field->max <= UINT32_MAX && b->size == sizeof(uint32_t);
    case FLOW_BIND_U64: return whole && field->min >= 0 && b->size == sizeof(uint64_t);
    case FLOW_BIND_F64:
      return (whole || field->type == FLOW_NUMBER || field->type == FLOW_BOOL ||
              field->type == FLOW_ENUM) &&
             b->size == sizeof(double);
    case FLOW_BIND_BOOL: return field->type == FLOW_BOOL && b->size == sizeof(bool);
    case FLOW_BIND_WORD: return field->type == FLOW_ENUM && b->size == sizeof(uint32_t);
    case FLOW_BIND_TEXT:
      return (field->type == FLOW_TEXT || field->type == FLOW_ID || field->type == FLOW_ENUM) &&
             text_max(field) < b->size;
  }
  return false;
}

const char *flow_bind_fault(const struct flow_field *fields, const struct flow_bind *binding) {
  for (const struct flow_bind *b = binding; b->name; b++) {
    const struct flow_field *field = flow_bind_field(fields, b->name);
    if (!field || !fits(field, b)) return b->name;
  }
  return NULL;
}
