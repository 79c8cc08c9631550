/* SPDX-License-Identifier: Apache-2.0 */
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
#ifndef PX_SERVER_APP_DISKSPACE_H
#define PX_SERVER_APP_DISKSPACE_H

#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct diskspace_options {
  const char *spool_dir;
  /* a folder on the database's volume; "" when it cannot be seen from here */
  const char *db_volume;
  uint64_t floor_bytes; /* 0: 1 GiB, or 5% of a smaller volume */
};
struct diskspace;
/* The strings are borrowed. */
enum px_status diskspace_new(const struct diskspace_options *options, struct diskspace **out,
                             struct px_err *err) PX_MUST_CHECK;
void diskspace_free(struct diskspace *room);

enum diskspace_place { DISKSPACE_SPOOL, DISKSPACE_DB, DISKSPACE_PLACES_N };
struct diskspace_volume {
  const char *name; /* "spool", "database" */
  /* promised: by this process, on the volume */
  uint64_t free_bytes, floor_bytes, promised_bytes;
  bool low;
};
/* Those that can be seen; returns how many. */
int diskspace_look(struct diskspace *room, struct diskspace_volume volumes[DISKSPACE_PLACES_N]);
/* Whether uploads in parts can be counted at all. */
bool diskspace_sees_db(const struct diskspace *room);
/* What more may be promised on the database's volume; INT64_MAX when it cannot be seen. */
uint64_t diskspace_db_left(struct diskspace *room);

/* All zero is an empty claim. */
struct diskspace_claim {
  uint64_t bytes[DISKSPACE_PLACES_N], unchecked;
};
/* Promises so many bytes more. NO_SPACE when a volume would keep less than its floor, counting all
 * promises and `parts_bytes`: what uploads in parts still need of the database's volume. */
enum px_status diskspace_claim(struct diskspace *room, struct diskspace_claim *claim,
                               uint64_t spool_bytes, uint64_t db_bytes, uint64_t parts_bytes,
                               struct px_err *err) PX_MUST_CHECK;
/* So many bytes are about to be written: they leave the claim, which grows first if it is too
 * small. NO_SPACE also when the floor was reached meanwhile, by whatever filled the volume. */
enum px_status diskspace_use(struct diskspace *room, struct diskspace_claim *claim,
                             enum diskspace_place place, uint64_t bytes,
                             struct px_err *err) PX_MUST_CHECK;
void diskspace_end(struct diskspace *room, struct diskspace_claim *claim);

#endif
