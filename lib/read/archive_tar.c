/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a tar: see archive_parts.h. Sources: POSIX pax, GNU tar's manual. */
#include <inttypes.h>
#include <string.h>

#include "lib/read/archive_parts.h"

/* Where a header has its fields, and their bytes. */
enum {
  NAME_AT = 0,
  NAME_N = 100,
  SIZE_AT = 124,
  SIZE_N = 12,
  CHECKSUM_AT = 148,
  CHECKSUM_N = 8,
  TYPE_AT = 156,
  MAGIC_AT = 257,
  PREFIX_AT = 345,
  PREFIX_N = 155,
  BLOCK = 512
};
enum { LONG_MAX_BYTES = 1 << 20 };

/* What the records before a member say of it. */
struct ahead {
  const char *name;
  size_t name_n;
  bool has_size, is_sparse;
  uint64_t size;
};

/* Octal digits, or with the highest bit of the first byte set, a binary number. */
static bool parse_number(const uint8_t *p, size_t n, uint64_t *out) {
  *out = 0;
  if (*p & 128) {
    for (size_t i = 1; i + 8 < n; i++)
      if (p[i]) return false;
    for (size_t i = n - 8; i < n; i++) *out = *out << 8 | p[i];
    return *p == 128;
  }
  size_t i = 0;
  while (i < n && p[i] == ' ') i++;
  const size_t first = i;
  for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) *out = *out << 3 | (uint64_t)(p[i] - '0');
  return i > first && (i == n || !p[i] || p[i] == ' ');
}

/* As its header says; the field itself counts as blanks. */
static bool check(const uint8_t *header) {
  uint64_t said, sum = 0;
  for (size_t i = 0; i < BLOCK; i++) sum += i - CHECKSUM_AT < CHECKSUM_N ? ' ' : header[i];
  return parse_number(header + CHECKSUM_AT, CHECKSUM_N, &said) && said == sum;
}

bool px_archive_is_tar(const uint8_t *bytes, size_t n) { return n >= BLOCK && check(bytes); }

/* Records "length key=value\n"; false where one is malformed. */
static bool take_pax(const char *text, size_t n, struct ahead *ahead) {
  while (n) {
    size_t length = 0, i = 0;
    for (; i < n && i < 8 && text[i] >= '0' && text[i] <= '9'; i++)
      length = length * 10 + (size_t)(text[i] - '0');
    if (!i || i >= n || text[i] != ' ' || length > n || length < i + 3 || text[length - 1] != '\n')
      return false;
    const char *key = text + i + 1, *end = text + length - 1;
    const char *equals = memchr(key, '=', (size_t)(end - key));
    if (!equals) return false;
    const size_t key_n = (size_t)(equals - key), value_n = (size_t)(end - equals - 1);
    if (key_n == 4 && !memcmp(key, "path", 4)) ahead->name = equals + 1, ahead->name_n = value_n;
    if (key_n > 10 && !memcmp(key, "GNU.sparse", 10)) ahead->is_sparse = true;
    if (key_n == 4 && !memcmp(key, "size", 4)) {
      ahead->size = 0;
      ahead->has_size = value_n && value_n < 19;
      for (const char *p = equals + 1; p < end && ahead->has_size; p++) {
        ahead->has_size = *p >= '0' && *p <= '9';
        ahead->size = ahead->size * 10 + (uint64_t)(*p - '0');
      }
      if (!ahead->has_size) return false;
    }
    text += length;
    n -= length;
  }
  return true;
}

static const char *refusal_of(uint8_t type, const struct ahead *ahead) {
  if (ahead->is_sparse || type == 'S') return "it is stored as a sparse file";
  if (type == '1' || type == '2')
    return "it is a link; pack the files it leads to (tar --dereference)";
  return type == '0' || type == '7' || !type ? NULL : "it is no regular file";
}

static enum px_status add(struct px_archive *a, const uint8_t *header, const struct ahead *ahead,
                          uint64_t at, uint64_t n, struct px_err *err) {
  char name[NAME_N + PREFIX_N + 2];
  size_t name_n = 0;
  const uint8_t type = header[TYPE_AT];
  if (type == '5') return PX_OK;
  if (!memcmp(header + MAGIC_AT, "ustar\0", 6) && header[PREFIX_AT]) {
    name_n = strnlen((const char *)header + PREFIX_AT, PREFIX_N);
    memcpy(name, header + PREFIX_AT, name_n);
    name[name_n++] = '/';
  }
  const size_t last = strnlen((const char *)header + NAME_AT, NAME_N);
  memcpy(name + name_n, header + NAME_AT, last);
  name_n += last;
  const char *full = ahead->name ? ahead->name : name;
  if (ahead->name) name_n = ahead->name_n;
  if (name_n && full[name_n - 1] == '/') return PX_OK; /* a folder, of old programs */
  return px_archive_add(a, full, name_n, refusal_of(type, ahead), at, n, err);
}

static bool is_zero(const uint8_t *block) {
  for (size_t i = 0; i < BLOCK; i++)
    if (block[i]) return false;
  return true;
}

/* One header and what belongs to it; *at moves behind. */
static enum px_status take_member(struct px_archive *a, size_t *at, struct ahead *ahead,
                                  struct px_err *err) {
  const uint8_t *header = a->bytes + *at, type = header[TYPE_AT];
  const size_t begin = *at + BLOCK, left = a->n - begin;
  const bool extends = type == 'x' || type == 'L' || type == 'g' || type == 'K';
  uint64_t n;
  if (!check(header) || !parse_number(header + SIZE_AT, SIZE_N, &n))
    return px_fail(err, PX_E_BAD_DATA, "the header at byte %zu of the tar is malformed", *at);
  if (ahead->has_size && !extends) n = ahead->size;
  if (type >= '1' && type <= '6' && !ahead->has_size) n = 0; /* links and folders have no bytes */
  if (n > left)
    return px_fail(err, PX_E_BAD_DATA, "the tar ends before the %" PRIu64 " bytes of '%.100s'", n,
                   (const char *)header);
  const char *text = (const char *)a->bytes + begin;
  enum px_status status = PX_OK;
  if (extends && n > LONG_MAX_BYTES)
    status = px_fail(err, PX_E_BAD_DATA, "a name in the tar takes %" PRIu64 " bytes", n);
  else if (type == 'x' && !take_pax(text, (size_t)n, ahead))
    status =
      px_fail(err, PX_E_BAD_DATA, "the pax records at byte %zu of the tar are malformed", *at);
  else if (type == 'L') ahead->name = text, ahead->name_n = strnlen(text, (size_t)n);
  else if (!extends) {
    status = add(a, header, ahead, begin, n, err);
    *ahead = (struct ahead){ 0 };
  }
  const size_t padded = ((size_t)n + BLOCK - 1) / BLOCK * BLOCK;
  *at = begin + (padded < left ? padded : left);
  return status;
}

enum px_status px_archive_list_tar(struct px_archive *a, struct px_err *err) {
  struct ahead ahead = { 0 };
  enum px_status status = PX_OK;
  for (size_t at = 0; !status && a->n - at >= BLOCK && !is_zero(a->bytes + at);)
    status = take_member(a, &at, &ahead, err);
  return status;
}
