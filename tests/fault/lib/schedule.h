/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nemesis will do and when: fault number i is a pure function of (seed, i), so a seed that
 * failed does the same again. Used by nemesis only.
 */
#ifndef PX_FAULT_SCHEDULE_H
#define PX_FAULT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
  FAULT_WORKER_KILL,
  FAULT_CHILD_KILL,
  FAULT_WORKER_STOP,
  FAULT_SUPERVISOR_STOP,
  FAULT_CHILD_STOP,
  FAULT_WORKER_TERM,
  FAULT_SERVER_KILL,
  FAULT_SERVER_STOP,
  FAULT_SERVER_TERM,
  FAULT_POSTGRES_STOP,
  FAULT_REDIS_FLUSH,
  FAULT_REDIS_KILL,
  FAULT_LINK_CUT,
  FAULT_LINK_RESET,
  FAULT_LINK_DELAY,
  FAULT_LINK_THROTTLE,
  FAULT_LINK_HOLD,
  FAULT_LINK_REFUSE,
  FAULT_PUBLISH_CUT,
  FAULT_CLAIM_CUT,
  FAULT_SUBMIT_CUT,
  FAULT_KINDS_N
};
const char *fault_name(enum fault_kind kind);

/* The links that faults may be aimed at. */
enum fault_link { LINK_WORKER_DB, LINK_SERVER_DB, LINK_REDIS, LINK_HTTP, FAULT_LINKS_N };
const char *fault_link_name(enum fault_link link);

struct fault {
  int64_t at_ms; /* since the storm's begin */
  enum fault_kind kind;
  uint32_t target; /* of as many workers, or links, as there are: take it modulo */
  int duration_ms;
  uint32_t amount; /* milliseconds of delay, bytes per second, which way: by kind */
  bool hard;       /* a held link ends with a reset; a trap springs before and not after */
};
/* Fault number i; previous_ms is the one before's time (0 for the first). */
struct fault fault_at(uint64_t seed, uint32_t i, int64_t previous_ms);

#endif
