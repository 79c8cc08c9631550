/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a .npy array: see npy.h. */
#include "lib/read/npy.h"

#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"

enum px_status px_npy_prefix(const uint8_t *bytes, size_t *start, size_t *length,
                             struct px_err *err) {
  if (memcmp(bytes, "\x93NUMPY", 6))
    return px_fail(err, PX_E_BAD_DATA, "it does not begin as a .npy array");
  if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
    return px_fail(err, PX_E_BAD_DATA, "it is of .npy version %d.%d; 1.0 to 3.0 are known",
                   bytes[6], bytes[7]);
  size_t n = bytes[8] | (size_t)bytes[9] << 8;
  if (bytes[6] > 1) n |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (n < 2 || n > PX_NPY_HEADER_MAX_BYTES)
    return px_fail(err, PX_E_BAD_DATA, "its header claims to have %zu bytes", n);
  *start = bytes[6] == 1 ? 10 : 12;
  *length = n;
  return PX_OK;
}

struct text {
  const char *p, *end;
};

static void spaces(struct text *t) {
  while (t->p < t->end && (*t->p == ' ' || *t->p == '\n')) t->p++;
}

static bool take_token(struct text *t, const char *token) {
  spaces(t);
  const size_t n = strlen(token);
  if ((size_t)(t->end - t->p) < n || memcmp(t->p, token, n)) return false;
  t->p += n;
  return true;
}

/* A quoted word of at most 15 plain characters. */
static bool take_word(struct text *t, char word[16]) {
  spaces(t);
  if (t->p == t->end || (*t->p != '\'' && *t->p != '"')) return false;
  const char quote = *t->p++;
  size_t n = 0;
  for (; t->p < t->end && *t->p != quote; t->p++) {
    if (n == 15 || *t->p < ' ' || *t->p > '~' || *t->p == '\\') return false;
    word[n++] = *t->p;
  }
  word[n] = '\0';
  return t->p++ < t->end;
}

static bool take_size(struct text *t, uint64_t *out) {
  spaces(t);
  if (t->p == t->end || *t->p < '0' || *t->p > '9') return false;
  uint64_t value = 0;
  for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
    size_t ten;
    if (!px_mem_mul(value, 10, &ten) || !px_mem_add(ten, (size_t)(*t->p - '0'), &value))
      return false;
  }
  if (t->p < t->end && *t->p == 'L') t->p++; /* a long integer of Python 2 */
  *out = value;
  return true;
}

static enum px_status parse_descr(struct text *t, struct px_npy *out, struct px_err *err) {
  char word[16];
  if (!take_word(t, word))
    return px_fail(err, PX_E_BAD_DATA,
                   "its dtype is not a plain one (structured arrays are not supported)");
  const char *kinds = "fiub", *kind;
  if (word[0] == '|' && (word[1] == 'O' || word[1] == 'V'))
    return px_fail(err, PX_E_BAD_DATA,
                   "its dtype '%s' holds Python objects or raw memory; pickles are never read",
                   word);
  if (!strchr("<>|=", word[0]) || !word[1] || !(kind = strchr(kinds, word[1])) || !word[2] ||
      word[3] || word[2] < '1' || word[2] > '8')
    return px_fail(err, PX_E_BAD_DATA,
                   "its dtype '%s' is not one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1", word);
  out->number = (struct px_array_dtype){ *kind == 'f'   ? PX_DTYPE_FLOAT
                                         : *kind == 'i' ? PX_DTYPE_INT
                                                        : PX_DTYPE_UINT,
                                         (uint32_t)(word[2] - '0'), word[0] == '>' };
  if ((*kind == 'b' && word[2] != '1') || !px_dtype_known(out->number))
    return px_fail(err, PX_E_BAD_DATA,
                   "its dtype '%s' is not one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1", word);
  return PX_OK;
}

static enum px_status parse_shape(struct text *t, struct px_npy *out, struct px_err *err) {
  bool good = take_token(t, "(");
  out->dims[0] = out->dims[1] = 1;
  out->rank = 0;
  while (good && !take_token(t, ")")) {
    uint64_t dim;
    good = take_size(t, &dim);
    if (good && out->rank < 2) out->dims[out->rank] = dim;
    if (good) out->rank++;
    if (good && !take_token(t, ",")) {
      good = take_token(t, ")") && out->rank > 1;
      break;
    }
  }
  if (!good) return px_fail(err, PX_E_BAD_DATA, "its shape is malformed");
  if (out->rank > 2)
    return px_fail(err, PX_E_BAD_DATA,
                   "it has %d dimensions; it must be [steps] or [steps, numbers] (images are not "
                   "supported)",
                   out->rank);
  return PX_OK;
}

enum px_status px_npy_parse(const char *text, size_t n, struct px_npy *out, struct px_err *err) {
  struct text t = { text, text + n };
  struct px_npy npy = { 0 };
  bool descr = false, order = false, shape = false, good = take_token(&t, "{");
  while (good && !take_token(&t, "}")) {
    char key[16];
    enum px_status status = PX_OK;
    good = take_word(&t, key) && take_token(&t, ":");
    if (!good) break;
    if (!strcmp(key, "descr") && !descr) {
      descr = true;
      status = parse_descr(&t, &npy, err);
    } else if (!strcmp(key, "fortran_order") && !order) {
      order = true;
      npy.fortran_order = take_token(&t, "True");
      good = npy.fortran_order || take_token(&t, "False");
    } else if (!strcmp(key, "shape") && !shape) {
      shape = true;
      status = parse_shape(&t, &npy, err);
    } else {
      good = false;
    }
    if (status) return status;
    if (good && !take_token(&t, ",")) {
      good = take_token(&t, "}");
      break;
    }
  }
  spaces(&t);
  if (!good || !descr || !order || !shape || t.p != t.end)
    return px_fail(err, PX_E_BAD_DATA,
                   "its .npy header is malformed: it must give descr, fortran_order and shape");
  *out = npy;
  return PX_OK;
}
