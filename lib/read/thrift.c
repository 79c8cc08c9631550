/* SPDX-License-Identifier: Apache-2.0 */
/* Thrift's compact protocol: see thrift.h. */
#include "lib/read/thrift.h"

enum { DEPTH_MAX = 16, VARINT_BITS = 64 };

static uint64_t broken(struct px_thrift *t) {
  t->broken = true;
  t->at = t->end;
  return 0;
}

static uint8_t take_byte(struct px_thrift *t) {
  return t->at < t->end ? *t->at++ : (uint8_t)broken(t);
}

static uint64_t take_varint(struct px_thrift *t) {
  uint64_t value = 0;
  for (uint32_t shift = 0; shift < VARINT_BITS; shift += 7) {
    const uint8_t byte = take_byte(t);
    value |= (uint64_t)(byte & 127) << shift;
    if (!(byte & 128)) return t->broken ? 0 : value;
  }
  return broken(t);
}

static int64_t take_zigzag(struct px_thrift *t) {
  const uint64_t value = take_varint(t);
  return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

bool px_thrift_next(struct px_thrift *t, struct px_thrift_field *field) {
  const uint8_t head = take_byte(t);
  if (t->broken || (head & 15) == PX_THRIFT_STOP) return false;
  field->type = head & 15;
  const int64_t id = head >> 4 ? field->id + (head >> 4) : take_zigzag(t);
  if (id < INT16_MIN || id > INT16_MAX || field->type > PX_THRIFT_UUID) return broken(t);
  field->id = (int16_t)id;
  return !t->broken;
}

int64_t px_thrift_int(struct px_thrift *t, const struct px_thrift_field *field) {
  if (field->type == PX_THRIFT_BYTE) return (int8_t)take_byte(t);
  const bool is_int = field->type >= PX_THRIFT_I16 && field->type <= PX_THRIFT_I64;
  return is_int ? take_zigzag(t) : (int64_t)broken(t);
}

bool px_thrift_bool(struct px_thrift *t, const struct px_thrift_field *field) {
  if (field->type != PX_THRIFT_TRUE && field->type != PX_THRIFT_FALSE) return broken(t);
  return field->type == PX_THRIFT_TRUE;
}

static const char *take_binary(struct px_thrift *t, size_t *n) {
  const uint64_t length = take_varint(t);
  *n = 0;
  if (length > (size_t)(t->end - t->at)) broken(t);
  if (t->broken) return "";
  const char *bytes = (const char *)t->at;
  t->at += length;
  *n = (size_t)length;
  return bytes;
}

const char *px_thrift_binary(struct px_thrift *t, const struct px_thrift_field *field, size_t *n) {
  if (field->type != PX_THRIFT_BINARY) broken(t);
  return take_binary(t, n);
}

/* The head of a list or set; every element takes a byte at least. */
static uint32_t take_list(struct px_thrift *t, uint8_t *element) {
  const uint8_t head = take_byte(t);
  const uint64_t n = head >> 4 == 15 ? take_varint(t) : head >> 4;
  *element = head & 15;
  return n > (size_t)(t->end - t->at) ? (uint32_t)broken(t) : (uint32_t)n;
}

uint32_t px_thrift_list(struct px_thrift *t, const struct px_thrift_field *field,
                        enum px_thrift_type element) {
  uint8_t found = 0;
  if (field->type != PX_THRIFT_LIST) return (uint32_t)broken(t);
  const uint32_t n = take_list(t, &found);
  return n && found != element ? (uint32_t)broken(t) : n;
}

bool px_thrift_is_struct(struct px_thrift *t, const struct px_thrift_field *field) {
  return field->type == PX_THRIFT_STRUCT ? true : broken(t);
}

static void take_bytes(struct px_thrift *t, size_t n) {
  if (n > (size_t)(t->end - t->at)) broken(t);
  else t->at += n;
}

static void skip_value(struct px_thrift *t, uint8_t type, int depth);

/* A truth in a list or map takes a byte, that of a field none. */
static void skip_element(struct px_thrift *t, uint8_t type, int depth) {
  if (type == PX_THRIFT_TRUE || type == PX_THRIFT_FALSE) take_byte(t);
  else skip_value(t, type, depth);
}

static void skip_list(struct px_thrift *t, int depth) {
  uint8_t element = 0;
  for (uint32_t n = take_list(t, &element); n && !t->broken; n--) skip_element(t, element, depth);
}

static void skip_map(struct px_thrift *t, int depth) {
  const uint64_t n = take_varint(t);
  const uint8_t types = n ? take_byte(t) : 0;
  if (n > (size_t)(t->end - t->at)) broken(t);
  for (uint64_t i = 0; i < n && !t->broken; i++) {
    skip_element(t, types >> 4, depth);
    skip_element(t, types & 15, depth);
  }
}

static void skip_value(struct px_thrift *t, uint8_t type, int depth) {
  enum { DOUBLE_BYTES = 8, UUID_BYTES = 16 };
  struct px_thrift_field field = { 0 };
  size_t n = 0;
  if (depth > DEPTH_MAX) type = PX_THRIFT_STOP;
  switch (type) {
    case PX_THRIFT_TRUE:
    case PX_THRIFT_FALSE: break;
    case PX_THRIFT_BYTE: take_byte(t); break;
    case PX_THRIFT_I16:
    case PX_THRIFT_I32:
    case PX_THRIFT_I64: take_varint(t); break;
    case PX_THRIFT_DOUBLE: take_bytes(t, DOUBLE_BYTES); break;
    case PX_THRIFT_UUID: take_bytes(t, UUID_BYTES); break;
    case PX_THRIFT_BINARY: take_binary(t, &n); break;
    case PX_THRIFT_LIST:
    case PX_THRIFT_SET: skip_list(t, depth + 1); break;
    case PX_THRIFT_MAP: skip_map(t, depth + 1); break;
    case PX_THRIFT_STRUCT:
      while (px_thrift_next(t, &field)) skip_value(t, field.type, depth + 1);
      break;
    default: broken(t);
  }
}

void px_thrift_skip(struct px_thrift *t, const struct px_thrift_field *field) {
  skip_value(t, field->type, 0);
}
