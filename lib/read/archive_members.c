/* SPDX-License-Identifier: Apache-2.0 */
/* The list of an archive's members, and what they hold: see archive_parts.h. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/archive_parts.h"

enum px_status px_archive_add(struct px_archive *a, const char *name, size_t name_n,
                              const char *refusal, uint64_t at, uint64_t n, struct px_err *err) {
  while (name_n > 1 && name[0] == '.' && name[1] == '/') name += 2, name_n -= 2;
  if (a->members_n == PX_ARCHIVE_MEMBERS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "the archive has more than %d files",
                   PX_ARCHIVE_MEMBERS_MAX);
  if (a->members_n == a->members_cap) {
    const uint32_t cap = a->members_cap ? a->members_cap * 2 : 64;
    void *members = px_mem_realloc(a->members, cap, sizeof *a->members);
    if (!members) return px_fail(err, PX_E_NO_MEMORY, "no memory for the names of %u files", cap);
    a->members = members;
    a->members_cap = cap;
  }
  char *copy = px_arena_take(a->names, name_n + 1, 1);
  if (!copy) return px_fail(err, PX_E_TOO_LARGE, "the archive's names take too much memory");
  memcpy(copy, name, name_n);
  if (strlen(copy) != name_n) refusal = "its name has a NUL within";
  a->members[a->members_n++] = (struct px_archive_member){ copy, refusal, at, n };
  return PX_OK;
}

void px_archive_release(struct px_archive_content *content) {
  free(content->owned);
  *content = (struct px_archive_content){ 0 };
}
