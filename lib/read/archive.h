/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives in memory: the files of a tar or zip, by name. Used by the reader of LeRobot folders.
 *
 *   tar  ustar, with pax records for path and size, and GNU's long names; contents are where they
 *        lie. A packed tar is refused with a hint.
 *   zip  also zip64; members are stored or deflated, and unpacked one at a time
 *
 * Names are compared and never opened as paths; "./" in front is dropped. The bytes are untrusted:
 * no size of theirs is believed beyond their end, and a member unpacks to at most
 * PX_ARCHIVE_MEMBER_MAX_BYTES. An archive belongs to one thread and borrows the bytes.
 * Sources: POSIX pax (IEEE 1003.1-2017, "pax Interchange Format"), GNU tar's manual ("Basic Tar
 * Format"); libzip reads zip.
 */
#ifndef PX_READ_ARCHIVE_H
#define PX_READ_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fail.h"

enum { PX_ARCHIVE_MEMBERS_MAX = 1 << 20, PX_ARCHIVE_MEMBER_MAX_BYTES = 1 << 30 };

struct px_archive;
/* The caller owns *out. BAD_DATA where it is no archive, or malformed, or has a name twice. */
enum px_status px_archive_open(const void *bytes, size_t n, struct px_archive **out,
                               struct px_err *err) PX_MUST_CHECK;
void px_archive_free(struct px_archive *archive);

/* Files, sorted by name; folders are left out. */
uint32_t px_archive_count(const struct px_archive *archive);
const char *px_archive_name(const struct px_archive *archive, uint32_t i);
/* False where there is none of that name. */
bool px_archive_find(const struct px_archive *archive, const char *name, uint32_t *i);

struct px_archive_content {
  const void *bytes;
  size_t n;
  void *owned; /* what px_archive_release frees */
};
/* What file i holds, until it is released. BAD_DATA at its name; TOO_LARGE. */
enum px_status px_archive_read(struct px_archive *archive, uint32_t i,
                               struct px_archive_content *out, struct px_err *err) PX_MUST_CHECK;
void px_archive_release(struct px_archive_content *content);

#endif
