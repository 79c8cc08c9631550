/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a zip: see archive_parts.h. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/read/archive_parts.h"

/* Deflate packs zeros a thousand times. Such a member is no data, but may be small. */
enum { RATIO_MAX = 200, FREE_BYTES = 10 << 20 };

static const char *refusal_of(const zip_stat_t *s) {
  if ((s->valid & ZIP_STAT_ENCRYPTION_METHOD) && s->encryption_method != ZIP_EM_NONE)
    return "it is encrypted";
  if (!(s->valid & ZIP_STAT_COMP_METHOD) || !(s->valid & ZIP_STAT_SIZE) ||
      !(s->valid & ZIP_STAT_COMP_SIZE))
    return "the archive does not say its size";
  if (s->comp_method != ZIP_CM_STORE && s->comp_method != ZIP_CM_DEFLATE)
    return "its zip method is neither stored nor deflated";
  if (s->size > FREE_BYTES && s->size / RATIO_MAX > s->comp_size)
    return "it unpacks to more than 200 times its size";
  return NULL;
}

static enum px_status add(struct px_archive *a, zip_uint64_t i, struct px_err *err) {
  zip_stat_t stat;
  if (zip_stat_index(a->zip, i, 0, &stat) || !(stat.valid & ZIP_STAT_NAME))
    return px_fail(err, PX_E_BAD_DATA, "member %" PRIu64 " of the zip: %s", (uint64_t)i,
                   zip_strerror(a->zip));
  const size_t n = strlen(stat.name);
  if (n && stat.name[n - 1] == '/') return PX_OK;
  return px_archive_add(a, stat.name, n, refusal_of(&stat), i, stat.size, err);
}

enum px_status px_archive_list_zip(struct px_archive *a, struct px_err *err) {
  zip_error_t e;
  zip_error_init(&e);
  zip_source_t *source = zip_source_buffer_create(a->bytes, a->n, 0, &e);
  if (source && !(a->zip = zip_open_from_source(source, ZIP_RDONLY, &e))) zip_source_free(source);
  enum px_status status = PX_OK;
  if (!a->zip)
    status =
      px_fail(err, PX_E_BAD_DATA, "this is no complete zip file: %s", zip_error_strerror(&e));
  zip_error_fini(&e);
  const zip_int64_t n = a->zip ? zip_get_num_entries(a->zip, 0) : 0;
  for (zip_int64_t i = 0; i < n && !status; i++) status = add(a, (zip_uint64_t)i, err);
  return status;
}

/* All n bytes; the read after them lets libzip compare the checksum. */
static bool read_exactly(zip_file_t *file, char *to, size_t n) {
  char more;
  for (zip_int64_t got; n; to += got, n -= (size_t)got)
    if ((got = zip_fread(file, to, n)) <= 0) return false;
  return zip_fread(file, &more, 1) == 0;
}

enum px_status px_archive_read_zip(struct px_archive *a, const struct px_archive_member *m,
                                   struct px_archive_content *out, struct px_err *err) {
  if (m->n > PX_ARCHIVE_MEMBER_MAX_BYTES)
    return px_fail_at(err, PX_E_TOO_LARGE, m->name,
                      "'%.200s' unpacks to %" PRIu64 " bytes; at most %d are read from a zip",
                      m->name, m->n, PX_ARCHIVE_MEMBER_MAX_BYTES);
  char *bytes = px_mem_calloc((size_t)m->n + 1, 1);
  zip_file_t *file = bytes ? zip_fopen_index(a->zip, m->at, 0) : NULL;
  enum px_status status = PX_OK;
  if (!bytes) status = px_fail(err, PX_E_NO_MEMORY, "no memory to unpack '%.200s'", m->name);
  else if (!file || !read_exactly(file, bytes, (size_t)m->n))
    status =
      px_fail_at(err, PX_E_BAD_DATA, m->name,
                 "'%.200s' does not unpack to its %" PRIu64 " bytes, or its checksum is wrong",
                 m->name, m->n);
  if (file) zip_fclose(file);
  *out = (struct px_archive_content){ bytes, (size_t)m->n, bytes };
  if (status) px_archive_release(out);
  return status;
}
