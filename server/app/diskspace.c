/* SPDX-License-Identifier: Apache-2.0 */
/* Free space: see diskspace.h. */
#include "server/app/diskspace.h"

#include "lib/base/fail.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* a claim grows, and a volume is looked at again, by such steps */
enum { MIB_BYTES = 1 << 20, STEP_BYTES = 1 << 20 };
static const uint64_t USUAL_FLOOR_BYTES = 1 << 30;
static const char *const NAME[DISKSPACE_PLACES_N] = {
  [DISKSPACE_SPOOL] = "spool", [DISKSPACE_DB] = "database"
};

struct diskspace {
  const char *folder[DISKSPACE_PLACES_N];
  uint64_t floor_bytes;
  bool together; /* both places are on one volume */
  pthread_mutex_t lock;
  uint64_t promised[DISKSPACE_PLACES_N];
};

enum px_status diskspace_new(const struct diskspace_options *options, struct diskspace **out,
                             struct px_err *err) {
  struct diskspace *room = calloc(1, sizeof *room);
  if (!room) return px_fail(err, PX_E_NO_MEMORY, "room");
  *room = (struct diskspace){ .folder = { options->spool_dir, options->db_volume },
                              .floor_bytes = options->floor_bytes };
  struct stat spool, db;
  room->together = stat(options->spool_dir, &spool) == 0 && stat(options->db_volume, &db) == 0 &&
                   spool.st_dev == db.st_dev;
  pthread_mutex_init(&room->lock, NULL);
  *out = room;
  return PX_OK;
}

void diskspace_free(struct diskspace *room) {
  if (!room) return;
  pthread_mutex_destroy(&room->lock);
  free(room);
}

/* Under the lock. What is written in one place is missing in the other when they are on one
 * volume. */
static bool measure_volume(const struct diskspace *room, enum diskspace_place place,
                           struct diskspace_volume *out) {
  struct statvfs vfs;
  if (!*room->folder[place] || statvfs(room->folder[place], &vfs) != 0) return false;
  const uint64_t all = (uint64_t)vfs.f_blocks * vfs.f_frsize, twentieth = all / 20;
  const uint64_t usual = twentieth < USUAL_FLOOR_BYTES ? twentieth : USUAL_FLOOR_BYTES;
  *out = (struct diskspace_volume){ .name = NAME[place],
                                    .free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize,
                                    .floor_bytes = room->floor_bytes ? room->floor_bytes : usual };
  for (int i = 0; i < DISKSPACE_PLACES_N; i++)
    out->promised_bytes += i == (int)place || room->together ? room->promised[i] : 0;
  out->low = out->free_bytes < out->floor_bytes;
  return true;
}

int diskspace_look(struct diskspace *room, struct diskspace_volume volumes[DISKSPACE_PLACES_N]) {
  int n = 0;
  pthread_mutex_lock(&room->lock);
  for (int i = 0; i < DISKSPACE_PLACES_N; i++)
    n += measure_volume(room, (enum diskspace_place)i, &volumes[n]);
  pthread_mutex_unlock(&room->lock);
  return n;
}

bool diskspace_sees_db(const struct diskspace *room) { return *room->folder[DISKSPACE_DB] != '\0'; }

static uint64_t left_of(const struct diskspace_volume *v) {
  const uint64_t kept = v->floor_bytes + v->promised_bytes;
  return v->free_bytes > kept ? v->free_bytes - kept : 0;
}

uint64_t diskspace_db_left(struct diskspace *room) {
  struct diskspace_volume volume;
  pthread_mutex_lock(&room->lock);
  const uint64_t left = measure_volume(room, DISKSPACE_DB, &volume) ? left_of(&volume) : INT64_MAX;
  pthread_mutex_unlock(&room->lock);
  return left < INT64_MAX ? left : INT64_MAX;
}

