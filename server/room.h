/*
 * Whether there is room for an upload: the volumes that it fills must keep a
 * floor of free space, so that running jobs and the database can go on when
 * uploads cannot. Nothing is remembered: each call asks the file system, and as
 * soon as there is room again uploads are taken. Used by the upload handlers,
 * /readyz and /metrics. Thread safe.
 */
#ifndef PX_SERVER_ROOM_H
#define PX_SERVER_ROOM_H

#include <stdint.h>

#include "lib/base/status.h"

struct room_options {
  const char *spool_dir;
  const char *db_volume;   /* a folder on the database's volume; "" when it cannot be seen from here */
  uint64_t floor_bytes;    /* 0: 1 GiB, or 5% of a smaller volume */
};
struct room_volume { const char *name; uint64_t free_bytes, floor_bytes; bool low; };
enum { ROOM_VOLUMES_MAX = 2 };
/* Those that can be seen; returns how many. */
int room_look(const struct room_options *options, struct room_volume volumes[ROOM_VOLUMES_MAX]);
/* NO_SPACE when a volume would have less than its floor left: spool_bytes go to the spool folder's, db_bytes to the
 * database's. */
enum px_status room_check(const struct room_options *options, uint64_t spool_bytes, uint64_t db_bytes, struct px_err *err)
  PX_MUST_CHECK;

#endif
