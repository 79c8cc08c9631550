/* Free space: see room.h. */
#include "server/room.h"

#include <string.h>
#include <sys/statvfs.h>

enum { MIB_BYTES = 1 << 20 };
static const uint64_t USUAL_FLOOR_BYTES = 1 << 30;

static bool look(const char *name, const char *folder, uint64_t floor_bytes, struct room_volume *out) {
  struct statvfs vfs;
  if (!*folder || statvfs(folder, &vfs) != 0) return false;
  const uint64_t all = (uint64_t)vfs.f_blocks * vfs.f_frsize, twentieth = all / 20;
  if (floor_bytes == 0) floor_bytes = twentieth < USUAL_FLOOR_BYTES ? twentieth : USUAL_FLOOR_BYTES;
  *out = (struct room_volume){ .name = name, .free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize, .floor_bytes = floor_bytes };
  out->low = out->free_bytes < floor_bytes;
  return true;
}

int room_look(const struct room_options *options, struct room_volume volumes[ROOM_VOLUMES_MAX]) {
  int n = look("spool", options->spool_dir, options->floor_bytes, &volumes[0]);
  n += look("database", options->db_volume, options->floor_bytes, &volumes[n]);
  return n;
}

enum px_status room_check(const struct room_options *options, uint64_t spool_bytes, uint64_t db_bytes, struct px_err *err) {
  struct room_volume volumes[ROOM_VOLUMES_MAX];
  const int n = room_look(options, volumes);
  for (int i = 0; i < n; i++) {
    const uint64_t wanted = strcmp(volumes[i].name, "spool") == 0 ? spool_bytes : db_bytes;
    if (volumes[i].free_bytes >= volumes[i].floor_bytes && volumes[i].free_bytes - volumes[i].floor_bytes >= wanted) continue;
    px_fail(err, PX_E_NO_SPACE, "the %s volume is too full for this upload", volumes[i].name);
    px_err_hint(err, "The %s volume has %llu MiB free, of which %llu are kept for running work; this upload needs %llu. "
                     "Send it again when there is room; nothing acknowledged was lost.", volumes[i].name,
                (unsigned long long)(volumes[i].free_bytes / MIB_BYTES), (unsigned long long)(volumes[i].floor_bytes / MIB_BYTES),
                (unsigned long long)(wanted / MIB_BYTES));
    return PX_E_NO_SPACE;
  }
  return PX_OK;
}
