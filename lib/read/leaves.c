/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of a group side by side: see leaves.h. */
#include "lib/read/leaves.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/column.h"

enum { NAMES_MAX = 256, DEPTH_MAX = 4 };

void px_leaves_free(struct px_leaves *leaves) {
  free(leaves->scratch);
  *leaves = (struct px_leaves){ .n = 0 };
}

struct keys {
  char names[NAMES_MAX][PX_LEAVES_NAME_BYTES];
  size_t n;
};
static enum px_status add_key(void *ctx, const char *name) {
  struct keys *keys = ctx;
  if (keys->n == NAMES_MAX || strlen(name) >= PX_LEAVES_NAME_BYTES) return PX_E_TOO_LARGE;
  snprintf(keys->names[keys->n++], PX_LEAVES_NAME_BYTES, "%s", name);
  return PX_OK;
}
/* As Gymnasium sorts a Dict; a Tuple, whose parts Minari calls _index_<i>, by number. */
static int by_name(const void *a, const void *b) {
  unsigned x, y;
  if (sscanf(a, "_index_%9u", &x) == 1 && sscanf(b, "_index_%9u", &y) == 1 && x != y)
    return x > y ? 1 : -1;
  return strcmp(a, b);
}

static enum px_status add_below(struct px_leaves *leaves, hid_t file, const char *root,
                                const char *key, int depth, struct px_err *err) {
  char path[PX_H5_PATH_BYTES];
  enum px_h5_kind kind;
  const int length = snprintf(path, sizeof path, "%s%s%s", root, *key ? "/" : "", key);
  if (depth > DEPTH_MAX || length >= PX_H5_PATH_BYTES || strlen(key) >= PX_LEAVES_NAME_BYTES)
    return px_fail_at(err, PX_E_BAD_DATA, root, "the arrays in '%s' are nested too deeply", root);
  enum px_status status = px_h5_kind(file, path, &kind, err);
  if (status) return status;
  if (kind == PX_H5_NONE) return px_fail_at(err, PX_E_BAD_DATA, path, "'%s' is missing", path);
  if (kind == PX_H5_DATASET) {
    if (leaves->n == PX_LEAVES_MAX)
      return px_fail_at(err, PX_E_BAD_DATA, root,
                        "'%s' has more than %d arrays; name the keys to use", root, PX_LEAVES_MAX);
    snprintf(leaves->names[leaves->n++], PX_LEAVES_NAME_BYTES, "%s", key);
    return PX_OK;
  }
  struct keys *keys = calloc(1, sizeof *keys);
  if (!keys) return px_fail(err, PX_E_NO_MEMORY, "no memory to list '%s'", path);
  status = px_h5_names(file, path, add_key, keys, err);
  if (!status) qsort(keys->names, keys->n, PX_LEAVES_NAME_BYTES, by_name);
  for (size_t i = 0; i < keys->n && !status; i++) {
    char below[2 * PX_LEAVES_NAME_BYTES];
    snprintf(below, sizeof below, "%s%s%s", key, *key ? "/" : "", keys->names[i]);
    status = add_below(leaves, file, root, below, depth + 1, err);
  }
  free(keys);
  return status;
}

enum px_status px_leaves_add(struct px_leaves *leaves, hid_t file, const char *root,
                             const char *key, struct px_err *err) {
  return add_below(leaves, file, root, key, 0, err);
}

enum px_status px_leaves_add_all(struct px_leaves *leaves, hid_t file, const char *root,
                                 struct px_err *err) {
  const enum px_status status = add_below(leaves, file, root, "", 0, err);
  return !status && !leaves->n ? px_fail_at(err, PX_E_BAD_DATA, root, "'%s' is empty", root)
                               : status;
}

void px_leaves_list(const struct px_leaves *leaves, char *out, size_t n) {
  size_t used = 0;
  *out = '\0';
  for (uint32_t i = 0; i < leaves->n && used < n; i++)
    used += (size_t)snprintf(out + used, n - used, "%s%s", i ? ", " : "", leaves->names[i]);
}

void px_leaves_path(const struct px_leaves *leaves, const char *root, uint32_t i,
                    char path[PX_H5_PATH_BYTES]) {
  const char *name = leaves->n ? leaves->names[i] : "";
  snprintf(path, PX_H5_PATH_BYTES, "%s%s%s", root, *name ? "/" : "", name);
}

