/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: see archive.h. */
#include "lib/read/archive.h"

#include <stdlib.h>
#include <string.h>

#include "lib/read/archive_parts.h"

enum { NAMES_MAX_BYTES = 256 << 20 };

static int by_name(const void *a, const void *b) {
  const struct px_archive_member *x = a, *y = b;
  return strcmp(x->name, y->name);
}

/* Programs disagree on which of several files of one name counts. */
static enum px_status sort(struct px_archive *a, struct px_err *err) {
  if (a->members_n) qsort(a->members, a->members_n, sizeof *a->members, by_name);
  for (uint32_t i = 1; i < a->members_n; i++)
    if (!strcmp(a->members[i - 1].name, a->members[i].name))
      return px_fail_at(err, PX_E_BAD_DATA, a->members[i].name, "'%.200s' is in the archive twice",
                        a->members[i].name);
  return PX_OK;
}

static enum px_status no_archive(const uint8_t *bytes, size_t n, struct px_err *err) {
  static const struct {
    const char *name;
    size_t n;
    uint8_t magic[4];
  } packed[] = { { "gzip", 2, { 0x1f, 0x8b } }, { "zstd", 4, { 0x28, 0xb5, 0x2f, 0xfd } } };
  for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
    if (n >= packed[i].n && !memcmp(bytes, packed[i].magic, packed[i].n)) {
      (void)px_fail(err, PX_E_BAD_DATA, "this is packed with %s, and no tar or zip as it is",
                    packed[i].name);
      px_fail_hint(err, "Unpack it first, or send it with the header Content-Encoding: %s.",
                   packed[i].name);
      return PX_E_BAD_DATA;
    }
  return px_fail(err, PX_E_BAD_DATA, "this is no tar or zip archive");
}

enum px_status px_archive_open(const void *bytes, size_t n, struct px_archive **out,
                               struct px_err *err) {
  const bool zip = n >= 4 && (!memcmp(bytes, "PK\3\4", 4) || !memcmp(bytes, "PK\5\6", 4));
  if (!zip && !px_archive_is_tar(bytes, n)) return no_archive(bytes, n, err);
  struct px_archive *a = calloc(1, sizeof *a);
  if (a) *a = (struct px_archive){ bytes, n, NULL, px_arena_new(NAMES_MAX_BYTES), NULL, 0, 0 };
  enum px_status status =
    a && a->names ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for the archive");
  if (!status) status = zip ? px_archive_list_zip(a, err) : px_archive_list_tar(a, err);
  if (!status) status = sort(a, err);
  if (status) px_archive_free(a);
  else *out = a;
  return status;
}

void px_archive_free(struct px_archive *a) {
  if (!a) return;
  if (a->zip) zip_discard(a->zip);
  if (a->names) px_arena_free(a->names);
  free(a->members);
  free(a);
}

uint32_t px_archive_count(const struct px_archive *a) { return a->members_n; }
const char *px_archive_name(const struct px_archive *a, uint32_t i) { return a->members[i].name; }

bool px_archive_find(const struct px_archive *a, const char *name, uint32_t *i) {
  const struct px_archive_member key = { .name = name };
  const struct px_archive_member *found =
    a->members_n ? bsearch(&key, a->members, a->members_n, sizeof key, by_name) : NULL;
  if (found) *i = (uint32_t)(found - a->members);
  return found;
}

enum px_status px_archive_read(struct px_archive *a, uint32_t i, struct px_archive_content *out,
                               struct px_err *err) {
  const struct px_archive_member *m = &a->members[i];
  if (m->refusal)
    return px_fail_at(err, PX_E_BAD_DATA, m->name, "'%.200s' cannot be read: %s", m->name,
                      m->refusal);
  if (a->zip) return px_archive_read_zip(a, m, out, err);
  *out = (struct px_archive_content){ a->bytes + m->at, (size_t)m->n, NULL };
  return PX_OK;
}