static enum px_status refuse(const struct diskspace_volume *v, uint64_t wanted,
                             struct px_err *err) {
  px_fail(err, PX_E_NO_SPACE, "the %s volume is too full for this request", v->name);
  px_fail_hint(err,
               "The %s volume has %llu MiB free, of which %llu are kept for running work and %llu "
               "are promised to requests "
               "under way; this one needs %llu. Send it again when there is room; nothing "
               "acknowledged was lost.",
               v->name, (unsigned long long)(v->free_bytes / MIB_BYTES),
               (unsigned long long)(v->floor_bytes / MIB_BYTES),
               (unsigned long long)(v->promised_bytes / MIB_BYTES),
               (unsigned long long)(wanted / MIB_BYTES));
  return PX_E_NO_SPACE;
}

/* Under the lock. */
static enum px_status check(const struct diskspace *room, const uint64_t more[DISKSPACE_PLACES_N],
                            uint64_t parts_bytes, struct px_err *err) {
  for (int i = 0; i < DISKSPACE_PLACES_N; i++) {
    struct diskspace_volume volume;
    if (!measure_volume(room, (enum diskspace_place)i, &volume)) continue;
    uint64_t wanted = more[i];
    if (i == DISKSPACE_DB || room->together) volume.promised_bytes += parts_bytes;
    if (room->together) wanted = more[DISKSPACE_SPOOL] + more[DISKSPACE_DB];
    if (volume.low || wanted > left_of(&volume)) return refuse(&volume, wanted, err);
  }
  return PX_OK;
}

static enum px_status claim_locked(struct diskspace *room, struct diskspace_claim *claim,
                                   const uint64_t more[DISKSPACE_PLACES_N], uint64_t parts_bytes,
                                   struct px_err *err) {
  const enum px_status status = check(room, more, parts_bytes, err);
  for (int i = 0; i < DISKSPACE_PLACES_N && !status; i++) {
    claim->bytes[i] += more[i];
    room->promised[i] += more[i];
  }
  return status;
}

enum px_status diskspace_claim(struct diskspace *room, struct diskspace_claim *claim,
                               uint64_t spool_bytes, uint64_t db_bytes, uint64_t parts_bytes,
                               struct px_err *err) {
  const uint64_t more[DISKSPACE_PLACES_N] = {
    [DISKSPACE_SPOOL] = spool_bytes, [DISKSPACE_DB] = db_bytes
  };
  pthread_mutex_lock(&room->lock);
  const enum px_status status = claim_locked(room, claim, more, parts_bytes, err);
  pthread_mutex_unlock(&room->lock);
  return status;
}

static enum px_status check_floor(const struct diskspace *room, enum diskspace_place place,
                                  struct px_err *err) {
  struct diskspace_volume volume;
  return measure_volume(room, place, &volume) && volume.low ? refuse(&volume, 0, err) : PX_OK;
}

enum px_status diskspace_use(struct diskspace *room, struct diskspace_claim *claim,
                             enum diskspace_place place, uint64_t bytes, struct px_err *err) {
  enum px_status status = PX_OK;
  pthread_mutex_lock(&room->lock);
  claim->unchecked += bytes;
  if (claim->bytes[place] < bytes) {
    uint64_t more[DISKSPACE_PLACES_N] = { 0 };
    more[place] = bytes - claim->bytes[place];
    if (more[place] < STEP_BYTES) more[place] = STEP_BYTES;
    status = claim_locked(room, claim, more, 0, err);
    claim->unchecked = 0;
  } else if (claim->unchecked >= STEP_BYTES) {
    status = check_floor(room, place, err);
    claim->unchecked = 0;
  }
  if (!status) {
    claim->bytes[place] -= bytes;
    room->promised[place] -= bytes;
  }
  pthread_mutex_unlock(&room->lock);
  return status;
}

void diskspace_end(struct diskspace *room, struct diskspace_claim *claim) {
  pthread_mutex_lock(&room->lock);
  for (int i = 0; i < DISKSPACE_PLACES_N; i++) room->promised[i] -= claim->bytes[i];
  pthread_mutex_unlock(&room->lock);
  *claim = (struct diskspace_claim){ 0 };
}
