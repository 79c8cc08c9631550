/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule of faults: see schedule.h. */
#include "tests/fault/lib/schedule.h"

#include "lib/base/rng.h"

enum { GAP_MIN_MS = 40, GAP_MAX_MS = 640 };

/* Durations go past the test profile's lease of 2 s about as often as not. */
static const struct row {
  const char *name;
  uint32_t weight, min_ms, max_ms, amount_min, amount_max;
} TABLE[FAULT_KINDS_N] = {
  [FAULT_WORKER_KILL] = { "worker_kill", 8, 0, 0, 0, 0 },
  [FAULT_CHILD_KILL] = { "child_kill", 10, 0, 0, 0, 0 },
  [FAULT_WORKER_STOP] = { "worker_stop", 5, 300, 4000, 0, 0 },
  [FAULT_SUPERVISOR_STOP] = { "supervisor_stop", 5, 300, 4000, 0, 0 },
  [FAULT_CHILD_STOP] = { "child_stop", 4, 300, 2500, 0, 0 },
  [FAULT_WORKER_TERM] = { "worker_term", 4, 0, 0, 0, 0 },
  [FAULT_SERVER_KILL] = { "server_kill", 3, 0, 0, 0, 0 },
  [FAULT_SERVER_STOP] = { "server_stop", 2, 200, 1500, 0, 0 },
  [FAULT_SERVER_TERM] = { "server_term", 1, 0, 0, 0, 0 },
  [FAULT_POSTGRES_STOP] = { "postgres_stop", 2, 50, 1500, 0, 0 },
  [FAULT_REDIS_FLUSH] = { "redis_flush", 3, 0, 0, 0, 0 },
  [FAULT_REDIS_KILL] = { "redis_kill", 3, 100, 2000, 0, 0 },
  [FAULT_LINK_CUT] = { "link_cut", 8, 0, 0, 0, 0 },
  [FAULT_LINK_RESET] = { "link_reset", 6, 0, 0, 0, 0 },
  [FAULT_LINK_DELAY] = { "link_delay", 5, 500, 3000, 5, 80 },
  [FAULT_LINK_THROTTLE] = { "link_throttle", 4, 500, 3000, 20000, 500000 },
  [FAULT_LINK_HOLD] = { "link_hold", 6, 300, 4000, 0, 2 },
  [FAULT_LINK_REFUSE] = { "link_refuse", 4, 200, 1500, 0, 0 },
  [FAULT_PUBLISH_CUT] = { "publish_cut", 10, 2000, 4000, 1, 3 },
  [FAULT_CLAIM_CUT] = { "claim_cut", 4, 1000, 2000, 1, 2 },
  [FAULT_SUBMIT_CUT] = { "submit_cut", 5, 2000, 4000, 1, 2 },
};

const char *fault_name(enum fault_kind kind) { return TABLE[kind].name; }

const char *fault_link_name(enum fault_link link) {
  return (const char *const[]){ "worker_db", "server_db", "redis", "http" }[link];
}

static uint32_t between(struct px_rng *rng, uint32_t low, uint32_t high) {
  return low + px_rng_below(rng, high - low + 1);
}

struct fault fault_at(uint64_t seed, uint32_t i, int64_t previous_ms) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("fault", i), 0);
  struct fault f = { .at_ms = previous_ms + between(&rng, GAP_MIN_MS, GAP_MAX_MS) };
  uint32_t sum = 0, kind = 0;
  for (int k = 0; k < FAULT_KINDS_N; k++) sum += TABLE[k].weight;
  for (uint32_t drawn = px_rng_below(&rng, sum); drawn >= TABLE[kind].weight; kind++)
    drawn -= TABLE[kind].weight;
  const struct row *row = &TABLE[kind];
  f.kind = (enum fault_kind)kind;
  f.target = px_rng_u32(&rng);
  f.duration_ms = (int)between(&rng, row->min_ms, row->max_ms);
  f.amount = between(&rng, row->amount_min, row->amount_max);
  f.hard = px_rng_below(&rng, 2);
  return f;
}
