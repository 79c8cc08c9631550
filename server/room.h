/*
 * Room for what requests write: the volumes that they fill must keep a floor of
 * free space, so that running jobs and the database can go on when uploads and
 * exports cannot.
 *
 * What a request will write is promised to it before it begins (a claim), and
 * checked again while it writes. A promise counts against what is free until the
 * bytes are there or the claim ends, so many requests that begin at once do not
 * count on the same room. Promises die with the process; those of uploads in
 * parts, which outlive it, are the rows of `uploads` (store_uploads_promised).
 *
 * Used by the handlers of uploads and exports, /readyz and /metrics. A claim
 * belongs to one request; all else is thread safe.
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
struct room;
/* The strings are borrowed. */
enum px_status room_new(const struct room_options *options, struct room **out, struct px_err *err) PX_MUST_CHECK;
void room_free(struct room *room);

enum room_place { ROOM_SPOOL, ROOM_DB, ROOM_PLACES_N };
struct room_volume {
  const char *name; /* "spool", "database" */
  uint64_t free_bytes, floor_bytes, promised_bytes; /* promised: by this process, on the volume */
  bool low;
};
/* Those that can be seen; returns how many. */
int room_look(struct room *room, struct room_volume volumes[ROOM_PLACES_N]);
/* Whether uploads in parts can be counted at all. */
bool room_sees_db(const struct room *room);
/* What more may be promised on the database's volume; INT64_MAX when it cannot be seen. */
uint64_t room_db_left(struct room *room);

/* All zero is an empty claim. */
struct room_claim { uint64_t bytes[ROOM_PLACES_N], unchecked; };
/* Promises so many bytes more. NO_SPACE when a volume would keep less than its floor, counting all promises and
 * `parts_bytes`: what uploads in parts still need of the database's volume. */
enum px_status room_claim(struct room *room, struct room_claim *claim, uint64_t spool_bytes, uint64_t db_bytes,
                          uint64_t parts_bytes, struct px_err *err) PX_MUST_CHECK;
/* So many bytes are about to be written: they leave the claim, which grows first if it is too small. NO_SPACE also when the
 * floor was reached meanwhile, by whatever filled the volume. */
enum px_status room_use(struct room *room, struct room_claim *claim, enum room_place place, uint64_t bytes, struct px_err *err)
  PX_MUST_CHECK;
void room_end(struct room *room, struct room_claim *claim);

#endif