/* Says how wide each array is, so that keys can be chosen. */
static enum px_status fail_width(const struct px_leaves *leaves, struct px_reader *r, hid_t file,
                                 const char *root, const struct px_leaves_rows *wanted,
                                 struct px_err *err) {
  char list[400] = "";
  size_t used = 0;
  uint64_t width = 0;
  for (uint32_t i = 0; i < leaves->n || i == 0; i++) {
    char path[PX_H5_PATH_BYTES];
    struct px_column c = { 0 };
    struct px_err unread;
    px_leaves_path(leaves, root, i, path);
    if (px_h5_column(r, file, path, &c, &unread)) continue;
    width += c.cols;
    if (used < sizeof list)
      used += (size_t)snprintf(list + used, sizeof list - used, "%s%s [%u]", i ? ", " : "",
                               leaves->n ? leaves->names[i] : root, c.cols);
    px_column_close(&c);
  }
  (void)px_fail_at(err, PX_E_BAD_DATA, root,
                   "the %s in '%s' have %" PRIu64 " numbers, but the dataset declares %u",
                   wanted->what, root, width, wanted->width);
  if (leaves->n > 1) px_fail_hint(err, "Its arrays and their widths: %s.", list);
  return PX_E_BAD_DATA;
}

/* Lays the rows of one array beside the others, from number `at` on. */
static enum px_status read_leaf(struct px_leaves *leaves, struct px_column *c, size_t count,
                                const struct px_leaves_rows *wanted, uint64_t at, float *dst,
                                struct px_err *err) {
  px_h5_skip(c, wanted->skip);
  if (leaves->n <= 1) return c->next(c->ctx, count, dst, err);
  if (count * wanted->width > leaves->scratch_n) {
    float *bigger = px_mem_realloc(leaves->scratch, count * wanted->width, sizeof *bigger);
    if (!bigger) return px_fail(err, PX_E_NO_MEMORY, "no memory to read '%s'", c->name);
    leaves->scratch = bigger;
    leaves->scratch_n = count * wanted->width;
  }
  const enum px_status status = c->next(c->ctx, count, leaves->scratch, err);
  for (size_t t = 0; t < count && !status; t++)
    memcpy(dst + t * wanted->width + at, leaves->scratch + t * c->cols, c->cols * sizeof *dst);
  return status;
}

/* Whether it has the right number of rows, and of a type that actions may have. */
static enum px_status check_leaf(const struct px_reader *r, const struct px_column *c,
                                 uint64_t expected, const struct px_leaves_rows *wanted,
                                 struct px_err *err) {
  const bool fits = wanted->take      ? c->rows == wanted->T
                    : wanted->actions ? c->rows == wanted->T
                                      : c->rows == wanted->T || c->rows == wanted->T + 1;
  if (!fits || c->rows != expected)
    return px_fail_at(err, PX_E_BAD_DATA, c->name, "'%s' has %" PRIu64 " rows, but '%s' %zu",
                      c->name, c->rows, wanted->counted, wanted->T);
  if (!wanted->actions) return PX_OK;
  struct px_column whole = *c;
  whole.cols = wanted->width;
  return px_reader_expect_actions(r, &whole, err);
}

enum px_status px_leaves_read(struct px_leaves *leaves, struct px_reader *r, hid_t file,
                              const char *root, const struct px_leaves_rows *wanted, float *dst,
                              size_t *rows, struct px_err *err) {
  const uint32_t n = leaves->n ? leaves->n : 1;
  uint64_t at = 0, expected = 0;
  enum px_status status = PX_OK;
  for (uint32_t i = 0; i < n && !status; i++) {
    struct px_column c = { 0 };
    char path[PX_H5_PATH_BYTES];
    px_leaves_path(leaves, root, i, path);
    status = px_h5_column(r, file, path, &c, err);
    if (status) break;
    if (i == 0) expected = c.rows;
    const bool last = i + 1 == n;
    const size_t count = wanted->take ? wanted->take : (size_t)c.rows;
    status = check_leaf(r, &c, expected, wanted, err);
    if (!status && (at + c.cols > wanted->width || (last && at + c.cols != wanted->width)))
      status = fail_width(leaves, r, file, root, wanted, err);
    if (!status) status = read_leaf(leaves, &c, count, wanted, at, dst, err);
    at += c.cols;
    *rows = count;
    px_column_close(&c);
  }
  return status;
}
