/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of px_archive: members of a tar, and of a zip. Inner header of lib/read/archive*.c. */
#ifndef PX_READ_ARCHIVE_PARTS_H
#define PX_READ_ARCHIVE_PARTS_H

#include <zip.h>

#include "lib/base/arena.h"
#include "lib/read/archive.h"

struct px_archive_member {
  const char *name;
  const char *refusal; /* why it cannot be read, or NULL */
  uint64_t at;         /* tar: where its bytes begin; zip: its index */
  uint64_t n;          /* bytes, unpacked */
};

struct px_archive {
  const uint8_t *bytes;
  size_t n;
  zip_t *zip; /* NULL: a tar */
  struct px_arena *names;
  struct px_archive_member *members;
  uint32_t members_n, members_cap;
};

/* Adds a member; `name` is copied. */
enum px_status px_archive_add(struct px_archive *archive, const char *name, size_t name_n,
                              const char *refusal, uint64_t at, uint64_t n,
                              struct px_err *err) PX_MUST_CHECK;
/* Whether the bytes begin as a tar does. */
bool px_archive_is_tar(const uint8_t *bytes, size_t n);
enum px_status px_archive_list_tar(struct px_archive *archive, struct px_err *err) PX_MUST_CHECK;
enum px_status px_archive_list_zip(struct px_archive *archive, struct px_err *err) PX_MUST_CHECK;
enum px_status px_archive_read_zip(struct px_archive *archive, const struct px_archive_member *m,
                                   struct px_archive_content *out,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
